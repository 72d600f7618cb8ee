//! What users have beyond the rows of their chunks: the pages that a store would replay.

use std::collections::{BTreeMap, HashMap};

use lingqian_core::id::UserNo;
use lingqian_core::ledger::Account;
use lingqian_io::Fault;
use rusqlite::Connection;

use crate::accounts::{self, CHUNK_USERS, stored};
use crate::codec::{first, get};
use crate::ledger::users;
use crate::page::{Hash, Line, last, walk};
use crate::prefetch::cached;
use crate::sql;

/// Changes of users' accounts that no chunk's row has yet, as of the end of the chain.
pub(crate) struct Tail {
    end: (u64, Hash),
    changes: BTreeMap<UserNo, accounts::Account>,
    /// Up to which entry each chunk that was asked for holds.
    stored_to: HashMap<i64, u64>,
}

fn chunk_of(user: UserNo) -> i64 {
    user.0 >> 8
}

impl Tail {
    /// Reads the pages that stored accounts do not have yet.
    ///
    /// # Errors
    /// [`Fault::Broken`] names a page that does not fit.
    pub(crate) fn read(connection: &Connection) -> Result<Tail, Fault> {
        let mut query = cached(connection, sql!("replay_from"))?;
        let from: Option<i64> = first(&mut query, [], |row| get(row, 0))?;
        let from = from.unwrap_or(0).unsigned_abs();
        let mut tail = Tail {
            end: last(connection)?,
            changes: BTreeMap::new(),
            stored_to: HashMap::new(),
        };
        walk(connection, from + 1, |page, _| {
            page.lines().try_for_each(|line| {
                let line = line?;
                if line.seq > from {
                    tail.line(connection, &line)?;
                }
                Ok(())
            })
        })?;
        Ok(tail)
    }

    /// Whether it is that of the books as this connection sees them now.
    pub(crate) fn is_of(&self, connection: &Connection) -> Result<bool, Fault> {
        Ok(self.end == last(connection)?)
    }

    fn line(&mut self, connection: &Connection, line: &Line<'_>) -> Result<(), Fault> {
        let record = &line.record;
        for user in users(record.debit, record.credit) {
            if self.stored_to(connection, chunk_of(user))? < line.seq {
                self.changes.entry(user).or_default().newest = line.seq;
            }
        }
        let amount = record.amount.0;
        for (account, amount) in [(record.debit, -amount), (record.credit, amount)] {
            let Some(user) = account.user() else { continue };
            if self.stored_to(connection, chunk_of(user))? >= line.seq {
                continue;
            }
            let own = self.changes.entry(user).or_default();
            let (balance, amount) = match account {
                Account::Held(_) => (&mut own.held, amount),
                Account::Receivable(_) => (&mut own.owed, -amount),
                _ => (&mut own.available, amount),
            };
            *balance = balance.wrapping_add(amount);
        }
        Ok(())
    }

    fn stored_to(&mut self, connection: &Connection, chunk: i64) -> Result<u64, Fault> {
        if let Some(known) = self.stored_to.get(&chunk) {
            return Ok(*known);
        }
        let mut query = cached(connection, sql!("chunk_stored_to"))?;
        let found: Option<i64> = first(&mut query, [chunk], |row| get(row, 0))?;
        let stored_to = found.unwrap_or(0).unsigned_abs();
        self.stored_to.insert(chunk, stored_to);
        Ok(stored_to)
    }

    /// The accounts of a chunk's users who ever had an entry.
    pub(crate) fn chunk(
        &self,
        connection: &Connection,
        number: i64,
    ) -> Result<Vec<(UserNo, accounts::Account)>, Fault> {
        let Ok(place) = usize::try_from(number) else {
            return Ok(Vec::new());
        };
        let stored = stored(connection, place)?;
        let begin = number * CHUNK_USERS as i64;
        let users = (begin..).map(UserNo).zip(stored);
        let users = users.map(|(user, account)| (user, self.carried(user, account)));
        Ok(users.filter(|(_, account)| account.newest > 0).collect())
    }

    /// One user's accounts.
    pub(crate) fn account(
        &self,
        connection: &Connection,
        user: UserNo,
    ) -> Result<accounts::Account, Fault> {
        let found = self.chunk(connection, chunk_of(user))?.into_iter();
        let mut found = found.filter(|(known, _)| *known == user);
        Ok(found.next().map(|(_, own)| own).unwrap_or_default())
    }

    /// The last chunk with a user who ever had an entry.
    pub(crate) fn last_chunk(&self, connection: &Connection) -> Result<i64, Fault> {
        let mut query = cached(connection, sql!("last_chunk"))?;
        let stored: Option<Option<i64>> = first(&mut query, [], |row| get(row, 0))?;
        let changed = self.changes.last_key_value();
        let changed = changed.map_or(-1, |(user, _)| chunk_of(*user));
        Ok(stored.flatten().unwrap_or(-1).max(changed))
    }

    fn carried(&self, user: UserNo, stored: accounts::Account) -> accounts::Account {
        let Some(change) = self.changes.get(&user) else {
            return stored;
        };
        accounts::Account {
            available: stored.available.wrapping_add(change.available),
            held: stored.held.wrapping_add(change.held),
            owed: stored.owed.wrapping_add(change.owed),
            newest: stored.newest.max(change.newest),
        }
    }
}
