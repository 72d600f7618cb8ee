//! What of a user is neither a balance nor rare: what counts of each capped kind, and what cools
//! off. A user has few of either, so that they are looked through from end to end.

use lingqian_core::earning::KindDay;
use lingqian_core::money::Micros;
use lingqian_core::time::BusinessDate;

use super::bytes;
use crate::numbers::{put, take, unzigzag, zigzag};

/// One user's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Own {
    /// What counts of each kind, by the kind's number; in no order.
    kind_days: Vec<(u32, KindDay)>,
    /// What cools off until each day, the earliest first.
    cooling: Vec<(BusinessDate, i64)>,
}

impl Own {
    fn is_empty(&self) -> bool {
        self.kind_days.is_empty() && self.cooling.is_empty()
    }

    /// What counted of a kind on the newest day on which any did.
    pub(super) fn kind_day(&self, kind: u32) -> Option<KindDay> {
        let mut all = self.kind_days.iter();
        all.find(|(known, _)| *known == kind).map(|found| found.1)
    }

    /// Sets what counts of a kind.
    pub(super) fn set_kind_day(&mut self, kind: u32, totals: KindDay) {
        let mut all = self.kind_days.iter_mut();
        match all.find(|(known, _)| *known == kind) {
            Some((_, known)) => *known = totals,
            None => self.kind_days.push((kind, totals)),
        }
    }

    /// What counts of every kind.
    pub(super) fn kind_days(&self) -> impl Iterator<Item = (u32, KindDay)> {
        self.kind_days.iter().copied()
    }

    /// What cools off until a day, to be changed.
    pub(super) fn cooling_mut(&mut self, day: BusinessDate) -> &mut i64 {
        let place = self.cooling.partition_point(|(known, _)| *known < day);
        if self
            .cooling
            .get(place)
            .is_none_or(|(known, _)| *known != day)
        {
            self.cooling.insert(place, (day, 0));
        }
        &mut self.cooling[place].1
    }

    /// What cools off after today, the earliest first.
    pub(super) fn cooling(
        &self,
        today: BusinessDate,
    ) -> impl Iterator<Item = (BusinessDate, Micros)> {
        // Most of it is still to come, and most of what is over was forgotten.
        let own = self.cooling.iter();
        own.filter(move |(day, amount)| *day > today && *amount > 0)
            .map(|(day, amount)| (*day, Micros(*amount)))
    }

    /// Forgets what says nothing any more once the day `over` is.
    fn forget(&mut self, over: Option<BusinessDate>) {
        let after = |day: BusinessDate| over.is_none_or(|over| day > over);
        self.kind_days
            .retain(|(_, totals)| over.is_none_or(|over| totals.day >= over));
        self.cooling
            .retain(|(day, amount)| after(*day) && *amount > 0);
    }

    fn write(&self, place: usize, body: &mut Vec<u8>) {
        let [place, kinds, days] =
            [place, self.kind_days.len(), self.cooling.len()].map(|number| number as u64);
        put([place, kinds, days], body);
        for (kind, totals) in &self.kind_days {
            let (day, amount) = (i64::from(totals.day.0), totals.amount.0);
            let (kind, count) = (u64::from(*kind), u64::from(totals.count));
            put([kind, zigzag(day), count, zigzag(amount)], body);
        }
        for (day, amount) in &self.cooling {
            put([zigzag(i64::from(day.0)), zigzag(*amount)], body);
        }
    }

    fn read(rest: &mut &[u8]) -> Option<(usize, Own)> {
        let day = |number: u64| i32::try_from(unzigzag(number)).ok().map(BusinessDate);
        let [place, kinds, days] = take(rest)?;
        let mut own = Own::default();
        for _ in 0..kinds {
            let [kind, on, count, amount] = take(rest)?;
            let totals = KindDay {
                day: day(on)?,
                count: u32::try_from(count).ok()?,
                amount: Micros(unzigzag(amount)),
            };
            own.kind_days.push((u32::try_from(kind).ok()?, totals));
        }
        for _ in 0..days {
            let [until, amount] = take(rest)?;
            own.cooling.push((day(until)?, unzigzag(amount)));
        }
        let sorted = own.cooling.is_sorted_by(|one, next| one.0 < next.0);
        Some((usize::try_from(place).ok()?, own)).filter(|_| sorted)
    }
}

/// That of all users of a chunk; nothing where none of them has any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Owns(Vec<Own>);

impl Owns {
    pub(super) fn get(&self, place: u8) -> Option<&Own> {
        self.0.get(usize::from(place))
    }

    /// That of a user, to be changed.
    pub(super) fn own(&mut self, place: u8) -> &mut Own {
        if self.0.is_empty() {
            self.0.resize_with(super::CHUNK_USERS, Own::default);
        }
        &mut self.0[usize::from(place)]
    }

    /// Whether anything cools off.
    pub(super) fn cool(&self) -> bool {
        self.0.iter().any(|own| !own.cooling.is_empty())
    }

    /// Forgets what says nothing any more once the day `over` is.
    pub(super) fn forget(&mut self, over: Option<BusinessDate>) {
        self.0.iter_mut().for_each(|own| own.forget(over));
        if self.0.iter().all(Own::is_empty) {
            self.0 = Vec::new();
        }
    }

    /// Appends it to the body of a row.
    pub(super) fn write(&self, body: &mut Vec<u8>) {
        let some = || (0..).zip(&self.0).filter(|(_, own)| !own.is_empty());
        put([some().count() as u64], body);
        some().for_each(|(place, own)| own.write(place, body));
    }

    /// Takes it off the rest of a body.
    pub(super) fn read(rest: &mut &[u8]) -> Option<Owns> {
        let mut owns = Owns::default();
        let [some] = take(rest)?;
        for _ in 0..some {
            let (place, own) = Own::read(rest)?;
            *owns.own(u8::try_from(place).ok()?) = own;
        }
        Some(owns)
    }

    /// The same as earlier versions wrote it.
    pub(super) fn read_fixed(rest: &mut &[u8]) -> Option<Owns> {
        let mut owns = Owns::default();
        let kind_days = u32::from_le_bytes(bytes(rest)?);
        let cooling = u32::from_le_bytes(bytes(rest)?);
        for _ in 0..kind_days {
            let [place, _] = bytes(rest)?;
            let kind = u32::from_le_bytes(bytes(rest)?);
            let totals = KindDay {
                day: BusinessDate(i32::from_le_bytes(bytes(rest)?)),
                count: u32::from_le_bytes(bytes(rest)?),
                amount: Micros(i64::from_le_bytes(bytes(rest)?)),
            };
            owns.own(place).set_kind_day(kind, totals);
        }
        for _ in 0..cooling {
            let [place, _] = bytes(rest)?;
            let day = BusinessDate(i32::from_le_bytes(bytes(rest)?));
            *owns.own(place).cooling_mut(day) = i64::from_le_bytes(bytes(rest)?);
        }
        Some(owns)
    }
}
