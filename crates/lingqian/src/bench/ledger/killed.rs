//! Big books and a process that is killed in the middle, again and again: a process of its own fills
//! them and says which batches were answered; it is killed with kill -9; the books are opened, and
//! everything that was answered must be there, whole, with the right balances and a chain that
//! holds. Then another process goes on where the first one was.
//!
//! Calls take effect in their order, and each is whole or absent. So what may be found is exactly
//! what the first calls make: all that were answered, and some of those that were under way.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lingqian_io::Store as _;
use lingqian_io::store::Browse as _;
use serde_json::{Value, json};

use super::register;
use crate::bench::Place;
use crate::bench::ledger::check::{self, Verdict};
use crate::bench::ledger::drive::Driver;
use crate::bench::ledger::plan::{Plan, Tally};
use crate::bench::ledger::target::Target;
use crate::bench::load::Load;
use crate::bench::machine::Meter;
use crate::bench::options::LedgerOptions;
use crate::bench::sheet::Sheet;
use crate::progress::Stage;
use crate::store::StoreUrl;

/// What each line begins with.
const ANSWERED: &str = "answered ";

/// Fills books that others began, from a call on, and says which batches were answered.
///
/// # Errors
/// When the store fails.
pub(crate) async fn fill(
    options: &LedgerOptions,
    (load, store): (&Load, Option<&StoreUrl>),
    calls: u64,
) -> anyhow::Result<ExitCode> {
    let dir = options.dir.as_deref().context("--resume-at needs --dir")?;
    let target = Target::new(dir, store).await?;
    let (store, _) = target.open().await?;
    let mut plan = Plan::new(load, options);
    let mut first = Vec::new();
    for call in (0..=calls).step_by(2) {
        let Some(mut batch) = plan.begin() else {
            break;
        };
        plan.fill(&mut batch);
        if call + 1 == calls {
            // Its withdrawals are in the books already.
            batch.wishes.clear();
            first.push(batch);
        } else if call == calls {
            first.push(batch);
        }
    }
    let size = (options.in_flight, options.entries);
    let mut driver = Driver::new(store, size, Meter::default());
    driver.teller = Some(|number| {
        // Whoever listens is there until this process is killed.
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{ANSWERED}{number}").and_then(|()| out.flush());
    });
    driver.run(first).await?;
    loop {
        let batches = plan.slice(options.slice);
        if batches.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        driver.run(batches).await?;
    }
}

/// Has books filled and the process killed, and looks at them each time.
///
/// # Errors
/// When the store fails.
pub(crate) async fn books(
    sheet: &mut Sheet,
    options: &LedgerOptions,
    (load, store): (&Load, Option<&StoreUrl>),
) -> anyhow::Result<Verdict> {
    let place = Place::make(options.dir.as_deref(), "ledger")?;
    let target = Target::new(&place.path, store).await?;
    let empty = target.open_empty().await?;
    register(sheet, &empty, (load.users(), options.mix)).await?;
    drop(empty);
    target.closed().await?;
    let mut rng = fastrand::Rng::with_seed(options.seed);
    let batches = options.entries.div_ceil(u64::from(options.batch)).max(1);
    let (mut verdict, mut rows, mut calls) = (Verdict::default(), Vec::new(), 0);
    let stage = Stage::begin("kill", "times", Some(u64::from(options.kills)));
    for kill in 1..=u64::from(options.kills) {
        // Somewhere in its part of the run.
        let part = |kill: u64| batches * kill / (u64::from(options.kills) + 1);
        let at = rng.u64(part(kill)..=part(kill + 1).saturating_sub(1).max(part(kill)));
        let filled = filled((options, &place.path), store, (calls, Some(at)))?;
        let answered = filled
            .answered
            .map_or(calls, |batch| 2 * (batch + 1))
            .max(calls);
        let (found, row) = look(&mut verdict, (options, load), &target, answered).await?;
        rows.push(row);
        calls = found;
        stage.at(kill);
        if !verdict.is_good() || filled.ended {
            break;
        }
    }
    stage.end();
    if verdict.is_good() {
        let filled = filled((options, &place.path), store, (calls, None))?;
        verdict.equal("the last process filled the books", &filled.ended, &true);
        let answered = filled.answered.map_or(calls, |batch| 2 * (batch + 1));
        let (_, row) = look(&mut verdict, (options, load), &target, answered).await?;
        rows.push(row);
    }
    sheet
        .section("killed")
        .put("times", rows.len().saturating_sub(1))
        .put("looks", Value::Array(rows));
    sheet.section("verdict");
    verdict.put(sheet);
    Ok(verdict)
}

