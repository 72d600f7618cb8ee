//! `lingqian pass`: one pass, once, over what is due.

use std::collections::BTreeMap;
use std::process::ExitCode;

use lingqian_engine::alerts::alert;
use lingqian_engine::float::float;
use lingqian_engine::watch::{WatchCursor, watch};
use lingqian_engine::{Desk, Limits, Progress};
use lingqian_engine::{assess, dispatch, expire, links, notify, poll, reconcile};
use lingqian_io::{Clock as _, Ports as _};
use serde_json::json;

use crate::NEEDS_A_PERSON;
use crate::cli::{Pass, PassName};
use crate::home::Home;
use crate::output::show;
use crate::passes::{due_bills, sweep_all};
use crate::platform::open;
use crate::wire::Wire;

/// Runs the command.
///
/// # Errors
/// When the store or WeChat fails; what was done before it stands.
pub(crate) async fn run(home: &Home, options: &Pass, json: bool) -> anyhow::Result<ExitCode> {
    let (wire, desk) = open(home).await?;
    let name = options.name;
    let (progress, sound) = match name {
        PassName::Sweep => (swept(&wire, &desk).await?, true),
        PassName::Reconcile => reconciled(&wire, &desk).await?,
        PassName::Audit => audited(&wire, &desk).await?,
        PassName::Alert => (alerted(home, &wire).await?, true),
        other => (until_nothing_is_due(&wire, &desk, other).await?, true),
    };
    let value = json!({
        "pass": name.word(),
        "taken": progress.taken,
        "moved": progress.moved,
        "sound": sound,
    });
    show(json, &value, |out| {
        let (word, taken, moved) = (name.word(), progress.taken, progress.moved);
        let end = if sound {
            ""
        } else {
            "; a person must look: `lingqian cases`"
        };
        writeln!(out, "{word}: {taken} taken on, {moved} moved{end}")
    })?;
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NEEDS_A_PERSON)
    })
}

/// A pass takes on a part of what is due; it is run until it takes on nothing.
async fn until_nothing_is_due(
    wire: &Wire,
    desk: &Desk,
    name: PassName,
) -> anyhow::Result<Progress> {
    let limits = Limits::default();
    let mut all = Progress::default();
    loop {
        let done = match name {
            PassName::Assess => assess::assess(wire, desk, &limits).await?,
            PassName::Dispatch => dispatch::dispatch(wire, desk, &limits).await?,
            PassName::Poll => poll::poll(wire, desk, &limits).await?,
            PassName::Cancel => poll::cancel(wire, desk, &limits).await?,
            PassName::Expire => expire::expire(wire, desk, &limits).await?,
            PassName::Notify => notify::notify(wire, &wire.courier(), &limits).await?,
            PassName::Links => links::links(wire, desk, &limits).await?,
            PassName::Sweep | PassName::Reconcile | PassName::Audit | PassName::Alert => {
                Progress::default()
            }
        };
        if done.taken == 0 {
            return Ok(all);
        }
        all.taken += done.taken;
        all.moved += done.moved;
    }
}

/// Tells operators what is to be told now; the money at WeChat is reckoned up for it.
async fn alerted(home: &Home, wire: &Wire) -> anyhow::Result<Progress> {
    let config = wire.config();
    let (herald, rules) = (
        config.alerts.herald(home)?,
        config.alerts.rules(config.float),
    );
    let float = float(wire).await?;
    let mut all = Progress::default();
    loop {
        let done = alert(wire, &herald, &rules, Some(&float)).await?;
        all.taken += done.taken;
        all.moved += done.moved;
        if done.taken == 0 {
            return Ok(all);
        }
    }
}

async fn swept(wire: &Wire, desk: &Desk) -> anyhow::Result<Progress> {
    let config = wire.config();
    anyhow::ensure!(
        config.sweep.threshold_fen > 0,
        "lingqian.toml sets no sweep.threshold_fen; `lingqian withdraw --sweep-fen N` sweeps \
         without it"
    );
    let most = config.policy.policy().payout_max;
    let Some(plan) = config.sweep.plan(wire.clock().business(), most) else {
        return Ok(Progress::default());
    };
    Ok(sweep_all(wire, desk, &plan).await?)
}

/// Reconciles every day that is due; whether no break is open.
async fn reconciled(wire: &Wire, desk: &Desk) -> anyhow::Result<(Progress, bool)> {
    let (mut progress, mut open) = (Progress::default(), 0);
    for (mchid, date) in due_bills(wire, &BTreeMap::new()).await? {
        let limits = Limits::default();
        let found = reconcile::reconcile(wire, desk, &limits, &mchid, date).await?;
        progress.taken += 1;
        progress.moved += u64::from(found.ready);
        open += found.open;
    }
    Ok((progress, open == 0))
}

/// One round of the auditor over all payouts and all users; whether all is sound.
async fn audited(wire: &Wire, desk: &Desk) -> anyhow::Result<(Progress, bool)> {
    let (mut progress, mut sound) = (Progress::default(), true);
    let mut cursor = WatchCursor::default();
    while cursor.rounds == 0 || cursor.turns == 0 || cursor.walks == 0 {
        let (seen, next) = watch(wire, desk, &Limits::default(), &cursor).await?;
        progress.taken += seen.payouts;
        progress.moved += seen.users;
        sound &= seen.findings.is_empty();
        cursor = next;
    }
    Ok((progress, sound))
}
