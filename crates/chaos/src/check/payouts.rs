//! Every accepted withdrawal is one payout, the same key has the same answer, and what WeChat's
//! own books paid is what ours settled: once.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::Found;
use crate::evidence::{AVAILABLE, CLEARING, Entry, Evidence, HELD, Transfer};
use crate::history::{Call, Fate, PayoutSeen, Saw};

/// Micro-yuan in a fen.
const FEN: i64 = 10_000;

/// What was asked under a key, and the answers.
#[derive(Default)]
struct Key<'e> {
    bodies: BTreeSet<(&'e str, Option<i64>, &'e str)>,
    answers: BTreeSet<(&'e str, i64)>,
}

pub(super) fn requests(evidence: &Evidence) -> Found {
    let mut found = Found::by("withdrawals");
    let mut keys: BTreeMap<&str, Key<'_>> = BTreeMap::new();
    let mut references: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    let shown: BTreeMap<&str, &PayoutSeen> = by_id(evidence);
    for op in &evidence.ops {
        let Call::Withdraw {
            key,
            user,
            fen,
            reference,
        } = &op.call
        else {
            continue;
        };
        *references.entry((user, reference)).or_default() |= op.fate != Fate::Fail;
        let Saw::Withdrawn {
            payout, amount_fen, ..
        } = &op.saw
        else {
            continue;
        };
        let known = keys.entry(key).or_default();
        known.bodies.insert((user, *fen, reference));
        known.answers.insert((payout, *amount_fen));
        found.must(fen.is_none_or(|fen| fen == *amount_fen), || {
            format!("{payout} is of {amount_fen} fen and {fen:?} were asked for")
        });
        let there = shown.get(payout.as_str()).is_some_and(|seen| {
            seen.user == *user && seen.reference == *reference && seen.amount_fen == *amount_fen
        });
        found.must(there, || {
            format!("lost: {payout} was acknowledged for {reference} and is not there as that")
        });
    }
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (key, known) in &keys {
        found.must(known.answers.len() == 1, || {
            format!("the key {key} has several answers: {:?}", known.answers)
        });
        found.must(known.bodies.len() == 1, || {
            format!(
                "the key {key} was accepted for several requests: {:?}",
                known.bodies
            )
        });
        for (payout, _) in &known.answers {
            let other = owners.insert(payout, key).filter(|other| other != key);
            if let Some(other) = other {
                found.add(format!(
                    "doubled: {payout} answers the keys {key} and {other}"
                ));
            }
        }
    }
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    for seen in &evidence.payouts {
        let name = (seen.user.as_str(), seen.reference.as_str());
        match references.get(&name) {
            None => found.add(format!("{} is there and nobody asked for it", seen.id)),
            Some(false) => found.add(format!("{} was refused every time and is there", seen.id)),
            Some(true) => {}
        }
        found.must(taken.insert(&seen.reference), || {
            format!("doubled: {} has several payouts", seen.reference)
        });
    }
    found
}

fn by_id(evidence: &Evidence) -> BTreeMap<&str, &PayoutSeen> {
    let all = evidence.payouts.iter();
    all.map(|seen| (seen.id.as_str(), seen)).collect()
}

/// What the entries of a payout moved.
#[derive(Clone, Copy, Default)]
struct Moved {
    held: i64,
    settled: i64,
    released: i64,
}

fn moved(entries: &[Entry]) -> BTreeMap<&str, Moved> {
    let mut all: BTreeMap<&str, Moved> = BTreeMap::new();
    for entry in entries {
        let Some(payout) = &entry.payout else {
            continue;
        };
        let sums = all.entry(payout).or_default();
        match (entry.debit.0, entry.credit.0) {
            (AVAILABLE, HELD) => sums.held += entry.amount,
            (HELD, CLEARING) => sums.settled += entry.amount,
            (HELD, AVAILABLE) => sums.released += entry.amount,
            _ => {}
        }
    }
    all
}

pub(super) fn money(evidence: &Evidence) -> Found {
    let mut found = Found::by("money");
    let moved = moved(&evidence.entries);
    for seen in &evidence.payouts {
        let id = &seen.id;
        let sums = moved.get(id.as_str()).copied().unwrap_or_default();
        let micros = seen.amount_fen * FEN;
        found.must(sums.held == micros, || {
            format!("{id} is of {micros} and {} was held for it", sums.held)
        });
        let due = match (seen.ended, seen.state.as_str()) {
            (false, _) => {
                found.add(format!("stuck: {id} is {} and never ended", seen.state));
                continue;
            }
            (true, "paid") => (micros, 0),
            (true, _) => (0, micros),
        };
        found.must((sums.settled, sums.released) == due, || {
            let (settled, released) = (sums.settled, sums.released);
            format!(
                "{id} is {}: {settled} was settled, {released} released",
                seen.state
            )
        });
    }
    let shown = by_id(evidence);
    for payout in moved.keys() {
        let known = shown.contains_key(payout);
        found.must(known, || {
            format!("money moved for {payout}, which is not there")
        });
    }
    found
}

pub(super) fn paid_once(evidence: &Evidence) -> Found {
    let mut found = Found::by("wechat");
    let mut transfers: BTreeMap<String, Vec<&Transfer>> = BTreeMap::new();
    for transfer in &evidence.transfers {
        match transfer.payout() {
            Some(payout) => transfers.entry(payout).or_default().push(transfer),
            None => found.add(format!(
                "WeChat has {}, which is not ours",
                transfer.out_bill_no
            )),
        }
    }
    let shown = by_id(evidence);
    for (payout, tries) in &transfers {
        let paid = tries.iter().filter(|one| one.is_paid()).count();
        found.must(paid <= 1, || format!("paid twice: {payout}, by {tries:?}"));
        let Some(seen) = shown.get(payout.as_str()) else {
            found.add(format!(
                "WeChat has transfers of {payout}, which is not there"
            ));
            continue;
        };
        found.must((paid > 0) == (seen.state == "paid"), || {
            format!("{payout} is {}, and WeChat has {tries:?}", seen.state)
        });
        for one in tries {
            found.must(one.transfer_amount == seen.amount_fen, || {
                format!(
                    "{payout} is of {} fen, and WeChat has {one:?}",
                    seen.amount_fen
                )
            });
            let owner = evidence.openids.get(&seen.user) == Some(&one.openid);
            found.must(owner, || format!("{payout} went to somebody else's wallet"));
            let over = ["SUCCESS", "FAIL", "CANCELLED"].contains(&one.state.as_str());
            found.must(over || !seen.ended, || {
                format!(
                    "{payout} is {}, and WeChat may still pay {one:?}",
                    seen.state
                )
            });
        }
    }
    for seen in evidence.payouts.iter().filter(|seen| seen.state == "paid") {
        found.must(transfers.contains_key(&seen.id), || {
            format!("{} is paid, and WeChat never heard of it", seen.id)
        });
    }
    let ours: i64 = moved(&evidence.entries)
        .values()
        .map(|sums| sums.settled)
        .sum();
    let paid = evidence.transfers.iter().filter(|one| one.is_paid());
    let theirs: i64 = paid.map(|one| one.transfer_amount * FEN).sum();
    found.must(ours == theirs, || {
        format!("we settled {ours} micro-yuan, and WeChat paid {theirs}")
    });
    found
}
