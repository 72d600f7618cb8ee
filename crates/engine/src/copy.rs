//! Books moved from one store to another, piece by piece; and the two compared.
//!
//! A piece may be given again, and is there once: what an answer was lost for is asked about,
//! never guessed. Entries and notices are known by their numbers, payouts and answers by their names, deeds by
//! all that is said of them, dead letters by the newest one; everything else says the same when it is written twice. So it does
//! not matter when the process dies, nor that a cursor is older than what arrived, if only it is
//! of the same part and, for dead letters, that of the last piece.
//!
//! What is absent: any look at whether somebody else writes to the source. Its owner stops it,
//! and a [`Comparison`] finds out afterwards.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use lingqian_core::command::IdempotencyKey;
use lingqian_core::earning::KindDay;
use lingqian_core::id::{EventId, PayoutId, Source};
use lingqian_core::letter::Mark;
use lingqian_core::payout::Payout;
use lingqian_core::time::BusinessDate;
use lingqian_core::{Changes, Facts, Keys, Notes};
use lingqian_io::read_out::{Cursor, Part, Piece};
use lingqian_io::store::Committed;
use lingqian_io::{Browse, Fault, ReadOut, Store};

/// How often a piece is given anew when others keep committing in between.
const CONFLICTS_MAX: u32 = 100;

/// The mark of books that are a copy: one while it is not whole, zero afterwards. It is no part of what is
/// copied.
const COPY: &str = "lingqian/copy";

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// It is durable since now.
    Now,
    /// All of it had been there.
    Before,
}

/// Notes in the books that they are a copy, and whether it is whole: until then nobody but the copy may
/// change them, for what it brings later would meet what others did.
///
/// # Errors
/// A fault; the same may be noted again.
pub async fn note<S: Store>(to: &S, whole: bool) -> Result<(), Fault> {
    let mark = Mark {
        name: COPY.into(),
        position: i64::from(!whole),
    };
    let marks = vec![mark];
    to.note(Notes {
        marks,
        ..Notes::default()
    })
    .await
}

/// Whether books are a copy that is not whole.
///
/// # Errors
/// A fault when they could not be read.
pub async fn is_unfinished<S: Browse>(store: &S) -> Result<bool, Fault> {
    let marks = store.marks(COPY.into()).await?;
    Ok(marks
        .iter()
        .any(|mark| mark.name == COPY && mark.position > 0))
}

/// A piece of books, but for what they say of a copy themselves.
///
/// # Errors
/// A fault when it could not be read.
pub async fn read_out<S: ReadOut>(store: &S, cursor: Cursor, limit: u32) -> Result<Piece, Fault> {
    let mut piece = store.read_out(cursor, limit).await?;
    piece.changes.marks.retain(|mark| mark.name != COPY);
    Ok(piece)
}

/// Gives a piece, which was read from that cursor, to the store that it goes to.
///
/// # Errors
/// A fault; after [`Fault::Retry`] and [`Fault::Unknown`] the same piece may be given again.
/// [`Fault::Broken`] when there are books of somebody else.
pub async fn give<S>(to: &S, from: &Cursor, changes: &Changes) -> Result<Given, Fault>
where
    S: Store + Browse + ReadOut,
{
    for _ in 0..CONFLICTS_MAX {
        let facts = to.prefetch(keys(from, changes)?).await?;
        let left = left(to, from, changes.clone(), &facts).await?;
        if left.is_empty() {
            return Ok(Given::Before);
        }
        if to.commit(facts.basis, left).await? == Committed::Done {
            return Ok(Given::Now);
        }
    }
    Err(Fault::Retry(
        "other processes kept committing in between".into(),
    ))
}

/// Whether nothing was ever written to a store.
///
/// # Errors
/// A fault when it could not be read.
pub async fn is_empty<S: Store + Browse + ReadOut>(store: &S) -> Result<bool, Fault> {
    let facts = store.prefetch(Keys::default()).await?;
    Ok(facts.kinds.is_empty()
        && facts.merchants.is_empty()
        && facts.next_user == 1
        && store.newest_entry().await? == 0
        && store.api_keys().await?.is_empty()
        && store.dead_letters(1).await?.is_empty())
}