/// What a process did that filled books.
struct Filled {
    /// The last batch that it said was answered.
    answered: Option<u64>,
    /// Whether it came to its end.
    ended: bool,
}

/// Starts a process that fills the books, and kills it when it has said that of a batch.
fn filled(
    (options, dir): (&LedgerOptions, &std::path::Path),
    store: Option<&StoreUrl>,
    (calls, until): (u64, Option<u64>),
) -> anyhow::Result<Filled> {
    let mut command = Command::new(std::env::current_exe()?);
    // An address may hold a password, which is nothing for the list of processes.
    match store {
        Some(url) => command.env("LINGQIAN_STORE", url.shared()?),
        None => command.env_remove("LINGQIAN_STORE"),
    };
    command
        .args(["bench", "ledger"])
        .args(options.repeated())
        .arg("--dir")
        .arg(dir)
        .args(["--resume-at", &calls.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn().context("the process does not start")?;
    let lines = BufReader::new(child.stdout.take().context("it has no output")?);
    let mut answered = None;
    let mut killed = false;
    for line in lines.lines() {
        // The last line of one that was killed may be cut off.
        let Ok(line) = line else { break };
        let number = line
            .strip_prefix(ANSWERED)
            .and_then(|number| number.parse().ok());
        answered = number.or(answered);
        if !killed && until.is_some_and(|until| answered >= Some(until)) {
            // SIGKILL: nothing of it runs any more.
            child.kill()?;
            killed = true;
        }
    }
    let status = child.wait()?;
    anyhow::ensure!(
        killed || status.success(),
        "the process that fills the books ended with {status}"
    );
    Ok(Filled {
        answered,
        ended: status.success(),
    })
}

/// Opens the books, finds out what is in them, and compares; tells how many calls that are.
async fn look(
    verdict: &mut Verdict,
    (options, load): (&LedgerOptions, &Load),
    target: &Target,
    answered: u64,
) -> anyhow::Result<(u64, Value)> {
    let (store, began) = target.open_left().await?;
    let opened = began.elapsed();
    let summary = store.summary().await?;
    let summed = began.elapsed();
    let payouts = summary
        .payouts
        .iter()
        .fold(0, |sum, (_, count, _)| sum + count);
    let found = (summary.earned.0, summary.earned.1, payouts);
    let says = |tally: &Tally| (tally.credited, tally.micros, tally.withdrawn);
    let mut plan = Plan::new(load, options);
    let most = answered + 2 * u64::from(options.in_flight);
    let (mut calls, mut begun) = (0, None);
    // The first calls that make what is there, if all that were answered are among them.
    while calls < answered || (calls < most && says(&plan.expected()) != found) {
        match begun.take() {
            None => match plan.begin() {
                Some(batch) => begun = Some(batch),
                None => break,
            },
            Some(mut batch) => plan.fill(&mut batch),
        }
        calls += 1;
    }
    let expected = plan.expected();
    verdict.equal(
        "what was answered is there, and what is there was asked for",
        &found,
        &says(&expected),
    );
    check::sums(verdict, &expected, &summary, &plan);
    check::balances(verdict, &store, plan.balances()).await?;
    let proving = Instant::now();
    let (proved, misfit) = target.verify().await?;
    let proved_in = proving.elapsed();
    let entries = expected.entries() + plan.happened().second_entries;
    verdict.equal("entries of the chain", &proved, &entries);
    verdict.equal("what does not fit in the chain", &misfit, &None);
    if !options.no_audit {
        let audited = store.audit().await?;
        verdict.equal("findings of the audit", &audited.findings, &Vec::new());
    }
    drop(store);
    target.closed().await?;
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    let row = json!({
        "calls_answered": answered,
        "calls_there": calls,
        "entries": entries,
        "open_ms": ms(opened),
        "open_and_sum_up_ms": ms(summed),
        "prove_ms": ms(proved_in),
    });
    Ok((calls, row))
}
