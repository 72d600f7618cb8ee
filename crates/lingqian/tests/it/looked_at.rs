//! Commands that look at books in PostgreSQL say what they say of the same books in a file.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json as value};
use tempfile::TempDir;

use crate::process::{Running, lingqian, run};
use crate::server::Server;

/// Books with everything in them, in a file and as a copy in a database.
struct World {
    server: Server,
    dir: TempDir,
}

impl World {
    fn start() -> World {
        let world = World {
            server: Server::start(),
            dir: tempfile::tempdir().expect("a directory"),
        };
        let life = [
            "quickstart",
            "--exit",
            "--users",
            "40",
            "--events-count",
            "3000",
        ];
        let output = run(&world.data(), &life);
        assert!(output.status.success(), "{output:?}");
        let data = world.data();
        let from = data.to_str().expect("a plain path");
        let copied = run(
            &data,
            &["copy", "--from", from, "--to", &world.server.url()],
        );
        assert!(copied.status.success(), "{copied:?}");
        world
    }

    fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }

    fn shared(&self, arguments: &[&str]) -> Output {
        let mut command = lingqian(&self.data(), arguments);
        let command = command.env("LINGQIAN_STORE", self.server.url());
        command.output().expect("it runs")
    }

    fn told(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.shared(&[arguments, &["--json"]].concat());
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {output:?}"
        );
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    fn asked(&self, query: &str) -> Value {
        self.told(&["sql", "-c", query], 0)
    }

    fn refused(&self, query: &str) -> String {
        let output = self.shared(&["sql", "-c", query]);
        assert!(!output.status.success(), "{query}: {output:?}");
        assert!(output.stdout.is_empty(), "{query}: {output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

/// Lines of CSV without the columns of links of the chain, which are the stores' own.
fn lines(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let cut = |line: &str| {
        let columns: Vec<&str> = line.split(',').collect();
        columns[..columns.len() - 2].join(",")
    };
    text.lines().map(cut).collect()
}

fn file(data: &Path, arguments: &[&str]) -> Output {
    let output = run(data, arguments);
    assert!(output.status.success(), "{output:?}");
    output
}

#[test]
fn the_same_history_reads_the_same_out_of_either_store() {
    let world = World::start();
    let data = world.data();
    for range in [&[][..], &["--from-seq", "1200", "--to-seq", "1300"]] {
        let export = [&["export", "entries", "--format", "csv"], range].concat();
        let ours = lines(&file(&data, &export).stdout);
        let theirs = world.shared(&export);
        assert!(theirs.status.success(), "{theirs:?}");
        assert!(ours.len() > 100, "{}", ours.len());
        assert_eq!(ours, lines(&theirs.stdout));
    }
    let sums = "SELECT account, owner, class, sum(balance_micros) AS sum FROM accounts
                WHERE balance_micros <> 0 GROUP BY account, owner, class ORDER BY class, owner";
    let events = "SELECT user_id, kind, cause, count(*) AS n, sum(amount_micros) AS sum,
                  max(occurred_at) AS last FROM events
                  GROUP BY user_id, kind, cause ORDER BY user_id, kind, cause";
    let payouts = "SELECT payout, user_id, amount_fen, state, created_at, paid_on, number
                   FROM payouts ORDER BY payout";
    for query in [
        sums,
        events,
        payouts,
        "SELECT * FROM bills ORDER BY merchant_no, day",
        "SELECT user_id, frozen, created_at FROM users ORDER BY user_no",
        "SELECT 1 AS a, 2.5 AS b, 'c' AS c, NULL AS d",
        "VALUES (1, 2), (3, 4)",
    ] {
        let csv = ["sql", "--csv", "-c", query];
        let ours = String::from_utf8(file(&data, &csv).stdout).expect("text");
        let theirs = String::from_utf8(world.shared(&csv).stdout).expect("text");
        assert!(ours.lines().count() > 1, "{query}");
        assert_eq!(ours, theirs, "{query}");
    }
    assert_eq!(
        world
            .asked("SELECT count(*), count(*) FROM entries;")
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[test]
fn questions_to_a_database_change_nothing_and_tell_no_secret() {
    let world = World::start();
    for query in [
        "DELETE FROM lingqian.payouts",
        "WITH gone AS (DELETE FROM lingqian.work RETURNING 1) SELECT * FROM gone",
        "SELECT 1 AS a) ; DROP SCHEMA lingqian CASCADE; --",
        "CREATE TABLE mine (a int)",
        "SELECT openid FROM lingqian.links",
        "SELECT (SELECT max(openid) FROM lingqian.attempts) FROM users",
        "SELECT most_common_vals FROM pg_stats",
        "SELECT query_to_xml('SELECT openid FROM lingqian.links', true, true, '')",
        "SELECT schema_to_xml('lingqian', true, true, '')",
        "SELECT pg_read_file('postgresql.conf')",
        "SELECT set_config('search_path', 'lingqian', false)",
        "SELECT lingqian.ensure_room(2, 3)",
        "SET search_path = lingqian",
        "SELECT digest FROM api_keys",
        "TABLE lingqian.links",
    ] {
        let words = world.refused(query);
        assert!(words.starts_with("error: "), "{query}: {words}");
    }
    let columns = "SELECT * FROM links";
    let links = world.asked(columns);
    assert!(
        links[0].get("openid").is_none() && links[0]["user_id"].is_string(),
        "{links}"
    );
    assert_eq!(world.told(&["audit"], 0)["sound"], true);
}

#[tokio::test]
async fn the_chain_of_a_database_is_proved_and_the_first_batch_that_does_not_fit_is_named() {
    let world = World::start();
    let whole = world.told(&["ledger", "verify"], 0);
    assert_eq!(whole["whole"], true);
    let head = whole["head"].as_str().expect("a hash").to_owned();
    let noted = world.told(&["ledger", "verify", "--head", &head], 0);
    assert_eq!(
        noted["noted"],
        value!({"met": true, "last_entry": whole["entries"]})
    );
    let other = world.told(&["ledger", "verify", "--head", &"0a".repeat(32)], 3);
    assert_eq!(other["noted"]["met"], false);

    let books = world.server.connect().await;
    let middle = books
        .query_one(
            "SELECT batch_no, first_seq, first_seq + entries - 1 FROM batches \
        WHERE entries > 1 ORDER BY batch_no LIMIT 1",
            &[],
        )
        .await
        .expect("a batch");
    let (batch, first, last): (i64, i64, i64) = (middle.get(0), middle.get(1), middle.get(2));
    let damage = format!(
        "SET session_replication_role = replica;
         UPDATE entries SET amount_micros = amount_micros + 1 WHERE seq = {last}"
    );
    books.batch_execute(&damage).await.expect("damaged");
    let broken = world.told(&["ledger", "verify", "--head", &head], 3);
    assert_eq!(broken["misfit"]["first_entry"], first);
    assert_eq!(broken["misfit"]["last_entry"], last);
    assert_eq!(broken["entries"], first - 1);
    let words = broken["misfit"]["words"].as_str().expect("words");
    assert!(words.contains(&format!("batch {batch} ")), "{words}");
    let stopped = world.shared(&["export", "entries", "--format", "csv"]);
    assert!(!stopped.status.success(), "{stopped:?}");

    let mend = format!(
        "UPDATE entries SET amount_micros = amount_micros - 1 WHERE seq = {last}; \
        DELETE FROM batches WHERE batch_no = (SELECT max(batch_no) FROM batches)"
    );
    books.batch_execute(&mend).await.expect("cut");
    let cut = world.told(&["ledger", "verify"], 3);
    let words = cut["misfit"]["words"].as_str().expect("words");
    assert!(words.contains("ends before"), "{words}");
}

#[test]
fn books_that_are_served_are_not_copied_and_books_that_are_copied_are_not_served() {
    let world = World::start();
    let url = world.server.url();
    let serving = Running::start(
        &world.data(),
        &["serve", "--store", &url, "--listen", "127.0.0.1:0"],
    );
    let target = world.dir.path().join("target.db");
    let copy = [
        "copy",
        "--from",
        &url,
        "--to",
        target.to_str().expect("plain"),
    ];
    let refused = run(&world.data(), &copy);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && words.contains("books_held"),
        "{words}"
    );
    serving.kill();
    let copied = run(&world.data(), &copy);
    assert!(copied.status.success(), "{copied:?}");
}
