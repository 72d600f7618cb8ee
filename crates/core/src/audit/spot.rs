//! Spot checks: one payout or one user by itself, while the books are in use.
//!
//! The whole audit reads every entry; these read what one payout or one user has, so that they
//! can run all the time at a cost that is known. What they cannot see: entries that are stored
//! for nobody, and what a payout waits for.

use super::{Audit, Finding, Invariant};
use crate::facts::Wallet;
use crate::ledger::{Account, Entry};
use crate::payout::Payout;

/// What is wrong with a payout, by its own entries.
#[must_use]
pub fn payout(payout: &Payout, entries: &[(i64, Entry)]) -> Vec<Finding> {
    let mut audit = Audit::default();
    for (_, entry) in entries {
        audit.of_payout(entry);
    }
    audit.payout(payout, u32::from(!payout.state.is_final()));
    audit.findings
}

/// What is wrong with a user's balances, by all entries of the accounts, oldest first.
#[must_use]
pub fn wallet(wallet: &Wallet, entries: &[(i64, Entry)]) -> Vec<Finding> {
    let mut audit = Audit::default();
    for (seq, entry) in entries {
        let amount = i128::from(entry.amount().0);
        let sides = [
            (entry.debit(), amount.saturating_neg()),
            (entry.credit(), amount),
        ];
        for (account, amount) in sides {
            if account.user() == Some(wallet.user.no) {
                audit.post(account, amount, *seq);
            }
        }
    }
    let no = wallet.user.no;
    let stored = [
        (Account::Available(no), i128::from(wallet.available.0)),
        (Account::Held(no), i128::from(wallet.held.0)),
        (
            Account::Receivable(no),
            i128::from(wallet.owed.0).saturating_neg(),
        ),
    ];
    for (account, stored) in stored {
        let derived = audit.balances.get(&account).map_or(0, |b| b.sum);
        if derived != stored {
            let subject = format!("{account:?}");
            audit.wrong(Invariant::BalancesAreSums, subject, derived, stored);
        }
    }
    audit.findings
}

/// What is wrong with all balances together; nothing when they add up to zero.
#[must_use]
pub fn total(sum: i128) -> Vec<Finding> {
    let mut audit = Audit::default();
    audit.total(sum);
    audit.findings
}
