//! How long to wait before trying again: twice as long each time, and never all at once.

use std::time::Duration;

use lingqian_io::Dice;

/// The first wait, in milliseconds.
const FIRST_MS: u64 = 200;
/// The longest wait, in milliseconds.
const LONGEST_MS: u64 = 30_000;

/// Waits that grow until something works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It worked; the next failure is the first again.
    pub fn worked(&mut self) {
        self.failures = 0;
    }

    /// How often it failed since it worked.
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.failures
    }

    /// Whether a log should have a line of it: of the first, and then of one among ever more, so
    /// that an hour without a broker is ten lines and not two hundred.
    #[must_use]
    pub fn is_worth_a_line(&self) -> bool {
        self.failures.is_power_of_two()
    }

    /// How long to wait after one more failure: between half of the wait and all of it, so that
    /// many who lost the same broker do not come back at one moment.
    pub fn failed(&mut self, dice: &impl Dice) -> Duration {
        let doubled = FIRST_MS.saturating_mul(1 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        let whole = doubled.min(LONGEST_MS);
        let half = u128::from(whole / 2);
        let more = dice.roll() % (half + 1);
        Duration::from_millis(u64::try_from(half + more).unwrap_or(whole))
    }
}

#[cfg(test)]
mod tests {
    use lingqian_io::twin::SeededDice;

    use super::*;

    #[test]
    fn a_broker_that_is_gone_for_an_hour_is_asked_every_half_minute_at_most() {
        let dice = SeededDice::new(1);
        let mut backoff = Backoff::default();
        let first = backoff.failed(&dice).as_millis();
        assert!((100..=200).contains(&first), "{first}");
        let (mut gone, mut tries, mut waits) = (Duration::ZERO, 0, Vec::new());
        let mut lines = u32::from(backoff.is_worth_a_line());
        while gone < Duration::from_secs(3_600) {
            let wait = backoff.failed(&dice);
            assert!(wait <= Duration::from_secs(30));
            gone += wait;
            tries += 1;
            lines += u32::from(backoff.is_worth_a_line());
            waits.push(wait);
        }
        assert!((120..=250).contains(&tries), "{tries}");
        assert_eq!(backoff.tries(), tries + 1);
        assert!((7..=9).contains(&lines), "{lines} lines in an hour");
        waits.dedup();
        assert!(waits.len() > 100, "they are spread");
        backoff.worked();
        assert!(backoff.failed(&dice).as_millis() <= 200);
    }
}
