//! Withdrawals in batches: whatever a store does to be fast, it answers and books what the same
//! requests would get as commands, one after the other.

use lingqian_core::command::IdempotencyKey;
use lingqian_core::earning::{Kind, Terms};
use lingqian_core::id::{KindCode, KindNo, PayoutId, Reference, UserId, UserNo};
use lingqian_core::money::{AMOUNT_MAX, Fen, Micros};
use lingqian_core::payout::{Asked, Queue, State};
use lingqian_core::risk::Policy;
use lingqian_core::time::Timestamp;
use lingqian_core::user::DayTotals;
use lingqian_core::withdrawal::{Wanted, Withdrawal};
use lingqian_core::{Changes, EventBatch, EventView, Keys, Outcome, Rejection};

use super::given::{
    DAY_MS, EARNED, NOON, audit, commit, held, key, look, opened, payout, refuse, user_id,
};
use crate::store::{Claim, EventAnswer, PayoutFilter, WithdrawalAnswer};
use crate::twin::{MemoryStore, SeededDice};
use crate::{Browse, Dice as _, Store};

pub(super) async fn exercise<S: Store + Browse>(make: &impl AsyncFn() -> S) {
    money_is_set_aside_once_per_key_and_reference(make().await).await;
    what_a_withdrawal_makes_is_there_for_everybody(make().await).await;
    many_at_once_are_each_what_they_are_alone(make().await).await;
    one_who_wants_all_gets_what_limits_and_cooling_leave(make().await).await;
    commands_and_batches_know_each_others_names(make().await).await;
    any_history_is_what_commands_would_have_made_of_it(make).await;
}

fn id(no: i64) -> PayoutId {
    PayoutId::new(NOON.after_ms(no), 7)
}

/// A request of user 1 for an amount, under a name of its own.
fn request(no: i64, fen: i64) -> Withdrawal {
    Withdrawal {
        payout: id(no),
        user: user_id(1),
        wanted: Wanted::Exactly(Fen(fen)),
        reference: Reference::parse(&format!("w-{no}")).expect("an id"),
        asked: Asked::ByRequest,
        key: None,
    }
}

fn keyed(no: i64, fen: i64, name: &str, digest: u8) -> Withdrawal {
    Withdrawal {
        key: Some((key(name), [digest; 32])),
        ..request(no, fen)
    }
}

fn named(no: i64, fen: i64, reference: &str) -> Withdrawal {
    Withdrawal {
        reference: Reference::parse(reference).expect("an id"),
        ..request(no, fen)
    }
}

async fn withdraw<S: Store>(
    store: &S,
    now: Timestamp,
    requests: &[Withdrawal],
) -> Vec<WithdrawalAnswer> {
    let policy = Policy::default();
    let answers = store.withdraw(now, &policy, requests.to_vec()).await;
    answers.expect("withdrawals are answered")
}

fn withdrawn(no: i64, fen: i64, at: Timestamp, replayed: bool) -> WithdrawalAnswer {
    Ok(Outcome::Withdrawn {
        payout: id(no),
        amount: Fen(fen),
        created_at: at,
        replayed,
    })
}

fn now(no: i64, fen: i64) -> WithdrawalAnswer {
    withdrawn(no, fen, NOON, false)
}

fn no(rejection: Rejection) -> WithdrawalAnswer {
    Err(rejection)
}

/// What a user has available and held.
async fn balances<S: Browse>(store: &S, no: i64) -> (Micros, Micros) {
    let wallet = store.user(&user_id(no), NOON.business_date()).await;
    let wallet = wallet.expect("a look").expect("a user");
    (wallet.available, wallet.held)
}

