//! Every read shows a moment between its question and its answer: what was acknowledged before is
//! in it, what was asked for later is not, and time never goes back.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::check::Found;
use crate::evidence::{AVAILABLE, Entry, Evidence, HELD};
use crate::history::{Call, Credited, Fate, LineSeen, Op, PayoutSeen, Saw};

/// Lines or payouts that readers ask for; a shorter page is the whole.
const PAGE: usize = 40;

/// Versions only rise, one version is one content, and what is final stays.
pub(super) fn versions(evidence: &Evidence) -> Found {
    let mut found = Found::by("versions");
    let mut reads: BTreeMap<&str, Vec<(u64, u64, &PayoutSeen)>> = BTreeMap::new();
    for op in &evidence.ops {
        if let Saw::Payouts { payouts } = &op.saw {
            for seen in payouts {
                let read = (op.asked, op.told, seen);
                reads.entry(&seen.id).or_default().push(read);
            }
        }
    }
    for seen in &evidence.payouts {
        let last = (u64::MAX - 1, u64::MAX, seen);
        reads.entry(&seen.id).or_default().push(last);
    }
    for (payout, mut reads) in reads {
        reads.sort_by_key(|(asked, ..)| *asked);
        let mut under_way = BinaryHeap::new();
        let mut newest: Option<&PayoutSeen> = None;
        let mut contents: BTreeMap<i64, &PayoutSeen> = BTreeMap::new();
        for (place, (asked, told, seen)) in reads.iter().enumerate() {
            under_way.push(Reverse((*told, place)));
            while let Some(Reverse((told, place))) = under_way.peek().copied()
                && told < *asked
            {
                under_way.pop();
                let seen = reads[place].2;
                newest = Some(newest.map_or(seen, |newest| {
                    if seen.version > newest.version {
                        seen
                    } else {
                        newest
                    }
                }));
            }
            if let Some(newest) = newest {
                found.must(seen.version >= newest.version, || {
                    let (was, is) = (newest.version, seen.version);
                    format!("{payout} went back from version {was} to {is}")
                });
                let undone = newest.ended && seen.state != newest.state;
                found.must(!undone, || {
                    format!(
                        "{payout} was {} for good and is {}",
                        newest.state, seen.state
                    )
                });
            }
            let first = contents.entry(seen.version).or_insert(seen);
            found.must(first.state == seen.state, || {
                let (one, other) = (&first.state, &seen.state);
                format!(
                    "version {} of {payout} is both {one} and {other}",
                    seen.version
                )
            });
        }
    }
    acknowledged_are_shown(evidence, &mut found);
    found
}

/// A payout that was acknowledged is found from then on, by itself and in its user's list.
fn acknowledged_are_shown(evidence: &Evidence, found: &mut Found) {
    let mut since: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
    for op in &evidence.ops {
        if let (Saw::Withdrawn { payout, .. }, Call::Withdraw { user, .. }) = (&op.saw, &op.call) {
            let first = since.entry(payout).or_insert((op.told, user));
            first.0 = first.0.min(op.told);
        }
    }
    let mut of_user: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
    for (payout, (told, user)) in &since {
        of_user.entry(user).or_default().push((*told, payout));
    }
    for op in &evidence.ops {
        match (&op.call, &op.saw) {
            (Call::Payout { payout }, _) if op.status == Some(404) => {
                let told = since.get(payout.as_str()).map_or(u64::MAX, |first| first.0);
                found.must(told > op.asked, || {
                    format!(
                        "{payout} was acknowledged and operation {} did not find it",
                        op.op
                    )
                });
            }
            (Call::Payouts { user }, Saw::Payouts { payouts }) => {
                let oldest = payouts.last().map_or("", |seen| seen.id.as_str());
                let whole = payouts.len() < PAGE;
                let due = of_user.get(user.as_str()).into_iter().flatten();
                let due = due.filter(|(told, id)| *told < op.asked && (whole || *id > oldest));
                for (_, id) in due {
                    let shown = payouts.iter().any(|seen| seen.id == *id);
                    found.must(shown, || {
                        format!("{id} was acknowledged and operation {} lacks it", op.op)
                    });
                }
            }
            _ => {}
        }
    }
}

