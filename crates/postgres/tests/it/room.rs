//! Partitions of entries, when one is full.

use lingqian_core::id::UserNo;
use lingqian_io::store::earn_by_commands;
use lingqian_io::{Browse as _, Store as _};

use crate::given::{NOON, batch, pair};
use crate::world::connect;

/// Rooms of ten entries each instead of millions.
const SMALL: &str = "
    ALTER TABLE entries DETACH PARTITION entries_00001;
    DROP TABLE entries_00001;
    DELETE FROM rooms;
    SELECT ensure_room(2, 10);";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_go_on_in_the_next_partition_whoever_finds_the_last_one_full() {
    let (first, second, url) = pair(3).await;
    let books = connect(&url).await;
    books.batch_execute(SMALL).await.expect("small rooms");
    let events = |name: &'static str, count: usize| {
        batch((0..count).map(move |event| (format!("{name}{event}"), 1 + event as i64 % 3)))
    };
    first
        .earn(NOON, events("a", 7))
        .await
        .expect("there is room");
    let (ours, theirs) = tokio::join!(
        first.earn(NOON, events("b", 25)),
        earn_by_commands(&second, NOON, events("c", 25))
    );
    assert!(ours.is_ok() && theirs.is_ok(), "{ours:?} {theirs:?}");
    let row = "SELECT count(*), count(DISTINCT tableoid), \
               (SELECT count(*) FROM rooms)::bigint FROM entries";
    let row = books.query_one(row, &[]).await.expect("a row");
    assert_eq!(
        (row.get(0), row.get(1)),
        (57_i64, 2_i64),
        "in two partitions"
    );
    let made: i64 = row.get(2);
    assert!(made >= 2, "{made}");
    let lines = first.statement(UserNo(1), None, 100).await.expect("lines");
    assert_eq!(
        lines.len(),
        3 + 9 + 9,
        "a statement goes through all of them"
    );
    assert_eq!(first.audit().await.expect("audits").findings, []);
    let refused = books.batch_execute("TRUNCATE entries_00002").await;
    let refused = refused.expect_err("append-only");
    let refused = refused
        .as_db_error()
        .map(|error| error.message().to_owned());
    assert_eq!(refused.as_deref(), Some("entries are append-only"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_that_several_ask_for_at_once_is_made_once() {
    let (_first, _second, url) = pair(1).await;
    let mut askers = Vec::new();
    for _ in 0..4 {
        let books = connect(&url).await;
        askers.push(tokio::spawn(async move {
            let ask = "SELECT ensure_room(100000000, 32000000)";
            books
                .query_one(ask, &[])
                .await
                .expect("made")
                .get::<_, i64>(0)
        }));
    }
    for asker in askers {
        assert_eq!(asker.await.expect("no panic"), 128_000_001);
    }
    let rooms = "SELECT count(*), min(first_seq), max(end_seq) FROM rooms";
    let rooms = connect(&url)
        .await
        .query_one(rooms, &[])
        .await
        .expect("a row");
    let rooms: (i64, i64, i64) = (rooms.get(0), rooms.get(1), rooms.get(2));
    assert_eq!(rooms, (4, 1, 128_000_001));
}
