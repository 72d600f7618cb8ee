//! Passes of the engine, each as a future of a process.

use lingqian_core::money::Fen;
use lingqian_core::time::BusinessDate;
use lingqian_engine::sweep::{Plan, SweepCursor, sweep};
use lingqian_engine::{Desk, Limits, assess, dispatch, expire, poll, reconcile};
use lingqian_io::{Browse, Clock as _, Fault, Ports, Store};

use super::{MCHID, NOON, World};
use crate::action::Pass;
use crate::ports::SimPorts;
use crate::tasks::Label;

/// Balances of at least this are swept.
const SWEEP_FROM: Fen = Fen(300);
/// Bills are fetched from ten in the morning.
const BILL_AFTER_MS: i64 = 10 * 3_600_000;

impl<S: Store + Browse + Clone> World<S> {
    /// Begins a pass, unless the process is dead or runs it already.
    pub(crate) fn begin(&mut self, pass: Pass, no: usize) {
        let label = Label::Pass(pass);
        let alive = self
            .processes
            .get(no)
            .and_then(|process| process.alive.clone());
        let Some((ports, desk)) = alive else { return };
        if self.tasks.has(no, label) {
            return;
        }
        let (limits, scene) = (self.settings.limits, self.scene.clone());
        self.tasks.add(no, label, async move {
            if let Err(fault) = run(pass, &ports, &desk, &limits).await {
                let mut shared = scene.lock();
                let broken = matches!(fault, Fault::Broken(_));
                shared
                    .oracle
                    .check(!broken, "nothing_is_broken", || fault.to_string());
                shared.tell(|| format!("  {} fails: {}", pass.name(), fault.code()));
            }
        });
    }
}

async fn run<S: Store + Browse + Clone>(
    pass: Pass,
    ports: &SimPorts<S>,
    desk: &Desk,
    limits: &Limits,
) -> Result<(), Fault> {
    match pass {
        Pass::Assess => assess::assess(ports, desk, limits).await.map(drop),
        Pass::Dispatch => dispatch::dispatch(ports, desk, limits).await.map(drop),
        Pass::Poll => poll::poll(ports, desk, limits).await.map(drop),
        Pass::Cancel => poll::cancel(ports, desk, limits).await.map(drop),
        Pass::Expire => expire::expire(ports, desk, limits).await.map(drop),
        Pass::Sweep => {
            let plan = Plan::today(SWEEP_FROM, ports.clock().business());
            let mut cursor = SweepCursor::default();
            while !cursor.done {
                (_, cursor) = sweep(ports, desk, limits, &plan, cursor).await?;
            }
            Ok(())
        }
        Pass::Bills => bills(ports, desk, limits, false).await,
        Pass::AllBills => bills(ports, desk, limits, true).await,
    }
}

/// Reconciles days that are over, the earliest first.
async fn bills<S: Store + Browse + Clone>(
    ports: &SimPorts<S>,
    desk: &Desk,
    limits: &Limits,
    all: bool,
) -> Result<(), Fault> {
    let now = ports.clock().business();
    let today = now.business_date();
    let made = now.since_ms(today.start()) >= BILL_AFTER_MS;
    let last = today.0 - if made { 1 } else { 2 };
    let (closed, _) = ports.store().reconciled().await?;
    let mchid = lingqian_core::id::MchId::parse(MCHID).expect("a merchant number");
    for day in (NOON.business_date().0..=last).map(BusinessDate) {
        if all || !closed.iter().any(|bill| bill.date == day) {
            reconcile::reconcile(ports, desk, limits, &mchid, day).await?;
        }
    }
    Ok(())
}