async fn money_is_set_aside_once_per_key_and_reference<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let mut stranger = request(4, 1);
    stranger.user = UserId::parse("stranger").expect("an id");
    let first = [
        keyed(1, 100, "k", 1),
        keyed(2, 100, "k", 1),
        keyed(3, 100, "k", 2),
        stranger,
        named(5, 1, "w-1"),
        request(6, 0),
        request(7, 9_901),
        request(8, 9_900),
        request(9, 1),
        request(10, i64::MAX),
    ];
    let max = AMOUNT_MAX;
    let expected = [
        now(1, 100),
        withdrawn(1, 100, NOON, true),
        no(Rejection::KeyReused),
        no(Rejection::UnknownUser),
        no(Rejection::ReferenceUsed),
        no(Rejection::AmountNotPositive),
        no(Rejection::InsufficientFunds),
        now(8, 9_900),
        no(Rejection::InsufficientFunds),
        no(Rejection::AmountOutOfRange { max }),
    ];
    assert_eq!(withdraw(&store, NOON, &first).await, expected);
    assert_eq!(balances(&store, 1).await, (Micros::ZERO, EARNED));
    let later = NOON.after_ms(DAY_MS);
    let mut elsewhere = keyed(14, 5, "k", 3);
    elsewhere.user = user_id(2);
    elsewhere.key = elsewhere.key.map(|(key, digest)| {
        let scope = "another".to_owned();
        (IdempotencyKey { scope, ..key }, digest)
    });
    // What was refused is remembered under no name.
    let mut again = request(7, 100);
    again.user = user_id(2);
    let second = [
        keyed(11, 100, "k", 1),
        keyed(12, 100, "k", 9),
        named(13, 1, "w-8"),
        elsewhere,
        again,
    ];
    let expected = [
        withdrawn(1, 100, NOON, true),
        no(Rejection::KeyReused),
        no(Rejection::ReferenceUsed),
        withdrawn(14, 5, later, false),
        withdrawn(7, 100, later, false),
    ];
    assert_eq!(withdraw(&store, later, &second).await, expected);
    assert_eq!(withdraw(&store, later, &[]).await, []);
    let audited = audit(&store, &[], "withdrawals").await;
    assert_eq!((audited.payouts, audited.entries), (4, 7));
}

async fn what_a_withdrawal_makes_is_there_for_everybody<S: Store + Browse>(store: S) {
    let (store, twin) = (opened(store).await, opened(MemoryStore::default()).await);
    let mut sweep = request(3, 30);
    (sweep.user, sweep.asked) = (user_id(2), Asked::BySweep);
    let requests = [keyed(1, 10, "k", 1), request(2, 20), sweep];
    withdraw(&store, NOON, &requests).await;
    withdraw(&twin, NOON, &requests).await;
    for no in 1..=3 {
        let found = store.payout(id(no)).await;
        assert_eq!(found, twin.payout(id(no)).await, "payout {no}");
        let story = found.expect("a look").expect("a payout");
        assert_eq!((story.history.len(), story.entries.len()), (1, 1));
    }
    let filters = [
        (None, None, 9),
        (Some("requested"), None, 2),
        (Some("approved"), None, 9),
        (None, Some(1), 9),
        (Some("requested"), Some(2), 9),
        (Some("paid"), Some(2), 9),
    ];
    for (state, user, limit) in filters {
        let filter = PayoutFilter {
            state: state.map(Into::into),
            user: user.map(user_id),
            before: None,
            limit,
        };
        let found = store.payouts(filter.clone()).await;
        assert_eq!(found, twin.payouts(filter.clone()).await, "{filter:?}");
    }
    assert_eq!(store.summary().await, twin.summary().await);
    let claim = Claim {
        queue: Queue::Assess,
        now: NOON,
        lease_until: NOON.after_ms(1),
        limit: 9,
    };
    let claimed = store.claim(claim).await;
    assert_eq!(claimed, Ok(vec![id(1), id(2), id(3)]));
    let asked = Keys {
        payouts: [id(1)].into(),
        ..Keys::default()
    };
    let facts = look(&store, asked).await;
    let found = facts.payout(id(1)).expect("a payout");
    assert_eq!((&found.state, found.version), (&State::Requested, 1));
}

/// More than a store may put into one statement, and some over.
async fn many_at_once_are_each_what_they_are_alone<S: Store + Browse>(store: S) {
    let (store, twin) = (opened(store).await, opened(MemoryStore::default()).await);
    let mut requests: Vec<Withdrawal> = (1..=77).map(|no| request(no, no)).collect();
    for one in requests.iter_mut().step_by(3) {
        (one.user, one.asked) = (user_id(2), Asked::BySweep);
    }
    for no in [5, 50] {
        requests[no].wanted = Wanted::Exactly(Fen(0));
    }
    let answers = withdraw(&store, NOON, &requests).await;
    assert_eq!(answers, withdraw(&twin, NOON, &requests).await);
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 75);
    same_books(&store, &twin, NOON).await;
}

