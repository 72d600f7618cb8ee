//! Orders are made durable, then sent; whatever came of it is reported.

use futures_util::{StreamExt, stream};
use lingqian_core::Outcome;
use lingqian_core::command::Command;
use lingqian_core::payout::Queue;
use lingqian_core::transfer::TransferOrder;
use lingqian_io::{Clock, Fault, Ports, Rail, Store};

use crate::receive::report;
use crate::{Desk, Limits, Progress};

/// Sends what is due. No byte leaves before the order is durable; the answer, or that none
/// came, is reported under the same number.
///
/// # Errors
/// A fault; whatever was sent before it is asked about later.
pub async fn dispatch<P: Ports>(
    ports: &P,
    desk: &Desk,
    limits: &Limits,
) -> Result<Progress, Fault> {
    let now = ports.clock().business();
    let claim = limits.claim(Queue::Send, now, limits.claim_max);
    let payouts = ports.store().claim(claim).await?;
    let taken = payouts.len() as u64;
    let orders = begin(
        desk,
        payouts.into_iter().map(Command::BeginTransfer).collect(),
    )
    .await?;
    let moved = stream::iter(orders)
        .map(|order| async move {
            let answer = ports.rail().send(&order).await;
            report(desk, answer).await
        })
        .buffer_unordered(limits.calls_max)
        .fold(Ok(0), |sum: Result<u64, Fault>, reported| async move {
            Ok(sum? + u64::from(reported?.moved()))
        })
        .await?;
    Ok(Progress { taken, moved })
}

/// One commit makes all orders of a claim durable.
async fn begin(desk: &Desk, commands: Vec<Command>) -> Result<Vec<TransferOrder>, Fault> {
    let mut orders = Vec::with_capacity(commands.len());
    for answer in desk.submit_all(commands).await? {
        match answer {
            Ok(Outcome::Begun(order)) => orders.push(*order),
            // It was stopped after all: a wallet unlinked, a user frozen.
            Ok(_) => {}
            Err(rejection) => tracing::debug!(code = rejection.code(), "not begun"),
        }
    }
    Ok(orders)
}
