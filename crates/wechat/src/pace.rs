//! Not faster than allowed: calls of one kind go out at even intervals.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// A pace for one kind of call.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// At most so many a second.
    #[must_use]
    pub fn per_second(calls: u32) -> Pace {
        let interval = Duration::from_secs(1)
            .checked_div(calls.max(1))
            .unwrap_or_default();
        Pace {
            interval,
            next: Mutex::new(None),
        }
    }

    /// Waits for its turn.
    pub async fn turn(&self) {
        let at = {
            let mut next = self
                .next
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let now = Instant::now();
            let at = next.map_or(now, |next| next.max(now));
            *next = Some(at + self.interval);
            at
        };
        tokio::time::sleep_until(at).await;
    }
}
