//! Two merchants from the configuration to the bill: real processes, a sandbox with both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Running, ask, independent_audit, json as said, run, until};

const DAY_S: i64 = 86_400;

/// A data directory for two merchants beside a sandbox of two: both are bound to the first app, and
/// the second one to its own app, too.
pub(crate) struct World {
    pub(crate) data: PathBuf,
    sandbox: Running,
    /// `credentials.json` of each.
    pub(crate) accounts: [Value; 2],
    _dir: TempDir,
}

/// What both entries of the configuration say.
fn entry(no: usize, apps: &[&Value], more: &str) -> String {
    let apps = Value::from_iter(apps.iter().copied().cloned());
    format!("[[merchants]]\nno = {no}\ncredentials = \"merchant-{no}\"\napps = {apps}\n{more}\n")
}

/// So many of a thousand confirm, the others never answer.
fn robot(confirm: u16) -> Value {
    json!({ "confirm_per_mille": confirm, "refuse_per_mille": 0, "delay_ms": 1, "seed": 1 })
}

impl World {
    /// `second_fen` is what the second merchant's account begins with.
    pub(crate) async fn start(second_fen: i64, first_more: &str, second_more: &str) -> World {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        std::fs::create_dir(&data).expect("made");
        std::fs::write(data.join("lingqian.toml"), "").expect("written");
        let sandbox = Running::start(&data, &["sandbox", "--listen", "127.0.0.1:0"]);
        let mut world = World {
            data,
            sandbox,
            accounts: [Value::Null, Value::Null],
            _dir: dir,
        };
        let second = json!({ "top_up_fen": second_fen });
        world.tell("merchants", &second).await;
        world.accounts = [1, 2].map(|no| world.credentials(no));
        let bind = json!({ "mchid": world.mchid(2), "appid": world.accounts[0]["appid"] });
        world.tell("bindings", &bind).await;
        world.tell("robot", &robot(1_000)).await;
        let [first, second] = world.accounts.each_ref().map(|account| &account["appid"]);
        let config = entry(1, &[first], first_more) + &entry(2, &[first, second], second_more);
        std::fs::write(world.data.join("lingqian.toml"), config).expect("written");
        world
    }

    fn credentials(&self, no: usize) -> Value {
        let out = self.data.join(format!("merchant-{no}"));
        let (out, no) = (out.to_str().expect("plain"), no.to_string());
        let write = ["credentials", "--merchant", &no, "--out", out];
        said(&self.data, &[&["sandbox"][..], &write].concat());
        read(&Path::new(out).join("credentials.json"))
    }

    pub(crate) fn mchid(&self, no: usize) -> &str {
        self.accounts[no - 1]["mchid"].as_str().expect("text")
    }

    async fn tell(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}/_sandbox/{path}", self.sandbox.url);
        let headers = [("content-type", "application/json")];
        let answer = ask("POST", &url, &headers, &body.to_string()).await;
        let (status, answer, _) = answer.expect("it answers");
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub(crate) async fn see(&self, path: &str) -> Value {
        let url = format!("{}/_sandbox/{path}", self.sandbox.url);
        ask("GET", &url, &[], "").await.expect("it answers").1
    }

    /// What the merchant paid, by WeChat's own books.
    pub(crate) async fn paid_fen(&self, no: usize) -> i64 {
        let books = self.see(&format!("books?mchid={}", self.mchid(no))).await;
        books["paid_fen"].as_i64().expect("a sum")
    }

    pub(crate) fn serve(&self) -> Platform {
        let server = Running::start(&self.data, &["serve", "--listen", "127.0.0.1:0"]);
        let key = std::fs::read_to_string(self.data.join("api-key")).expect("a key");
        Platform {
            server,
            key: key.trim().to_owned(),
        }
    }

    fn sql(&self, query: &str) -> Vec<Value> {
        let found = said(&self.data, &["sql", "-c", query]);
        found.as_array().expect("rows").clone()
    }
}

fn read(path: &Path) -> Value {
    let text = std::fs::read(path).expect("it is there");
    serde_json::from_slice(&text).expect("JSON")
}

