//! What people look at: statements, sweeps, the summary.

use lingqian_core::Changes;
use lingqian_core::control::{Act, Actor, Scope, Stop, StopCause};
use lingqian_core::id::{KindNo, UserNo};
use lingqian_core::ledger::{Account, Cause};
use lingqian_core::money::Micros;
use lingqian_core::payout::{Payout, Queue, State};

use super::given::{
    EARNED, KIND, MERCHANT, NOON, attempt, commit, earned, entry, held, kind, opened, payout,
    payout_id, user, user_id,
};
use crate::store::Summary;
use crate::{Browse, Store};

pub(super) async fn exercise<S: Store + Browse>(make: &impl AsyncFn() -> S) {
    a_statement_is_newest_first_says_why_and_can_be_paged(make().await).await;
    sweepable_users_come_by_number_from_the_threshold_on(make().await).await;
    the_summary_adds_up(make().await).await;
}

async fn a_statement_is_newest_first_says_why_and_can_be_paged<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    commit(&store, held(payout(1, State::Paid(attempt(1), NOON)))).await;
    let (mut earning, posted) = earned("undated", 1, Micros(3));
    earning.occurred_at = None;
    let changes = Changes {
        earnings: vec![(earning, posted), earned("of-another", 2, Micros(4))],
        ..Changes::default()
    };
    commit(&store, changes).await;
    let page = async |before, limit| {
        let lines = store.statement(UserNo(1), before, limit).await;
        lines.expect("a statement")
    };
    let all = page(None, 10).await;
    let told: Vec<_> = all
        .iter()
        .map(|line| (line.seq, line.entry.cause(), line.entry.payout()))
        .collect();
    let id = Some(payout_id(1));
    let expected = [
        (6, Cause::Earn, None),
        (5, Cause::Settle, id),
        (4, Cause::Hold, id),
        (1, Cause::Earn, None),
    ];
    assert_eq!(told, expected);
    let whys: Vec<_> = all
        .iter()
        .map(|line| (line.kind.clone(), line.event.clone(), line.occurred_at))
        .collect();
    let why = |event: &str, at| {
        let event = ("game".to_owned(), event.to_owned());
        (Some(kind().code), Some(event), at)
    };
    let nothing = (None, None, None);
    let expected = [
        why("undated", None),
        nothing.clone(),
        nothing,
        why("opening-1", Some(NOON.after_ms(-1_500))),
    ];
    assert_eq!(whys, expected);
    assert_eq!(page(None, 2).await, all[..2]);
    assert_eq!(page(Some(5), 1).await, all[2..3]);
    assert_eq!(page(Some(4), 9).await, all[3..]);
    assert_eq!(page(Some(1), 9).await, []);
    let stranger = store.statement(UserNo(99), None, 9).await;
    assert_eq!(stranger, Ok(Vec::new()));
}

async fn sweepable_users_come_by_number_from_the_threshold_on<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let changes = Changes {
        users: vec![user(4)],
        earnings: vec![
            earned("a-bit", 2, Micros(1)),
            earned("little", 4, Micros(5)),
        ],
        ..Changes::default()
    };
    commit(&store, changes).await;
    let sweep = async |threshold, after, limit| {
        let found = store.sweepable(threshold, UserNo(after), limit).await;
        let found = found.expect("a look");
        for (no, id) in &found {
            assert_eq!(*id, user_id(no.0));
        }
        let numbers: Vec<i64> = found.iter().map(|(no, _)| no.0).collect();
        numbers
    };
    let more = EARNED.plus(Micros(1)).expect("in range");
    assert_eq!(sweep(Micros(5), 0, 9).await, [1, 2, 3, 4]);
    assert_eq!(sweep(EARNED, 0, 9).await, [1, 2, 3]);
    assert_eq!(sweep(more, 0, 9).await, [2]);
    assert_eq!(sweep(EARNED, 1, 1).await, [2]);
    assert_eq!(sweep(EARNED, 3, 9).await, []);
    // What is held cannot be swept.
    commit(&store, held(payout(1, State::Requested))).await;
    assert_eq!(sweep(EARNED, 0, 9).await, [2, 3]);
}