/// Whether one store holds what the other begins with: its catalogue, and the same entry under
/// the newest number.
///
/// # Errors
/// A fault when one of them could not be read.
pub async fn begins_alike<F, T>(from: &F, to: &T) -> Result<bool, Fault>
where
    F: ReadOut,
    T: ReadOut,
{
    let newest = to.newest_entry().await?;
    if newest > from.newest_entry().await? {
        return Ok(false);
    }
    if newest > 0 {
        let last = Cursor::at(Part::Entries, (newest.saturating_sub(1), 0));
        let theirs = read_out(to, last.clone(), 1).await?;
        if read_out(from, last, 1).await?.changes != theirs.changes {
            return Ok(false);
        }
    }
    let catalogue = Cursor::default();
    let theirs = read_out(to, catalogue.clone(), 1).await?.changes;
    let ours = read_out(from, catalogue, 1).await?.changes;
    Ok(theirs.is_empty() || theirs == ours)
}

/// Where a copy goes on whose last words were this cursor: entries tell by themselves how many of
/// them arrived.
///
/// # Errors
/// A fault when the store could not be read.
pub async fn resume<T: ReadOut>(to: &T, last: Cursor) -> Result<Cursor, Fault> {
    if last.part != Part::Entries {
        return Ok(last);
    }
    let newest = to.newest_entry().await?;
    Ok(Cursor::at(Part::Entries, (newest.max(last.numbers.0), 0)))
}

/// The entries of a piece.
#[must_use]
pub fn entries(changes: &Changes) -> u64 {
    changes.all_entries().count() as u64
}

/// Two stores read out beside each other, as far as they are alike.
#[derive(Debug, Default)]
pub struct Comparison {
    /// How far, unless everything is alike.
    cursor: Cursor,
    /// The newest day on which an entry was made: what ended before it does not matter.
    today: BusinessDate,
    /// The answers that were seen on either side: stores hand them out in places of their own.
    answers: [Answers; 2],
}

/// Some answers in whatever order: how many, and the sum of their prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Answers {
    count: u64,
    prints: u64,
}

impl Answers {
    fn take(&mut self, piece: &mut Piece) {
        for answer in piece.changes.answers.drain(..) {
            let mut hasher = DefaultHasher::new();
            format!("{answer:?}").hash(&mut hasher);
            self.count += 1;
            self.prints = self.prints.wrapping_add(hasher.finish());
        }
    }
}

/// What one step of a comparison found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// So many entries are alike, and there is more.
    Alike(u64),
    /// All of it is alike.
    Wholly,
    /// This part is not.
    Different(Part),
}

impl Comparison {
    /// Compares the next pieces.
    ///
    /// # Errors
    /// A fault when one of them could not be read.
    pub async fn step<F, T>(&mut self, from: &F, to: &T, limit: u32) -> Result<Compared, Fault>
    where
        F: ReadOut,
        T: ReadOut,
    {
        let part = self.cursor.part;
        let ours = read_out(from, self.cursor.clone(), limit).await?;
        let theirs = read_out(to, self.cursor.clone(), limit).await?;
        let (mut ours, mut theirs) = (self.current(ours), self.current(theirs));
        self.answers[0].take(&mut ours);
        self.answers[1].take(&mut theirs);
        if part == Part::Answers {
            (ours, theirs) = (
                self.answers_left(from, ours, limit, 0).await?,
                self.answers_left(to, theirs, limit, 1).await?,
            );
            if self.answers[0] != self.answers[1] {
                return Ok(Compared::Different(part));
            }
        }
        if ours != theirs {
            return Ok(Compared::Different(part));
        }
        let alike = entries(&ours.changes);
        match ours.next {
            None => Ok(Compared::Wholly),
            Some(next) => {
                self.cursor = next;
                Ok(Compared::Alike(alike))
            }
        }
    }

    /// Reads all answers of a side; tells the piece after which the next part begins.
    async fn answers_left<S: ReadOut>(
        &mut self,
        store: &S,
        mut piece: Piece,
        limit: u32,
        side: usize,
    ) -> Result<Piece, Fault> {
        while let Some(next) = piece.next.clone().filter(|n| n.part == Part::Answers) {
            piece = read_out(store, next, limit).await?;
            self.answers[side].take(&mut piece);
        }
        Ok(piece)
    }

