//! Users' accounts in memory, in chunks of [`CHUNK_USERS`], each carried to its row now and then.
//!
//! A chunk's row says up to which entry it holds; whoever opens the file replays the pages after
//! it. What of a user is neither a balance nor rare (today's totals per capped kind, what cools
//! off) travels with the chunk.

mod own;

use std::collections::{BTreeMap, BTreeSet};

use lingqian_core::earning::{KindDay, Purse};
use lingqian_core::id::{KindNo, UserNo};
use lingqian_core::money::{BALANCE_MAX, Micros};
use lingqian_core::time::BusinessDate;
use lingqian_io::Fault;
use rusqlite::{Connection, Row, params};

use own::{Own, Owns};

use crate::codec::{damaged, fault, first, get};
use crate::near::fetch;
use crate::numbers::{self, bytes};
use crate::prefetch::cached;
use crate::sql;

/// Users that share a chunk.
pub(crate) const CHUNK_USERS: usize = 256;
/// Bytes of an account in a row, about.
const ACCOUNT_BYTES: usize = 12;
/// The form of a row whose accounts have 32 bytes each: earlier versions wrote it.
const FORM_FIXED: i64 = 1;
/// The form of a row whose accounts have as few bytes as they take: earlier versions wrote it.
const FORM_NUMBERS: i64 = 2;
/// The form of a row of which everything has.
const FORM_OWNS: i64 = 3;

/// On so many later days something must have been booked before a day is over for good.
const DAYS_SEEN: usize = 7;

/// The newest days on which something was booked, as the clock told them.
///
/// One look at the clock proves nothing: it may be years ahead, and what were forgotten then
/// would be missing when it is set right. A clock that is ahead adds one day here, however far
/// ahead it is, and that day is struck out when an earlier one follows.
#[derive(Debug, Default)]
struct Days(BTreeSet<BusinessDate>);

impl Days {
    fn see(&mut self, today: BusinessDate) {
        // A batch without entries has no day.
        if today == BusinessDate::default() || self.0.last() == Some(&today) {
            return;
        }
        self.0.split_off(&today);
        self.0.insert(today);
        if self.0.len() > DAYS_SEEN {
            self.0.pop_first();
        }
    }

    /// The newest day that is over whatever the clock says next.
    fn over(&self) -> Option<BusinessDate> {
        let oldest = self.0.first().filter(|_| self.0.len() == DAYS_SEEN);
        oldest.copied()
    }
}

/// The three accounts of a user, and the newest entry that touched one of them. Never in two lines
/// of the processor's cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(32))]
pub(crate) struct Account {
    pub(crate) available: i64,
    pub(crate) held: i64,
    pub(crate) owed: i64,
    pub(crate) newest: u64,
}

/// The accounts of users with consecutive numbers.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    accounts: [Account; CHUNK_USERS],
    owns: Owns,
    /// The entry up to which its row holds.
    stored_to: u64,
}

impl Chunk {
    fn empty() -> Chunk {
        Chunk {
            accounts: [Account::default(); CHUNK_USERS],
            owns: Owns::default(),
            stored_to: 0,
        }
    }

    /// The row's body. What was over on the day `over`, if there is one, is left out.
    fn body(&mut self, over: Option<BusinessDate>) -> Vec<u8> {
        self.owns.forget(over);
        let mut body = Vec::with_capacity(CHUNK_USERS * ACCOUNT_BYTES);
        for account in &self.accounts {
            let [available, held, owed] =
                [account.available, account.held, account.owed].map(i64::cast_unsigned);
            numbers::put([available, held, owed, account.newest], &mut body);
        }
        self.owns.write(&mut body);
        body
    }

