//! Commands that look at the books: `ledger verify`, `sql`, `export`, and `audit` of damaged ones.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json as value};

use crate::process::{Running, independent_audit, json, lingqian, run};

/// Books with everything in them: events, payouts, a bill.
fn lived(data: &Path) {
    let arguments = [
        "quickstart",
        "--exit",
        "--users",
        "40",
        "--events-count",
        "3000",
        "--seed",
        "7",
    ];
    let output = run(data, &arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}

/// Runs a script over the database, as somebody who has only Python.
fn python(script: &str, file: &Path) -> String {
    let output = Command::new("python3")
        .arg("-c")
        .arg(script)
        .arg(file)
        .output();
    let output = output.expect("python3 is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("text")
}

fn text(data: &Path, arguments: &[&str], code: i32) -> String {
    let output = run(data, arguments);
    let all = [output.stdout, output.stderr].concat();
    let all = String::from_utf8_lossy(&all).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {all}");
    all
}

const DAMAGE: &str = "
import sqlite3, sys
books = sqlite3.connect(sys.argv[1])
books.executescript('DROP TRIGGER pages_are_never_changed')
first, count, body = books.execute(
    'SELECT first_seq, count, body FROM pages ORDER BY first_seq DESC LIMIT 1').fetchone()
body = bytearray(body)
body[17] ^= 1
books.execute('UPDATE pages SET body = ? WHERE first_seq = ?', (bytes(body), first))
books.commit()
print(first, first + count - 1)
";

#[test]
fn a_damaged_page_is_named_where_nothing_else_opens_any_more() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    lived(&data);
    independent_audit(&data);
    let whole = json(&data, &["ledger", "verify"]);
    assert_eq!(whole["whole"], true);
    let head = whole["head"].as_str().expect("a hash").to_owned();
    assert_eq!(head.len(), 64);
    let audited = json(&data, &["audit"]);
    assert_eq!(audited["sound"], true, "{audited:#}");
    assert_eq!(audited["entries"], whole["entries"]);
    let noted = json(&data, &["ledger", "verify", "--head", &head]);
    assert_eq!(noted["noted"]["last_entry"], whole["entries"]);
    text(&data, &["ledger", "verify", "--head", &"0a".repeat(32)], 3);
    text(&data, &["ledger", "verify", "--head", "0a"], 1);

    let said = python(DAMAGE, &data.join("lingqian.db"));
    let (first, last) = said.trim().split_once(' ').expect("two numbers");
    let words = format!("the page of entries {first} to {last} does not match its hash");
    let verified = text(&data, &["ledger", "verify"], 3);
    assert!(verified.contains(&words), "{verified}");
    assert!(verified.contains("Take the newest copy"), "{verified}");
    let audited = text(&data, &["audit"], 3);
    assert!(audited.contains(&words), "{audited}");
    let refused = text(&data, &["payouts"], 1);
    assert!(
        refused.contains(&format!("entries {first} to {last}")),
        "{refused}"
    );
    let before = format!("SELECT count(*) AS n FROM entries WHERE seq < {first}");
    let counted = json(&data, &["sql", "-c", &before]);
    let expected = first.parse::<u64>().expect("a number") - 1;
    assert_eq!(counted, value!([{ "n": expected }]));
    let export = ["export", "entries", "--format", "csv", "--to-seq", first];
    let stopped = text(&data, &export, 1);
    assert!(
        stopped.contains(&format!("entries {first} to {last}")),
        "{stopped}"
    );
}

/// Balances that are not zero, by account and owner, as `lingqian sql` tells them.
fn balances(data: &Path) -> BTreeMap<String, i64> {
    let query = "SELECT trim(account || ' ' || coalesce(owner, '')) AS name, balance_micros
                 FROM accounts WHERE balance_micros <> 0";
    let rows = json(data, &["sql", "-c", query]);
    let rows = rows.as_array().expect("a list").iter();
    rows.map(|row| {
        let name = row["name"].as_str().expect("a name").to_owned();
        (name, row["balance_micros"].as_i64().expect("a number"))
    })
    .collect()
}

/// The rows of a Parquet file as JSON.
fn parquet_rows(path: &Path) -> Vec<Value> {
    let file = std::fs::File::open(path).expect("opens");
    let reader = SerializedFileReader::new(file).expect("it is Parquet");
    let rows = reader.get_row_iter(None).expect("reads");
    rows.map(|row| {
        let row = row.expect("a row");
        let fields = row.get_column_iter().map(|(name, field)| {
            let field = match field {
                Field::Null => Value::Null,
                Field::Long(number) => (*number).into(),
                Field::Str(text) => text.as_str().into(),
                other => panic!("{name} is {other:?}"),
            };
            (name.clone(), field)
        });
        Value::Object(fields.collect())
    })
    .collect()
}

#[test]
fn an_export_in_each_form_is_the_books_and_ties_to_their_head() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    lived(&data);
    let verified = json(&data, &["ledger", "verify"]);
    let file = |form: &str| dir.path().join(format!("entries.{form}"));
    let mut summaries = Vec::new();
    for form in ["csv", "ndjson", "parquet"] {
        let out = file(form);
        let out = out.to_str().expect("plain");
        summaries.push(json(
            &data,
            &["export", "entries", "--format", form, "--out", out],
        ));
        let beside = std::fs::read(format!("{out}.summary.json")).expect("written");
        let beside: Value = serde_json::from_slice(&beside).expect("JSON");
        assert_eq!(Some(&beside), summaries.last());
    }
    let summary = &summaries[0];
    assert!(summaries.iter().all(|other| other == summary));
    assert_eq!(summary["chain_head"], verified["head"]);
    assert_eq!(summary["entries"], verified["entries"]);
    assert_eq!(summary["chain_from"], 1);

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/derive.py");
    let derived = Command::new("python3")
        .arg(script)
        .arg(file("csv"))
        .output();
    let derived: Value =
        serde_json::from_slice(&derived.expect("python3 runs").stdout).expect("JSON");
    assert_eq!(derived["entries"], summary["entries"]);
    assert_eq!(derived["sum_micros"], summary["sum_micros"]);
    let told: BTreeMap<String, i64> =
        serde_json::from_value(derived["balances"].clone()).expect("balances");
    assert_eq!(told, balances(&data));
    assert!(told.len() > 20, "{told:?}");

    let lines = std::fs::read_to_string(file("ndjson")).expect("written");
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines, parquet_rows(&file("parquet")));
    let columns = "seq, at, cause, amount_micros, debit_owner, credit_owner, event_id, payout";
    let asked = json(
        &data,
        &["sql", "-c", &format!("SELECT {columns} FROM entries")],
    );
    for (asked, line) in asked.as_array().expect("a list").iter().zip(&lines) {
        for (name, value) in asked.as_object().expect("an object") {
            assert_eq!(value, &line[name], "{name} of {line}");
        }
    }
    parts_add_up(&data, &lines, summary);
}

