//! The way of batches, of events as of withdrawals: read and decide while the batch before is still
//! being written, take the end of the chain, write, commit; and all of it again with the end in hand
//! when somebody else committed what the decision rests on.

use std::sync::Arc;

use lingqian_io::Fault;
use lingqian_io::store::Committed;

use crate::ahead::{After, Stand};
use crate::commit::Refused;
use crate::journal::Sealed;
use crate::pool::Session;
use crate::settle::{BEGIN, Books};
use crate::turns::{self, Turn};

/// How often a batch is decided anew when others keep committing in between.
const CONFLICTS_MAX: u32 = 100;

/// What is decided together.
pub(crate) trait Batch: Sync {
    /// What whoever waits is told.
    type Answers: Send;
    /// What is to be booked.
    type Book<'a>: Book
    where
        Self: 'a;

    /// Decides, and has the end of the chain in hand when it answers.
    fn decided<'a>(
        &'a self,
        books: &Books,
        session: &Session,
        stand: Stand,
    ) -> impl Future<Output = Result<(Self::Answers, Option<Self::Book<'a>>), Refused>> + Send;
}

/// What a batch books, with the end of the chain in hand.
pub(crate) trait Book: Send {
    /// How it leaves the books.
    fn after(&mut self) -> After;

    /// Writes it; the caller commits.
    fn write(self, session: &Session) -> impl Future<Output = Result<Sealed, Refused>> + Send;
}

/// Decides on a batch and books what comes of it; durable when it answers. Calls of one process
/// take effect in the order in which they came: while one is written the next is decided, and
/// waits with its own end for that of the one before.
pub(crate) async fn settle<B: Batch>(
    books: &Arc<Books>,
    turn: Turn,
    batch: &B,
) -> Result<B::Answers, Fault> {
    let mut turn = Some(turn);
    let (mut told, follower) = turns::pair();
    let mut follower = Some(follower);
    let mut stand = Stand::Ahead(turn.as_mut().and_then(Turn::before));
    for _ in 0..CONFLICTS_MAX {
        let mut session = books.writers.get().await?;
        session.begin(BEGIN).await?;
        let stand = std::mem::replace(&mut stand, Stand::Held);
        let decided = batch.decided(books, &session, stand).await;
        if let Some(held) = &mut turn
            && decided.is_ok()
            && !held.before_succeeded().await
        {
            // Whoever came before goes first, again; nobody else begins meanwhile.
            drop(decided);
            session.end().await?;
            held.before_ended().await;
            continue;
        }
        let (answers, written) = match decided {
            Ok((answers, None)) => {
                session.end().await?;
                return Ok(answers);
            }
            Ok((answers, Some(mut book))) => {
                if let Some((held, follower)) = turn.take().zip(follower.take()) {
                    held.pass(follower, book.after());
                }
                (Some(answers), book.write(&session).await)
            }
            Err(refused) => (None, Err(refused)),
        };
        let written = written.map_err(|refused| match refused {
            // Somebody took one of the names in between.
            Refused::Twice(_) => Refused::Conflict,
            other => other,
        });
        // Only whoever began after this can be waiting for it.
        let tell = if turn.is_none() { told.take() } else { None };
        let done = books.finish(session, written, tell).await?;
        if let (Committed::Done, Some(answers)) = (done, answers) {
            return Ok(answers);
        }
    }
    Err(Fault::Retry(
        "other processes kept committing in between".into(),
    ))
}
