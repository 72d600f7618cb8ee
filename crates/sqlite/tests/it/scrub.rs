//! A damaged page stops whoever would write: at the start, or as soon as it is found.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lingqian_core::payout::Queue;
use lingqian_core::time::Timestamp;
use lingqian_io::store::Claim;
use lingqian_io::{Browse, Fault, Store};
use lingqian_sqlite::{Options, Reading, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::faults::{NOON, credited, earn, is_sound, opened_with, user_id};
use crate::verify::{flip, pages, verified, with};

const USERS: i64 = 300;
const EVENTS: i64 = 300_000;

fn says(fault: &Fault, (first, last): (u64, u64)) {
    let words = fault.to_string();
    assert!(matches!(fault, Fault::Damaged(_)), "{words}");
    assert!(
        words.contains(&format!("entries {first} to {last}")),
        "{words}"
    );
    assert!(words.contains("lingqian ledger verify"), "{words}");
}

#[tokio::test]
async fn small_books_with_a_flipped_bit_are_not_opened_for_writing() {
    let (_dir, path) = with("").await;
    let pages = pages(&path);
    for page in [pages[0], pages[pages.len() / 2], pages[pages.len() - 1]] {
        for (column, place) in [("body", 17), ("body", -1), ("hash", 1)] {
            flip(&path, column, place, page.0);
            let refused = SqliteStore::open(&path).map(drop).expect_err("damaged");
            says(&refused, page);
            assert_eq!(verified(&path).misfit.expect("found").first, page.0);
            flip(&path, column, place, page.0);
            drop(SqliteStore::open(&path).expect("whole again"));
        }
    }
}

/// Books of several megabytes, whose oldest pages nobody has to read; guards are gone.
async fn large() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("books.db");
    let store = opened_with(&path, USERS, &options(0)).await;
    for begin in (0..EVENTS).step_by(20_000) {
        let answers = earn(&store, begin..begin + 20_000, USERS, 1).await;
        assert_eq!(credited(&answers.expect("earns")), 20_000);
    }
    drop(store);
    let books = Connection::open(&path).expect("opens");
    let unguarded = "DROP TRIGGER pages_are_never_changed";
    books.execute_batch(unguarded).expect("the guard is gone");
    (dir, path)
}

fn options(bytes: u64) -> Options {
    Options {
        proved_at_start: bytes,
        recent_ids: 10_000,
        scrub_bytes_per_second: 16 << 20,
        ..Options::default()
    }
}

/// Earns until the store refuses; tells how many events were acknowledged, and the refusal.
async fn earn_until_refused(store: &SqliteStore) -> (i64, Fault) {
    let (mut end, began) = (EVENTS, Instant::now());
    loop {
        match earn(store, end..end + 100, USERS, 1).await {
            Ok(answers) => assert_eq!(credited(&answers), 100),
            Err(fault) => return (end, fault),
        }
        end += 100;
        assert!(began.elapsed() < Duration::from_secs(60), "nobody refuses");
    }
}

fn open_with(path: &Path, bytes: u64) -> Result<SqliteStore, Fault> {
    SqliteStore::open_with(path, &options(bytes))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_old_pages_is_found_later_and_then_nothing_is_written() {
    let (_dir, path) = large().await;
    let pages = pages(&path);
    let page = pages[pages.len() / 8];
    flip(&path, "body", 17, page.0);
    says(
        &SqliteStore::open(&path).map(drop).expect_err("damaged"),
        page,
    );
    let store = open_with(&path, 64 << 10).expect("nobody has read that page");
    let (end, refused) = earn_until_refused(&store).await;
    says(&refused, page);
    let again = earn(&store, end..end + 100, USERS, 1).await;
    says(&again.expect_err("it stays so"), page);
    let claim = Claim {
        queue: Queue::Send,
        now: NOON,
        lease_until: Timestamp(NOON.0 + 1),
        limit: 1,
    };
    says(
        &store.claim(claim).await.expect_err("no lease either"),
        page,
    );
    says(&store.sound().await.expect_err("not ready"), page);
    let seen = store.user(&user_id(1), NOON.business_date()).await;
    assert!(seen.expect("looking goes on").is_some());
    assert_eq!(verified(&path).misfit.expect("found").first, page.0);
    let audited = Reading::open(&path).expect("opens").audit();
    assert!(!audited.expect("audits").findings.is_empty());
    drop(store);
    flip(&path, "body", 17, page.0);
    let store = open_with(&path, 64 << 10).expect("opens");
    assert_eq!(store.sound().await, Ok(()));
    let known = earn(&store, 0..end, USERS, 1).await.expect("earns");
    assert_eq!(credited(&known), 0, "what was acknowledged is there");
    is_sound(&store, end.unsigned_abs()).await;
}
