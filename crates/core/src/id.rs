//! Names of things. Each is its own type, so that two of them cannot be swapped, and each is
//! checked once, where it is made.

use std::fmt;

use crate::time::Timestamp;

const BASE32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const ULID_LENGTH: usize = 26;

/// Why a piece of text is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdFault {
    /// There is nothing in it.
    #[error("must not be empty")]
    Empty,
    /// It has more characters than the limit.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// It holds something outside the allowed alphabet.
    #[error("may hold only letters, digits and . _ : @ -")]
    Alphabet,
    /// It does not have the form of this kind of id.
    #[error("is not an id of this kind")]
    Form,
}

/// What ids may hold, by byte.
const ALPHABET: [bool; 256] = {
    let mut allowed = [false; 256];
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@-";
    let mut rest: &[u8] = letters;
    while let [byte, others @ ..] = rest {
        #[expect(
            clippy::as_conversions,
            clippy::indexing_slicing,
            reason = "a byte is within a table of 256, and this runs in the compiler"
        )]
        {
            allowed[*byte as usize] = true;
        }
        rest = others;
    }
    allowed
};

/// Whether a piece of text is an id of at most so many bytes.
pub(crate) fn check(text: &str, length_max: usize) -> Result<(), IdFault> {
    if text.is_empty() {
        return Err(IdFault::Empty);
    }
    if text.len() > length_max {
        return Err(IdFault::TooLong(length_max));
    }
    let allowed = |byte: u8| ALPHABET.get(usize::from(byte)).copied().unwrap_or(false);
    // Every byte is looked at, without a branch for each.
    if text.bytes().fold(true, |all, byte| all & allowed(byte)) {
        Ok(())
    } else {
        Err(IdFault::Alphabet)
    }
}

/// The text, if it is an id of at most so many bytes.
pub(crate) fn checked(text: &str, length_max: usize) -> Result<String, IdFault> {
    check(text, length_max).map(|()| text.to_owned())
}

/// A type of names that are checked once; `checked` and `fmt` must be in scope.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $length_max:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The longest form, in bytes.
            pub const LENGTH_MAX: usize = $length_max;

            /// Checks length and alphabet.
            ///
            /// # Errors
            /// The first rule that the text breaks.
            pub fn parse(text: &str) -> Result<Self, IdFault> {
                checked(text, $length_max).map(Self)
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

pub(crate) use text_id;

text_id!(
    /// The app's own name for one of its users.
    UserId,
    64
);
text_id!(
    /// Where an earning event comes from; event ids are unique within it.
    Source,
    32
);
text_id!(
    /// The app's name for one earning event, unique for ever within its source.
    EventId,
    64
);
text_id!(
    /// A code of the catalogue of earnings, such as `ad_view`.
    KindCode,
    32
);
text_id!(
    /// The caller's own name for a withdrawal, unique for ever.
    Reference,
    64
);
text_id!(
    /// A WeChat Pay merchant number.
    MchId,
    32
);
text_id!(
    /// A WeChat app id.
    AppId,
    32
);

/// A WeChat user as one app sees them. It identifies a person, so it never prints itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpenId(String);

impl OpenId {
    /// Checks length and alphabet.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, IdFault> {
        checked(text, 64).map(Self)
    }

    /// The text itself, for the wire and the store only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OpenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenId(…)")
    }
}

/// The number of a user in the ledger, given once and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserNo(pub i64);

/// The number of a kind of earning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindNo(pub i64);

impl KindNo {
    /// The funding account that a top-up of the merchant's float is credited to. No earning
    /// event may name it.
    pub const TOP_UP: KindNo = KindNo(0);
}

/// The number of a merchant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MerchantNo(pub i64);

/// A payout for its whole life. Sorts by the time of its making; written `po_` and a ULID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayoutId(u128);

impl PayoutId {
    /// Built from the moment and 80 random bits (higher bits are ignored).
    #[must_use]
    pub fn new(at: Timestamp, random: u128) -> PayoutId {
        let ms = u128::from(at.0.unsigned_abs()) & 0xFFFF_FFFF_FFFF;
        PayoutId((ms << 80) | (random & ((1 << 80) - 1)))
    }

    /// Reads the written form.
    ///
    /// # Errors
    /// [`IdFault::Form`] for anything else.
    pub fn parse(text: &str) -> Result<PayoutId, IdFault> {
        let ulid = text.strip_prefix("po_").ok_or(IdFault::Form)?;
        read_ulid(ulid).map(PayoutId)
    }

    /// The 128 bits, for stores that keep them as they are.
    #[must_use]
    pub fn to_bits(self) -> u128 {
        self.0
    }

    /// The payout of these bits.
    #[must_use]
    pub fn from_bits(bits: u128) -> PayoutId {
        PayoutId(bits)
    }