async fn one_who_wants_all_gets_what_limits_and_cooling_leave<S: Store + Browse>(store: S) {
    let store = prepared(store).await;
    let all = |no, user| Withdrawal {
        wanted: Wanted::All,
        user: user_id(user),
        ..request(no, 0)
    };
    let totals = DayTotals {
        count: 1,
        amount: Fen(19_950),
    };
    let changes = Changes {
        day_totals: vec![(UserNo(2), NOON.business_date(), totals)],
        ..Changes::default()
    };
    commit(&store, changes).await;
    let events = [
        EventView {
            kind: "cooling",
            ..event("cool", 1, 5_000_000)
        },
        event("part", 3, 9_999),
    ];
    earn(&store, NOON, &events).await;
    let requests = [
        request(1, 10_001),
        all(2, 1),
        all(3, 1),
        all(4, 2),
        all(5, 3),
        all(6, 3),
    ];
    let min = Fen(10);
    let expected = [
        no(Rejection::InsufficientFunds),
        now(2, 10_000),
        no(Rejection::BelowMinimum { min }),
        now(4, 50),
        now(5, 10_000),
        no(Rejection::BelowMinimum { min }),
    ];
    assert_eq!(withdraw(&store, NOON, &requests).await, expected);
    assert_eq!(balances(&store, 3).await.0, Micros(9_999));
    let then = NOON.after_ms(2 * DAY_MS);
    let expected = [
        withdrawn(7, 500, then, false),
        withdrawn(8, 9_950, then, false),
    ];
    let requests = [all(7, 1), all(8, 2)];
    assert_eq!(withdraw(&store, then, &requests).await, expected);
}

async fn commands_and_batches_know_each_others_names<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    // One whose hold is in the same commit, and one that has none.
    commit(&store, held(payout(1, State::Requested))).await;
    let mut bare = held(payout(2, State::Requested));
    bare.entries.clear();
    commit(&store, bare).await;
    let requests = [named(1, 1, "order-1"), named(2, 1, "order-2")];
    let used = || no(Rejection::ReferenceUsed);
    assert_eq!(withdraw(&store, NOON, &requests).await, [used(), used()]);
    let requests = [named(3, 1, "order-3"), keyed(4, 2, "k", 1)];
    let answers = withdraw(&store, NOON, &requests).await;
    assert_eq!(answers, [now(3, 1), now(4, 2)]);
    refuse(&store, held(payout(3, State::Requested)), "a name once").await;
    let keys = Keys {
        references: [requests[0].reference.clone(), request(5, 1).reference].into(),
        idempotency: [key("k"), key("l")].into(),
        ..Keys::default()
    };
    let facts = look(&store, keys).await;
    assert!(facts.reference_used(&requests[0].reference));
    assert!(!facts.reference_used(&request(5, 1).reference));
    let answer = facts.answer(&key("k")).expect("an answer");
    assert_eq!((answer.payout, answer.digest), (id(4), [1; 32]));
    assert_eq!((answer.amount, answer.created_at), (Fen(2), NOON));
    assert_eq!(facts.answer(&key("l")), None);
    // Facts that were read before a withdrawal are no longer true.
    withdraw(&store, NOON, &[keyed(5, 3, "l", 1)]).await;
    let late = held(payout(6, State::Requested));
    let committed = store.commit(facts.basis, late).await;
    assert_eq!(committed, Ok(crate::store::Committed::Conflict));
}

/// An event of the plain kind.
fn event(id: &str, no: usize, micros: i64) -> EventView<'_> {
    EventView {
        source: "game",
        event_id: id,
        user: USERS[no],
        kind: "ad_view",
        amount: Some(Micros(micros)),
        occurred_at: None,
        from: None,
        reverses: None,
    }
}

const USERS: [&str; 5] = ["nobody", "user-1", "user-2", "user-3", "stranger"];

