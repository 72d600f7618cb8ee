//! What people did: as many of them said yes as an amount asks for, what they ended stays ended,
//! and nothing that was asked for after everything was stopped left before that was lifted. Whoever
//! was not answered may have done it.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::Found;
use crate::evidence::Evidence;
use crate::history::{Act, Call, Fate, Op, PayoutSeen, Saw};
use crate::stage::{REVIEW_FROM_FEN, SECOND_FROM_FEN};

/// States in which nothing has left for WeChat.
const HERE: [&str; 5] = ["requested", "review", "approved", "refused", "cancelled"];

pub(super) fn check(evidence: &Evidence) -> Found {
    let mut found = Found::by("people");
    let mut said: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut ended: BTreeMap<&str, Act> = BTreeMap::new();
    for op in &evidence.ops {
        let Call::Act { payout, what } = &op.call else {
            continue;
        };
        if *what == Act::Approve && op.fate != Fate::Fail {
            said.entry(payout).or_default().insert(&op.client);
        }
        let ends = matches!(what, Act::Refuse | Act::MarkPaid | Act::MarkUnpaid);
        if ends && op.fate == Fate::Ok {
            ended.insert(payout, *what);
        }
    }
    for seen in &evidence.payouts {
        four_eyes(seen, &said, &mut found);
        let due = match ended.get(seen.id.as_str()) {
            Some(Act::MarkPaid) => seen.state == "paid",
            Some(_) => seen.state != "paid",
            None => true,
        };
        found.must(due, || {
            let what = ended.get(seen.id.as_str());
            format!(
                "{} is {}, and {what:?} was acknowledged",
                seen.id, seen.state
            )
        });
    }
    stopped(evidence, &mut found);
    found
}

fn four_eyes(seen: &PayoutSeen, said: &BTreeMap<&str, BTreeSet<&str>>, found: &mut Found) {
    let needed = match seen.amount_fen {
        fen if fen >= SECOND_FROM_FEN => 2,
        fen if fen >= REVIEW_FROM_FEN => 1,
        _ => 0,
    };
    let left = seen.out_bill_no.is_some();
    let people = said.get(seen.id.as_str()).map_or(0, BTreeSet::len);
    found.must(!left || people >= needed, || {
        format!(
            "{} of {} fen left, {people} people approved it and {needed} are needed",
            seen.id, seen.amount_fen
        )
    });
}

/// Spans in which everything was surely stopped, and what was made and seen in each.
fn stopped(evidence: &Evidence, found: &mut Found) {
    let mut spans: Vec<(u64, u64)> = Vec::new();
    let mut since: Option<u64> = None;
    for op in &evidence.ops {
        match (&op.call, op.fate) {
            (Call::Stop, Fate::Ok) => since = since.or(Some(op.told)),
            (Call::Lift, _) => spans.extend(since.take().map(|since| (since, op.asked))),
            _ => {}
        }
    }
    let span_of = |op: &Op| {
        let place = spans.partition_point(|(since, _)| *since < op.asked);
        let (since, until) = *spans.get(place.checked_sub(1)?)?;
        (op.told < until).then_some((since, until))
    };
    let mut made: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for op in &evidence.ops {
        if let Saw::Withdrawn {
            payout,
            replayed: false,
            ..
        } = &op.saw
            && let Some(span) = span_of(op)
        {
            made.insert(payout, span);
        }
        let Saw::Payouts { payouts } = &op.saw else {
            continue;
        };
        let Some(span) = span_of(op) else { continue };
        for seen in payouts {
            let fresh = made.get(seen.id.as_str()) == Some(&span);
            let here = HERE.contains(&seen.state.as_str());
            found.must(!fresh || here, || {
                format!(
                    "{} was asked for after everything was stopped and is {}",
                    seen.id, seen.state
                )
            });
        }
    }
}
