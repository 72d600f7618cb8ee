//! Ids are remembered for ever, wherever they have come to.

use lingqian_io::store::Store as _;
use lingqian_sqlite::{Options, SqliteStore};
use rusqlite::Connection;
use tokio::task::JoinSet;

use crate::lived;
use crate::withdrawals::feed;
use lingqian_core::earning::Credited;

/// Events of a round: a little more than a run.
const EVENTS: u32 = 260;
const ROUNDS: u32 = 330;

#[tokio::test]
async fn ids_are_known_once_and_for_ever_while_their_runs_fill_and_merge() {
    let (_dir, path) = lived().await;
    let options = Options {
        recent_ids: 250,
        ..Options::default()
    };
    let store = SqliteStore::open_with(&path, &options).expect("opens");
    let mut booked = vec![0; ROUNDS as usize];
    let mut given = JoinSet::new();
    for round in 0..ROUNDS {
        // Everything comes twice and late, while what was asked about it grows old.
        for again in [round, round.saturating_sub(7)] {
            let store = store.clone();
            given.spawn(async move { (again, feed(&store, EVENTS, again).await) });
        }
        while given.len() > 24 {
            let (round, answers) = given.join_next().await.expect("one").expect("ends");
            count(&mut booked, round, &answers);
        }
    }
    while let Some(ended) = given.join_next().await {
        let (round, answers) = ended.expect("ends");
        count(&mut booked, round, &answers);
    }
    assert_eq!(booked, vec![EVENTS; ROUNDS as usize]);
    drop(store);
    let books = Connection::open(&path).expect("opens");
    let runs = "SELECT count(*), max(level) FROM id_runs";
    let runs = books.query_row(runs, [], |row| Ok((row.get(0)?, row.get(1)?)));
    let (runs, level): (i64, i64) = runs.expect("reads");
    assert!(level == 3 && runs < 60, "{runs} runs up to level {level}");
    let filters = "SELECT count(*) FROM id_filters WHERE slot >> 24 IN \
                   (SELECT run FROM id_runs WHERE level < 2)";
    let filters = books.query_row(filters, [], |row| row.get(0));
    assert_eq!(filters, Ok(0_i64), "young runs have none");
    let store = SqliteStore::open_with(&path, &options).expect("opens");
    for round in 0..ROUNDS {
        let answers = feed(&store, EVENTS, round).await;
        let seen = answers.iter().all(|answer| *answer == Ok(Credited::Before));
        assert!(seen, "round {round}");
    }
    assert_eq!(store.audit().await.expect("reads").findings, []);
    let held = store.memory_of_ids().await.expect("looks");
    let ids = u64::from(EVENTS * ROUNDS);
    assert!((ids..ids * 4).contains(&held), "{held} bytes for {ids} ids");
    drop(store);
    for damage in DAMAGES {
        let words = damage.found;
        let found = after(&path, damage).await;
        assert!(
            found.iter().any(|found| found.contains(words)),
            "{words}: {found:?}"
        );
    }
}

/// Something that a disk may do to what is remembered.
struct Damage {
    /// Where a blob is, the row of which is read first.
    query: &'static str,
    /// What becomes of it.
    how: fn(&mut Vec<u8>),
    update: &'static str,
    /// What the auditor says then.
    found: &'static str,
}

const BUCKET: &str = "UPDATE id_buckets SET ids = ?2 WHERE slot = ?1";

const DAMAGES: [Damage; 5] = [
    Damage {
        query: "SELECT slot, ids FROM id_buckets WHERE slot >> 24 = \
                (SELECT run FROM id_runs WHERE level > 1 LIMIT 1) LIMIT 1",
        how: |ids| ids[6] ^= 4,
        update: BUCKET,
        found: "1 that no entry bears",
    },
    Damage {
        query: "SELECT slot, ids FROM id_buckets WHERE slot >> 24 = \
                (SELECT run FROM id_runs WHERE level = 0 LIMIT 1) LIMIT 1",
        how: |ids| ids[4] ^= 1,
        update: BUCKET,
        found: "1 in none, the first with entry",
    },
    Damage {
        query: "SELECT slot, ids FROM id_buckets WHERE slot >> 24 = \
                (SELECT run FROM id_runs WHERE level > 1 LIMIT 1) LIMIT 1",
        how: |ids| ids.rotate_left(8),
        update: BUCKET,
        found: "found 1 out of it",
    },
    Damage {
        query: "SELECT slot, ids FROM id_buckets WHERE slot >> 24 = \
                (SELECT run FROM id_runs WHERE level > 1 LIMIT 1) LIMIT 1",
        how: |ids| ids.truncate(ids.len() - 8),
        update: BUCKET,
        found: "as many as are noted of it",
    },
    Damage {
        query: "SELECT slot, filter FROM id_filters WHERE slot >> 24 = \
                (SELECT run FROM id_runs WHERE level > 1 LIMIT 1) LIMIT 1",
        how: |parts| parts.iter_mut().for_each(|byte| *byte &= 0x7F),
        update: "UPDATE id_filters SET filter = ?2 WHERE slot = ?1",
        found: "tells of all its ids",
    },
];

/// What the auditor finds once books were damaged; they are mended afterwards.
async fn after(path: &std::path::Path, damage: Damage) -> Vec<String> {
    let books = Connection::open(path).expect("opens");
    let row = books.query_row(damage.query, [], |row| Ok((row.get(0)?, row.get(1)?)));
    let (slot, whole): (i64, Vec<u8>) = row.expect("a row");
    let mut bytes = whole.clone();
    (damage.how)(&mut bytes);
    assert_ne!(bytes, whole);
    let update = |bytes| books.execute(damage.update, rusqlite::params![slot, bytes]);
    assert_eq!(update(bytes), Ok(1));
    let store = SqliteStore::open(path).expect("opens");
    let findings = store.audit().await.expect("audits").findings;
    drop(store);
    assert_eq!(update(whole), Ok(1));
    findings.iter().map(ToString::to_string).collect()
}

fn count(booked: &mut [u32], round: u32, answers: &[lingqian_io::store::EventAnswer]) {
    let now = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Credited::Now(_))));
    booked[round as usize] += u32::try_from(now.count()).expect("few");
}
