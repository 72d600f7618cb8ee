//! Statements: each user's entries as a chain, also in a file that was made before there was one.

use std::path::Path;

use lingqian_core::id::{PayoutId, UserNo};
use lingqian_core::time::Timestamp;
use lingqian_core::{Changes, Keys};
use lingqian_io::store::Committed;
use lingqian_io::{Browse, Store};
use lingqian_sqlite::SqliteStore;
use rusqlite::{Connection, params};

/// Books of the first schema: earnings of two users in turn, and a hold of the first.
pub(crate) fn old_books(path: &Path) {
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
async fn a_changed_byte_is_found_and_its_page_named() {
    let flip = |place: usize| {
        format!(
            "DROP TRIGGER pages_are_never_changed; UPDATE pages SET body =
             CAST(substr(body, 1, {place}) || x'01' || substr(body, {place} + 2) AS BLOB);"
        )
    };
    // An amount, the number of the entry before, the text of an event.
    for place in [16, 64 + 54, 7 * 64 + 6] {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("books.db");
        old_books(&path);
        let store = SqliteStore::open(&path).expect("opens");
        let books = Connection::open(&path).expect("opens");
        books.execute_batch(&flip(place)).expect("it is changed");
        let audited = store.audit().await.expect("reads");
        let found: Vec<String> = audited.findings.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 1, "{place}: {found:?}");
        assert!(found[0].contains("entries 1 to 7"), "{place}: {found:?}");
        drop(store);
        let refused = SqliteStore::open(&path).map(drop).expect_err("damaged");
        assert!(refused.to_string().contains("entries 1 to 7"), "{refused}");
    }
}

#[tokio::test]
async fn a_page_that_is_gone_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("books.db");
    old_books(&path);
    let store = SqliteStore::open(&path).expect("opens");
    let basis = store.prefetch(Keys::default()).await.expect("reads").basis;
    let line = "INSERT INTO pages SELECT 8, count, hash, body FROM pages";
    let books = Connection::open(&path).expect("opens");
    books.execute(line, []).expect("a page that follows");
    books
        .execute_batch(
            "DROP TRIGGER pages_are_never_deleted; DELETE FROM pages WHERE first_seq = 1",
        )
        .expect("the first is gone");
    let committed = store.commit(basis, Changes::default()).await;
    let words = "the page of entry 1 is missing";
    // Somebody else wrote, so the books are read anew, and they are damaged.
    assert_eq!(committed, Ok(Committed::Conflict));
    let refused = store.prefetch(Keys::default()).await.expect_err("damaged");
    assert!(refused.to_string().contains(words), "{refused}");
    let audited = store.audit().await.expect("reads");
    assert!(audited.findings[0].to_string().contains(words));
}
