//! Passes of the engine, each as a future of a process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lingqian_core::money::Fen;
use lingqian_core::time::BusinessDate;
use lingqian_engine::sweep::{Plan, SweepCursor, sweep};
use lingqian_engine::{
    Desk, assess, dispatch, expire, float, notify, poll, reconcile, wake, watch,
};
use lingqian_io::{Browse, Clock as _, Fault, Ports, Store};

use super::{NOON, Settings, Standing, World};
use crate::action::Pass;
use crate::hooks::SimCourier;
use crate::ports::SimPorts;
use crate::scene::Scene;
use crate::tasks::Label;

/// Balances of at least this are swept.
pub(super) const SWEEP_FROM: Fen = Fen(300);
/// Messages are claimed so often in one run.
const NOTIFY_MAX: usize = 400;
/// Bills are fetched from ten in the morning.
const BILL_AFTER_MS: i64 = 10 * 3_600_000;

impl<S: Store + Browse + Clone> World<S> {
    /// Begins a pass, unless the process is dead or runs it already.
    pub(crate) fn begin(&mut self, pass: Pass, no: usize) {
        let label = Label::Pass(pass);
        let Some(process) = self.processes.get(no) else {
            return;
        };
        let Some((ports, desk)) = process.alive.clone() else {
            return;
        };
        let nobody = pass == Pass::Notify && self.settings.hooks == 0;
        if nobody || self.tasks.has(no, label) {
            return;
        }
        let (settings, scene) = (self.settings.clone(), self.scene.clone());
        let runner = Runner {
            ports,
            desk,
            settings,
            standing: Arc::clone(&process.standing),
            courier: SimCourier {
                scene: self.scene.clone(),
                process: no,
            },
        };
        self.tasks.add(no, label, async move {
            if let Err(fault) = runner.run(pass, &scene).await {
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

/// A process that runs a pass.
struct Runner<S> {
    ports: SimPorts<S>,
    desk: Desk,
    settings: Settings,
    standing: Arc<Mutex<Standing>>,
    courier: SimCourier,
}

impl<S: Store + Browse + Clone> Runner<S> {
    async fn run(&self, pass: Pass, scene: &Scene) -> Result<(), Fault> {
        let Runner { ports, desk, .. } = self;
        let limits = &self.settings.limits;
        match pass {
            Pass::Assess => assess::assess(ports, desk, limits).await.map(drop),
            Pass::Dispatch => dispatch::dispatch(ports, desk, limits).await.map(drop),
            Pass::Poll => poll::poll(ports, desk, limits).await.map(drop),
            Pass::Cancel => poll::cancel(ports, desk, limits).await.map(drop),
            Pass::Expire => expire::expire(ports, desk, limits).await.map(drop),
            Pass::Sweep => self.sweep().await,
            Pass::Bills => self.bills(false).await,
            Pass::AllBills => self.bills(true).await,
            Pass::Wake => self.wake().await,
            Pass::Watch => self.watch(scene).await,
            Pass::Notify => self.notify().await,
            Pass::Reckon => {
                let float = float::float(ports).await?;
                self.stands().float = Some(float);
                Ok(())
            }
        }
    }

    async fn sweep(&self) -> Result<(), Fault> {
        let Runner { ports, desk, .. } = self;
        let today = Plan::today(SWEEP_FROM, ports.clock().business());
        let most = self.settings.policy.payout_max;
        let plan = Plan {
            split: self.settings.split.then_some(most),
            ..today
        };
        let mut cursor = SweepCursor::default();
        while !cursor.done {
            (_, cursor) = sweep(ports, desk, &self.settings.limits, &plan, cursor).await?;
        }
        Ok(())
    }

    /// Delivers until nothing is due.
    async fn notify(&self) -> Result<(), Fault> {
        for _ in 0..NOTIFY_MAX {
            let (ports, limits) = (&self.ports, &self.settings.limits);
            let progress = notify::notify(ports, &self.courier, limits).await?;
            if progress.taken == 0 {
                break;
            }
        }
        Ok(())
    }

    async fn wake(&self) -> Result<(), Fault> {
        let (ports, limits) = (&self.ports, &self.settings.limits);
        loop {
            let cursor = self.stands().wake;
            let (progress, next) = wake::wake(ports, &self.desk, limits, &cursor).await?;
            self.stands().wake = next;
            if progress.taken == 0 && next == cursor {
                return Ok(());
            }
        }
    }

    /// The books are sound, whatever is done to them meanwhile: whoever says otherwise is wrong.
    async fn watch(&self, scene: &Scene) -> Result<(), Fault> {
        let cursor = self.stands().watch.clone();
        let limits = &self.settings.limits;
        let (seen, next) = watch::watch(&self.ports, &self.desk, limits, &cursor).await?;
        self.stands().watch = next;
        let mut shared = scene.lock();
        shared.oracle.watched(&seen.findings);
        Ok(())
    }

    fn stands(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reconciles days that are over, the earliest first.
    async fn bills(&self, all: bool) -> Result<(), Fault> {
        let Runner { ports, desk, .. } = self;
        let now = ports.clock().business();
        let today = now.business_date();
        let made = now.since_ms(today.start()) >= BILL_AFTER_MS;
        let last = today.0 - if made { 1 } else { 2 };
        let (closed, _) = ports.store().reconciled().await?;
        for merchant in ports.store().merchants().await? {
            let is_closed = |day| {
                let mut closed = closed.iter();
                closed.any(|bill| bill.date == day && bill.merchant == merchant.no)
            };
            for day in (NOON.business_date().0..=last).map(BusinessDate) {
                if all || !is_closed(day) {
                    let (limits, mchid) = (&self.settings.limits, &merchant.mchid);
                    reconcile::reconcile(ports, desk, limits, mchid, day).await?;
                }
            }
        }
        Ok(())
    }
}
