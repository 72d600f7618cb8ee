//! Loops around the passes: how often each runs is decided here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lingqian_core::id::MchId;
use lingqian_core::time::BusinessDate;
use lingqian_engine::ages::ages;
use lingqian_engine::alerts::alert;
use lingqian_engine::board::Way;
use lingqian_engine::days::{self, Patience};
use lingqian_engine::float::float;
use lingqian_engine::sweep::{Plan, SweepCursor, sweep};
use lingqian_engine::wake::{WakeCursor, wake};
use lingqian_engine::watch::{WatchCursor, watch};
use lingqian_engine::{Desk, Limits, Progress};
use lingqian_engine::{assess, dispatch, expire, links, notify, poll, reconcile};
use lingqian_hooks::NetHerald;
use lingqian_io::{Browse as _, Clock as _, Fault, Ports as _};
use tokio::task::JoinHandle;

use crate::wire::Wire;

/// How long a loop rests when nothing was due.
const REST: Duration = Duration::from_millis(100);
/// How long a loop rests after the world failed.
const REST_AFTER_FAULT: Duration = Duration::from_secs(2);
/// How often it is looked whether a day's bill is still to be reconciled.
const BILL_REST: Duration = Duration::from_secs(60);
/// Bills are made in the morning; by this hour of Beijing's day they can be fetched.
const BILL_AFTER_MS: i64 = 10 * 3_600_000 + 10 * 60_000;
/// How often it is looked whether a stop was lifted.
const WAKE_REST: Duration = Duration::from_secs(1);
/// How often it is looked whether tokens are due.
const TOKENS_REST: Duration = Duration::from_secs(5);

/// How often the money at WeChat is reckoned up.
const FLOAT_REST: Duration = Duration::from_secs(60);
/// How often it is looked whether a sweep of the calendar is due.
const SCHEDULE_REST: Duration = Duration::from_secs(20);

/// How often it is looked whether WeChat's certificates are due.
const CERTIFICATES_REST: Duration = Duration::from_secs(30);

/// Runs every pass in the background, until the process ends.
pub(crate) fn spawn(wire: &Wire, desk: &Desk, herald: NetHerald) -> Vec<JoinHandle<()>> {
    let mut tasks = vec![
        tokio::spawn(forever("assess", wire.clone(), desk.clone())),
        tokio::spawn(forever("dispatch", wire.clone(), desk.clone())),
        tokio::spawn(forever("poll", wire.clone(), desk.clone())),
        tokio::spawn(forever("cancel", wire.clone(), desk.clone())),
        tokio::spawn(forever("expire", wire.clone(), desk.clone())),
        tokio::spawn(forever("notify", wire.clone(), desk.clone())),
        tokio::spawn(tokens(wire.clone(), desk.clone())),
        tokio::spawn(bills(wire.clone(), desk.clone())),
        tokio::spawn(floats(wire.clone())),
        tokio::spawn(certificates(wire.clone())),
        tokio::spawn(sandbox_clock(wire.clone())),
    ];
    tasks.push(tokio::spawn(wakes(wire.clone(), desk.clone())));
    if wire.config().audit.every_seconds > 0 {
        tasks.push(tokio::spawn(audits(wire.clone(), desk.clone())));
    }
    if wire.config().alerts.every_seconds > 0 {
        tasks.push(tokio::spawn(alerts(wire.clone(), herald)));
    }
    let plan = &wire.config().sweep;
    if plan.threshold_fen > 0 && (plan.every_minutes > 0 || plan.schedule().is_some()) {
        tasks.push(tokio::spawn(sweeps(wire.clone(), desk.clone())));
    }
    tasks
}

