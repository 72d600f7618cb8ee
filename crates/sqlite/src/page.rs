//! Pages: entries in their order, some two hundred in one row, hash-chained from the first page to
//! the last. A page is written once and never changed.

use lingqian_core::ledger::Entry;
use lingqian_io::Fault;
use rusqlite::{Connection, OptionalExtension, Params, Row, Statement, params};

use crate::codec::{fault, get};
use crate::prefetch::cached;
use crate::record::{Names, Record, dense, fixed};
use crate::sql;

/// The most bytes of a page's body: what fills one of SQLite's own pages, so that any entry is
/// read with one read of the file.
const BODY_BYTES_MAX: usize = 8_100;

/// So many entries a page has, about. Whoever asks for the last page that begins with an entry or
/// before it is led by SQLite to the one after it first, and reads both; whoever asks for the first
/// page that begins this far before it is mostly led to the right one.
const ENTRIES_OF_A_PAGE: u64 = 240;

/// What a page's hash is made of: the page before, its numbers and its body.
pub(crate) type Hash = [u8; 32];

/// The hash before the first page.
pub(crate) const NO_HASH: Hash = [0; 32];

/// Some entries with consecutive numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// The number of the first entry.
    pub(crate) first: u64,
    /// How many entries.
    pub(crate) count: usize,
    /// The entries, in one of the two forms.
    pub(crate) body: Vec<u8>,
}

/// One entry of a page.
pub(crate) struct Line<'p> {
    pub(crate) seq: u64,
    pub(crate) record: Record,
    pub(crate) names: Names<'p>,
}

impl Line<'_> {
    /// The entry, where the record holds one.
    pub(crate) fn entry(&self) -> Result<Entry, Fault> {
        let entry = self.record.entry(&self.names);
        entry.ok_or_else(|| damaged(self.seq))
    }
}

/// An entry that does not read back.
pub(crate) fn damaged(seq: u64) -> Fault {
    Fault::Broken(format!(
        "entry {seq} holds something that was never written; `lingqian ledger verify` names the \
         page"
    ))
}

impl Page {
    /// The number of the last entry.
    pub(crate) fn last(&self) -> u64 {
        self.first + self.count as u64 - 1
    }

    /// The entry of that number.
    pub(crate) fn line(&self, seq: u64) -> Result<Line<'_>, Fault> {
        line((self.first, self.count), &self.body, seq)
    }

    /// Every entry in its order.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Result<Line<'_>, Fault>> {
        (self.first..=self.last()).map(|seq| self.line(seq))
    }

    /// The hash that chains the page to the one before.
    pub(crate) fn hash(&self, before: &Hash) -> Hash {
        // In one piece, of which many parts are hashed at a time.
        let (first, count) = (self.first.to_le_bytes(), (self.count as u64).to_le_bytes());
        let whole = [before.as_slice(), &first, &count, &self.body].concat();
        *blake3::hash(&whole).as_bytes()
    }
}

/// An entry of a page that begins with entry `first` and has `count` of them.
fn line((first, count): (u64, usize), body: &[u8], seq: u64) -> Result<Line<'_>, Fault> {
    let place = seq.checked_sub(first);
    let place = place.and_then(|place| usize::try_from(place).ok());
    let place = place.filter(|place| *place < count);
    let found = place.and_then(|place| match body.first() {
        Some(&dense::MARK) => dense::line(body, first, count, place),
        _ => fixed::line(body, count, place),
    });
    let line = found.map(|(record, names)| Line { seq, record, names });
    line.ok_or_else(|| damaged(seq))
}

/// A page that is being filled.
#[derive(Debug)]
pub(crate) struct Draft {
    first: u64,
    entries: dense::Writer,
}

impl Draft {
    /// An empty page whose first entry will have this number.
    pub(crate) fn new(first: u64) -> Draft {
        Draft {
            first,
            entries: dense::Writer::with_room(BODY_BYTES_MAX),
        }
    }

    /// Whether another entry might not find room.
    pub(crate) fn is_full(&self) -> bool {
        self.entries.bytes_after_next() > BODY_BYTES_MAX || self.entries.has_all_shapes()
    }

    /// How many entries it has.
    pub(crate) fn count(&self) -> usize {
        self.entries.count()
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// When it has no room in a record.
    pub(crate) fn push(&mut self, record: &Record, names: &Names<'_>) -> Result<(), Fault> {
        let seq = self.first + self.count() as u64;
        self.entries.push(seq, record, names)
    }

    /// The entry of that number, while the page is not finished.
    pub(crate) fn line(&self, seq: u64) -> Option<Line<'_>> {
        let place = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        let (record, names) = self.entries.line(self.first, place)?;
        Some(Line { seq, record, names })
    }

    /// The finished page, if it has entries; it begins anew after it.
    pub(crate) fn finish(&mut self) -> Option<Page> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let page = Page {
            first: self.first,
            count,
            body: self.entries.finish(),
        };
        self.first += count as u64;
        self.entries.clear();
        Some(page)
    }
}

