//! The proof that no page was changed, lost or moved: hashes from the first page to the last.

use std::fmt;

use lingqian_io::Fault;
use rusqlite::{Connection, Row};

use crate::codec::{fault, first, get};
use crate::page::{self, Hash, NO_HASH, Page};
use crate::prefetch::cached;
use crate::sql;

/// What a walk along the chain showed. Up to a misfit everything is proved, after it nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Entries that are proved.
    pub entries: u64,
    /// Pages that are proved.
    pub pages: u64,
    /// The hash of the last page that is proved; zeroes where there is none.
    pub head: [u8; 32],
    /// The last entry of the page that had the noted head, if one was given and met.
    pub noted_at: Option<u64>,
    /// The first page that does not fit.
    pub misfit: Option<Misfit>,
}

/// A page that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Its first entry.
    pub first: u64,
    /// Its last entry, where that is known.
    pub last: Option<u64>,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// What can be wrong with a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is not there, and the next one is.
    Missing,
    /// It is not there, and none after it; something else in the file knows its entries.
    Cut,
    /// A byte of it, of its hash or of the page's number was changed.
    Changed,
    /// It matches its hash, and yet this entry of it does not read.
    Meaningless(u64),
    /// SQLite cannot read it.
    Unreadable(String),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last {
            Some(last) => write!(f, "the page of entries {} to {last} ", self.first)?,
            None => write!(f, "the page of entry {} ", self.first)?,
        }
        match &self.wrong {
            Wrong::Missing => f.write_str("is missing: the next one begins with a later entry"),
            Wrong::Cut => f.write_str("is missing: the chain ends before entries that were booked"),
            Wrong::Changed => f.write_str(
                "does not match its hash: a byte of it, of its hash or of its number was changed",
            ),
            Wrong::Meaningless(seq) => {
                write!(f, "matches its hash, but entry {seq} was never written so")
            }
            Wrong::Unreadable(words) => write!(f, "cannot be read: {words}"),
        }
    }
}

pub(crate) fn verify(
    snapshot: &Connection,
    noted: Option<Hash>,
    mut each: impl FnMut(u64),
) -> Result<Verified, Fault> {
    let mut verified = Verified {
        entries: 0,
        pages: 0,
        head: NO_HASH,
        noted_at: (noted == Some(NO_HASH)).then_some(0),
        misfit: None,
    };
    let mut query = cached(snapshot, sql!("all_pages"))?;
    let mut rows = query.query([]).map_err(fault)?;
    loop {
        let next = verified.entries + 1;
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(error) => {
                let wrong = unreadable(fault(error))?;
                verified.misfit = Some(misfit(next, None, wrong));
                return Ok(verified);
            }
        };
        if let Err(misfit) = take(&mut verified, row) {
            verified.misfit = Some(misfit);
            return Ok(verified);
        }
        if noted == Some(verified.head) {
            verified.noted_at = Some(verified.entries);
        }
        each(verified.entries);
    }
    let next = verified.entries + 1;
    match known(snapshot) {
        Ok(known) if known > verified.entries => {
            verified.misfit = Some(misfit(next, None, Wrong::Cut));
        }
        Ok(_) => {}
        // Whether there were more entries cannot be said.
        Err(fault) => verified.misfit = Some(misfit(next, None, unreadable(fault)?)),
    }
    Ok(verified)
}

/// The last entry that anything else in the file knows.
fn known(snapshot: &Connection) -> Result<u64, Fault> {
    let mut query = cached(snapshot, sql!("entries_known"))?;
    let known: Option<i64> = first(&mut query, [], |row| get(row, 0))?;
    Ok(known.unwrap_or(0).unsigned_abs())
}

fn misfit(first: u64, last: Option<u64>, wrong: Wrong) -> Misfit {
    Misfit { first, last, wrong }
}

/// A damaged file is an answer; one that is merely busy is none.
fn unreadable(fault: Fault) -> Result<Wrong, Fault> {
    match fault {
        Fault::Broken(words) | Fault::Damaged(words) => Ok(Wrong::Unreadable(words)),
        other => Err(other),
    }
}

/// Puts the next page to the chain.
fn take(verified: &mut Verified, row: &Row<'_>) -> Result<(), Misfit> {
    let next = verified.entries + 1;
    let lost = |fault: Fault| misfit(next, None, Wrong::Unreadable(fault.to_string()));
    let (page, hash) = page::row(row).map_err(lost)?;
    if page.first > next {
        return Err(misfit(next, Some(page.first - 1), Wrong::Missing));
    }
    let whole = || (page.first, Some(page.last()));
    if page.first < next || page.hash(&verified.head) != hash {
        let (first, last) = whole();
        return Err(misfit(first, last, Wrong::Changed));
    }
    if let Some(seq) = meaningless(&page) {
        let (first, last) = whole();
        return Err(misfit(first, last, Wrong::Meaningless(seq)));
    }
    verified.entries = page.last();
    verified.pages += 1;
    verified.head = hash;
    Ok(())
}

/// The first entry that does not read.
fn meaningless(page: &Page) -> Option<u64> {
    let reads = |seq: &u64| page.line(*seq).and_then(|line| line.entry()).is_err();
    (page.first..=page.last()).find(reads)
}