/// Days and ranges of numbers export what they say, and all of them everything.
fn parts_add_up(data: &Path, lines: &[Value], summary: &Value) {
    let days: std::collections::BTreeSet<&str> = lines
        .iter()
        .filter_map(|line| line["day"].as_str())
        .collect();
    assert!(days.len() > 1, "{days:?}");
    let mut entries = 0;
    let part = |arguments: &[&str]| {
        let arguments = [&["export", "entries", "--format", "ndjson"], arguments].concat();
        let output = run(data, &arguments);
        assert!(output.status.success());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(errors.contains("head "), "{errors}");
        let text = String::from_utf8(output.stdout).expect("text");
        let lines = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        lines.collect::<Vec<Value>>()
    };
    for day in days {
        let own = part(&["--from", day, "--to", day]);
        assert!(own.iter().all(|line| line["day"] == day));
        entries += own.len();
    }
    assert_eq!(summary["entries"], entries);
    assert_eq!(
        part(&["--from-seq", "100", "--to-seq", "300"]),
        lines[99..300]
    );
    assert_eq!(part(&["--from", "2999-01-01"]), [] as [Value; 0]);
    let wrong = text(
        data,
        &["export", "entries", "--format", "csv", "--from", "x"],
        1,
    );
    assert!(wrong.contains("x is not a day"), "{wrong}");
}

