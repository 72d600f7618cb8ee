//! A clock that moves when it is told to, and chance that repeats itself.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use lingqian_core::time::Timestamp;

use crate::{Clock, Dice};

/// A clock that stands still until somebody moves it.
#[derive(Debug, Default)]
pub struct ManualClock {
    business: AtomicI64,
    wire: AtomicI64,
}

impl ManualClock {
    /// A clock whose two hands stand at the same moment.
    #[must_use]
    pub fn new(now: Timestamp) -> ManualClock {
        ManualClock {
            business: AtomicI64::new(now.0),
            wire: AtomicI64::new(now.0),
        }
    }

    /// Moves both hands on.
    pub fn advance_ms(&self, ms: i64) {
        self.business.fetch_add(ms, Ordering::SeqCst);
        self.wire.fetch_add(ms, Ordering::SeqCst);
    }

    /// Puts the business time somewhere, forwards or backwards.
    pub fn set_business(&self, now: Timestamp) {
        self.business.store(now.0, Ordering::SeqCst);
    }

    /// Puts the time of signatures somewhere, forwards or backwards.
    pub fn set_wire(&self, now: Timestamp) {
        self.wire.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn business(&self) -> Timestamp {
        Timestamp(self.business.load(Ordering::SeqCst))
    }

    fn wire(&self) -> Timestamp {
        Timestamp(self.wire.load(Ordering::SeqCst))
    }
}

/// The same chance from the same seed. Everybody who knows the seed knows every roll: it is for
/// tests and simulations alone.
#[derive(Debug)]
pub struct SeededDice {
    state: AtomicU64,
}

impl SeededDice {
    /// Dice that roll what this seed says.
    #[must_use]
    pub fn new(seed: u64) -> SeededDice {
        SeededDice {
            state: AtomicU64::new(seed),
        }
    }

    /// The next 64 bits (splitmix64).
    fn next(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let before = self.state.fetch_add(STEP, Ordering::SeqCst);
        let mut bits = before.wrapping_add(STEP);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }
}

impl Dice for SeededDice {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let roll = self.next().to_be_bytes();
            chunk.copy_from_slice(&roll[..chunk.len()]);
        }
    }
}
