//! What passes that run beside the doors saw last, for whoever publishes numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use lingqian_core::id::MchId;

use crate::ages::Ages;
use crate::float::Float;
use crate::watch::Watched;

/// Numbers of the auditor and of the money at WeChat; clones of an `Arc` share it.
#[derive(Debug, Default)]
pub struct Board {
    seen: Mutex<Seen>,
    figures: Mutex<Vec<Figures>>,
}

/// Numbers by their names.
pub type Named = Vec<(&'static str, i64)>;

/// Numbers of something that works beside the doors, read when they are asked for.
struct Figures {
    of: String,
    read: Box<dyn Fn() -> Named + Send + Sync>,
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.of)
    }
}

/// The numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Payouts that the auditor compared since the start.
    pub audited_payouts: u64,
    /// Users whose balances it derived anew since the start.
    pub audited_users: u64,
    /// Rounds over all payouts that it finished since the start.
    pub audit_rounds: u64,
    /// What it found wrong since the start.
    pub audit_findings: u64,
    /// The money at WeChat as it was last reckoned up.
    pub float: Option<Float>,
    /// How old the oldest of what should not grow old was then.
    pub ages: Ages,
    /// What was seen on the way to WeChat, by merchant.
    pub ways: BTreeMap<MchId, Way>,
}

/// What was seen on one merchant's way to WeChat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// How far WeChat's clock is ahead of ours, in milliseconds, as its last answer said.
    pub skew_ms: Option<i64>,
    /// How often it said since the start that calls came too fast.
    pub slowed: u64,
}

impl Board {
    /// What the auditor saw in one look.
    pub fn watched(&self, watched: &Watched, rounds: u64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.audited_payouts += watched.payouts;
        seen.audited_users += watched.users;
        seen.audit_rounds = rounds;
        seen.audit_findings += watched.findings.len() as u64;
    }

    /// The money at WeChat was reckoned up.
    pub fn reckoned(&self, float: &Float, ages: Ages) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.float = Some(float.clone());
        seen.ages = ages;
    }

    /// A merchant's way was looked at.
    pub fn looked_at(&self, mchid: MchId, way: Way) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.ways.insert(mchid, way);
    }

    /// Something whose numbers are published, too, under this name.
    pub fn watch(&self, of: String, read: Box<dyn Fn() -> Named + Send + Sync>) {
        let mut all = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Figures { of, read });
    }

    /// The numbers of everything that is watched.
    #[must_use]
    pub fn figures(&self) -> Vec<(String, Named)> {
        let all = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        let all = all.iter();
        all.map(|figures| (figures.of.clone(), (figures.read)()))
            .collect()
    }

    /// All of it.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }
}
