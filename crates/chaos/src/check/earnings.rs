//! Every acknowledged event is in the books once, none is there twice, none that was refused is
//! there, and none that nobody sent.

use std::collections::BTreeMap;

use crate::check::Found;
use crate::evidence::{Entry, Evidence};
use crate::history::{Call, Credit, Credited, Saw};

/// What all attempts at one event came to.
#[derive(Default)]
struct Attempts<'e> {
    credit: Option<&'e Credit>,
    acknowledged: bool,
    perhaps: bool,
}

pub(super) fn check(evidence: &Evidence) -> Found {
    let mut found = Found::by("earnings");
    let mut asked: BTreeMap<&str, Attempts<'_>> = BTreeMap::new();
    for op in &evidence.ops {
        let Call::Earn { credits, .. } = &op.call else {
            continue;
        };
        let results = match &op.saw {
            Saw::Credited { results } if results.len() == credits.len() => results.clone(),
            _ => vec![Credited::Unknown; credits.len()],
        };
        for (credit, result) in credits.iter().zip(results) {
            let attempts = asked.entry(&credit.event).or_default();
            attempts.credit = Some(credit);
            match result {
                Credited::Now | Credited::Before => attempts.acknowledged = true,
                Credited::Unknown => attempts.perhaps = true,
                Credited::Refused => {}
            }
        }
    }
    let mut booked: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in &evidence.entries {
        if let Some(event) = &entry.event {
            booked.entry(event).or_default().push(entry);
        }
    }
    for (event, attempts) in &asked {
        let times = booked.get(event).map_or(0, Vec::len);
        match (attempts.acknowledged, attempts.perhaps, times) {
            (true, _, 0) => found.add(format!("lost: {event} was acknowledged and is not there")),
            (false, false, 1..) => {
                found.add(format!("{event} was refused every time and is there"));
            }
            (_, _, 2..) => found.add(format!("doubled: {event} is there {times} times")),
            _ => {}
        }
    }
    for (event, entries) in &booked {
        let Some(credit) = asked.get(event).and_then(|attempts| attempts.credit) else {
            found.add(format!("{event} is there and nobody sent it"));
            continue;
        };
        for entry in entries {
            found.must(fits(entry, credit), || {
                format!("{event} is there as {entry:?} and was sent as {credit:?}")
            });
        }
    }
    found
}

/// Whether an entry is what was sent. What takes back may take less at first: the rest is owed.
fn fits(entry: &Entry, credit: &Credit) -> bool {
    if credit.reverses.is_some() {
        return entry.amount <= credit.micros && entry.debit.1 == credit.user;
    }
    let sender = credit.from.as_ref();
    entry.amount == credit.micros
        && entry.credit.1 == credit.user
        && sender.is_none_or(|sender| entry.debit.1 == *sender)
}
