//! Whoever decides: one thread with the books in memory. It runs ahead of the scribe by up to
//! [`AHEAD_MAX`] batches; nobody is answered before what the answer rests on is durable.

mod commands;
mod events;
mod look;
mod named;
mod scout;
mod withdrawals;

pub(crate) use look::{Answer, fill, rich};
pub(crate) use scout::Scouted;
pub(crate) use withdrawals::{Decided, Examined, Requests};

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use lingqian_core::EventBatch;
use lingqian_core::id::UserNo;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_io::Fault;
use lingqian_io::store::EventAnswer;
use rusqlite::Connection;

use crate::ids::Board;
use crate::ledger::Ledger;
use crate::scribe::{Extra, Job, Note, Order, Reply, Scribe};

/// Batches that are decided and not yet durable. Events and the withdrawals beside them are batches of
/// their own: with fewer of them the teller rests while the scribe writes the larger one.
const AHEAD_MAX: usize = 8;
/// Facts that are out with somebody who may commit on them.
const HANDED_OUT_MAX: usize = 256;

/// Events that somebody waits for.
pub(crate) struct Pending {
    pub(crate) now: Timestamp,
    pub(crate) events: EventBatch,
    pub(crate) scouted: Scouted,
    pub(crate) answer: Answer<Told>,
}

/// What whoever gave events is told.
pub(crate) enum Told {
    /// These answers, which are durable.
    Answers(Vec<EventAnswer>),
    /// To give the events again: nothing was written, because what they were decided on is no
    /// longer true.
    Again(EventBatch),
}

/// What facts that were handed out rest on.
#[derive(Clone, PartialEq, Eq)]
struct HandedOut {
    basis: u64,
    /// Commits of others than events that were seen.
    commits: u64,
    /// The newest entry of each user whose wallet was looked at.
    users: Vec<(UserNo, u64)>,
    /// The newest entry of all, where events were looked at.
    last: Option<u64>,
    /// How many withdrawals were made, where their names were looked at.
    withdrawals: Option<u64>,
}

/// The books in memory, and the way to the file.
pub(crate) struct Teller {
    connection: Connection,
    orders: mpsc::Sender<Order>,
    notes: mpsc::Receiver<Note>,
    ahead: usize,
    ledger: Option<Ledger>,
    /// Set when somebody else wrote to the file.
    foreign: Arc<AtomicBool>,
    /// The version of the file, as our connection counts them, of which the scribe said last that
    /// the books in memory are true.
    confirmed: Arc<AtomicU64>,
    /// Merged runs that are no longer looked into.
    discard: Vec<u64>,
    handed_out: VecDeque<HandedOut>,
    next_basis: u64,
    commits: u64,
    /// What those who give events ask before the teller has them.
    board: Board,
}

fn gone<E>(_: E) -> Fault {
    Fault::Unknown("the thread that writes went down".into())
}

impl Teller {
    /// A teller who has read nothing yet.
    pub(crate) fn new(
        connection: Connection,
        orders: mpsc::Sender<Order>,
        notes: mpsc::Receiver<Note>,
        (foreign, board): (Arc<AtomicBool>, Board),
    ) -> Teller {
        Teller {
            foreign,
            board,
            confirmed: Arc::new(AtomicU64::new(u64::MAX)),
            connection,
            orders,
            notes,
            ahead: 0,
            ledger: None,
            discard: Vec::new(),
            handed_out: VecDeque::new(),
            next_basis: 1,
            commits: 0,
        }
    }

    /// Reads the books, so that whoever opens the file hears of a damaged page.
    ///
    /// # Errors
    /// A fault; [`Fault::Broken`] names the page.
    pub(crate) fn open(&mut self) -> Result<(), Fault> {
        let settled = Arc::clone(self.open_books()?.ids.settled());
        self.board.put_up(&settled);
        Ok(())
    }

