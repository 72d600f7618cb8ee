//! Which days' bills are still to be fetched: all since the first that was closed, however long
//! nobody was there, as far back as WeChat keeps them; and when one that was not there is asked for
//! again.

use std::collections::{BTreeMap, BTreeSet};

use lingqian_core::id::MchId;
use lingqian_core::time::{BusinessDate, Timestamp};

/// WeChat keeps bills for three months; the shortest three have so many days.
const KEPT_DAYS: i32 = 89;
/// Where no bill was closed yet, so many days are looked back.
const FIRST_DAYS: i32 = 7;
/// One pass fetches so many days at most; the next one goes on after them.
pub const DAYS_EACH: usize = 7;

/// A bill that WeChat is still making is asked for again after this: its own advice.
const MAKING_MS: i64 = 30 * 60_000;
/// After a fault it is asked for again after this, and after twice as long each time that follows.
const FAULT_MS: i64 = 60_000;
/// Somebody may put a file right at any time; a fault waits no longer than this.
const FAULT_MAX_MS: i64 = 15 * 60_000;

/// When bills that could not be had are asked for again. It is kept in memory: a process that begins
/// anew asks for everything once.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    waits: BTreeMap<(MchId, BusinessDate), Wait>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Wait {
    until: Timestamp,
    /// How often in a row it failed.
    faults: u32,
}

impl Patience {
    /// Whether a bill may be asked for now.
    #[must_use]
    pub fn is_over(&self, mchid: &MchId, date: BusinessDate, now: Timestamp) -> bool {
        let wait = self.waits.get(&(mchid.clone(), date));
        wait.is_none_or(|wait| now >= wait.until)
    }

    /// It is not made yet. Where somebody delivers it, a look costs WeChat nothing: `hasty`.
    pub fn not_yet(&mut self, mchid: &MchId, date: BusinessDate, now: Timestamp, hasty: bool) {
        let rest = if hasty { FAULT_MS } else { MAKING_MS };
        let wait = Wait {
            until: now.after_ms(rest),
            faults: 0,
        };
        self.waits.insert((mchid.clone(), date), wait);
    }

    /// It could not be had, or not be read.
    pub fn failed(&mut self, mchid: &MchId, date: BusinessDate, now: Timestamp) {
        let wait = self.waits.entry((mchid.clone(), date)).or_default();
        let rest = FAULT_MS.saturating_mul(1_i64 << wait.faults.min(10));
        wait.until = now.after_ms(rest.min(FAULT_MAX_MS));
        wait.faults = wait.faults.saturating_add(1);
    }

    /// It was read; nothing is waited for.
    pub fn done(&mut self, mchid: &MchId, date: BusinessDate) {
        self.waits.remove(&(mchid.clone(), date));
    }
}

/// Days up to `last` that are over and not closed, the earliest first: those after `after`, and
/// from the beginning again where there are none. A day that cannot be closed holds up no other.
#[must_use]
pub fn due(
    last: BusinessDate,
    closed: &BTreeSet<BusinessDate>,
    after: Option<BusinessDate>,
) -> Vec<BusinessDate> {
    let kept = last.0.saturating_sub(KEPT_DAYS).saturating_add(1);
    let first = closed.first().map_or_else(
        || last.0.saturating_sub(FIRST_DAYS).saturating_add(1),
        |first| first.0.max(kept),
    );
    let open = (first..=last.0).map(BusinessDate);
    let open: Vec<BusinessDate> = open.filter(|day| !closed.contains(day)).collect();
    let rest = open
        .iter()
        .filter(|day| after.is_none_or(|after| **day > after));
    let mut days: Vec<BusinessDate> = rest.copied().take(DAYS_EACH).collect();
    if days.is_empty() {
        days.extend(open.into_iter().take(DAYS_EACH));
    }
    days
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(last: i32, closed: &[i32], after: Option<i32>) -> Vec<i32> {
        let closed = closed.iter().map(|day| BusinessDate(*day)).collect();
        let days = due(BusinessDate(last), &closed, after.map(BusinessDate));
        days.into_iter().map(|day| day.0).collect()
    }

    #[test]
    fn whoever_begins_looks_back_a_week_and_later_closes_what_is_open() {
        assert_eq!(numbers(100, &[], None), [94, 95, 96, 97, 98, 99, 100]);
        assert_eq!(numbers(100, &[97, 98, 99], None), [100]);
        assert_eq!(numbers(100, &[97, 99, 100], None), [98], "a late bill");
        assert_eq!(numbers(100, &[97, 98, 99, 100], None), []);
    }

    #[test]
    fn after_a_long_outage_every_day_has_its_turn_and_none_holds_up_the_others() {
        let first: Vec<i32> = (81..88).collect();
        assert_eq!(numbers(100, &[80], None), first);
        let next: Vec<i32> = (88..95).collect();
        assert_eq!(numbers(100, &[80], Some(87)), next);
        assert_eq!(numbers(100, &[80], Some(100)), first, "from the beginning");
        assert_eq!(
            numbers(100, &[80, 81, 82], Some(90)),
            (91..98).collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_wechat_keeps_no_more_is_not_asked_for() {
        assert_eq!(numbers(1_000, &[10], None)[0], 1_000 - 89 + 1);
    }

    #[test]
    fn what_is_being_made_rests_half_an_hour_and_what_fails_ever_longer() {
        let (mchid, day) = (
            MchId::parse("1900000109").expect("an id"),
            BusinessDate(100),
        );
        let at = |minutes: i64| Timestamp(minutes * 60_000);
        let mut patience = Patience::default();
        assert!(
            patience.is_over(&mchid, day, at(0)),
            "it was never asked for"
        );
        patience.not_yet(&mchid, day, at(0), false);
        assert!(!patience.is_over(&mchid, day, at(29)));
        assert!(patience.is_over(&mchid, day, at(30)));
        assert!(
            patience.is_over(&mchid, day.next(), at(1)),
            "other days do not wait"
        );
        patience.not_yet(&mchid, day, at(30), true);
        assert!(
            patience.is_over(&mchid, day, at(31)),
            "a folder is looked at again"
        );
        let mut now = 31;
        for rest in [1, 2, 4, 8, 15, 15, 15] {
            patience.failed(&mchid, day, at(now));
            assert!(!patience.is_over(&mchid, day, at(now + rest - 1)), "{rest}");
            now += rest;
            assert!(patience.is_over(&mchid, day, at(now)), "{rest}");
        }
        patience.done(&mchid, day);
        patience.failed(&mchid, day, at(now));
        assert!(
            patience.is_over(&mchid, day, at(now + 1)),
            "from the beginning"
        );
    }
}
