//! Alerts in memory, and a herald who keeps what was given to it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use lingqian_core::time::Timestamp;

use super::{MemoryStore, give_way};
use crate::Fault;
use crate::alerts::{
    Alert, AlertBoard, AlertChanges, AlertKey, AlertLease, Alerts, Herald, Target, TargetHealth,
    Tell, Telling,
};
use crate::courier::Receipt;

/// What operators are told of.
#[derive(Debug, Default)]
pub(crate) struct Told {
    alerts: BTreeMap<AlertKey, Alert>,
    tells: BTreeMap<(AlertKey, String), Tell>,
    targets: BTreeMap<String, TargetHealth>,
    lease: Option<(String, Timestamp)>,
}

impl Told {
    fn board(&self) -> AlertBoard {
        AlertBoard {
            alerts: self.alerts.values().cloned().collect(),
            tells: self.tells.values().cloned().collect(),
            targets: self.targets.values().cloned().collect(),
        }
    }

    fn take(&mut self, lease: AlertLease) -> Option<AlertBoard> {
        let believed = lease.believed_until();
        let held = |(_, until): &(String, Timestamp)| *until > lease.now && *until <= believed;
        if self.lease.as_ref().is_some_and(held) {
            return None;
        }
        self.lease = Some((lease.holder, lease.until));
        Some(self.board())
    }

    fn keep(&mut self, holder: &str, changes: AlertChanges) -> bool {
        let mine = |(name, _): &(String, Timestamp)| name == holder;
        if !self.lease.as_ref().is_some_and(mine) {
            return false;
        }
        let AlertChanges {
            alerts,
            gone,
            tells,
            ends,
            targets,
            done,
        } = changes;
        let alerts = alerts.into_iter().map(|alert| (alert.key.clone(), alert));
        self.alerts.extend(alerts);
        let tells = tells.into_iter();
        self.tells
            .extend(tells.map(|tell| ((tell.key.clone(), tell.target.clone()), tell)));
        for end in ends {
            self.tells.remove(&end);
        }
        for key in gone {
            self.alerts.remove(&key);
            self.tells.retain(|(of, _), _| *of != key);
        }
        let targets = targets.into_iter();
        self.targets
            .extend(targets.map(|health| (health.target.clone(), health)));
        if done {
            self.lease = None;
        }
        true
    }
}

impl Alerts for MemoryStore {
    async fn alerts(&self) -> Result<AlertBoard, Fault> {
        self.look(|books| books.told.board()).await
    }

    async fn take_alerts(&self, lease: AlertLease) -> Result<Option<AlertBoard>, Fault> {
        self.change(|books| books.told.take(lease)).await
    }

    async fn keep_alerts(&self, holder: String, changes: AlertChanges) -> Result<bool, Fault> {
        self.change(|books| books.told.keep(&holder, changes)).await
    }
}

/// Takes everything until it is told otherwise. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct TwinHerald {
    targets: Vec<Target>,
    shared: Arc<Mutex<(Vec<Telling>, VecDeque<Receipt>)>>,
}

impl TwinHerald {
    /// A herald for these.
    #[must_use]
    pub fn new(targets: Vec<Target>) -> TwinHerald {
        TwinHerald {
            targets,
            ..TwinHerald::default()
        }
    }

    /// What it answers next, one after the other.
    pub fn answers(&self, receipts: impl IntoIterator<Item = Receipt>) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.1.extend(receipts);
    }

    /// Everything that was told since this was asked last.
    #[must_use]
    pub fn told(&self) -> Vec<Telling> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut shared.0)
    }
}

impl Herald for TwinHerald {
    fn targets(&self) -> Vec<Target> {
        self.targets.clone()
    }

    async fn tell(&self, telling: Telling) -> Receipt {
        give_way().await;
        let receipt = {
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            shared.0.push(telling);
            shared.1.pop_front().unwrap_or(Receipt::Taken)
        };
        give_way().await;
        receipt
    }
}
