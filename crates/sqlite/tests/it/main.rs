//! The SQLite store: the suite of every store, and what only a file can show.

mod chain;
mod faults;
mod file;
mod ids;
mod moved;
mod order;
mod payouts;
mod relations;
mod scrub;
mod verify;
mod withdrawals;

use std::sync::Mutex;

use lingqian_core::command::DeadLetter;
use lingqian_core::time::Timestamp;
use lingqian_core::{Changes, Keys};
use lingqian_io::store::Committed;
use lingqian_io::{Browse, Fault, Store, conformance};
use lingqian_sqlite::SqliteStore;
use rusqlite::Connection;
use tempfile::TempDir;

#[tokio::test]
async fn the_sqlite_store_passes_the_conformance_suite() {
    let dirs: Mutex<Vec<TempDir>> = Mutex::default();
    conformance::exercise(async || {
        let dir = tempfile::tempdir().expect("a directory");
        let store = SqliteStore::open(&dir.path().join("books.db")).expect("it opens");
        dirs.lock().expect("no panic").push(dir);
        store
    })
    .await;
}

#[tokio::test]
async fn the_sqlite_store_can_be_moved() {
    let dirs: Mutex<Vec<TempDir>> = Mutex::default();
    conformance::reading_out(async || {
        let dir = tempfile::tempdir().expect("a directory");
        let store = SqliteStore::open(&dir.path().join("books.db")).expect("it opens");
        dirs.lock().expect("no panic").push(dir);
        store
    })
    .await;
}

fn letter(raw: &str) -> Changes {
    let letter = DeadLetter {
        door: "test".into(),
        position: "line 1".into(),
        code: "malformed".into(),
        raw: raw.into(),
        at: Timestamp(1),
    };
    Changes {
        dead_letters: vec![letter],
        ..Changes::default()
    }
}

/// A file with a whole life in it, and the directory that holds it.
async fn lived() -> (TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("books.db");
    let store = SqliteStore::open(&path).expect("it opens");
    conformance::whole_flow(&store).await;
    (dir, path)
}

#[tokio::test]
async fn what_was_written_is_there_after_the_file_was_closed_and_opened() {
    let (_dir, path) = lived().await;
    let before = SqliteStore::open(&path)
        .expect("it opens")
        .summary()
        .await
        .expect("reads");
    let store = SqliteStore::open(&path).expect("it opens again");
    assert_eq!(store.summary().await.expect("reads"), before);
    let audited = store.audit().await.expect("it can be audited");
    assert_eq!(audited.findings, []);
    assert!(
        audited.entries > 0 && audited.payouts > 0 && audited.bills > 0,
        "{audited:?}"
    );
}

#[tokio::test]
async fn a_commit_of_another_process_is_noticed() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("books.db");
    let (ours, theirs) = (
        SqliteStore::open(&path).expect("opens"),
        SqliteStore::open(&path).expect("opens"),
    );
    let basis = ours.prefetch(Keys::default()).await.expect("reads").basis;
    let other = theirs.prefetch(Keys::default()).await.expect("reads").basis;
    assert_eq!(
        theirs.commit(other, letter("theirs")).await,
        Ok(Committed::Done)
    );
    assert_eq!(
        ours.commit(basis, letter("ours")).await,
        Ok(Committed::Conflict)
    );
    let basis = ours.prefetch(Keys::default()).await.expect("reads").basis;
    assert_eq!(
        ours.commit(basis, letter("ours")).await,
        Ok(Committed::Done)
    );
    assert_eq!(theirs.dead_letters(10).await.expect("reads").len(), 2);
}

#[tokio::test]
async fn a_newer_schema_and_a_file_that_is_none_are_refused_in_words() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("books.db");
    drop(SqliteStore::open(&path).expect("it opens"));
    let newer = Connection::open(&path).expect("opens");
    newer
        .pragma_update(None, "user_version", 99)
        .expect("writes");
    let refused = SqliteStore::open(&path).map(drop).expect_err("newer");
    assert!(matches!(&refused, Fault::Newer(words) if words.contains("use a newer program")));
    let other = dir.path().join("other.db");
    std::fs::write(&other, "this is no database, it only looks like a file\n").expect("writes");
    assert!(matches!(SqliteStore::open(&other), Err(Fault::Broken(_))));
}

/// Each statement must be refused by the database itself, whoever sends it.
#[tokio::test]
async fn the_database_refuses_what_would_falsify_the_books() {
    let (_dir, path) = lived().await;
    let books = Connection::open(&path).expect("opens");
    let refusals = [
        ("UPDATE pages SET body = x'00'", "append-only"),
        ("DELETE FROM pages WHERE first_seq = 1", "append-only"),
        (
            "INSERT INTO accounts VALUES (2, 999, -1)",
            "accounts_are_of_the_system",
        ),
        (
            "UPDATE ledger SET available_micros = -1",
            "available_micros",
        ),
        (
            "UPDATE payouts SET state = 'requested' WHERE state = 'paid'",
            "final payout",
        ),
        (
            "UPDATE payouts SET paid_at = paid_at + 1 WHERE state = 'paid'",
            "final payout",
        ),
        (
            "UPDATE payouts SET amount_fen = amount_fen + 1",
            "keeps what it was made of",
        ),
        (
            "UPDATE users SET user_id = 'somebody-else' WHERE user_no = 1",
            "the number of a user never changes",
        ),
        (
            "UPDATE attempts SET name = x'00' WHERE name IS NULL",
            "an order never changes",
        ),
        (
            "UPDATE attempts SET amount_fen = amount_fen + 1",
            "an order never changes",
        ),
        (
            "UPDATE attempts SET openid = 'somebody'",
            "an order never changes",
        ),
        ("INSERT INTO clawed VALUES (1, 0)", "amount_micros"),
    ];
    for (statement, reason) in refusals {
        let error = books.execute(statement, []).expect_err(statement);
        assert!(error.to_string().contains(reason), "{statement}: {error}");
    }
    let audited = SqliteStore::open(&path)
        .expect("opens")
        .audit()
        .await
        .expect("audits");
    assert_eq!(audited.findings, []);
}

/// What no constraint can see, the auditor finds.
#[tokio::test]
async fn the_auditor_finds_what_was_changed_behind_the_stores_back() {
    let tricks = [
        (
            "UPDATE accounts SET balance_micros = balance_micros + 1 WHERE class = 10",
            "balances",
        ),
        (
            "UPDATE ledger SET events_micros = events_micros + 1",
            "earnings",
        ),
        ("INSERT INTO clawed VALUES (1, 5)", "claw_backs_fit"),
        ("UPDATE ledger SET held_micros = held_micros + 1", "totals"),
        ("UPDATE payouts SET billed_fen = billed_fen + 1", "billed"),
        ("UPDATE bills SET closing_fen = closing_fen + 1", "bills"),
        (
            "UPDATE payouts SET queue = 'send', due_at = 1 WHERE state = 'paid'",
            "work",
        ),
    ];
    for (trick, word) in tricks {
        let (_dir, path) = lived().await;
        let changed = Connection::open(&path).expect("opens").execute(trick, []);
        assert!(changed.expect(trick) > 0, "{trick} changed nothing");
        let audited = SqliteStore::open(&path)
            .expect("opens")
            .audit()
            .await
            .expect("audits");
        let found = audited
            .findings
            .iter()
            .any(|finding| finding.to_string().contains(word));
        assert!(found, "{trick}: {:?}", audited.findings);
    }
}
