//! Not faster than allowed: calls of one kind go out at even intervals, and at longer ones for all
//! after WeChat said that it was too fast.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Nothing of the kind goes out for so long after the first 429 in a row.
const FIRST_REST: Duration = Duration::from_secs(1);
/// Nor for longer than this after any.
const REST_MAX: Duration = Duration::from_secs(60);
/// Intervals are never longer than so many times the usual one.
const SLOWER_MAX: u32 = 64;
/// So many calls that were let through make it a little faster again.
const CALM: u32 = 20;

/// A pace for one kind of call.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    next: Option<Instant>,
    /// Turns that were given before the last refusal are given anew.
    epoch: u64,
    /// Nothing goes out before this.
    resting: Option<Instant>,
    /// How many times the usual interval.
    slower: u32,
    /// How long the last rest was.
    rest: Duration,
    /// Calls that were let through since.
    calm: u32,
    /// How often WeChat said that it was too fast.
    refused: u64,
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
            state: Mutex::new(State {
                next: None,
                epoch: 0,
                resting: None,
                slower: 1,
                rest: Duration::ZERO,
                calm: 0,
                refused: 0,
            }),
        }
    }

    /// Waits for its turn.
    pub async fn turn(&self) {
        loop {
            let (at, epoch) = {
                let mut state = self.lock();
                let now = Instant::now();
                let at = state.next.map_or(now, |next| next.max(now));
                state.next = Some(at + self.interval.saturating_mul(state.slower));
                (at, state.epoch)
            };
            tokio::time::sleep_until(at).await;
            if self.lock().epoch == epoch {
                return;
            }
        }
    }

    /// Hears how a call ended: 429 makes everybody who shares the pace rest, twice as long each
    /// time, and go at half the speed; what is let through brings it back step by step.
    pub fn heard(&self, status: u16) {
        let mut state = self.lock();
        if status == 429 {
            (state.calm, state.refused) = (0, state.refused + 1);
            let now = Instant::now();
            // Calls that were under way together are refused together: that is one refusal.
            if state.resting.is_some_and(|until| now < until) {
                return;
            }
            let rest = state.rest.saturating_mul(2).clamp(FIRST_REST, REST_MAX);
            state.rest = rest;
            state.slower = state.slower.saturating_mul(2).min(SLOWER_MAX);
            state.epoch += 1;
            (state.resting, state.next) = (Some(now + rest), Some(now + rest));
        } else if status < 500 && state.slower > 1 {
            state.calm += 1;
            if state.calm >= CALM {
                (state.calm, state.slower) = (0, state.slower / 2);
                state.rest = state.rest.checked_div(2).unwrap_or_default();
            }
        }
    }

    /// How often WeChat said that it was too fast.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.lock().refused
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lasts(pace: &Pace, calls: u32) -> Duration {
        let began = Instant::now();
        for _ in 0..calls {
            pace.turn().await;
        }
        began.elapsed()
    }

    #[tokio::test]
    async fn a_refusal_makes_everybody_rest_and_calm_brings_the_pace_back() {
        let pace = Pace::per_second(100);
        pace.turn().await;
        pace.heard(429);
        pace.heard(429);
        let rested = lasts(&pace, 1).await;
        assert!(
            rested >= FIRST_REST - Duration::from_millis(50),
            "{rested:?}"
        );
        assert_eq!(pace.refused(), 2);
        let slow = lasts(&pace, 20).await;
        assert!(
            slow > Duration::from_millis(370),
            "half the speed: {slow:?}"
        );
        for _ in 0..CALM {
            pace.heard(200);
        }
        assert_eq!(pace.lock().slower, 1);
    }

    #[test]
    fn refusals_in_a_row_make_it_slower_within_limits() {
        let pace = Pace::per_second(100);
        for _ in 0..20 {
            pace.lock().resting = None;
            pace.heard(429);
        }
        let state = pace.lock();
        assert_eq!((state.rest, state.slower), (REST_MAX, SLOWER_MAX));
    }
}
