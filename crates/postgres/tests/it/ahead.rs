//! Batches that are decided on while the one before is still being written.

use std::time::Duration;

use lingqian_core::earning::{Kind, Terms};
use lingqian_core::id::{KindCode, KindNo};
use lingqian_core::money::Micros;
use lingqian_core::{Changes, EventBatch, EventView, Notes};
use lingqian_io::store::EventAnswer;
use lingqian_io::twin::MemoryStore;
use lingqian_io::{Browse as _, Store};
use lingqian_postgres::PostgresStore;
use tokio_postgres::Client;

use crate::given::{NOON, kind, letter, pair, user};
use crate::world::connect;

/// Kinds beside the plain one: capped, cooling off, between users.
fn kinds() -> Vec<Kind> {
    let other = |no, code, terms| Kind {
        no: KindNo(no),
        code: KindCode::parse(code).expect("an id"),
        terms,
        ..kind(None)
    };
    let plain = Terms::default();
    let capped = Terms {
        user_day_count_max: Some(2),
        ..plain
    };
    let cooling = Terms {
        cooling_days: 2,
        ..plain
    };
    let between = Terms {
        between_users: true,
        ..plain
    };
    vec![
        kind(None),
        other(2, "capped", capped),
        other(3, "cooling", cooling),
        other(4, "gift", between),
    ]
}

fn event<'a>(id: &'a str, kind: &'a str, amount: i64) -> EventView<'a> {
    EventView {
        source: "app",
        event_id: id,
        user: "u1",
        kind,
        amount: Some(Micros(amount)),
        occurred_at: None,
        from: None,
        reverses: None,
    }
}

fn back<'a>(id: &'a str, of: &'a str, amount: i64) -> EventView<'a> {
    EventView {
        reverses: Some(of),
        ..event(id, "ad_view", amount)
    }
}

fn gift<'a>(id: &'a str, amount: i64) -> EventView<'a> {
    EventView {
        user: "u2",
        from: Some("u1"),
        ..event(id, "gift", amount)
    }
}

