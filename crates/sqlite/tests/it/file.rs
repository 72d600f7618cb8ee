//! Files that are not ours, not whole, or made by another program.

use std::path::Path;

use lingqian_core::Keys;
use lingqian_core::earning::Credited;
use lingqian_io::store::{Committed, EventAnswer, LetterRow, LetterWish};
use lingqian_io::{Browse, Fault, Store};
use lingqian_sqlite::{Options, Reading, SqliteStore};
use rusqlite::Connection;

use crate::lived;
use crate::withdrawals::feed;

fn refusal(path: &Path) -> String {
    match SqliteStore::open(path) {
        Err(Fault::Broken(words) | Fault::Damaged(words)) => words,
        Err(other) => panic!("refused as {other:?}"),
        Ok(_) => panic!("it opened"),
    }
}

#[tokio::test]
async fn the_database_of_another_program_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("theirs.db");
    let theirs = Connection::open(&path).expect("opens");
    theirs.execute_batch("CREATE TABLE t (x)").expect("writes");
    assert!(refusal(&path).contains("another program"));
    let tables = theirs.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0));
    assert_eq!(tables, Ok(1_i64));
}

#[tokio::test]
async fn opening_again_migrates_nothing_and_disturbs_nobody() {
    let (_dir, path) = lived().await;
    let store = SqliteStore::open(&path).expect("opens");
    let basis = store.prefetch(Keys::default()).await.expect("reads").basis;
    let second = SqliteStore::open(&path).expect("opens");
    assert_eq!(
        store.prefetch(Keys::default()).await.expect("reads").basis,
        basis,
        "an open that has nothing to do is no commit"
    );
    let books = Connection::open(&path).expect("opens");
    let noted = "SELECT count(*), max(number) FROM migrations";
    let noted = books.query_row(noted, [], |row| Ok((row.get(0)?, row.get(1)?)));
    assert_eq!(noted, Ok((20_i64, 20_i64)));
    assert_eq!(second.audit().await.expect("reads").findings, []);
}

#[tokio::test]
async fn a_file_made_with_other_words_is_refused() {
    let (_dir, path) = lived().await;
    let books = Connection::open(&path).expect("opens");
    let altered = "UPDATE migrations SET sql = sql || ' ' WHERE number = 1";
    books.execute(altered, []).expect("writes");
    assert!(refusal(&path).contains("0001_books"));
}

#[tokio::test]
async fn a_file_that_was_cut_short_is_an_error_and_never_a_crash() {
    let (dir, path) = lived().await;
    let books = Connection::open(&path).expect("opens");
    let whole = dir.path().join("whole.db");
    let into = whole.to_str().expect("text");
    books.execute("VACUUM INTO ?1", [into]).expect("a copy");
    let mut books = Reading::open(&whole).expect("opens");
    let whole_chain = books.verify(None, |_| ()).expect("reads");
    let bytes = std::fs::read(&whole).expect("reads");
    assert_eq!(bytes.len() % 8_192, 0);
    for pages in 0..bytes.len() / 8_192 {
        // Some of them in the middle of a page.
        let length = pages * 8_192 + pages % 3 * 1_000;
        let torn = dir.path().join(format!("torn-{pages}.db"));
        std::fs::write(&torn, &bytes[..length]).expect("writes");
        if length == 0 {
            continue;
        }
        if let Ok(mut books) = Reading::open(&torn) {
            let verified = books.verify(None, |_| ()).expect("it is an answer");
            let proved = verified.misfit.is_none();
            assert!(!proved || verified == whole_chain, "{length}: {verified:?}");
        }
        let Ok(store) = SqliteStore::open(&torn) else {
            continue;
        };
        match store.audit().await {
            Err(Fault::Broken(_) | Fault::Damaged(_)) => {}
            Ok(audited) => assert_ne!(audited.findings, [], "{length} of {}", bytes.len()),
            Err(other) => panic!("{length} bytes: {other:?}"),
        }
    }
}

#[tokio::test]
async fn small_options_serve_as_well() {
    let (_dir, path) = lived().await;
    let options = Options {
        readers: 0,
        writer_cache_kib: 64,
        reader_cache_kib: 64,
        checkpoint_pages: 1,
        recent_ids: 0,
        proved_at_start: 0,
        scrub_bytes_per_second: 0,
    };
    let store = SqliteStore::open_with(&path, &options).expect("opens");
    assert_eq!(store.audit().await.expect("reads").findings, []);
}

