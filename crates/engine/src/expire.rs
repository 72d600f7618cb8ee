//! Ends what people were asked about and nobody approved in time.

use lingqian_core::Outcome;
use lingqian_core::command::Command;
use lingqian_core::payout::Queue;
use lingqian_io::store::Claim;
use lingqian_io::{Clock, Fault, Ports, Store};

use crate::{Desk, Limits, Progress};

/// Returns the money of payouts whose time for approval is up.
///
/// # Errors
/// A fault; what was not ended is due again when its lease ends.
pub async fn expire<P: Ports>(ports: &P, desk: &Desk, limits: &Limits) -> Result<Progress, Fault> {
    let now = ports.clock().business();
    let claim = Claim {
        queue: Queue::Review,
        now,
        lease_until: limits.lease_until(now),
        limit: limits.page_max,
    };
    let payouts = ports.store().claim(claim).await?;
    let commands: Vec<Command> = payouts.into_iter().map(Command::ExpireReview).collect();
    let mut progress = Progress {
        taken: commands.len() as u64,
        moved: 0,
    };
    for answer in desk.submit_all(commands).await? {
        match answer {
            Ok(Outcome::Payout { moved: true, .. }) => progress.moved += 1,
            Ok(_) => {}
            // Somebody approved it at the last moment.
            Err(rejection) => tracing::debug!(code = rejection.code(), "not expired"),
        }
    }
    Ok(progress)
}