fn batch(events: &[EventView<'_>]) -> EventBatch {
    let mut batch = EventBatch::default();
    for event in events {
        batch.push(event).expect("well formed");
    }
    batch
}

/// What leaves something behind, and what meets it.
fn first() -> EventBatch {
    batch(&[
        event("plain", "ad_view", 100),
        event("half", "ad_view", 100),
        back("half-back", "half", 60),
        event("capped-1", "capped", 10),
        event("cooling", "cooling", 500),
    ])
}

fn second() -> EventBatch {
    batch(&[
        // Known, and known with another content.
        event("plain", "ad_view", 100),
        event("plain", "ad_view", 101),
        // 40 are left of it, and nothing then.
        back("half-back", "half", 60),
        back("more-back", "half", 41),
        back("rest-back", "half", 40),
        // One is left of the day.
        event("capped-2", "capped", 10),
        event("capped-3", "capped", 10),
        // 120 do not cool off.
        gift("too-much", 121),
        gift("all", 120),
        event("capped-1", "capped", 10),
    ])
}

/// What is left for a batch after both.
fn third() -> EventBatch {
    batch(&[
        gift("again", 1),
        event("last", "ad_view", 7),
        gift("then", 7),
    ])
}

async fn prepare<S: Store>(store: &S) {
    let changes = Changes {
        kinds: kinds(),
        users: vec![user(1), user(2)],
        ..Changes::default()
    };
    let basis = store.prefetch(lingqian_core::Keys::default()).await;
    let basis = basis.expect("facts").basis;
    store.commit(basis, changes).await.expect("committed");
}

/// What the same batches are answered one after the other.
async fn expected() -> Vec<Vec<EventAnswer>> {
    answers_to([first(), second(), third()]).await
}

async fn answers_to(batches: impl IntoIterator<Item = EventBatch>) -> Vec<Vec<EventAnswer>> {
    let twin = MemoryStore::default();
    prepare(&twin).await;
    let mut answers = Vec::new();
    for batch in batches {
        answers.push(twin.earn(NOON, batch).await.expect("answered"));
    }
    answers
}

async fn prepared() -> (PostgresStore, PostgresStore, String) {
    let (ours, theirs, url) = pair(0).await;
    prepare(&ours).await;
    (ours, theirs, url)
}

/// Waits until so many of the other connections wait for a lock.
async fn until_waiting(client: &Client, count: i64) {
    let query = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    for _ in 0..2_000 {
        let row = client.query_one(query, &[]).await.expect("a count");
        if row.get::<_, i64>(0) >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("nobody waits");
}

/// Has the store try a batch, and waits until that one waits too.
async fn stuck(
    (looker, count): (&Client, i64),
    (store, batch): (&PostgresStore, EventBatch),
) -> tokio::task::JoinHandle<Vec<EventAnswer>> {
    let earned = earn(store, batch);
    until_waiting(looker, count).await;
    earned
}

fn earn(store: &PostgresStore, batch: EventBatch) -> tokio::task::JoinHandle<Vec<EventAnswer>> {
    let store = store.clone();
    tokio::spawn(async move { store.earn(NOON, batch).await.expect("answered") })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_meets_what_the_one_before_is_about_to_leave() {
    // Names that are taken twice would be noticed by the table; what is refused, by nothing else.
    let taken_back = || batch(&[back("rest-back", "half", 40)]);
    let refused = || {
        batch(&[
            event("plain", "ad_view", 101),
            back("more-back", "half", 41),
        ])
    };
    for second in [second(), taken_back(), refused()] {
        let all = [first(), second, third()];
        let expected = answers_to(all.clone()).await;
        let [first, second, third] = all;
        let (store, _, url) = prepared().await;
        let (holder, looker) = (connect(&url).await, connect(&url).await);
        // The first has the end of the chain and cannot finish; the second is decided on meanwhile.
        let hold = "BEGIN; LOCK TABLE batches IN SHARE MODE";
        holder.batch_execute(hold).await.expect("held");
        let one = stuck((&looker, 1), (&store, first)).await;
        let two = stuck((&looker, 2), (&store, second)).await;
        holder.batch_execute("COMMIT").await.expect("let go");
        assert_eq!(one.await.expect("no panic"), expected[0]);
        assert_eq!(two.await.expect("no panic"), expected[1]);
        assert_eq!(earn(&store, third).await.expect("no panic"), expected[2]);
        assert_eq!(store.audit().await.expect("audits").findings, []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_decided_anew_when_another_process_came_in_between() {
    let expected = expected().await;
    let (ours, theirs, url) = prepared().await;
    let (holder, looker) = (connect(&url).await, connect(&url).await);
    // Both are decided on while nobody may commit: each as if it were the first.
    let hold = "BEGIN; SELECT FROM chain_head FOR UPDATE";
    holder.batch_execute(hold).await.expect("held");
    let one = stuck((&looker, 1), (&ours, first())).await;
    let two = stuck((&looker, 2), (&theirs, second())).await;
    holder.batch_execute("COMMIT").await.expect("let go");
    assert_eq!(one.await.expect("no panic"), expected[0]);
    assert_eq!(two.await.expect("no panic"), expected[1]);
    assert_eq!(ours.audit().await.expect("audits").findings, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_decided_anew_when_the_one_before_failed() {
    let expected = expected().await;
    let (store, _, url) = prepared().await;
    let (holder, looker) = (connect(&url).await, connect(&url).await);
    let hold = "BEGIN; LOCK TABLE batches IN SHARE MODE";
    holder.batch_execute(hold).await.expect("held");
    let failing = store.clone();
    let one = tokio::spawn(async move { failing.earn(NOON, first()).await });
    until_waiting(&looker, 1).await;
    let two = stuck((&looker, 2), (&store, second())).await;
    let end = "SELECT pg_terminate_backend(l.pid) FROM pg_locks l
        WHERE l.relation = 'batches'::regclass AND NOT l.granted";
    looker.batch_execute(end).await.expect("ended");
    assert!(
        one.await.expect("no panic").is_err(),
        "its connection is gone"
    );
    holder.batch_execute("COMMIT").await.expect("let go");
    let alone = two.await.expect("no panic");
    assert_ne!(alone, expected[1], "what it was decided on never came");
    assert!(alone[0].is_ok(), "{alone:?}");
    assert_eq!(store.audit().await.expect("audits").findings, []);
}

#[tokio::test]
async fn notes_are_written_while_a_batch_is_under_way_and_make_nobody_decide_anew() {
    let (store, other, url) = prepared().await;
    let holder = connect(&url).await;
    let basis = store.prefetch(lingqian_core::Keys::default()).await;
    let basis = basis.expect("facts").basis;
    let hold = "BEGIN; SELECT FROM chain_head FOR UPDATE";
    holder.batch_execute(hold).await.expect("held");
    let notes = Notes {
        dead_letters: letter("beside it").dead_letters,
        ..Notes::default()
    };
    other.note(notes).await.expect("nobody is waited for");
    holder.batch_execute("COMMIT").await.expect("let go");
    let head = "SELECT batch_no FROM chain_head";
    let before: i64 = holder.query_one(head, &[]).await.expect("a row").get(0);
    assert_eq!(before, 2, "no batch of their own");
    let done = store.commit(basis, letter("after it")).await;
    assert_eq!(done, Ok(lingqian_io::store::Committed::Done));
    assert_eq!(store.dead_letters(9).await.expect("letters").len(), 2);
    assert_eq!(store.audit().await.expect("audits").findings, []);
}
