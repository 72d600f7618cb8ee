//! Lets risk look at what was requested.

use lingqian_core::Outcome;
use lingqian_core::command::Command;
use lingqian_core::payout::Queue;
use lingqian_io::store::Claim;
use lingqian_io::{Clock, Fault, Ports, Store};

use crate::{Desk, Limits, Progress};

/// Assesses what is due.
///
/// # Errors
/// A fault; what was not decided is due again when its lease ends.
pub async fn assess<P: Ports>(ports: &P, desk: &Desk, limits: &Limits) -> Result<Progress, Fault> {
    let now = ports.clock().business();
    let claim = Claim {
        queue: Queue::Assess,
        now,
        lease_until: limits.lease_until(now),
        limit: limits.page_max,
    };
    let payouts = ports.store().claim(claim).await?;
    let commands: Vec<Command> = payouts.into_iter().map(Command::Assess).collect();
    let mut progress = Progress {
        taken: commands.len() as u64,
        moved: 0,
    };
    for answer in desk.submit_all(commands).await? {
        match answer {
            Ok(Outcome::Assessed { passed: true }) => progress.moved += 1,
            Ok(_) => {}
            // Somebody else was quicker: the work row is gone with the state.
            Err(rejection) => tracing::debug!(code = rejection.code(), "not assessed"),
        }
    }
    Ok(progress)
}
