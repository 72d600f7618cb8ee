//! Stops, deeds, what merchants paid on their days, and payouts with several attempts.

use std::collections::BTreeSet;

use lingqian_core::control::{Act, Actor, Deed, Scope, Stop, StopCause};
use lingqian_core::id::OutBillNo;
use lingqian_core::money::Fen;
use lingqian_core::payout::{Attempt, Payout, Queue, State};
use lingqian_core::{Changes, Keys};

use super::given::{
    MERCHANT, NOON, attempt, audit, commit, held, look, mchid, opened, payout, payout_id, refuse,
    waits,
};
use crate::{Browse, Store};

pub(super) async fn exercise<S: Store + Browse>(make: &impl AsyncFn() -> S) {
    stops_are_facts_until_they_are_lifted(make().await).await;
    deeds_are_kept_newest_first(make().await).await;
    what_a_merchant_paid_is_known_by_the_day(make().await).await;
    one_attempt_ends_before_the_next_begins(make().await).await;
    who_pays_is_open_until_the_order_is_made(make().await).await;
    closed_days_are_told_to_those_who_ask(make().await).await;
}

pub(super) fn act(reason: &str) -> Act {
    let actor = Actor::parse("cli:wang").expect("a name");
    Act::new(actor, reason).expect("a reason")
}

fn stop(scope: Scope, cause: StopCause) -> Stop {
    Stop {
        scope,
        cause,
        act: act("先停一下; \"why\""),
        since: NOON,
        probe_at: (cause == StopCause::Float).then(|| NOON.after_ms(30_000)),
        probes: u32::from(cause == StopCause::Float),
        lifted_at: None,
    }
}

pub(super) fn stops() -> Vec<Stop> {
    vec![
        stop(Scope::All, StopCause::Audit),
        stop(Scope::All, StopCause::Person),
        stop(Scope::Merchant(mchid()), StopCause::Float),
        stop(Scope::Scene("1000".into()), StopCause::Person),
    ]
}

async fn stops_are_facts_until_they_are_lifted<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    assert_eq!(store.stops().await, Ok(Vec::new()));
    let changes = |stops: Vec<Stop>| Changes {
        stops,
        ..Changes::default()
    };
    commit(&store, changes(stops())).await;
    assert_eq!(store.stops().await, Ok(stops()));
    let facts = look(&store, Keys::default()).await;
    let known: Vec<Stop> = facts.stops.iter().cloned().collect();
    assert_eq!(known.len(), 4);
    assert!(stops().iter().all(|stop| known.contains(stop)));
    let lifted = stops().into_iter().map(|stop| Stop {
        lifted_at: Some(NOON.after_ms(1)),
        ..stop
    });
    commit(&store, changes(lifted.skip(1).collect())).await;
    assert_eq!(store.stops().await, Ok(stops()[..1].to_vec()));
    let again = Stop {
        since: NOON.after_ms(9),
        act: act("again"),
        ..stop(Scope::All, StopCause::Person)
    };
    commit(&store, changes(vec![again.clone()])).await;
    let both = Ok(vec![stops()[0].clone(), again]);
    assert_eq!(store.stops().await, both);
}

pub(super) fn deed(what: &str, subject: &str) -> Deed {
    let Act { actor, reason } = act("因为");
    Deed {
        at: NOON,
        actor,
        what: what.into(),
        subject: subject.into(),
        reason,
        before: "review".into(),
        after: "approved".into(),
    }
}

async fn deeds_are_kept_newest_first<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let deeds = [
        deed("approve", "po_1"),
        deed("stop", "all"),
        deed("refuse", "po_1"),
    ];
    let changes = Changes {
        deeds: deeds.to_vec(),
        ..Changes::default()
    };
    commit(&store, changes).await;
    let [first, second, third] = deeds;
    let all = store.deeds(None, 10).await;
    assert_eq!(all, Ok(vec![third.clone(), second, first.clone()]));
    let newest = store.deeds(None, 1).await;
    assert_eq!(newest, Ok(vec![third.clone()]));
    let of_one = store.deeds(Some("po_1".into()), 10).await;
    assert_eq!(of_one, Ok(vec![third, first]));
    assert_eq!(store.deeds(Some("po_2".into()), 10).await, Ok(Vec::new()));
}

