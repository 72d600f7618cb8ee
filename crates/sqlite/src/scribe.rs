//! The one connection that writes, on a thread of its own: whole batches, in their order.
//!
//! While the scribe syncs one batch the teller decides on the next. When a batch cannot be
//! written, or somebody else wrote to the file, everything that was decided after it is worthless:
//! the scribe hands it back unwritten until the teller has read the books anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use lingqian_io::Fault;
use lingqian_io::store::EventAnswer;
use rusqlite::{Connection, TransactionBehavior};

use crate::checkpoint::Log;
use crate::codec::{fault, first, get, in_doubt};
use crate::ids::{Merged, Merger};
use crate::ledger::{Batch, Ledger};
use crate::lock::Lock;
use crate::page::{Hash, NO_HASH, last};
use crate::prefetch::cached;
use crate::proof::Damage;
use crate::teller::{Pending, Told};

/// What else a batch writes, in the same transaction.
pub(crate) type Extra = Box<dyn FnOnce(&Connection) -> Result<(), Fault> + Send>;
/// What became of a batch that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is durable.
    Done,
    /// Nothing of it was written; what it was decided on is no longer true.
    Returned,
}
/// Who waits for a batch.
pub(crate) type Done = Box<dyn FnOnce(Result<Written, Fault>) + Send>;

/// To whom a batch matters.
pub(crate) enum Reply {
    /// Events; they can be decided on again.
    Events(Box<Pending>, Vec<EventAnswer>),
    /// Somebody else.
    Other(Done),
}

impl Reply {
    fn written(self, written: Result<Written, Fault>) {
        match self {
            // Nobody waits any more when the caller was dropped; the work stands.
            Reply::Events(pending, answers) => {
                let Pending { events, answer, .. } = *pending;
                let told = written.map(|written| match written {
                    Written::Done => Told::Answers(answers),
                    Written::Returned => Told::Again(events),
                });
                let _ = answer.send(told);
            }
            Reply::Other(done) => done(written),
        }
    }
}

/// A batch on its way to the file.
pub(crate) struct Job {
    pub(crate) batch: Batch,
    pub(crate) extra: Option<Extra>,
    /// A number for the run of a merge, where a run is sealed.
    pub(crate) next_run: Option<u64>,
    /// Runs that the teller no longer looks into.
    pub(crate) discard: Vec<u64>,
    pub(crate) reply: Reply,
}

/// Something for the scribe to do.
pub(crate) enum Order {
    /// Writes a batch.
    Write(Box<Job>),
    /// Does something else with the connection.
    Run(Box<dyn FnOnce(&mut Scribe) + Send>),
}

/// What the teller must know.
pub(crate) enum Note {
    /// A batch up to this entry is durable; this run is in the file, and this one replaced those.
    Written(u64, Option<u64>, Option<Merged>),
    /// A batch was not written. Whoever waited for it was told.
    NotWritten,
}

/// The connection that writes, and what it must remember.
pub(crate) struct Scribe {
    connection: Connection,
    /// The right to write, or why there is none.
    lock: Result<Lock, Fault>,
    /// Why nobody may write any more, once there is a reason.
    damage: Arc<Damage>,
    hash: Hash,
    /// SQLite's `data_version`, which changes with every commit of somebody else.
    version: u32,
    merger: Merger,
    log: Log,
    /// Whether what the teller decides on is worthless.
    stale: bool,
    /// Tells the teller that somebody else wrote to the file.
    foreign: Arc<AtomicBool>,
    notes: mpsc::Sender<Note>,
    recent_ids: usize,
}

/// Why batches were not written.
enum Unwritten {
    /// What they were decided on is no longer true.
    Stale,
    /// This one of them cannot be written.
    One(usize, Fault),
    /// None of them can, or nobody knows.
    All(Fault),
}

impl Unwritten {
    /// What the one at a place is told.
    fn of(&self, place: usize) -> Result<Written, Fault> {
        match self {
            Unwritten::One(own, fault) if *own == place => Err(fault.clone()),
            Unwritten::All(fault) => Err(fault.clone()),
            Unwritten::Stale | Unwritten::One(..) => Ok(Written::Returned),
        }
    }
}

/// Takes the batches that wait, up to the first order that is none.
fn gather(orders: &mpsc::Receiver<Order>, jobs: &mut Vec<Job>) -> Option<Order> {
    loop {
        match orders.try_recv().ok()? {
            Order::Write(job) => jobs.push(*job),
            run @ Order::Run(_) => return Some(run),
        }
    }
}

/// Writes one batch; the hash becomes that of its last page. The caller holds the transaction.
fn write(
    change: &Connection,
    job: &mut Job,
    hash: &mut Hash,
    merger: &mut Merger,
) -> Result<Note, Fault> {
    *hash = job.batch.write(change, hash)?;
    if let Some(extra) = job.extra.take() {
        extra(change)?;
    }
    merger.discard(&job.discard);
    let sealed = job.batch.sealed.as_ref();
    if let Some(sealed) = sealed {
        merger.add(sealed.run(), job.next_run);
    }
    let merged = merger.work(change, (job.batch.ids, job.batch.last))?;
    Ok(Note::Written(
        job.batch.last,
        sealed.map(|run| run.number),
        merged,
    ))
}

/// A number that changes with every commit of another connection.
pub(crate) fn data_version(connection: &Connection) -> Result<u32, Fault> {
    let mut query = cached(connection, "PRAGMA data_version")?;
    Ok(first(&mut query, [], |row| get(row, 0))?.unwrap_or(0))
}

