//! Carries the log into the file beside the scribe, so that no commit waits for it.
//!
//! The carrier copies what is in the log while the scribe goes on; what came meanwhile is little,
//! and the scribe itself copies it between two commits. Then the log begins anew, once nobody reads
//! from it: the teller, who looks something up all the time, is waited for, others are not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use lingqian_io::Fault;
use rusqlite::Connection;

use crate::codec::fault;
use crate::schema::BUSY_WAIT;

/// Log pages that the scribe may copy itself: a few milliseconds of work.
const REST_PAGES: i64 = 512;
/// So often in a row the carrier must find little in the log before it says so. SQLite syncs the
/// file after a pass during which nothing was committed, which is one of these most of the time; what
/// was not synced then, the scribe would have to wait for.
const SHORT_PASSES: usize = 3;
/// How often the carrier begins again, when the scribe is faster than it.
const PASSES_MAX: usize = 16;
/// About so many pages a commit changes beside those that it fills.
const PAGES_PER_COMMIT: u64 = 4;

/// So long the scribe waits for those who read from the log: longer than a batch is decided on, and
/// no longer than a caller would notice.
const READERS_WAIT: Duration = Duration::from_millis(60);

/// How many pages the log had when they began to be copied, and how many of them are in the file.
struct Carried {
    logged: i64,
    carried: i64,
}

/// Copies what is in the log and not in use.
fn carry(connection: &Connection, how: &str) -> Result<Carried, Fault> {
    let done = connection.query_row(how, [], |row| {
        Ok(Carried {
            logged: row.get(1)?,
            carried: row.get(2)?,
        })
    });
    done.map_err(fault)
}

/// Copies while the scribe goes on, until little comes meanwhile. A pass that fails is made again
/// the next time; the log keeps everything meanwhile.
fn carry_most(connection: &Connection) {
    let (mut before, mut short) = (0, 0);
    for _ in 0..PASSES_MAX {
        let Ok(Carried { carried, .. }) = carry(connection, "PRAGMA wal_checkpoint(PASSIVE)")
        else {
            return;
        };
        short = match carried - before <= REST_PAGES {
            true => short + 1,
            false => 0,
        };
        if short == SHORT_PASSES {
            return;
        }
        before = carried;
    }
}

/// Copies what is left and has the next commit begin the log anew; tells how many pages were not
/// copied.
fn begin_anew(connection: &Connection) -> Result<i64, Fault> {
    connection.busy_timeout(READERS_WAIT).map_err(fault)?;
    let done = carry(connection, "PRAGMA wal_checkpoint(RESTART)");
    connection.busy_timeout(BUSY_WAIT).map_err(fault)?;
    done.map(|Carried { logged, carried }| logged - carried)
}

/// The scribe's side of carrying.
pub(crate) struct Log {
    /// Pages in the log, about.
    pages: u64,
    pages_max: u64,
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
                carry_most(&connection);
                told.store(true, Ordering::Release);
            }
        };
        let thread = std::thread::Builder::new().name("sqlite-carrier".into());
        thread
            .spawn(work)
            .map_err(|error| Fault::Broken(format!("no thread: {error}")))?;
        Ok(Log {
            pages: 0,
            pages_max: u64::from(pages_max),
            wake,
            carried,
        })
    }

    /// A commit was written with so many bytes, and nothing is being written now.
    pub(crate) fn committed(&mut self, connection: &Connection, bytes: usize) {
        self.pages += bytes as u64 / 8_192 + PAGES_PER_COMMIT;
        if self.carried.swap(false, Ordering::Acquire) {
            // When it fails the log only grows a little more.
            let left = begin_anew(connection).unwrap_or_default();
            self.pages = left.unsigned_abs();
        }
        if self.pages > self.pages_max {
            // Full means that the carrier was woken before.
            let _ = self.wake.try_send(());
        }
    }
}
