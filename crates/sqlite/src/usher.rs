//! The way to the teller, who takes what he is asked in the order in which it was asked. Large
//! batches of events are scouted on the way, by a thread of its own that reads the file, so that the
//! teller has to read little; who comes behind them waits behind them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lingqian_core::EventBatch;
use lingqian_core::time::Timestamp;
use lingqian_io::Fault;

use crate::ids::Board;
use crate::teller::{Answer, Decided, Examined, Pending, Requests, Scouted, Teller, Told};
use crate::worker::{Reader, Workers};

/// From so many events or withdrawals on a batch is worth waking another thread for.
const LARGE_BATCH: usize = 256;

/// Leads everything to the teller. Clones lead to the same one.
#[derive(Clone)]
pub(crate) struct Usher {
    teller: Workers<Teller>,
    scout: Workers<Reader>,
    /// How many are with the scout, or wait there to keep the order.
    waiting: Arc<AtomicUsize>,
    /// What scouting rests on.
    board: Board,
}

impl Usher {
    /// An usher to this teller; the scout reads with this connection.
    pub(crate) fn start(teller: Teller, reader: Reader, board: Board) -> Result<Usher, Fault> {
        Ok(Usher {
            teller: Workers::start("teller", vec![teller])?,
            scout: Workers::start("scout", vec![reader])?,
            waiting: Arc::default(),
            board,
        })
    }

    /// Has the teller do something after everything that he was asked before.
    pub(crate) fn give(
        &self,
        task: impl FnOnce(&mut Teller) + Send + 'static,
    ) -> Result<(), Fault> {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return self.teller.give(task);
        }
        self.give_behind(move |_| task)
    }

    /// The same by way of the scout, who finds out what to ask the teller for.
    fn give_behind<T: FnOnce(&mut Teller) + Send + 'static>(
        &self,
        scout: impl FnOnce(&mut Reader) -> T + Send + 'static,
    ) -> Result<(), Fault> {
        let (teller, waiting) = (self.teller.clone(), Arc::clone(&self.waiting));
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.scout.give(move |reader| {
            // When the teller is gone the task is dropped, and whoever waits hears of it.
            let _ = teller.give(scout(reader));
            // Only now may others go straight there.
            waiting.fetch_sub(1, Ordering::AcqRel);
        })
    }

    /// Has the teller decide on events.
    pub(crate) fn earn(
        &self,
        now: Timestamp,
        events: EventBatch,
        answer: Answer<Told>,
    ) -> Result<(), Fault> {
        let earn = move |events, scouted| {
            move |teller: &mut Teller| {
                teller.earn(Pending {
                    now,
                    events,
                    scouted,
                    answer,
                });
            }
        };
        if events.len() < LARGE_BATCH {
            let scouted = Scouted::new(self.board.read(), &events);
            return self.give(earn(events, scouted));
        }
        let board = self.board.clone();
        self.give_behind(move |reader| {
            let mut scouted = Scouted::new(board.read(), &events);
            scouted.look(&mut reader.0, &events);
            earn(events, scouted)
        })
    }

    /// Has the teller decide on withdrawals.
    pub(crate) fn withdraw(&self, asked: Requests, answer: Answer<Decided>) -> Result<(), Fault> {
        let withdraw = move |asked, examined| {
            move |teller: &mut Teller| teller.withdraw((asked, examined), answer)
        };
        if asked.requests.len() < LARGE_BATCH {
            let examined = Examined::new(self.board.read(), &asked.requests);
            return self.give(withdraw(asked, examined));
        }
        let board = self.board.clone();
        self.give_behind(move |_| {
            let examined = Examined::new(board.read(), &asked.requests);
            withdraw(asked, examined)
        })
    }
}
