//! Loops around the passes: how often each runs is decided here.

use std::time::Duration;

use lingqian_core::money::Fen;
use lingqian_core::time::BusinessDate;
use lingqian_engine::sweep::{SweepCursor, sweep};
use lingqian_engine::{Desk, Limits, Progress};
use lingqian_engine::{assess, dispatch, poll, reconcile};
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
/// Days that are reconciled late at most.
const BILL_DAYS_MAX: i32 = 7;

/// Runs every pass in the background, until the process ends.
pub(crate) fn spawn(wire: &Wire, desk: &Desk) -> Vec<JoinHandle<()>> {
    let mut tasks = vec![
        tokio::spawn(forever("assess", wire.clone(), desk.clone())),
        tokio::spawn(forever("dispatch", wire.clone(), desk.clone())),
        tokio::spawn(forever("poll", wire.clone(), desk.clone())),
        tokio::spawn(forever("cancel", wire.clone(), desk.clone())),
        tokio::spawn(bills(wire.clone(), desk.clone())),
    ];
    let plan = &wire.config().sweep;
    if plan.threshold_fen > 0 && plan.every_minutes > 0 {
        let every = Duration::from_secs(plan.every_minutes.saturating_mul(60));
        let threshold = Fen(plan.threshold_fen);
        tasks.push(tokio::spawn(sweeps(
            wire.clone(),
            desk.clone(),
            threshold,
            every,
        )));
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

async fn sweeps(wire: Wire, desk: Desk, threshold: Fen, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let mut cursor = SweepCursor::default();
        while !cursor.done {
            match sweep(&wire, &desk, &Limits::default(), threshold, cursor).await {
                Ok((_, next)) => cursor = next,
                Err(fault) => {
                    tracing::error!(%fault, "a sweep failed; the next one goes on");
                    break;
                }
            }
        }
    }
}

async fn bills(wire: Wire, desk: Desk) {
    loop {
        for date in due_bills(&wire).await.unwrap_or_default() {
            match reconcile::reconcile(&wire, &desk, &Limits::default(), wire.mchid(), date).await {
                Ok(found) if found.open > 0 => {
                    tracing::error!(%date, open = found.open, "open breaks: a person must look");
                }
                Ok(_) => {}
                Err(fault) => tracing::error!(%date, %fault, "a bill was not reconciled"),
            }
        }
        tokio::time::sleep(BILL_REST).await;
    }
}

/// Days that are over, whose bill can be there, and that were not closed yet.
pub(crate) async fn due_bills(wire: &Wire) -> Result<Vec<BusinessDate>, Fault> {
    let now = wire.clock().business();
    let today = now.business_date();
    let made = now.since_ms(today.start()) >= BILL_AFTER_MS;
    let last = BusinessDate(today.0 - if made { 1 } else { 2 });
    let (closed, _) = wire.store().reconciled().await?;
    let days = (last.0 - BILL_DAYS_MAX + 1..=last.0).map(BusinessDate);
    Ok(days
        .filter(|day| !closed.iter().any(|bill| bill.date == *day))
        .collect())
}
