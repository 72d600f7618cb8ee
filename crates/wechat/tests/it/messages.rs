//! Messages to users against the sandbox: one token for everybody, and what its codes mean.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use lingqian_core::id::{AppId, OpenId};
use lingqian_core::time::Timestamp;
use lingqian_io::Clock;
use lingqian_io::rail::AppKind;
use lingqian_io::twin::ManualClock;
use lingqian_sandbox::{Sandbox, Settings};
use lingqian_wechat::message::{Told, UserMessage, WechatMessages};
use lingqian_wechat::socket::{ANSWER_MAX, Socket};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::NOW;

const WAIT: Duration = Duration::from_secs(10);

/// A clock that the test has, too.
struct Shared(Arc<ManualClock>);

impl Clock for Shared {
    fn business(&self) -> Timestamp {
        self.0.business()
    }

    fn wire(&self) -> Timestamp {
        self.0.wire()
    }
}

struct World {
    sandbox: Sandbox,
    clock: Arc<ManualClock>,
    _dir: TempDir,
}

/// An app of some kind with a template, and somebody who knows it.
struct App {
    id: String,
    secret: String,
    kind: AppKind,
    template: String,
    openid: String,
}

impl World {
    async fn start() -> World {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = Settings {
            data: dir.path().to_owned(),
            ..Settings::default()
        };
        World {
            sandbox: Sandbox::start(settings).await.expect("it starts"),
            clock: Arc::new(ManualClock::new(NOW)),
            _dir: dir,
        }
    }

    async fn ask(&self, path: &str, body: Option<&Value>) -> Value {
        let url = format!("{}{path}", self.sandbox.url());
        let request = match body {
            None => Request::get(url).body(Full::new(Bytes::new())),
            Some(body) => Request::post(url)
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from(body.to_string()))),
        };
        let socket = Socket::new(WAIT);
        let answered = socket.call(request.expect("a request"), ANSWER_MAX).await;
        let answered = answered.expect("an answer");
        assert_eq!(answered.status, 200, "{path}");
        serde_json::from_slice(&answered.body).unwrap_or_default()
    }

    async fn app(&self, kind: AppKind) -> App {
        let word = match kind {
            AppKind::MiniProgram => "mini_program",
            _ => "official_account",
        };
        let made = self
            .ask("/_sandbox/apps", Some(&json!({ "kind": word })))
            .await;
        let text = |name: &str| made[name].as_str().expect("a text").to_owned();
        let (id, secret) = (text("appid"), text("secret"));
        let keys = json!({ "appid": id, "keys": ["thing1", "amount2"] });
        let template = self.ask("/_sandbox/templates", Some(&keys)).await;
        let template = template["template_id"].as_str().expect("a name").to_owned();
        let code = json!({ "appid": id, "user": "alice" });
        let openid = match kind {
            AppKind::MiniProgram => {
                let code = self.ask("/_sandbox/wx-login", Some(&code)).await;
                let code = code["code"].as_str().expect("a code").to_owned();
                let path = format!(
                    "/sns/jscode2session?appid={id}&secret={secret}&js_code={code}\
                     &grant_type=authorization_code"
                );
                self.ask(&path, None).await["openid"].clone()
            }
            _ => {
                // Whoever came back from the page is known.
                let path = format!(
                    "/connect/oauth2/authorize?appid={id}&redirect_uri=http%3A%2F%2Fx\
                     &response_type=code&scope=snsapi_base&state=s&sandbox_user=alice"
                );
                let request = Request::get(format!("{}{path}", self.sandbox.url()));
                let request = request.body(Full::new(Bytes::new())).expect("a request");
                let moved = Socket::new(WAIT).call(request, ANSWER_MAX).await;
                let moved = moved.expect("an answer");
                let location = moved.header("location").expect("a location").to_owned();
                let code = location.split("code=").nth(1).expect("a code");
                let code = code.split('&').next().expect("a code");
                let path = format!(
                    "/sns/oauth2/access_token?appid={id}&secret={secret}&code={code}\
                     &grant_type=authorization_code"
                );
                self.ask(&path, None).await["openid"].clone()
            }
        };
        App {
            id,
            secret,
            kind,
            template,
            openid: openid.as_str().expect("an openid").to_owned(),
        }
    }

    fn way(&self, app: &App) -> WechatMessages<Shared> {
        let id = AppId::parse(&app.id).expect("an id");
        let app = (id, app.kind, app.secret.clone());
        WechatMessages::new(
            app,
            &self.sandbox.url(),
            Shared(Arc::clone(&self.clock)),
            WAIT,
        )
    }

    async fn plan(&self, call: &str, errcodes: &[i64]) {
        let plan = json!({ "errcodes": { call: errcodes } });
        self.ask("/_sandbox/faults", Some(&plan)).await;
    }
}

fn message(app: &App, name: &str) -> UserMessage {
    UserMessage {
        to: OpenId::parse(&app.openid).expect("an openid"),
        template: app.template.clone(),
        name: name.into(),
        page: Some("pages/wallet".into()),
        url: None,
        data: vec![
            ("thing1".into(), "提现已到账".into()),
            ("amount2".into(), "1.00元".into()),
        ],
    }
}

