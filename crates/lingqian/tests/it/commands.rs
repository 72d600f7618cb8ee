//! Commands that are asked for something wrong say what, and change nothing.

use std::net::TcpListener;
use std::path::Path;

use crate::process::{Running, json, run};

fn refused(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    assert!(!output.status.success(), "{arguments:?} should be refused");
    assert!(output.stdout.is_empty(), "{arguments:?} prints no result");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn wrong_questions_are_answered_with_what_is_wrong() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    assert!(refused(&data, &["audit"]).contains("is not a data directory"));
    assert!(run(&data, &["keys", "list"]).status.success());
    let cases: [(&[&str], &str); 9] = [
        (&["import", "no-such-file"], "cannot read no-such-file"),
        (
            &["payouts", "--state", "gone"],
            "gone is not a state; the states are requested",
        ),
        (&["payouts", "--user", "a b"], "--user is not a user id"),
        (&["explain", "po_1"], "po_1 is neither a payout"),
        (
            &["explain", "po_01J00000000000000000000000"],
            "there is no po_01J0",
        ),
        (
            &["reconcile", "--date", "2026-02-30"],
            "2026-02-30 is not a day",
        ),
        (
            &["keys", "new", "--scope", "money:print"],
            "money:print is not a scope",
        ),
        (&["keys", "revoke", "nobody"], "there is no key nobody"),
        (
            &["withdraw", "--user", "nobody", "--all", "--reference", "r1"],
            "refused (unknown_user), nothing changed",
        ),
    ];
    for (arguments, words) in cases {
        let said = refused(&data, arguments);
        assert!(said.contains(words), "{arguments:?} said: {said}");
    }
}

#[test]
fn an_import_names_line_field_and_code_and_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    assert!(run(&data, &["keys", "list"]).status.success());
    let event = |id: &str, rest: &str| {
        format!(r#"{{"source":"a","event_id":"{id}","user":"u1","kind":"ad_view",{rest}}}"#)
    };
    let long = "x".repeat(65);
    let lines = [
        event("e1", r#""amount_micros":2500"#),
        event("e2", r#""amount_micros":-1"#),
        event("e3", r#""amount_micros":1.5"#),
        event(&long, r#""amount_micros":1"#),
        event("e1", r#""amount_micros":2501"#),
        event("e4", r#""amount_micros":7"#),
    ];
    let file = dir.path().join("events");
    std::fs::write(&file, lines.join("\n")).expect("written");
    let done = json(
        &data,
        &["import", file.to_str().expect("plain"), "--register"],
    );
    assert_eq!(done["counts"]["credited"], 2, "{done:#}");
    let refused: Vec<(&str, &str, &str)> = done["refused"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|line| {
            let word = |name: &str| line[name].as_str().unwrap_or("");
            (word("position"), word("code"), word("field"))
        })
        .collect();
    let expected = [
        ("line 2", "amount_not_positive", "amount"),
        ("line 3", "amount_not_integer", "amount_micros"),
        ("line 4", "malformed", "event_id"),
        ("line 5", "event_conflict", "event_id"),
    ];
    assert_eq!(refused, expected);
}

#[test]
fn a_server_starts_although_somebody_silent_is_where_the_sandbox_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    assert!(run(&data, &["keys", "list"]).status.success());
    let silent = TcpListener::bind("127.0.0.1:0").expect("listens");
    let address = format!("http://{}\n", silent.local_addr().expect("bound"));
    std::fs::create_dir_all(data.join("sandbox")).expect("a directory");
    std::fs::write(data.join("sandbox/address"), address).expect("writes");
    let server = Running::start(&data, &["serve", "--listen", "127.0.0.1:0"]);
    assert!(server.url.starts_with("http://127.0.0.1:"));
}
