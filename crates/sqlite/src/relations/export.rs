//! Entries in their order for somebody else's file, each page checked on the way.

use lingqian_core::time::BusinessDate;
use lingqian_io::Fault;
use rusqlite::Connection;

use crate::page::{Hash, NO_HASH, walk};
use crate::relations::entry::{Cell, ENTRY_COLUMNS, EntryRow};
use crate::relations::lexicon::Lexicon;

/// Which entries are wanted. Both ends belong to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Not before this business day of recording.
    pub from: Option<BusinessDate>,
    /// Not after this one.
    pub to: Option<BusinessDate>,
    /// Not before this entry.
    pub from_seq: Option<u64>,
    /// Not after this one.
    pub to_seq: Option<u64>,
}

impl Wanted {
    /// Whether this entry, recorded on this business day, is among them.
    #[must_use]
    pub fn fits(&self, seq: u64, day: BusinessDate) -> bool {
        self.from_seq.is_none_or(|from| seq >= from)
            && self.to_seq.is_none_or(|to| seq <= to)
            && self.from.is_none_or(|from| day >= from)
            && self.to.is_none_or(|to| day <= to)
    }
}

/// What was exported, and what ties it to the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// How many entries.
    pub entries: u64,
    /// What they moved, all together.
    pub sum_micros: i128,
    /// The first of them.
    pub first_seq: Option<u64>,
    /// The last of them.
    pub last_seq: Option<u64>,
    /// The first entry that was looked at: what is before it was not proved.
    pub chain_from: u64,
    /// The last entry that was looked at.
    pub chain_entries: u64,
    /// The hash of the page that holds it: what `lingqian ledger verify --head` looks for.
    pub chain_head: [u8; 32],
}

/// Who takes exported entries.
pub trait Take {
    /// What stops an export.
    type Error;

    /// One entry by its columns, [`ENTRY_COLUMNS`].
    ///
    /// # Errors
    /// When it cannot be taken; nothing more is read then.
    fn entry(&mut self, cells: &[Cell]) -> Result<(), Self::Error>;

    /// So many entries of the books were looked at.
    fn at(&mut self, entries: u64);
}

/// Why an export ended early.
#[derive(Debug)]
pub enum Stopped<E> {
    /// The books could not be read.
    Books(Fault),
    /// An entry could not be taken.
    Taker(E),
}

pub(crate) fn export<T: Take>(
    snapshot: &Connection,
    wanted: &Wanted,
    taker: &mut T,
) -> Result<Exported, Stopped<T::Error>> {
    let mut exported = Exported {
        chain_head: NO_HASH,
        ..Exported::default()
    };
    let mut lexicon = Lexicon::default();
    let mut cells = Vec::with_capacity(ENTRY_COLUMNS.len());
    let mut stopped = None;
    let to_seq = wanted.to_seq.unwrap_or(u64::MAX);
    let walked = walk(snapshot, wanted.from_seq.unwrap_or(1), |page, hash| {
        if page.first > to_seq {
            return Err(enough());
        }
        for line in page.lines() {
            let line = line?;
            if !wanted.fits(line.seq, line.record.at.business_date()) {
                continue;
            }
            let row = EntryRow::of(page, &line);
            cells.clear();
            for column in 0..ENTRY_COLUMNS.len() {
                cells.push(row.cell(snapshot, &mut lexicon, column)?);
            }
            if let Err(error) = taker.entry(&cells) {
                stopped = Some(error);
                return Err(enough());
            }
            exported.add(line.seq, line.record.amount.0);
        }
        exported.chain((page.first, page.last()), *hash);
        taker.at(page.last() + 1 - exported.chain_from);
        Ok(())
    });
    match (walked, stopped) {
        (_, Some(error)) => Err(Stopped::Taker(error)),
        (Err(fault), None) if fault != enough() => Err(Stopped::Books(fault)),
        _ => Ok(exported),
    }
}

/// What ends a walk whose rest nobody wants.
fn enough() -> Fault {
    Fault::Broken("nobody wants more entries".into())
}

impl Exported {
    fn add(&mut self, seq: u64, amount: i64) {
        self.entries += 1;
        self.sum_micros += i128::from(amount);
        self.first_seq.get_or_insert(seq);
        self.last_seq = Some(seq);
    }

    fn chain(&mut self, (first, last): (u64, u64), hash: Hash) {
        if self.chain_from == 0 {
            self.chain_from = first;
        }
        (self.chain_entries, self.chain_head) = (last, hash);
    }
}