    fn read(stored_to: u64, form: i64, body: &[u8]) -> Option<Chunk> {
        let mut chunk = Chunk {
            stored_to,
            ..Chunk::empty()
        };
        let mut rest = body;
        for account in &mut chunk.accounts {
            *account = match form {
                FORM_FIXED => Account {
                    available: i64::from_le_bytes(bytes(&mut rest)?),
                    held: i64::from_le_bytes(bytes(&mut rest)?),
                    owed: i64::from_le_bytes(bytes(&mut rest)?),
                    newest: u64::from_le_bytes(bytes(&mut rest)?),
                },
                FORM_NUMBERS | FORM_OWNS => {
                    let [available, held, owed, newest] = numbers::take(&mut rest)?;
                    let [available, held, owed] = [available, held, owed].map(u64::cast_signed);
                    Account {
                        available,
                        held,
                        owed,
                        newest,
                    }
                }
                _ => return None,
            };
        }
        chunk.owns = match form {
            FORM_OWNS => Owns::read(&mut rest)?,
            _ => Owns::read_fixed(&mut rest)?,
        };
        rest.is_empty().then_some(chunk)
    }
}

/// A chunk as it goes to its row.
pub(crate) struct StoredChunk {
    pub(crate) number: u64,
    pub(crate) stored_to: u64,
    pub(crate) body: Vec<u8>,
}

impl StoredChunk {
    pub(crate) fn write(&self, connection: &Connection) -> Result<(), Fault> {
        let mut upsert = cached(connection, sql!("upsert_chunk"))?;
        let (number, to) = (self.number.cast_signed(), self.stored_to.cast_signed());
        let written = upsert.execute(params![number, to, FORM_OWNS, self.body]);
        written.map(|_| ()).map_err(fault)
    }
}

/// The place of a chunk, with what is asked of it most.
#[derive(Debug, Default)]
struct Slot {
    chunk: Option<Box<Chunk>>,
    /// Whether its row does not have all of it.
    dirty: bool,
    /// Whether any of its users may have money that cools off.
    cools: bool,
}

/// Every account that was looked at since the file was opened.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    chunks: Vec<Slot>,
    /// The chunk that is looked at next for carrying to its row.
    turn: usize,
    /// The number of the entry at which this turn of all chunks began.
    turn_began: u64,
    /// Chunks that go to their rows with the next batch, whoever's turn it is.
    due: BTreeSet<usize>,
    /// Entries times chunks that are not yet worth carrying a chunk.
    saved: u64,
    days: Days,
}

/// A user's number split into chunk and place.
fn place(user: UserNo) -> Option<(usize, u8)> {
    let number = u32::try_from(user.0).ok()?;
    let chunk = usize::try_from(number >> 8).ok()?;
    Some((chunk, number.to_le_bytes()[0]))
}

impl Accounts {
    /// Accounts over rows that hold at least up to this entry.
    pub(crate) fn new(stored_to: u64) -> Accounts {
        Accounts {
            chunks: Vec::new(),
            turn: 0,
            turn_began: stored_to,
            due: BTreeSet::new(),
            saved: 0,
            days: Days::default(),
        }
    }

    /// Makes the user's chunk resident, unless no such user can exist.
    pub(crate) fn load(&mut self, connection: &Connection, user: UserNo) -> Result<(), Fault> {
        let Some((number, _)) = place(user) else {
            return Ok(());
        };
        if self
            .chunks
            .get(number)
            .is_some_and(|slot| slot.chunk.is_some())
        {
            return Ok(());
        }
        if self.chunks.len() <= number {
            self.chunks.resize_with(number + 1, Slot::default);
        }
        let chunk = Box::new(read(connection, number)?);
        self.chunks[number] = Slot {
            cools: chunk.owns.cool(),
            chunk: Some(chunk),
            dirty: false,
        };
        Ok(())
    }

    fn chunk(&self, user: UserNo) -> Option<(&Chunk, u8)> {
        let (number, place) = place(user)?;
        Some((self.chunks.get(number)?.chunk.as_deref()?, place))
    }

    /// The chunk of a user, to be changed.
    fn chunk_mut(&mut self, user: UserNo) -> Option<(&mut Chunk, u8)> {
        let (number, place) = place(user)?;
        let slot = self.chunks.get_mut(number)?;
        slot.dirty = true;
        Some((slot.chunk.as_deref_mut()?, place))
    }

