//! From a decision to a durable batch: what is tried, what is found out when the answer is
//! lost, and the chores that come along.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lingqian_core::{Changes, Notes};
use lingqian_io::Fault;
use lingqian_io::store::Committed;
use tokio::sync::oneshot;

use crate::basis::Remembered;
use crate::codec::{damaged, get};
use crate::commit::{self, Refused};
use crate::fault::{commit_was_refused, fault};
use crate::journal::Sealed;
use crate::names::{self, Catalogue, Names};
use crate::pool::{Connections, Session};
use crate::turns::Turns;
use crate::{letters, people, schema, sql};

/// Each statement sees what was committed before it.
pub(crate) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// How many entries a partition holds.
const ROOM: i64 = 32_000_000;
/// A new partition is made when the last one has less left than this.
const ROOM_LEFT_MIN: i64 = ROOM / 2;
/// How many batches of this process leave deltas before they are folded.
const FOLD_EVERY: u64 = 256;
/// How long apart it is asked what became of a commit whose answer was lost.
const DOUBT_REST: Duration = Duration::from_millis(200);

async fn write_notes(session: &Session, notes: &Notes) -> Result<(), Refused> {
    let rows = session.try_rows(sql!("lock_notes"), &[]).await?;
    let row = rows.first().ok_or_else(|| damaged("migrations"))?;
    schema::refuse(get(row, 1)?, get(row, 2)?)?;
    people::dead_letters(session, &notes.dead_letters).await?;
    letters::write_marks(session, &notes.marks).await
}

/// Runs to the end even when whoever waits for it goes away.
pub(crate) async fn apart<T: Send + 'static>(
    work: impl Future<Output = Result<T, Fault>> + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|_| Err(Fault::Unknown("a task of the store went down".into())))
}

/// What one process needs in order to write.
pub(crate) struct Books {
    pub(crate) writers: Connections,
    pub(crate) remembered: Remembered,
    pub(crate) names: Names,
    pub(crate) turns: Turns,
    catalogue: names::Remembered,
    batches: AtomicU64,
    making_room: AtomicBool,
    /// How long it is asked what became of a commit whose answer was lost.
    patience: Duration,
}

impl Books {
    pub(crate) fn new(writers: Connections, patience: Duration) -> Books {
        Books {
            writers,
            remembered: Remembered::default(),
            names: Names::default(),
            turns: Turns::default(),
            catalogue: names::Remembered::default(),
            batches: AtomicU64::new(0),
            making_room: AtomicBool::new(false),
            patience,
        }
    }

    /// The catalogue as it is, and the number of the newest batch.
    pub(crate) async fn catalogue(
        &self,
        session: &Session,
    ) -> Result<(Arc<Catalogue>, i64), Fault> {
        self.catalogue.catalogue(session).await
    }

