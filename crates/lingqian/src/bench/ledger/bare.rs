//! The least that a durable ledger can do in one SQLite file: ids in a hash set, balances in an
//! array, entries as records of one size, a commit per batch. It has no rules, names, payouts,
//! chain, restart or filters. What it costs is what the machine costs; the books are held against
//! it, because machines differ by more than ledgers do.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::path::Path;

use anyhow::Context as _;
use flate2::Crc;
use rusqlite::{Connection, params};

use super::peers::Ours;
use crate::bench::figures::{micros_each, per_second};
use crate::bench::load::Load;
use crate::bench::machine::Meter;
use crate::bench::mix::{Mix, Next};
use crate::bench::options::LedgerOptions;
use crate::bench::sheet::Sheet;

const SCHEMA: &str = include_str!("../sql/bare_schema.sql");
const INSERT_PAGE: &str = include_str!("../sql/bare_insert_page.sql");
const KEEP_BALANCES: &str = include_str!("../sql/bare_keep_balances.sql");
const PAGES: &str = include_str!("../sql/bare_pages.sql");

/// Events that are made up while the clock stands, then booked.
const SLICE: u64 = 1_000_000;

/// Balances are carried to the file every so many entries.
const CARRIED_EVERY: u64 = 2_000_000;

/// Bytes of a record.
const RECORD: usize = 64;

/// Where in a record its amount stands.
const AMOUNT: usize = 24;

/// An event as somebody would send it who has neither names nor texts.
struct Given {
    id: u128,
    user: u32,
    kind: u32,
    micros: i64,
    at: i64,
}

/// Random ids are their own hashes.
#[derive(Clone, Copy, Debug, Default)]
struct Own(u64);

impl Hasher for Own {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, id: u128) {
        self.0 = id as u64 ^ (id >> 64) as u64;
    }
}

/// A user's balance and newest entry.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    micros: i64,
    newest: u64,
}

struct Bare {
    file: Connection,
    ids: HashSet<u128, BuildHasherDefault<Own>>,
    accounts: Vec<Account>,
    page: Vec<u8>,
    last: u64,
    carried: u64,
}

impl Bare {
    fn open(path: &Path, users: u32, events: u64) -> anyhow::Result<Bare> {
        let file = Connection::open(path)?;
        file.execute_batch(SCHEMA)?;
        let room = usize::try_from(events)?;
        Ok(Bare {
            file,
            ids: HashSet::with_capacity_and_hasher(room, BuildHasherDefault::default()),
            accounts: vec![Account::default(); usize::try_from(users)?],
            page: Vec::new(),
            last: 0,
            carried: 0,
        })
    }

    /// Books a batch and syncs; tells of each event whether it was new.
    fn book(&mut self, batch: &[Given]) -> anyhow::Result<Vec<bool>> {
        self.page.clear();
        let first = self.last + 1;
        let answers = batch.iter().map(|event| self.credit(event)).collect();
        let mut sum = Crc::new();
        sum.update(&self.page);
        let count = self.last + 1 - first;
        let change = self.file.unchecked_transaction()?;
        let mut insert = change.prepare_cached(INSERT_PAGE)?;
        insert.execute(params![
            first.cast_signed(),
            count.cast_signed(),
            sum.sum(),
            self.page
        ])?;
        drop(insert);
        if self.last >= self.carried + CARRIED_EVERY {
            let all: Vec<u8> = self.accounts.iter().flat_map(Account::bytes).collect();
            change.execute(KEEP_BALANCES, params![self.last.cast_signed(), all])?;
            self.carried = self.last;
        }
        change.commit()?;
        Ok(answers)
    }

    fn credit(&mut self, event: &Given) -> bool {
        if !self.ids.insert(event.id) {
            return false;
        }
        let Some(account) = self.accounts.get_mut(event.user as usize) else {
            return false;
        };
        self.last += 1;
        account.micros += event.micros;
        let mut record = [0; RECORD];
        record[..16].copy_from_slice(&event.id.to_le_bytes());
        record[16..20].copy_from_slice(&event.user.to_le_bytes());
        record[20..24].copy_from_slice(&event.kind.to_le_bytes());
        record[AMOUNT..32].copy_from_slice(&event.micros.to_le_bytes());
        record[32..40].copy_from_slice(&account.micros.to_le_bytes());
        record[40..48].copy_from_slice(&account.newest.to_le_bytes());
        record[48..56].copy_from_slice(&event.at.to_le_bytes());
        self.page.extend_from_slice(&record);
        account.newest = self.last;
        true
    }

