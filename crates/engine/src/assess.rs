//! Lets risk look at what was requested.

use lingqian_core::Outcome;
use lingqian_core::command::Command;
use lingqian_core::payout::Queue;
use lingqian_io::{Fault, Ports};

use crate::due::decide;
use crate::{Desk, Limits, Progress};

/// Assesses what is due.
///
/// # Errors
/// A fault; what was not decided is due again when its lease ends.
pub async fn assess<P: Ports>(ports: &P, desk: &Desk, limits: &Limits) -> Result<Progress, Fault> {
    let passed = |outcome: &Outcome| *outcome == Outcome::Assessed { passed: true };
    let what = (Queue::Assess, Command::Assess as fn(_) -> _);
    decide(ports, desk, limits, what, passed).await
}
