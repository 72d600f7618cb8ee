//! The stages of the flow, each with its progress and its rate.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lingqian_core::command::Command;
use lingqian_core::id::UserId;
use lingqian_core::ledger::Account;
use lingqian_core::money::Fen;
use lingqian_core::payout::State;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_engine::reconcile::reconcile;
use lingqian_engine::sweep::{Plan, SweepCursor, sweep};
use lingqian_engine::{Desk, Limits};
use lingqian_http::wire::event::parse_event;
use lingqian_io::store::Summary;
use lingqian_io::{Browse as _, Clock as _, Ports as _};
use lingqian_sandbox::Sandbox;
use serde_json::Value;

use crate::commands::import::input;
use crate::commands::reconcile::value;
use crate::feed::{Counts, Feed, feed, pieces};
use crate::progress::{Rate, Stage};
use crate::quickstart::workload::Workload;
use crate::wire::Wire;

/// Balances from ¥1.00 on are paid out.
const THRESHOLD: Fen = Fen(100);
/// A stage that saw nothing move for this long goes on without what is left.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a stage looks.
const LOOK: Duration = Duration::from_millis(100);

/// Where events come from.
pub(crate) enum Events {
    /// A file of the user's own, or a copy of what came on standard input.
    File {
        /// Where.
        path: PathBuf,
        /// Whether it is such a copy.
        spooled: bool,
    },
    /// Made up.
    Made { seed: u64, users: u64, count: u64 },
}

/// Standard input can be read once and the users must be known first, so it is written to a
/// file; answers the file and its users.
///
/// # Errors
/// When the input cannot be read or the file not written.
pub(crate) async fn spool(path: &Path) -> anyhow::Result<(Events, Vec<String>)> {
    let from_stdin = path.as_os_str() == "-";
    let path = path.to_owned();
    let read = move || -> anyhow::Result<(PathBuf, BTreeSet<String>)> {
        let kept = std::env::temp_dir().join(format!("lingqian-events-{}", std::process::id()));
        let mut copy = from_stdin
            .then(|| std::fs::File::create(&kept))
            .transpose()?;
        let mut users = BTreeSet::new();
        for line in BufReader::with_capacity(1 << 20, input(&path)?).split(b'\n') {
            let line = line.context("the events cannot be read")?;
            if let Some(copy) = &mut copy {
                copy.write_all(&line)?;
                copy.write_all(b"\n")?;
            }
            if let Ok(event) = parse_event(&line)
                && let Ok(user) = UserId::parse(event.view().user)
            {
                users.insert(user.to_string());
            }
        }
        Ok((if from_stdin { kept } else { path }, users))
    };
    let (path, users) = tokio::task::spawn_blocking(read).await??;
    let spooled = from_stdin;
    Ok((Events::File { path, spooled }, users.into_iter().collect()))
}

/// Registers the users.
///
/// # Errors
/// When the store fails.
pub(crate) async fn register(desk: &Desk, users: &[String]) -> anyhow::Result<Rate> {
    let stage = Stage::begin("register", "users", Some(users.len() as u64));
    for page in users.chunks(1_000) {
        let command = |name: &String| {
            let user = UserId::parse(name).with_context(|| format!("the user {name:?}: its id"))?;
            anyhow::Ok(Command::RegisterUser { user, name: None })
        };
        let commands: anyhow::Result<Vec<Command>> = page.iter().map(command).collect();
        for answer in desk.submit_all(commands?).await? {
            answer?;
        }
        stage.advance(page.len() as u64);
    }
    Ok(stage.end())
}

/// Credits the events.
///
/// # Errors
/// When the input cannot be read or the store fails.
pub(crate) async fn credit(
    wire: &Wire,
    desk: &Desk,
    events: &Events,
) -> anyhow::Result<(Counts, Rate)> {
    let how = Feed {
        door: "quickstart",
        register: false,
        show: 0,
    };
    let (counts, rate) = match events {
        Events::Made { seed, users, count } => {
            let mut workload = Workload::new(*seed, *users);
            let total = *count;
            let made = (0..total).map(move |_| {
                let mut line = workload.next_line();
                line.push(b'\n');
                Ok(line)
            });
            let stage = Stage::begin("credit", "events", Some(total));
            let (counts, _) = feed(wire, desk, how, made, |lines| stage.advance(lines)).await?;
            (counts, stage.end())
        }
        Events::File { path, spooled } => {
            let stage = Stage::begin("credit", "events", None);
            let pieces = pieces(input(path)?);
            let (counts, _) = feed(wire, desk, how, pieces, |lines| stage.advance(lines)).await?;
            if *spooled {
                std::fs::remove_file(path)?;
            }
            (counts, stage.end())
        }
    };
    Ok((counts, rate))
}

/// Sweeps every balance above the threshold.
///
/// # Errors
/// When the store fails.
pub(crate) async fn sweep_all(wire: &Wire, desk: &Desk) -> anyhow::Result<Rate> {
    let stage = Stage::begin("sweep", "payouts held", None);
    let plan = Plan::today(THRESHOLD, wire.clock().business());
    let mut cursor = SweepCursor::default();
    while !cursor.done {
        let (progress, next) = sweep(wire, desk, &Limits::default(), &plan, cursor).await?;
        stage.advance(progress.moved);
        cursor = next;
    }
    Ok(stage.end())
}

