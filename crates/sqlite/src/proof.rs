//! Proof of the pages that nobody needs to read: who opens the file proves the newest of them, as
//! many as its budget allows, and a thread of its own proves the others afterwards.
//!
//! What does not fit stops whoever would write. A book that goes on after a damaged page buries
//! it under entries that no older copy has.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use lingqian_io::Fault;
use rusqlite::Connection;

use crate::Options;
use crate::codec::fault;
use crate::page::{self, Hash, NO_HASH, Page};
use crate::prefetch::cached;
use crate::sql;
use crate::verify::{Misfit, Wrong};

/// Pages that are read of one moment, so that the log can be carried between two such moments.
const PIECE_PAGES: i64 = 64;
/// How long a file may be busy before it is asked again.
const BUSY_WAIT: Duration = Duration::from_secs(1);

/// Why nothing more is written, once a page was found that does not fit.
pub(crate) type Damage = OnceLock<Fault>;

/// What whoever would write to damaged books is told.
fn refusal(misfit: &Misfit) -> Fault {
    Fault::Damaged(format!(
        "{misfit}; nothing is written to these books until a person has looked at them: `lingqian \
         ledger verify` tells what is proved and what to do next"
    ))
}

/// Whether a page follows the one before, given by its last entry and its hash.
fn fit(page: &Page, hash: &Hash, (last, chained): (u64, &Hash)) -> Result<(), Misfit> {
    if page.first > last + 1 {
        return Err(Misfit {
            first: last + 1,
            last: Some(page.first - 1),
            wrong: Wrong::Missing,
        });
    }
    if page.first <= last || page.hash(chained) != *hash {
        return Err(Misfit {
            first: page.first,
            last: Some(page.last()),
            wrong: Wrong::Changed,
        });
    }
    Ok(())
}

/// A page that cannot be read is named by an entry; a file that is busy is no damage.
fn unreadable(entry: u64, fault: Fault) -> Fault {
    match fault {
        Fault::Broken(words) | Fault::Damaged(words) => refusal(&Misfit {
            first: entry,
            last: None,
            wrong: Wrong::Unreadable(words),
        }),
        other => other,
    }
}

/// Proves the newest pages, from the last one back, until so many bytes were read. Tells where
/// what is proved begins.
fn newest(connection: &Connection, budget: u64) -> Result<u64, Fault> {
    let mut query = cached(connection, sql!("pages_back"))?;
    let mut rows = query.query([]).map_err(fault)?;
    let mut later: Option<(Page, Hash)> = None;
    let (mut read, mut from, mut misfit) = (0, u64::MAX, None);
    let (last, _) = page::last(connection)?;
    while read <= budget {
        let entry = later.as_ref().map_or(last, |(page, _)| page.first - 1);
        let found = rows
            .next()
            .map_err(|error| unreadable(entry, fault(error)))?;
        let next = found.map(page::row).transpose();
        let next = next.map_err(|fault| unreadable(entry, fault))?;
        let before = next
            .as_ref()
            .map_or((0, &NO_HASH), |(page, hash)| (page.last(), hash));
        if let Some((page, hash)) = &later {
            // A changed hash shows in two pages; the older one is the one to name.
            misfit = fit(page, hash, before).err().or(misfit);
            from = page.first;
        }
        let Some((page, hash)) = next else {
            from = 1;
            break;
        };
        read += page.body.len() as u64;
        later = Some((page, hash));
    }
    misfit.map_or(Ok(from), |misfit| Err(refusal(&misfit)))
}

/// Proves as much as the options allow, and has the rest proved beside the work of the store. The
/// thread ends when it is through, or when nobody holds the damage any more.
///
/// # Errors
/// [`Fault::Broken`] that names the page which does not fit.
pub(crate) fn begin(
    connection: Connection,
    options: &Options,
    damage: &Arc<Damage>,
) -> Result<(), Fault> {
    let from = newest(&connection, options.proved_at_start)?;
    if from == 1 {
        return Ok(());
    }
    let scrub = Scrub {
        connection,
        until: from,
        rate: options.scrub_bytes_per_second.max(1),
        damage: Arc::downgrade(damage),
    };
    let thread = std::thread::Builder::new().name("sqlite-scrub".into());
    let started = thread.spawn(move || scrub.work());
    let failed = |error| Fault::Broken(format!("no thread: {error}"));
    started.map(|_| ()).map_err(failed)
}

/// What proves the pages that were not proved at the start.
struct Scrub {
    connection: Connection,
    /// Where what is proved already begins.
    until: u64,
    /// Bytes in a second, at most.
    rate: u64,
    damage: Weak<Damage>,
}

impl Scrub {
    fn work(self) {
        let mut proved = (0, NO_HASH);
        while let Some(damage) = self.damage.upgrade() {
            let pause = match self.piece(&mut proved) {
                Ok(Some(bytes)) => Duration::from_millis(bytes.saturating_mul(1_000) / self.rate),
                Ok(None) => return,
                Err(Fault::Retry(_)) => BUSY_WAIT,
                Err(fault) => {
                    tracing::error!(%fault, "the books are damaged");
                    let _ = damage.set(fault);
                    return;
                }
            };
            drop(damage);
            std::thread::sleep(pause.min(BUSY_WAIT));
        }
    }

    /// Proves some pages after the last that is proved; tells how many bytes they had, or nothing
    /// when none is left.
    fn piece(&self, proved: &mut (u64, Hash)) -> Result<Option<u64>, Fault> {
        let mut query = cached(&self.connection, sql!("pages_after"))?;
        let values = [proved.0.cast_signed(), PIECE_PAGES];
        let mut rows = query.query(values).map_err(fault)?;
        let (mut bytes, mut is_last) = (0, true);
        loop {
            let entry = proved.0 + 1;
            let found = rows
                .next()
                .map_err(|error| unreadable(entry, fault(error)))?;
            let Some(found) = found else {
                return Ok((!is_last).then_some(bytes));
            };
            let (page, hash) = page::row(found).map_err(|fault| unreadable(entry, fault))?;
            let before = (proved.0, &proved.1);
            fit(&page, &hash, before).map_err(|misfit| refusal(&misfit))?;
            if page.first >= self.until {
                return Ok(None);
            }
            bytes += page.body.len() as u64;
            is_last = false;
            *proved = (page.last(), hash);
        }
    }
}
