//! Payouts in every state, whole; their stories and lists.

use std::collections::BTreeSet;

use lingqian_core::changes::HistoryLine;
use lingqian_core::control::Actor;
use lingqian_core::id::{MchId, MerchantNo, OutBillNo, PayoutId, UserNo};
use lingqian_core::money::Fen;
use lingqian_core::payout::{Asked, Attempt, Payout, Queue, Review, State};
use lingqian_core::risk::Reason;
use lingqian_core::seat::Seat;
use lingqian_core::transfer::Evidence;
use lingqian_core::user::DayTotals;
use lingqian_core::{Changes, Keys};

use super::given::{
    DAY_MS, MERCHANT, NOON, attempt, audit, commit, held, look, merchant, opened, payout,
    payout_id, refuse, user_id, waits,
};
use crate::store::{PayoutFilter, PayoutRow};
use crate::{Browse, Store};

pub(super) async fn exercise<S: Store + Browse>(make: &impl AsyncFn() -> S) {
    a_payout_of_every_state_reads_back(make().await).await;
    a_payout_moves_through_its_life(make().await).await;
    a_final_payout_never_changes_its_state(make().await).await;
    history_keeps_its_order_and_its_evidence(make().await).await;
    lists_are_newest_first_and_can_be_filtered_and_paged(make().await).await;
    paid_payouts_are_found_by_wechats_day(make().await).await;
    a_batch_is_found_whole_whatever_became_of_its_members(make().await).await;
}

/// An attempt with nothing in it that may be left out.
fn bare(no: i64) -> Attempt {
    let mut attempt = attempt(no);
    attempt.order.name = None;
    attempt.order.scene_report.clear();
    Attempt {
        sends: 1,
        asks: 0,
        doubt: false,
        bill_no: None,
        ..attempt
    }
}

fn actor(name: &str) -> Actor {
    Actor::parse(name).expect("a name")
}

/// One payout per state, twice where the state has something optional.
pub(super) fn every_state() -> Vec<Payout> {
    let code = || "ACCOUNT_ERROR".to_owned();
    let package = Some("affffddafdfafddffda==".to_owned());
    let states = [
        State::Requested,
        State::Approved,
        State::Sending(attempt(3)),
        State::Deferred(bare(4), code()),
        State::Unknown(attempt(5), "timeout".into()),
        State::Processing(bare(6)),
        State::AwaitingUser(attempt(7), package),
        State::AwaitingUser(bare(8), None),
        State::Cancelling(attempt(9)),
        State::Paid(attempt(10), NOON.after_ms(-1)),
        State::Failed(attempt(11), code()),
        State::Expired(bare(12)),
        State::Cancelled(Some(attempt(13))),
        State::Cancelled(None),
        State::Refused(Reason::ALL.to_vec()),
        State::Refused(vec![Reason::Frozen]),
        State::Review(Review {
            reasons: vec![Reason::ApprovalNeeded, Reason::SecondNeeded],
            approvals: Vec::new(),
        }),
        State::Review(Review {
            reasons: vec![Reason::ApprovalNeeded],
            approvals: vec![actor("key:lk_1"), actor("cli:wang")],
        }),
    ];
    let names: BTreeSet<&str> = states.iter().map(State::name).collect();
    assert_eq!(names, BTreeSet::from(State::NAMES), "no state is left out");
    let number = 1_i64..;
    number
        .zip(states)
        .map(|(no, state)| payout(no, state))
        .collect()
}

async fn read<S: Store + Browse>(store: &S, id: PayoutId) -> Payout {
    let keys = Keys {
        payouts: BTreeSet::from([id]),
        ..Keys::default()
    };
    let facts = look(store, keys).await;
    let story = store.payout(id).await.expect("a look");
    let row = story.expect("a payout").row;
    assert_eq!(facts.payout(id), Some(&row.payout), "both sides agree");
    assert_eq!(row.user, user_id(row.payout.user.0));
    row.payout
}

async fn a_payout_of_every_state_reads_back<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    for mut payout in every_state() {
        payout.asked = Asked::BySweep;
        payout.version = u32::MAX;
        payout.updated_at = NOON.after_ms(77);
        payout.user = UserNo(2);
        commit(&store, held(payout.clone())).await;
        assert_eq!(read(&store, payout.id).await, payout);
    }
    let audited = audit(&store, &[], "a payout in every state").await;
    assert_eq!(audited.payouts, 18);
}

