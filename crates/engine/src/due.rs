//! Passes that decide and call nobody: what is due in a queue, one command for each.

use lingqian_core::Outcome;
use lingqian_core::command::Command;
use lingqian_core::id::PayoutId;
use lingqian_core::payout::Queue;
use lingqian_io::{Clock, Fault, Ports, Store};

use crate::{Desk, Limits, Progress};

/// Takes on what is due and submits a command for each; counts those that `moved` says so of.
///
/// # Errors
/// A fault; what was not decided is due again when its lease ends.
pub(crate) async fn decide<P: Ports>(
    ports: &P,
    desk: &Desk,
    limits: &Limits,
    (queue, command): (Queue, fn(PayoutId) -> Command),
    moved: fn(&Outcome) -> bool,
) -> Result<Progress, Fault> {
    let now = ports.clock().business();
    let claim = limits.claim(queue, now, limits.page_max);
    let payouts = ports.store().claim(claim).await?;
    let commands: Vec<Command> = payouts.into_iter().map(command).collect();
    let mut progress = Progress {
        taken: commands.len() as u64,
        moved: 0,
    };
    for answer in desk.submit_all(commands).await? {
        match answer {
            Ok(outcome) => progress.moved += u64::from(moved(&outcome)),
            // Somebody else was quicker: the wait is gone with the state.
            Err(rejection) => {
                let (pass, code) = (queue.name(), rejection.code());
                tracing::debug!(pass, code, "not decided");
            }
        }
    }
    Ok(progress)
}