    /// What cools off of a user, to be changed.
    fn cooling_mut(&mut self, user: UserNo, day: BusinessDate) -> Option<&mut i64> {
        let (number, _) = place(user)?;
        self.chunks.get_mut(number)?.cools = true;
        let (chunk, place) = self.chunk_mut(user)?;
        Some(chunk.owns.own(place).cooling_mut(day))
    }

    /// What counts of a user's kinds, and what cools off.
    fn own(&self, user: UserNo) -> Option<&Own> {
        let (chunk, place) = self.chunk(user)?;
        chunk.owns.get(place)
    }

    /// How many users the chunks have room for.
    pub(crate) fn users(&self) -> usize {
        self.chunks.len() * CHUNK_USERS
    }

    /// Where a user's accounts are, if the chunk was loaded.
    fn find(&self, user: UserNo) -> Option<&Account> {
        let (chunk, place) = self.chunk(user)?;
        chunk.accounts.get(usize::from(place))
    }

    /// A user's accounts; empty ones where the chunk was not loaded.
    pub(crate) fn get(&self, user: UserNo) -> Account {
        self.find(user).copied().unwrap_or_default()
    }

    /// Fetches these users' accounts.
    pub(crate) fn fetch(&self, users: impl Iterator<Item = UserNo>) {
        fetch(users.map(|user| self.find(user)), |account| account.newest);
    }

    /// A user's accounts, to be changed by an entry.
    pub(crate) fn get_mut(&mut self, user: UserNo) -> Option<&mut Account> {
        let (chunk, place) = self.chunk_mut(user)?;
        chunk.accounts.get_mut(usize::from(place))
    }

    /// Whether the row of the user's chunk has this entry in it.
    pub(crate) fn holds(&self, user: UserNo, seq: u64) -> bool {
        self.chunk(user)
            .is_some_and(|(chunk, _)| chunk.stored_to >= seq)
    }

    /// What the rules look at.
    pub(crate) fn purse(&self, user: UserNo, today: BusinessDate) -> Purse {
        let found = place(user).and_then(|(number, place)| Some((self.chunks.get(number)?, place)));
        let Some((
            Slot {
                chunk: Some(chunk),
                cools,
                ..
            },
            place,
        )) = found
        else {
            return Purse::default();
        };
        let account = &chunk.accounts[usize::from(place)];
        let mut cooling = Micros::ZERO;
        if *cools {
            for (_, amount) in chunk
                .owns
                .get(place)
                .iter()
                .flat_map(|own| own.cooling(today))
            {
                cooling = cooling.plus(amount).unwrap_or(BALANCE_MAX);
            }
        }
        Purse {
            available: Micros(account.available),
            cooling,
            owed: Micros(account.owed),
        }
    }

    /// What cools off after today.
    pub(crate) fn cooling(
        &self,
        user: UserNo,
        today: BusinessDate,
    ) -> BTreeMap<BusinessDate, Micros> {
        let own = self.own(user).into_iter();
        own.flat_map(|own| own.cooling(today)).collect()
    }

    /// Changes what cools off until a day; never below zero.
    pub(crate) fn cool(&mut self, user: UserNo, day: BusinessDate, change: i64) {
        if let Some(amount) = self.cooling_mut(user, day) {
            *amount = amount.saturating_add(change).max(0);
        }
    }

    /// Sets what cools off until a day.
    pub(crate) fn set_cooling(&mut self, user: UserNo, day: BusinessDate, amount: Micros) {
        if let Some(cooling) = self.cooling_mut(user, day) {
            *cooling = amount.0;
        }
    }

    /// What a user got of a kind on the newest day on which it got any.
    pub(crate) fn kind_day(&self, user: UserNo, kind: KindNo) -> KindDay {
        let kind = u32::try_from(kind.0).unwrap_or(u32::MAX);
        let found = self.own(user).and_then(|own| own.kind_day(kind));
        found.unwrap_or_default()
    }

    /// What a user got of each kind on this day or a later one.
    pub(crate) fn kind_days(&self, user: UserNo, today: BusinessDate) -> BTreeMap<KindNo, KindDay> {
        let own = self.own(user).into_iter().flat_map(Own::kind_days);
        own.filter(|(_, totals)| totals.day >= today)
            .map(|(kind, totals)| (KindNo(i64::from(kind)), totals))
            .collect()
    }