async fn a_batch_is_found_whole_whatever_became_of_its_members<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let seated = |no: i64, (first, place, of): (i64, u16, u16)| {
        let mut attempt = bare(no);
        let batch = OutBillNo::new(payout_id(first), 1);
        attempt.order.seat = Seat::new(batch, place, of);
        attempt
    };
    // The places are not in the order of the payouts; number 5 is of another batch, 6 of none.
    let (three, one) = (seated(3, (4, 2, 3)), seated(1, (4, 3, 3)));
    let all = [
        payout(1, State::Sending(one)),
        payout(3, State::Sending(three.clone())),
        payout(4, State::Sending(seated(4, (4, 1, 3)))),
        payout(5, State::Sending(seated(5, (5, 1, 2)))),
        payout(6, State::Sending(bare(6))),
    ];
    for payout in &all {
        commit(&store, held(payout.clone())).await;
        assert_eq!(read(&store, payout.id).await, *payout);
    }
    let batch = OutBillNo::new(payout_id(4), 1);
    let members = [4, 3, 1].map(payout_id);
    assert_eq!(store.seated(batch).await.expect("a look"), members);
    // One goes on under its second number and keeps its seat in the first.
    let mut onward = payout(3, State::Approved);
    onward.tries = 1;
    let ended = Changes {
        attempts: vec![three.clone()],
        payouts: vec![(onward, waits(Queue::Send, NOON))],
        ..Changes::default()
    };
    commit(&store, ended).await;
    assert_eq!(store.seated(batch).await.expect("a look"), members);
    let story = store.payout(payout_id(3)).await.expect("a look");
    assert_eq!(story.expect("a payout").attempts, [three]);
    let other = OutBillNo::new(payout_id(6), 1);
    assert_eq!(store.seated(other).await.expect("a look"), []);
    // The order says where it sits, and an order never changes.
    let moved = payout(1, State::Sending(seated(1, (4, 2, 3))));
    let changes = Changes {
        payouts: vec![(moved, waits(Queue::Ask, NOON))],
        ..Changes::default()
    };
    refuse(&store, changes, "an order keeps its seat").await;
}

async fn a_payout_moves_through_its_life<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let day = NOON.business_date();
    let counts = |count, amount| {
        let amount = Fen(amount);
        vec![(UserNo(1), day, DayTotals { count, amount })]
    };
    commit(&store, held(payout(1, State::Requested))).await;
    let life = [
        State::Approved,
        State::Sending(bare(1)),
        State::Deferred(bare(1), "NOT_ENOUGH".into()),
        State::Sending(bare(1)),
        State::Unknown(attempt_of(bare(1), true), "timeout".into()),
        State::AwaitingUser(attempt_of(bare(1), true), Some("package".into())),
        State::Cancelling(attempt_of(bare(1), true)),
        State::Processing(attempt_of(bare(1), true)),
    ];
    for (state, version) in life.into_iter().zip(2..) {
        let mut moved = payout(1, state);
        moved.version = version;
        moved.updated_at = NOON.after_ms(i64::from(version));
        moved.counted_on = Some(day);
        let changes = Changes {
            payouts: vec![(moved.clone(), waits(Queue::Ask, NOON))],
            day_totals: counts(1, 100),
            ..Changes::default()
        };
        commit(&store, changes).await;
        assert_eq!(read(&store, moved.id).await, moved);
        audit(&store, &[], moved.state.name()).await;
    }
    let mut ended = payout(1, State::Paid(attempt_of(bare(1), true), NOON));
    ended.version = 10;
    ended.counted_on = Some(day);
    let mut changes = held(ended.clone());
    changes.entries.remove(0);
    commit(&store, changes).await;
    assert_eq!(read(&store, ended.id).await, ended);
    audit(&store, &[], "paid").await;
}

fn attempt_of(attempt: Attempt, doubt: bool) -> Attempt {
    Attempt { doubt, ..attempt }
}

async fn a_final_payout_never_changes_its_state<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let finals = every_state().into_iter().filter(|p| p.state.is_final());
    for ended in finals {
        commit(&store, held(ended.clone())).await;
        let attempt = ended.state.attempt().cloned();
        let other = match (&ended.state, attempt) {
            (State::Paid(..), Some(attempt)) => State::Failed(attempt, "X".into()),
            (_, Some(attempt)) => State::Paid(attempt, NOON),
            (State::Refused(_), None) => State::Cancelled(None),
            (_, None) => State::Approved,
        };
        let mut moved = Payout {
            version: 2,
            state: other,
            ..ended.clone()
        };
        let changes = |payout: &Payout| Changes {
            payouts: vec![(payout.clone(), None)],
            ..Changes::default()
        };
        refuse(&store, changes(&moved), "an end is an end").await;
        moved.state = ended.state.clone();
        moved.updated_at = NOON.after_ms(5);
        commit(&store, changes(&moved)).await;
        assert_eq!(read(&store, ended.id).await, moved, "the rest may change");
    }
}

