//! When a sweep that runs by the calendar is due: every day, a day of the week or a day of the
//! month, at a time of Beijing's day.

use lingqian_core::time::{BusinessDate, DAY_MS, Timestamp};

/// Which days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// Every day.
    Day,
    /// One day of the week: Monday is 1, Sunday 7.
    Week(u8),
    /// One day of the month; a month that is too short for it has it on its last day.
    Month(u8),
}

/// Which days, and when on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Which days.
    pub every: Every,
    /// Milliseconds since midnight in Beijing.
    pub at_ms: i64,
}

impl Schedule {
    /// Reads `daily 10:00`, `weekly 5 10:00` or `monthly 31 09:30`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Schedule> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |text: &str| -> Option<u8> {
            let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        let (every, time) = match words.as_slice() {
            ["daily", time] => (Every::Day, time),
            ["weekly", day, time] => {
                let day = number(day).filter(|day| (1..=7).contains(day))?;
                (Every::Week(day), time)
            }
            ["monthly", day, time] => {
                let day = number(day).filter(|day| (1..=31).contains(day))?;
                (Every::Month(day), time)
            }
            _ => return None,
        };
        let (hour, minute) = time.split_once(':')?;
        let hour = number(hour).filter(|hour| *hour < 24)?;
        let minute = number(minute).filter(|minute| *minute < 60)?;
        let at_ms = (i64::from(hour) * 60 + i64::from(minute)) * 60_000;
        Some(Schedule { every, at_ms })
    }

    /// The day whose run is due now: one that began within the last 24 hours. A run that nobody
    /// was there for is not made up for later than that.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<BusinessDate> {
        let today = now.business_date();
        let yesterday = BusinessDate(today.0.saturating_sub(1));
        [today, yesterday]
            .into_iter()
            .filter(|day| self.falls_on(*day))
            .find(|day| (0..DAY_MS).contains(&now.since_ms(day.start().after_ms(self.at_ms))))
    }

    fn falls_on(&self, day: BusinessDate) -> bool {
        match self.every {
            Every::Day => true,
            Every::Week(wanted) => weekday(day) == wanted,
            Every::Month(wanted) => {
                let (_, month, of_month) = day.civil();
                let last = day.next().civil().1 != month;
                let wanted = i64::from(wanted);
                of_month == wanted || (last && of_month < wanted)
            }
        }
    }
}

/// Monday is 1, Sunday 7.
fn weekday(day: BusinessDate) -> u8 {
    // 1970-01-01 was a Thursday.
    let since_monday = (i64::from(day.0) + 3).rem_euclid(7);
    u8::try_from(since_monday + 1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: &str, hour: i64, minute: i64) -> Timestamp {
        let day = BusinessDate::parse(day).expect("a day");
        day.start().after_ms((hour * 60 + minute) * 60_000)
    }

    fn due(schedule: &str, now: Timestamp) -> Option<String> {
        let schedule = Schedule::parse(schedule).expect("a schedule");
        schedule.due(now).map(|day| day.to_string())
    }

    #[test]
    fn each_run_is_due_for_a_day_from_its_time_on() {
        let expected = |day: &str| Some(day.to_owned());
        assert_eq!(
            due("daily 10:00", at("2026-03-02", 9, 59)),
            expected("2026-03-01")
        );
        assert_eq!(
            due("daily 10:00", at("2026-03-02", 10, 0)),
            expected("2026-03-02")
        );
        // 2026-03-06 is a Friday.
        assert_eq!(due("weekly 5 10:00", at("2026-03-06", 9, 59)), None);
        assert_eq!(
            due("weekly 5 10:00", at("2026-03-06", 10, 0)),
            expected("2026-03-06")
        );
        assert_eq!(
            due("weekly 5 10:00", at("2026-03-07", 9, 59)),
            expected("2026-03-06")
        );
        assert_eq!(due("weekly 5 10:00", at("2026-03-07", 10, 0)), None);
        assert_eq!(
            due("monthly 31 00:30", at("2026-02-28", 1, 0)),
            expected("2026-02-28")
        );
        assert_eq!(due("monthly 31 00:30", at("2026-03-30", 1, 0)), None);
        assert_eq!(
            due("monthly 31 00:30", at("2026-03-31", 1, 0)),
            expected("2026-03-31")
        );
        assert_eq!(
            due("monthly 1 23:59", at("2026-04-02", 12, 0)),
            expected("2026-04-01")
        );
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in [
            "",
            "daily",
            "daily 24:00",
            "daily 9:60",
            "daily +9:00",
            "weekly 0 10:00",
            "weekly 8 10:00",
            "monthly 0 10:00",
            "monthly 32 10:00",
            "yearly 1 10:00",
            "daily 10:00 x",
        ] {
            assert_eq!(Schedule::parse(text), None, "{text}");
        }
    }
}