#[tokio::test]
async fn filters_are_found_by_themselves_and_where_earlier_versions_put_them() {
    let (_dir, path) = lived().await;
    let options = Options {
        recent_ids: 2_000,
        ..Options::default()
    };
    let seen = |result: &EventAnswer| *result == Ok(Credited::Before);
    let store = SqliteStore::open_with(&path, &options).expect("opens");
    // Enough for a merge, each batch more than a run.
    for round in 0..40 {
        feed(&store, 2_100, round).await;
    }
    drop(store);
    let books = Connection::open(&path).expect("opens");
    let runs = "SELECT count(*), max(level) FROM id_runs";
    let runs = books.query_row(runs, [], |row| Ok((row.get(0)?, row.get(1)?)));
    let (runs, level): (i64, i64) = runs.expect("reads");
    assert!(runs > 0 && level > 1, "{runs} runs up to level {level}");
    let moved = "UPDATE id_buckets SET filter = (
        SELECT substr(f.filter, (id_buckets.slot - f.slot) * 640 + 1, 640) FROM id_filters f
        WHERE f.slot <= id_buckets.slot AND f.slot >> 24 = id_buckets.slot >> 24
        ORDER BY f.slot DESC LIMIT 1)
        WHERE slot >> 24 IN (SELECT run FROM id_runs WHERE level > 1)";
    for step in ["", moved, "DELETE FROM id_filters"] {
        books.execute_batch(step).expect(step);
        let store = SqliteStore::open_with(&path, &options).expect("opens");
        for round in 0..40 {
            let answers = feed(&store, 2_100, round).await;
            assert!(answers.iter().all(seen), "{step}: round {round}");
        }
    }
    let wrong = "UPDATE id_buckets SET filter = zeroblob(7)";
    books.execute(wrong, []).expect(wrong);
    assert!(refusal(&path).contains("id_buckets"));
    let wrong =
        "INSERT INTO id_filters SELECT (run << 24) + 1, zeroblob(640) FROM id_runs WHERE level > 1";
    books.execute(wrong, []).expect(wrong);
    assert!(refusal(&path).contains("id_filters"));
}

#[tokio::test]
async fn totals_of_states_are_filled_for_older_books_and_found_out_when_they_lie() {
    let (_dir, path) = lived().await;
    let store = SqliteStore::open(&path).expect("opens");
    let basis = store.prefetch(Keys::default()).await.expect("reads").basis;
    let kept = store.commit(basis, crate::letter("{")).await;
    assert_eq!(kept, Ok(Committed::Done));
    let before = store.standing().await;
    drop(store);
    let books = Connection::open(&path).expect("opens");
    books
        .execute_batch(
            "CREATE TABLE older (code TEXT NOT NULL, raw BLOB NOT NULL, door TEXT NOT NULL, \
               position TEXT NOT NULL, at INTEGER NOT NULL, times INTEGER NOT NULL, \
               PRIMARY KEY (code, raw)) STRICT; \
             INSERT INTO older SELECT code, raw, door, position, at, times FROM dead_letters; \
             DROP TABLE dead_letters; ALTER TABLE older RENAME TO dead_letters; \
             DROP TABLE sink_leases; DROP TABLE letter_ends; DROP TABLE marks; \
             DROP TABLE alert_tells; DROP TABLE alerts; DROP TABLE alert_targets; \
             DROP TABLE alert_watch; DROP TABLE message_reads; DROP INDEX notices_by_user; \
             DROP TRIGGER attempts_keep_their_seat; DROP INDEX attempts_by_seat; \
             ALTER TABLE attempts DROP COLUMN seat; \
             DROP TABLE state_totals; DROP TRIGGER IF EXISTS payouts_join_their_state; \
             DROP TRIGGER payouts_change_their_state; DROP TABLE id_filters; \
             ALTER TABLE id_runs DROP COLUMN first_entry; \
             DELETE FROM migrations WHERE number >= 10; PRAGMA user_version = 9",
        )
        .expect("older books");
    let store = SqliteStore::open(&path).expect("opens");
    assert_eq!(store.standing().await, before);
    // Letters of books that had no digests are found by their names, too.
    let wish = LetterWish {
        all: true,
        limit: 9,
    };
    let letters = store.letters(wish).await.expect("reads");
    assert!(!letters.is_empty());
    for row in letters {
        let found = store.letter(row.id.clone()).await.expect("reads");
        assert_eq!(found.map(LetterRow::without_raw), Some(row));
    }
    assert_eq!(store.audit().await.expect("reads").findings, []);
    drop(store);
    let changed = books.execute(
        "UPDATE state_totals SET payouts = payouts + 1 WHERE payouts > 0",
        [],
    );
    assert!(changed.expect("writes") > 0);
    let store = SqliteStore::open(&path).expect("opens");
    let found = store.audit().await.expect("reads").findings;
    assert!(!found.is_empty());
    for finding in found {
        assert_eq!(finding.invariant.name(), "state_totals_are_sums");
    }
}

