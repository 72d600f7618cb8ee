//! Many earning events side by side: their texts in one buffer, their numbers in columns.
//!
//! A million events a second leave no room for a string per field. A batch checks every field
//! where it is added, like the types of [`crate::id`] do, and hands out views that borrow. It
//! never holds an event that [`EarningEvent`] could not hold.

use crate::earning::EarningEvent;
use crate::id::{self, EventId, IdFault, KindCode, Source, UserId};
use crate::letter::{EventMark, Mark};
use crate::money::Micros;
use crate::time::Timestamp;

/// Texts of an event.
const TEXTS: usize = 6;
/// Set where the event has an amount.
const PRICED: u8 = 1;
/// Set where the app said when it happened.
const DATED: u8 = 2;

/// One event of a batch, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventView<'a> {
    /// As in [`EarningEvent::source`].
    pub source: &'a str,
    /// As in [`EarningEvent::event_id`].
    pub event_id: &'a str,
    /// As in [`EarningEvent::user`].
    pub user: &'a str,
    /// As in [`EarningEvent::kind`].
    pub kind: &'a str,
    /// As in [`EarningEvent::amount`].
    pub amount: Option<Micros>,
    /// As in [`EarningEvent::occurred_at`].
    pub occurred_at: Option<Timestamp>,
    /// As in [`EarningEvent::from`].
    pub from: Option<&'a str>,
    /// As in [`EarningEvent::reverses`].
    pub reverses: Option<&'a str>,
}

/// What is not text of an event, and where its texts are: one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    amount: Micros,
    occurred_at: Timestamp,
    /// Where the first text begins.
    start: u32,
    /// Source, id, user, kind, sender, event that is taken back; zero where there is none.
    lengths: [u8; TEXTS],
    has: u8,
}

impl Row {
    /// The amount, and when it happened.
    fn terms(&self) -> (Option<Micros>, Option<Timestamp>) {
        let priced = self.has & PRICED != 0;
        let dated = self.has & DATED != 0;
        (
            priced.then_some(self.amount),
            dated.then_some(self.occurred_at),
        )
    }
}

/// Earning events in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventBatch {
    text: String,
    rows: Vec<Row>,
    marks: Vec<EventMark>,
}

impl EventBatch {
    /// An empty batch with room for so many events.
    #[must_use]
    pub fn with_capacity(events: usize) -> EventBatch {
        EventBatch {
            text: String::with_capacity(events.saturating_mul(80)),
            rows: Vec::with_capacity(events),
            marks: Vec::new(),
        }
    }

    /// How many events are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds an event after the others.
    ///
    /// # Errors
    /// The first field that is not well formed, and why; nothing was added then.
    pub fn push(&mut self, event: &EventView<'_>) -> Result<(), (&'static str, IdFault)> {
        let check =
            |field, text, length_max| id::check(text, length_max).map_err(|fault| (field, fault));
        check("source", event.source, Source::LENGTH_MAX)?;
        check("event_id", event.event_id, EventId::LENGTH_MAX)?;
        check("user", event.user, UserId::LENGTH_MAX)?;
        check("kind", event.kind, KindCode::LENGTH_MAX)?;
        event
            .from
            .map_or(Ok(()), |text| check("from", text, UserId::LENGTH_MAX))?;
        event
            .reverses
            .map_or(Ok(()), |text| check("reverses", text, EventId::LENGTH_MAX))?;
        let texts = [
            event.source,
            event.event_id,
            event.user,
            event.kind,
            event.from.unwrap_or_default(),
            event.reverses.unwrap_or_default(),
        ];
        let has_amount = if event.amount.is_some() { PRICED } else { 0 };
        let has_moment = if event.occurred_at.is_some() {
            DATED
        } else {
            0
        };
        let row = Row {
            amount: event.amount.unwrap_or_default(),
            occurred_at: event.occurred_at.unwrap_or_default(),
            start: u32::try_from(self.text.len()).expect("a batch has less than 4 GiB of text"),
            lengths: texts.map(|text| self.keep(text)),
            has: has_amount | has_moment,
        };
        self.rows.push(row);
        Ok(())
    }

    /// Keeps how far a source was read once all events of the batch so far are booked.
    pub fn mark(&mut self, mark: Mark) {
        let events = 0..self.len();
        self.marks.push(EventMark { mark, events });
    }

    /// The marks that become true with these answers to the events: those of events of which
    /// none was refused.
    pub fn marks_of<T, E>(&self, answers: &[Result<T, E>]) -> Vec<Mark> {
        let booked = |mark: &&EventMark| {
            let own = answers.get(mark.events.clone());
            own.is_some_and(|own| own.iter().all(Result::is_ok))
        };
        let kept = self.marks.iter().filter(booked);
        kept.map(|mark| mark.mark.clone()).collect()
    }

    /// Whether a mark becomes true with these answers.
    pub fn keeps<T, E>(&self, answers: &[Result<T, E>]) -> bool {
        !self.marks.is_empty() && !self.marks_of(answers).is_empty()
    }

    /// Adds all events of another batch after the others, and its marks.
    pub fn append(&mut self, other: &EventBatch) {
        let before = self.len();
        self.marks.extend(other.marks.iter().map(|mark| EventMark {
            mark: mark.mark.clone(),
            events: mark.events.start.saturating_add(before)
                ..mark.events.end.saturating_add(before),
        }));
        let base = u32::try_from(self.text.len()).expect("a batch has less than 4 GiB of text");
        self.text.push_str(&other.text);
        self.rows.extend(other.rows.iter().map(|row| Row {
            start: row.start.saturating_add(base),
            ..*row
        }));
    }

