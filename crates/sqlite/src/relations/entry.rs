//! One entry as a row: the columns that `lingqian sql` and `lingqian export` show.

use std::rc::Rc;

use lingqian_core::id::{PayoutId, UserNo};
use lingqian_core::ledger::Account;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_io::Fault;
use rusqlite::Connection;

use crate::ledger::kind_of;
use crate::page::{Line, Page};
use crate::record::{EventName, Record};
use crate::relations::lexicon::{Lexicon, account_name};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A whole number.
    Integer,
    /// Text.
    Text,
}

/// A column of the relation of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// Whether it may be empty.
    pub optional: bool,
    /// What it says.
    pub words: &'static str,
}

/// A value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// A whole number.
    Integer(i64),
    /// Text.
    Text(Rc<str>),
}

impl From<Option<Rc<str>>> for Cell {
    fn from(text: Option<Rc<str>>) -> Cell {
        text.map_or(Cell::Empty, Cell::Text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(Rc::from(text))
    }
}

const fn column(name: &'static str, holds: Holds, optional: bool, words: &'static str) -> Column {
    Column {
        name,
        holds,
        optional,
        words,
    }
}

use Holds::{Integer, Text};

/// Every column of an entry, in order. New ones come at the end.
pub const ENTRY_COLUMNS: [Column; 26] = [
    column(
        "seq",
        Integer,
        false,
        "number of the entry, from 1 without a gap",
    ),
    column(
        "at",
        Text,
        false,
        "when it was recorded: ISO 8601 in UTC, with milliseconds",
    ),
    column(
        "at_ms",
        Integer,
        false,
        "the same in milliseconds since 1970-01-01T00:00:00Z",
    ),
    column(
        "day",
        Text,
        false,
        "the same as a business day in Asia/Shanghai",
    ),
    column(
        "cause",
        Text,
        false,
        "why money moved: earn, hold, settle, ...",
    ),
    column(
        "amount_micros",
        Integer,
        false,
        "how much moved, in micro-yuan; above zero",
    ),
    column(
        "debit_account",
        Text,
        false,
        "the account that gives: available, funding, ...",
    ),
    column(
        "debit_owner",
        Text,
        true,
        "whose it is: user id, kind's code, merchant's number",
    ),
    column(
        "debit_class",
        Integer,
        false,
        "the account's code in the chart",
    ),
    column(
        "debit_owner_no",
        Integer,
        false,
        "its owner's number; 0 where it has none",
    ),
    column("credit_account", Text, false, "the account that receives"),
    column("credit_owner", Text, true, "whose it is"),
    column(
        "credit_class",
        Integer,
        false,
        "the account's code in the chart",
    ),
    column(
        "credit_owner_no",
        Integer,
        false,
        "its owner's number; 0 where it has none",
    ),
    column("kind", Text, true, "kind of the event"),
    column("source", Text, true, "where the event came from"),
    column("event_id", Text, true, "the event's own name there"),
    column(
        "occurred_at",
        Text,
        true,
        "when the event happened, by the app: ISO 8601 in UTC",
    ),
    column("occurred_at_ms", Integer, true, "the same in milliseconds"),
    column(
        "reverses_seq",
        Integer,
        true,
        "entry of the event that is taken back",
    ),
    column("payout", Text, true, "for which payout"),
    column(
        "matures_on",
        Text,
        true,
        "business day until which the money cools off",
    ),
    column(
        "counted",
        Integer,
        false,
        "1 if the event counted towards its user's day",
    ),
    column(
        "available_after_micros",
        Integer,
        true,
        "what the debit's user, or else the credit's, had as available after it",
    ),
    column(
        "page_first_seq",
        Integer,
        false,
        "first entry of the page that holds it",
    ),
    column("page_last_seq", Integer, false, "last entry of that page"),
];

/// A moment in ISO 8601, in UTC, with milliseconds.
pub(crate) fn iso(at: Timestamp) -> String {
    const DAY_MS: i64 = 86_400_000;
    let (days, ms) = (at.0.div_euclid(DAY_MS), at.0.rem_euclid(DAY_MS));
    // As a plain number of days; the calendar is the same in UTC.
    let date = BusinessDate(i32::try_from(days).unwrap_or(i32::MAX));
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!(
        "{date}T{hours:02}:{minutes:02}:{:02}.{ms:03}Z",
        seconds % 60
    )
}

/// The id of an event, in the form in which it is stored.
#[derive(Clone, Debug)]
enum Id {
    Text(Box<str>),
    Packed(u8, [u8; 16]),
}

impl Id {
    fn of(name: EventName<'_>) -> Id {
        match name {
            EventName::Text(text) => Id::Text(text.into()),
            EventName::Packed(form, bytes) => Id::Packed(form, bytes),
        }
    }

