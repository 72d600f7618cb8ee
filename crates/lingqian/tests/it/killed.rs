//! `kill -9` at any moment loses nothing that was acknowledged and pays nobody twice.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{Running, ask, independent_audit, json, lingqian, run, until};

/// Lines of events, each worth ten fen, spread over users.
fn events(count: usize, users: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        let user = number % users;
        let _ = writeln!(
            text,
            r#"{{"source":"test","event_id":"e{number}","user":"u{user}","kind":"task_done","amount_fen":10}}"#
        );
    }
    text
}

fn audited(data: &Path) -> Value {
    let audit = json(data, &["audit"]);
    assert_eq!(audit["sound"], true, "{audit:#}");
    independent_audit(data);
    audit
}

#[test]
fn an_import_that_was_killed_again_and_again_credits_every_line_once() {
    const LINES: usize = 30_000;
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let file = dir.path().join("events.ndjson");
    std::fs::write(&file, events(LINES, 50)).expect("written");
    let file = file.to_str().expect("a plain path");
    // A first command makes the directory.
    assert!(run(&data, &["keys", "list"]).status.success());
    let mut before = 0;
    for wait in [150, 350, 550, 750] {
        let mut child = lingqian(&data, &["import", file, "--register"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("it starts");
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().expect("killed");
        child.wait().expect("gone");
        let kept = audited(&data)["earnings"].as_u64().expect("a number");
        assert!(kept >= before, "what was kept is kept");
        before = kept;
    }
    let last = json(&data, &["import", file, "--register"]);
    let counts = &last["counts"];
    let number = |name: &str| counts[name].as_u64().expect("a number");
    assert_eq!(number("read"), LINES as u64);
    assert_eq!(number("credited") + number("duplicates"), LINES as u64);
    assert_eq!(
        number("duplicates"),
        before,
        "what was kept is not credited again"
    );
    assert_eq!(audited(&data)["earnings"], LINES);
}

pub(crate) struct World {
    sandbox: Running,
    platform: Option<Running>,
    pub(crate) data: std::path::PathBuf,
    key: String,
    _dir: tempfile::TempDir,
}

impl World {
    async fn start() -> World {
        World::beside(&[]).await
    }

    /// The same beside a sandbox with more options.
    pub(crate) async fn beside(more: &[&str]) -> World {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        assert!(run(&data, &["keys", "list"]).status.success());
        let listen = ["sandbox", "--listen", "127.0.0.1:0"];
        let sandbox = Running::start(&data, &[&listen[..], more].concat());
        let platform = Running::start(&data, &["serve", "--listen", "127.0.0.1:0"]);
        let key = std::fs::read_to_string(data.join("api-key")).expect("the key is there");
        let key = format!("Bearer {}", key.trim());
        World {
            sandbox,
            platform: Some(platform),
            data,
            key,
            _dir: dir,
        }
    }

    pub(crate) fn url(&self) -> &str {
        self.platform
            .as_ref()
            .map_or("", |platform| platform.url.as_str())
    }

    fn kill(&mut self) {
        self.platform.take().expect("it runs").kill();
    }

    /// At the same address, because notifications are sent to it.
    fn restart(&mut self, address: &str) {
        assert!(self.platform.is_none());
        self.platform = Some(Running::start(&self.data, &["serve", "--listen", address]));
    }

    pub(crate) async fn api(&self, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
        let kind = if path == "/v1/events" {
            "application/x-ndjson"
        } else {
            "application/json"
        };
        let headers = [("authorization", self.key.as_str()), ("content-type", kind)];
        let url = format!("{}{path}", self.url());
        ask(method, &url, &headers, body)
            .await
            .map(|(status, value, _)| (status, value))
    }

    pub(crate) async fn withdraw(&self, key: &str, body: &str) -> Option<(u16, Value)> {
        let headers = [
            ("authorization", self.key.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        let url = format!("{}/v1/withdrawals", self.url());
        let answer = ask("POST", &url, &headers, body).await;
        answer.map(|(status, value, _)| (status, value))
    }

    pub(crate) async fn sandbox(&self, method: &str, path: &str, body: &str) -> Value {
        let url = format!("{}/_sandbox/{path}", self.sandbox.url);
        let headers = [("content-type", "application/json")];
        let (status, value, _) = ask(method, &url, &headers, body).await.expect("it answers");
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    pub(crate) async fn linked_user(&self, user: &str) {
        let body = json!({ "id": user }).to_string();
        let (status, _) = self.api("POST", "/v1/users", &body).await.expect("answers");
        assert_eq!(status, 201);
        let (_, begun) = self
            .api("POST", &format!("/v1/users/{user}/link"), "")
            .await
            .expect("answers");
        let page = begun["authorize_url"]
            .as_str()
            .expect("a page")
            .split('#')
            .next();
        let page = format!("{}&sandbox_user={user}", page.expect("a page"));
        let (_, _, callback) = ask("GET", &page, &[], "").await.expect("answers");
        let callback = callback.expect("it leads back");
        let (status, page, _) = ask("GET", &callback, &[], "").await.expect("answers");
        assert_eq!(status, 200, "{page}");
    }

    /// What was paid and is on no bill yet, as text.
    async fn unbilled(&self) -> Option<String> {
        let Some((200, summary)) = self.api("GET", "/v1/summary", "").await else {
            return Some("no answer".into());
        };
        let accounts = summary["accounts"].as_array().expect("a list").clone();
        let mut clearing = accounts.iter().filter(|account| {
            let name = account["account"].as_str().unwrap_or("");
            name.starts_with("wechat:clearing")
        });
        let clear = clearing.all(|account| account["balance_micros"] == 0);
        (!clear).then(|| summary.to_string())
    }

    /// What is under way, as text; a user who was asked and will not answer is let be if
    /// `waits` says so.
    async fn open_payouts(&self, waits: &[&str]) -> Option<String> {
        let Some((200, summary)) = self.api("GET", "/v1/summary", "").await else {
            return Some("no answer".into());
        };
        let states = summary["payouts"].as_array().expect("a list");
        let ended = ["paid", "failed", "expired", "cancelled", "refused"];
        let mut open = states
            .iter()
            .map(|state| state["state"].as_str().unwrap_or(""));
        let open = open.find(|state| !ended.contains(state) && !waits.contains(state))?;
        let (_, list) = self
            .api("GET", &format!("/v1/payouts?state={open}"), "")
            .await?;
        let first = list["data"][0]["id"].as_str().unwrap_or("").to_owned();
        let (_, story) = self.api("GET", &format!("/v1/payouts/{first}"), "").await?;
        Some(format!("{summary:#}\n{story:#}"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_were_acknowledged_over_http_survive_a_kill() {
    let mut world = World::start().await;
    let address = world.url().trim_start_matches("http://").to_owned();
    for user in 0..5 {
        let body = json!({ "id": format!("u{user}") }).to_string();
        assert_eq!(
            world
                .api("POST", "/v1/users", &body)
                .await
                .expect("answers")
                .0,
            201
        );
    }
    let lines: Vec<String> = events(3_000, 5).lines().map(str::to_owned).collect();
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let part: Vec<&[String]> = lines.chunks(100).skip(round * 10).take(10).collect();
        let sends = async {
            for batch in part {
                let sent = world
                    .api("POST", "/v1/events", &(batch.join("\n") + "\n"))
                    .await;
                // A connection that broke acknowledged nothing.
                if sent.is_some_and(|(status, _)| status == 200) {
                    acknowledged.extend(batch.iter().cloned());
                }
            }
        };
        let wait = Duration::from_millis(40 + 60 * round as u64);
        let _ = tokio::time::timeout(wait, sends).await;
        world.kill();
        world.restart(&address);
    }
    assert!(
        !acknowledged.is_empty(),
        "something was acknowledged before a kill"
    );
    for batch in acknowledged.chunks(500) {
        let (status, again) = world
            .api("POST", "/v1/events", &(batch.join("\n") + "\n"))
            .await
            .expect("answers");
        assert_eq!(status, 200);
        let text = again.as_str().expect("lines");
        let summary = text.lines().last().expect("a summary");
        let summary: Value = serde_json::from_str(summary).expect("JSON");
        assert_eq!(
            summary["summary"]["duplicates"],
            batch.len(),
            "nothing acknowledged is lost"
        );
    }
    world.kill();
    audited(&world.data);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payouts_survive_kills_and_lost_answers_and_nobody_is_paid_twice() {
    const USERS: usize = 40;
    let mut world = World::start().await;
    let address = world.url().trim_start_matches("http://").to_owned();
    for user in 0..USERS {
        world.linked_user(&format!("u{user}")).await;
    }
    let robot = r#"{"confirm_per_mille":900,"refuse_per_mille":50,"delay_ms":30,"seed":7}"#;
    world.sandbox("POST", "robot", robot).await;
    let faults = json!({ "per_mille": {
        "answer_lost": 150, "error_after": 100, "error_before": 100, "too_fast": 50,
        "unknown_key": 100, "notice_twice": 200, "notice_never": 200, "notice_probe": 200,
    } });
    world.sandbox("POST", "faults", &faults.to_string()).await;
    let (status, _) = world
        .api("POST", "/v1/events", &events(USERS * 30, USERS))
        .await
        .expect("answers");
    assert_eq!(status, 200);
    // Three fen amounts, so each user has three payouts under way.
    for round in 0..3 {
        for user in 0..USERS {
            let (user, reference) = (format!("u{user}"), format!("r{round}-{user}"));
            let wanted = json!({ "user": user, "amount_fen": 100, "reference": reference });
            let asked = world.withdraw(&reference, &wanted.to_string()).await;
            assert_eq!(asked.expect("answers").0, 201, "{wanted}");
            if user.ends_with('9') {
                world.kill();
                world.restart(&address);
            }
        }
    }
    world.sandbox("POST", "faults", "{}").await;
    // Days pass: what was lost is asked about, what nobody confirmed expires, bills are made.
    for _ in 0..3 {
        world.kill();
        let day = r#"{"advance_seconds":104400}"#;
        world.sandbox("POST", "clock", day).await;
        world.restart(&address);
        let waits = ["awaiting_user"];
        until("everything was sent", async || {
            world.open_payouts(&waits).await
        })
        .await;
    }
    until("every payout ended", async || world.open_payouts(&[]).await).await;
    // What was paid last is on the bill of a day that must be over.
    world.kill();
    let days = r#"{"advance_seconds":208800}"#;
    world.sandbox("POST", "clock", days).await;
    world.restart(&address);
    until("every payout was seen on a bill", async || {
        world.unbilled().await
    })
    .await;
    let (_, summary) = world.api("GET", "/v1/summary", "").await.expect("answers");
    check_money(&world, &summary, USERS as i64 * 3).await;
    world.kill();
    audited(&world.data);
}

/// Our books, the sandbox's own books and the bills say the same.
async fn check_money(world: &World, summary: &Value, payouts: i64) {
    let states = summary["payouts"].as_array().expect("a list");
    let count: i64 = states
        .iter()
        .map(|state| state["count"].as_i64().unwrap_or(0))
        .sum();
    assert_eq!(count, payouts, "{summary:#}");
    let paid = states
        .iter()
        .find(|state| state["state"] == "paid")
        .expect("some were paid");
    let books = world.sandbox("GET", "books", "").await;
    assert_eq!(
        paid["amount_fen"], books["paid_fen"],
        "{summary:#}\n{books:#}"
    );
    assert!(
        paid["count"].as_i64().unwrap_or(0) > payouts / 2,
        "most confirm: {summary:#}"
    );
    let everybody = books["paid_per_openid_fen"].as_object().expect("a map");
    assert!(
        everybody
            .values()
            .all(|fen| fen.as_i64().is_some_and(|fen| fen <= 300)),
        "{books:#}"
    );
    let accounts = summary["accounts"].as_array().expect("a list");
    let clearing = accounts
        .iter()
        .find(|account| account["account"] == "wechat:clearing:1");
    assert_eq!(
        clearing.expect("it moved")["balance_micros"],
        0,
        "{summary:#}"
    );
    assert_eq!(summary["open_breaks"], 0, "{summary:#}");
}