/// What a user had after each of their entries, and what is known about when those were written.
#[derive(Default)]
struct Timeline<'e> {
    /// The user's entries, with available and held money after each; the first is before all.
    moments: Vec<(i64, i64, i64)>,
    entries: Vec<&'e Entry>,
    /// When a write was acknowledged, and the highest entry of all acknowledged until then.
    acknowledged: Vec<(u64, i64)>,
    /// When a write was first asked for, and the lowest entry of all asked for from then on.
    asked: Vec<(u64, i64)>,
}

impl Timeline<'_> {
    /// The first and the last moment that a read may show.
    fn window(&self, op: &Op) -> (usize, usize) {
        let before = self
            .acknowledged
            .partition_point(|(told, _)| *told < op.asked);
        let least = before
            .checked_sub(1)
            .map_or(0, |last| self.acknowledged[last].1);
        let after = self.asked.partition_point(|(asked, _)| *asked <= op.told);
        let most = self.asked.get(after).map_or(i64::MAX, |(_, seq)| seq - 1);
        let first = self.moments.partition_point(|(seq, ..)| *seq < least);
        let end = self.moments.partition_point(|(seq, ..)| *seq <= most);
        (first, end)
    }
}

fn timelines(evidence: &Evidence) -> BTreeMap<&str, Timeline<'_>> {
    let mut all: BTreeMap<&str, Timeline<'_>> = BTreeMap::new();
    for entry in &evidence.entries {
        let mut touched: Vec<&str> = Vec::new();
        for (class, owner) in [&entry.debit, &entry.credit] {
            if (1..=3).contains(class) && !touched.contains(&owner.as_str()) {
                touched.push(owner);
            }
        }
        for user in touched {
            let line = all.entry(user).or_default();
            if line.moments.is_empty() {
                line.moments.push((0, 0, 0));
            }
            let (_, mut available, mut held) = line.moments[line.moments.len() - 1];
            for ((class, owner), sign) in [(&entry.debit, -1), (&entry.credit, 1)] {
                if owner == user && *class == AVAILABLE {
                    available += sign * entry.amount;
                } else if owner == user && *class == HELD {
                    held += sign * entry.amount;
                }
            }
            line.moments.push((entry.seq, available, held));
            line.entries.push(entry);
        }
    }
    let mut events: BTreeMap<&str, &Entry> = BTreeMap::new();
    let mut holds: BTreeMap<&str, &Entry> = BTreeMap::new();
    for entry in &evidence.entries {
        if let Some(event) = &entry.event {
            events.insert(event, entry);
        } else if let (Some(payout), AVAILABLE, HELD) =
            (&entry.payout, entry.debit.0, entry.credit.0)
        {
            holds.insert(payout, entry);
        }
    }
    for (entry, asked, told) in writes(evidence, &events, &holds) {
        for (class, owner) in [&entry.debit, &entry.credit] {
            if let (1..=3, Some(line)) = (*class, all.get_mut(owner.as_str())) {
                line.asked.push((asked, entry.seq));
                if told < u64::MAX {
                    line.acknowledged.push((told, entry.seq));
                }
            }
        }
    }
    all.values_mut().for_each(settle);
    all
}

/// Turns what is known of single writes into what is known of all before or after a moment.
fn settle(line: &mut Timeline<'_>) {
    line.acknowledged.sort_unstable();
    let mut most = 0;
    for (_, seq) in &mut line.acknowledged {
        most = most.max(*seq);
        *seq = most;
    }
    line.asked.sort_unstable();
    let mut least = i64::MAX;
    for (_, seq) in line.asked.iter_mut().rev() {
        least = least.min(*seq);
        *seq = least;
    }
}

