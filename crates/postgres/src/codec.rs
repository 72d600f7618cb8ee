//! Rows as types. Text that does not read back is a damaged store, never a panic.

use lingqian_core::ledger::{Account, Cause, Entry};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_io::Fault;
pub(crate) use lingqian_io::columns::{apps, damaged, digest, id, payout_id, queue, report};
use tokio_postgres::Row;
use tokio_postgres::types::FromSqlOwned;

/// A column by its position.
pub(crate) fn get<T: FromSqlOwned>(row: &Row, index: usize) -> Result<T, Fault> {
    row.try_get(index).map_err(|_| {
        let column = row.columns().get(index);
        damaged(column.map_or("a column", |column| column.name()))
    })
}

/// A text column by its position, without a copy.
pub(crate) fn text(row: &Row, index: usize) -> Result<&str, Fault> {
    row.try_get(index).map_err(|_| {
        let column = row.columns().get(index);
        damaged(column.map_or("a column", |column| column.name()))
    })
}

/// A whole number that must fit into less than 64 bits.
pub(crate) fn number<T: TryFrom<i64>>(row: &Row, index: usize) -> Result<T, Fault> {
    let column = row.columns().get(index);
    T::try_from(get(row, index)?)
        .map_err(|_| damaged(column.map_or("a column", |column| column.name())))
}

/// A moment.
pub(crate) fn moment(row: &Row, index: usize) -> Result<Timestamp, Fault> {
    Ok(Timestamp(get(row, index)?))
}

/// A moment where there is one.
pub(crate) fn moment_maybe(row: &Row, index: usize) -> Result<Option<Timestamp>, Fault> {
    Ok(get::<Option<i64>>(row, index)?.map(Timestamp))
}

/// A day.
pub(crate) fn day(row: &Row, index: usize) -> Result<BusinessDate, Fault> {
    Ok(BusinessDate(get(row, index)?))
}

/// Fen in a column.
pub(crate) fn fen(row: &Row, index: usize) -> Result<Fen, Fault> {
    Ok(Fen(get(row, index)?))
}

/// An account from its class and its owner.
pub(crate) fn account(row: &Row, class: usize, owner: usize) -> Result<Account, Fault> {
    let class = i64::from(get::<i16>(row, class)?);
    Account::from_code(class, get(row, owner)?).ok_or_else(|| damaged("an account's class"))
}

/// The class and the owner of an account.
pub(crate) fn code(account: Account) -> Result<(i16, i64), Fault> {
    let (class, owner) = account.code();
    Ok((
        i16::try_from(class).map_err(|_| damaged("an account's class"))?,
        owner,
    ))
}

/// Columns of an entry.
pub(crate) const ENTRY_COLUMNS: usize = 9;

/// The nine columns of an entry, beginning with its number at `first`.
pub(crate) fn entry(row: &Row, first: usize) -> Result<(i64, Entry), Fault> {
    let sides = (
        account(row, first + 1, first + 2)?,
        account(row, first + 3, first + 4)?,
    );
    let cause = Cause::from_name(text(row, first + 6)?).ok_or_else(|| damaged("entries.cause"))?;
    let payout: Option<&str> = row
        .try_get(first + 7)
        .map_err(|_| damaged("entries.payout"))?;
    let payout = payout.map(payout_id).transpose()?;
    let at = moment(row, first + 8)?;
    let entry = Entry::new(sides, Micros(get(row, first + 5)?), cause, payout, at);
    Ok((get(row, first)?, entry.ok_or_else(|| damaged("entries"))?))
}