async fn what_a_merchant_paid_is_known_by_the_day<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let (today, tomorrow) = (NOON.business_date(), NOON.business_date().next());
    let changes = |days| Changes {
        merchant_days: days,
        ..Changes::default()
    };
    let days = vec![(MERCHANT, today, Fen(5)), (MERCHANT, tomorrow, Fen(7))];
    commit(&store, changes(days)).await;
    commit(&store, changes(vec![(MERCHANT, today, Fen(12))])).await;
    let on = async |day| {
        let keys = Keys {
            day,
            ..Keys::default()
        };
        look(&store, keys).await.merchant_day(MERCHANT)
    };
    assert_eq!(on(today).await, Fen(12));
    assert_eq!(on(tomorrow).await, Fen(7));
    assert_eq!(on(tomorrow.next()).await, Fen::ZERO);
    let since = store.merchant_days(tomorrow).await;
    assert_eq!(since, Ok(vec![(MERCHANT, tomorrow, Fen(7))]));
}

fn numbered(no: i64, number: u8) -> Attempt {
    let mut attempt = attempt(no);
    attempt.order.number = OutBillNo::new(payout_id(no), number);
    attempt
}

/// The payout of that number after so many attempts, in a state.
fn tried(no: i64, tries: u8, state: State) -> Payout {
    Payout {
        tries,
        version: 2 + u32::from(tries),
        ..payout(no, state)
    }
}

fn waiting(payout: Payout, attempts: Vec<Attempt>) -> Changes {
    Changes {
        payouts: vec![(payout, waits(Queue::Send, NOON))],
        attempts,
        ..Changes::default()
    }
}

async fn one_attempt_ends_before_the_next_begins<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    commit(&store, held(payout(1, State::Sending(numbered(1, 1))))).await;
    let early = tried(1, 0, State::Sending(numbered(1, 2)));
    refuse(&store, waiting(early, Vec::new()), "another number").await;
    let wild = tried(1, 2, State::Approved);
    refuse(&store, waiting(wild, Vec::new()), "two at once").await;
    for ended in 1..=2_u8 {
        let last = Attempt {
            bill_no: Some(format!("42{ended}")),
            ..numbered(1, ended)
        };
        let next = tried(1, ended, State::Approved);
        commit(&store, waiting(next, vec![last])).await;
        let begun = tried(1, ended, State::Sending(numbered(1, ended + 1)));
        commit(&store, waiting(begun.clone(), Vec::new())).await;
        let story = store.payout(payout_id(1)).await.expect("a look");
        let story = story.expect("a payout");
        assert_eq!(story.row.payout, begun);
        let numbers: Vec<u8> = story
            .attempts
            .iter()
            .map(|a| a.number().attempt())
            .collect();
        assert_eq!(numbers, (1..=ended).collect::<Vec<_>>());
        let bills: Vec<_> = story
            .attempts
            .iter()
            .filter_map(|a| a.bill_no.clone())
            .collect();
        assert_eq!(bills.len(), usize::from(ended));
    }
    let back = tried(1, 1, State::Approved);
    refuse(&store, waiting(back, Vec::new()), "tries never fall").await;
    audit(&store, &[], "a third attempt").await;
}

async fn who_pays_is_open_until_the_order_is_made<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let other = lingqian_core::id::MerchantNo(MERCHANT.0 + 1);
    let mut second = super::given::merchant();
    second.no = other;
    second.mchid = lingqian_core::id::MchId::parse("1900000999").expect("an id");
    let changes = Changes {
        merchants: vec![second],
        ..Changes::default()
    };
    commit(&store, changes).await;
    commit(&store, held(payout(1, State::Approved))).await;
    let routed = Payout {
        merchant: other,
        ..tried(1, 0, State::Sending(numbered(1, 1)))
    };
    commit(&store, waiting(routed.clone(), Vec::new())).await;
    let back = Payout {
        merchant: MERCHANT,
        version: 3,
        ..routed.clone()
    };
    refuse(&store, waiting(back, Vec::new()), "the order is made").await;
    let story = store.payout(payout_id(1)).await.expect("a look");
    assert_eq!(story.expect("a payout").row.payout, routed);
}

async fn closed_days_are_told_to_those_who_ask<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    let bill = super::reconciling::bill(NOON.business_date());
    let key = (bill.merchant, bill.date);
    let changes = Changes {
        bills: vec![bill],
        ..Changes::default()
    };
    commit(&store, changes).await;
    let unasked = look(&store, Keys::default()).await;
    assert!(unasked.closed_bills.is_empty());
    let keys = Keys {
        closed_bills: true,
        ..Keys::default()
    };
    let asked = look(&store, keys).await;
    assert_eq!(asked.closed_bills, BTreeSet::from([key]));
}