async fn forever(name: &'static str, wire: Wire, desk: Desk) {
    let limits = Limits::default();
    loop {
        let done = match name {
            "assess" => assess::assess(&wire, &desk, &limits).await,
            "dispatch" => dispatch::dispatch(&wire, &desk, &limits).await,
            "poll" => poll::poll(&wire, &desk, &limits).await,
            "expire" => expire::expire(&wire, &desk, &limits).await,
            "notify" => notify::notify(&wire, &wire.courier(), &limits).await,
            _ => poll::cancel(&wire, &desk, &limits).await,
        };
        match done {
            Ok(Progress { taken: 0, .. }) => tokio::time::sleep(REST).await,
            Ok(_) => {}
            Err(fault) => {
                tracing::error!(pass = name, %fault, "a pass failed");
                tokio::time::sleep(REST_AFTER_FAULT).await;
            }
        }
    }
}

async fn sandbox_clock(wire: Wire) {
    wire.keep_sandbox_clock().await;
}

/// Sweeps every so many minutes, or when the calendar says so.
async fn sweeps(wire: Wire, desk: Desk) {
    let config = &wire.config().sweep;
    let scheduled = config.schedule().is_some();
    let every = Duration::from_secs(config.every_minutes.saturating_mul(60));
    let most = wire.config().policy.policy().payout_max;
    let mut last: Option<BusinessDate> = None;
    loop {
        let rest = if scheduled { SCHEDULE_REST } else { every };
        tokio::time::sleep(rest).await;
        let now = wire.clock().business();
        let plan = config.plan(now, most);
        let done = |plan: &Plan| scheduled && last == Some(plan.run);
        let Some(plan) = plan.filter(|plan| !done(plan)) else {
            continue;
        };
        match sweep_all(&wire, &desk, &plan).await {
            Ok(_) => last = Some(plan.run),
            Err(fault) => tracing::error!(%fault, "a sweep failed; the next one goes on"),
        }
    }
}

/// Sweeps every balance once.
pub(crate) async fn sweep_all(wire: &Wire, desk: &Desk, plan: &Plan) -> Result<Progress, Fault> {
    let (mut all, mut cursor) = (Progress::default(), SweepCursor::default());
    while !cursor.done {
        let (progress, next) = sweep(wire, desk, &Limits::default(), plan, cursor).await?;
        all.taken += progress.taken;
        all.moved += progress.moved;
        cursor = next;
    }
    Ok(all)
}

/// Looks at WeChat's list of certificates when it is due.
async fn certificates(wire: Wire) {
    loop {
        wire.rail().keep_certificates().await;
        for (mchid, skew_ms, slowed) in wire.rail().ways() {
            wire.board().looked_at(mchid, Way { skew_ms, slowed });
        }
        tokio::time::sleep(CERTIFICATES_REST).await;
    }
}

/// Refreshes tokens that are due: a few each time, so that WeChat is never asked for many at once.
async fn tokens(wire: Wire, desk: Desk) {
    loop {
        if let Err(fault) = links::links(&wire, &desk, &Limits::default()).await {
            tracing::error!(pass = "links", %fault, "a pass failed");
        }
        tokio::time::sleep(TOKENS_REST).await;
    }
}

/// Audits the books while they are in use.
async fn audits(wire: Wire, desk: Desk) {
    let every = Duration::from_secs(wire.config().audit.every_seconds);
    let mut cursor = WatchCursor::default();
    loop {
        tokio::time::sleep(every).await;
        match watch(&wire, &desk, &Limits::default(), &cursor).await {
            Ok((seen, next)) => {
                wire.board().watched(&seen, next.rounds);
                cursor = next;
            }
            Err(fault) => tracing::error!(%fault, "the auditor could not look"),
        }
    }
}

/// Tells operators what needs them.
async fn alerts(wire: Wire, herald: NetHerald) {
    let config = &wire.config().alerts;
    let every = Duration::from_secs(config.every_seconds);
    let rules = config.rules(wire.config().float);
    loop {
        tokio::time::sleep(every).await;
        let float = wire.board().seen().float;
        if let Err(fault) = alert(&wire, &herald, &rules, float.as_ref()).await {
            tracing::error!(pass = "alert", %fault, "a pass failed");
        }
    }
}