    /// Has the scribe do something, and waits for it.
    fn ask<R: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Scribe) -> R + Send + 'static,
    ) -> Result<R, Fault> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let run = move |scribe: &mut Scribe| {
            let _ = sender.send(ask(scribe));
        };
        self.orders.send(Order::Run(Box::new(run))).map_err(gone)?;
        receiver.recv().map_err(gone)
    }

    /// Answers with a value when all that it rests on is durable, or with another one when that
    /// is no longer true.
    fn answer_durable<R: Send + 'static>(
        &self,
        value: R,
        again: impl FnOnce() -> R + Send + 'static,
        answer: Answer<R>,
    ) {
        self.after_all(move |current| {
            let told = current.map(|current| if current { value } else { again() });
            let _ = answer.send(told);
        });
    }

    /// Tells, when everything before is written, whether it is and still holds.
    fn after_all(&self, told: impl FnOnce(Result<bool, Fault>) + Send + 'static) {
        let run = move |scribe: &mut Scribe| told(scribe.is_current());
        // When the scribe is gone the sender is dropped, and whoever waits hears of it.
        let _ = self.orders.send(Order::Run(Box::new(run)));
    }

    fn take_note(&mut self, note: Note) {
        self.ahead -= 1;
        match note {
            Note::Written(last, sealed, merged) => {
                let Some(ledger) = &mut self.ledger else {
                    return;
                };
                ledger.is_durable(last);
                if let Some(number) = sealed {
                    ledger.ids.stored(number);
                }
                if let Some(merged) = merged {
                    if merged.whole {
                        self.discard.extend(&merged.inputs);
                    }
                    ledger.ids.merged(merged);
                }
                if self.ahead == 0 {
                    ledger.rows.arrived();
                }
            }
            Note::NotWritten => self.ledger = None,
        }
    }

    /// Waits until at most so many batches are on their way.
    fn wait(&mut self, ahead_max: usize) -> Result<(), Fault> {
        while let Ok(note) = self.notes.try_recv() {
            self.take_note(note);
        }
        while self.ahead > ahead_max {
            let note = self.notes.recv().map_err(gone)?;
            self.take_note(note);
        }
        Ok(())
    }

    /// Waits until nothing is on its way, and has the books in memory.
    fn settle(&mut self) -> Result<(), Fault> {
        self.wait(0)?;
        if self.ledger.is_some() {
            return Ok(());
        }
        self.handed_out.clear();
        self.discard.clear();
        let ledger = self.ask(Scribe::read_books)??;
        self.ledger = Some(ledger);
        Ok(())
    }

    /// The books in memory, read where they are not.
    fn open_books(&mut self) -> Result<&mut Ledger, Fault> {
        let crowded = |ledger: &Ledger| ledger.rows.is_crowded();
        let crowded = self.ledger.as_ref().is_some_and(crowded);
        self.wait(if crowded { 0 } else { AHEAD_MAX })?;
        if self.foreign.swap(false, Ordering::AcqRel) {
            self.ledger = None;
        }
        if self.ledger.is_none() {
            self.settle()?;
        }
        let lost = || Fault::Broken("the books are not in memory".into());
        self.ledger.as_mut().ok_or_else(lost)
    }

    /// Sends what changed in the books in memory on its way.
    fn send(&mut self, today: BusinessDate, extra: Option<Extra>, reply: Reply) {
        let Some(ledger) = &mut self.ledger else {
            return;
        };
        let batch = ledger.batch(today);
        let sealed = batch.sealed.is_some();
        let job = Job {
            batch,
            extra,
            next_run: sealed.then(|| ledger.ids.number_run()),
            discard: std::mem::take(&mut self.discard),
            reply,
        };
        self.ahead += 1;
        // When the scribe is gone the reply is dropped, and whoever waits hears of it.
        if self.orders.send(Order::Write(Box::new(job))).is_err() {
            self.ahead -= 1;
        }
    }
}