/// How many payouts are in one of these states.
pub(crate) fn in_states(summary: &Value, states: &[&str]) -> u64 {
    let lines = summary["payouts"].as_array().expect("a list").iter();
    let wanted = lines.filter(|line| states.iter().any(|state| line["state"] == *state));
    wanted.filter_map(|line| line["count"].as_u64()).sum()
}

/// The platform as its app calls it.
pub(crate) struct Platform {
    pub(crate) server: Running,
    key: String,
}

impl Platform {
    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.server.url);
        let bearer = format!("Bearer {}", self.key);
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            (
                "idempotency-key",
                body["reference"].as_str().unwrap_or("none"),
            ),
        ];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = ask(method, &url, &headers, &body).await;
        let (status, answer, _) = answer.expect("it answers");
        (status, answer)
    }

    /// A user who linked by this app's page (the first one's where none is named) and earned so
    /// much.
    pub(crate) async fn user(&self, name: &str, app: Option<&Value>, fen: i64) {
        let user = json!({ "id": name });
        assert!(self.call("POST", "/v1/users", &user).await.0 < 300);
        let app = app.and_then(Value::as_str);
        let query = app.map(|app| format!("?app={app}")).unwrap_or_default();
        let path = format!("/v1/users/{name}/link{query}");
        let (status, begun) = self.call("POST", &path, &Value::Null).await;
        assert_eq!(status, 201, "{begun}");
        let page = begun["authorize_url"].as_str().expect("a page");
        let page = page.split('#').next().unwrap_or(page);
        let page = format!("{page}&sandbox_user={name}");
        let (_, _, callback) = ask("GET", &page, &[], "").await.expect("it answers");
        let callback = callback.expect("it leads back");
        let linked = ask("GET", &callback, &[], "").await.expect("it answers");
        assert_eq!(linked.0, 200, "{}", linked.1);
        let event = json!({
            "source": "app", "event_id": name, "user": name, "kind": "commission",
            "amount_fen": fen,
        });
        assert!(self.call("POST", "/v1/events", &event).await.0 < 300);
    }

    pub(crate) async fn withdraw(&self, user: &str, fen: i64) {
        let wanted = json!({ "user": user, "amount_fen": fen, "reference": format!("r-{user}") });
        let (status, held) = self.call("POST", "/v1/withdrawals", &wanted).await;
        assert!(status < 300, "{held}");
    }

    /// Until so many payouts are paid.
    pub(crate) async fn paid(&self, count: u64) {
        until("payouts are paid", async || {
            let (_, summary) = self.call("GET", "/v1/summary", &Value::Null).await;
            (in_states(&summary, &["paid"]) < count).then(|| summary["payouts"].to_string())
        })
        .await;
    }
}

