//! Carries the log into the file beside the scribe, so that no commit waits for it.
//!
//! The carrier copies what is in the log while the scribe goes on, a portion at a time, and syncs the
//! file. When the log is full, what came since is little, and the scribe itself copies it between two
//! commits. Then the log begins anew, once nobody reads from it: the teller, who looks something up
//! all the time, is waited for, others are not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use lingqian_io::Fault;
use rusqlite::Connection;

use crate::codec::fault;
use crate::schema::{BUSY_WAIT, PAGE_BYTES};
use crate::scribe::data_version;

/// Log pages that are carried and synced together, about: everybody who syncs meanwhile waits for
/// the disk to have them.
const PORTION_PAGES: u64 = 2_000;
/// Log pages that the scribe may copy itself: a few milliseconds of work.
const REST_PAGES: i64 = 512;
/// How often the carrier begins again, when the scribe is faster than it.
const PASSES_MAX: usize = 32;
/// A log that could not begin anew may grow by this part of its length before that is tried again: a
/// reader who stays is not waited for with every portion.
const AGAIN_PART: u64 = 4;
/// About so many pages a commit changes beside those that it fills.
const PAGES_PER_COMMIT: u64 = 4;

/// So long the scribe waits for those who read from the log: longer than a batch is decided on, and
/// no longer than a caller would notice.
const READERS_WAIT: Duration = Duration::from_millis(60);

/// How many pages the log had when they began to be copied, how many of them are in the file, and
/// whether somebody else was in the way.
struct Carried {
    busy: bool,
    logged: i64,
    carried: i64,
}

/// Copies what is in the log and not in use.
fn carry(connection: &Connection, how: &str) -> Result<Carried, Fault> {
    let done = connection.query_row(how, [], |row| {
        Ok(Carried {
            busy: row.get(0)?,
            logged: row.get(1)?,
            carried: row.get(2)?,
        })
    });
    done.map_err(fault)
}

/// Copies while the scribe goes on, until little came since the file was synced. SQLite syncs it
/// only after a pass that copied everything, in which nobody committed, which a short one mostly is:
/// what was not synced when the log is to begin anew, the scribe would have to wait for. A pass that
/// fails is made again the next time; the log keeps everything meanwhile.
fn carry_most(connection: &Connection) -> Result<(), Fault> {
    let (mut before, mut synced) = (0, false);
    for _ in 0..PASSES_MAX {
        let known = data_version(connection)?;
        let Carried {
            logged, carried, ..
        } = carry(connection, "PRAGMA wal_checkpoint(PASSIVE)")?;
        if synced && carried - before <= REST_PAGES {
            break;
        }
        synced = carried == logged && data_version(connection)? == known;
        before = carried;
    }
    Ok(())
}

/// Copies what is left and has the next commit begin the log anew; tells whether it will. It will not
/// where somebody reads from the log for long, or carries at this moment.
fn begin_anew(connection: &Connection) -> Result<bool, Fault> {
    connection.busy_timeout(READERS_WAIT).map_err(fault)?;
    let done = carry(connection, "PRAGMA wal_checkpoint(RESTART)");
    connection.busy_timeout(BUSY_WAIT).map_err(fault)?;
    done.map(|done| !done.busy && done.logged == done.carried)
}

/// The scribe's side of carrying.
pub(crate) struct Log {
    /// Pages in the log, about.
    pages: u64,
    /// So many it had when the carrier was woken.
    woken: u64,
    /// From so many on it begins anew,
    pages_max: u64,
    /// or from so many, where it could not.
    again: u64,
    wake: mpsc::SyncSender<()>,
    /// Set by the carrier when little is left.
    carried: Arc<AtomicBool>,
}

