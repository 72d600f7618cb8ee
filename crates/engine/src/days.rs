//! Which days' bills are still to be fetched: all since the first that was closed, however long
//! nobody was there, as far back as WeChat keeps them.

use std::collections::BTreeSet;

use lingqian_core::time::BusinessDate;

/// WeChat keeps bills for three months; the shortest three have so many days.
const KEPT_DAYS: i32 = 89;
/// Where no bill was closed yet, so many days are looked back.
const FIRST_DAYS: i32 = 7;
/// One pass fetches so many days at most; the next one goes on after them.
pub const DAYS_EACH: usize = 7;

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
}