#[tokio::test]
async fn a_payout_is_born_without_tables_or_triggers() {
    let (_dir, path) = lived().await;
    let books = Connection::open(&path).expect("opens");
    let insert = include_str!("../../queries/insert_held.sql");
    let mut plan = books
        .prepare(&format!("EXPLAIN {insert}"))
        .expect("it is ours");
    let values = rusqlite::params_from_iter([1; 8]);
    let codes = plan.query_map(values, |row| row.get(1)).expect("a plan");
    let codes: Vec<String> = codes.collect::<Result<_, _>>().expect("codes");
    assert!(codes.iter().any(|code| code == "OpenWrite"));
    // Neither a table of its own for a list, nor a trigger.
    let dear = |code: &String| code == "OpenEphemeral" || code == "Program";
    assert!(!codes.iter().any(dear), "{codes:?}");
}

#[tokio::test]
async fn what_a_payout_in_the_file_must_be_is_checked_by_the_file() {
    let (_dir, path) = lived().await;
    let books = Connection::open(&path).expect("opens");
    let mut good = 0;
    for (constraint, wrong) in [
        ("queue = 'assess'", "queue = 'elsewhere', due_at = 1"),
        ("payouts_state", "state = 'lost'"),
        ("payouts_paid_has_a_time", "paid_at = 1"),
        ("payouts_paid_has_a_time", "state = 'paid', paid_on = 1"),
        ("payouts_paid_has_a_day", "paid_on = 1"),
        ("payouts_paid_has_a_day", "state = 'paid', paid_at = 1"),
        ("payouts_code_belongs", "code = 'X'"),
        ("payouts_code_belongs", "state = 'failed'"),
        ("payouts_package_belongs", "package = 'X'"),
        ("payouts_approvals_belong", "approvals = 'X'"),
        ("payouts_approvals_belong", "state = 'review', code = 'X'"),
        ("payouts_wait_for_a_time", "queue = NULL, due_at = 1"),
    ] {
        for born in ["requested", "processing"] {
            let row = format!(
                "INSERT INTO payouts (payout, user_no, merchant_no, amount_fen, reference, asked, \
                   created_at, updated_at, version, billed_fen, state) \
                 VALUES ('po_{born}', 1, 1, 1, 'r', 'request', 1, 1, 1, 0, '{born}')"
            );
            let change = books.unchecked_transaction().expect("begins");
            good += change.execute(&row, []).expect("a good one");
            let wrong = format!("UPDATE payouts SET {wrong} WHERE payout = 'po_{born}'");
            let refused = change.execute(&wrong, []).expect_err(&wrong).to_string();
            assert!(refused.contains(constraint), "{wrong}: {refused}");
        }
    }
    assert_eq!(good, 24);
}

#[tokio::test]
async fn books_of_the_first_schema_are_carried_over_with_all_their_entries() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("books.db");
    let books = Connection::open(&path).expect("opens");
    let first = include_str!("../../migrations/0001_books.sql");
    // So many users and entries that accounts are carried to their rows on the way.
    let rows = "INSERT INTO kinds VALUES (1, 'ad_view', NULL, 1000000, 'incidental');
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
        INSERT INTO users SELECT i, 'user-' || i, 1, 0, NULL FROM n;
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        INSERT INTO entries SELECT i, 10, 1, 1, i % 2500 + 1, 700, 'earn', NULL, i, i % 2500 + 1
        FROM n;
        INSERT INTO earnings SELECT seq, 'app', 'e-' || seq, user_no, 1, 700, NULL, at FROM entries;
        INSERT INTO accounts SELECT 1, user_no, sum(amount_micros) FROM entries GROUP BY user_no;
        INSERT INTO accounts SELECT 10, 1, -sum(amount_micros) FROM entries";
    for step in [first, rows, "PRAGMA user_version = 1"] {
        books.execute_batch(step).expect(step);
    }
    drop(books);
    let store = SqliteStore::open(&path).expect("opens");
    let audited = store.audit().await.expect("reads");
    assert_eq!((audited.entries, audited.findings), (20_000, vec![]));
    let books = Connection::open(&path).expect("opens");
    let chunks = "SELECT count(*) FROM account_chunks";
    let chunks: i64 = books.query_row(chunks, [], |row| row.get(0)).expect(chunks);
    assert!(chunks > 0, "no accounts were carried on the way");
}
