//! Rows as types. Text that does not read back is a damaged store, never a panic.

use lingqian_core::ledger::{Account, Cause, Entry};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_io::Fault;
pub(crate) use lingqian_io::columns::{apps, damaged, digest, id, payout_id, queue, report};
use rusqlite::{Error, ErrorCode, Row};

/// What SQLite's errors mean before a commit. Its messages name tables, columns and
/// constraints, never values.
pub(crate) fn fault(error: Error) -> Fault {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Fault::Retry("another process holds the database".into())
        }
        Some(ErrorCode::DiskFull) => Fault::Retry(
            "the disk is full, or the file may grow no further; nothing of this was written; make \
             room and do the same again"
                .into(),
        ),
        Some(ErrorCode::SystemIoFailure) => Fault::Broken(format!(
            "the disk does not read or write; it may be full or failing (SQLite: {error})"
        )),
        Some(ErrorCode::DatabaseCorrupt) => Fault::Damaged(format!(
            "the file of the books is damaged (SQLite: {error}); keep it as it is, and take the newest copy"
        )),
        _ => Fault::Broken(format!("SQLite: {error}")),
    }
}

/// What SQLite's errors mean for a commit: busy left everything as it was, and so did a full disk, for
/// want of which the end of the commit is not in the log; after anything else it may be durable all the
/// same.
pub(crate) fn in_doubt(error: Error) -> Fault {
    match fault(error) {
        retry @ Fault::Retry(_) => retry,
        Fault::Unknown(words)
        | Fault::Broken(words)
        | Fault::Damaged(words)
        | Fault::Held(words)
        | Fault::Newer(words) => Fault::Unknown(words),
    }
}

/// A column by its position.
pub(crate) fn get<T: rusqlite::types::FromSql>(row: &Row<'_>, index: usize) -> Result<T, Fault> {
    row.get(index).map_err(|error| {
        if error.sqlite_error_code().is_some() {
            return fault(error);
        }
        // The error itself may print the value.
        let statement: &rusqlite::Statement<'_> = row.as_ref();
        damaged(statement.column_name(index).unwrap_or("a column"))
    })
}

/// A day from its number.
pub(crate) fn day(number: i64) -> Result<BusinessDate, Fault> {
    i32::try_from(number)
        .map(BusinessDate)
        .map_err(|_| damaged("a day"))
}

/// The nine columns of an entry that was a row, beginning with its number at `first`.
pub(crate) fn entry(row: &Row<'_>, first: usize) -> Result<(i64, Entry), Fault> {
    let account = |class: usize, owner: usize| -> Result<Account, Fault> {
        Account::from_code(get(row, first + class)?, get(row, first + owner)?)
            .ok_or_else(|| damaged("an account of entries"))
    };
    let sides = (account(1, 2)?, account(3, 4)?);
    let cause: String = get(row, first + 6)?;
    let cause = Cause::from_name(&cause).ok_or_else(|| damaged("entries.cause"))?;
    let payout: Option<String> = get(row, first + 7)?;
    let payout = payout.as_deref().map(payout_id).transpose()?;
    let at = Timestamp(get(row, first + 8)?);
    let entry = Entry::new(sides, Micros(get(row, first + 5)?), cause, payout, at);
    Ok((get(row, first)?, entry.ok_or_else(|| damaged("entries"))?))
}

/// Fen in a column.
pub(crate) fn fen(row: &Row<'_>, index: usize) -> Result<Fen, Fault> {
    Ok(Fen(get(row, index)?))
}

/// Every row of a query, as types.
pub(crate) fn rows<T>(
    statement: &mut rusqlite::Statement<'_>,
    parameters: impl rusqlite::Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut found = statement.query(parameters).map_err(fault)?;
    let mut values = Vec::new();
    while let Some(row) = found.next().map_err(fault)? {
        values.push(read(row)?);
    }
    Ok(values)
}

/// The first row of a query, as a type, where there is one.
pub(crate) fn first<T>(
    statement: &mut rusqlite::Statement<'_>,
    parameters: impl rusqlite::Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let mut found = statement.query(parameters).map_err(fault)?;
    found.next().map_err(fault)?.map(read).transpose()
}
