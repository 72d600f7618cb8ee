//! What must come of every event and withdrawal, by what README.md promises and not by the rules'
//! own code, so that one side's misunderstanding cannot hide in the other.
//!
//! Calls take effect in the order in which they are made, so there is one right answer to each.

use std::collections::{BTreeMap, HashMap};

use lingqian_core::money::{Fen, Micros};

use crate::bench::load::{Act, Event};
use crate::bench::options::Habit;
use crate::config::Kind;

/// With the full mix: so many `ad_view` a user and day are paid,
const VIEWS_A_DAY: u32 = 20;
/// the money of a `task_done` cools off for so many days,
const COOLING_DAYS: u16 = 2;
/// and a user sends so many gifts a day, of so much together.
const GIFTS_A_DAY: u32 = 10;
const GIVEN_A_DAY: i64 = 150_000;

/// What must come of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is booked, with this amount.
    Now(Micros),
    /// It was booked before.
    Before,
    /// It is refused with this code.
    Refused(&'static str),
}

/// What one user must have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    /// What can be withdrawn, what cools off among it.
    pub(crate) available: Micros,
    /// What is set aside.
    pub(crate) held: Micros,
    /// What is owed after claw-backs.
    pub(crate) owed: Micros,
}

/// What is known of one user besides, where the mix asks for it.
#[derive(Clone, Debug, Default)]
struct Habits {
    /// How much cools off until which day.
    cooling: Vec<(u16, i64)>,
    /// Day and count of `ad_view`.
    views: (u16, u32),
    /// Day, count and sum of gifts that were sent.
    gifts: (u16, u32, i64),
}

/// How often something happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Happened {
    /// Events that were taken back, all or a part.
    pub(crate) taken_back: u64,
    /// Those of them that left a debt.
    pub(crate) owed: u64,
    /// Events that paid a debt.
    pub(crate) repaid: u64,
    /// Transfers between users.
    pub(crate) given: u64,
    /// Events whose money cools off.
    pub(crate) cooling: u64,
    /// Events that were refused, by code.
    pub(crate) refused: BTreeMap<&'static str, u64>,
    /// Entries that follow from another one.
    pub(crate) second_entries: u64,
}

/// The books as they must be.
pub(crate) struct Model {
    full: bool,
    balances: Vec<Balance>,
    habits: Vec<Habits>,
    /// By the number of the event: the day on which it was booked, and one; zero before.
    booked: Vec<u8>,
    /// How much was taken back of an event.
    clawed: HashMap<u64, i64>,
    /// How much of an event that cools off paid a debt at once, and never cooled.
    repaid: HashMap<u64, i64>,
    pub(crate) happened: Happened,
}

/// Changes the ordinary catalogue into that of the mix.
pub(crate) fn terms(mix: Habit, kinds: &mut [Kind]) {
    if mix == Habit::Plain {
        return;
    }
    for kind in kinds {
        match kind.code.as_str() {
            "ad_view" => kind.user_day_count_max = Some(VIEWS_A_DAY),
            "task_done" => kind.cooling_days = COOLING_DAYS,
            "gift" => {
                kind.user_day_count_max = Some(GIFTS_A_DAY);
                kind.user_day_max_micros = Some(GIVEN_A_DAY);
            }
            _ => {}
        }
    }
}

impl Model {
    /// Nothing was booked for so many users.
    pub(crate) fn new(mix: Habit, users: usize, events: u64) -> Model {
        let full = mix == Habit::Full;
        let events = usize::try_from(if full { events } else { 0 }).unwrap_or(0);
        Model {
            full,
            balances: vec![Balance::default(); users],
            habits: vec![Habits::default(); if full { users } else { 0 }],
            booked: Vec::with_capacity(events),
            clawed: HashMap::new(),
            repaid: HashMap::new(),
            happened: Happened::default(),
        }
    }

    /// What every user must have.
    pub(crate) fn balances(&self) -> &[Balance] {
        &self.balances
    }

    /// What a user can withdraw or send on a day.
    pub(crate) fn spendable(&self, user: u32, day: u16) -> Micros {
        let Balance {
            available, owed, ..
        } = self.balances[user as usize];
        let habits = self.habits.get(user as usize);
        let cooling = habits.into_iter().flat_map(|habits| &habits.cooling);
        let cooling = cooling.filter(|(until, _)| *until > day);
        let cools: i64 = cooling.map(|(_, amount)| amount).sum();
        Micros((available.0 - cools - owed.0).max(0))
    }

    /// Sets money aside, if there is so much.
    pub(crate) fn set_aside(&mut self, user: u32, amount: Fen, day: u16) -> bool {
        let micros = amount.micros().expect("sums of a bench are small");
        if self.spendable(user, day) < micros {
            return false;
        }
        let balance = &mut self.balances[user as usize];
        balance.available.0 -= micros.0;
        balance.held.0 += micros.0;
        true
    }

    /// One that names nobody.
    pub(crate) fn stranger(&mut self) -> Fate {
        self.refuse("unknown_user")
    }

