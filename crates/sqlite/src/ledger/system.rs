//! The balances of the accounts that are no user's.

use std::collections::BTreeMap;

use lingqian_core::ledger::Account;

struct Own {
    account: Account,
    balance: i64,
    /// Whether it moved since somebody asked.
    moved: bool,
}

/// Few accounts, one of which nearly every entry moves: those that are moved often come to the
/// front, where they are looked for first.
pub(super) struct System(Vec<Own>);

impl System {
    pub(super) fn new(balances: &BTreeMap<Account, i64>) -> System {
        let own = balances.iter().map(|(account, balance)| Own {
            account: *account,
            balance: *balance,
            moved: false,
        });
        System(own.collect())
    }

    /// Moves a balance; nothing where it would leave its range.
    pub(super) fn add(&mut self, account: Account, amount: i64) -> Option<()> {
        let known = self.0.iter().position(|own| own.account == account);
        let place = known.unwrap_or_else(|| {
            self.0.push(Own {
                account,
                balance: 0,
                moved: false,
            });
            self.0.len() - 1
        });
        let own = self.0.get_mut(place)?;
        own.balance = own.balance.checked_add(amount)?;
        own.moved = true;
        if place > 0 {
            self.0.swap(place - 1, place);
        }
        Some(())
    }

    /// What moved since the last time, and its balance.
    pub(super) fn take_moved(&mut self) -> Vec<(Account, i64)> {
        let moved = self.0.iter().filter(|own| own.moved);
        let moved = moved.map(|own| (own.account, own.balance)).collect();
        self.0.iter_mut().for_each(|own| own.moved = false);
        moved
    }
}

#[cfg(test)]
mod tests {
    use lingqian_core::id::KindNo;

    use super::*;

    #[test]
    fn balances_move_and_are_told_once() {
        let known = BTreeMap::from([(Account::Fees, 5), (Account::Suspense, i64::MAX)]);
        let mut system = System::new(&known);
        assert_eq!(system.take_moved(), []);
        let kind = Account::Funding(KindNo(3));
        for _ in 0..3 {
            assert_eq!(system.add(kind, -2), Some(()));
            assert_eq!(system.add(Account::Fees, 2), Some(()));
        }
        let mut moved = system.take_moved();
        moved.sort_unstable();
        assert_eq!(moved, [(kind, -6), (Account::Fees, 11)]);
        assert_eq!(system.take_moved(), []);
        assert_eq!(system.add(Account::Suspense, 1), None);
    }
}
