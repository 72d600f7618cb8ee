//! What people do by hand at the command line, and what they are told needs them.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Running, ask, json, run};

/// Books with linked users, one of whom has ten yuan, beside a sandbox.
struct World {
    data: PathBuf,
    user: String,
    sandbox: Running,
    dir: TempDir,
}

impl World {
    fn start() -> World {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        let made = ["--users", "10", "--events-count", "300", "--seed", "3"];
        let lived = run(&data, &[&["quickstart", "--exit"], &made[..]].concat());
        assert!(lived.status.success(), "{lived:?}");
        let linked = json(&data, &["sql", "-c", "SELECT user_id FROM links LIMIT 1"]);
        let user = linked[0]["user_id"].as_str().expect("a user").to_owned();
        let sandbox = Running::start(&data, &["sandbox", "--listen", "127.0.0.1:0"]);
        let event = format!(
            r#"{{"source":"a","event_id":"e","user":"{user}","kind":"commission","amount_fen":1000}}"#
        );
        let file = dir.path().join("events");
        std::fs::write(&file, event).expect("written");
        let done = json(&data, &["import", file.to_str().expect("plain")]);
        assert_eq!(done["counts"]["credited"], 1, "{done:#}");
        World {
            data,
            user,
            sandbox,
            dir,
        }
    }

    fn withdraw(&self, reference: &str) -> String {
        let wanted = ["--amount-fen", "100", "--reference", reference];
        let user = ["withdraw", "--user", &self.user];
        let held = json(&self.data, &[&user[..], &wanted[..]].concat());
        held["payout"].as_str().expect("a payout").to_owned()
    }

    /// One pass, and how many it took on.
    fn pass(&self, name: &str) -> Value {
        json(&self.data, &["pass", name, "--once"])["taken"].clone()
    }

    async fn tell_sandbox(&self, path: &str, body: &str) {
        let url = format!("{}/_sandbox/{path}", self.sandbox.url);
        let headers = [("content-type", "application/json")];
        let answer = ask("POST", &url, &headers, body).await;
        assert_eq!(answer.expect("it answers").0, 200);
    }

    fn state(&self, payout: &str) -> Value {
        json(&self.data, &["explain", payout])["payout"]["state"].clone()
    }
}

/// What a command that must be refused says.
fn refused(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?} prints no result");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What needs a person; the exit code says whether anything does.
fn cases(data: &Path) -> Value {
    let output = run(data, &["cases", "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let some = found.as_array().is_some_and(|found| !found.is_empty());
    assert_eq!(output.status.code(), Some(if some { 3 } else { 0 }));
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payout_in_doubt_is_a_case_by_the_day_of_the_sandbox_and_ends_only_with_proof() {
    let world = World::start();
    let payout = world.withdraw("r1");
    world
        .tell_sandbox("faults", r#"{"per_mille":{"error_before":1000}}"#)
        .await;
    assert_eq!(world.pass("assess"), 1);
    assert_eq!(world.pass("dispatch"), 1);
    assert_eq!(world.state(&payout), "unknown");
    assert_eq!(cases(&world.data), Value::Array(Vec::new()));

    let days = 4 * 86_400;
    let ahead = format!(r#"{{"advance_seconds":{days}}}"#);
    world.tell_sandbox("clock", &ahead).await;
    let found = cases(&world.data);
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found:#}");
    assert_eq!(
        (&found[0]["kind"], &found[0]["subject"]),
        (&"in_doubt".into(), &payout.as_str().into())
    );
    let why = |act| ["payout", act, payout.as_str(), "--reason", "a try"];
    for (act, code) in [
        ("resend", "resend_too_late"),
        ("mark-paid", "no_proof"),
        ("mark-unpaid", "no_proof"),
        ("approve", "wrong_state"),
    ] {
        let said = refused(&world.data, &why(act));
        assert!(said.contains(&format!("refused ({code})")), "{act}: {said}");
    }
    assert_eq!(world.state(&payout), "unknown");
    assert_eq!(json(&world.data, &["deeds"]), Value::Array(Vec::new()));
}

#[test]
fn what_is_stopped_waits_and_who_stopped_it_is_on_record() {
    let world = World::start();
    let data = &world.data;
    let payout = world.withdraw("r1");
    let stop = ["stop", "--reason", "an alarm", "--actor", "li"];
    for _ in 0..2 {
        json(data, &stop);
    }
    let stops = json(data, &["stops"]);
    assert_eq!(stops.as_array().map(Vec::len), Some(1), "{stops:#}");
    assert_eq!(
        (&stops[0]["scope"], &stops[0]["actor"]),
        (&"all".into(), &"cli:li".into())
    );
    assert_eq!(world.pass("assess"), 1);
    world.pass("dispatch");
    assert_eq!(world.state(&payout), "approved");
    let refuse = ["payout", "refuse", &payout, "--reason", "a false alarm"];
    let told = json(data, &[&refuse[..], &["--actor", "wang"]].concat());
    assert_eq!(told["state"], "refused");
    assert!(refused(data, &refuse).contains("refused (wrong_state)"));
    json(data, &["resume", "all", "--reason", "all is well"]);
    assert_eq!(json(data, &["stops"]), Value::Array(Vec::new()));
    let deeds = json(data, &["deeds"]);
    let deeds = deeds.as_array().expect("a list").iter();
    let words: Vec<_> = deeds.map(|deed| deed["what"].clone()).collect();
    assert_eq!(words, ["lift", "refuse", "stop"]);
    let own = json(data, &["deeds", "--subject", &payout]);
    assert_eq!(
        (&own[0]["actor"], &own[0]["after"]),
        (&"cli:wang".into(), &"refused".into())
    );
}

#[test]
fn wrong_acts_say_what_is_wrong_and_change_nothing() {
    let world = World::start();
    let data = &world.data;
    let long = "x".repeat(401);
    let cases: [(&[&str], &str); 6] = [
        (&["stop", "moon", "--reason", "x"], "moon is not a scope"),
        (
            &["stop", "merchant:1", "--reason", "x"],
            "refused (unknown_merchant)",
        ),
        (&["stop", "--reason", &long], "--reason must have 1 to 400"),
        (
            &["stop", "--reason", "x", "--actor", "a b"],
            "is not a name for the record",
        ),
        (
            &["resume", "all", "--cause", "whim", "--reason", "x"],
            "whim is not person, float or audit",
        ),
        (
            &["payout", "approve", "po_1", "--reason", "x"],
            "po_1 is neither a payout",
        ),
    ];
    for (arguments, words) in cases {
        let said = refused(data, arguments);
        assert!(said.contains(words), "{arguments:?} said: {said}");
    }
    assert_eq!(json(data, &["deeds"]), Value::Array(Vec::new()));
    assert_eq!(json(data, &["stops"]), Value::Array(Vec::new()));
    assert!(world.dir.path().exists());
}

#[test]
fn a_command_beside_a_server_goes_through_its_door_under_its_key() {
    let world = World::start();
    let data = &world.data;
    let server = Running::start(data, &["serve", "--listen", "127.0.0.1:0"]);
    json(data, &["stop", "--reason", "beside a server"]);
    let stops = json(data, &["stops"]);
    let actor = stops[0]["actor"].as_str().expect("an actor");
    let key = std::fs::read_to_string(data.join("api-key")).expect("a key");
    let id = key.split('_').nth(1).expect("its public part");
    assert_eq!(actor, format!("key:{id}"));
    let twice = json(data, &["resume", "all", "--reason", "done"]);
    assert_eq!(twice["stopped"], false);
    server.kill();
}
