//! Events in batches: read and decided on ahead, booked once the end of the chain is in hand.
//!
//! A batch is read and decided on while the one before is still being written, on top of what that
//! one leaves. Then the end of the chain is taken. If it is the one that was thought, nobody came in
//! between, and the decision stands. If not, accounts are read again, and what is left of what is
//! taken back; nobody can change them now. An event that was looked for and not found may have been
//! booked meanwhile: it breaks the uniqueness of names, or is looked for again where it was refused,
//! and the batch is decided anew with everything read while the end of the chain is in hand.

use std::collections::HashMap;

use lingqian_core::EventBatch;
use lingqian_core::letter::Mark;
use lingqian_core::time::Timestamp;
use lingqian_io::store::EventAnswer;

use crate::ahead::{After, Stand};
use crate::chain::EventKey;
use crate::commit::{Beside, Refused, lock_end};
use crate::desk::{Desk, Question};
use crate::events::{Events, Known};
use crate::journal::{End, Journal, Sealed};
use crate::lane::{Batch, Book};
use crate::letters;
use crate::pool::Session;
use crate::settle::Books;

/// Events that somebody waits for.
pub(crate) struct Asked {
    pub(crate) now: Timestamp,
    pub(crate) batch: EventBatch,
}

/// The answers, and what is to be booked.
type Decided = (Vec<EventAnswer>, Option<Postings>);

impl Batch for Asked {
    type Answers = Vec<EventAnswer>;
    type Book<'a> = Postings;

    async fn decided(
        &self,
        books: &Books,
        session: &Session,
        stand: Stand,
    ) -> Result<Decided, Refused> {
        let events = Events::of(&self.batch);
        let numbers = books.names.resolve(session, &events.names).await?;
        let question = Question::new(session, &events, &numbers, self.now);
        let ahead = match stand {
            Stand::Held => None,
            Stand::Ahead(after) => {
                let (catalogue, newest) = books.catalogue(session).await?;
                let mut found = question.ask(&catalogue.kinds).await?;
                if let Some(after) = &after {
                    found.put(&question, after);
                }
                let mut desk = Desk::new(&question, &catalogue.kinds, found);
                let answers = desk.decide();
                let thought = after.map(|after| after.end);
                let drafted = thought.map(|thought| desk.journal(thought));
                let end = lock_end(session).await?;
                let stands = match thought {
                    Some(thought) => end.is(&thought),
                    None => (end.batch_no, end.catalogue) == (newest, catalogue.version),
                };
                if stands {
                    let drafted = drafted.unwrap_or_else(|| desk.journal(end));
                    return Ok(self.posted(answers, desk, drafted?.with_room_of(&end)));
                }
                Some((end, desk.into_known()))
            }
        };
        self.held(books, &question, ahead).await
    }
}

impl Asked {
    /// Decides with the end of the chain in hand, whatever was found before it was.
    async fn held(
        &self,
        books: &Books,
        question: &Question<'_, '_>,
        ahead: Option<(End, HashMap<EventKey, Known>)>,
    ) -> Result<Decided, Refused> {
        let session = question.session;
        let was_ahead = ahead.is_some();
        let (end, known) = match ahead {
            Some((end, known)) => (end, Some(known)),
            None => (lock_end(session).await?, None),
        };
        let (catalogue, _) = books.catalogue(session).await?;
        let found = match known {
            Some(known) => question.ask_again(&catalogue.kinds, known).await?,
            None => question.ask(&catalogue.kinds).await?,
        };
        let mut desk = Desk::new(question, &catalogue.kinds, found);
        let answers = desk.decide();
        if was_ahead && desk.some_were_booked_meanwhile(session, &answers).await? {
            return Err(Refused::Conflict);
        }
        let journal = desk.journal(end)?;
        Ok(self.posted(answers, desk, journal))
    }

    fn posted(&self, answers: Vec<EventAnswer>, desk: Desk<'_, '_>, journal: Journal) -> Decided {
        let marks = self.batch.marks_of(&answers);
        if desk.books_nothing() && marks.is_empty() {
            return (answers, None);
        }
        let (known, beside) = desk.leave();
        let postings = Postings {
            journal,
            known,
            beside,
            marks,
        };
        (answers, Some(postings))
    }
}

/// What a batch books, with the end of the chain in hand.
pub(crate) struct Postings {
    journal: Journal,
    known: HashMap<EventKey, Known>,
    beside: Beside,
    marks: Vec<Mark>,
}

impl Book for Postings {
    fn after(&mut self) -> After {
        let (end, accounts) = self.journal.after();
        After {
            end,
            accounts,
            known: std::mem::take(&mut self.known),
            kind_days: self.beside.kind_days.clone(),
            cooling: self.beside.cooling.clone(),
        }
    }

    async fn write(self, session: &Session) -> Result<Sealed, Refused> {
        let sealed = self.journal.close(session, false).await?;
        self.beside.write(session).await?;
        letters::write_marks(session, &self.marks).await?;
        Ok(sealed)
    }
}
