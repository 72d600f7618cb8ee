//! Reading a store out, whole and piece by piece, in an order in which another store can commit
//! the pieces. Two stores that read out alike hold the same books.
//!
//! Whoever reads a store out keeps others from writing to it meanwhile: pieces are each of one
//! moment, but all of them together only if nothing changes. What is absent: leases. Work that
//! somebody had taken on is simply due where it arrives.

mod gather;
mod letters;

use std::future::Future;

use lingqian_core::Changes;

use crate::Fault;

pub use gather::{Booked, Gather, told_after};
pub use letters::{LETTERS_MAX, letters};

/// A part of the books. Whatever a part names is in one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Kinds, merchants and API keys, what is stopped, and what merchants paid on their days.
    #[default]
    Catalogue,
    /// Users, each with the link.
    Users,
    /// Started links.
    LinkStates,
    /// Payouts, each with its earlier attempts and its history, but nothing of them waits: until [`Part::Work`] arrives
    /// nobody would send money out of books that are not whole.
    Payouts,
    /// Entries in their sequence, each with the event or the bill's line that it books.
    Entries,
    /// How much of each event was taken back.
    TakenBack,
    /// What counted towards users' days per kind, and what cools off.
    Terms,
    /// Totals of users' days.
    Days,
    /// Remembered answers, but those that a store keeps with the entry of a hold come with it.
    Answers,
    /// Bills and breaks.
    Reconciled,
    /// What was done by hand, oldest first.
    Deeds,
    /// Dead letters, as often as each came, the oldest first.
    DeadLetters,
    /// What the outside was told, in its order; then who is to hear of it, and from where on.
    Notices,
    /// What payouts wait for.
    Work,
}

impl Part {
    /// Every part in its order.
    pub const ALL: [Part; 14] = [
        Part::Catalogue,
        Part::Users,
        Part::LinkStates,
        Part::Payouts,
        Part::Entries,
        Part::TakenBack,
        Part::Terms,
        Part::Days,
        Part::Answers,
        Part::Reconciled,
        Part::Deeds,
        Part::DeadLetters,
        Part::Notices,
        Part::Work,
    ];

    /// The name, for people and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Part::Catalogue => "catalogue",
            Part::Users => "users",
            Part::LinkStates => "link_states",
            Part::Payouts => "payouts",
            Part::Entries => "entries",
            Part::TakenBack => "taken_back",
            Part::Terms => "terms",
            Part::Days => "days",
            Part::Answers => "answers",
            Part::Reconciled => "reconciled",
            Part::Deeds => "deeds",
            Part::DeadLetters => "dead_letters",
            Part::Notices => "notices",
            Part::Work => "work",
        }
    }

    /// The part of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Part> {
        Part::ALL.into_iter().find(|part| part.name() == name)
    }

    /// The part after this one.
    #[must_use]
    pub fn next(self) -> Option<Part> {
        Part::ALL.into_iter().find(|part| *part > self)
    }
}

/// How far a store was read out: everything before this was handed out. Plain data, so that it
/// can be kept in a file. Every store uses the same cursors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Which part is being read.
    pub part: Part,
    /// What was handed out last of it, where that is told by numbers: an entry's, a user's, a
    /// user's and a day; for letters how many, and how often the next one was.
    pub numbers: (i64, i64),
    /// The same where it is told by names.
    pub names: (String, String),
}

impl Cursor {
    /// Where a part begins.
    #[must_use]
    pub fn begin(part: Part) -> Cursor {
        Cursor {
            part,
            ..Cursor::default()
        }
    }

    /// Further on in the same part.
    #[must_use]
    pub fn at(part: Part, numbers: (i64, i64)) -> Cursor {
        Cursor {
            numbers,
            ..Cursor::begin(part)
        }
    }

    /// The same by a name.
    #[must_use]
    pub fn named(part: Part, first: impl Into<String>, second: impl Into<String>) -> Cursor {
        Cursor {
            names: (first.into(), second.into()),
            ..Cursor::begin(part)
        }
    }
}

/// What one step of reading brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// What another store commits; may be empty.
    pub changes: Changes,
    /// Where the next piece begins; nothing after the last.
    pub next: Option<Cursor>,
}

impl Piece {
    /// A piece after which its part goes on, or the next part begins.
    #[must_use]
    pub fn new(part: Part, changes: Changes, more: Option<Cursor>) -> Piece {
        let next = more.or_else(|| part.next().map(Cursor::begin));
        Piece { changes, next }
    }
}

/// Stores that can be moved.
pub trait ReadOut: Send + Sync + 'static {
    /// The next piece after a cursor, with about `limit` rows; an event is never parted from its
    /// second entry, and entries are only such as [`Changes::all_entries`] keeps in order.
    ///
    /// # Errors
    /// A fault when it could not be read, or reads back wrong.
    fn read_out(
        &self,
        from: Cursor,
        limit: u32,
    ) -> impl Future<Output = Result<Piece, Fault>> + Send;

    /// The number of the newest entry; zero where there is none.
    ///
    /// # Errors
    /// A fault when it could not be read.
    fn newest_entry(&self) -> impl Future<Output = Result<i64, Fault>> + Send;
}
