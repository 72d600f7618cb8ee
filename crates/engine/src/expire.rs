//! Ends what people were asked about and nobody approved in time.

use lingqian_core::Outcome;
use lingqian_core::command::Command;
use lingqian_core::payout::Queue;
use lingqian_io::{Fault, Ports};

use crate::due::decide;
use crate::{Desk, Limits, Progress};

/// Returns the money of payouts whose time for approval is up.
///
/// # Errors
/// A fault; what was not ended is due again when its lease ends.
pub async fn expire<P: Ports>(ports: &P, desk: &Desk, limits: &Limits) -> Result<Progress, Fault> {
    let moved = |outcome: &Outcome| matches!(outcome, Outcome::Payout { moved: true, .. });
    let what = (Queue::Review, Command::ExpireReview as fn(_) -> _);
    decide(ports, desk, limits, what, moved).await
}
