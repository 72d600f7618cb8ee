//! The real clock and the real dice. Nowhere else is either made.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use lingqian_core::time::Timestamp;
use lingqian_io::{Clock, Dice};

/// The machine's clock. Beside a sandbox the business time runs ahead by what the sandbox's
/// clock was moved; signatures keep to the machine's time.
#[derive(Clone, Debug, Default)]
pub(crate) struct RealClock {
    ahead_ms: Arc<AtomicI64>,
}

impl RealClock {
    /// Lets the business time run `ms` milliseconds ahead of the machine's, or more where it does
    /// already: a sandbox moves its clock ahead only.
    pub(crate) fn run_ahead(&self, ms: i64) {
        self.ahead_ms.fetch_max(ms, Ordering::SeqCst);
    }

    /// By how much the business time runs ahead of the machine's.
    pub(crate) fn ahead_ms(&self) -> i64 {
        self.ahead_ms.load(Ordering::SeqCst)
    }
}

impl Clock for RealClock {
    fn business(&self) -> Timestamp {
        self.wire().after_ms(self.ahead_ms())
    }

    fn wire(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The operating system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RealDice;

impl Dice for RealDice {
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the operating system gives randomness");
    }
}
