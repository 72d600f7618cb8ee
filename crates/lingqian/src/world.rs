//! The real clock and the real dice. Nowhere else is either made.

use std::cell::RefCell;
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

/// Rolls that are fetched together: asking for sixteen bytes costs nearly as much as for a thousand.
const ROLLS: usize = 64;

thread_local! {
    /// Rolls that nobody has seen yet, and how many.
    static UNSEEN: RefCell<([[u8; 16]; ROLLS], usize)> =
        const { RefCell::new(([[0; 16]; ROLLS], 0)) };
}

impl Dice for RealDice {
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the operating system gives randomness");
    }

    fn roll(&self) -> u128 {
        UNSEEN.with_borrow_mut(|(rolls, unseen)| {
            if *unseen == 0 {
                self.fill(rolls.as_flattened_mut());
                *unseen = ROLLS;
            }
            *unseen -= 1;
            // Nothing is left of it here.
            u128::from_be_bytes(std::mem::take(&mut rolls[*unseen]))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_roll_comes_twice_and_all_their_bits_vary() {
        let rolls = || (0..1_000).map(|_| RealDice.roll()).collect::<Vec<u128>>();
        let other = std::thread::spawn(rolls);
        let mut all = rolls();
        all.extend(other.join().expect("rolls"));
        assert_eq!(all.iter().copied().collect::<HashSet<u128>>().len(), 2_000);
        for bit in 0..128 {
            let set = all.iter().filter(|roll| *roll >> bit & 1 == 1).count();
            assert!((800..1_200).contains(&set), "bit {bit} is set in {set}");
        }
    }
}
