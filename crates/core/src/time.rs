//! Moments, spans and the Chinese business day. Nothing here knows what time it is now.

use std::fmt;

/// A day, in milliseconds.
pub const DAY_MS: i64 = 86_400_000;
/// Beijing is eight hours ahead of UTC and keeps no summer time.
const SHANGHAI_OFFSET_MS: i64 = 8 * 3_600_000;

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The moment `ms` milliseconds later; the end of time when that is out of range.
    #[must_use]
    pub fn after_ms(self, ms: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this moment; negative when it is not earlier.
    #[must_use]
    pub fn since_ms(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The calendar day in Asia/Shanghai, by which limits and bills count.
    #[must_use]
    pub fn business_date(self) -> BusinessDate {
        let days = self.0.saturating_add(SHANGHAI_OFFSET_MS).div_euclid(DAY_MS);
        BusinessDate(i32::try_from(days).unwrap_or(i32::MAX))
    }
}

/// RFC 3339 in UTC, with milliseconds where there are some.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0.div_euclid(DAY_MS);
        let date = BusinessDate(i32::try_from(days).unwrap_or(i32::MAX));
        let ms = self.0.rem_euclid(DAY_MS);
        let part = |unit_ms: i64, of: i64| ms.div_euclid(unit_ms).rem_euclid(of);
        let (hour, minute, second) = (part(3_600_000, 24), part(60_000, 60), part(1_000, 60));
        write!(f, "{date}T{hour:02}:{minute:02}:{second:02}")?;
        match part(1, 1_000) {
            0 => f.write_str("Z"),
            rest => write!(f, ".{rest:03}Z"),
        }
    }
}

/// Of waits in milliseconds the one after so many of them; the last one repeats.
pub(crate) fn stepped(waits: &[i64], done: u32) -> i64 {
    let place = usize::try_from(done).unwrap_or(usize::MAX);
    let wait = waits.get(place).or(waits.last());
    wait.copied().unwrap_or(0)
}

/// A calendar day in Asia/Shanghai, as days since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BusinessDate(pub i32);

impl BusinessDate {
    /// The first moment of the day.
    #[must_use]
    pub fn start(self) -> Timestamp {
        let ms = i64::from(self.0).saturating_mul(DAY_MS);
        Timestamp(ms.saturating_sub(SHANGHAI_OFFSET_MS))
    }

    /// The day so many days later, or nothing for none.
    #[must_use]
    pub fn after_days(self, days: u16) -> Option<BusinessDate> {
        (days > 0).then(|| BusinessDate(self.0.saturating_add(i32::from(days))))
    }

    /// The day after.
    #[must_use]
    pub fn next(self) -> BusinessDate {
        BusinessDate(self.0.saturating_add(1))
    }

    /// Year, month and day of the Gregorian calendar.
    #[must_use]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "64-bit sums over a 32-bit day number cannot overflow"
    )]
    pub fn civil(self) -> (i64, i64, i64) {
        // Years are counted from March, so that the leap day is the last day of a year.
        let shifted = i64::from(self.0) + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (year, month, day)
    }

    /// The day written `yyyy-mm-dd`, or nothing when the text is no such day.
    #[must_use]
    pub fn parse(text: &str) -> Option<BusinessDate> {
        let mut parts = text.split('-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || year.len() != 4 || month.len() != 2 || day.len() != 2 {
            return None;
        }
        let number = |s: &str| {
            s.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| s.parse::<i64>().ok())
                .flatten()
        };
        let wanted = (number(year)?, number(month)?, number(day)?);
        // The guess from the mean length of a year is at most a month away from the day itself.
        let guess = wanted
            .0
            .checked_sub(1970)?
            .checked_mul(146_097)?
            .checked_div(400)?;
        let first = guess
            .checked_add(wanted.1.checked_sub(1)?.checked_mul(30)?)?
            .checked_sub(40)?;
        (first..first.checked_add(100)?)
            .filter_map(|days| i32::try_from(days).ok().map(BusinessDate))
            .find(|date| date.civil() == wanted)
    }
}

/// `yyyy-mm-dd`.
impl fmt::Display for BusinessDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_business_day_begins_at_midnight_in_beijing() {
        let last_ms = Timestamp(1_772_467_199_999); // 2026-03-02T23:59:59.999+08:00
        assert_eq!(last_ms.business_date().to_string(), "2026-03-02");
        assert_eq!(
            last_ms.after_ms(1).business_date().to_string(),
            "2026-03-03"
        );
        assert_eq!(
            last_ms.after_ms(1).business_date().start(),
            last_ms.after_ms(1)
        );
    }

    #[test]
    fn a_moment_is_written_in_utc() {
        let at = Timestamp(1_772_467_199_999);
        assert_eq!(at.to_string(), "2026-03-02T15:59:59.999Z");
        assert_eq!(at.after_ms(1).to_string(), "2026-03-02T16:00:00Z");
        assert_eq!(Timestamp(-1).to_string(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for text in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "26-01-01",
            "2026-1-1",
            "",
            "x",
        ] {
            assert_eq!(BusinessDate::parse(text), None, "{text}");
        }
        assert_eq!(BusinessDate::parse("1970-01-01"), Some(BusinessDate(0)));
        assert_eq!(
            BusinessDate::parse("2028-02-29").expect("leap").to_string(),
            "2028-02-29"
        );
    }

    proptest! {
        #[test]
        fn every_day_reads_back(days in -20_000..60_000_i32) {
            let date = BusinessDate(days);
            prop_assert_eq!(BusinessDate::parse(&date.to_string()), Some(date));
        }
    }
}