impl Log {
    /// Starts a carrier with a connection of its own; it ends with the log.
    pub(crate) fn start(connection: Connection, pages_max: u32) -> Result<Log, Fault> {
        let (wake, woken) = mpsc::sync_channel(1);
        let carried = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&carried);
        let work = move || {
            while woken.recv().is_ok() {
                let _ = carry_most(&connection);
                told.store(true, Ordering::Release);
            }
        };
        let thread = std::thread::Builder::new().name("sqlite-carrier".into());
        thread
            .spawn(work)
            .map_err(|error| Fault::Broken(format!("no thread: {error}")))?;
        Ok(Log {
            pages: 0,
            woken: 0,
            pages_max: u64::from(pages_max),
            again: 0,
            wake,
            carried,
        })
    }

    /// A commit was written with so many bytes, and nothing is being written now.
    pub(crate) fn committed(&mut self, connection: &Connection, bytes: usize) {
        self.pages += bytes as u64 / PAGE_BYTES + PAGES_PER_COMMIT;
        let due = self.pages > self.pages_max.max(self.again);
        if self.carried.swap(false, Ordering::Acquire) && due {
            if matches!(begin_anew(connection), Ok(true)) {
                (self.pages, self.woken, self.again) = (0, 0, 0);
            } else {
                self.again = self.pages + self.pages_max / AGAIN_PART;
            }
        }
        if self.pages > self.woken + PORTION_PAGES.min(self.pages_max) {
            self.woken = self.pages;
            // Full means that the carrier was woken before.
            let _ = self.wake.try_send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::time::Instant;

    use super::*;
    use crate::Options;
    use crate::schema::{open_carrier, open_reader, open_writer};

    const MIB: u64 = 1 << 20;

    /// Books that are filled a megabyte at a time.
    struct Filling {
        books: Connection,
        log: Log,
        path: PathBuf,
    }

    impl Filling {
        /// Empty books whose log begins anew from so many pages on.
        fn begin(dir: &Path, pages_max: u32) -> Filling {
            let path = dir.join("books.db");
            let options = Options {
                checkpoint_pages: pages_max,
                ..Options::default()
            };
            let books = open_writer(&path, &options).expect("opens");
            let table = "CREATE TABLE filled (number INTEGER PRIMARY KEY, bytes BLOB)";
            books.execute(table, []).expect(table);
            let carrier = open_carrier(&path).expect("opens");
            let log = Log::start(carrier, pages_max).expect("starts");
            Filling { books, log, path }
        }

        /// Adds a megabyte; tells how long the log is.
        fn insert(&mut self) -> u64 {
            let row = "INSERT INTO filled (bytes) VALUES (randomblob(1 << 20))";
            self.books.execute(row, []).expect(row);
            self.log.committed(&self.books, MIB as usize);
            let log = self.path.with_extension("db-wal");
            log.metadata().expect("a log").len()
        }
    }

    fn rows(books: &Connection) -> i64 {
        let rows = books.query_row("SELECT count(*) FROM filled", [], |row| row.get(0));
        rows.expect("reads")
    }

    #[test]
    fn the_log_is_carried_on_the_way_and_begins_anew_when_it_is_full() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut filling = Filling::begin(dir.path(), 3 * PORTION_PAGES as u32);
        let mut longest = 0;
        // Who writes is never far ahead of who carries.
        for inserted in 1..=250 {
            longest = longest.max(filling.insert());
            let begun = Instant::now();
            while filling.path.metadata().expect("a file").len()
                < MIB * u64::saturating_sub(inserted, 40)
            {
                assert!(begun.elapsed() < Duration::from_secs(30), "not carried");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        assert!(longest < 200 * MIB, "{longest} bytes in the log");
        assert_eq!(rows(&filling.books), 250);
    }

    #[test]
    fn a_log_that_grew_behind_a_reader_is_cut_once_he_is_gone() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut filling = Filling::begin(dir.path(), 512);
        let reader = open_reader(&filling.path, &Options::default()).expect("opens");
        let moment = reader.unchecked_transaction().expect("begins");
        assert_eq!(rows(&moment), 0);
        let grown = (0..40).map(|_| filling.insert()).max();
        assert!(grown > Some(40 * MIB), "{grown:?} bytes in the log");
        assert_eq!(rows(&moment), 0);
        drop(moment);
        let begun = Instant::now();
        while filling.insert() > 10 * MIB {
            assert!(begun.elapsed() < Duration::from_secs(30), "not cut");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(rows(&filling.books) > 40);
    }
}
