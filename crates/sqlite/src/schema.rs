//! Opening the file: settings, and the schema brought up to date.

mod convert;

use std::path::Path;
use std::time::Duration;

use lingqian_io::Fault;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use crate::Options;
use crate::codec::fault;
use crate::letters;

/// Every migration with its name, in order. What is here never changes; changes are new files.
const MIGRATIONS: [(&str, &str); 20] = [
    ("0001_books", include_str!("../migrations/0001_books.sql")),
    (
        "0002_chains_and_guards",
        include_str!("../migrations/0002_chains_and_guards.sql"),
    ),
    ("0003_pages", include_str!("../migrations/0003_pages.sql")),
    (
        "0004_no_rows",
        include_str!("../migrations/0004_no_rows.sql"),
    ),
    (
        "0005_lean_payouts",
        include_str!("../migrations/0005_lean_payouts.sql"),
    ),
    (
        "0006_attempts_and_stops",
        include_str!("../migrations/0006_attempts_and_stops.sql"),
    ),
    ("0007_dense", include_str!("../migrations/0007_dense.sql")),
    (
        "0008_plain_checks",
        include_str!("../migrations/0008_plain_checks.sql"),
    ),
    ("0009_outbox", include_str!("../migrations/0009_outbox.sql")),
    (
        "0010_state_totals",
        include_str!("../migrations/0010_state_totals.sql"),
    ),
    ("0011_owns", include_str!("../migrations/0011_owns.sql")),
    (
        "0012_id_filters",
        include_str!("../migrations/0012_id_filters.sql"),
    ),
    (LETTERS, include_str!("../migrations/0013_letters.sql")),
    ("0014_links", include_str!("../migrations/0014_links.sql")),
    (
        "0015_alerts_and_messages",
        include_str!("../migrations/0015_alerts_and_messages.sql"),
    ),
    (
        "0016_whole_letters",
        include_str!("../migrations/0016_whole_letters.sql"),
    ),
    ("0017_seats", include_str!("../migrations/0017_seats.sql")),
    (
        "0018_young_runs",
        include_str!("../migrations/0018_young_runs.sql"),
    ),
    ("0019_births", include_str!("../migrations/0019_births.sql")),
    (
        "0020_narrow_ids",
        include_str!("../migrations/0020_narrow_ids.sql"),
    ),
];

/// After this migration, and before the next, entries are carried over from rows to pages.
const PAGES: &str = "0003_pages";
/// These migrations come early where entries are carried over, which writes pages, accounts and ids
/// as they have them.
const EARLY: [&str; 3] = ["0007_dense", "0011_owns", "0020_narrow_ids"];

/// After this migration letters that are there get their digests.
const LETTERS: &str = "0013_letters";

/// Bytes of a page of the file, and of the log.
pub(crate) const PAGE_BYTES: u64 = 8_192;
/// How long a process waits for another one's commit.
pub(crate) const BUSY_WAIT: Duration = Duration::from_secs(10);

/// A connection that belongs to one thread. A statement is planned once, whatever it is run with:
/// otherwise SQLite prepares it again for each value that meets an index of a part of the rows.
fn connect(path: &Path, how: OpenFlags) -> Result<Connection, Fault> {
    let flags = how | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(fault)?;
    Ok(connection)
}

/// Opens the connection that writes, and brings the schema up to date.
pub(crate) fn open_writer(path: &Path, options: &Options) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut connection = connect(path, flags)?;
    connection.busy_timeout(BUSY_WAIT).map_err(fault)?;
    refuse_strangers(&connection)?;
    let cache = options.writer_cache_kib;
    // One that grew behind a reader who stayed is cut when it begins anew.
    let log = u64::from(options.checkpoint_pages) * 2 * PAGE_BYTES;
    connection
        .execute_batch(&format!(
            "PRAGMA page_size = {PAGE_BYTES};
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = OFF;
             PRAGMA cache_size = -{cache};
             PRAGMA temp_store = MEMORY;
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA journal_size_limit = {log};"
        ))
        .map_err(fault)?;
    connection.set_prepared_statement_cache_capacity(128);
    if applied(&connection)? < MIGRATIONS.len() {
        // A table that others refer to is replaced by another of its name.
        migrate(&mut connection)?;
    }
    connection
        .execute_batch("PRAGMA foreign_keys = ON")
        .map_err(fault)?;
    refuse_altered(&connection)?;
    Ok(connection)
}

