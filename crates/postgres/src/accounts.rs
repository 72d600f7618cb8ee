//! Users' accounts: one row each, changed by nobody but who has the end of the chain in hand.

use std::collections::BTreeMap;

use lingqian_core::ledger::Account;
use lingqian_io::Fault;
use tokio_postgres::Row;

use crate::codec::{damaged, get};
use crate::commit::{Refused, unless};
use crate::pool::{Session, Values};
use crate::sql;
use crate::tid::Tid;

/// A user's accounts; one that never moved has no balance.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Accounts {
    pub(crate) available: Option<i64>,
    pub(crate) held: Option<i64>,
    pub(crate) receivable: Option<i64>,
    pub(crate) newest: Option<i64>,
    /// Where the row lies, as long as nobody changes it.
    place: Option<Tid>,
}

impl Accounts {
    /// A row of the query `placed_accounts`, with the user's number.
    fn placed(row: &Row) -> Result<(i64, Accounts), Fault> {
        let (user, accounts) = Accounts::read(row)?;
        let place = Some(get(row, 5)?);
        Ok((user, Accounts { place, ..accounts }))
    }

    /// A row of the query `accounts`, with the user's number.
    pub(crate) fn read(row: &Row) -> Result<(i64, Accounts), Fault> {
        let accounts = Accounts {
            available: get(row, 1)?,
            held: get(row, 2)?,
            receivable: get(row, 3)?,
            newest: get(row, 4)?,
            place: None,
        };
        Ok((get(row, 0)?, accounts))
    }

    /// The same, wherever the row lies.
    pub(crate) fn unplaced(&self) -> Accounts {
        Accounts {
            place: None,
            ..*self
        }
    }

    /// The balance of one of them.
    pub(crate) fn of(&mut self, account: Account) -> Option<&mut Option<i64>> {
        match account {
            Account::Available(_) => Some(&mut self.available),
            Account::Held(_) => Some(&mut self.held),
            Account::Receivable(_) => Some(&mut self.receivable),
            Account::Funding(_)
            | Account::Clearing(_)
            | Account::Float(_)
            | Account::TaxWithheld(_)
            | Account::Fees
            | Account::Suspense => None,
        }
    }
}

/// The user whose account it is.
pub(crate) fn owner(account: Account) -> Option<i64> {
    account.user().map(|user| user.0)
}

/// The accounts of these users, where they are registered. They stay as they are for as long as the
/// caller has the end of the chain in hand.
pub(crate) async fn of_some(
    session: &Session,
    users: &[i64],
) -> Result<BTreeMap<i64, Accounts>, Refused> {
    if users.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = session.try_rows(sql!("placed_accounts"), &[&users]).await?;
    let accounts: Result<_, Fault> = rows.iter().map(Accounts::placed).collect();
    Ok(accounts?)
}

/// The same of users each of whom is registered.
pub(crate) async fn of_all(
    session: &Session,
    users: &[i64],
) -> Result<BTreeMap<i64, Accounts>, Refused> {
    let accounts = of_some(session, users).await?;
    if accounts.len() != users.len() {
        return Err(damaged("user_accounts, where a registered user is missing,").into());
    }
    Ok(accounts)
}

/// Writes accounts of users who are registered. The caller has the end of the chain in hand.
pub(crate) async fn store(
    session: &Session,
    accounts: &BTreeMap<i64, Accounts>,
) -> Result<(), Refused> {
    // Rows that nobody looked for are those of users of this very batch, and those that the batch
    // before moved after they were looked at.
    let (placed, others): (Vec<_>, Vec<_>) =
        accounts.iter().partition(|(_, own)| own.place.is_some());
    let mut moved = 0;
    if !placed.is_empty() {
        let places: Vec<Option<Tid>> = placed.iter().map(|(_, own)| own.place).collect();
        let columns = Columns::of(&placed);
        let values: Values<'_> = &[
            &places,
            &columns.users,
            &columns.available,
            &columns.held,
            &columns.receivable,
            &columns.newest,
        ];
        moved += session.run(sql!("move_placed_accounts"), values).await?;
    }
    if !others.is_empty() {
        let columns = Columns::of(&others);
        let values: Values<'_> = &[
            &columns.users,
            &columns.available,
            &columns.held,
            &columns.receivable,
            &columns.newest,
        ];
        moved += session.run(sql!("move_accounts"), values).await?;
    }
    let all = u64::try_from(accounts.len()).ok() == Some(moved);
    unless(all, "an account belongs to a user who is registered")
}

/// Accounts side by side.
struct Columns {
    users: Vec<i64>,
    available: Vec<Option<i64>>,
    held: Vec<Option<i64>>,
    receivable: Vec<Option<i64>>,
    newest: Vec<Option<i64>>,
}

impl Columns {
    fn of(accounts: &[(&i64, &Accounts)]) -> Columns {
        let column = |read: fn(&Accounts) -> Option<i64>| -> Vec<Option<i64>> {
            accounts.iter().map(|(_, own)| read(own)).collect()
        };
        Columns {
            users: accounts.iter().map(|(user, _)| **user).collect(),
            available: column(|own| own.available),
            held: column(|own| own.held),
            receivable: column(|own| own.receivable),
            newest: column(|own| own.newest),
        }
    }
}