/// Each write that is in the books: its entry, when it was first asked for, and when it was first
/// acknowledged, or never.
fn writes<'e>(
    evidence: &'e Evidence,
    events: &BTreeMap<&str, &'e Entry>,
    holds: &BTreeMap<&str, &'e Entry>,
) -> Vec<(&'e Entry, u64, u64)> {
    let mut known: BTreeMap<i64, (&Entry, u64, u64)> = BTreeMap::new();
    let mut note = |entry: &'e Entry, asked: u64, told: u64| {
        let first = known.entry(entry.seq).or_insert((entry, asked, told));
        first.1 = first.1.min(asked);
        first.2 = first.2.min(told);
    };
    // A withdrawal that was not acknowledged is found by its reference.
    let shown: BTreeMap<&str, &str> = evidence
        .payouts
        .iter()
        .map(|seen| (seen.reference.as_str(), seen.id.as_str()))
        .collect();
    for op in &evidence.ops {
        match (&op.call, &op.saw) {
            (Call::Earn { credits, .. }, saw) => {
                let results = match saw {
                    Saw::Credited { results } => &results[..],
                    _ => &[],
                };
                for (place, credit) in credits.iter().enumerate() {
                    let Some(entry) = events.get(credit.event.as_str()) else {
                        continue;
                    };
                    let result = results.get(place).copied().unwrap_or(Credited::Unknown);
                    let done = matches!(result, Credited::Now | Credited::Before);
                    note(entry, op.asked, if done { op.told } else { u64::MAX });
                }
            }
            (Call::Withdraw { reference, .. }, _) => {
                let payout = shown.get(reference.as_str());
                if let Some(entry) = payout.and_then(|payout| holds.get(payout)) {
                    let done = op.fate == Fate::Ok;
                    note(entry, op.asked, if done { op.told } else { u64::MAX });
                }
            }
            _ => {}
        }
    }
    known.into_values().collect()
}

/// Balances are those of one moment, in an order that all readers of a user could agree on.
pub(super) fn balances(evidence: &Evidence) -> Found {
    let mut found = Found::by("balances");
    let lines = timelines(evidence);
    let mut reads: BTreeMap<&str, Vec<(&Op, i64, i64)>> = BTreeMap::new();
    for op in &evidence.ops {
        if let (Call::User { user }, Saw::Balances { available, held }) = (&op.call, &op.saw) {
            reads.entry(user).or_default().push((op, *available, *held));
        }
    }
    let nothing = Timeline {
        moments: vec![(0, 0, 0)],
        ..Timeline::default()
    };
    for (user, mut reads) in reads {
        let line = lines.get(user).unwrap_or(&nothing);
        reads.sort_by_key(|(op, ..)| op.asked);
        let (mut under_way, mut reached) = (BinaryHeap::new(), 0);
        for (op, available, held) in reads {
            while let Some(Reverse((told, place))) = under_way.peek().copied()
                && told < op.asked
            {
                under_way.pop();
                reached = reached.max(place);
            }
            let (first, end) = line.window(op);
            let first = first.max(reached);
            let window = line.moments.get(first..end).unwrap_or_default();
            let same = |moment: &(i64, i64, i64)| (moment.1, moment.2) == (available, held);
            match window.iter().position(same) {
                Some(place) => under_way.push(Reverse((op.told, first + place))),
                None => found.add(format!(
                    "operation {} saw {user} with {available} available and {held} held, which \
                     they had at no moment that it could show; those were {:?}",
                    op.op,
                    window.get(..window.len().min(4)).unwrap_or_default()
                )),
            }
        }
    }
    found
}

/// A statement is an unbroken piece of the books that ends at one moment.
pub(super) fn statements(evidence: &Evidence) -> Found {
    let mut found = Found::by("statements");
    let lines = timelines(evidence);
    for op in &evidence.ops {
        let (Call::Statement { user }, Saw::Lines { lines: shown }) = (&op.call, &op.saw) else {
            continue;
        };
        let Some(line) = lines.get(user.as_str()) else {
            found.must(shown.is_empty(), || {
                format!("{user} has a statement and no entries")
            });
            continue;
        };
        let (first, end) = line.window(op);
        // Moment n is the one after entry n - 1 of the user's own.
        let newest = shown.first().map_or(0, |newest| {
            let own = line
                .entries
                .iter()
                .position(|entry| entry.seq == newest.seq);
            own.map_or(usize::MAX, |own| own + 1)
        });
        found.must((first..end).contains(&newest), || {
            format!(
                "operation {} shows {user} at a moment that it could not show",
                op.op
            )
        });
        if newest == usize::MAX {
            continue;
        }
        let due: Vec<&&Entry> = line.entries[..newest].iter().rev().take(PAGE).collect();
        let same = due.len() == shown.len()
            && due
                .iter()
                .zip(shown)
                .all(|(entry, line)| is_shown(entry, line));
        found.must(same, || {
            format!(
                "operation {} shows {user} lines that are not the books'",
                op.op
            )
        });
    }
    found
}

fn is_shown(entry: &Entry, line: &LineSeen) -> bool {
    entry.seq == line.seq
        && entry.cause == line.cause
        && entry.amount == line.amount_micros
        && entry.payout == line.payout
        && (entry.event == line.event_id || line.event_id.is_none())
}