/// A notification that one merchant's WeChat signs and seals, about whatever the body says.
async fn notify(world: &World, signer: usize, url: &str, body: &Value) -> (u16, Value) {
    let file = match signer {
        1 => "provision.json".to_owned(),
        no => format!("provision-{no}.json"),
    };
    let theirs = read(&world.data.join("sandbox").join(file));
    let text = |name: &str| theirs[name].as_str().expect("text");
    let mut sealed = body.to_string().into_bytes();
    let key = UnboundKey::new(&AES_256_GCM, text("apiv3_key").as_bytes()).expect("32 bytes");
    LessSafeKey::new(key)
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(*b"0123456789ab"),
            Aad::from(b"mch_payment"),
            &mut sealed,
        )
        .expect("sealed");
    let envelope = json!({
        "id": "EV-forged", "event_type": "MCHTRANSFER.BILL.FINISHED",
        "resource": {
            "algorithm": "AEAD_AES_256_GCM", "original_type": "mch_payment",
            "associated_data": "mch_payment", "nonce": "0123456789ab",
            "ciphertext": STANDARD.encode(sealed),
        },
    })
    .to_string();
    let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
    let seconds = since.as_secs().to_string();
    let message = format!("{seconds}\nNONCE\n{envelope}\n");
    let key = pem::parse(text("public_key_private_pem")).expect("PEM");
    let key = RsaKeyPair::from_pkcs8(key.contents()).expect("a key");
    let mut signature = vec![0; key.public_modulus_len()];
    let dice = SystemRandom::new();
    key.sign(&RSA_PKCS1_SHA256, &dice, message.as_bytes(), &mut signature)
        .expect("signed");
    let signature = STANDARD.encode(signature);
    let headers = [
        ("content-type", "application/json"),
        ("wechatpay-serial", text("public_key_id")),
        ("wechatpay-timestamp", &seconds),
        ("wechatpay-nonce", "NONCE"),
        ("wechatpay-signature", &signature),
    ];
    let url = format!("{url}/hooks/wechat/transfer");
    let answer = ask("POST", &url, &headers, &envelope).await;
    let (status, answer, _) = answer.expect("it answers");
    (status, answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_splits_by_weight_quota_and_app_and_each_bill_is_reconciled_on_its_own() {
    let quota = "weight = 3\nday_quota_fen = 500\n";
    let world = World::start(100_000, quota, "weight = 1\n").await;
    let platform = world.serve();
    for no in 0..40 {
        platform.user(&format!("u{no}"), None, 100).await;
    }
    let own = world.accounts[1]["appid"].clone();
    platform.user("second", Some(&own), 100).await;
    let path = "/v1/users/second/link?app=wx0000000000000000";
    let (status, refused) = platform.call("POST", path, &Value::Null).await;
    assert_eq!(
        (status, &refused["code"]),
        (422, &json!("app_not_configured"))
    );
    for no in 0..40 {
        platform.withdraw(&format!("u{no}"), 100).await;
    }
    platform.withdraw("second", 100).await;
    platform.paid(41).await;
    let (first, second) = (world.paid_fen(1).await, world.paid_fen(2).await);
    assert_eq!((first, second), (500, 3_600), "the first up to its quota");
    let transfers = world.see("transfers?limit=100").await;
    let transfers = transfers["data"].as_array().expect("a list").clone();
    let by_own_app = |transfer: &&Value| transfer["appid"] == own;
    let payers: Vec<&Value> = transfers
        .iter()
        .filter(by_own_app)
        .map(|t| &t["mch_id"])
        .collect();
    assert_eq!(
        payers,
        [world.mchid(2)],
        "the app of the link decides who may pay"
    );

    platform.server.kill();
    world
        .tell("clock", &json!({ "advance_seconds": 2 * DAY_S }))
        .await;
    let day = world.sql("SELECT DISTINCT paid_on AS day FROM payouts WHERE state = 'paid'");
    let day = day[0]["day"].as_str().expect("a day").to_owned();
    let one = ["reconcile", "--date", &day, "--merchant", world.mchid(1)];
    let found = said(&world.data, &one);
    assert_eq!(
        (&found["paid"], &found["checked"]),
        (&json!(5), &json!(5)),
        "{found:#}"
    );
    assert_eq!(found["open_breaks"], 0);
    let bills = world.sql("SELECT merchant_no, lines FROM bills");
    assert_eq!(
        bills.len(),
        1,
        "the other one's day is not closed by it: {bills:?}"
    );
    let passed = said(&world.data, &["pass", "reconcile", "--once"]);
    assert_eq!(passed["sound"], true, "{passed:#}");
    let both = said(&world.data, &["reconcile", "--date", &day]);
    assert_eq!(
        both["known_before"], both["lines"],
        "a second run changes nothing"
    );
    let checked = both["merchants"].as_array().expect("each").iter();
    let checked: Vec<&Value> = checked.map(|bill| &bill["checked"]).collect();
    assert_eq!(checked, [&json!(5), &json!(36)]);
    let audit = said(&world.data, &["audit"]);
    assert_eq!(audit["sound"], true, "{audit:#}");
    independent_audit(&world.data);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_account_stops_its_merchant_only_and_a_top_up_cures_it() {
    let world = World::start(150, "", "").await;
    let platform = world.serve();
    for no in 0..24 {
        platform.user(&format!("u{no}"), None, 100).await;
        platform.withdraw(&format!("u{no}"), 100).await;
    }
    // What the second merchant was told to pay waits for its money; the first pays the rest.
    let mut waits = 0;
    until("all are paid or wait for money", async || {
        let (_, summary) = platform.call("GET", "/v1/summary", &Value::Null).await;
        waits = in_states(&summary, &["deferred"]);
        let done = in_states(&summary, &["paid"]) + waits;
        (waits == 0 || done < 24).then(|| summary["payouts"].to_string())
    })
    .await;
    assert_eq!(
        world.paid_fen(2).await,
        100,
        "that is all it had for whole payouts"
    );
    let first = 2_300 - 100 * i64::try_from(waits).expect("few");
    assert_eq!(world.paid_fen(1).await, first);
    let (_, stops) = platform.call("GET", "/v1/stops", &Value::Null).await;
    let text = stops.to_string();
    assert!(
        text.contains(&format!("merchant:{}", world.mchid(2))),
        "{text}"
    );
    assert!(
        !text.contains(&format!("merchant:{}", world.mchid(1))),
        "{text}"
    );
    assert!(!text.contains("\"all\""), "{text}");
    platform.user("late", None, 100).await;
    platform.withdraw("late", 100).await;
    platform.paid(25 - waits).await;
    assert_eq!(
        world.paid_fen(1).await,
        first + 100,
        "the other one goes on"
    );
    let money = json!({ "amount_fen": 10_000, "mchid": world.mchid(2) });
    world.tell("top-up", &money).await;
    platform.server.kill();
    world
        .tell("clock", &json!({ "advance_seconds": 900 }))
        .await;
    let platform = world.serve();
    platform.paid(25).await;
    let second = 2_400 - first;
    assert_eq!(
        (world.paid_fen(1).await, world.paid_fen(2).await),
        (first + 100, second)
    );
    let (_, stops) = platform.call("GET", "/v1/stops", &Value::Null).await;
    assert!(!stops.to_string().contains("merchant:"), "lifted: {stops}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_merchants_wechat_cannot_speak_about_anothers_payout() {
    let world = World::start(100_000, "weight = 1\n", "weight = 0\n").await;
    world.tell("robot", &robot(0)).await;
    let platform = world.serve();
    platform.user("alice", None, 100).await;
    platform.withdraw("alice", 100).await;
    let mut waits = Value::Null;
    until("it waits for its user", async || {
        let path = "/v1/payouts?state=awaiting_user";
        let (_, payouts) = platform.call("GET", path, &Value::Null).await;
        waits = payouts["data"][0].clone();
        waits.is_null().then(|| payouts.to_string())
    })
    .await;
    let transfers = world.see("transfers").await;
    let mut body = transfers["data"][0].clone();
    assert_eq!(body["mch_id"], json!(world.mchid(1)));
    body["state"] = json!("FAIL");
    body["fail_reason"] = json!("MCH_CANCEL");
    let payout = waits["id"].as_str().expect("an id").to_owned();
    let story = || said(&world.data, &["explain", &payout]);
    let before = story();
    let url = platform.server.url.clone();
    let (status, refused) = notify(&world, 2, &url, &body).await;
    assert_eq!(
        (status, &refused["message"]),
        (401, &json!("merchant_mismatch"))
    );
    for named in [json!(world.mchid(2)), Value::Null] {
        body["mch_id"] = named;
        // It is rightly the second one's word, and not about anything of the second one's.
        let (status, taken) = notify(&world, 2, &url, &body).await;
        assert_eq!(status, 200, "{taken}");
    }
    assert_eq!(story()["payout"], before["payout"], "nothing changed");
    assert_eq!(story()["history"], before["history"]);
    assert_eq!(said(&world.data, &["stops"]), json!([]));
    // The first one's own word counts.
    body["mch_id"] = json!(world.mchid(1));
    body["state"] = json!("SUCCESS");
    let confirm = format!(
        "transfers/{}/confirm",
        body["out_bill_no"].as_str().expect("text")
    );
    world.tell(&confirm, &Value::Null).await;
    platform.paid(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchant_that_is_taken_out_begins_nothing_and_what_it_began_is_safe() {
    let world = World::start(100_000, "", "").await;
    world.tell("robot", &robot(0)).await;
    let blind = json!({ "per_mille": { "error_after": 1000 } });
    world.tell("faults", &blind).await;
    let platform = world.serve();
    for no in 0..12 {
        platform.user(&format!("u{no}"), None, 100).await;
        platform.withdraw(&format!("u{no}"), 100).await;
    }
    until("all are in doubt", async || {
        let (_, summary) = platform.call("GET", "/v1/summary", &Value::Null).await;
        let sent = ["unknown", "processing", "awaiting_user"];
        (in_states(&summary, &sent) < 12).then(|| summary["payouts"].to_string())
    })
    .await;
    platform.server.kill();
    let config = entry(1, &[&world.accounts[0]["appid"]], "");
    std::fs::write(world.data.join("lingqian.toml"), config).expect("written");
    world.tell("faults", &json!({})).await;
    world.tell("robot", &robot(1_000)).await;
    let platform = world.serve();
    platform.user("later", None, 100).await;
    platform.withdraw("later", 100).await;
    let firsts = world.sql("SELECT mchid, weight FROM merchants ORDER BY merchant_no");
    let weights: BTreeMap<&str, &Value> = firsts
        .iter()
        .map(|row| (row["mchid"].as_str().expect("text"), &row["weight"]))
        .collect();
    assert_eq!(weights[world.mchid(2)], &json!(0), "{firsts:?}");
    platform.paid(1).await;
    let ended = world.sql(
        "SELECT count(*) AS count FROM payouts WHERE state IN ('failed', 'expired', 'cancelled')",
    );
    assert_eq!(
        ended[0]["count"], 0,
        "nothing of the other one became failed"
    );
    let spent = world.paid_fen(1).await + world.paid_fen(2).await;
    assert!(spent <= 1_300, "nobody was paid twice: {spent}");
}

/// Two merchants whose files are all that is said of them.
const TWO: &str = "[[merchants]]\nno = 1\ncredentials = \"merchant-1\"\n\
                   [[merchants]]\nno = 2\ncredentials = \"merchant-2\"\n";

#[test]
fn a_configuration_that_cannot_work_says_which_merchant_and_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    for no in ["1", "2"] {
        let out = data.join(format!("merchant-{no}"));
        std::fs::create_dir_all(&data).expect("made");
        std::fs::write(data.join("lingqian.toml"), "").expect("written");
        let out = out.to_str().expect("plain");
        said(
            &data,
            &["sandbox", "credentials", "--merchant", no, "--out", out],
        );
    }
    let mchid = |no: usize| {
        let file = data.join(format!("merchant-{no}/credentials.json"));
        read(&file)["mchid"].as_str().expect("text").to_owned()
    };
    let two = TWO;
    let refused = |config: &str| {
        std::fs::write(data.join("lingqian.toml"), config).expect("written");
        let output = run(&data, &["pass", "assess", "--once"]);
        assert_eq!(output.status.code(), Some(1), "{config}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let unknown_app = "apps = [\"wx0123456789abcdef\"]\n";
    let cases = [
        (
            format!("{two}{unknown_app}"),
            "the app wx0123456789abcdef is not known here: name its secret in [[apps]]".to_owned(),
        ),
        (
            two.replace("merchant-2", "merchant-1"),
            format!("two have the mchid {}", mchid(1)),
        ),
        (
            format!("{two}mchid = \"1900000001\"\n"),
            format!("its credentials.json is that of merchant {}", mchid(2)),
        ),
        (
            format!("{two}apiv3_key = \"env:NOT_SET_ANYWHERE\"\n"),
            "the variable NOT_SET_ANYWHERE is not set in the environment".to_owned(),
        ),
        (
            format!("{two}key = \"file:merchant-9/apiclient_key.pem\"\n"),
            "merchant-9/apiclient_key.pem".to_owned(),
        ),
        (
            format!("{two}serial = \"12\"\n"),
            "serial must be the 40".to_owned(),
        ),
        (
            two.replace("merchant-2", "merchant-3"),
            "cannot read".to_owned(),
        ),
        (
            two.replace("no = 2", "no = 1"),
            "two have the no, 1 twice".to_owned(),
        ),
    ];
    for (config, words) in cases {
        let error = refused(&config);
        assert!(error.contains(&words), "{config}: {error}");
    }
    std::fs::write(data.join("lingqian.toml"), two).expect("written");
    let done = said(&data, &["pass", "assess", "--once"]);
    assert_eq!(done["taken"], 0, "two merchants are well: {done:#}");
    // The number of a merchant's accounts is for ever.
    let swapped = two
        .replace("merchant-1", "x")
        .replace("merchant-2", "merchant-1");
    let error = refused(&swapped.replace("\"x\"", "\"merchant-2\""));
    assert!(error.contains("contradicts the books"), "{error}");
}
