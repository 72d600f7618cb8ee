//! Many payouts in one request: which orders share one, and when such a batch is sent again.
//!
//! A batch is made of orders that one command makes, so that all of it is durable in one commit.
//! From then on it is one thing: it is sent whole and alike every time, and only while all that is
//! known of it is that nothing is known. One that was refused as a whole is never sent again: each
//! payout in it goes on under its next number, in batches that are smaller each time, so that the
//! one for whose sake it was refused is alone in the end and the others are paid.

use std::collections::BTreeMap;

use crate::changes::Changes;
use crate::command::Outcome;
use crate::execute::{Decision, Moment};
use crate::facts::Facts;
use crate::id::{MchId, OutBillNo, PayoutId};
use crate::order::{begin as begin_one, begun, kept_back, put_off};
use crate::payout::{self, Attempt, Payout, Queue, State};
use crate::rejection::Rejection;
use crate::seat::Seat;
use crate::transfer::TransferOrder;

/// After a refusal a batch has so many times fewer places.
const SHRINKS: u16 = 10;

/// Begins all that may go, one after the other, and packs the first sends. One that may not go is
/// left out and waits or ends as it would alone.
pub(crate) fn begin(
    moment: &Moment<'_>,
    payouts: &[PayoutId],
    packs: &BTreeMap<MchId, u16>,
    facts: &Facts,
) -> Decision {
    let mut facts = facts.clone();
    let mut changes = Changes::default();
    let (mut fresh, mut again, mut batches) = (Vec::new(), Vec::new(), Vec::new());
    for id in payouts {
        let Some(payout) = facts.payout(*id).cloned() else {
            continue;
        };
        // One that is refused went on meanwhile; whoever moved it said what it waits for.
        let Ok((one, outcome)) = begin_one(moment, &payout, &facts) else {
            continue;
        };
        facts.apply(&one);
        changes.append(one);
        if let Outcome::Begun(order) = outcome {
            // One that was made before has its seat, or none, for ever.
            let new = payout.state == State::Approved;
            let orders = if new { &mut fresh } else { &mut again };
            orders.push(*order);
        } else if let Outcome::InBatch(batch) = outcome
            && !batches.contains(&batch)
        {
            batches.push(batch);
        }
    }
    let mut orders = pack(fresh, packs);
    seat(&mut changes, &orders);
    orders.append(&mut again);
    Ok((changes, Outcome::AllBegun { orders, batches }))
}

/// New orders that go together stand side by side, in the order in which they came, each with its seat.
fn pack(orders: Vec<TransferOrder>, packs: &BTreeMap<MchId, u16>) -> Vec<TransferOrder> {
    let mut groups: Vec<Vec<TransferOrder>> = Vec::new();
    for order in orders {
        let attempt = order.number.attempt();
        let room = room(packs.get(&order.mchid).copied().unwrap_or(1), attempt);
        let alike = |one: &TransferOrder| {
            one.number.attempt() == attempt && one.goes_with(&order) && one.number != order.number
        };
        let mut open = groups.iter_mut().filter(|group| group.len() < room);
        let group = open.find(|group| group.first().is_some_and(alike));
        match group {
            Some(group) => group.push(order),
            None => groups.push(vec![order]),
        }
    }
    groups.into_iter().flat_map(seated).collect()
}

/// How many go together at the `attempt`th try at a payout: a tenth of the time before, and one in
/// the end.
fn room(most: u16, attempt: u8) -> usize {
    let shrunk = (1..attempt).fold(most, |room, _| room / SHRINKS);
    usize::from(shrunk.clamp(1, Seat::SEATS_MAX))
}

/// The orders of one request, each with its seat where there are several.
fn seated(mut orders: Vec<TransferOrder>) -> Vec<TransferOrder> {
    let Some(batch) = orders.first().map(|order| order.number) else {
        return orders;
    };
    let of = u16::try_from(orders.len()).unwrap_or(u16::MAX);
    for (place, order) in (1..).zip(&mut orders) {
        order.seat = Seat::new(batch, place, of);
    }
    orders
}

/// What is kept is what is sent.
fn seat(changes: &mut Changes, orders: &[TransferOrder]) {
    let seats: BTreeMap<OutBillNo, Seat> = orders
        .iter()
        .filter_map(|order| Some((order.number, order.seat?)))
        .collect();
    for (payout, _) in &mut changes.payouts {
        if let State::Sending(attempt) = &mut payout.state
            && let Some(seat) = seats.get(&attempt.order.number)
        {
            attempt.order.seat = Some(*seat);
        }
    }
}

/// Sends a batch again. That is done only while nothing is known of any member, and each of them
/// may still go: what is known of one is true of the request that it came in, and one that may not
/// go any more would be paid with the others. Otherwise those that wait are asked about.
pub(crate) fn again(
    moment: &Moment<'_>,
    batch: OutBillNo,
    members: &[PayoutId],
    facts: &Facts,
) -> Decision {
    let known: Option<Vec<&Payout>> = members.iter().map(|id| facts.payout(*id)).collect();
    let mut payouts = known.ok_or(Rejection::UnknownPayout)?;
    // Who went on under another number is not in it any more, and that is one place too few.
    payouts.retain(|payout| seat_of(payout).is_some_and(|seat| seat.batch() == batch));
    payouts.sort_by_key(|payout| seat_of(payout));
    let mut changes = Changes::default();
    let mut orders = Vec::new();
    if !goes_again(moment, &payouts, facts) {
        for payout in payouts {
            if let State::Unknown(attempt, _) = &payout.state {
                let due = payout::ask_due(moment.now, attempt.asks);
                changes.append(put_off(payout, Queue::Ask, due).0);
            }
        }
        let batches = Vec::new();
        return Ok((changes, Outcome::AllBegun { orders, batches }));
    }
    for payout in payouts {
        let Some(attempt) = attempt_of(payout) else {
            continue;
        };
        let order = attempt.order.clone();
        let (one, _) = begun(moment, payout.clone(), order.clone(), None, facts)?;
        let stops = std::mem::take(&mut changes.stops);
        changes.append(one);
        if !stops.is_empty() {
            // One request is one try of an account that was empty.
            changes.stops = stops;
        }
        orders.push(order);
    }
    let batches = Vec::new();
    Ok((changes, Outcome::AllBegun { orders, batches }))
}

fn seat_of(payout: &Payout) -> Option<Seat> {
    attempt_of(payout)?.order.seat
}

fn attempt_of(payout: &Payout) -> Option<&Attempt> {
    payout.state.attempt()
}

/// Whether these payouts are all of one batch, and each may go once more.
fn goes_again(moment: &Moment<'_>, payouts: &[&Payout], facts: &Facts) -> bool {
    let seats: Option<Vec<Seat>> = payouts.iter().map(|payout| seat_of(payout)).collect();
    let may = |payout: &&Payout| {
        let State::Unknown(attempt, _) = &payout.state else {
            return false;
        };
        let order = &attempt.order;
        let until = facts.stops.until(&order.mchid, &order.scene, moment.now);
        let kept = kept_back(moment, payout, facts);
        attempt.may_go_again(moment.now) && until.is_none() && kept.is_none()
    };
    seats.is_some_and(|seats| Seat::are_whole(&seats)) && payouts.iter().all(may)
}