    /// The digits, after some letters that make `N` of them.
    fn text<const N: usize>(self, letters: &[u8]) -> [u8; N] {
        let (mut text, mut rest) = ([b'0'; N], self.0);
        for digit in text.iter_mut().rev().take(ULID_LENGTH) {
            let index = usize::try_from(rest & 31).unwrap_or(0);
            *digit = BASE32.get(index).copied().unwrap_or(b'0');
            rest >>= 5;
        }
        text.iter_mut()
            .zip(letters)
            .for_each(|(own, letter)| *own = *letter);
        text
    }
}

impl fmt::Display for PayoutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // All at once, so that whoever makes a string of it makes room once.
        let text: [u8; 3 + ULID_LENGTH] = self.text(b"po_");
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

fn read_ulid(text: &str) -> Result<u128, IdFault> {
    if text.len() != ULID_LENGTH {
        return Err(IdFault::Form);
    }
    text.bytes().try_fold(0_u128, |value, byte| {
        let digit = BASE32
            .iter()
            .position(|b| *b == byte)
            .ok_or(IdFault::Form)?;
        let digit = u128::try_from(digit).map_err(|_| IdFault::Form)?;
        let shifted = value.checked_mul(32).ok_or(IdFault::Form)?;
        shifted.checked_add(digit).ok_or(IdFault::Form)
    })
}

/// The business number that WeChat knows an attempt by: `LQ`, the payout's ULID and two digits
/// of the attempt, 30 letters and digits in all (WeChat allows 32). It says which payout it
/// belongs to, so a number can be traced without a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutBillNo {
    payout: PayoutId,
    attempt: u8,
}

impl OutBillNo {
    /// The number of the `attempt`th try (1 to 99) at a payout.
    #[must_use]
    pub fn new(payout: PayoutId, attempt: u8) -> OutBillNo {
        OutBillNo {
            payout,
            attempt: attempt.clamp(1, 99),
        }
    }

    /// Reads a number that we made.
    ///
    /// # Errors
    /// [`IdFault::Form`] for a number that we did not make.
    pub fn parse(text: &str) -> Result<OutBillNo, IdFault> {
        let rest = text.strip_prefix("LQ").ok_or(IdFault::Form)?;
        let (ulid, attempt) = rest.split_at_checked(ULID_LENGTH).ok_or(IdFault::Form)?;
        let digits = attempt.len() == 2 && attempt.bytes().all(|b| b.is_ascii_digit());
        match attempt.parse::<u8>() {
            Ok(attempt @ 1..) if digits => Ok(OutBillNo {
                payout: PayoutId(read_ulid(ulid)?),
                attempt,
            }),
            Ok(_) | Err(_) => Err(IdFault::Form),
        }
    }

    /// Whose number it is.
    #[must_use]
    pub fn payout(self) -> PayoutId {
        self.payout
    }

    /// Which try at that payout, from 1.
    #[must_use]
    pub fn attempt(self) -> u8 {
        self.attempt
    }
}

impl fmt::Display for OutBillNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: [u8; 2 + ULID_LENGTH] = self.payout.text(b"LQ");
        let text = std::str::from_utf8(&text).map_err(|_| fmt::Error)?;
        write!(f, "{text}{:02}", self.attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_name_the_rule_they_break() {
        assert_eq!(UserId::parse(""), Err(IdFault::Empty));
        assert_eq!(UserId::parse(&"x".repeat(65)), Err(IdFault::TooLong(64)));
        assert_eq!(UserId::parse("a b"), Err(IdFault::Alphabet));
        assert_eq!(UserId::parse("张三"), Err(IdFault::Alphabet));
        assert!(UserId::parse("player:7@cn-1.x_y").is_ok());
    }

    #[test]
    fn an_openid_does_not_print_itself() {
        let openid = OpenId::parse("oxTWIuGaIt6gTKsQRLau2M0yL16E").expect("valid");
        assert_eq!(format!("{openid:?}"), "OpenId(…)");
    }

    #[test]
    fn foreign_numbers_are_not_ours() {
        for text in [
            "",
            "LQ",
            "plfk2020042013",
            "LQ00000000000000000000000001AB",
            "LQ0+1",
        ] {
            assert_eq!(OutBillNo::parse(text), Err(IdFault::Form), "{text}");
        }
    }

    proptest! {
        #[test]
        fn payouts_and_their_numbers_read_back(
            ms in 0..4_000_000_000_000_i64, random: u128, attempt in 1..=99_u8
        ) {
            let payout = PayoutId::new(Timestamp(ms), random);
            prop_assert_eq!(PayoutId::parse(&payout.to_string()), Ok(payout));
            let number = OutBillNo::new(payout, attempt);
            prop_assert_eq!(number.to_string().len(), 30);
            prop_assert_eq!(OutBillNo::parse(&number.to_string()), Ok(number));
        }
    }
}
