//! Entries on their way out: as many as one commit keeps in order.

use lingqian_core::Changes;
use lingqian_core::changes::Posting;
use lingqian_core::command::IdempotencyKey;
use lingqian_core::earning::Earning;
use lingqian_core::facts::RememberedAnswer;
use lingqian_core::ledger::{Cause, Entry};
use lingqian_core::notice::Told;
use lingqian_core::reconcile::BookedLine;

use super::{Cursor, Part, Piece};

/// What an entry was written with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Booked {
    /// It bears this event's name. The amount is that of the entry, the rest follows.
    Event(Box<Earning>),
    /// It books this line of a bill.
    Line(Box<BookedLine>),
    /// Neither: it follows from the event before it, or belongs to a payout.
    Plain,
}

/// Events, then entries of payouts, then lines of bills: what comes in another order begins the
/// next piece, so that entries are numbered as they were.
#[derive(Debug)]
pub struct Gather {
    changes: Changes,
    from: i64,
    count: u32,
    limit: u32,
    more: bool,
}

impl Gather {
    /// Gathers what comes after this cursor.
    #[must_use]
    pub fn after(from: &Cursor, limit: u32) -> Gather {
        Gather {
            changes: Changes::default(),
            from: from.numbers.0,
            count: 0,
            limit: limit.max(1),
            more: false,
        }
    }

    /// The number of the first entry that is wanted.
    #[must_use]
    pub fn first(&self) -> i64 {
        self.from.saturating_add(1)
    }

    /// Takes the next entry, unless the piece is full.
    pub fn take(&mut self, entry: Entry, booked: Booked) -> bool {
        let taken = self.try_take(entry, booked);
        if taken {
            self.count = self.count.saturating_add(1);
        } else {
            self.more = true;
        }
        taken
    }

    fn try_take(&mut self, entry: Entry, booked: Booked) -> bool {
        let all = &mut self.changes;
        let (paid, billed) = (!all.entries.is_empty(), !all.bill_lines.is_empty());
        if !paid
            && !billed
            && follows(&entry)
            && booked == Booked::Plain
            && let Some((earning, posting)) = all.earnings.last_mut()
            && posting.second.is_none()
        {
            posting.second = Some(entry);
            earning.amount = posting.booked();
            earning.repaid = posting.repaid();
            return true;
        }
        if self.count >= self.limit {
            return false;
        }
        match booked {
            Booked::Event(_) if paid || billed => return false,
            Booked::Plain if billed => return false,
            Booked::Event(earning) => all.earnings.push((*earning, Posting::from(entry))),
            Booked::Plain => all.entries.push(entry),
            Booked::Line(line) => all.bill_lines.push((*line, entry)),
        }
        true
    }

    /// Adds the answer that the entry which was taken last bears with it.
    pub fn answer(&mut self, key: IdempotencyKey, answer: RememberedAnswer) {
        self.changes.answers.push((key, answer));
    }

    /// The piece.
    #[must_use]
    pub fn finish(self) -> Piece {
        let to = self.from.saturating_add(i64::from(self.count));
        let more = self.more.then(|| Cursor::at(Part::Entries, (to, 0)));
        Piece::new(Part::Entries, self.changes, more)
    }
}

/// Notices that were told after a cursor, and where they go on while the newest is not among them.
#[must_use]
pub fn told_after(from: &Cursor, told: Vec<Told>, newest: i64) -> (Changes, Option<Cursor>) {
    let last = told.last().map_or(from.numbers.0, |told| told.number);
    let changes = Changes {
        notices: told.into_iter().map(|told| told.notice).collect(),
        ..Changes::default()
    };
    let next = Cursor::at(from.part, (last, 0));
    (changes, Some(next).filter(|_| last < newest))
}

/// Whether an entry is of the sort that follows from an event.
fn follows(entry: &Entry) -> bool {
    matches!(entry.cause(), Cause::Owe | Cause::Repay)
}
