//! The lane for events: who shares a commit, how many are under way, and whose turn it is.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use lingqian_core::command::Command;
use lingqian_core::earning::Credited;
use lingqian_core::id::UserId;
use lingqian_core::money::Micros;
use lingqian_core::time::Timestamp;
use lingqian_core::{Changes, EventBatch, EventView, Facts, Keys, Rejection};
use lingqian_engine::{Desk, DeskSettings};
use lingqian_io::store::{Audited, Claim, Committed, EventAnswer};
use lingqian_io::twin::{FaultPoint, MemoryStore};
use lingqian_io::{Browse as _, Fault, Store};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, yield_now};

use crate::world::World;

/// What a store was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    /// A commit of so many events began.
    Began(usize),
    /// It ended.
    Ended(usize),
    /// A batch of commands was committed.
    Commanded,
}

/// The twin behind a gate: a commit of events goes on when the test lets it.
#[derive(Clone)]
struct Gated {
    inner: MemoryStore,
    done: Arc<Mutex<VecDeque<Done>>>,
    gate: Arc<Semaphore>,
}

impl Gated {
    fn note(&self, done: Done) {
        let mut all = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_back(done);
    }

    /// What was done since the last look, after everybody did what they could.
    async fn seen(&self) -> Vec<Done> {
        for _ in 0..1_000 {
            yield_now().await;
        }
        let mut all = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        all.drain(..).collect()
    }

    /// Lets one commit go on.
    fn let_one(&self) {
        self.gate.add_permits(1);
    }
}

impl Store for Gated {
    async fn prefetch(&self, keys: Keys) -> Result<Facts, Fault> {
        self.inner.prefetch(keys).await
    }

    async fn commit(&self, basis: u64, changes: Changes) -> Result<Committed, Fault> {
        self.note(Done::Commanded);
        self.inner.commit(basis, changes).await
    }

