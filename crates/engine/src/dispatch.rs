//! Orders are made durable, then sent; whatever came of it is reported.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use lingqian_core::Outcome;
use lingqian_core::command::Command;
use lingqian_core::id::{MchId, OutBillNo};
use lingqian_core::payout::Queue;
use lingqian_core::transfer::TransferOrder;
use lingqian_io::{Browse, Clock, Fault, Ports, Rail, Store};

use crate::receive::report_all;
use crate::{Desk, Limits, Progress};

/// Sends what is due. No byte leaves before the order is durable; the answer, or that none
/// came, is reported under the same number. What goes out in one request became durable in one
/// commit, and what is heard of it is reported in one commit.
///
/// # Errors
/// A fault; whatever was sent before it is asked about later.
pub async fn dispatch<P: Ports>(
    ports: &P,
    desk: &Desk,
    limits: &Limits,
) -> Result<Progress, Fault> {
    let now = ports.clock().business();
    let packs = ports.rail().packs();
    // A batch is made of what is claimed together.
    let most = packs.values().copied().max().unwrap_or_default();
    let claim = limits.claim(Queue::Send, now, limits.claim_max.max(most.into()));
    let payouts = ports.store().claim(claim).await?;
    let taken = payouts.len() as u64;
    if payouts.is_empty() {
        return Ok(Progress::default());
    }
    let (mut orders, batches) = begin(desk, Command::BeginTransfers { payouts, packs }).await?;
    for batch in batches {
        let members = ports.store().seated(batch).await?;
        let again = Command::ResendBatch { batch, members };
        orders.append(&mut begin(desk, again).await?.0);
    }
    let moved = stream::iter(together(orders))
        .map(|orders| async move {
            let answers = ports.rail().send_all(&orders).await;
            report_all(desk, answers).await
        })
        .buffer_unordered(limits.calls_max)
        .fold(Ok(0), |sum: Result<u64, Fault>, reported| async move {
            Ok(sum? + reported?)
        })
        .await?;
    Ok(Progress { taken, moved })
}

/// One commit makes all orders of a command durable. Beside them it tells which batches have to be
/// looked at whole.
async fn begin(
    desk: &Desk,
    command: Command,
) -> Result<(Vec<TransferOrder>, Vec<OutBillNo>), Fault> {
    match desk.submit(command).await? {
        Ok(Outcome::AllBegun { orders, batches }) => Ok((orders, batches)),
        Ok(_) => Ok(Default::default()),
        Err(rejection) => {
            tracing::debug!(code = rejection.code(), "not begun");
            Ok(Default::default())
        }
    }
}

/// The orders of each request: those of a batch side by side in their places.
pub(crate) fn together(orders: Vec<TransferOrder>) -> Vec<Vec<TransferOrder>> {
    let mut requests: BTreeMap<(MchId, OutBillNo), Vec<TransferOrder>> = BTreeMap::new();
    for order in orders {
        let request = (order.mchid.clone(), order.batch());
        requests.entry(request).or_default().push(order);
    }
    let mut requests: Vec<_> = requests.into_values().collect();
    for request in &mut requests {
        request.sort_by_key(|order| order.seat);
    }
    requests
}