    /// A piece without what is over: a store may forget it when it likes.
    fn current(&mut self, mut piece: Piece) -> Piece {
        let days = piece.changes.all_entries();
        let newest = days.map(|entry| entry.at().business_date()).max();
        self.today = newest.map_or(self.today, |day| day.max(self.today));
        let today = self.today;
        let counts = |totals: &KindDay| totals.day >= today;
        piece.changes.kind_days.retain(|(.., day)| counts(day));
        piece.changes.cooling.retain(|(_, day, _)| *day > today);
        piece
    }
}

/// What must be asked before a piece is given.
fn keys(from: &Cursor, changes: &Changes) -> Result<Keys, Fault> {
    let mut keys = Keys::default();
    match from.part {
        Part::Payouts => {
            let names = changes.payouts.iter().map(|(payout, _)| payout.id);
            keys.payouts = names.collect();
        }
        Part::Answers => {
            let names = changes.answers.iter().map(|(key, _)| key.clone());
            keys.idempotency = names.collect();
        }
        // Facts about any event are untrue as soon as somebody books another.
        Part::Entries => {
            let whole = |_| Fault::Broken("a name that is none".into());
            let source = Source::parse("copy").map_err(whole)?;
            let event = EventId::parse("copy").map_err(whole)?;
            keys.earnings.insert((source, event));
        }
        _ => {}
    }
    Ok(keys)
}

fn strangers(what: &str) -> Fault {
    Fault::Broken(format!(
        "{what}: the store that the books go to has others in it, or one of the two was written \
         to meanwhile"
    ))
}

/// What of a piece is not there yet.
async fn left<S>(
    to: &S,
    from: &Cursor,
    mut changes: Changes,
    facts: &Facts,
) -> Result<Changes, Fault>
where
    S: Browse + ReadOut,
{
    match from.part {
        Part::Entries => {
            let newest = to.newest_entry().await?;
            let count = i64::try_from(entries(&changes)).unwrap_or(i64::MAX);
            if newest >= from.numbers.0.saturating_add(count) {
                return Ok(Changes::default());
            }
            if newest != from.numbers.0 {
                let expected = from.numbers.0;
                return Err(strangers(&format!(
                    "the newest entry is {newest} instead of {expected}"
                )));
            }
        }
        Part::Payouts => {
            let known = |id: &PayoutId| facts.payout(*id);
            let same = |(p, _): &(Payout, _)| known(&p.id).is_none_or(|known| known == p);
            if !changes.payouts.iter().all(same) {
                return Err(strangers("a payout is another"));
            }
            changes.history.retain(|line| known(&line.payout).is_none());
            changes.payouts.retain(|(p, _)| known(&p.id).is_none());
        }
        Part::Answers => {
            let known = |key: &IdempotencyKey| facts.answers.get(key).cloned().flatten();
            let mut all = changes.answers.iter();
            if !all.all(|(key, answer)| known(key).is_none_or(|known| known == *answer)) {
                return Err(strangers("an answer is another"));
            }
            changes.answers.retain(|(key, _)| known(key).is_none());
        }
        Part::Deeds => {
            let known = to.deeds(None, u32::MAX).await?;
            changes.deeds.retain(|deed| !known.contains(deed));
        }
        Part::DeadLetters => skip_letters(to, from, &mut changes).await?,
        Part::Notices => {
            let there = to.newest_notice().await?.saturating_sub(from.numbers.0);
            let there = usize::try_from(there)
                .map_err(|_| strangers("the notices before these are not there"))?;
            let there = there.min(changes.notices.len());
            changes.notices.drain(..there);
        }
        _ => {}
    }
    Ok(changes)
}

/// Letters come in the order of their time, so the newest one tells how many are there.
async fn skip_letters<S: Browse>(
    to: &S,
    from: &Cursor,
    changes: &mut Changes,
) -> Result<(), Fault> {
    let newest = to.dead_letters(1).await?;
    let Some((newest, times)) = newest.first() else {
        return Ok(());
    };
    let (mut there, mut came) = (0, u64::try_from(from.numbers.1).unwrap_or(0));
    for (place, letter) in changes.dead_letters.iter().enumerate() {
        let before = place
            .checked_sub(1)
            .map(|before| &changes.dead_letters[before]);
        if before.is_some_and(|before| before != letter) {
            came = 0;
        }
        came += 1;
        if letter == newest && came == *times {
            there = place + 1;
        }
    }
    changes.dead_letters.drain(..there);
    Ok(())
}