#[test]
fn a_conversation_in_sql_answers_in_tables_and_goes_on_after_a_refusal() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    lived(&data);
    let mut child = lingqian(&data, &["sql"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let said = ".help\n.tables\n.schema balances\nSELECT 1 AS one,\n 'a;b' AS two;\n\
                DELETE FROM pages; SELECT openid FROM main.links;\n.fly\nSELECT 2 AS last";
    let mut input = child.stdin.take().expect("piped");
    input.write_all(said.as_bytes()).expect("written");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let (out, errors) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert_eq!(output.status.code(), Some(1), "a refusal is told");
    for words in [
        "entries           every movement of money",
        "available_micros INTEGER",
        "one  two\n---  ---\n  1  a;b\n(1 row)\n",
        "last\n----\n   2\n(1 row)\n",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
    for words in ["only reads", "never shown", ".fly is none of"] {
        assert!(errors.contains(words), "{words}: {errors}");
    }
    let csv = text(
        &data,
        &["sql", "--csv", "-c", "SELECT 'a,b' AS x, NULL AS y"],
        0,
    );
    assert_eq!(csv, "x,y\n\"a,b\",\n");
    text(&data, &["sql", "-c", "SELECT nothing FROM entries"], 1);
}

#[tokio::test]
async fn looking_disturbs_no_server() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    lived(&data);
    let server = Running::start(&data, &["serve", "--listen", "127.0.0.1:0"]);
    for arguments in [
        &["ledger", "verify"][..],
        &["audit"],
        &["sql", "-c", "SELECT count(*) FROM entries"],
        &["export", "entries", "--format", "csv"],
        &["payouts"],
        &["keys", "list"],
    ] {
        let output = run(&data, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
    drop(server);
}

#[tokio::test]
async fn a_second_process_that_would_write_is_told_who_does_until_that_one_is_gone() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    lived(&data);
    let server = Running::start(&data, &["serve", "--listen", "127.0.0.1:0"]);
    let holder = format!("process {} has", server.id());
    let events = dir.path().join("none.jsonl");
    std::fs::write(&events, "").expect("written");
    let import = ["import", events.to_str().expect("a plain path")];
    for arguments in [
        &import[..],
        &["withdraw", "--sweep-fen", "100"],
        &["keys", "new", "--scope", "*"],
        &["serve", "--listen", "127.0.0.1:0"],
    ] {
        let output = run(&data, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}: {said}");
        let told = said.contains("books_held") && said.contains(&holder);
        assert!(told, "{arguments:?}: {said}");
    }
    // What a killed process leaves behind holds nobody up.
    server.kill();
    let output = run(&data, &import);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn an_export_of_nothing_is_refused_and_one_of_a_part_says_what_it_proved() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    lived(&data);
    let place = dir.path().to_str().expect("plain");
    let export = ["export", "entries", "--format", "csv"];
    for (wanted, words) in [
        (
            ["--from", "2026-12-02", "--to", "2026-12-01"],
            "--from is after --to",
        ),
        (
            ["--from-seq", "12", "--to-seq", "10"],
            "--from-seq is after --to-seq",
        ),
        (["--out", place, "--from-seq", "1"], "is a directory"),
    ] {
        let refused = run(&data, &[&export[..], &wanted[..]].concat());
        assert_eq!(refused.status.code(), Some(1));
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(told.contains(words), "{told}");
    }
    let last = json(&data, &["ledger", "verify"])["entries"].as_u64();
    let last = last.expect("a number").to_string();
    let out = format!("{place}/last.csv");
    let summary = json(
        &data,
        &[&export[..], &["--from-seq", &last, "--out", &out]].concat(),
    );
    assert_eq!(summary["entries"], 1);
    assert!(summary["chain_from"].as_u64() > Some(1), "{summary:#}");
}

#[test]
fn books_that_are_gone_are_not_begun_anew_beside_their_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    lived(&data);
    assert!(data.join("api-key").is_file());
    for name in ["lingqian.db", "lingqian.db-wal"] {
        let _ = std::fs::remove_file(data.join(name));
    }
    for empty in [false, true] {
        if empty {
            std::fs::write(data.join("lingqian.db"), "").expect("written");
        }
        let refused = run(&data, &["serve", "--listen", "127.0.0.1:0"]);
        assert_eq!(refused.status.code(), Some(1));
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(told.contains("books_missing"), "{told}");
    }
}
