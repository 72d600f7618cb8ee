//! Accounts, and entries that cannot be built unbalanced.
//!
//! An entry moves one positive amount from its debit account to its credit account, so that
//! debits equal credits in every entry, every batch and the whole ledger. A balance is credits
//! minus debits: what we owe is positive (users, clearing), what we own or are still owed is
//! negative (float, funding). All balances add up to zero.

use crate::id::{KindNo, MerchantNo, PayoutId, UserNo};
use crate::money::{AMOUNT_MAX, Micros};
use crate::time::Timestamp;

/// One account of the chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// What a user can withdraw.
    Available(UserNo),
    /// What is set aside for a user's payouts under way.
    Held(UserNo),
    /// What a user owes after a claw-back that the balance did not cover.
    Receivable(UserNo),
    /// Where the money of a kind of earning comes from.
    Funding(KindNo),
    /// Paid out by WeChat's word and not yet seen on a bill.
    Clearing(MerchantNo),
    /// What lies at WeChat by its bills.
    Float(MerchantNo),
    /// Withheld tax.
    TaxWithheld(i64),
    /// Fees.
    Fees,
    /// Money on a bill that nothing explains.
    Suspense,
}

impl Account {
    /// The account as the chart's code and its owner's number; zero where it has no owner.
    #[must_use]
    pub fn code(self) -> (i64, i64) {
        match self {
            Account::Available(user) => (1, user.0),
            Account::Held(user) => (2, user.0),
            Account::Receivable(user) => (3, user.0),
            Account::Funding(kind) => (10, kind.0),
            Account::Clearing(merchant) => (20, merchant.0),
            Account::Float(merchant) => (21, merchant.0),
            Account::TaxWithheld(class) => (30, class),
            Account::Fees => (40, 0),
            Account::Suspense => (50, 0),
        }
    }

    /// The account of a code, or nothing for a code outside the chart.
    #[must_use]
    pub fn from_code(class: i64, owner: i64) -> Option<Account> {
        Some(match class {
            1 => Account::Available(UserNo(owner)),
            2 => Account::Held(UserNo(owner)),
            3 => Account::Receivable(UserNo(owner)),
            10 => Account::Funding(KindNo(owner)),
            20 => Account::Clearing(MerchantNo(owner)),
            21 => Account::Float(MerchantNo(owner)),
            30 => Account::TaxWithheld(owner),
            40 => Account::Fees,
            50 => Account::Suspense,
            _ => return None,
        })
    }

    /// Whether a balance below zero is forbidden, by the rules and again by the store.
    #[must_use]
    pub fn never_negative(self) -> bool {
        matches!(self, Account::Available(_) | Account::Held(_))
    }

    /// The user whose account this is, who sees what moves on it.
    #[must_use]
    pub fn user(self) -> Option<UserNo> {
        match self {
            Account::Available(user) | Account::Held(user) | Account::Receivable(user) => {
                Some(user)
            }
            Account::Funding(_)
            | Account::Clearing(_)
            | Account::Float(_)
            | Account::TaxWithheld(_)
            | Account::Fees
            | Account::Suspense => None,
        }
    }
}

/// Why money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// An earning event was credited.
    Earn,
    /// One user's money became another's.
    Transfer,
    /// An earning was taken back, from the balance or, where there was none, as a debt.
    ClawBack,
    /// What a claw-back could not take became a debt.
    Owe,
    /// An earning paid a debt.
    Repay,
    /// A withdrawal set money aside.
    Hold,
    /// A payout reached the wallet.
    Settle,
    /// A payout ended without reaching the wallet.
    Release,
    /// A bill shows a payout leaving the merchant's account.
    BillOut,
    /// A bill shows a payout coming back.
    BillReturn,
    /// A bill shows money coming in.
    TopUp,
    /// A bill shows money leaving that nothing explains.
    Unexplained,
}

impl Cause {
    /// Whether an entry of this cause bears the name of an event.
    #[must_use]
    pub fn is_event(self) -> bool {
        matches!(self, Cause::Earn | Cause::Transfer | Cause::ClawBack)
    }

    /// Every cause, in the order in which money moves.
    pub const ALL: [Cause; 12] = [
        Cause::Earn,
        Cause::Transfer,
        Cause::ClawBack,
        Cause::Owe,
        Cause::Repay,
        Cause::Hold,
        Cause::Settle,
        Cause::Release,
        Cause::BillOut,
        Cause::BillReturn,
        Cause::TopUp,
        Cause::Unexplained,
    ];

    /// The stored name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Cause::Earn => "earn",
            Cause::Transfer => "transfer",
            Cause::ClawBack => "claw_back",
            Cause::Owe => "owe",
            Cause::Repay => "repay",
            Cause::Hold => "hold",
            Cause::Settle => "settle",
            Cause::Release => "release",
            Cause::BillOut => "bill_out",
            Cause::BillReturn => "bill_return",
            Cause::TopUp => "top_up",
            Cause::Unexplained => "unexplained",
        }
    }

    /// The cause of a stored name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Cause> {
        Cause::ALL.into_iter().find(|cause| cause.name() == name)
    }
}

/// One movement of money. The fields are private: what exists is balanced and positive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    debit: Account,
    credit: Account,
    amount: Micros,
    cause: Cause,
    payout: Option<PayoutId>,
    at: Timestamp,
}

impl Entry {
    /// Moves `amount` from `debit` to `credit`, or nothing when the amount is not positive,
    /// is beyond [`AMOUNT_MAX`], or both sides are the same account.
    #[must_use]
    pub fn new(
        (debit, credit): (Account, Account),
        amount: Micros,
        cause: Cause,
        payout: Option<PayoutId>,
        at: Timestamp,
    ) -> Option<Entry> {
        let sound = amount > Micros::ZERO && amount <= AMOUNT_MAX && debit != credit;
        sound.then_some(Entry {
            debit,
            credit,
            amount,
            cause,
            payout,
            at,
        })
    }

    /// The account that gives.
    #[must_use]
    pub fn debit(&self) -> Account {
        self.debit
    }

    /// The account that receives.
    #[must_use]
    pub fn credit(&self) -> Account {
        self.credit
    }

    /// How much; always positive.
    #[must_use]
    pub fn amount(&self) -> Micros {
        self.amount
    }

    /// Why.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// For which payout, unless it is an earning or money of the merchant's own.
    #[must_use]
    pub fn payout(&self) -> Option<PayoutId> {
        self.payout
    }

    /// When it was recorded.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_does_not_move_money_cannot_be_built() {
        let (a, b) = (Account::Available(UserNo(1)), Account::Held(UserNo(1)));
        let build = |sides, amount| Entry::new(sides, amount, Cause::Hold, None, Timestamp(0));
        assert!(build((a, b), Micros(1)).is_some());
        assert!(build((a, a), Micros(1)).is_none());
        assert!(build((a, b), Micros(0)).is_none());
        assert!(build((a, b), Micros(-1)).is_none());
        assert!(build((a, b), Micros(AMOUNT_MAX.0 + 1)).is_none());
    }

    #[test]
    fn account_codes_and_causes_read_back() {
        for class in 0..60 {
            for owner in [0, 7] {
                if let Some(account) = Account::from_code(class, owner) {
                    assert_eq!(account.code().0, class);
                    assert_eq!(Account::from_code(class, account.code().1), Some(account));
                }
            }
        }
        for cause in Cause::ALL {
            assert_eq!(Cause::from_name(cause.name()), Some(cause));
        }
    }
}
