//! The books in SQL: the same as the store tells, nothing secret, nothing changed.

use std::path::PathBuf;

use lingqian_core::earning::{Kind, Terms};
use lingqian_core::id::{KindCode, KindNo, UserId, UserNo};
use lingqian_core::money::{AMOUNT_MAX, Micros};
use lingqian_core::time::Timestamp;
use lingqian_core::{Changes, EventBatch, EventView, Keys};
use lingqian_io::store::Committed;
use lingqian_io::{Browse, Store};
use lingqian_sqlite::{Datum, Reading, Refused, Shell, SqlAnswer, SqliteStore};
use tempfile::TempDir;

use crate::lived;

/// Noon of a day in Beijing after the life that the suite lives.
const LATER: Timestamp = Timestamp(1_783_051_200_000);

/// An answer as text, line by line.
#[derive(Default)]
struct Lines {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl SqlAnswer for Lines {
    fn columns(&mut self, names: &[&str]) -> std::io::Result<()> {
        self.columns = names.iter().map(|name| (*name).to_owned()).collect();
        Ok(())
    }

    fn row(&mut self, values: &[Datum<'_>]) -> std::io::Result<()> {
        let text = |value: &Datum<'_>| match value {
            Datum::Null => "-".to_owned(),
            Datum::Integer(number) => number.to_string(),
            Datum::Real(number) => number.to_string(),
            Datum::Text(text) => (*text).to_owned(),
            Datum::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        };
        self.rows.push(values.iter().map(text).collect());
        Ok(())
    }
}

fn ask(shell: &Shell, statement: &str) -> Result<Lines, Refused> {
    let mut lines = Lines::default();
    shell.ask(statement, &mut lines).map(|()| lines)
}

fn rows(shell: &Shell, statement: &str) -> Vec<Vec<String>> {
    let lines = ask(shell, statement);
    lines
        .unwrap_or_else(|why| panic!("{statement}: {why}"))
        .rows
}

/// One column of whole numbers.
fn numbers(shell: &Shell, statement: &str) -> Vec<i64> {
    let rows = rows(shell, statement).into_iter();
    rows.map(|row| row[0].parse().expect("a number")).collect()
}

fn event<'a>(id: &'a str, user: &'a str, micros: i64) -> EventView<'a> {
    EventView {
        source: "game",
        event_id: id,
        user,
        kind: "ad_view",
        amount: Some(Micros(micros)),
        occurred_at: Some(Timestamp(LATER.0 - 1)),
        from: None,
        reverses: None,
    }
}

async fn earn(store: &SqliteStore, events: &[EventView<'_>]) {
    let mut batch = EventBatch::default();
    for event in events {
        batch.push(event).expect("well formed");
    }
    let answers = store.earn(LATER, batch).await.expect("answered");
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

/// A life, and after it events of every sort over many pages.
async fn busy() -> (TempDir, PathBuf, SqliteStore) {
    let (dir, path) = lived().await;
    let store = SqliteStore::open(&path).expect("opens");
    let kind = |no, code, terms| Kind {
        no: KindNo(no),
        code: KindCode::parse(code).expect("an id"),
        price: None,
        amount_max: AMOUNT_MAX,
        tax_class: "incidental".into(),
        terms,
    };
    let terms = |cooling_days, between_users| Terms {
        cooling_days,
        between_users,
        ..Terms::default()
    };
    let changes = Changes {
        kinds: vec![
            kind(9, "cooling", terms(2, false)),
            kind(10, "gift", terms(0, true)),
        ],
        ..Changes::default()
    };
    let basis = store.prefetch(Keys::default()).await.expect("reads").basis;
    assert_eq!(store.commit(basis, changes).await, Ok(Committed::Done));
    for batch in 0..5 {
        let ids: Vec<String> = (0..100).map(|n| format!("{batch}-{n}")).collect();
        let events: Vec<EventView<'_>> = (0..100)
            .map(|n| event(&ids[n], ["user-1", "user-2"][n % 2], 1_000 + n as i64))
            .collect();
        earn(&store, &events).await;
    }
    let gift = EventView {
        kind: "gift",
        from: Some("user-1"),
        ..event("gift", "user-2", 250_000)
    };
    let cooling = EventView {
        kind: "cooling",
        ..event("cooling", "user-2", 77)
    };
    earn(&store, &[event("big", "user-1", 900_000), gift, cooling]).await;
    earn(&store, &[event("dear", "user-1", 5_000_000)]).await;
    let id = UserId::parse("user-1").expect("an id");
    let wallet = store.user(&id, LATER.business_date()).await;
    let all = wallet.expect("reads").expect("a user").available;
    let spend = EventView {
        kind: "gift",
        from: Some("user-1"),
        ..event("spend", "user-2", all.0 - 1_000)
    };
    let back = EventView {
        amount: None,
        reverses: Some("dear"),
        ..event("back", "user-1", 0)
    };
    earn(&store, &[spend, event("more", "user-2", 1), back]).await;
    (dir, path, store)
}

fn shell(path: &std::path::Path) -> Shell {
    let reading = Reading::open(path).expect("opens");
    reading.shell().expect("the relations are made")
}

#[tokio::test]
async fn a_payout_with_several_attempts_is_told_once_and_what_people_did_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("books.db");
    let store = SqliteStore::open(&path).expect("opens");
    let store = lingqian_io::conformance::full_books(store).await;
    let shell = shell(&path);
    let twice = "SELECT payout FROM payouts GROUP BY payout HAVING count(*) > 1";
    assert_eq!(rows(&shell, twice), [] as [Vec<String>; 0]);
    let tried = "SELECT count(*), max(number IS NULL) FROM payouts WHERE tries = 1";
    assert_eq!(
        rows(&shell, tried),
        [["1", "1"]],
        "its next order is not made"
    );
    let review = "SELECT count(*) FROM payouts WHERE state = 'review' AND approvals <> ''";
    assert_eq!(numbers(&shell, review), [1]);
    let stops = store.stops().await.expect("reads").len() as i64;
    let in_force = "SELECT count(*) FROM stops WHERE lifted_at IS NULL";
    assert_eq!(numbers(&shell, in_force), [stops]);
    let deeds = store.deeds(None, 99).await.expect("reads").len() as i64;
    assert_eq!(numbers(&shell, "SELECT count(*) FROM deeds"), [deeds]);
    let paid = "SELECT sum(amount_fen) FROM merchant_days";
    assert_eq!(numbers(&shell, paid), [200]);
}

#[tokio::test]
async fn sql_tells_what_the_store_tells() {
    let (_dir, path, store) = busy().await;
    let shell = shell(&path);
    for (no, name) in [(1, "user-1"), (2, "user-2")] {
        let told = store
            .statement(UserNo(no), None, 10_000)
            .await
            .expect("reads");
        let query = format!(
            "SELECT seq, cause, amount_micros, kind, source, event_id, occurred_at_ms, at_ms, \
             payout, user_id FROM entries WHERE user_id = '{name}' ORDER BY seq DESC"
        );
        let text = |text: Option<String>| text.unwrap_or("-".into());
        let expected: Vec<Vec<String>> = told
            .into_iter()
            .map(|line| {
                let (source, event) = line.event.unzip();
                vec![
                    line.seq.to_string(),
                    line.entry.cause().name().into(),
                    line.entry.amount().0.to_string(),
                    text(line.kind.map(|kind| kind.as_str().into())),
                    text(source),
                    text(event),
                    text(line.occurred_at.map(|at| at.0.to_string())),
                    line.entry.at().0.to_string(),
                    text(line.entry.payout().map(|payout| payout.to_string())),
                    name.into(),
                ]
            })
            .collect();
        assert!(expected.len() > 200, "a life over several pages");
        assert_eq!(rows(&shell, &query), expected, "{name}");
        let id = UserId::parse(name).expect("an id");
        let wallet = store.user(&id, LATER.business_date()).await;
        let wallet = wallet.expect("reads").expect("a user");
        let query = format!(
            "SELECT available_micros, held_micros, owed_micros, newest_seq FROM balances \
             WHERE user_id = '{name}'"
        );
        let expected = [wallet.available, wallet.held, wallet.owed].map(|sum| sum.0.to_string());
        assert_eq!(rows(&shell, &query)[0][..3], expected, "{name}");
    }
    let audited = store.audit().await.expect("audits");
    let summary = store.summary().await.expect("reads");
    let entries = numbers(&shell, "SELECT seq FROM entries");
    assert_eq!(entries.len() as u64, audited.entries);
    assert_eq!(
        numbers(&shell, "SELECT sum(balance_micros) FROM accounts"),
        [0]
    );
    let events = rows(&shell, "SELECT count(*), sum(amount_micros) FROM events");
    let (count, sum) = summary.earned;
    assert_eq!(events[0], [count.to_string(), sum.to_string()]);
    let derived = "WITH legs (account, owner, amount) AS (
        SELECT debit_account, debit_owner, -amount_micros FROM entries
        UNION ALL SELECT credit_account, credit_owner, amount_micros FROM entries)
      SELECT l.account, l.owner FROM legs l GROUP BY 1, 2 HAVING sum(l.amount) <> (
        SELECT a.balance_micros FROM accounts a
        WHERE a.account = l.account AND a.owner IS l.owner)";
    assert_eq!(rows(&shell, derived), [] as [Vec<String>; 0]);
    let owed = "SELECT owed_micros FROM balances WHERE user_id = 'user-1'";
    assert!(numbers(&shell, owed)[0] > 0, "the claw-back left a debt");
}

/// Whatever way the planner takes, a condition means the same.
#[tokio::test]
async fn every_way_to_an_entry_leads_to_the_same() {
    let (_dir, path, _store) = busy().await;
    let shell = shell(&path);
    let all = rows(
        &shell,
        "SELECT seq, debit_owner, credit_owner, payout FROM entries",
    );
    let payout = rows(&shell, "SELECT payout FROM payouts ORDER BY payout")[0][0].clone();
    let last = all.len() as i64;
    type Fits<'f> = &'f dyn Fn(i64, &[String]) -> bool;
    let hers = |row: &[String]| row[1] == "user-2" || row[2] == "user-2";
    let its = |row: &[String]| row[3] == payout;
    let cases: [(String, Fits<'_>); 11] = [
        ("seq = 5".into(), &|seq, _| seq == 5),
        ("rowid = 5".into(), &|seq, _| seq == 5),
        ("seq = 0 OR seq = -1".into(), &|_, _| false),
        ("seq > 3 AND seq <= 200".into(), &|seq, _| {
            (4..=200).contains(&seq)
        }),
        ("seq BETWEEN 127 AND 130".into(), &|seq, _| {
            (127..=130).contains(&seq)
        }),
        (format!("seq >= {last} OR seq < 2.5"), &|seq, _| {
            seq >= last || seq < 3
        }),
        ("seq > 2.5 AND seq < 4.5".into(), &|seq, _| {
            seq == 3 || seq == 4
        }),
        ("user_id = 'user-2'".into(), &|_, row| hers(row)),
        (
            "user_id = 'user-2' AND seq < 300 AND seq > 20".into(),
            &|seq, row| hers(row) && seq < 300 && seq > 20,
        ),
        ("user_id = 'nobody'".into(), &|_, _| false),
        (format!("payout = '{payout}'"), &|_, row| its(row)),
    ];
    for (condition, fits) in cases {
        let mut expected: Vec<i64> = all
            .iter()
            .map(|row| (row[0].parse().expect("a number"), row))
            .filter(|(seq, row)| fits(*seq, row))
            .map(|(seq, _)| seq)
            .collect();
        let read = |order: &str| {
            numbers(
                &shell,
                &format!("SELECT seq FROM entries WHERE {condition} {order}"),
            )
        };
        assert_eq!(read("ORDER BY seq"), expected, "{condition}");
        expected.reverse();
        assert_eq!(read("ORDER BY seq DESC"), expected, "{condition}");
        expected.truncate(3);
        assert_eq!(read("ORDER BY seq DESC LIMIT 3"), expected, "{condition}");
    }
    a_users_one_entry(&shell, &all);
    let joined = "SELECT u.user_id, count(*) FROM users u JOIN entries e USING (user_id)
                  GROUP BY 1 ORDER BY 1";
    for row in rows(&shell, joined) {
        let own = all.iter();
        let own = own.filter(|line| line[1] == row[0] || line[2] == row[0]);
        assert_eq!(row[1], own.count().to_string());
    }
}

/// A user and a number together name that entry, or none.
fn a_users_one_entry(shell: &Shell, all: &[Vec<String>]) {
    for seq in 1..=40 {
        let one = format!("SELECT seq FROM entries WHERE user_id = 'user-1' AND seq = {seq}");
        let row = &all[usize::try_from(seq - 1).expect("small")];
        let own = row[1] == "user-1" || row[2] == "user-1";
        assert_eq!(
            numbers(shell, &one),
            Vec::from_iter(own.then_some(seq)),
            "{seq}"
        );
    }
}

#[tokio::test]
async fn secrets_are_hidden_in_every_relation() {
    let (_dir, path, _store) = busy().await;
    let shell = shell(&path);
    let mut seen = 0;
    for (name, _) in shell.tables() {
        let whole = ask(&shell, &format!("SELECT * FROM {name}"));
        let whole = match whole {
            // Where the table itself has a secret, its other columns can be named.
            Err(Refused::Statement(words)) => {
                assert!(
                    words.contains("a secret, which is never shown"),
                    "{name}: {words}"
                );
                continue;
            }
            whole => whole.expect(name),
        };
        seen += 1;
        assert!(
            shell
                .schema(name)
                .is_some_and(|text| text.contains(&whole.columns[0]))
        );
        for value in whole.rows.iter().flatten() {
            assert!(!value.contains("openid-"), "{name} shows {value}");
        }
    }
    assert!(seen > 20, "{seen}");
    for statement in [
        "SELECT openid FROM main.links",
        "SELECT 1 FROM main.links WHERE openid LIKE 'o%'",
        "SELECT count(*) FROM main.links ORDER BY max(tokens)",
        "SELECT unionid FROM links",
        "SELECT * FROM main.attempts",
        "SELECT a.\"openid\" FROM main.attempts AS a",
        "SELECT name FROM main.users",
        "SELECT hex(digest) FROM main.api_keys",
        "SELECT digest FROM link_states",
        "SELECT body FROM main.payout_history",
        "SELECT key FROM ledger",
        "WITH t AS (SELECT * FROM main.links) SELECT tokens FROM t",
    ] {
        let refused = ask(&shell, statement).map(|lines| lines.rows);
        let words = refused.expect_err(statement).to_string();
        let hidden = words.contains("never shown") || words.contains("no such column");
        assert!(hidden, "{statement}: {words}");
    }
    assert!(shell.schema("nothing").is_none());
}

#[tokio::test]
async fn nothing_can_be_changed_and_no_other_file_touched() {
    let (dir, path, store) = busy().await;
    let shell = shell(&path);
    let other = dir.path().join("other.db");
    let copy = format!("VACUUM INTO '{}'", other.display());
    let attach = format!("ATTACH '{}' AS other", other.display());
    for statement in [
        "DELETE FROM pages",
        "UPDATE users SET frozen = 1",
        "INSERT INTO entries (seq) VALUES (1)",
        "DELETE FROM balances",
        "CREATE TABLE t (x)",
        "CREATE TEMP TABLE t (x)",
        "CREATE TEMP VIEW v AS SELECT 1",
        "DROP VIEW users",
        "DROP TABLE users",
        "PRAGMA query_only = 0",
        "PRAGMA writable_schema = 1",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA wal_checkpoint",
        "BEGIN IMMEDIATE",
        "SAVEPOINT s",
        "DETACH main",
        "REINDEX",
        "ANALYZE",
        "VACUUM",
        "SELECT load_extension('x')",
        &copy,
        &attach,
    ] {
        let refused = ask(&shell, statement).map(|lines| lines.rows);
        let words = refused.expect_err(statement).to_string();
        let clear = words.contains("only reads")
            || words.contains("no such function")
            || words.contains("may not be modified");
        assert!(clear, "{statement}: {words}");
    }
    let nothing = ask(&shell, "-- nothing").map(|lines| lines.rows);
    assert!(
        nothing
            .expect_err("no statement")
            .to_string()
            .contains("empty")
    );
    assert!(!other.exists());
    assert_eq!(
        rows(&shell, "SELECT name FROM pragma_table_info('pages')").len(),
        4
    );
    // What is written meanwhile is seen by the next statement.
    let before = numbers(
        &shell,
        "SELECT newest_seq FROM balances WHERE user_id = 'user-1'",
    );
    earn(&store, &[event("later", "user-1", 5_000_000)]).await;
    let after = "SELECT newest_seq FROM balances WHERE user_id = 'user-1'";
    assert!(numbers(&shell, after) > before);
}
