//! Books for a bench: catalogue, merchant and users, before the clock runs.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use lingqian_core::command::Command;
use lingqian_core::id::{AppId, MchId, MerchantNo};
use lingqian_core::money::Micros;
use lingqian_core::transfer::Merchant;
use lingqian_core::{EventBatch, EventView};
use lingqian_io::{Clock as _, Store};
use serde_json::Value;

use crate::bench::ledger::drive::decide_all;
use crate::bench::ledger::model;
use crate::bench::ledger::report::growth;
use crate::bench::load::user_id;
use crate::bench::machine::resident_beside_heap;
use crate::bench::options::Habit;
use crate::config::{self, Config};
use crate::progress::{Rate, Stage};
use crate::world::RealClock;

/// Users that are registered in one commit.
const PAGE: u32 = 10_000;

/// A kind that no catalogue has.
pub(crate) const NO_KIND: &str = "bench_none";

/// How long a closed store may take to let go of its files.
const CLOSE_MAX: Duration = Duration::from_secs(120);

/// What registering users showed.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) rate: Rate,
    /// Bytes of resident memory that each user brought once a tenth of them was there: what does not
    /// depend on their number is not in it.
    pub(crate) bytes_per_user: Value,
}

/// Defines what the ordinary configuration defines and registers the users, whose accounts are in
/// memory afterwards.
///
/// # Errors
/// When the store fails.
pub(crate) async fn open_books<S: Store>(
    store: &S,
    users: u32,
    mix: Habit,
) -> anyhow::Result<Registered> {
    let mut config = Config::default();
    model::terms(mix, &mut config.kinds);
    let mut commands = vec![Command::DefineMerchant(merchant(config.merchant)?)];
    for defined in &config.kinds {
        commands.push(Command::DefineKind(defined.defined()?));
    }
    decided(store, &commands).await?;
    let stage = Stage::begin("register", "users", Some(u64::from(users)));
    let tenth = users.div_ceil(10);
    register(store, &stage, 0..tenth).await?;
    let before = resident_beside_heap();
    register(store, &stage, tenth..users).await?;
    let grown = growth(before, resident_beside_heap(), u64::from(users - tenth));
    Ok(Registered {
        rate: stage.end(),
        bytes_per_user: grown,
    })
}

/// Registers users and has each of them looked at.
async fn register<S: Store>(store: &S, stage: &Stage, users: Range<u32>) -> anyhow::Result<()> {
    let register = |user| Command::RegisterUser {
        user: user_id(user),
        name: None,
    };
    let mut first = users.start;
    while first < users.end {
        let end = users.end.min(first.saturating_add(PAGE));
        let commands: Vec<Command> = (first..end).map(register).collect();
        decided(store, &commands).await?;
        look_at(store, first..end).await?;
        stage.advance(u64::from(end - first));
        first = end;
    }
    Ok(())
}

/// Gives each of these users an event that must be refused, because no such kind is defined: nothing
/// is booked, and their accounts are in memory.
async fn look_at<S: Store>(store: &S, users: Range<u32>) -> anyhow::Result<()> {
    let mut events = EventBatch::with_capacity(users.len());
    for user in users {
        let user = user_id(user);
        let event = EventView {
            source: "bench",
            event_id: user.as_str(),
            user: user.as_str(),
            kind: NO_KIND,
            amount: Some(Micros(1)),
            occurred_at: None,
            from: None,
            reverses: None,
        };
        let pushed = events.push(&event);
        pushed.map_err(|(field, fault)| anyhow!("{field} of a made-up event: {fault}"))?;
    }
    let answers = store.earn(RealClock::default().business(), events).await?;
    anyhow::ensure!(
        answers.iter().all(|answer| answer.is_err()),
        "the books took what they must refuse"
    );
    Ok(())
}

async fn decided<S: Store>(store: &S, commands: &[Command]) -> anyhow::Result<()> {
    let now = RealClock::default().business();
    let outcomes = decide_all(store, now, commands).await?;
    anyhow::ensure!(
        outcomes.len() == commands.len(),
        "the books refused what they must take"
    );
    Ok(())
}

fn merchant(texts: config::Merchant) -> anyhow::Result<Merchant> {
    Ok(Merchant {
        no: MerchantNo(1),
        mchid: MchId::parse("1900000001")?,
        apps: vec![AppId::parse("wx0000000000000001")?],
        scene: texts.scene,
        scene_report: texts.scene_report,
        remark: texts.remark,
        weight: 1,
        day_quota: None,
    })
}

/// Waits until nothing of this process has a file in the directory open any more: the threads of a
/// store end by themselves after its last handle is gone.
///
/// # Errors
/// When that takes too long.
pub(crate) async fn closed(dir: &Path) -> anyhow::Result<()> {
    let began = Instant::now();
    while is_open(dir)? {
        anyhow::ensure!(
            began.elapsed() < CLOSE_MAX,
            "the books in {} were not closed",
            dir.display()
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

fn is_open(dir: &Path) -> anyhow::Result<bool> {
    let files = fs::read_dir("/proc/self/fd").context("this system does not tell open files")?;
    let mut targets = files
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok());
    Ok(targets.any(|target| target.starts_with(dir)))
}

/// Carries what is still in SQLite's log into the file, so that its size can be compared. A log
/// is left behind when a connection that only reads was the last to close.
///
/// # Errors
/// When SQLite cannot open the file.
pub(crate) fn settle(database: &Path) -> anyhow::Result<()> {
    let connection = rusqlite::Connection::open(database)?;
    connection.pragma_query(None, "wal_checkpoint", |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error.into())
}