async fn the_summary_adds_up<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let (settled, top_up) = (
        (Account::Clearing(MERCHANT), Account::Fees),
        (Account::Float(MERCHANT), Account::Funding(KindNo::TOP_UP)),
    );
    let mut changes = held(payout(1, State::Requested));
    changes.append(held(payout(2, State::Requested)));
    changes.append(held(payout(3, State::Paid(attempt(3), NOON))));
    changes.append(held(payout(4, State::Cancelled(None))));
    changes
        .entries
        .push(entry(settled, Micros(7), Cause::Unexplained, None));
    changes
        .entries
        .push(entry(top_up, Micros(9), Cause::TopUp, None));
    commit(&store, changes).await;
    let mut found = store.summary().await.expect("a summary");
    found.payouts.sort();
    found.accounts.sort();
    found.waiting.sort_unstable();
    let name = |name: &str| name.to_owned();
    let expected = Summary {
        users: (3, 1),
        earned: (3, 300_000_000),
        dead_letters: 0,
        payouts: vec![
            (name("cancelled"), 1, 100),
            (name("paid"), 1, 100),
            (name("requested"), 2, 200),
        ],
        accounts: vec![
            (Account::Funding(KindNo::TOP_UP), Micros(9)),
            (Account::Funding(KIND), Micros(-300_000_000)),
            (Account::Clearing(MERCHANT), Micros(1_000_000 - 7)),
            (Account::Float(MERCHANT), Micros(-9)),
            (Account::Fees, Micros(7)),
        ],
        users_hold: (297_000_000, 2_000_000),
        users_owe: 0,
        open_breaks: 0,
        waiting: vec![(Queue::Assess, 2)],
    };
    assert_eq!(found, expected);
    let mut standing = store.standing().await.expect("totals");
    standing.payouts.sort();
    standing.accounts.sort();
    assert_eq!(standing.payouts, expected.payouts);
    assert_eq!(standing.accounts, expected.accounts);
    assert_eq!(standing.lifted_at, None);
    totals_follow_payouts(&store).await;
}

/// What is kept is what would be counted, whatever a payout becomes and in however many steps.
async fn totals_follow_payouts<S: Store + Browse>(store: &S) {
    let later = |version, payout| Payout { version, ..payout };
    let approved = later(2, payout(1, State::Approved));
    let sending = later(3, payout(1, State::Sending(attempt(1))));
    let refused = later(2, payout(2, State::Refused(Vec::new())));
    let payouts = [approved, sending, refused];
    let mut changes = Changes {
        payouts: payouts.map(|payout| (payout, None)).into(),
        ..Changes::default()
    };
    changes.entries.push(entry(
        (Account::Held(UserNo(1)), Account::Available(UserNo(1))),
        Micros(1_000_000),
        Cause::Release,
        Some(payout_id(2)),
    ));
    commit(store, changes).await;
    let mut totals = store.standing().await.expect("totals").payouts;
    totals.sort();
    let name = |name: &str| name.to_owned();
    let expected = [
        (name("cancelled"), 1, 100),
        (name("paid"), 1, 100),
        (name("refused"), 1, 100),
        (name("sending"), 1, 100),
    ];
    assert_eq!(totals, expected);
    let lifted = Stop {
        scope: Scope::All,
        cause: StopCause::Person,
        act: Act::new(Actor::engine(), "a test").expect("a reason"),
        since: NOON,
        probe_at: None,
        probes: 0,
        lifted_at: Some(NOON.after_ms(5)),
    };
    let changes = Changes {
        stops: vec![lifted],
        ..Changes::default()
    };
    commit(store, changes).await;
    let standing = store.standing().await.expect("totals");
    assert_eq!(standing.lifted_at, Some(NOON.after_ms(5)));
}