/// Opens the connection of a scribe who may not write, because another process does.
pub(crate) fn open_beside(path: &Path, options: &Options) -> Result<Connection, Fault> {
    let connection = open_reader(path, options)?;
    refuse_old(&connection)?;
    Ok(connection)
}

/// Opens the connection that carries the log into the file.
pub(crate) fn open_carrier(path: &Path) -> Result<Connection, Fault> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;")
        .map_err(fault)?;
    Ok(connection)
}

/// Opens a connection that only reads. The file is not mapped into memory: a file that was cut
/// short is then an error of a read and not the end of the process.
pub(crate) fn open_reader(path: &Path, options: &Options) -> Result<Connection, Fault> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(BUSY_WAIT).map_err(fault)?;
    let cache = options.reader_cache_kib;
    connection
        .execute_batch(&format!("PRAGMA cache_size = -{cache};"))
        .map_err(fault)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Opens whole books for somebody who only looks: nothing is made, brought up to date or checked
/// page by page, so that damaged books can be looked at, too.
pub(crate) fn open_books(path: &Path) -> Result<Connection, Fault> {
    let connection = open_reader(path, &Options::default())?;
    refuse_old(&connection)?;
    Ok(connection)
}

/// Refuses whatever is not wholly of this program's schema.
fn refuse_old(connection: &Connection) -> Result<(), Fault> {
    refuse_strangers(connection)?;
    if applied(connection)? < MIGRATIONS.len() {
        return Err(Fault::Broken(
            "the database has an older schema than this program's; any command that writes, such \
             as `lingqian serve`, brings it up to date"
                .into(),
        ));
    }
    refuse_altered(connection)
}

/// A database that has tables but none of our migrations belongs to another program.
fn refuse_strangers(connection: &Connection) -> Result<(), Fault> {
    // Both are read of one moment: another process may be making the tables just now.
    let moment = connection.unchecked_transaction().map_err(fault)?;
    if applied(&moment)? > 0 {
        return Ok(());
    }
    let tables: i64 = moment
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(fault)?;
    if tables == 0 {
        return Ok(());
    }
    Err(Fault::Broken(
        "the file is the database of another program".into(),
    ))
}

/// How many migrations the file has.
fn applied(connection: &Connection) -> Result<usize, Fault> {
    let version: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(fault)?;
    let known = MIGRATIONS.len();
    match usize::try_from(version) {
        Ok(applied) if applied <= known => Ok(applied),
        _ => Err(Fault::Newer(format!(
            "the database has schema {version} and this program knows up to {known}; use a newer \
             program"
        ))),
    }
}

fn migrate(connection: &mut Connection) -> Result<(), Fault> {
    let change = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(fault)?;
    // Another process may have been first.
    let before = applied(&change)?;
    let from_rows = before < MIGRATIONS.partition_point(|(name, _)| *name <= PAGES);
    let due = MIGRATIONS.iter().skip(before);
    let early = |(name, _): &&(&str, &str)| EARLY.contains(name);
    for (name, sql) in due.filter(|own| !(from_rows && early(own))) {
        change.execute_batch(sql).map_err(fault)?;
        if *name == PAGES {
            for (_, sql) in MIGRATIONS.iter().filter(early) {
                change.execute_batch(sql).map_err(fault)?;
            }
            convert::convert(&change)?;
        }
        if *name == LETTERS {
            letters::fill_digests(&change)?;
        }
    }
    for (number, (name, sql)) in (1_i64..).zip(MIGRATIONS) {
        change
            .execute(
                include_str!("../queries/note_migration.sql"),
                params![number, name, sql],
            )
            .map_err(fault)?;
    }
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    change
        .pragma_update(None, "user_version", known)
        .map_err(fault)?;
    change.commit().map_err(fault)
}

/// A migration that was applied with other words than ours made other tables.
fn refuse_altered(connection: &Connection) -> Result<(), Fault> {
    for (number, (name, sql)) in (1_i64..).zip(MIGRATIONS) {
        let noted: Option<String> = connection
            .query_row(include_str!("../queries/migration.sql"), [number], |row| {
                row.get(0)
            })
            .optional()
            .map_err(fault)?;
        if noted.as_deref() != Some(sql) {
            return Err(Fault::Broken(format!(
                "the database was made with another migration {name} than this program's"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
