//! The chain of pages, proved from the first to the last, and what does not fit in it named.

use std::path::{Path, PathBuf};

use lingqian_sqlite::{Misfit, Reading, SqliteStore, Verified, Wrong};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::lived;

/// Books of one life, and what is changed in them behind the store's back.
pub(crate) async fn with(change: &str) -> (TempDir, PathBuf) {
    let (dir, path) = lived().await;
    let books = Connection::open(&path).expect("opens");
    books
        .execute_batch("DROP TRIGGER pages_are_never_changed; DROP TRIGGER pages_are_never_deleted")
        .expect("the guards are gone");
    books.execute_batch(change).expect(change);
    (dir, path)
}

pub(crate) fn verified(path: &Path) -> Verified {
    let mut books = Reading::open(path).expect("damaged books open, too");
    books.verify(None, |_| ()).expect("it reads")
}

/// First and last entry of every page.
pub(crate) fn pages(path: &Path) -> Vec<(u64, u64)> {
    let books = Connection::open(path).expect("opens");
    let query = "SELECT first_seq, first_seq + count - 1 FROM pages ORDER BY 1";
    let mut query = books.prepare(query).expect("a query");
    let pages = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("reads");
    let pages: Result<Vec<(i64, i64)>, _> = pages.collect();
    let pages = pages.expect("reads").into_iter();
    pages
        .map(|(first, last)| (first.unsigned_abs(), last.unsigned_abs()))
        .collect()
}

#[tokio::test]
async fn whole_books_are_proved_beside_a_store_that_has_them_open() {
    let (_dir, path) = lived().await;
    let store = SqliteStore::open(&path).expect("opens");
    let mut seen = 0;
    let mut books = Reading::open(&path).expect("opens");
    let verified = books.verify(None, |entries| seen = entries);
    let verified = verified.expect("reads");
    let pages = pages(&path);
    assert_eq!(verified.misfit, None);
    assert_eq!(verified.pages, pages.len() as u64);
    assert_eq!(verified.entries, pages.last().expect("pages").1);
    assert_eq!(seen, verified.entries);
    let noted = books.verify(Some(verified.head), |_| ()).expect("reads");
    assert_eq!(noted.noted_at, Some(verified.entries));
    let strange = books.verify(Some([7; 32]), |_| ()).expect("reads");
    assert_eq!(strange.noted_at, None);
    drop(store);
}

/// One bit anywhere: in a record, a text, the hash, of the first, a middle and the last page.
#[tokio::test]
async fn a_flipped_bit_is_found_wherever_it_is() {
    let (_dir, path) = lived().await;
    let pages = pages(&path);
    assert!(pages.len() > 2, "{pages:?}");
    for (first, last) in [pages[0], pages[pages.len() / 2], pages[pages.len() - 1]] {
        for (column, place) in [("body", 17), ("body", -1), ("hash", 1)] {
            let (_dir, path) = with("").await;
            flip(&path, column, place, first);
            let verified = verified(&path);
            let expected = Misfit {
                first,
                last: Some(last),
                wrong: Wrong::Changed,
            };
            assert_eq!(verified.misfit, Some(expected), "{column} {place} {first}");
            assert_eq!(verified.entries, first - 1);
            let mut books = Reading::open(&path).expect("opens");
            let audited = books.audit().expect("audits");
            let words = format!("entries {first} to {last}");
            assert!(audited.findings[0].to_string().contains(&words));
        }
    }
}

/// Flips the lowest bit of one byte; a negative place counts from the end.
pub(crate) fn flip(path: &Path, column: &str, place: i64, first: u64) {
    let books = Connection::open(path).expect("opens");
    let query = format!("SELECT {column} FROM pages WHERE first_seq = ?1");
    let read = books.query_row(&query, [first.cast_signed()], |row| row.get(0));
    let mut bytes: Vec<u8> = read.expect("reads");
    let place = place.rem_euclid(i64::try_from(bytes.len()).expect("small"));
    bytes[usize::try_from(place).expect("small")] ^= 1;
    let update = format!("UPDATE pages SET {column} = ?1 WHERE first_seq = ?2");
    let written = books.execute(&update, rusqlite::params![bytes, first.cast_signed()]);
    assert_eq!(written, Ok(1));
}

#[tokio::test]
async fn pages_that_are_gone_or_changed_places_are_named() {
    let (_dir, whole) = lived().await;
    let pages = pages(&whole);
    let (last_page, middle) = (pages[pages.len() - 1], pages[pages.len() / 2]);
    let delete = |first: u64| format!("DELETE FROM pages WHERE first_seq = {first}");
    let swap = format!(
        "CREATE TEMP TABLE kept AS SELECT * FROM pages WHERE first_seq IN ({0}, {1});
         UPDATE pages SET (count, hash, body) = (SELECT count, hash, body FROM kept k
           WHERE k.first_seq = {0} + {1} - pages.first_seq) WHERE first_seq IN ({0}, {1})",
        pages[0].0, middle.0
    );
    let (first, last) = pages[0];
    let missing = |(first, last): (u64, u64)| Misfit {
        first,
        last: Some(last),
        wrong: Wrong::Missing,
    };
    let cases = [
        (delete(first), missing((first, last))),
        (delete(middle.0), missing(middle)),
        (
            delete(last_page.0),
            Misfit {
                first: last_page.0,
                last: None,
                wrong: Wrong::Cut,
            },
        ),
    ];
    for (change, expected) in cases {
        let (_dir, path) = with(&change).await;
        assert_eq!(verified(&path).misfit, Some(expected), "{change}");
    }
    let (_dir, path) = with(&swap).await;
    let misfit = verified(&path).misfit.expect("it is found");
    assert_eq!((misfit.first, misfit.wrong), (first, Wrong::Changed));
}

#[tokio::test]
async fn a_file_that_holds_no_books_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("none.db");
    assert!(Reading::open(&path).is_err());
    assert!(!path.exists(), "looking makes no file");
    let theirs = Connection::open(&path).expect("opens");
    theirs.execute_batch("CREATE TABLE t (x)").expect("writes");
    let refused = Reading::open(&path).map(drop).expect_err("theirs");
    assert!(refused.to_string().contains("another program"), "{refused}");
}