async fn earn<S: Store>(store: &S, now: Timestamp, events: &[EventView<'_>]) -> Vec<EventAnswer> {
    let mut batch = EventBatch::default();
    for event in events {
        batch.push(event).expect("well formed");
    }
    store.earn(now, batch).await.expect("events are answered")
}

/// Opened books with a kind that cools off for two days.
async fn prepared<S: Store>(store: S) -> S {
    let store = opened(store).await;
    let terms = Terms {
        cooling_days: 2,
        ..Terms::default()
    };
    let cooling = Kind {
        no: KindNo(9),
        code: KindCode::parse("cooling").expect("an id"),
        price: None,
        amount_max: AMOUNT_MAX,
        tax_class: "incidental".into(),
        terms,
    };
    let changes = Changes {
        kinds: vec![cooling],
        ..Changes::default()
    };
    commit(&store, changes).await;
    store
}

/// Chance for one history.
struct Chance(SeededDice);

impl Chance {
    fn below(&self, limit: i64) -> i64 {
        let roll = self.0.roll() % u128::from(limit.unsigned_abs());
        i64::try_from(roll).unwrap_or(0)
    }

    /// A request that is likely to meet others.
    fn request(&self, no: i64) -> Withdrawal {
        let user = USERS[usize::try_from(1 + self.below(4)).unwrap_or(1)];
        let exactly = Wanted::Exactly(Fen(self.below(60) - 2));
        let digest = [u8::from(self.below(6) == 0); 32];
        let name = format!("k{}", self.below(80));
        Withdrawal {
            user: UserId::parse(user).expect("an id"),
            wanted: if self.below(12) == 0 {
                Wanted::All
            } else {
                exactly
            },
            key: (self.below(2) == 0).then(|| (key(&name), digest)),
            ..named(no, 0, &format!("r{}", self.below(150)))
        }
    }
}

async fn any_history_is_what_commands_would_have_made_of_it<S: Store + Browse>(
    make: &impl AsyncFn() -> S,
) {
    for seed in 0..4 {
        let (store, twin) = (make().await, MemoryStore::default());
        let (store, twin) = (prepared(store).await, prepared(twin).await);
        let chance = Chance(SeededDice::new(seed));
        let (mut now, mut made) = (NOON, 0);
        for round in 0..20 {
            let ids: Vec<String> = (0..20).map(|no| format!("e{round}-{}", no % 15)).collect();
            let event = |id| EventView {
                kind: ["ad_view", "cooling"][usize::from(chance.below(3) == 0)],
                ..event(
                    id,
                    1 + usize::from(chance.below(2) == 0),
                    chance.below(90_000),
                )
            };
            let events: Vec<EventView<'_>> = ids.iter().map(|id| event(id.as_str())).collect();
            let found = earn(&store, now, &events).await;
            assert_eq!(found, earn(&twin, now, &events).await, "seed {seed}");
            let size = chance.below(30);
            let requests: Vec<_> = (made..made + size).map(|no| chance.request(no)).collect();
            made += size;
            let found = withdraw(&store, now, &requests).await;
            let expected = withdraw(&twin, now, &requests).await;
            for ((request, found), expected) in requests.iter().zip(&found).zip(&expected) {
                assert_eq!(found, expected, "seed {seed}, round {round}: {request:?}");
            }
            now = now.after_ms(chance.below(20) * 3_600_000);
        }
        same_books(&store, &twin, now).await;
    }
}

/// Expects two stores to show the same.
async fn same_books<S: Store + Browse>(store: &S, twin: &MemoryStore, now: Timestamp) {
    let all = PayoutFilter {
        limit: 1_000,
        ..PayoutFilter::default()
    };
    let payouts = store.payouts(all.clone()).await;
    assert_eq!(payouts, twin.payouts(all).await);
    for row in payouts.expect("a look") {
        let (found, expected) = (
            store.payout(row.payout.id).await,
            twin.payout(row.payout.id).await,
        );
        assert_eq!(found, expected);
    }
    for no in 1..=3 {
        let day = now.business_date();
        let (found, expected) = (
            store.user(&user_id(no), day).await,
            twin.user(&user_id(no), day).await,
        );
        assert_eq!(found, expected, "the wallet of user {no}");
        let found = store.statement(UserNo(no), None, 2_000).await;
        let expected = twin.statement(UserNo(no), None, 2_000).await;
        assert_eq!(found, expected, "the statement of user {no}");
    }
    assert_eq!(store.summary().await, twin.summary().await);
    assert_eq!(store.audit().await, twin.audit().await);
    audit(store, &[], "a history").await;
}
