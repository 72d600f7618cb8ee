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
}

fn count(booked: &mut [u32], round: u32, answers: &[lingqian_io::store::EventAnswer]) {
    let now = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Credited::Now(_))));
    booked[round as usize] += u32::try_from(now.count()).expect("few");
}
