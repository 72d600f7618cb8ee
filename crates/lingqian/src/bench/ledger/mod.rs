//! `lingqian bench ledger`: decoded batches into the books, durable outcomes out, through the same
//! trait that the engine uses and over a real file.

mod bare;
mod baseline;
pub(crate) mod check;
mod drive;
mod killed;
mod model;
mod nothing;
pub(crate) mod open;
mod peers;
mod plan;
mod read;
mod report;
mod target;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lingqian_io::store::{Browse as _, Store};

use crate::bench::Place;
use crate::bench::ledger::check::Verdict;
use crate::bench::ledger::drive::Driver;
use crate::bench::ledger::nothing::Nothing;
use crate::bench::ledger::plan::Plan;
use crate::bench::ledger::report::{Paused, Remembered};
use crate::bench::ledger::target::Target;
use crate::bench::load::Load;
use crate::bench::machine::{Meter, own_time, sync_probe, thread_time};
use crate::bench::options::{Beside, Habit, LedgerOptions, Reopen, Share};
use crate::bench::sheet::Sheet;
use crate::output::show;
use crate::progress::Stage;
use crate::store::{AnyStore, StoreUrl};

/// Users where nobody says how many.
const USERS: u64 = 1_000_000;

/// Runs the command.
///
/// # Errors
/// When the directory cannot be used or the store fails.
pub(super) async fn run(
    options: &LedgerOptions,
    store: Option<&StoreUrl>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut sheet = Sheet::default();
    let users = match options.users {
        Some(users) => users,
        None => u32::try_from(options.entries.min(USERS))?,
    };
    let load = Load::new(options.seed, users, options.spread, options.ids).with(options.habits());
    if let Some(calls) = options.resume_at {
        return killed::fill(options, (&load, store), calls).await;
    }
    report::describe(&mut sheet, options, users);
    let verdict = if options.reopen == Some(Reopen::Kill) {
        killed::books(&mut sheet, options, (&load, store)).await?
    } else if options.harness {
        harness(&mut sheet, options, &load).await?
    } else {
        books(&mut sheet, options, (&load, store)).await?
    };
    show(json, &sheet, |out| sheet.tell(out))?;
    Ok(verdict.exit_code())
}

/// The bench alone, over a store that keeps nothing.
async fn harness(
    sheet: &mut Sheet,
    options: &LedgerOptions,
    load: &Load,
) -> anyhow::Result<Verdict> {
    let options = LedgerOptions {
        withdrawals: Share(0),
        mix: Habit::Plain,
        ..options.clone()
    };
    let mut plan = Plan::new(load, &options);
    let driver = drive(sheet, (Nothing, None), &options, &mut plan).await?;
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
async fn books(
    sheet: &mut Sheet,
    options: &LedgerOptions,
    (load, store): (&Load, Option<&StoreUrl>),
) -> anyhow::Result<Verdict> {
    let place = Place::make(options.dir.as_deref(), "ledger")?;
    let target = Target::new(&place.path, store).await?;
    probe(sheet, options, &place.path, "sync_probe_before")?;
    let store = target.open_empty().await?;
    register(sheet, &store, (load.users(), options.mix)).await?;
    let mut plan = Plan::new(load, options);
    let driver = drive(sheet, (store.clone(), target.server), options, &mut plan).await?;
    if let AnyStore::Sqlite(store) = &store {
        report::held(sheet, &driver.tally, store.memory_of_ids().await?);
    }
    let (answered, reading) = (driver.tally, driver.meter.read());
    drop(driver);
    let expected = plan.expected();
    let mut verdict = Verdict::default();
    if options.mix == Habit::Full {
        report::happened(sheet, plan.happened());
    }
    let summary = store.summary().await?;
    check::sums(&mut verdict, &answered, &summary, &plan);
    check::balances(&mut verdict, &store, plan.balances()).await?;
    sheet
        .section("check")
        .put("balances_compared", plan.balances().len());
    check::audit(sheet, &mut verdict, (&store, options.no_audit), &plan).await?;
    if let Some(count) = options.read {
        read::read(sheet, &store, load, (count, expected.credited)).await?;
    }
    drop(store);
    target.closed().await?;
    let (bytes, entries) = (target.bytes().await? as f64, expected.entries());
    sheet
        .section("disk")
        .put("bytes_per_entry", bytes / entries.max(1) as f64);
    if options.reopen == Some(Reopen::Close) {
        reopen(sheet, &mut verdict, &target, &plan).await?;
    }
    probe(sheet, options, &place.path, "sync_probe_after")?;
    let ours = peers::Ours {
        entries,
        wall: reading.wall,
        used: reading.used,
    };
    beside(sheet, (options, load), &place.path, ours).await?;
    sheet.section("verdict");
    verdict.put(sheet);
    Ok(verdict)
}

/// Whatever else is to be measured in the same run.
async fn beside(
    sheet: &mut Sheet,
    (options, load): (&LedgerOptions, &Load),
    dir: &Path,
    ours: peers::Ours,
) -> anyhow::Result<()> {
    if options.beside == Some(Beside::Baseline) {
        bare::beside(sheet, load, (options, dir), ours)?;
        baseline::beside(sheet, load, (options, dir), ours)?;
    }
    if let Some(url) = &options.beside_postgres {
        let url = url.shared().context("--beside-postgres")?;
        peers::postgres(sheet, url, (options, load), ours).await?;
    }
    if let Some(program) = &options.beside_tigerbeetle {
        peers::tigerbeetle(sheet, (program, dir), (options, load), ours)?;
    }
    Ok(())
}

async fn register(
    sheet: &mut Sheet,
    store: &AnyStore,
    (users, mix): (u32, Habit),
) -> anyhow::Result<()> {
    let registered = open::open_books(store, users, mix).await?;
    sheet
        .section("register")
        .put("users_per_second", registered.rate.per_second)
        .put("resident_bytes_per_user", registered.bytes_per_user);
    Ok(())
}

/// Makes events up and has them decided, slice by slice; only the deciding is timed.
async fn drive<S: Store + Clone>(
    sheet: &mut Sheet,
    (store, server): (S, Option<u32>),
    options: &LedgerOptions,
    plan: &mut Plan<'_>,
) -> anyhow::Result<Driver<S>> {
    let stage = Stage::begin("book", "entries", Some(options.entries));
    let size = (options.in_flight, options.entries);
    let mut driver = Driver::new(store, size, Meter::along_family(server));
    let mut paused = Paused::default();
    loop {
        let (began, used, own) = (Instant::now(), own_time(), thread_time());
        let batches = plan.slice(options.slice);
        paused.wall += began.elapsed();
        let made = thread_time().saturating_sub(own);
        paused.others += own_time().saturating_sub(used).saturating_sub(made);
        if batches.is_empty() {
            break;
        }
        driver.run(batches).await?;
        stage.at(driver.tally.entries());
        if driver.tally.entries() >= options.entries / 4 {
            paused.memory.push(Remembered::now(&driver.tally));
        }
    }
    stage.end();
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
    target: &Target,
    plan: &Plan<'_>,
) -> anyhow::Result<()> {
    let (store, began) = target.open().await?;
    let opened = began.elapsed();
    check::sums(verdict, &plan.expected(), &store.summary().await?, plan);
    let summed = began.elapsed();
    check::balances(verdict, &store, plan.balances()).await?;
    drop(store);
    target.closed().await?;
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    sheet
        .section("reopen")
        .put("open_ms", ms(opened))
        .put("open_and_sum_up_ms", ms(summed));
    Ok(())
}
