//! Time and chance. They are made by the binary and handed down; nothing below reads a clock.

use lingqian_core::time::Timestamp;

/// What time it is. There are two clocks, because a sandbox can move its business day while
/// the signatures on the wire keep to the real time.
pub trait Clock: Send + Sync + 'static {
    /// The time that money lives by: limits, leases, expiries, bills.
    fn business(&self) -> Timestamp;

    /// The time that signatures carry.
    fn wire(&self) -> Timestamp;
}

/// Randomness good enough for nonces and names.
pub trait Dice: Send + Sync + 'static {
    /// Fills the bytes with chance.
    fn fill(&self, bytes: &mut [u8]);

    /// 128 random bits.
    fn roll(&self) -> u128 {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        u128::from_be_bytes(bytes)
    }
}
