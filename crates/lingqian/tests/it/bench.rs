//! The benches with tiny inputs: what they print can be trusted only while it is checked.

use std::path::Path;

use serde_json::Value;

use crate::process::{independent_audit, json, run};
use crate::server::Server;

fn number(report: &Value, section: &str, name: &str) -> f64 {
    let value = &report[section][name];
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{section}.{name} is {value}: {report:#}"))
}

fn is_good(report: &Value, section: &str) {
    assert_eq!(report[section]["lost_or_wrong"], "nothing", "{report:#}");
}

#[test]
fn a_bench_of_the_books_books_what_it_says_and_leaves_sound_books() {
    let dir = tempfile::tempdir().expect("a directory");
    let books = dir.path().join("books");
    let report = json(
        dir.path(),
        &[
            "bench",
            "ledger",
            "--entries",
            "6000",
            "--users",
            "300",
            "--batch",
            "250",
            "--slice",
            "2000",
            "--duplicates",
            "3",
            "--withdrawals",
            "10",
            "--in-flight",
            "3",
            "--ids",
            "ordered",
            "--read",
            "40",
            "--reopen",
            "--sync-probe",
            "--beside",
            "baseline",
            "--dir",
            books.to_str().expect("a plain path"),
        ],
    );
    is_good(&report, "verdict");
    assert_eq!(number(&report, "book", "entries"), 6_000.0);
    let held = number(&report, "book", "withdrawals_held");
    assert!((400.0..=620.0).contains(&held), "{report:#}");
    assert_eq!(number(&report, "book", "events_credited"), 6_000.0 - held);
    let resent = number(&report, "book", "events_duplicate");
    assert!((100.0..=250.0).contains(&resent), "{report:#}");
    assert!(number(&report, "book", "events_refused") > 0.0);
    assert!(number(&report, "book", "entries_per_second") > 0.0);
    assert!(number(&report, "book", "processor_us_per_entry") > 0.0);
    assert!(number(&report, "disk", "bytes_per_entry") > 50.0);
    assert!(number(&report, "read_statement", "lines_each") > 1.0);
    assert_eq!(number(&report, "check", "balances_compared"), 300.0);
    assert_eq!(report["check"]["audit"], "all invariants hold");
    let intervals = report["over_time"]["intervals"].as_array();
    assert!(intervals.is_some_and(|rows| rows.len() >= 9), "{report:#}");
    assert!(number(&report, "bare_pages", "entries") > 5_000.0);
    let times = "the_books_take_times_as_much_processor";
    assert!(number(&report, "bare_pages", times) > 0.0);
    let ledgers = &report["sqlite_by_hand"]["ledgers"];
    assert_eq!(ledgers[1]["at_once"], 1_000, "{report:#}");
    assert_eq!(ledgers[0]["entries"], ledgers[1]["entries"]);
    independent_audit(&books);
}

#[test]
fn the_same_seed_books_the_same_and_what_was_left_out_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let bench = |seed: &str| {
        let arguments = [
            "bench",
            "ledger",
            "--entries",
            "1500",
            "--no-audit",
            "--seed",
        ];
        let report = json(dir.path(), &[&arguments[..], &[seed]].concat());
        is_good(&report, "verdict");
        assert_eq!(report["check"]["audit"], "left out, as was wished");
        ["events_credited", "events_duplicate", "events_refused"]
            .map(|name| report["book"][name].as_u64().expect("a number"))
    };
    let first = bench("7");
    assert_eq!(first, bench("7"));
    assert_ne!(first, bench("8"));
}

#[test]
fn the_harness_itself_is_measured_without_books() {
    let dir = tempfile::tempdir().expect("a directory");
    let arguments = ["bench", "ledger", "--harness", "--entries", "20000"];
    let report = json(dir.path(), &arguments);
    is_good(&report, "check");
    assert_eq!(number(&report, "book", "withdrawals_held"), 0.0);
    assert!(number(&report, "book", "entries_per_second") > 0.0);
}

/// The options of a small bench of the full mix.
const FULL: [&str; 9] = [
    "bench",
    "ledger",
    "--mix=full",
    "--entries=4000",
    "--users=200",
    "--batch=200",
    "--slice=1000",
    "--in-flight=3",
    "--duplicates=3",
];

/// Which withdrawals come before which claw-backs depends on the machine, so that a small run may
/// have no debt; every run must be right, and one of a few has something of everything.
#[test]
fn the_full_mix_has_something_of_everything_and_every_answer_is_right() {
    const KINDS: [&str; 4] = [
        "events_taken_back",
        "events_paying_a_debt",
        "transfers_between_users",
        "events_that_cool_off",
    ];
    let mut seen = [0.0; KINDS.len()];
    for seed in ["--seed=1", "--seed=2", "--seed=3", "--seed=4", "--seed=5"] {
        let dir = tempfile::tempdir().expect("a directory");
        let more = [seed, "--claw-backs=10", "--reopen"];
        let report = json(dir.path(), &[&FULL[..], &more].concat());
        is_good(&report, "verdict");
        assert_eq!(report["check"]["audit"], "all invariants hold");
        assert!(number(&report, "book", "withdrawals_refused") > 0.0);
        assert!(number(&report, "reopen", "open_ms") > 0.0);
        for (sum, name) in seen.iter_mut().zip(KINDS) {
            *sum += number(&report, "mix", name);
        }
        if seen.iter().all(|sum| *sum > 0.0) {
            return;
        }
    }
    panic!("five runs without one of {KINDS:?}: {seen:?}");
}

