//! Amounts of money: micro-yuan inside, fen towards WeChat.
//!
//! One CNY is 1,000,000 micro-yuan or 100 fen, so one fen is 10,000 micro-yuan. The two are
//! different types, joined only by conversions whose names say what happens to a remainder.
//! There are no operators: arithmetic is checked and overflow is a value, never a wrap.

use std::fmt;

/// Micro-yuan in one fen.
pub const MICROS_PER_FEN: i64 = 10_000;

/// The largest amount that one command may carry: 100 million yuan, far from overflow even
/// when ninety thousand of them are added up.
pub const AMOUNT_MAX: Micros = Micros(100_000_000_000_000);

/// The largest balance or debt that an earning event may bring a user to: 9 trillion yuan.
pub const BALANCE_MAX: Micros = Micros(9_000_000_000_000_000_000);

/// An amount in micro-yuan, the ledger's unit. It may be negative where a balance may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

impl Micros {
    /// No money.
    pub const ZERO: Micros = Micros(0);

    /// The sum, or nothing when it leaves the range of 64 bits.
    #[must_use]
    pub fn plus(self, other: Micros) -> Option<Micros> {
        self.0.checked_add(other.0).map(Micros)
    }

    /// The difference, or nothing when it leaves the range of 64 bits.
    #[must_use]
    pub fn minus(self, other: Micros) -> Option<Micros> {
        self.0.checked_sub(other.0).map(Micros)
    }

    /// The whole fen in this amount, rounded towards zero: what is left over stays where it is.
    #[must_use]
    pub fn whole_fen(self) -> Fen {
        Fen(self.0.checked_div(MICROS_PER_FEN).unwrap_or(0))
    }
}

/// Yuan with six decimals, for people: `¥12.345678`.
impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let digits = self.0.unsigned_abs();
        let yuan = digits.checked_div(1_000_000).unwrap_or(0);
        let rest = digits.checked_rem(1_000_000).unwrap_or(0);
        write!(f, "{sign}¥{yuan}.{rest:06}")
    }
}

/// An amount in fen, WeChat's unit and the unit of every payout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fen(pub i64);

impl Fen {
    /// No money.
    pub const ZERO: Fen = Fen(0);

    /// The sum, or nothing when it leaves the range of 64 bits.
    #[must_use]
    pub fn plus(self, other: Fen) -> Option<Fen> {
        self.0.checked_add(other.0).map(Fen)
    }

    /// The difference, or nothing when it leaves the range of 64 bits.
    #[must_use]
    pub fn minus(self, other: Fen) -> Option<Fen> {
        self.0.checked_sub(other.0).map(Fen)
    }

    /// The same money in the ledger's unit. Nothing is rounded; only the range may end.
    #[must_use]
    pub fn micros(self) -> Option<Micros> {
        self.0.checked_mul(MICROS_PER_FEN).map(Micros)
    }
}

/// Yuan with two decimals, for people: `¥12.34`.
impl fmt::Display for Fen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let digits = self.0.unsigned_abs();
        let yuan = digits.checked_div(100).unwrap_or(0);
        let rest = digits.checked_rem(100).unwrap_or(0);
        write!(f, "{sign}¥{yuan}.{rest:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_print_as_yuan() {
        assert_eq!(Micros(12_345_678).to_string(), "¥12.345678");
        assert_eq!(Micros(-1).to_string(), "-¥0.000001");
        assert_eq!(Fen(105).to_string(), "¥1.05");
        assert_eq!(Fen(-5).to_string(), "-¥0.05");
        assert_eq!(Fen(i64::MIN).to_string(), "-¥92233720368547758.08");
    }

    #[test]
    fn overflow_is_a_value() {
        assert_eq!(Micros(i64::MAX).plus(Micros(1)), None);
        assert_eq!(Fen(i64::MAX).micros(), None);
    }

    proptest! {
        #[test]
        fn whole_fen_and_its_remainder_make_up_the_amount(amount in 0..=AMOUNT_MAX.0) {
            let whole = Micros(amount).whole_fen().micros().expect("in range");
            let rest = Micros(amount).minus(whole).expect("in range");
            prop_assert!(rest.0 >= 0 && rest.0 < MICROS_PER_FEN);
        }
    }
}
