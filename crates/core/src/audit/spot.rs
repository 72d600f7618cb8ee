//! Spot checks: one payout or one user by itself, while the books are in use.
//!
//! The whole audit reads every entry; these read what one payout or one user has, so that they
//! can run all the time at a cost that is known. What they cannot see: entries that are stored
//! for nobody, and what a payout waits for.

use super::{Audit, Finding, Invariant};
use crate::facts::Wallet;
use crate::id::UserNo;
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

/// A walk from a user's balances back to the first entry, page by page. Whoever walks does not
/// need all entries at once, nor that the books stand still: entries that are made meanwhile come
/// after those that are walked over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Back {
    user: UserNo,
    /// What was on the accounts before everything that was walked over.
    left: [i128; 3],
    below: Vec<String>,
}

impl Back {
    /// Begins where the books stood when the wallet was read.
    #[must_use]
    pub fn begin(wallet: &Wallet) -> Back {
        let Wallet {
            available,
            held,
            owed,
            ..
        } = wallet;
        let owed = i128::from(owed.0).saturating_neg();
        let mut walk = Back {
            user: wallet.user.no,
            left: [i128::from(available.0), i128::from(held.0), owed],
            below: Vec::new(),
        };
        walk.look("the end");
        walk
    }

    /// The next entry, which is older than all before it.
    pub fn entry(&mut self, seq: i64, entry: &Entry) {
        let amount = i128::from(entry.amount().0);
        let sides = [
            (entry.debit(), amount.saturating_neg()),
            (entry.credit(), amount),
        ];
        for (account, moved) in sides {
            let place = match account {
                Account::Available(user) if user == self.user => 0,
                Account::Held(user) if user == self.user => 1,
                Account::Receivable(user) if user == self.user => 2,
                Account::Available(_)
                | Account::Held(_)
                | Account::Receivable(_)
                | Account::Funding(_)
                | Account::Clearing(_)
                | Account::Float(_)
                | Account::TaxWithheld(_)
                | Account::Fees
                | Account::Suspense => continue,
            };
            if let Some(left) = self.left.get_mut(place) {
                *left = left.saturating_sub(moved);
            }
        }
        self.look(&format!("entry {seq}"));
    }

    fn look(&mut self, at: &str) {
        let [available, held, owing] = self.left;
        if (available < 0 || held < 0 || owing > 0) && self.below.is_empty() {
            self.below.push(at.to_owned());
        }
    }

    /// The first entry was walked over: what is wrong.
    #[must_use]
    pub fn end(self) -> Vec<Finding> {
        let mut audit = Audit::default();
        let names = ["available", "held", "receivable"];
        for (name, left) in names.into_iter().zip(self.left) {
            if left != 0 {
                let subject = format!("the {name} account of user number {}", self.user.0);
                let found = format!("{left} more than its entries");
                audit.wrong(Invariant::BalancesAreSums, subject, 0, found);
            }
        }
        for at in self.below.into_iter().filter(|_| self.left == [0; 3]) {
            let subject = format!("an account of user number {} before {at}", self.user.0);
            audit.wrong(Invariant::NeverNegative, subject, "at least 0", "less");
        }
        audit.findings
    }
}

/// What is wrong with all balances together; nothing when they add up to zero.
#[must_use]
pub fn total(sum: i128) -> Vec<Finding> {
    let mut audit = Audit::default();
    audit.total(sum);
    audit.findings
}