    /// The event at a place, from zero.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<EventView<'_>> {
        self.rows.get(place).map(|row| self.view(row))
    }

    /// The amount of the event at a place, and when it happened, as far as it says so.
    #[must_use]
    pub fn terms(&self, place: usize) -> (Option<Micros>, Option<Timestamp>) {
        self.rows.get(place).map_or((None, None), Row::terms)
    }

    /// Every event in its order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = EventView<'_>> {
        self.rows.iter().map(|row| self.view(row))
    }

    fn view(&self, row: &Row) -> EventView<'_> {
        let start = usize::try_from(row.start).unwrap_or(usize::MAX);
        let mut rest = self.text.get(start..).unwrap_or_default();
        let texts = row.lengths.map(|length| {
            let (text, after) = rest.split_at_checked(length.into()).unwrap_or_default();
            rest = after;
            text
        });
        let [source, event_id, user, kind, from, reverses] = texts;
        let (amount, occurred_at) = row.terms();
        EventView {
            source,
            event_id,
            user,
            kind,
            amount,
            occurred_at,
            from: Some(from).filter(|text| !text.is_empty()),
            reverses: Some(reverses).filter(|text| !text.is_empty()),
        }
    }

    /// Adds a text, and tells its length. Texts of ids have at most 64 bytes, which was checked.
    fn keep(&mut self, text: &str) -> u8 {
        self.text.push_str(text);
        u8::try_from(text.len()).expect("an id has at most 64 bytes")
    }
}

impl EventView<'_> {
    /// The event as an owned one.
    ///
    /// # Errors
    /// The first field that is not well formed; never for a view of a batch.
    pub fn to_event(&self) -> Result<EarningEvent, IdFault> {
        Ok(EarningEvent {
            source: Source::parse(self.source)?,
            event_id: EventId::parse(self.event_id)?,
            user: UserId::parse(self.user)?,
            kind: KindCode::parse(self.kind)?,
            amount: self.amount,
            occurred_at: self.occurred_at,
            from: self.from.map(UserId::parse).transpose()?,
            reverses: self.reverses.map(EventId::parse).transpose()?,
        })
    }
}

impl<'a> From<&'a EarningEvent> for EventView<'a> {
    fn from(event: &'a EarningEvent) -> EventView<'a> {
        EventView {
            source: event.source.as_str(),
            event_id: event.event_id.as_str(),
            user: event.user.as_str(),
            kind: event.kind.as_str(),
            amount: event.amount,
            occurred_at: event.occurred_at,
            from: event.from.as_ref().map(UserId::as_str),
            reverses: event.reverses.as_ref().map(EventId::as_str),
        }
    }
}

impl<'a> FromIterator<&'a EarningEvent> for EventBatch {
    fn from_iter<I: IntoIterator<Item = &'a EarningEvent>>(events: I) -> EventBatch {
        let mut batch = EventBatch::default();
        for event in events {
            let pushed = batch.push(&event.into());
            pushed.expect("an event's ids were checked when they were made");
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view<'a>(event_id: &'a str, from: Option<&'a str>) -> EventView<'a> {
        EventView {
            source: "game",
            event_id,
            user: "alice",
            kind: "ad_view",
            amount: Some(Micros(5)),
            occurred_at: None,
            from,
            reverses: from,
        }
    }

    #[test]
    fn what_is_pushed_comes_out_again_and_what_is_malformed_leaves_no_trace() {
        let mut batch = EventBatch::default();
        batch.push(&view("e1", None)).expect("well formed");
        let before = batch.clone();
        let refused = batch.push(&view("e2", Some("")));
        assert_eq!(refused, Err(("from", IdFault::Empty)));
        let refused = batch.push(&view("e 2", None));
        assert_eq!(refused, Err(("event_id", IdFault::Alphabet)));
        assert_eq!(batch, before);
        batch.push(&view("e3", Some("bob"))).expect("well formed");
        let mut twice = batch.clone();
        twice.append(&batch);
        let all: Vec<EventView<'_>> = twice.iter().collect();
        let expected = [view("e1", None), view("e3", Some("bob"))];
        assert_eq!(all, [expected, expected].concat());
        assert_eq!((twice.get(4), twice.terms(4)), (None, (None, None)));
        assert_eq!(twice.terms(3), (Some(Micros(5)), None));
        let event = expected[1].to_event().expect("well formed");
        assert_eq!(EventView::from(&event), expected[1]);
        assert_eq!(EventBatch::from_iter([&event]).get(0), Some(expected[1]));
    }

    #[test]
    fn a_mark_waits_for_its_own_events_and_no_others() {
        let mark = |name: &str| Mark {
            name: name.into(),
            position: 7,
        };
        let mut batch = EventBatch::default();
        batch.push(&view("e1", None)).expect("well formed");
        batch.mark(mark("first"));
        let mut other = EventBatch::default();
        other.push(&view("e2", None)).expect("well formed");
        other.push(&view("e3", None)).expect("well formed");
        other.mark(mark("second"));
        batch.append(&other);
        let kept = |answers: [Result<(), ()>; 3]| batch.marks_of(&answers);
        assert_eq!(kept([Ok(()); 3]), [mark("first"), mark("second")]);
        assert_eq!(kept([Ok(()), Ok(()), Err(())]), [mark("first")]);
        assert_eq!(kept([Err(()), Ok(()), Ok(())]), [mark("second")]);
        assert_eq!(batch.marks_of::<(), ()>(&[]), [], "an answer is lacking");
    }
}