    /// The event with its place among the new ones.
    pub(crate) fn event(&mut self, event: &Event, day: u16) -> Fate {
        let place = usize::try_from(event.number).unwrap_or(usize::MAX);
        if self.full {
            if self.booked.get(place).is_some_and(|booked| *booked > 0) {
                return Fate::Before;
            }
            if self.booked.len() <= place {
                self.booked.resize(place + 1, 0);
            }
        }
        let fate = match event.act {
            Act::Earn => self.earn(event, day),
            Act::TakeBack(target, part) => self.take_back((event, target), part, day),
            Act::Give(from) => self.give(event, from, day),
        };
        if self.full && matches!(fate, Fate::Now(_)) {
            self.booked[place] = u8::try_from(day + 1).unwrap_or(u8::MAX);
        }
        fate
    }

    fn refuse(&mut self, code: &'static str) -> Fate {
        *self.happened.refused.entry(code).or_default() += 1;
        Fate::Refused(code)
    }

    fn earn(&mut self, event: &Event, day: u16) -> Fate {
        let mut cools = None;
        if self.full {
            let habits = &mut self.habits[event.user as usize];
            if event.kind() == "ad_view" {
                let (last, count) = &mut habits.views;
                if *last != day {
                    (*last, *count) = (day, 0);
                }
                if *count == VIEWS_A_DAY {
                    return self.refuse("day_cap_reached");
                }
                *count += 1;
            }
            cools = (event.kind() == "task_done").then_some(day + COOLING_DAYS);
        }
        let repaid = self.receive(event.user, event.brings, cools);
        if cools.is_some() && repaid > 0 {
            self.repaid.insert(event.number, repaid);
        }
        Fate::Now(event.brings)
    }

    /// Debts are paid first; tells how much that was.
    fn receive(&mut self, user: u32, amount: Micros, cools: Option<u16>) -> i64 {
        let balance = &mut self.balances[user as usize];
        let repaid = balance.owed.0.min(amount.0);
        balance.owed.0 -= repaid;
        let left = amount.0 - repaid;
        balance.available.0 += left;
        self.happened.repaid += u64::from(repaid > 0);
        self.happened.second_entries += u64::from(repaid > 0);
        self.happened.cooling += u64::from(cools.is_some());
        if let (Some(until), Some(habits)) = (cools, self.habits.get_mut(user as usize)) {
            // What matured is of no further interest.
            let past = until.saturating_sub(COOLING_DAYS);
            habits.cooling.retain(|(until, _)| *until > past);
            match habits.cooling.iter_mut().find(|(day, _)| *day == until) {
                Some((_, sum)) => *sum += left,
                None => habits.cooling.push((until, left)),
            }
        }
        repaid
    }

    fn give(&mut self, event: &Event, from: u32, day: u16) -> Fate {
        if from == event.user {
            return self.refuse("sender_is_receiver");
        }
        if self.spendable(from, day) < event.brings {
            return self.refuse("insufficient_funds");
        }
        let (last, count, sum) = &mut self.habits[from as usize].gifts;
        if *last != day {
            (*last, *count, *sum) = (day, 0, 0);
        }
        if *count == GIFTS_A_DAY || *sum + event.brings.0 > GIVEN_A_DAY {
            return self.refuse("day_cap_reached");
        }
        *count += 1;
        *sum += event.brings.0;
        self.balances[from as usize].available.0 -= event.brings.0;
        self.receive(event.user, event.brings, None);
        self.happened.given += 1;
        Fate::Now(event.brings)
    }

    fn take_back(
        &mut self,
        (event, target): (&Event, u64),
        part: Option<Micros>,
        day: u16,
    ) -> Fate {
        let place = usize::try_from(target).unwrap_or(usize::MAX);
        let booked = self.booked.get(place).copied().unwrap_or(0);
        if booked == 0 {
            return self.refuse("unknown_event");
        }
        if !event.reversible {
            return self.refuse("not_reversible");
        }
        let before = self.clawed.get(&target).copied().unwrap_or(0);
        let left = event.brings.0 - before;
        if left == 0 {
            return self.refuse("already_taken_back");
        }
        let amount = part.map_or(left, |part| part.0);
        if amount > left {
            return self.refuse("amount_out_of_range");
        }
        self.clawed.insert(target, before + amount);
        let balance = &mut self.balances[event.user as usize];
        let taken = balance.available.0.min(amount);
        balance.available.0 -= taken;
        balance.owed.0 += amount - taken;
        let until = u16::from(booked) - 1 + COOLING_DAYS;
        let habits = &mut self.habits[event.user as usize];
        let cooling = habits.cooling.iter_mut();
        if event.kind() == "task_done"
            && until > day
            && let Some((_, sum)) = cooling.into_iter().find(|(cools, _)| *cools == until)
        {
            // What cools of the event itself is taken first; what others brought goes on cooling.
            let repaid = self.repaid.get(&target).copied().unwrap_or(0);
            *sum -= amount.min((left - repaid).max(0));
        }
        self.happened.taken_back += 1;
        self.happened.owed += u64::from(taken < amount);
        self.happened.second_entries += u64::from(0 < taken && taken < amount);
        Fate::Now(Micros(amount))
    }
}
