//! Statements: each user's entries as a chain, also in a file that was made before there was one.

use std::path::Path;

use lingqian_core::id::{PayoutId, UserNo};
use lingqian_core::time::Timestamp;
use lingqian_io::{Browse, Store};
use lingqian_sqlite::SqliteStore;
use rusqlite::{Connection, params};

/// Books of the first schema: earnings of two users in turn, and a hold of the first.
fn old_books(path: &Path) {
    let books = Connection::open(path).expect("opens");
    books
        .execute_batch(include_str!("../../migrations/0001_books.sql"))
        .expect("the first schema");
    books
        .execute_batch(
            "INSERT INTO kinds VALUES (7, 'ad_view', NULL, 1000000, 'incidental');
             INSERT INTO merchants VALUES (1, '1900000109', 'wx8888888888888888', '1000', '', 'r');
             INSERT INTO users VALUES (1, 'user-1', 1, 0, NULL), (2, 'user-2', 1, 0, NULL);",
        )
        .expect("a catalogue");
    for seq in 1..=6_i64 {
        let user = 2 - seq % 2;
        let entry = "INSERT INTO entries VALUES (?1, 10, 7, 1, ?2, 500000, 'earn', NULL, 1, ?2)";
        books.execute(entry, [seq, user]).expect("an entry");
        let earning = "INSERT INTO earnings VALUES (?1, 'game', 'e' || ?1, ?2, 7, 500000, NULL, 1)";
        books.execute(earning, [seq, user]).expect("an earning");
    }
    let payout = PayoutId::new(Timestamp(1), 1).to_string();
    let made = "INSERT INTO payouts VALUES (?1, 1, 1, 100, 'r', 'request', 1, 1, 1, NULL, 0, \
                'requested', NULL, NULL, NULL, NULL)";
    books.execute(made, [&payout]).expect("a payout");
    let held = "INSERT INTO entries VALUES (7, 1, 1, 2, 1, 1000000, 'hold', ?1, 1, 1)";
    books.execute(held, [&payout]).expect("a hold");
    let waits = "INSERT INTO work VALUES (?1, 'assess', 1, NULL)";
    books.execute(waits, params![payout]).expect("work");
    books
        .execute_batch(
            "INSERT INTO accounts VALUES (1, 1, 500000), (2, 1, 1000000), (1, 2, 1500000),
               (10, 7, -3000000);
             PRAGMA user_version = 1;",
        )
        .expect("balances");
}

async fn numbers(store: &SqliteStore, user: i64, before: Option<i64>, limit: u32) -> Vec<i64> {
    let lines = store.statement(UserNo(user), before, limit).await;
    let lines = lines.expect("a statement");
    lines.into_iter().map(|line| line.seq).collect()
}

#[tokio::test]
async fn a_file_of_the_first_schema_gets_its_chains() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("books.db");
    old_books(&path);
    let store = SqliteStore::open(&path).expect("it is brought up to date");
    let audited = store.audit().await.expect("reads");
    assert_eq!((audited.findings, audited.entries), (vec![], 7));
    assert_eq!(numbers(&store, 1, None, 10).await, [7, 5, 3, 1]);
    assert_eq!(numbers(&store, 2, None, 10).await, [6, 4, 2]);
    assert_eq!(numbers(&store, 3, None, 10).await, [] as [i64; 0]);
}

#[tokio::test]
async fn a_statement_turns_pages_at_any_number() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("books.db");
    old_books(&path);
    let store = SqliteStore::open(&path).expect("opens");
    assert_eq!(numbers(&store, 1, None, 2).await, [7, 5]);
    assert_eq!(numbers(&store, 1, Some(5), 2).await, [3, 1]);
    assert_eq!(numbers(&store, 1, Some(1), 2).await, [] as [i64; 0]);
    // Not a number of this user's, or of anybody.
    assert_eq!(numbers(&store, 1, Some(4), 2).await, [3, 1]);
    assert_eq!(numbers(&store, 1, Some(99), 1).await, [7]);
    assert_eq!(numbers(&store, 1, None, 0).await, [] as [i64; 0]);
}

#[tokio::test]
async fn the_auditor_sees_a_broken_chain() {
    let breaks = [
        "UPDATE accounts SET newest = 5 WHERE class = 1 AND owner = 1",
        "DROP TRIGGER entries_are_never_changed;
         UPDATE entries SET credit_prev = NULL WHERE seq = 5",
    ];
    for trick in breaks {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("books.db");
        old_books(&path);
        let store = SqliteStore::open(&path).expect("opens");
        let books = Connection::open(&path).expect("opens");
        books.execute_batch(trick).expect(trick);
        let audited = store.audit().await.expect("reads");
        assert_eq!(audited.findings.len(), 1, "{trick}: {:?}", audited.findings);
    }
}
