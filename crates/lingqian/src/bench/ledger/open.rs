//! Books for a bench: catalogue, merchant and users, before the clock runs.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lingqian_core::command::Command;
use lingqian_core::id::{AppId, MchId, MerchantNo};
use lingqian_core::transfer::Merchant;
use lingqian_io::{Clock as _, Store};

use crate::bench::ledger::drive::decide_all;
use crate::bench::ledger::model;
use crate::bench::load::user_id;
use crate::bench::options::Habit;
use crate::config::{self, Config};
use crate::progress::{Rate, Stage};
use crate::world::RealClock;

/// Users that are registered in one commit.
const PAGE: u32 = 10_000;

/// How long a closed store may take to let go of its files.
const CLOSE_MAX: Duration = Duration::from_secs(120);

/// Defines what the ordinary configuration defines and registers the users.
///
/// # Errors
/// When the store fails.
pub(crate) async fn open_books<S: Store>(
    store: &S,
    users: u32,
    mix: Habit,
) -> anyhow::Result<Rate> {
    let mut config = Config::default();
    model::terms(mix, &mut config.kinds);
    let mut commands = vec![Command::DefineMerchant(merchant(config.merchant)?)];
    for defined in &config.kinds {
        commands.push(Command::DefineKind(defined.defined()?));
    }
    decided(store, &commands).await?;
    let stage = Stage::begin("register", "users", Some(u64::from(users)));
    let mut first = 0;
    while first < users {
        let end = users.min(first.saturating_add(PAGE));
        let register = |user| Command::RegisterUser {
            user: user_id(user),
            name: None,
        };
        let commands: Vec<Command> = (first..end).map(register).collect();
        decided(store, &commands).await?;
        stage.advance(u64::from(end - first));
        first = end;
    }
    Ok(stage.end())
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