async fn history_keeps_its_order_and_its_evidence<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let seen = Evidence {
        status: Some(503),
        request_id: Some("08F78BB5B306".into()),
        body: "{\"code\": \"SYSTEM_ERROR\",\n \"message\": \"系统错误\"}".into(),
    };
    let evidence = [None, Some(Evidence::default()), Some(seen)];
    let lines: Vec<HistoryLine> = HistoryLine::EVENTS
        .into_iter()
        .zip(evidence.into_iter().cycle())
        .zip(State::NAMES.into_iter().cycle())
        .map(|((event, evidence), state)| HistoryLine {
            payout: payout_id(1),
            at: NOON,
            event,
            state,
            code: evidence.is_some().then(|| "SYSTEM_ERROR".to_owned()),
            evidence,
        })
        .collect();
    let (first, rest) = lines.split_at(4);
    let mut changes = held(payout(1, State::Requested));
    changes.history = first.to_vec();
    changes.append(held(payout(2, State::Requested)));
    commit(&store, changes).await;
    let later = Changes {
        history: rest.to_vec(),
        ..Changes::default()
    };
    commit(&store, later).await;
    let story = store.payout(payout_id(1)).await.expect("a look");
    let story = story.expect("a payout");
    assert_eq!(story.history, lines);
    let other = store.payout(payout_id(2)).await.expect("a look");
    let other = other.expect("a payout");
    assert!(other.history.is_empty(), "each payout has its own history");
    let numbers = |story: &crate::store::PayoutStory| -> Vec<i64> {
        story.entries.iter().map(|(seq, _)| *seq).collect()
    };
    assert_eq!((numbers(&story), numbers(&other)), (vec![4], vec![5]));
}

async fn listed<S: Browse>(store: &S, filter: PayoutFilter) -> Vec<i64> {
    let rows: Vec<PayoutRow> = store.payouts(filter).await.expect("a list");
    let number = |row: &PayoutRow| (1..20).find(|no| payout_id(*no) == row.payout.id);
    rows.iter().filter_map(number).collect()
}

async fn lists_are_newest_first_and_can_be_filtered_and_paged<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    for mut payout in every_state() {
        if payout.id > payout_id(8) {
            payout.user = UserNo(2);
        }
        commit(&store, held(payout)).await;
    }
    let all = PayoutFilter {
        limit: 100,
        ..PayoutFilter::default()
    };
    let of_state = |name: &str| PayoutFilter {
        state: Some(name.into()),
        ..all.clone()
    };
    let of_user = |no| PayoutFilter {
        user: Some(user_id(no)),
        ..all.clone()
    };
    assert_eq!(
        listed(&store, all.clone()).await,
        (1..=18).rev().collect::<Vec<_>>()
    );
    assert_eq!(listed(&store, of_state("awaiting_user")).await, [8, 7]);
    assert_eq!(listed(&store, of_state("no_such_state")).await, []);
    assert_eq!(listed(&store, of_user(1)).await, [8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(listed(&store, of_user(3)).await, []);
    assert_eq!(listed(&store, of_user(77)).await, []);
    let both = PayoutFilter {
        user: Some(user_id(2)),
        ..of_state("cancelled")
    };
    assert_eq!(listed(&store, both.clone()).await, [14, 13]);
    let next_page = PayoutFilter {
        before: Some(payout_id(14)),
        limit: 1,
        ..both
    };
    assert_eq!(listed(&store, next_page).await, [13]);
    let third_page = PayoutFilter {
        before: Some(payout_id(7)),
        limit: 3,
        ..all
    };
    assert_eq!(listed(&store, third_page).await, [6, 5, 4]);
}

async fn paid_payouts_are_found_by_wechats_day<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let today = NOON.business_date();
    let start = today.start();
    let moments = [
        start.after_ms(-1),
        start,
        NOON,
        start.after_ms(DAY_MS - 1),
        start.after_ms(DAY_MS),
    ];
    for (no, at) in (1..).zip(moments) {
        let mut payout = payout(no, State::Paid(attempt(no), at));
        // We heard of it another day.
        payout.updated_at = at.after_ms(3 * DAY_MS);
        commit(&store, held(payout)).await;
    }
    commit(&store, held(payout(9, State::Expired(attempt(9))))).await;
    let mut second = merchant();
    second.no = MerchantNo(2);
    second.mchid = MchId::parse("1900000999").expect("an id");
    let mut others = held(Payout {
        merchant: second.no,
        ..payout(6, State::Paid(attempt(6), NOON))
    });
    others.merchants = vec![second];
    commit(&store, others).await;
    let ids = |numbers: &[i64]| Ok(numbers.iter().map(|no| payout_id(*no)).collect());
    let found = store.paid_on((MERCHANT, today), None, 10).await;
    assert_eq!(found, ids(&[2, 3, 4]));
    let page = store.paid_on((MERCHANT, today), None, 2).await;
    assert_eq!(page, ids(&[2, 3]));
    let rest = store
        .paid_on((MERCHANT, today), Some(payout_id(3)), 2)
        .await;
    assert_eq!(rest, ids(&[4]));
    let next = store.paid_on((MERCHANT, today.next()), None, 10).await;
    assert_eq!(next, ids(&[5]));
    let other = store.paid_on((MerchantNo(2), today), None, 10).await;
    assert_eq!(other, ids(&[6]), "each merchant has its own");
    let never = store
        .paid_on((MERCHANT, today.next().next()), None, 10)
        .await;
    assert_eq!(never, ids(&[]));
}