    /// Writes all of it or nothing.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        basis: u64,
        changes: &Changes,
    ) -> Result<Committed, Fault> {
        let Some(basis) = self.remembered.take(basis) else {
            return Ok(Committed::Conflict);
        };
        let mut session = self.writers.get().await?;
        session.begin(BEGIN).await?;
        let written = commit::write(&session, &basis, changes).await;
        self.finish(session, written, None).await
    }

    /// Commits what was written, or takes it back. Who waits is told at once whether it is
    /// certain to be written.
    pub(crate) async fn finish(
        self: &Arc<Self>,
        mut session: Session,
        written: Result<Sealed, Refused>,
        told: Option<oneshot::Sender<bool>>,
    ) -> Result<Committed, Fault> {
        let sealed = match written {
            Ok(sealed) => sealed,
            Err(refused) => {
                drop(told);
                // If even this fails the connection is closed, and the server takes it back.
                let _ = session.end().await;
                // Making room needs a connection, and this may have been the only one.
                drop(session);
                return match refused {
                    Refused::Conflict => Ok(Committed::Conflict),
                    Refused::Twice(law) => Err(Fault::Broken(format!("the store refuses: {law}"))),
                    Refused::NoRoom(until) => {
                        self.make_room(until).await?;
                        Ok(Committed::Conflict)
                    }
                    Refused::Fault(fault) => Err(fault),
                };
            }
        };
        let committed = session.commit().await;
        // Nobody waits where nobody came after.
        let _ = told.map(|told| told.send(committed.is_ok()));
        if let Err(error) = committed {
            drop(session);
            if commit_was_refused(&error) {
                return Err(fault(error));
            }
            if !self.is_durable(&sealed).await? {
                return Err(Fault::Retry(
                    "PostgreSQL went away before the commit".into(),
                ));
            }
        }
        self.chores(&sealed);
        Ok(Committed::Done)
    }

    /// Writes notes beside whatever is under way. Whoever else does waits, so that two never lock
    /// the same letters in another order.
    pub(crate) async fn note(&self, notes: &Notes) -> Result<(), Fault> {
        let mut session = self.writers.get().await?;
        session.begin(BEGIN).await?;
        match write_notes(&session, notes).await {
            Ok(()) => {}
            Err(Refused::Fault(fault)) => return Err(fault),
            Err(Refused::Conflict | Refused::Twice(_) | Refused::NoRoom(_)) => {
                return Err(Fault::Retry("others write the same notes".into()));
            }
        }
        session.commit().await.map_err(|error| {
            if commit_was_refused(&error) {
                return fault(error);
            }
            Fault::Unknown("PostgreSQL went away during the commit".into())
        })
    }

    /// Whether a batch whose commit was not answered is in the books. Whoever holds the end of
    /// the chain knows that no commit is under way, so that "not there" is the last word.
    async fn is_durable(&self, sealed: &Sealed) -> Result<bool, Fault> {
        let begun = Instant::now();
        loop {
            let looked = tokio::time::timeout(self.patience, self.look_for(sealed)).await;
            if let Ok(Ok(found)) = looked {
                return Ok(found);
            }
            if begun.elapsed() >= self.patience {
                let words = "PostgreSQL went away during the commit";
                return Err(Fault::Unknown(words.into()));
            }
            tokio::time::sleep(DOUBT_REST).await;
        }
    }

    async fn look_for(&self, sealed: &Sealed) -> Result<bool, Refused> {
        let mut session = self.writers.get().await?;
        session.begin(BEGIN).await?;
        commit::lock_end(&session).await?;
        let values: crate::pool::Values<'_> = &[&sealed.batch_no, &sealed.hash.as_slice()];
        let found = session.first(sql!("batch_is_there"), values).await?;
        session.end().await?;
        Ok(found.is_some())
    }

    /// What is to be done now and then, in the background.
    fn chores(self: &Arc<Self>, sealed: &Sealed) {
        if self.batches.fetch_add(1, Ordering::Relaxed) % FOLD_EVERY == FOLD_EVERY - 1 {
            let books = Arc::clone(self);
            // One that fails is made up for by the next.
            tokio::spawn(async move { books.fold().await });
        }
        let short = sealed.room.saturating_sub(sealed.seq) < ROOM_LEFT_MIN;
        if short && !self.making_room.swap(true, Ordering::Relaxed) {
            let (books, until) = (Arc::clone(self), sealed.room.saturating_add(1));
            tokio::spawn(async move {
                let _ = books.make_room(until).await;
                books.making_room.store(false, Ordering::Relaxed);
            });
        }
    }

    async fn make_room(&self, until: i64) -> Result<(), Fault> {
        let session = self.writers.get().await?;
        session.first(sql!("ensure_room"), &[&until, &ROOM]).await?;
        Ok(())
    }

    /// Folds deltas of system accounts into their balances, unless somebody else is at it.
    pub(crate) async fn fold(&self) -> Result<(), Fault> {
        let mut session = self.writers.get().await?;
        session.begin(BEGIN).await?;
        let free = session.first(sql!("lock_fold"), &[]).await?;
        if !free.is_some_and(|row| row.get(0)) {
            return session.end().await;
        }
        session.run(sql!("fold"), &[]).await.map_err(fault)?;
        session.commit().await.map_err(fault)
    }
}