#[tokio::test]
async fn a_template_message_arrives_once_and_all_share_one_token() {
    let world = World::start().await;
    let app = world.app(AppKind::OfficialAccount).await;
    let (one, other) = (world.way(&app), world.way(&app));
    for way in [&one, &other, &one] {
        assert_eq!(way.send(&message(&app, "po_1.5")).await, Told::Taken);
    }
    assert_eq!(one.send(&message(&app, "po_1.6")).await, Told::Taken);
    let seen = world.ask("/_sandbox/messages", None).await;
    let sent = seen["data"].as_array().expect("a list");
    assert_eq!(sent.len(), 2, "the same name is the same message: {seen:#}");
    assert_eq!(sent[0]["touser"], app.openid.as_str());
    assert_eq!(sent[0]["data"]["amount2"]["value"], "1.00元");
    assert_eq!(
        seen["tokens"],
        json!({ "asked": 2, "made": 1 }),
        "each asked once"
    );
    // Shortly before its end the next one is asked for.
    world.clock.advance_ms(7_200_000);
    world.sandbox.advance(Duration::from_secs(7_200)).await;
    assert_eq!(one.send(&message(&app, "po_1.7")).await, Told::Taken);
    let seen = world.ask("/_sandbox/messages", None).await;
    assert_eq!(seen["tokens"]["made"], 2);
}

#[tokio::test]
async fn a_void_token_is_fetched_once_more_and_no_more() {
    let world = World::start().await;
    let app = world.app(AppKind::OfficialAccount).await;
    let way = world.way(&app);
    assert_eq!(way.send(&message(&app, "a")).await, Told::Taken);
    // Somebody else forced a new one.
    let forced = json!({
        "grant_type": "client_credential", "appid": app.id, "secret": app.secret,
        "force_refresh": true,
    });
    world.ask("/cgi-bin/stable_token", Some(&forced)).await;
    assert_eq!(way.send(&message(&app, "b")).await, Told::Taken);
    let again = world.ask("/cgi-bin/stable_token", Some(&forced)).await;
    assert_eq!(again["errcode"], 45_009, "no sooner than after 30 seconds");
    let call = "cgi-bin/message/template/send";
    world.plan(call, &[40_001, 42_001]).await;
    let void = way.send(&message(&app, "c")).await;
    assert_eq!(void, Told::Later("errcode_40001".into()));
    assert_eq!(way.send(&message(&app, "c")).await, Told::Taken);
    for (errcode, told) in [
        (43_101, Told::Unwanted(43_101)),
        (43_004, Told::Unwanted(43_004)),
        (45_009, Told::Later("errcode_45009".into())),
        (48_001, Told::Wrong(48_001)),
    ] {
        world.plan(call, &[errcode]).await;
        assert_eq!(way.send(&message(&app, "d")).await, told);
    }
    let wrong = App {
        secret: "not it".into(),
        ..app
    };
    let told = world.way(&wrong).send(&message(&wrong, "e")).await;
    assert_eq!(told, Told::Wrong(40_125));
}

#[tokio::test]
async fn a_subscribe_message_uses_up_a_consent_and_its_values_must_fit() {
    let world = World::start().await;
    let app = world.app(AppKind::MiniProgram).await;
    let way = world.way(&app);
    assert_eq!(way.send(&message(&app, "a")).await, Told::Unwanted(43_101));
    let consent = json!({
        "appid": app.id, "user": "alice", "template_id": app.template, "times": 1,
    });
    world.ask("/_sandbox/consents", Some(&consent)).await;
    let mut long = message(&app, "b");
    long.data[0].1 = "一".repeat(21);
    assert_eq!(
        way.send(&long).await,
        Told::Wrong(47_003),
        "and nothing is used up"
    );
    assert_eq!(way.send(&message(&app, "c")).await, Told::Taken);
    assert_eq!(way.send(&message(&app, "d")).await, Told::Unwanted(43_101));
    let other = UserMessage {
        template: "of nobody".into(),
        ..message(&app, "e")
    };
    assert_eq!(way.send(&other).await, Told::Wrong(40_037));
    let nobody = UserMessage {
        to: OpenId::parse("oNobody").expect("an openid"),
        ..message(&app, "f")
    };
    assert_eq!(way.send(&nobody).await, Told::Unwanted(40_003));
    let seen = world.ask("/_sandbox/messages", None).await;
    assert_eq!(seen["data"].as_array().expect("a list").len(), 1);
    assert_eq!(seen["data"][0]["page"], "pages/wallet");
}

#[tokio::test]
async fn a_wechat_that_does_not_answer_is_asked_later() {
    let world = World::start().await;
    let app = world.app(AppKind::OfficialAccount).await;
    let way = world.way(&app);
    let World { sandbox, .. } = world;
    sandbox.stop().await;
    let told = way.send(&message(&app, "a")).await;
    assert_eq!(told, Told::Later("connect_failed".into()));
}
