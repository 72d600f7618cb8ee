//! Books that were moved into a file are there after it was opened again, and one that was moved
//! by halves can be finished.

use lingqian_core::facts::Wallet;
use lingqian_core::id::UserId;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_io::conformance::full_books;
use lingqian_io::read_out::{Cursor, Part, ReadOut};
use lingqian_io::store::Committed;
use lingqian_io::twin::MemoryStore;
use lingqian_io::{Browse, Store};
use lingqian_sqlite::SqliteStore;

/// 2026-03-02, noon in Beijing: when the books of the suite begin.
const NOON: Timestamp = Timestamp(1_772_424_000_000);

/// What some users have on some days.
async fn wallets<S: Browse>(store: &S) -> Vec<Wallet> {
    let mut wallets = Vec::new();
    for no in 1..=5 {
        let id = UserId::parse(&format!("user-{no}")).expect("an id");
        for after in 0..4 {
            let day = BusinessDate(NOON.business_date().0 + after);
            let wallet = store.user(&id, day).await.expect("a look");
            wallets.push(wallet.expect("a user"));
        }
    }
    wallets
}

#[tokio::test]
async fn what_cools_off_and_counts_is_the_same_after_the_file_was_opened_again() {
    let expected = wallets(&full_books(MemoryStore::default()).await).await;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("books.db");
    let earned = full_books(SqliteStore::open(&path).expect("it opens")).await;
    assert_eq!(wallets(&earned).await, expected);
    drop(earned);
    let again = SqliteStore::open(&path).expect("it opens");
    assert_eq!(wallets(&again).await, expected);
}

#[tokio::test]
async fn what_no_entry_tells_is_there_after_the_file_was_opened_again() {
    let from = full_books(MemoryStore::default()).await;
    let expected = wallets(&from).await;
    let counted = expected.iter().any(|wallet| !wallet.kinds.is_empty());
    let cooling = expected.iter().any(|wallet| !wallet.cooling.is_empty());
    assert!(
        counted && cooling,
        "there is something that entries do not tell"
    );
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("books.db");
    let mut next = Some(Cursor::default());
    while let Some(cursor) = next {
        // Each piece by a process of its own.
        let to = SqliteStore::open(&path).expect("it opens");
        if cursor.part == Part::Entries {
            assert_eq!(to.newest_entry().await, Ok(cursor.numbers.0));
        }
        let piece = from.read_out(cursor, 40).await.expect("a piece");
        let basis = to.prefetch(lingqian_core::Keys::default()).await;
        let basis = basis.expect("reads").basis;
        let committed = to.commit(basis, piece.changes).await;
        assert_eq!(committed, Ok(Committed::Done));
        next = piece.next;
    }
    let to = SqliteStore::open(&path).expect("it opens");
    assert_eq!(wallets(&to).await, expected);
    assert_eq!(to.audit().await, from.audit().await);
}
