//! What was read for a decision, remembered until it is committed.
//!
//! The rules are a pure function of facts. So a decision stands exactly if the facts, read
//! again while nobody else can commit, are the same; and nothing needs to be read again if
//! nobody committed in between.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use lingqian_core::{Changes, Facts, Keys};

use crate::prefetch::Head;

/// So many decisions may be under way in one process. One that is older than all of these is
/// told to decide again.
const REMEMBERED_MAX: usize = 64;

/// What one decision is based on.
pub(crate) struct Basis {
    /// The end of the chain when the facts were read.
    pub(crate) head: Head,
    /// What was asked for.
    pub(crate) keys: Keys,
    /// What came back.
    pub(crate) facts: Facts,
}

/// The decisions that are under way.
#[derive(Default)]
pub(crate) struct Remembered {
    shared: Mutex<(u64, VecDeque<(u64, Basis)>)>,
}

impl Remembered {
    /// Keeps a basis and names it.
    pub(crate) fn keep(&self, basis: Basis) -> u64 {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, kept) = &mut *shared;
        *last += 1;
        kept.push_back((*last, basis));
        if kept.len() > REMEMBERED_MAX {
            kept.pop_front();
        }
        *last
    }

    /// Hands a basis out, once.
    pub(crate) fn take(&self, name: u64) -> Option<Basis> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = &mut shared.1;
        let place = kept.iter().position(|(known, _)| *known == name)?;
        kept.remove(place).map(|(_, basis)| basis)
    }
}

/// Whether a decision on the one would have been the same on the other. The number of the next
/// user matters only to those who register somebody, what a merchant paid only to those who tell
/// it to pay more.
pub(crate) fn is_same(before: &Facts, now: &Facts, changes: &Changes) -> bool {
    let Facts {
        kinds,
        merchants,
        stops,
        merchant_days,
        closed_bills,
        day,
        users,
        next_user,
        wallets,
        earnings,
        link_states,
        holders,
        references,
        answers,
        payouts,
        open_breaks,
        bill_lines,
        letters_ended: _,
        basis: _,
    } = before;
    let registers = changes.users.iter().any(|user| user.no.0 >= *next_user);
    let tells = !changes.merchant_days.is_empty();
    *kinds == now.kinds
        && *merchants == now.merchants
        && *stops == now.stops
        && (!tells || *merchant_days == now.merchant_days)
        && *closed_bills == now.closed_bills
        && *day == now.day
        && *users == now.users
        && (!registers || *next_user == now.next_user)
        && *wallets == now.wallets
        && *earnings == now.earnings
        && *link_states == now.link_states
        && *holders == now.holders
        && *references == now.references
        && *answers == now.answers
        && *payouts == now.payouts
        && *open_breaks == now.open_breaks
        && *bill_lines == now.bill_lines
}
