//! Opening the file: settings, and the schema brought up to date.

use std::path::Path;
use std::time::Duration;

use lingqian_io::Fault;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::codec::fault;

/// Every migration, in order. What is here never changes; changes are new files.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_books.sql")];

/// How long a process waits for another one's commit.
const BUSY_WAIT: Duration = Duration::from_secs(10);

/// Opens the connection that writes, and brings the schema up to date.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, Fault> {
    let mut connection = Connection::open(path).map_err(fault)?;
    connection.busy_timeout(BUSY_WAIT).map_err(fault)?;
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = OFF;
             PRAGMA cache_size = -131072;
             PRAGMA temp_store = MEMORY;
             PRAGMA wal_autocheckpoint = 8000;",
        )
        .map_err(fault)?;
    connection.set_prepared_statement_cache_capacity(128);
    migrate(&mut connection)?;
    Ok(connection)
}

/// Opens a connection that only reads.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    connection.busy_timeout(BUSY_WAIT).map_err(fault)?;
    connection
        .execute_batch("PRAGMA cache_size = -32768; PRAGMA mmap_size = 1073741824;")
        .map_err(fault)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), Fault> {
    let change = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(fault)?;
    let version: i64 = change
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(fault)?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if !(0..=known).contains(&version) {
        return Err(Fault::Broken(format!(
            "the database has schema {version} and this program knows up to {known}; use a newer \
             program"
        )));
    }
    let applied = usize::try_from(version).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(applied) {
        change.execute_batch(migration).map_err(fault)?;
    }
    change
        .pragma_update(None, "user_version", known)
        .map_err(fault)?;
    change.commit().map_err(fault)
}
