//! Operators are told of what needs them: that it began, that it lasts after a while, and that it
//! is over.
//!
//! A run takes all alerts under a lease, so that of several processes one tells. What it sees is
//! kept before anything is sent, and who was told right after. A process that dies in between
//! leaves the lease behind: when it ends, the next one tells the same under the same name, once
//! more. Whoever does not take a message rests longer after each failure and holds up nobody else.
//! Nothing here changes a payout.

mod look;
mod plan;

use futures_util::{StreamExt as _, stream};
use lingqian_core::time::Timestamp;
use lingqian_io::alerts::{
    AlertBoard, AlertChanges, AlertLease, Alerts, Herald, Target, TargetHealth, Telling,
};
use lingqian_io::courier::Receipt;
use lingqian_io::{Clock, Dice, Fault, Ports};

use crate::Progress;
use crate::float::Float;

pub use look::{Condition, Kind, look};

/// How long one process is at it, in milliseconds; longer than a message may take.
pub const LEASE_MS: i64 = 60_000;
/// Nobody is sent more than one message in this, in milliseconds: robots take 20 a minute.
const REST_MS: i64 = 4_000;
/// Who does not take a message rests for so long, then twice as long each time, in milliseconds.
const PAUSE_MS: i64 = 5_000;
/// The longest rest, in milliseconds.
const PAUSE_MAX_MS: i64 = 15 * 60_000;
/// Messages that are under way at a time.
const CALLS_MAX: usize = 8;

/// How operators want to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What lasts is told again after so many milliseconds.
    pub repeat_ms: i64,
    /// What is over is told to be when it stayed away for so many milliseconds.
    pub settle_ms: i64,
    /// A payout that is under way is stuck after so many milliseconds.
    pub stuck_ms: i64,
    /// Money at WeChat that lasts for less than so many milliseconds is little.
    pub float_ms: i64,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            repeat_ms: 4 * 3_600_000,
            settle_ms: 120_000,
            stuck_ms: 3_600_000,
            float_ms: 12 * 3_600_000,
        }
    }
}

/// Looks at the books and tells what is to be told. `float` is the money at WeChat as it was last
/// reckoned up.
///
/// # Errors
/// A fault; what was told and not kept is told again.
pub async fn alert<P: Ports, H: Herald>(
    ports: &P,
    herald: &H,
    rules: &Rules,
    float: Option<&Float>,
) -> Result<Progress, Fault>
where
    P::Store: Alerts,
{
    let now = ports.clock().business();
    let lease = AlertLease {
        holder: format!("{:032x}", ports.dice().roll()),
        now,
        until: now.after_ms(LEASE_MS),
    };
    let holder = lease.holder.clone();
    let Some(board) = ports.store().take_alerts(lease).await? else {
        return Ok(Progress::default());
    };
    let told = told(ports, herald, (rules, float), (&holder, board)).await;
    if told.is_err() {
        // It ends by itself, too.
        let done = AlertChanges {
            done: true,
            ..AlertChanges::default()
        };
        let _ = ports.store().keep_alerts(holder, done).await;
    }
    told
}

async fn told<P: Ports, H: Herald>(
    ports: &P,
    herald: &H,
    (rules, float): (&Rules, Option<&Float>),
    (holder, mut board): (&str, AlertBoard),
) -> Result<Progress, Fault>
where
    P::Store: Alerts,
{
    let conditions = look(ports, rules, float).await?;
    let now = ports.clock().business();
    let seen = plan::seen(&board, conditions, now);
    if !seen.is_empty() {
        board.alerts = plan::merged(&board.alerts, &seen);
        let changes = AlertChanges {
            alerts: seen,
            ..AlertChanges::default()
        };
        kept(ports, holder, changes).await?;
    }
    let targets = herald.targets();
    let due: Vec<(TargetHealth, Telling)> = targets
        .iter()
        .filter_map(|target| due(ports, &board, rules, target))
        .collect();
    let taken = due.len() as u64;
    let sent: Vec<(Telling, TargetHealth, Receipt)> = stream::iter(due)
        .map(|(health, telling)| async move {
            let receipt = herald.tell(telling.clone()).await;
            (telling, health, receipt)
        })
        .buffer_unordered(CALLS_MAX)
        .collect()
        .await;
    let now = ports.clock().business();
    let mut changes = AlertChanges {
        done: true,
        ..AlertChanges::default()
    };
    let mut moved = 0;
    for (telling, health, receipt) in sent {
        moved += u64::from(receipt == Receipt::Taken);
        if receipt == Receipt::Taken {
            plan::note(&board, &telling, now, &mut changes);
        }
        changes.targets.push(after(health, receipt, now));
    }
    changes.gone = plan::gone(&board, &changes, (&targets, rules, now));
    kept(ports, holder, changes).await?;
    Ok(Progress { taken, moved })
}

async fn kept<P: Ports>(ports: &P, holder: &str, changes: AlertChanges) -> Result<(), Fault>
where
    P::Store: Alerts,
{
    let kept = ports.store().keep_alerts(holder.to_owned(), changes);
    if kept.await? {
        Ok(())
    } else {
        let words = "another process took the alerts over; this one stood still for too long";
        Err(Fault::Retry(words.into()))
    }
}

/// What somebody is to be told now, where there is anything and it may be sent.
fn due<P: Ports>(
    ports: &P,
    board: &AlertBoard,
    rules: &Rules,
    target: &Target,
) -> Option<(TargetHealth, Telling)> {
    let now = ports.clock().business();
    let known = board.targets.iter().find(|one| one.target == target.name);
    let health = known.cloned().unwrap_or_else(|| TargetHealth {
        target: target.name.clone(),
        ..TargetHealth::default()
    });
    // A rest longer than any was made by a clock that ran ahead.
    let rests = |at: Timestamp| at > now && at.since_ms(now) <= 2 * PAUSE_MAX_MS;
    if health.next_at.is_some_and(rests) {
        return None;
    }
    let items = plan::items(board, target, rules, now);
    if items.is_empty() {
        return None;
    }
    let telling = Telling {
        target: target.name.clone(),
        id: plan::name(board, target, &items),
        at: ports.clock().wire(),
        items,
    };
    Some((health, telling))
}

/// How somebody has been doing after a message.
fn after(health: TargetHealth, receipt: Receipt, now: Timestamp) -> TargetHealth {
    let Receipt::NotTaken {
        code,
        retry_after_ms,
        ..
    } = receipt
    else {
        return TargetHealth {
            next_at: Some(now.after_ms(REST_MS)),
            failures: 0,
            told_at: Some(now),
            ..health
        };
    };
    let doubled = PAUSE_MS.saturating_mul(1_i64 << health.failures.min(20));
    let asked = retry_after_ms.unwrap_or(0).clamp(0, PAUSE_MAX_MS);
    let pause = doubled.min(PAUSE_MAX_MS).max(asked);
    tracing::warn!(target = %health.target, %code, "operators could not be told");
    TargetHealth {
        next_at: Some(now.after_ms(pause)),
        failures: health.failures.saturating_add(1),
        failed_at: Some(now),
        failed_with: Some(code),
        ..health
    }
}