fn count(summary: &Summary, wanted: impl Fn(&str) -> bool) -> u64 {
    let found = summary.payouts.iter().filter(|(state, ..)| wanted(state));
    found.map(|(_, count, _)| count).sum()
}

fn is_final(state: &str) -> bool {
    ["paid", "failed", "expired", "cancelled", "refused"].contains(&state)
}

/// Waits until everything was sent and everybody who will confirm has: the passes do the work.
///
/// # Errors
/// When the store fails.
pub(crate) async fn pay(wire: &Wire) -> anyhow::Result<Rate> {
    let before = count(&wire.store().summary().await?, is_final);
    let all = count(&wire.store().summary().await?, |_| true).saturating_sub(before);
    let stage = Stage::begin("pay", "payouts", Some(all));
    let (mut last, mut moved_at) = (None, Instant::now());
    loop {
        let summary = wire.store().summary().await?;
        let done = count(&summary, is_final).saturating_sub(before);
        let waiting = count(&summary, |state| state == "awaiting_user");
        stage.at(done + waiting);
        if last.replace((done, waiting)) != Some((done, waiting)) {
            moved_at = Instant::now();
        }
        let still = moved_at.elapsed();
        // Who does not confirm within a second will not.
        let quiet = done + waiting >= all && still > Duration::from_secs(1);
        if waiting == 0 && done >= all || quiet || still > PATIENCE {
            return Ok(stage.end_at(moved_at));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// How far the clock must move so that unconfirmed transfers expire and every day before the
/// new one has its bill: more than a day, and to half past ten in the morning at least.
fn to_next_day_ms(now: Timestamp) -> i64 {
    const HOUR_MS: i64 = 3_600_000;
    let later = now.after_ms(26 * HOUR_MS);
    let made = later
        .business_date()
        .start()
        .after_ms(10 * HOUR_MS + HOUR_MS / 2);
    later.max(made).since_ms(now)
}

/// Moves the sandbox's clock, and ours with it.
pub(crate) async fn next_day(wire: &Wire, sandbox: &Sandbox) {
    let ahead = to_next_day_ms(wire.clock().business());
    sandbox
        .advance(Duration::from_millis(ahead.unsigned_abs()))
        .await;
    wire.clock().run_ahead(sandbox.offset_ms());
}

/// Waits until nothing is under way any more.
///
/// # Errors
/// When the store fails.
pub(crate) async fn wait_for_ends(wire: &Wire) -> anyhow::Result<Rate> {
    let open = |summary: &Summary| count(summary, |state| !is_final(state));
    let all = open(&wire.store().summary().await?);
    let stage = Stage::begin("expire", "payouts", Some(all));
    let (mut last, mut moved_at) = (all, Instant::now());
    loop {
        let left = open(&wire.store().summary().await?);
        stage.at(all.saturating_sub(left));
        if left != last {
            (last, moved_at) = (left, Instant::now());
        }
        if left == 0 || moved_at.elapsed() > PATIENCE {
            return Ok(stage.end());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Reconciles every day that is over and was not closed.
///
/// # Errors
/// When a bill cannot be had or the store fails.
pub(crate) async fn reconcile_all(
    wire: &Wire,
    desk: &Desk,
    began_on: BusinessDate,
) -> anyhow::Result<(Vec<Value>, Rate)> {
    let yesterday = BusinessDate(wire.clock().business().business_date().0 - 1);
    let (bills, _) = wire.store().reconciled().await?;
    let stage = Stage::begin("reconcile", "bill lines", None);
    let mut days = Vec::new();
    for merchant in wire.merchants() {
        let closed = bills.iter().filter(|bill| bill.merchant == merchant.no);
        let first = closed
            .map(|bill| bill.date)
            .max()
            .map_or(BusinessDate(began_on.0 - 7), |d| d.next());
        let mchid = &merchant.mchid;
        // The last closed day again shows that a second run changes nothing.
        for date in (first.0..=yesterday.0).map(BusinessDate) {
            let found = reconcile(wire, desk, &Limits::default(), mchid, date).await?;
            anyhow::ensure!(found.ready, "the bill of {date} is not ready");
            stage.advance(found.lines);
            if found.lines > 0 || found.checked > 0 {
                days.push(value(date, &found));
            }
        }
    }
    Ok((days, stage.end()))
}

/// Whether money was paid that no bill has shown yet.
///
/// # Errors
/// When the store fails.
pub(crate) async fn is_clear(wire: &Wire) -> anyhow::Result<bool> {
    let summary = wire.store().summary().await?;
    let clearing = |account: &Account| matches!(account, Account::Clearing(_));
    Ok(summary
        .accounts
        .iter()
        .all(|(account, sum)| !clearing(account) || sum.0 == 0))
}

/// The stable names of states, for the report.
pub(crate) const STATES: [&str; 14] = State::NAMES;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_whatever_hour_it_begins_the_next_day_is_late_enough_for_its_bills() {
        let midnight = BusinessDate(20_700).start();
        for quarter in 0..96 {
            let now = midnight.after_ms(quarter * 900_000);
            let ahead = to_next_day_ms(now);
            let then = now.after_ms(ahead);
            assert!(ahead >= 26 * 3_600_000, "transfers expire after a day");
            let since_midnight = then.since_ms(then.business_date().start());
            assert!(since_midnight >= 10 * 3_600_000, "quarter {quarter}");
            assert!(then.business_date() > now.business_date());
        }
    }
}