    /// What all records in the file say was booked, and how many there are.
    fn sum(&self) -> anyhow::Result<(u64, i64)> {
        let (mut entries, mut sum) = (0, 0);
        let mut pages = self.file.prepare(PAGES)?;
        let mut rows = pages.query([])?;
        while let Some(row) = rows.next()? {
            let body = row.get_ref(0)?.as_blob()?;
            for record in body.chunks_exact(RECORD) {
                let amount = record[AMOUNT..32].try_into().map(i64::from_le_bytes);
                sum += amount.context("a record is cut")?;
                entries += 1;
            }
        }
        Ok((entries, sum))
    }
}

impl Account {
    fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.micros.to_le_bytes());
        bytes[8..].copy_from_slice(&self.newest.to_le_bytes());
        bytes
    }
}

/// Measures it with the same made-up app, and writes down how many times as much processor time
/// the books take.
///
/// # Errors
/// When SQLite fails or the sums are wrong.
pub(crate) fn beside(
    sheet: &mut Sheet,
    load: &Load,
    (options, dir): (&LedgerOptions, &Path),
    ours: Ours,
) -> anyhow::Result<()> {
    let measured = tokio::task::block_in_place(|| run(dir, load, options));
    let (booked, meter) = measured.context("the bare ledger")?;
    let reading = meter.read();
    let (others, _) = meter.others_percent();
    let (bare, books) = (
        micros_each(reading.used, booked),
        micros_each(ours.used, ours.entries),
    );
    sheet
        .section("bare_pages")
        .put("entries", booked)
        .put("entries_per_second", per_second(booked, reading.wall))
        .put("processor_us_per_entry", bare)
        .put("others_used_percent_of_machine", others)
        .put("the_books_take_times_as_much_processor", books / bare);
    Ok(())
}

fn run(dir: &Path, load: &Load, options: &LedgerOptions) -> anyhow::Result<(u64, Meter)> {
    let mut bare = Bare::open(&dir.join("bare.db"), load.users(), options.entries)?;
    let mut mix = Mix::new(options.seed, 0, options.duplicates);
    let (mut expected, mut answered, mut left) = ((0, 0), 0, options.entries);
    let mut meter = Meter::default();
    while left > 0 {
        let events = left.min(SLICE);
        left -= events;
        let mut slice = Vec::with_capacity(usize::try_from(events)?);
        for _ in 0..events {
            // It has no list of users; what names nobody is not sent to it.
            let (number, new) = match mix.draw() {
                Next::New(number) => (number, true),
                Next::Again(number) => (number, false),
                Next::Refused(_) => continue,
            };
            let event = given(load, number)?;
            if new {
                expected.0 += 1;
                expected.1 += event.micros;
            }
            slice.push(event);
        }
        meter.start();
        for batch in slice.chunks(usize::try_from(options.batch)?) {
            let answers = bare.book(batch)?;
            answered += answers.iter().filter(|new| **new).count() as u64;
        }
        meter.stop();
    }
    let found = bare.sum()?;
    anyhow::ensure!(
        found == expected && answered == expected.0,
        "its file holds {found:?}, it answered {answered}, and was sent {expected:?}"
    );
    Ok((answered, meter))
}

fn given(load: &Load, number: u64) -> anyhow::Result<Given> {
    let event = load.plain(number);
    load.view(&event, false, |view| {
        let digits: String = view.event_id.chars().filter(|c| *c != '-').collect();
        Ok(Given {
            id: u128::from_str_radix(&digits, 16)?,
            user: event.user,
            kind: view.kind.len() as u32,
            micros: event.brings.0,
            at: view.occurred_at.map_or(0, |at| at.0),
        })
    })
}
