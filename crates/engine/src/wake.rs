//! Makes due at once what a stop had put off, once the stop is lifted.
//!
//! A payout that may not leave waits until it is looked at again, for minutes at most. When a stop
//! was lifted within that time, this walks over what is not sent yet, page by page, and lets what
//! may leave now be due now. That a stop was lifted is kept with the stop, so whoever dies on the
//! way leaves nothing to be found out: another walk begins at the newest payout.

use lingqian_core::Outcome;
use lingqian_core::command::Command;
use lingqian_core::id::PayoutId;
use lingqian_core::time::Timestamp;
use lingqian_io::store::PayoutFilter;
use lingqian_io::{Browse, Clock, Fault, Ports};

use crate::{Desk, Limits, Progress};

/// What was put off is due by itself after this, in milliseconds: the longest wait for an empty
/// account, and as much again for clocks that differ.
const PUT_OFF_MS: i64 = 20 * 60_000;
/// States in which payouts are put off.
const STATES: [&str; 2] = ["approved", "deferred"];

/// Where a walk stands; hand it back to go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WakeCursor {
    /// The lift that it is about.
    lifted_at: Option<Timestamp>,
    /// How many states are walked over.
    states: usize,
    before: Option<PayoutId>,
}

/// Looks at the next of what was put off, where a stop was lifted lately.
///
/// # Errors
/// A fault; the same cursor goes on.
pub async fn wake<P: Ports>(
    ports: &P,
    desk: &Desk,
    limits: &Limits,
    cursor: &WakeCursor,
) -> Result<(Progress, WakeCursor), Fault> {
    let (store, now) = (ports.store(), ports.clock().business());
    let lifted_at = store.standing().await?.lifted_at;
    let lately = lifted_at.filter(|at| now.since_ms(*at) < PUT_OFF_MS);
    let Some(lately) = lately else {
        return Ok((Progress::default(), WakeCursor::default()));
    };
    let mut next = *cursor;
    if next.lifted_at != Some(lately) {
        next = WakeCursor {
            lifted_at: Some(lately),
            ..WakeCursor::default()
        };
    }
    let Some(state) = STATES.get(next.states) else {
        return Ok((Progress::default(), next));
    };
    let filter = PayoutFilter {
        state: Some((*state).to_owned()),
        before: next.before,
        limit: limits.page_max,
        ..PayoutFilter::default()
    };
    let rows = store.payouts(filter).await?;
    match rows.last() {
        Some(last) if rows.len() >= limits.page_max as usize => {
            next.before = Some(last.payout.id);
        }
        _ => {
            next.states += 1;
            next.before = None;
        }
    }
    let commands = rows.iter().map(|row| Command::Rouse(row.payout.id));
    let mut progress = Progress {
        taken: rows.len() as u64,
        moved: 0,
    };
    for answer in desk.submit_all(commands.collect()).await? {
        // Whoever was sent meanwhile is no longer to be roused.
        progress.moved += u64::from(matches!(answer, Ok(Outcome::Payout { .. })));
    }
    Ok((progress, next))
}