/// Lets what a stop had put off go on when the stop is lifted.
async fn wakes(wire: Wire, desk: Desk) {
    let mut cursor = WakeCursor::default();
    loop {
        match wake(&wire, &desk, &Limits::default(), &cursor).await {
            Ok((progress, next)) => {
                cursor = next;
                if progress.taken == 0 {
                    tokio::time::sleep(WAKE_REST).await;
                }
            }
            Err(fault) => {
                tracing::error!(pass = "wake", %fault, "a pass failed");
                tokio::time::sleep(REST_AFTER_FAULT).await;
            }
        }
    }
}

/// Says in time that the money at WeChat is running out.
async fn floats(wire: Wire) {
    let hours = wire.config().float.alert_hours;
    loop {
        match float(&wire).await {
            Ok(float) => {
                for merchant in &float.merchants {
                    let left_hours = merchant.lasts_ms().map(|ms| ms / 3_600_000);
                    if left_hours.is_some_and(|left| left < hours) {
                        let left_fen = merchant.left().map_or(0, |left| left.0);
                        let hourly_fen = merchant.hourly.0;
                        tracing::warn!(
                            mchid = %merchant.mchid,
                            left_fen,
                            hourly_fen,
                            left_hours,
                            "the money at WeChat is running out: top it up"
                        );
                    }
                }
                match ages(&wire, &Limits::default(), &float).await {
                    Ok(ages) => wire.board().reckoned(&float, ages),
                    Err(fault) => tracing::error!(%fault, "nobody knows how old things are"),
                }
            }
            Err(fault) => tracing::error!(%fault, "the money at WeChat was not reckoned up"),
        }
        tokio::time::sleep(FLOAT_REST).await;
    }
}

async fn bills(wire: Wire, desk: Desk) {
    // The next look goes on after the last day of this one, so that none holds up the others.
    let mut after: BTreeMap<MchId, BusinessDate> = BTreeMap::new();
    let mut patience = Patience::default();
    let hasty = wire.config().bills.is_delivered();
    loop {
        for (mchid, date) in due_bills(&wire, &after).await.unwrap_or_default() {
            after.insert(mchid.clone(), date);
            let now = wire.clock().business();
            if !patience.is_over(&mchid, date, now) {
                continue;
            }
            match reconcile::reconcile(&wire, &desk, &Limits::default(), &mchid, date).await {
                Ok(found) if !found.ready => patience.not_yet(&mchid, date, now, hasty),
                Ok(found) => {
                    patience.done(&mchid, date);
                    let open = found.open;
                    if open > 0 {
                        tracing::error!(%mchid, %date, open, "open breaks: a person must look");
                    }
                }
                Err(fault) => {
                    patience.failed(&mchid, date, now);
                    tracing::error!(%mchid, %date, %fault, "a bill was not reconciled");
                }
            }
        }
        tokio::time::sleep(BILL_REST).await;
    }
}

/// Days that are over, whose bill can be there, and that were not closed yet: each merchant's own,
/// after the last that was looked at.
pub(crate) async fn due_bills(
    wire: &Wire,
    after: &BTreeMap<MchId, BusinessDate>,
) -> Result<Vec<(MchId, BusinessDate)>, Fault> {
    let now = wire.clock().business();
    let today = now.business_date();
    let made = now.since_ms(today.start()) >= BILL_AFTER_MS;
    let last = BusinessDate(today.0 - if made { 1 } else { 2 });
    let (closed, _) = wire.store().reconciled().await?;
    let mut due = Vec::new();
    for merchant in wire.store().merchants().await? {
        if !wire.rail().acts_for(&merchant.mchid) {
            continue;
        }
        let own = closed.iter().filter(|bill| bill.merchant == merchant.no);
        let done: BTreeSet<BusinessDate> = own.map(|bill| bill.date).collect();
        let open = days::due(last, &done, after.get(&merchant.mchid).copied());
        let open = open.into_iter();
        due.extend(open.map(|day| (merchant.mchid.clone(), day)));
    }
    Ok(due)
}