    fn text(&self) -> Rc<str> {
        match self {
            Id::Text(text) => Rc::from(text.as_ref()),
            Id::Packed(form, bytes) => Rc::from(EventName::Packed(*form, *bytes).text()),
        }
    }
}

/// An entry that is held apart from its page.
#[derive(Clone, Debug)]
pub(crate) struct EntryRow {
    pub(crate) seq: u64,
    pub(crate) record: Record,
    page: (u64, u64),
    event: Option<(u32, Id)>,
    reverses: Option<u64>,
    kind: Option<i64>,
    payout: Option<PayoutId>,
}

impl EntryRow {
    /// The row of a page's line.
    pub(crate) fn of(page: &Page, line: &Line<'_>) -> EntryRow {
        let (record, names) = (line.record, &line.names);
        let event = names.event;
        let kind = event.and_then(|_| kind_of(&record, names));
        EntryRow {
            seq: line.seq,
            record,
            page: (page.first, page.last()),
            event: event.map(|(source, id)| (source, Id::of(id))),
            reverses: names.reverses,
            kind: kind.map(|kind| kind.0),
            payout: names.payout,
        }
    }

    /// The user who gives, or else the one who receives.
    pub(crate) fn subject(&self) -> Option<UserNo> {
        self.record.debit.user().or(self.record.credit.user())
    }

    /// The value of one of [`ENTRY_COLUMNS`].
    pub(crate) fn cell(
        &self,
        connection: &Connection,
        lexicon: &mut Lexicon,
        column: usize,
    ) -> Result<Cell, Fault> {
        let record = &self.record;
        let optional = |number: Option<i64>| number.map_or(Cell::Empty, Cell::Integer);
        Ok(match column {
            0 => Cell::Integer(self.seq.cast_signed()),
            1 => Cell::Text(lexicon.moment(record.at).0),
            2 => Cell::Integer(record.at.0),
            3 => Cell::Text(lexicon.moment(record.at).1),
            4 => Cell::Text(lexicon.word(record.cause.name())),
            5 => Cell::Integer(record.amount.0),
            6..=9 => side(connection, lexicon, record.debit, column - 6)?,
            10..=13 => side(connection, lexicon, record.credit, column - 10)?,
            14 => match self.kind {
                Some(kind) => Cell::Text(lexicon.kind(connection, kind)?),
                None => Cell::Empty,
            },
            15 => match &self.event {
                Some((source, _)) => Cell::Text(lexicon.source(connection, *source)?),
                None => Cell::Empty,
            },
            16 => Cell::from(self.event.as_ref().map(|(_, id)| id.text())),
            17 => record.occurred_at.map_or(Cell::Empty, |at| iso(at).into()),
            18 => optional(record.occurred_at.map(|at| at.0)),
            19 => optional(self.reverses.map(u64::cast_signed)),
            20 => self
                .payout
                .map_or(Cell::Empty, |payout| payout.to_string().into()),
            21 => record
                .matures_on
                .map_or(Cell::Empty, |day| day.to_string().into()),
            22 => Cell::Integer(record.counted.into()),
            23 => optional(self.subject().map(|_| record.balance.0)),
            24 => Cell::Integer(self.page.0.cast_signed()),
            25 => Cell::Integer(self.page.1.cast_signed()),
            _ => Cell::Empty,
        })
    }
}

/// Name, owner, code and owner's number of an account.
fn side(
    connection: &Connection,
    lexicon: &mut Lexicon,
    account: Account,
    column: usize,
) -> Result<Cell, Fault> {
    let (class, owner) = account.code();
    Ok(match column {
        0 => Cell::Text(lexicon.word(account_name(account))),
        1 => lexicon.owner(connection, account)?.into(),
        2 => Cell::Integer(class),
        _ => Cell::Integer(owner),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_in_utc_with_milliseconds() {
        assert_eq!(iso(Timestamp(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(Timestamp(-1)), "1969-12-31T23:59:59.999Z");
        assert_eq!(
            iso(Timestamp(1_772_467_199_999)),
            "2026-03-02T15:59:59.999Z"
        );
    }
}
