//! Silent transfers are asked about, unwanted ones cancelled.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use lingqian_core::id::{OutBillNo, PayoutId};
use lingqian_core::payout::Queue;
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::TransferOrder;
use lingqian_io::rail::one_by_one;
use lingqian_io::{Browse, Clock, Fault, Ports, Rail, Store};

use crate::dispatch::together;
use crate::receive::report_all;
use crate::{Desk, Limits, Progress};

/// Asks about every transfer that was silent for long enough.
///
/// # Errors
/// A fault; what was not asked is due again when its lease ends.
pub async fn poll<P: Ports>(ports: &P, desk: &Desk, limits: &Limits) -> Result<Progress, Fault> {
    call(ports, desk, limits, Queue::Ask).await
}

/// Asks WeChat to cancel what is unwanted.
///
/// # Errors
/// A fault; what was not asked is due again when its lease ends.
pub async fn cancel<P: Ports>(ports: &P, desk: &Desk, limits: &Limits) -> Result<Progress, Fault> {
    call(ports, desk, limits, Queue::Cancel).await
}

async fn call<P: Ports>(
    ports: &P,
    desk: &Desk,
    limits: &Limits,
    queue: Queue,
) -> Result<Progress, Fault> {
    let now: Timestamp = ports.clock().business();
    let claim = limits.claim(queue, now, limits.claim_max);
    let payouts = ports.store().claim(claim).await?;
    let taken = payouts.len() as u64;
    let orders = orders(ports, &payouts).await?;
    let moved = stream::iter(together(orders.into_values().collect()))
        .map(|orders| async move {
            let answers = match (queue, orders.as_slice()) {
                // Each is taken back by itself.
                (Queue::Cancel, orders) => {
                    one_by_one(orders, |order| ports.rail().cancel(order)).await
                }
                (_, [order]) => vec![ports.rail().ask(order).await],
                (_, orders) => ports.rail().ask_all(orders).await,
            };
            report_all(desk, answers).await
        })
        .buffer_unordered(limits.calls_max)
        .fold(Ok(0), |sum: Result<u64, Fault>, reported| async move {
            Ok(sum? + reported?)
        })
        .await?;
    Ok(Progress { taken, moved })
}

/// The orders that were sent, by the numbers that WeChat knows them by. Each is read afresh: effects
/// are ids.
async fn orders<P: Ports>(
    ports: &P,
    payouts: &[PayoutId],
) -> Result<BTreeMap<OutBillNo, TransferOrder>, Fault> {
    let mut orders = BTreeMap::new();
    for payout in payouts {
        let story = ports.store().payout(*payout).await?;
        if let Some(attempt) = story.as_ref().and_then(|s| s.row.payout.state.attempt()) {
            orders.insert(attempt.number(), attempt.order.clone());
        }
    }
    Ok(orders)
}
