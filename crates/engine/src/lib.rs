#![doc = include_str!("../README.md")]

pub mod ages;
pub mod alerts;
pub mod assess;
pub mod board;
pub mod calendar;
pub mod cases;
pub mod copy;
pub mod days;
pub mod desk;
pub mod dispatch;
mod due;
pub mod expire;
pub mod float;
pub mod ingest;
pub mod letters;
pub mod link;
pub mod links;
pub mod notify;
pub mod poll;
pub mod receipt;
pub mod receive;
pub mod reconcile;
pub mod sweep;
pub mod wake;
pub mod watch;

pub use desk::{Desk, DeskSettings};

use lingqian_core::payout::Queue;
use lingqian_core::time::Timestamp;
use lingqian_io::store::Claim;

/// How much one run of a pass takes on. Everything has a limit with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Payouts that one claim leases.
    pub claim_max: u32,
    /// Calls to WeChat that one pass has open at a time.
    pub calls_max: usize,
    /// How long leased work stays with its process, in milliseconds; longer than a call may take.
    pub lease_ms: i64,
    /// Rows that one look-up for a sweep or a bill brings.
    pub page_max: u32,
    /// Payouts that the auditor looks at in one go.
    pub watch_max: u32,
    /// Links whose tokens one run refreshes.
    pub refresh_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            claim_max: 256,
            calls_max: 32,
            lease_ms: 120_000,
            page_max: 1_000,
            watch_max: 50,
            refresh_max: 64,
        }
    }
}

impl Limits {
    /// A wish for what is due in a queue, leased to whoever makes it.
    fn claim(&self, queue: Queue, now: Timestamp, limit: u32) -> Claim {
        let lease_until = now.after_ms(self.lease_ms);
        Claim {
            queue,
            now,
            lease_until,
            limit,
        }
    }
}

/// What one run of a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Items that it took on; zero means that nothing was due.
    pub taken: u64,
    /// Items that moved.
    pub moved: u64,
}