impl Scribe {
    /// A scribe who has read nothing yet, and will keep so many ids in memory.
    pub(crate) fn new(
        (connection, lock, damage): (Connection, Result<Lock, Fault>, Arc<Damage>),
        log: Log,
        notes: mpsc::Sender<Note>,
        foreign: Arc<AtomicBool>,
        recent_ids: usize,
    ) -> Scribe {
        Scribe {
            connection,
            lock,
            damage,
            hash: NO_HASH,
            version: 0,
            merger: Merger::default(),
            log,
            stale: true,
            foreign,
            notes,
            recent_ids,
        }
    }

    /// Works until nobody can give orders any more. Batches that wait are written together, and
    /// synced once.
    pub(crate) fn work(mut self, orders: &mpsc::Receiver<Order>) {
        let mut next = orders.recv().ok();
        while let Some(order) = next.take() {
            match order {
                Order::Run(run) => run(&mut self),
                Order::Write(job) => {
                    let mut jobs = vec![*job];
                    next = gather(orders, &mut jobs);
                    self.take(jobs);
                }
            }
            if next.is_none() {
                next = orders.recv().ok();
            }
        }
    }

    fn take(&mut self, mut jobs: Vec<Job>) {
        let written = match self.stale {
            true => Err(Unwritten::Stale),
            false => self.try_write(&mut jobs),
        };
        self.stale = written.is_err();
        // The notes go first, so that whoever asks again meets a teller who knows. One who is gone
        // needs none.
        let unwritten = match written {
            Ok(notes) => {
                notes
                    .into_iter()
                    .for_each(|note| drop(self.notes.send(note)));
                None
            }
            Err(unwritten) => {
                jobs.iter()
                    .for_each(|_| drop(self.notes.send(Note::NotWritten)));
                Some(unwritten)
            }
        };
        for (place, job) in jobs.into_iter().enumerate() {
            let written = unwritten
                .as_ref()
                .map_or(Ok(Written::Done), |un| un.of(place));
            job.reply.written(written);
        }
    }

    fn may_write(&self) -> Result<(), Fault> {
        if let Some(found) = self.damage.get() {
            return Err(found.clone());
        }
        self.lock.as_ref().map(|_| ()).map_err(Fault::clone)
    }

    /// Writes batches in one transaction.
    fn try_write(&mut self, jobs: &mut [Job]) -> Result<Vec<Note>, Unwritten> {
        self.may_write().map_err(Unwritten::All)?;
        let change = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| Unwritten::All(fault(error)))?;
        if data_version(&change).map_err(Unwritten::All)? != self.version {
            return Err(Unwritten::Stale);
        }
        let (mut hash, mut notes) = (self.hash, Vec::with_capacity(jobs.len()));
        for (place, job) in jobs.iter_mut().enumerate() {
            let note = write(&change, job, &mut hash, &mut self.merger);
            notes.push(note.map_err(|fault| Unwritten::One(place, fault))?);
        }
        // From here on it may be durable even when SQLite reports an error.
        change
            .commit()
            .map_err(|error| Unwritten::All(in_doubt(error)))?;
        self.hash = hash;
        let bytes = jobs.iter().map(|job| job.batch.bytes()).sum();
        self.log.committed(&self.connection, bytes);
        Ok(notes)
    }

    /// Reads the books as nobody else can change them meanwhile, or as of one moment where
    /// somebody else is the one who writes.
    pub(crate) fn read_books(&mut self) -> Result<Ledger, Fault> {
        let behavior = match self.lock {
            Ok(_) => TransactionBehavior::Immediate,
            Err(_) => TransactionBehavior::Deferred,
        };
        let moment = self
            .connection
            .transaction_with_behavior(behavior)
            .map_err(fault)?;
        let version = data_version(&moment)?;
        let mut ledger = Ledger::load(&moment, self.recent_ids)?;
        ledger.read_rows(&moment)?;
        let number = ledger.ids.number_run();
        let merger = Merger::open(&moment, ledger.ids.runs(), number)?;
        let (_, hash) = last(&moment)?;
        moment.commit().map_err(fault)?;
        (self.version, self.merger, self.hash) = (version, merger, hash);
        self.stale = false;
        Ok(ledger)
    }

    /// Whether what the teller decides on is true; if not, it is told.
    pub(crate) fn is_current(&mut self) -> Result<bool, Fault> {
        if !self.stale && data_version(&self.connection)? != self.version {
            self.stale = true;
            self.foreign.store(true, Ordering::Release);
        }
        Ok(!self.stale)
    }

    /// Looks at the file as of one moment; nothing when somebody else wrote to it since the
    /// books were read.
    pub(crate) fn look<R>(
        &mut self,
        look: impl FnOnce(&Connection) -> Result<R, Fault>,
    ) -> Result<Option<R>, Fault> {
        let moment = self.connection.transaction().map_err(fault)?;
        let found = look(&moment)?;
        // The first read of a transaction fixes what it sees; the version is read after it.
        let mine = data_version(&moment)? == self.version && !self.stale;
        Ok(mine.then_some(found))
    }

    /// Changes something that the books in memory do not hold.
    pub(crate) fn change<R>(
        &mut self,
        change: impl FnOnce(&Connection) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        self.may_write()?;
        let moment = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fault)?;
        let changed = change(&moment)?;
        moment.commit().map_err(in_doubt)?;
        self.log.committed(&self.connection, 0);
        Ok(changed)
    }
}
