//! Values of a bill: yuan as exact fen, moments of Beijing, and nothing that is nearly one.

use lingqian_core::money::Fen;
use lingqian_core::time::{BusinessDate, Timestamp};

/// Yuan with at most two decimals as fen; exact or nothing.
#[must_use]
pub fn yuan(text: &[u8]) -> Option<Fen> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        digits => (1, digits),
    };
    let point = digits.iter().position(|byte| *byte == b'.');
    let (whole, decimals) = match point {
        Some(at) => (digits.get(..at)?, digits.get(at + 1..)?),
        None => (digits, &[][..]),
    };
    if whole.is_empty() || decimals.len() > 2 {
        return None;
    }
    let cents = match decimals {
        [] => 0,
        [tenths] => number(&[*tenths])? * 10,
        both => number(both)?,
    };
    let fen = number(whole)?.checked_mul(100)?.checked_add(cents)?;
    Some(Fen(sign * fen))
}

/// Digits and nothing else.
#[must_use]
pub fn number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value
            .checked_mul(10)?
            .checked_add(i64::from(digit - b'0'))?;
    }
    Some(value)
}

/// A count, which occurs as `20` and as `20.0`.
#[must_use]
pub fn count(text: &[u8]) -> Option<u64> {
    let digits = text.strip_suffix(b".0").unwrap_or(text);
    number(digits).and_then(|count| u64::try_from(count).ok())
}

/// Reads `yyyy-MM-dd HH:mm:ss` of Beijing; remembers the day, because a bill has one.
#[derive(Debug, Default)]
pub struct Moments {
    day: Option<([u8; 10], BusinessDate)>,
}

impl Moments {
    /// The moment, and its day.
    pub fn read(&mut self, text: &[u8]) -> Option<(Timestamp, BusinessDate)> {
        let (day, time) = text.split_first_chunk::<10>()?;
        let [b' ', h1, h2, b':', m1, m2, b':', s1, s2] = time else {
            return None;
        };
        let date = match &self.day {
            Some((known, date)) if known == day => *date,
            _ => {
                let date = BusinessDate::parse(std::str::from_utf8(day).ok()?)?;
                self.day = Some((*day, date));
                date
            }
        };
        let (hour, minute) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
        let second = number(&[*s1, *s2])?;
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let ms = ((hour * 60 + minute) * 60 + second) * 1_000;
        Some((date.start().after_ms(ms), date))
    }
}