/// Expects that a process was killed twice and another one came to the end.
fn killed(report: &Value) {
    is_good(report, "verdict");
    assert_eq!(report["killed"]["times"], 2, "{report:#}");
    let looks = report["killed"]["looks"].as_array().expect("rows");
    let calls = |row: &Value, name: &str| row[name].as_u64().expect("a number");
    for row in looks {
        assert!(calls(row, "calls_there") >= calls(row, "calls_answered"));
    }
    let entries: Vec<u64> = looks.iter().map(|row| calls(row, "entries")).collect();
    assert!(entries.is_sorted() && entries.len() == 3, "{entries:?}");
    assert!(
        entries[0] < entries[2] && entries[2] >= 4_000,
        "{entries:?}"
    );
}

#[test]
fn books_whose_process_is_killed_in_the_middle_have_all_that_was_answered() {
    let dir = tempfile::tempdir().expect("a directory");
    let kill = ["--reopen=kill", "--kills=2"];
    killed(&json(dir.path(), &[&FULL[..], &kill].concat()));
}

#[test]
fn books_in_postgresql_are_measured_killed_and_compared_alike() {
    let (server, peers) = (Server::start(), Server::start());
    let dir = tempfile::tempdir().expect("a directory");
    let url = server.url();
    let kill = ["--reopen=kill", "--kills=2", "--store", &url];
    killed(&json(dir.path(), &[&FULL[..], &kill].concat()));
    let used = run(dir.path(), &[&FULL[..], &["--store", &url]].concat());
    let said = String::from_utf8_lossy(&used.stderr);
    assert!(
        !used.status.success() && said.contains("needs empty ones"),
        "{said}"
    );

    // The system counts a server's time in hundredths of a second: it must have some work.
    let (books, url) = (Server::start(), peers.url());
    let report = json(
        dir.path(),
        &[
            "bench",
            "ledger",
            "--entries=3000",
            "--users=500",
            "--batch=100",
            "--store",
            &books.url(),
            "--beside-postgres",
            &url,
        ],
    );
    is_good(&report, "verdict");
    assert!(number(&report, "book", "server_processor_us_per_entry") > 0.0);
    let ledgers = report["postgresql_by_hand"]["ledgers"].as_array();
    let ledgers = ledgers.expect("rows");
    // A server of the tests does not sync, and that is said.
    let durable = report["postgresql_by_hand"]["durable"].as_str();
    assert!(
        durable.is_some_and(|words| words.starts_with("NO:")),
        "{report:#}"
    );
    assert_eq!(ledgers.len(), 5, "{report:#}");
    for ledger in ledgers {
        assert_eq!(ledger["entries"], ledgers[0]["entries"], "{report:#}");
    }
}

fn ingest(dir: &Path, arguments: &[&str]) -> Value {
    let common = ["bench", "ingest", "--users", "40", "--duplicates", "5"];
    let report = json(dir, &[&common[..], arguments].concat());
    is_good(&report, "check");
    assert_eq!(report["check"]["audit"], "all invariants hold");
    assert!(number(&report, "send", "events_per_second") > 0.0);
    report
}

#[test]
fn every_way_of_sending_over_http_gets_a_result_for_every_event() {
    let dir = tempfile::tempdir().expect("a directory");
    let all = |report: &Value| {
        let counts = ["credited", "duplicates", "refused"];
        counts
            .map(|name| number(report, "check", name))
            .iter()
            .sum::<f64>()
    };
    let books = dir.path().join("books");
    let path = books.to_str().expect("a plain path");
    let report = ingest(dir.path(), &["--events", "5000", "--dir", path]);
    assert_eq!(all(&report), 5_000.0, "{report:#}");
    assert!(number(&report, "check", "duplicates") > 100.0, "{report:#}");
    independent_audit(&books);

    let single = ["--mode", "single", "--events", "300", "--connections", "8"];
    let report = ingest(dir.path(), &single);
    assert_eq!(all(&report), 300.0, "{report:#}");
    assert_eq!(number(&report, "request", "count"), 300.0);
    assert!(number(&report, "request", "p99_9_ms") >= number(&report, "request", "p50_ms"));

    let array = [
        "--mode",
        "array",
        "--events",
        "2000",
        "--batch",
        "150",
        "--connections",
        "3",
    ];
    let report = ingest(dir.path(), &array);
    assert_eq!(all(&report), 2_000.0, "{report:#}");
    assert_eq!(number(&report, "request", "count"), 15.0);
}

#[test]
fn a_bench_does_not_touch_a_directory_that_holds_something() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("dear"), "to somebody").expect("written");
    let path = dir.path().to_str().expect("a plain path");
    for bench in ["ledger", "ingest"] {
        let output = run(dir.path(), &["bench", bench, "--dir", path]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{said}");
        assert!(said.contains("is not empty"), "{said}");
    }
}

#[test]
fn a_bench_of_the_sandbox_pays_and_announces_every_transfer() {
    let dir = tempfile::tempdir().expect("a directory");
    let own = dir.path().join("sandbox");
    let own = own.to_str().expect("a plain path");
    let what = ["--transfers", "300", "--connections", "7", "--dir", own];
    let report = json(dir.path(), &[&["bench", "sandbox"], &what[..]].concat());
    is_good(&report, "check");
    assert_eq!(number(&report, "check", "transfers_paid"), 300.0);
    for (section, name) in [
        ("signing", "bound_transfers_per_second_and_core"),
        ("sandbox", "transfers_per_second"),
        ("sandbox", "processor_us_per_transfer"),
    ] {
        assert!(number(&report, section, name) > 0.0, "{report:#}");
    }
}
