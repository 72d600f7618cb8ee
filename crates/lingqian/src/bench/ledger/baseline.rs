//! A ledger over SQLite as a team writes it in an afternoon: rows, a unique event id, a balance
//! that is updated. It is durable and correct; it is here to be compared with.

use std::path::Path;

use anyhow::Context as _;
use lingqian_core::EventView;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use serde_json::{Value, json};

use super::peers::Ours;
use crate::bench::figures::{micros_each, per_second};
use crate::bench::load::Load;
use crate::bench::machine::Meter;
use crate::bench::mix::{Mix, Next};
use crate::bench::options::LedgerOptions;
use crate::bench::sheet::Sheet;

const SCHEMA: &str = include_str!("../sql/schema.sql");
const INSERT_ENTRY: &str = include_str!("../sql/insert_entry.sql");
const ADD_TO_BALANCE: &str = include_str!("../sql/add_to_balance.sql");
const SUM_OF_BALANCES: &str = include_str!("../sql/sum_of_balances.sql");

/// How the two ledgers commit: events in a transaction, and events that are sent at most.
const WAYS: [(u64, u64); 2] = [(1, 20_000), (1_000, 200_000)];

/// Measures both ways with the same made-up app and writes down how they compare with the books,
/// which booked so many entries in that time.
///
/// # Errors
/// When SQLite fails or the sums are wrong.
pub(crate) fn beside(
    sheet: &mut Sheet,
    load: &Load,
    (options, dir): (&LedgerOptions, &Path),
    ours: Ours,
) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for (together, most) in WAYS {
        let path = dir.join(format!("baseline-{together}.db"));
        let row = tokio::task::block_in_place(|| {
            run(&path, load, options, (together, most.min(options.entries)))
        });
        let (booked, meter) = row.context("the ledger by hand")?;
        let reading = meter.read();
        let rate = per_second(booked, reading.wall);
        let (others, _) = meter.others_percent();
        rows.push(json!({
            "at_once": together,
            "entries": booked,
            "entries_per_second": rate,
            "others_percent": others,
            "processor_us": micros_each(reading.used, booked),
            "the_books_are_times_faster": ours.rate() as f64 / rate.max(1) as f64,
        }));
    }
    sheet
        .section("sqlite_by_hand")
        .put("ledgers", Value::Array(rows));
    Ok(())
}

fn run(
    path: &Path,
    load: &Load,
    options: &LedgerOptions,
    (together, events): (u64, u64),
) -> anyhow::Result<(u64, Meter)> {
    let mut connection = Connection::open(path)?;
    connection.execute_batch(SCHEMA)?;
    let mut mix = Mix::new(options.seed, 0, options.duplicates);
    let next: Vec<Next> = (0..events).map(|_| mix.draw()).collect();
    let (mut booked, mut expected) = (0, 0_i64);
    let mut meter = Meter::default();
    meter.start();
    for chunk in next.chunks(usize::try_from(together)?) {
        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for next in chunk {
            // Such a ledger has no list of users; what names nobody is not sent to it.
            let (Next::New(number) | Next::Again(number)) = *next else {
                continue;
            };
            let event = load.event(number);
            if load.view(&event, false, |view| credit(&change, view, event.brings.0))? {
                booked += 1;
                expected += event.brings.0;
            }
        }
        change.commit()?;
    }
    meter.stop();
    let sum: i64 = connection.query_row(SUM_OF_BALANCES, [], |row| row.get(0))?;
    anyhow::ensure!(
        sum == expected,
        "its balances add up to {sum}, not {expected}"
    );
    Ok((booked, meter))
}

/// Books an event, unless its id is known.
fn credit(
    change: &Transaction<'_>,
    event: &EventView<'_>,
    micros: i64,
) -> Result<bool, rusqlite::Error> {
    let mut insert = change.prepare_cached(INSERT_ENTRY)?;
    let at = event.occurred_at.map(|at| at.0);
    let name = params![
        event.source,
        event.event_id,
        event.user,
        event.kind,
        micros,
        at
    ];
    if insert.execute(name)? == 0 {
        return Ok(false);
    }
    let mut add = change.prepare_cached(ADD_TO_BALANCE)?;
    add.execute(params![event.user, micros])?;
    Ok(true)
}
