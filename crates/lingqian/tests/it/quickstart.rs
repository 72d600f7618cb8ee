//! The quickstart: from nothing to a reconciled bill, and again in the same directory.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::process::{independent_audit, json, lingqian, run};

fn quickstart(data: &Path, arguments: &[&str]) -> Value {
    let report = data.with_extension("report.json");
    let path = report.to_str().expect("a plain path");
    let output = run(
        data,
        &[&["quickstart", "--exit", "--report", path], arguments].concat(),
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("Nothing was lost"), "{text}");
    independent_audit(data);
    serde_json::from_slice(&std::fs::read(report).expect("written")).expect("JSON")
}

fn check(report: &Value) {
    assert_eq!(report["clearing_micros"], 0, "{report:#}");
    assert_eq!(report["open_breaks"], 0, "{report:#}");
    assert_eq!(report["audit"]["sound"], true, "{report:#}");
    assert_eq!(report["paid_fen"], report["sandbox_paid_fen"], "{report:#}");
    let events = &report["events"];
    let number = |name: &str| events[name].as_u64().expect("a number");
    let parts = number("credited") + number("duplicates") + number("rejected");
    assert_eq!(
        number("read"),
        parts,
        "every line has one result: {report:#}"
    );
}

/// The same path over each of the other rails: paid once, and every line of the bill explained.
#[test]
fn money_goes_over_every_rail_to_a_reconciled_bill() {
    for rail in [
        "\"enterprise\"",
        "[\"batch\", \"transfer\"]",
        "\"authorized\"",
        "\"red_packet\"",
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        std::fs::create_dir(&data).expect("made");
        let config = format!("[merchant]\nrail = {rail}\n");
        std::fs::write(data.join("lingqian.toml"), config).expect("written");
        let made = ["--users", "30", "--events-count", "3000", "--seed", "5"];
        let report = quickstart(&data, &made);
        check(&report);
        let paid = report["paid_fen"].as_i64();
        assert!(paid.is_some_and(|fen| fen > 1_000), "{rail}: {report:#}");
    }
}

#[test]
fn money_goes_from_events_to_wallets_to_a_reconciled_bill_and_again_the_next_day() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let made = ["--users", "60", "--events-count", "6000", "--seed", "5"];
    let first = quickstart(&data, &made);
    check(&first);
    assert_eq!(first["events"]["read"], 6_000);
    assert!(
        first["paid_fen"].as_i64().is_some_and(|fen| fen > 1_000),
        "{first:#}"
    );
    assert!(
        first["events"]["duplicates"]
            .as_u64()
            .is_some_and(|count| count > 20)
    );
    assert!(
        first["events"]["rejected_by_code"]["event_conflict"].is_u64(),
        "{first:#}"
    );

    // The same events again credit nothing. What came back unpaid is paid a day later.
    let second = quickstart(&data, &made);
    check(&second);
    assert_eq!(second["events"]["credited"], 0, "{second:#}");
    let conflicts = |report: &Value| report["events"]["rejected_by_code"]["event_conflict"].clone();
    assert_eq!(
        conflicts(&second),
        conflicts(&first),
        "the same events are the same: {second:#}"
    );
    let number = |report: &Value, name: &str| report[name].as_i64().expect("a number");
    assert!(
        number(&second, "paid_fen") >= number(&first, "paid_fen"),
        "{second:#}"
    );
    let credited = first["events"]["credited_micros"]
        .as_i64()
        .expect("a number");
    assert!(
        number(&second, "paid_fen") * 10_000 <= credited,
        "{second:#}"
    );

    let paid = json(&data, &["payouts", "--state", "paid", "--limit", "1"]);
    let id = paid[0]["id"].as_str().expect("a payout");
    let story = json(&data, &["explain", id]);
    let happened: Vec<&str> = story["history"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|line| line["event"].as_str().expect("a word"))
        .collect();
    assert_eq!(
        happened[..4],
        ["held", "assessed", "begun", "answer"],
        "{story:#}"
    );
    assert!(happened.contains(&"notification"), "{story:#}");
    let causes: Vec<&str> = story["entries"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| entry["cause"].as_str().expect("a word"))
        .collect();
    assert_eq!(causes, ["hold", "settle", "bill_out"], "{story:#}");
    let text = story.to_string();
    assert!(
        !text.contains("openid\":\"o"),
        "no openid in the evidence: {text}"
    );
}

#[test]
fn a_quickstart_that_was_killed_again_and_again_goes_on_where_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let made = ["--users", "60", "--events-count", "6000", "--seed", "5"];
    for wait in [200, 500, 700, 900, 1_100] {
        let mut child = lingqian(&data, &[&["quickstart", "--exit"], &made[..]].concat())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        std::thread::sleep(std::time::Duration::from_millis(wait));
        child.kill().expect("killed");
        child.wait().expect("gone");
    }
    check(&quickstart(&data, &made));
}

#[test]
fn events_of_the_users_own_come_from_a_file_or_standard_input() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let good = |number: u32| {
        format!(
            r#"{{"source":"app","event_id":"e{number}","user":"alice","kind":"task_done","amount_fen":60}}"#
        )
    };
    let lines = [
        good(1),
        "{broken".into(),
        good(2),
        good(2),
        r#"{"source":"app","event_id":"e3","user":"bob","kind":"lottery","amount_fen":1}"#.into(),
    ];
    let mut child = lingqian(&data, &["quickstart", "--exit", "--json", "--events", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin
        .write_all((lines.join("\n") + "\n").as_bytes())
        .expect("written");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    check(&report);
    assert_eq!(report["events"]["credited"], 2, "{report:#}");
    assert_eq!(report["events"]["duplicates"], 1);
    assert_eq!(report["events"]["rejected_by_code"]["malformed_json"], 1);
    assert_eq!(report["events"]["rejected_by_code"]["unknown_kind"], 1);
}

/// As in the README: in some directory, with everything below it.
#[test]
fn the_data_directory_may_be_named_from_where_one_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let here = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lingqian"));
        command.current_dir(dir.path()).args(arguments);
        for name in ["LINGQIAN_DATA", "LINGQIAN_STORE"] {
            command.env_remove(name);
        }
        let output = command.output().expect("runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let few = [
        "quickstart",
        "--exit",
        "--users",
        "20",
        "--events-count",
        "600",
    ];
    assert!(here(&few).contains("Nothing was lost"));
    assert!(dir.path().join("lingqian-data").exists());
    here(&["--data", "./lingqian-data", "pass", "dispatch", "--once"]);
    here(&["audit"]);
}