    /// Sets what a user got of a kind on a day.
    pub(crate) fn set_kind_day(&mut self, user: UserNo, kind: KindNo, totals: KindDay) {
        let kind = u32::try_from(kind.0).unwrap_or(u32::MAX);
        if let Some((chunk, place)) = self.chunk_mut(user) {
            chunk.owns.own(place).set_kind_day(kind, totals);
        }
    }

    /// Has the user's chunk carried to its row with the next batch: for what no entry tells.
    pub(crate) fn carry_next(&mut self, user: UserNo) {
        self.due.extend(place(user).map(|(chunk, _)| chunk));
    }

    /// Something was booked on this day.
    pub(crate) fn see(&mut self, today: BusinessDate) {
        self.days.see(today);
    }

    /// Takes a chunk to its row, unless its row has all of it.
    fn store(&mut self, number: usize, last: u64) -> Option<StoredChunk> {
        let over = self.days.over();
        let slot = self.chunks.get_mut(number)?;
        let chunk = slot.chunk.as_mut()?;
        if !std::mem::take(&mut slot.dirty) {
            return None;
        }
        chunk.stored_to = last;
        Some(StoredChunk {
            number: number as u64,
            stored_to: last,
            body: chunk.body(over),
        })
    }

    /// Chunks whose turn it is to be carried to their rows, as they are after entry `last`, when
    /// `entries` more were written and a whole turn takes `turn_entries` of them. The number is
    /// that of the entry up to which every row holds, when a turn has just ended.
    pub(crate) fn carry(
        &mut self,
        last: u64,
        entries: u64,
        turn_entries: u64,
    ) -> (Vec<StoredChunk>, Option<u64>) {
        let chunks = self.chunks.len() as u64;
        self.saved += entries * chunks;
        let share = self.saved / turn_entries.max(1);
        self.saved %= turn_entries.max(1);
        let (mut carried, mut ended) = (Vec::new(), None);
        for number in std::mem::take(&mut self.due) {
            carried.extend(self.store(number, last));
        }
        for _ in 0..share.min(chunks) {
            if self.turn >= self.chunks.len() {
                ended = Some(self.turn_began);
                (self.turn, self.turn_began) = (0, last);
            }
            carried.extend(self.store(self.turn, last));
            self.turn += 1;
        }
        (carried, ended)
    }
}

fn read(connection: &Connection, number: usize) -> Result<Chunk, Fault> {
    let mut query = cached(connection, sql!("chunk"))?;
    let found = first(&mut query, [number as i64], |row| chunk(row, 0))?;
    Ok(found.unwrap_or_else(Chunk::empty))
}

/// A chunk from its three columns, beginning at `first`.
fn chunk(row: &Row<'_>, first: usize) -> Result<Chunk, Fault> {
    let stored_to: i64 = get(row, first)?;
    let (form, body): (i64, Vec<u8>) = (get(row, first + 1)?, get(row, first + 2)?);
    let chunk = Chunk::read(stored_to.unsigned_abs(), form, &body);
    chunk.ok_or_else(|| damaged("account_chunks"))
}

/// The accounts of a chunk's users as its row holds them.
pub(crate) fn stored(connection: &Connection, number: usize) -> Result<Vec<Account>, Fault> {
    Ok(read(connection, number)?.accounts.to_vec())
}

/// Hands over every stored account with its user and the entry up to which it holds.
pub(crate) fn each_stored(
    connection: &Connection,
    mut each: impl FnMut(UserNo, Account, u64),
) -> Result<(), Fault> {
    let mut query = cached(connection, sql!("all_chunks"))?;
    let mut rows = query.query([]).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        let (number, chunk): (i64, Chunk) = (get(row, 0)?, chunk(row, 1)?);
        for (place, account) in (0_i64..).zip(&chunk.accounts) {
            each(UserNo(number * 256 + place), *account, chunk.stored_to);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
