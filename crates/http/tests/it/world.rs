//! A platform in memory: the doors over the twins, and what every test begins with.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use lingqian_core::Command;
use lingqian_core::earning::{Kind, Terms};
use lingqian_core::id::{AppId, KindCode, KindNo, MchId, MerchantNo};
use lingqian_core::money::Micros;
use lingqian_core::risk::Policy;
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::{Finding, Merchant};
use lingqian_engine::{Desk, DeskSettings, Limits, assess, dispatch, poll};
use lingqian_http::{Minted, Settings, mint, router};
use lingqian_io::store::Summary;
use lingqian_io::twin::{ManualClock, MemoryStore, SeededDice};
use lingqian_io::{Browse as _, Clock as _, Ports, Store as _};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::wechat::{FakeIdentity, FakeRail, FakeSealer};

/// 2026-03-02, noon in Beijing.
pub(crate) const NOON: Timestamp = Timestamp(1_772_424_000_000);

/// All ports.
#[derive(Clone)]
pub(crate) struct TestPorts {
    store: MemoryStore,
    clock: Arc<ManualClock>,
    dice: Arc<SeededDice>,
    rail: Arc<FakeRail>,
}

impl Ports for TestPorts {
    type Store = MemoryStore;
    type Rail = FakeRail;
    type Identity = FakeIdentity;
    type Sealer = FakeSealer;
    type Clock = ManualClock;
    type Dice = SeededDice;

    fn store(&self) -> &MemoryStore {
        &self.store
    }
    fn rail(&self) -> &FakeRail {
        &self.rail
    }
    fn identity(&self) -> &FakeIdentity {
        &FakeIdentity
    }
    fn sealer(&self) -> &FakeSealer {
        &FakeSealer
    }
    fn clock(&self) -> &ManualClock {
        &self.clock
    }
    fn dice(&self) -> &SeededDice {
        &self.dice
    }
}

/// A request in the making. Unless told otherwise it carries a key that may do everything.
pub(crate) struct Ask {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    keyed: bool,
    body: Body,
}

impl Ask {
    pub(crate) fn new(method: &'static str, path: &str) -> Ask {
        Ask {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            keyed: true,
            body: Body::empty(),
        }
    }

    pub(crate) fn get(path: &str) -> Ask {
        Ask::new("GET", path)
    }

    pub(crate) fn post(path: &str) -> Ask {
        Ask::new("POST", path)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Ask {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without_key(self) -> Ask {
        Ask {
            keyed: false,
            ..self
        }
    }

    pub(crate) fn with_key(self, text: &str) -> Ask {
        let header = format!("Bearer {text}");
        self.without_key().header("authorization", &header)
    }

    pub(crate) fn json(self, body: &Value) -> Ask {
        self.text("application/json", &body.to_string())
    }

    pub(crate) fn text(self, kind: &str, body: &str) -> Ask {
        self.header("content-type", kind)
            .body(Body::from(body.to_owned()))
    }

    pub(crate) fn body(self, body: Body) -> Ask {
        Ask { body, ..self }
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("headers are text"))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        let lines = self.text.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("a line is JSON"))
            .collect()
    }

    /// Status, code and pointer of a problem, after a look at what every problem has.
    pub(crate) fn problem(&self) -> (u16, String, Option<String>) {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}",
            self.text
        );
        let value = self.json();
        assert_eq!(value["status"], self.status);
        let code = value["code"].as_str().expect("a code").to_owned();
        assert_eq!(value["type"], format!("/problems/{code}"));
        for member in ["title", "detail", "outcome"] {
            assert!(
                value[member].as_str().is_some_and(|text| !text.is_empty()),
                "{member} of {code}"
            );
        }
        assert!(value["retryable"].is_boolean());
        let pointer = value["errors"][0]["pointer"].as_str().map(str::to_owned);
        (self.status, code, pointer)
    }
}

/// Compares what [`Answer::problem`] said.
pub(crate) fn is(status: u16, code: &str, pointer: Option<&str>) -> (u16, String, Option<String>) {
    (status, code.to_owned(), pointer.map(str::to_owned))
}

/// The whole platform.
pub(crate) struct World {
    pub(crate) ports: TestPorts,
    pub(crate) desk: Desk,
    pub(crate) key: String,
    router: Router,
}

impl World {
    pub(crate) async fn new() -> World {
        World::with(|_| {}).await
    }

