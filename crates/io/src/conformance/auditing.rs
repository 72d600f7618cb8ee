//! The audit sees what is wrong. A store refuses some corruptions; the others can be planted
//! with a commit, and here each of them is.

use lingqian_core::Changes;
use lingqian_core::audit::Invariant;
use lingqian_core::id::UserNo;
use lingqian_core::ledger::{Account, Cause};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::payout::{Payout, Queue, State};
use lingqian_core::reconcile::Bill;
use lingqian_core::user::DayTotals;

use super::given::{
    KIND, MERCHANT, NOON, attempt, audit, commit, earned, entry, held, opened, payout, payout_id,
    waits,
};
use crate::{Browse, Store};

pub(super) async fn exercise<S: Store + Browse>(make: &impl AsyncFn() -> S) {
    for (story, changes, broken) in corruptions() {
        let store = opened(make().await).await;
        audit(&store, &[], "before anything is planted").await;
        commit(&store, changes).await;
        audit(&store, &broken, story).await;
    }
    an_audit_counts_what_it_looked_at(make().await).await;
}

type Corruption = (&'static str, Changes, Vec<Invariant>);

fn corruptions() -> Vec<Corruption> {
    let mut all = about_holds();
    all.extend(about_earnings());
    all.extend(about_work_and_days());
    all.extend(about_bills());
    all
}

fn about_holds() -> Vec<Corruption> {
    let paid = || payout(1, State::Paid(attempt(1), NOON));
    let requested = || payout(1, State::Requested);
    let without = |mut changes: Changes, place: usize| {
        changes.entries.remove(place);
        changes
    };
    let with = |mut changes: Changes, debit, credit, cause| {
        let id = Some(payout_id(1));
        let amount = Micros(1_000_000);
        changes
            .entries
            .push(entry((debit, credit), amount, cause, id));
        changes
    };
    let (available, in_hold) = (Account::Available(UserNo(1)), Account::Held(UserNo(1)));
    let clearing = Account::Clearing(MERCHANT);
    let dearer = Payout {
        amount: Fen(101),
        ..requested()
    };
    let mut two = held(payout(2, State::Requested));
    two.append(held(paid()));
    vec![
        (
            "a payout without a hold",
            without(held(requested()), 0),
            vec![Invariant::OneHold],
        ),
        (
            "a hold of another amount",
            Changes {
                payouts: held(dearer).payouts,
                ..held(requested())
            },
            vec![Invariant::OneHold],
        ),
        (
            "two holds",
            with(held(requested()), available, in_hold, Cause::Hold),
            vec![Invariant::OneHold],
        ),
        (
            "a hold without a payout",
            Changes {
                payouts: Vec::new(),
                ..held(requested())
            },
            vec![Invariant::OneHold],
        ),
        (
            "paid, and the money is still held",
            without(held(paid()), 1),
            vec![Invariant::HoldMatchesState],
        ),
        (
            "under way, and the money is back",
            with(held(requested()), in_hold, available, Cause::Release),
            vec![Invariant::HoldMatchesState],
        ),
        (
            "paid twice, the second time from another hold",
            with(two, in_hold, clearing, Cause::Settle),
            vec![Invariant::HoldMatchesState],
        ),
    ]
}

fn about_earnings() -> Vec<Corruption> {
    let (_, without_event) = earned("none", 1, Micros(10));
    vec![(
        "money earned without an event",
        Changes {
            entries: vec![without_event.first],
            ..Changes::default()
        },
        vec![Invariant::EarningsAreEntries],
    )]
}

fn about_work_and_days() -> Vec<Corruption> {
    let day = NOON.business_date();
    let totals = DayTotals {
        count: 1,
        amount: Fen(100),
    };
    let idle = Changes {
        payouts: vec![(payout(1, State::Requested), None)],
        ..held(payout(1, State::Requested))
    };
    let ended = || payout(1, State::Expired(attempt(1)));
    let restless = Changes {
        payouts: vec![(ended(), waits(Queue::Ask, NOON))],
        ..held(ended())
    };
    let counted = Payout {
        counted_on: Some(day),
        ..payout(1, State::Approved)
    };
    vec![
        (
            "unfinished, and nobody will look",
            idle,
            vec![Invariant::WorkMatchesState],
        ),
        (
            "ended, and somebody will look",
            restless,
            vec![Invariant::WorkMatchesState],
        ),
        (
            "a day that nothing counts towards",
            Changes {
                day_totals: vec![(UserNo(2), day, totals)],
                ..Changes::default()
            },
            vec![Invariant::DayTotalsAreSums],
        ),
        (
            "a payout that counts towards a day without totals",
            held(counted),
            vec![Invariant::DayTotalsAreSums],
        ),
    ]
}

fn about_bills() -> Vec<Corruption> {
    let billed = Payout {
        billed: Fen(100),
        ..payout(1, State::Paid(attempt(1), NOON))
    };
    let bill = |days: i64, opening, closing, came_in| Bill {
        merchant: MERCHANT,
        date: NOON.after_ms(days * 86_400_000).business_date(),
        sha1: String::new(),
        lines: 0,
        out: Fen::ZERO,
        came_in: Fen(came_in),
        opening: Fen(opening),
        closing: Fen(closing),
        fetched_at: NOON,
    };
    let bills = |bills| Changes {
        bills,
        ..Changes::default()
    };
    let top_up = (Account::Float(MERCHANT), Account::Funding(KIND));
    let unseen = Changes {
        entries: vec![entry(top_up, Micros(10_000), Cause::TopUp, None)],
        ..bills(vec![bill(0, 50, 50, 0)])
    };
    vec![
        (
            "billed without a line",
            held(billed),
            vec![Invariant::BilledIsBooked],
        ),
        (
            "a bill that does not add up",
            bills(vec![bill(0, 50, 50, 1)]),
            vec![Invariant::BillsChain],
        ),
        (
            "a day that opens elsewhere than the one before closed",
            bills(vec![bill(0, 50, 50, 0), bill(1, 51, 51, 0)]),
            vec![Invariant::BillsChain],
        ),
        (
            "a bill that moved more than its lines",
            bills(vec![bill(0, 50, 60, 10)]),
            vec![Invariant::FloatMatchesBills],
        ),
        (
            "money at WeChat that no line moved",
            unseen,
            vec![Invariant::FloatMatchesBills],
        ),
    ]
}

async fn an_audit_counts_what_it_looked_at<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    commit(&store, held(payout(1, State::Paid(attempt(1), NOON)))).await;
    let audited = audit(&store, &[], "a paid payout").await;
    // Three available, one held, funding, clearing.
    let counted = (
        audited.entries,
        audited.accounts,
        audited.earnings,
        audited.payouts,
        audited.bills,
    );
    assert_eq!(counted, (5, 6, 3, 1, 0));
}