    async fn earn(&self, now: Timestamp, events: EventBatch) -> Result<Vec<EventAnswer>, Fault> {
        let count = events.len();
        self.note(Done::Began(count));
        self.gate.acquire().await.expect("an open gate").forget();
        let answers = self.inner.earn(now, events).await;
        self.note(Done::Ended(count));
        answers
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<lingqian_core::id::PayoutId>, Fault> {
        self.inner.claim(claim).await
    }

    async fn audit(&self) -> Result<Audited, Fault> {
        self.inner.audit().await
    }
}

/// A desk before a gated store; batches of ten events begin beside another, 25 are the most.
async fn gated() -> (World, Gated, Desk) {
    let world = World::new().await;
    let store = Gated {
        inner: world.store.clone(),
        done: Arc::default(),
        gate: Arc::new(Semaphore::new(0)),
    };
    let settings = DeskSettings {
        events_max: 25,
        events_beside_min: 10,
        ..DeskSettings::default()
    };
    let (desk, work) = Desk::open(store.clone(), Arc::clone(&world.clock), settings);
    tokio::spawn(work);
    (world, store, desk)
}

fn event<'a>(event_id: &'a str, user: &'a str, micros: i64) -> EventView<'a> {
    EventView {
        source: "test",
        event_id,
        user,
        kind: "ad_view",
        amount: Some(Micros(micros)),
        occurred_at: None,
        from: None,
        reverses: None,
    }
}

/// Events of alice, named after the request, worth one micro-yuan each.
fn events(request: &str, count: usize) -> EventBatch {
    let mut batch = EventBatch::default();
    for number in 0..count {
        let event_id = format!("{request}-{number}");
        let pushed = batch.push(&event(&event_id, "alice", 1));
        pushed.expect("well formed");
    }
    batch
}

type Answers = Result<Vec<EventAnswer>, Fault>;

fn send(desk: &Desk, batch: EventBatch) -> JoinHandle<Answers> {
    let desk = desk.clone();
    tokio::spawn(async move { desk.submit_events(batch).await })
}

fn all_credited(answers: &Answers, count: usize) {
    let expected = vec![Ok(Credited::Now(Micros(1))); count];
    assert_eq!(answers, &Ok(expected));
}

#[tokio::test]
async fn the_first_is_not_kept_waiting_and_the_next_share_a_commit() {
    let (_, store, desk) = gated().await;
    let first = send(&desk, events("a", 1));
    assert_eq!(store.seen().await, [Done::Began(1)]);
    let others: Vec<_> = (1..=4)
        .map(|size| send(&desk, events(&format!("b{size}"), size - 1)))
        .collect();
    assert_eq!(store.seen().await, [], "too few to begin beside it");
    store.let_one();
    assert_eq!(store.seen().await, [Done::Ended(1), Done::Began(6)]);
    store.let_one();
    all_credited(&first.await.expect("no panic"), 1);
    for (other, count) in others.into_iter().zip(0..) {
        all_credited(&other.await.expect("no panic"), count);
    }
}

#[tokio::test]
async fn enough_events_begin_beside_a_commit_and_never_a_third() {
    let (_, store, desk) = gated().await;
    let first = send(&desk, events("first", 1));
    assert_eq!(store.seen().await, [Done::Began(1)]);
    let sizes = [9, 12, 8, 30, 3];
    let asked: Vec<_> = (0..)
        .zip(sizes)
        .map(|(number, size)| send(&desk, events(&format!("r{number}"), size)))
        .collect();
    assert_eq!(store.seen().await, [Done::Began(21)], "8 more do not fit");
    store.let_one();
    all_credited(&first.await.expect("no panic"), 1);
    assert_eq!(store.seen().await, [Done::Ended(1), Done::Began(8)]);
    for _ in 0..4 {
        store.let_one();
    }
    for (asked, size) in asked.into_iter().zip(sizes) {
        all_credited(&asked.await.expect("no panic"), size);
    }
    let seen = store.seen().await;
    assert!(
        seen.contains(&Done::Began(30)),
        "alone it may be larger: {seen:?}"
    );
}

#[tokio::test]
async fn commands_and_events_take_turns() {
    let (world, store, desk) = gated().await;
    let mut asked = vec![send(&desk, events("a", 1))];
    store.seen().await;
    asked.push(send(&desk, events("b", 20)));
    assert_eq!(store.seen().await, [Done::Began(20)]);
    let user = UserId::parse("bob").expect("valid");
    let register = Command::RegisterUser { user, name: None };
    let command = tokio::spawn({
        let desk = desk.clone();
        async move { desk.submit(register).await }
    });
    assert_eq!(store.seen().await, [], "both places are taken");
    asked.push(send(&desk, events("c", 20)));
    asked.push(send(&desk, events("d", 20)));
    store.let_one();
    assert_eq!(store.seen().await.len(), 1, "the command came before the c");
    store.let_one();
    let seen = store.seen().await;
    assert_eq!(
        seen[1..],
        [Done::Commanded, Done::Began(20), Done::Began(20)]
    );
    assert!(command.await.expect("no panic").expect("no fault").is_ok());
    store.let_one();
    store.let_one();
    for asked in asked {
        assert!(asked.await.expect("no panic").is_ok());
    }
    world.audited("after both lanes worked").await;
}

#[tokio::test]
async fn everybody_who_shares_a_commit_hears_of_its_fault_and_may_ask_again() {
    let (world, store, desk) = gated().await;
    let first = send(&desk, events("a", 1));
    assert_eq!(store.seen().await, [Done::Began(1)]);
    let shared = [send(&desk, events("b", 2)), send(&desk, events("c", 3))];
    store.seen().await;
    store.let_one();
    all_credited(&first.await.expect("no panic"), 1);
    world.store.fail_next(FaultPoint::CommitUnanswered);
    store.let_one();
    for asked in shared {
        let answer = asked.await.expect("no panic");
        assert!(matches!(answer, Err(Fault::Unknown(_))), "{answer:?}");
    }
    store.let_one();
    let again = desk.submit_events(events("c", 3)).await;
    assert_eq!(again, Ok(vec![Ok(Credited::Before); 3]));
    let earned = world.store.summary().await.expect("no fault").earned;
    assert_eq!(earned, (7, 10_000_006));
}

#[tokio::test]
async fn each_request_gets_its_own_answers_and_none_asks_for_none() {
    let (_, store, desk) = gated().await;
    assert_eq!(
        desk.submit_events(EventBatch::default()).await,
        Ok(Vec::new())
    );
    let first = send(&desk, events("a", 1));
    store.seen().await;
    let mut strange = EventBatch::default();
    for user in ["nobody", "alice"] {
        let pushed = strange.push(&event("strange", user, 7));
        pushed.expect("well formed");
    }
    let (same, strange) = (send(&desk, events("a", 2)), send(&desk, strange));
    store.seen().await;
    store.let_one();
    store.let_one();
    all_credited(&first.await.expect("no panic"), 1);
    let same = same.await.expect("no panic");
    assert_eq!(
        same,
        Ok(vec![Ok(Credited::Before), Ok(Credited::Now(Micros(1)))])
    );
    let strange = strange.await.expect("no panic");
    let expected = vec![Err(Rejection::UnknownUser), Ok(Credited::Now(Micros(7)))];
    assert_eq!(strange, Ok(expected));
}

#[tokio::test]
async fn a_caller_who_goes_away_stops_nobody_and_loses_no_effect() {
    let (world, store, desk) = gated().await;
    let first = send(&desk, events("a", 1));
    store.seen().await;
    let gone = send(&desk, events("b", 2));
    let stays = send(&desk, events("c", 2));
    store.seen().await;
    gone.abort();
    store.let_one();
    store.let_one();
    assert!(first.await.expect("no panic").is_ok());
    all_credited(&stays.await.expect("no panic"), 2);
    let earned = world.store.summary().await.expect("no fault").earned;
    assert_eq!(earned.0, 6);
}