    /// A world under other limits.
    pub(crate) async fn under(policy: Policy) -> World {
        World::made(policy, |_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> World {
        World::made(Policy::default(), change).await
    }

    async fn made(policy: Policy, change: impl FnOnce(&mut Settings)) -> World {
        let clock = Arc::new(ManualClock::new(NOON));
        let ports = TestPorts {
            store: MemoryStore::default(),
            rail: Arc::new(FakeRail::new(Arc::clone(&clock))),
            dice: Arc::new(SeededDice::new(7)),
            clock: Arc::clone(&clock),
        };
        let desk = DeskSettings {
            policy,
            ..DeskSettings::default()
        };
        let (desk, work) = Desk::open(ports.store.clone(), clock, desk);
        tokio::spawn(work);
        let mut settings = Settings::new("https://pay.example.test/");
        change(&mut settings);
        let router = router(ports.clone(), desk.clone(), settings);
        let mut world = World {
            ports,
            desk,
            key: String::new(),
            router,
        };
        world.submit(Command::DefineMerchant(merchant())).await;
        world.submit(kind(1, "ad_view", None)).await;
        world.submit(kind(2, "sign_in", Some(Micros(2_500)))).await;
        world.key = world.mint(&["*"]).await.text;
        world
    }

    /// The same doors before a desk where nobody works, and where two events are a crowd.
    pub(crate) fn before_an_idle_desk(self) -> World {
        self.before_an_idle_desk_of(DeskSettings {
            events_waiting_max: 2,
            ..DeskSettings::default()
        })
    }

    /// The same with settings of its own.
    pub(crate) fn before_an_idle_desk_of(mut self, settings: DeskSettings) -> World {
        let (store, clock) = (self.ports.store.clone(), Arc::clone(&self.ports.clock));
        let (desk, work) = Desk::open(store, clock, settings);
        tokio::spawn(async move {
            let _work = work;
            std::future::pending::<()>().await;
        });
        let settings = Settings::new("https://pay.example.test/");
        self.router = router(self.ports.clone(), desk.clone(), settings);
        self.desk = desk;
        self
    }

    pub(crate) async fn submit(&self, command: Command) {
        let answer = self.desk.submit(command).await.expect("no fault");
        answer.expect("no rejection");
    }

    pub(crate) async fn mint(&self, scopes: &[&str]) -> Minted {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let minted = mint(self.ports.dice(), scopes, self.ports.clock().business());
        self.submit(Command::AddApiKey(minted.key.clone())).await;
        // What the doors read a moment ago they do not read again at once.
        self.ports.clock().advance_ms(2_000);
        minted
    }

    pub(crate) fn store(&self) -> &MemoryStore {
        self.ports.store()
    }

    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    pub(crate) fn request(&self, ask: Ask) -> Request<Body> {
        let mut request = Request::builder().method(ask.method).uri(ask.path);
        if ask.keyed {
            request = request.header("authorization", format!("Bearer {}", self.key));
        }
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        request.body(ask.body).expect("a request")
    }

    pub(crate) async fn send(&self, ask: Ask) -> Answer {
        let request = self.request(ask);
        let response = self.router().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("a whole body");
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).expect("text"),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Ask::get(path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Ask::post(path).json(body)).await
    }

    pub(crate) async fn user(&self, id: &str) {
        let answer = self.post("/v1/users", &json!({ "id": id })).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }

    pub(crate) async fn earn(&self, user: &str, event: &str, micros: i64) {
        let answer = self
            .post("/v1/events", &event_of(user, event, micros))
            .await;
        assert_eq!(answer.json()["summary"]["credited"], 1, "{}", answer.text);
    }

    /// Begins a link; answers the state that goes out with the user.
    pub(crate) async fn state(&self, user: &str) -> String {
        let path = format!("/v1/users/{user}/link");
        let answer = self.send(Ask::post(&path)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let url = answer.json()["authorize_url"]
            .as_str()
            .expect("a URL")
            .to_owned();
        url.split("state=").nth(1).expect("a state").to_owned()
    }

    /// A user with ¥10 and a linked wallet.
    pub(crate) async fn linked(&self, user: &str) {
        self.user(user).await;
        self.earn(user, &format!("first-{user}"), 10_000_000).await;
        let state = self.state(user).await;
        let path = format!("/oauth/wechat/callback?state={state}&code=person-{user}");
        assert_eq!(self.send(Ask::get(&path).without_key()).await.status, 200);
    }

    pub(crate) async fn withdraw(&self, key: &str, body: &Value) -> Answer {
        let ask = Ask::post("/v1/withdrawals").header("idempotency-key", key);
        self.send(ask.json(body)).await
    }

    /// A payout of that user, held and not assessed.
    pub(crate) async fn payout(&self, user: &str, reference: &str, fen: i64) -> String {
        let body = json!({ "user": user, "amount_fen": fen, "reference": reference });
        let answer = self.withdraw(reference, &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Lets risk look and sends what is due; WeChat answers with the finding.
    pub(crate) async fn pay(&self, finding: Finding) {
        self.ports.rail().will_say(finding);
        let limits = Limits::default();
        let (ports, desk) = (&self.ports, &self.desk);
        assess::assess(ports, desk, &limits)
            .await
            .expect("no fault");
        dispatch::dispatch(ports, desk, &limits)
            .await
            .expect("no fault");
        poll::cancel(ports, desk, &limits).await.expect("no fault");
    }

    pub(crate) async fn books(&self) -> Summary {
        self.store().summary().await.expect("no fault")
    }

    /// The auditor finds nothing.
    pub(crate) async fn audited(&self) {
        let audited = self.store().audit().await.expect("no fault");
        assert!(audited.findings.is_empty(), "{:?}", audited.findings);
    }
}

pub(crate) fn event_of(user: &str, event: &str, micros: i64) -> Value {
    json!({
        "source": "app", "event_id": event, "user": user, "kind": "ad_view",
        "amount_micros": micros,
    })
}

fn merchant() -> Merchant {
    Merchant {
        no: MerchantNo(1),
        mchid: MchId::parse("1900000109").expect("an id"),
        apps: vec![AppId::parse("wx8888888888888888").expect("an id")],
        scene: "1000".into(),
        scene_report: vec![("活动名称".into(), "看视频".into())],
        remark: "提现".into(),
        weight: 1,
        day_quota: None,
    }
}

fn kind(no: i64, code: &str, price: Option<Micros>) -> Command {
    Command::DefineKind(Kind {
        no: KindNo(no),
        code: KindCode::parse(code).expect("an id"),
        price,
        amount_max: Micros(10_000_000),
        tax_class: "labour".into(),
        terms: Terms::default(),
    })
}
