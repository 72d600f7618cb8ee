//! How far our clock and WeChat's are apart. From five minutes on WeChat refuses our signatures and we
//! refuse its own, so it is said long before.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use lingqian_core::id::MchId;
use lingqian_core::time::Timestamp;

use crate::socket::Answered;
use crate::trust::SKEW_MAX_MS;

/// The stable code of clocks that are apart.
pub const CLOCK_SKEW: &str = "clock_skew";
/// From here on it is said: a fifth of what is allowed, in milliseconds.
pub const WARN_MS: i64 = SKEW_MAX_MS / 5;
/// Nothing was heard yet.
const UNHEARD: i64 = i64::MIN;

/// What the last answer said.
#[derive(Debug)]
pub struct Skew {
    ms: AtomicI64,
    said: AtomicBool,
}

impl Default for Skew {
    fn default() -> Self {
        Skew {
            ms: AtomicI64::new(UNHEARD),
            said: AtomicBool::new(false),
        }
    }
}

impl Skew {
    /// How far the other clock is ahead of ours.
    #[must_use]
    pub fn ms(&self) -> Option<i64> {
        let ms = self.ms.load(Ordering::Relaxed);
        (ms != UNHEARD).then_some(ms)
    }

    /// Takes the moment of an answer, whoever signed it: a forged one could only cause a warning.
    pub(crate) fn heard(
        &self,
        mchid: &MchId,
        (sent, came): (Timestamp, Timestamp),
        answered: &Answered,
    ) {
        let Some(theirs) = moment(answered) else {
            return;
        };
        // Whole seconds, cut off, between the two moments: what lies within them is no skew.
        let ms = if theirs < sent.0 - 1_000 {
            theirs - sent.0
        } else if theirs > came.0 {
            theirs - came.0
        } else {
            0
        };
        self.ms.store(ms, Ordering::Relaxed);
        let far = ms.saturating_abs() >= WARN_MS;
        let said = self.said.swap(far, Ordering::Relaxed);
        if far && !said {
            tracing::error!(
                code = CLOCK_SKEW,
                %mchid,
                ahead_ms = ms,
                "WeChat's clock and this machine's are apart: set this one right before signatures \
                 are refused, at five minutes"
            );
        }
    }
}

/// What the signature's timestamp says, or the header that every server sends; in milliseconds.
fn moment(answered: &Answered) -> Option<i64> {
    if let Some(seconds) = answered.header("wechatpay-timestamp") {
        return seconds.parse::<i64>().ok()?.checked_mul(1_000);
    }
    let date = answered.header("date")?;
    let zoned = jiff::fmt::rfc2822::parse(date).ok()?;
    Some(zoned.timestamp().as_millisecond())
}
