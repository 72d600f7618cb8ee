//! Entries in their order, what they add to each account, and each user's chain of them.

use std::collections::BTreeMap;

use lingqian_core::id::UserNo;
use lingqian_core::ledger::{Account, Entry};
use lingqian_io::Fault;
use rusqlite::{CachedStatement, Connection, params};

use crate::codec::{damaged, fault, first, get};
use crate::commit::run;
use crate::prefetch::cached;
use crate::sql;

/// The end of the journal during one commit.
pub(crate) struct Journal<'c> {
    insert: CachedStatement<'c>,
    newest: CachedStatement<'c>,
    last: i64,
    deltas: BTreeMap<Account, i64>,
    heads: BTreeMap<UserNo, Option<i64>>,
}

impl<'c> Journal<'c> {
    /// Finds the end.
    pub(crate) fn open(connection: &'c Connection) -> Result<Journal<'c>, Fault> {
        let last = first(&mut *cached(connection, sql!("last_entry"))?, [], |row| {
            get(row, 0)
        })?;
        Ok(Journal {
            insert: cached(connection, sql!("insert_entry"))?,
            newest: cached(connection, sql!("newest_entry"))?,
            last: last.unwrap_or(0),
            deltas: BTreeMap::new(),
            heads: BTreeMap::new(),
        })
    }

    /// Writes the next entry and tells its number.
    pub(crate) fn append(&mut self, entry: &Entry) -> Result<i64, Fault> {
        let (debit, credit) = (entry.debit(), entry.credit());
        let (debit_prev, credit_prev) = (self.head(debit)?, self.head(credit)?);
        self.last += 1;
        for user in [owner(debit), owner(credit)].into_iter().flatten() {
            self.heads.insert(user, Some(self.last));
        }
        let (debit_class, debit_owner) = debit.code();
        let (credit_class, credit_owner) = credit.code();
        run(
            &mut self.insert,
            params![
                self.last,
                debit_class,
                debit_owner,
                credit_class,
                credit_owner,
                entry.amount().0,
                entry.cause().name(),
                entry.payout().map(|payout| payout.to_string()),
                entry.at().0,
                debit_prev,
                credit_prev,
            ],
        )?;
        for (account, amount) in [(debit, -entry.amount().0), (credit, entry.amount().0)] {
            let delta = self.deltas.entry(account).or_default();
            *delta = delta
                .checked_add(amount)
                .ok_or_else(|| damaged("a batch of entries"))?;
        }
        Ok(self.last)
    }

    /// The newest entry of the user whose account this is.
    fn head(&mut self, account: Account) -> Result<Option<i64>, Fault> {
        let Some(user) = owner(account) else {
            return Ok(None);
        };
        if let Some(known) = self.heads.get(&user) {
            return Ok(*known);
        }
        let stored = first(&mut self.newest, [user.0], |row| get(row, 0))?.flatten();
        self.heads.insert(user, stored);
        Ok(stored)
    }

    /// One update per account and batch, however many entries touched it.
    pub(crate) fn close(mut self, connection: &Connection) -> Result<(), Fault> {
        let mut add = cached(connection, sql!("add_to_balance"))?;
        let mut open = cached(connection, sql!("open_account"))?;
        for user in self.heads.keys() {
            self.deltas.entry(Account::Available(*user)).or_default();
        }
        for (account, delta) in self.deltas {
            let (class, number) = account.code();
            let newest = match account {
                Account::Available(user) => self.heads.get(&user).copied().flatten(),
                _ => None,
            };
            let values = params![class, number, delta, newest];
            if add.execute(values).map_err(fault)? == 0 {
                run(&mut open, values)?;
            }
        }
        Ok(())
    }
}

/// The user whose statement shows what moves on this account.
pub(crate) fn owner(account: Account) -> Option<UserNo> {
    match account {
        Account::Available(user) | Account::Held(user) => Some(user),
        Account::Receivable(_)
        | Account::Funding(_)
        | Account::Clearing(_)
        | Account::Float(_)
        | Account::TaxWithheld(_)
        | Account::Fees
        | Account::Suspense => None,
    }
}
