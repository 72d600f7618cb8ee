//! The entries by themselves: numbered without a gap, no user below zero at any moment, every hold
//! ended once by what it began with, and the balances that the API shows are their sums.

use std::collections::BTreeMap;

use crate::check::Found;
use crate::evidence::{AVAILABLE, CLEARING, Entry, Evidence, HELD};

/// What became of a hold.
#[derive(Default)]
struct Hold<'e> {
    begun: Vec<&'e Entry>,
    ended: Vec<&'e Entry>,
}

pub(super) fn check(evidence: &Evidence) -> Found {
    let mut found = Found::by("books");
    let mut sums: BTreeMap<(i64, &str), i128> = BTreeMap::new();
    for (due, entry) in (1..).zip(&evidence.entries) {
        let seq = entry.seq;
        found.must(seq == due, || {
            format!("entry {seq} stands where {due} should")
        });
        found.must(entry.amount > 0, || format!("entry {seq} moves nothing"));
        let amount = i128::from(entry.amount);
        *sums.entry((entry.debit.0, &entry.debit.1)).or_default() -= amount;
        *sums.entry((entry.credit.0, &entry.credit.1)).or_default() += amount;
        let giver = (entry.debit.0, entry.debit.1.as_str());
        let left = sums.get(&giver).copied().unwrap_or(0);
        let users = entry.debit.0 == AVAILABLE || entry.debit.0 == HELD;
        found.must(!users || left >= 0, || {
            format!("after entry {seq} the account of {} is at {left}", giver.1)
        });
    }
    let sum = |class, user: &str| sums.get(&(class, user)).copied().unwrap_or(0);
    for (user, (available, held)) in &evidence.balances {
        let told = (i128::from(*available), i128::from(*held));
        let summed = (sum(AVAILABLE, user), sum(HELD, user));
        found.must(told == summed, || {
            format!("{user} is shown {told:?}, and the entries sum up to {summed:?}")
        });
    }
    let total: i128 = sums.values().sum();
    found.must(total == 0, || format!("all accounts add up to {total}"));
    holds(evidence, &mut found);
    found
}

fn holds(evidence: &Evidence, found: &mut Found) {
    let mut holds: BTreeMap<&str, Hold<'_>> = BTreeMap::new();
    for entry in &evidence.entries {
        let Some(payout) = &entry.payout else {
            continue;
        };
        let hold = holds.entry(payout).or_default();
        match (entry.debit.0, entry.credit.0) {
            (AVAILABLE, HELD) => hold.begun.push(entry),
            (HELD, AVAILABLE | CLEARING) => hold.ended.push(entry),
            _ => {}
        }
    }
    let live = |payout: &str| {
        let seen = evidence.payouts.iter().find(|seen| seen.id == payout);
        seen.is_some_and(|seen| !seen.ended)
    };
    for (payout, hold) in &holds {
        let (begun, ended) = (&hold.begun[..], &hold.ended[..]);
        match (begun, ended) {
            ([begun], [ended]) => {
                let same = begun.amount == ended.amount && begun.credit == ended.debit;
                found.must(same, || format!("{payout} ended with another amount"));
            }
            ([_], []) if live(payout) => {}
            _ => found.add(format!(
                "{payout} was held {} times and ended {} times",
                begun.len(),
                ended.len()
            )),
        }
    }
}
