//! Work that waits, and leases on it.

use lingqian_core::Changes;
use lingqian_core::changes::Work;
use lingqian_core::id::PayoutId;
use lingqian_core::payout::{Queue, State};
use lingqian_core::time::Timestamp;

use super::given::{NOON, attempt, audit, commit, held, opened, payout, payout_id, waits};
use crate::store::Claim;
use crate::{Browse, Store};

pub(super) async fn exercise<S: Store + Browse>(make: &impl AsyncFn() -> S) {
    due_work_is_leased_oldest_first_and_within_the_limit(make().await).await;
    a_lease_ends_by_itself(make().await).await;
    a_commit_ends_the_lease_with_the_work(make().await).await;
    work_is_replaced_kept_and_taken_away(make().await).await;
}

async fn claim<S: Store>(store: &S, queue: Queue, now: Timestamp, limit: u32) -> Vec<PayoutId> {
    let claim = Claim {
        queue,
        now,
        lease_until: now.after_ms(1_000),
        limit,
    };
    store.claim(claim).await.expect("a claim")
}

/// The payout with something to wait for.
async fn put<S: Store>(store: &S, no: i64, state: State, work: Option<Work>) {
    let changes = Changes {
        payouts: vec![(payout(no, state), work)],
        ..Changes::default()
    };
    commit(store, changes).await;
}

async fn requested<S: Store>(store: &S, no: i64, due_at: Timestamp) {
    commit(store, held(payout(no, State::Requested))).await;
    put(store, no, State::Requested, waits(Queue::Assess, due_at)).await;
}

fn ids(numbers: &[i64]) -> Vec<PayoutId> {
    numbers.iter().map(|no| payout_id(*no)).collect()
}

async fn due_work_is_leased_oldest_first_and_within_the_limit<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    assert_eq!(claim(&store, Queue::Assess, NOON, 9).await, []);
    for (no, due_in) in [(1, 0), (2, -30), (3, -10), (4, 1), (5, -20)] {
        requested(&store, no, NOON.after_ms(due_in)).await;
    }
    assert_eq!(claim(&store, Queue::Send, NOON, 9).await, []);
    assert_eq!(claim(&store, Queue::Assess, NOON, 0).await, []);
    assert_eq!(claim(&store, Queue::Assess, NOON, 2).await, ids(&[2, 5]));
    assert_eq!(claim(&store, Queue::Assess, NOON, 9).await, ids(&[3, 1]));
    assert_eq!(claim(&store, Queue::Assess, NOON, 9).await, []);
    let later = NOON.after_ms(1);
    assert_eq!(claim(&store, Queue::Assess, later, 9).await, ids(&[4]));
    let summary = store.summary().await.expect("a summary");
    assert_eq!(summary.waiting, [(Queue::Assess, 5)], "leased work waits");
}

async fn a_lease_ends_by_itself<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    requested(&store, 1, NOON).await;
    assert_eq!(claim(&store, Queue::Assess, NOON, 1).await, ids(&[1]));
    let (before, end) = (NOON.after_ms(999), NOON.after_ms(1_000));
    assert_eq!(claim(&store, Queue::Assess, before, 1).await, []);
    assert_eq!(claim(&store, Queue::Assess, end, 1).await, ids(&[1]));
    assert_eq!(claim(&store, Queue::Assess, end, 1).await, []);
}

async fn a_commit_ends_the_lease_with_the_work<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    requested(&store, 1, NOON).await;
    assert_eq!(claim(&store, Queue::Assess, NOON, 1).await, ids(&[1]));
    // A change of something else keeps the wait as it is, with its lease.
    put(&store, 1, State::Requested, None).await;
    assert_eq!(claim(&store, Queue::Assess, NOON, 1).await, []);
    put(&store, 1, State::Approved, waits(Queue::Send, NOON)).await;
    assert_eq!(claim(&store, Queue::Assess, NOON, 1).await, []);
    assert_eq!(claim(&store, Queue::Send, NOON, 1).await, ids(&[1]));
    put(&store, 1, State::Approved, waits(Queue::Send, NOON)).await;
    assert_eq!(claim(&store, Queue::Send, NOON, 1).await, ids(&[1]));
}

async fn work_is_replaced_kept_and_taken_away<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let waiting = async |expected: &[(Queue, u64)]| {
        let summary = store.summary().await.expect("a summary");
        let mut found = summary.waiting;
        found.sort_unstable();
        assert_eq!(found, expected);
        audit(&store, &[], "work").await;
    };
    requested(&store, 1, NOON).await;
    requested(&store, 2, NOON).await;
    waiting(&[(Queue::Assess, 2)]).await;
    let sending = State::Sending(attempt(1));
    put(&store, 1, sending.clone(), waits(Queue::Ask, NOON)).await;
    waiting(&[(Queue::Assess, 1), (Queue::Ask, 1)]).await;
    put(&store, 1, sending, None).await;
    waiting(&[(Queue::Assess, 1), (Queue::Ask, 1)]).await;
    let mut ended = held(payout(1, State::Expired(attempt(1))));
    ended.entries.remove(0);
    commit(&store, ended).await;
    waiting(&[(Queue::Assess, 1)]).await;
    assert_eq!(claim(&store, Queue::Ask, NOON, 1).await, []);
}