/// Writes a page.
pub(crate) fn insert(connection: &Connection, page: &Page, hash: &Hash) -> Result<(), Fault> {
    let (first, count) = (page.first.cast_signed(), page.count as i64);
    let mut insert = cached(connection, sql!("insert_page"))?;
    let written = insert.execute(params![first, count, hash, page.body]);
    written.map(|_| ()).map_err(fault)
}

/// A page and its hash from the columns of the page queries.
pub(crate) fn row(row: &Row<'_>) -> Result<(Page, Hash), Fault> {
    let (first, count): (i64, i64) = (get(row, 0)?, get(row, 1)?);
    let lost = || Fault::Broken(format!("the page of entry {first} is damaged"));
    let page = Page {
        first: u64::try_from(first).map_err(|_| lost())?,
        count: usize::try_from(count).map_err(|_| lost())?,
        body: get(row, 3)?,
    };
    if page.first == 0 || page.count == 0 {
        return Err(lost());
    }
    Ok((page, get(row, 2)?))
}

/// The number and hash of the last entry and page; zeroes where there is none.
pub(crate) fn last(connection: &Connection) -> Result<(u64, Hash), Fault> {
    end(&mut *cached(connection, sql!("last_page"))?, [])
}

/// The number of the last entry and the hash of the page that a query finds; zeroes for none.
fn end(query: &mut Statement<'_>, values: impl Params) -> Result<(u64, Hash), Fault> {
    let found = query.query_row(values, |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get(2)?))
    });
    let found = found.optional().map_err(fault)?;
    Ok(found.map_or((0, NO_HASH), |(first, count, hash)| {
        ((first + count - 1).unsigned_abs(), hash)
    }))
}

/// The page that holds an entry.
pub(crate) fn of(connection: &Connection, seq: u64) -> Result<Page, Fault> {
    let mut query = cached(connection, sql!("page_of"))?;
    let mut rows = query.query([seq.cast_signed()]).map_err(fault)?;
    match rows.next().map_err(fault)? {
        Some(found) => Ok(row(found)?.0),
        None => Err(damaged(seq)),
    }
}

/// Lets somebody look at an entry in the file. Its page is not copied.
pub(crate) fn with_line<R>(
    connection: &Connection,
    seq: u64,
    look: impl FnOnce(&Line<'_>) -> Result<R, Fault>,
) -> Result<R, Fault> {
    let lost = || damaged(seq);
    let mut query = cached(connection, sql!("pages_near"))?;
    let near = [seq.saturating_sub(ENTRIES_OF_A_PAGE), seq].map(u64::cast_signed);
    let mut rows = query.query(near).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        let (first, count): (i64, i64) = (get(row, 0)?, get(row, 1)?);
        if first.saturating_add(count) <= seq.cast_signed() {
            continue;
        }
        let body = row.get_ref(2).map_err(fault)?.as_blob();
        let count = usize::try_from(count).map_err(|_| lost())?;
        let body = body.map_err(|_| lost())?;
        return look(&line((first.unsigned_abs(), count), body, seq)?);
    }
    let page = of(connection, seq)?;
    look(&page.line(seq)?)
}

/// Hands over every page from that of entry `from` on, each with its hash, having checked that
/// it is the successor of the one before and hashes to what is stored.
///
/// # Errors
/// [`Fault::Broken`] that names the first page that does not fit.
pub(crate) fn walk(
    connection: &Connection,
    from: u64,
    mut each: impl FnMut(&Page, &Hash) -> Result<(), Fault>,
) -> Result<(), Fault> {
    walk_while(connection, from, |page, hash| {
        each(page, hash).map(|()| true)
    })
}

/// The same for as long as whoever takes the pages asks for more.
///
/// # Errors
/// As for [`walk`].
pub(crate) fn walk_while(
    connection: &Connection,
    from: u64,
    mut each: impl FnMut(&Page, &Hash) -> Result<bool, Fault>,
) -> Result<(), Fault> {
    let mut query = cached(connection, sql!("pages_from"))?;
    let mut rows = query.query([from.cast_signed()]).map_err(fault)?;
    let mut before: Option<(u64, Hash)> = None;
    while let Some(found) = rows.next().map_err(fault)? {
        let (page, hash) = row(found)?;
        let (last, chained) = match before {
            Some(before) => before,
            None => hash_before(connection, page.first)?,
        };
        if page.first != last + 1 {
            let (expected, found) = (last + 1, page.first);
            return Err(Fault::Broken(format!(
                "the page of entry {expected} is missing: the next one begins with entry {found}"
            )));
        }
        if page.hash(&chained) != hash {
            let (first, last) = (page.first, page.last());
            return Err(Fault::Broken(format!(
                "the page of entries {first} to {last} does not match its hash: a byte of it, or \
                 of the chain before it, was changed; restore the file from a copy"
            )));
        }
        if !each(&page, &hash)? {
            break;
        }
        before = Some((page.last(), hash));
    }
    Ok(())
}

/// The end of the page before the one that begins with this entry.
fn hash_before(connection: &Connection, first: u64) -> Result<(u64, Hash), Fault> {
    let query = &mut *cached(connection, sql!("page_before"))?;
    end(query, [first.cast_signed()])
}
