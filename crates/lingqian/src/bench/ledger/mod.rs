//! `lingqian bench ledger`: decoded batches into the books, durable outcomes out, through the same
//! trait that the engine uses and over a real file.

mod baseline;
pub(crate) mod check;
mod drive;
mod nothing;
pub(crate) mod open;
mod plan;
mod read;
mod report;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lingqian_io::store::{Browse as _, Store};
use lingqian_sqlite::SqliteStore;

use crate::NEEDS_A_PERSON;
use crate::bench::Place;
use crate::bench::ledger::check::Verdict;
use crate::bench::ledger::drive::Driver;
use crate::bench::ledger::nothing::Nothing;
use crate::bench::ledger::plan::Plan;
use crate::bench::ledger::report::{Paused, growth};
use crate::bench::load::Load;
use crate::bench::machine::{bytes_in, own_time, resident, sync_probe, thread_time};
use crate::bench::options::{Beside, LedgerOptions, Share};
use crate::bench::sheet::Sheet;
use crate::output::show;
use crate::progress::Stage;

/// Users where nobody says how many.
const USERS: u64 = 1_000_000;

/// Runs the command.
///
/// # Errors
/// When the directory cannot be used or the store fails.
pub(super) async fn run(options: &LedgerOptions, json: bool) -> anyhow::Result<ExitCode> {
    let mut sheet = Sheet::default();
    let users = match options.users {
        Some(users) => users,
        None => u32::try_from(options.entries.min(USERS))?,
    };
    let load = Load::new(options.seed, users, options.spread, options.ids);
    report::describe(&mut sheet, options, users);
    let verdict = if options.harness {
        harness(&mut sheet, options, &load).await?
    } else {
        books(&mut sheet, options, &load).await?
    };
    show(json, &sheet, |out| sheet.tell(out))?;
    Ok(if verdict.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NEEDS_A_PERSON)
    })
}

/// The bench alone, over a store that keeps nothing.
async fn harness(
    sheet: &mut Sheet,
    options: &LedgerOptions,
    load: &Load,
) -> anyhow::Result<Verdict> {
    let options = LedgerOptions {
        withdrawals: Share(0),
        ..options.clone()
    };
    let mut plan = Plan::new(load, &options);
    let driver = drive(sheet, Nothing, &options, &mut plan).await?;
    let mut verdict = Verdict::default();
    let (answered, sent) = (driver.tally.events(), plan.expected().events());
    verdict.equal("answers", &answered, &sent);
    sheet
        .section("check")
        .put("store", "none: these figures are those of the bench itself");
    verdict.put(sheet);
    Ok(verdict)
}

/// Everything over real books.
async fn books(sheet: &mut Sheet, options: &LedgerOptions, load: &Load) -> anyhow::Result<Verdict> {
    let place = Place::make(options.dir.as_deref(), "ledger")?;
    let database = place.path.join("lingqian.db");
    probe(sheet, options, &place.path, "sync_probe_before")?;
    let store = SqliteStore::open(&database)?;
    register(sheet, &store, load.users()).await?;
    let mut plan = Plan::new(load, options);
    let driver = drive(sheet, store.clone(), options, &mut plan).await?;
    let (answered, wall) = (driver.tally, driver.meter.read().wall);
    drop(driver);
    let expected = plan.expected();
    let mut verdict = Verdict::default();
    let summary = store.summary().await?;
    check::sums(&mut verdict, &answered, &summary, &expected);
    check::balances(&mut verdict, &store, plan.balances()).await?;
    sheet
        .section("check")
        .put("balances_compared", plan.balances().len());
    check::audit(sheet, &mut verdict, (&store, options.no_audit), &expected).await?;
    if let Some(count) = options.read {
        read::read(sheet, &store, load, (count, expected.credited)).await?;
    }
    drop(store);
    open::closed(&place.path).await?;
    open::settle(&database)?;
    let bytes = bytes_in(&place.path) as f64;
    let entries = expected.entries();
    sheet
        .section("disk")
        .put("bytes_per_entry", bytes / entries.max(1) as f64);
    if options.reopen {
        reopen(sheet, &mut verdict, &database, &plan).await?;
    }
    probe(sheet, options, &place.path, "sync_probe_after")?;
    if options.beside == Some(Beside::Baseline) {
        baseline::beside(sheet, load, (options, &place.path), (entries, wall))?;
    }
    sheet.section("verdict");
    verdict.put(sheet);
    Ok(verdict)
}

async fn register(sheet: &mut Sheet, store: &SqliteStore, users: u32) -> anyhow::Result<()> {
    let process = std::process::id();
    let before = resident(process);
    let rate = open::open_books(store, users).await?;
    let grown = growth(before, resident(process), u64::from(users));
    sheet
        .section("register")
        .put("users_per_second", rate.per_second)
        .put("resident_bytes_per_user", grown);
    Ok(())
}

/// Makes events up and has them decided, slice by slice; only the deciding is timed.
async fn drive<S: Store + Clone>(
    sheet: &mut Sheet,
    store: S,
    options: &LedgerOptions,
    plan: &mut Plan<'_>,
) -> anyhow::Result<Driver<S>> {
    let stage = Stage::begin("book", "entries", Some(options.entries));
    let mut driver = Driver::new(store, options.in_flight, options.entries);
    let mut paused = Paused::default();
    let process = std::process::id();
    loop {
        let (began, used, own) = (Instant::now(), own_time(), thread_time());
        let batches = plan.slice(options.slice);
        paused.wall += began.elapsed();
        let made = thread_time().saturating_sub(own);
        paused.others += own_time().saturating_sub(used).saturating_sub(made);
        if batches.is_empty() {
            break;
        }
        if paused.slice == 0 {
            paused.slice = batches.iter().map(|batch| batch.events.len() as u64).sum();
            paused.resident_before = resident(process);
        }
        driver.run(batches).await?;
        stage.at(driver.tally.entries());
    }
    stage.end();
    let spare = plan.spare(paused.slice);
    paused.resident_after = resident(process);
    drop(spare);
    report::figures(sheet, &driver, &paused);
    Ok(driver)
}

fn probe(
    sheet: &mut Sheet,
    options: &LedgerOptions,
    dir: &Path,
    name: &'static str,
) -> anyhow::Result<()> {
    if options.sync_probe {
        let latencies = sync_probe(dir)?;
        sheet.section(name).put_all(latencies.shown());
    }
    Ok(())
}

/// Opens the books again and looks whether they still say the same.
async fn reopen(
    sheet: &mut Sheet,
    verdict: &mut Verdict,
    database: &Path,
    plan: &Plan<'_>,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let store = SqliteStore::open(database)?;
    let opened = began.elapsed();
    let expected = plan.expected();
    check::sums(verdict, &expected, &store.summary().await?, &expected);
    let summed = began.elapsed();
    check::balances(verdict, &store, plan.balances()).await?;
    drop(store);
    open::closed(database).await?;
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    sheet
        .section("reopen")
        .put("open_ms", ms(opened))
        .put("open_and_sum_up_ms", ms(summed));
    Ok(())
}
