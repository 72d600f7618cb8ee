//! The books read out piece by piece.

use std::ops::Bound;

use lingqian_core::Changes;
use lingqian_core::command::IdempotencyKey;
use lingqian_core::control::Stop;
use lingqian_core::earning::Earning;
use lingqian_core::id::{EventId, Source, UserNo};
use lingqian_core::money::Micros;
use lingqian_core::time::BusinessDate;

use super::books::Books;
use crate::read_out::{Booked, Cursor, Gather, LETTERS_MAX, Part, Piece, letters, told_after};

/// Rows of a part, and where the next ones begin.
type Rows = (Changes, Option<Cursor>);

fn at_most(limit: u32) -> usize {
    usize::try_from(limit.max(1)).unwrap_or(usize::MAX)
}

/// The first of these, and the last of them where there are more.
fn page<T>(all: impl Iterator<Item = T>, limit: u32) -> (Vec<T>, bool) {
    let limit = at_most(limit);
    let mut found: Vec<T> = all.take(limit.saturating_add(1)).collect();
    let more = found.len() > limit;
    found.truncate(limit);
    (found, more)
}

impl Books {
    pub(crate) fn read_out(&self, from: &Cursor, limit: u32) -> Piece {
        let (changes, more) = match from.part {
            Part::Catalogue => (self.catalogue(), None),
            Part::Users => self.some_users(from, limit),
            Part::LinkStates => self.some_link_states(from, limit),
            Part::Payouts | Part::Work => self.some_payouts(from, limit),
            Part::Entries => return self.some_entries(from, limit),
            Part::TakenBack => self.some_taken_back(from, limit),
            Part::Terms => self.some_terms(from, limit),
            Part::Days => self.some_days(from, limit),
            Part::Answers => self.some_answers(from, limit),
            Part::Reconciled => self.all_reconciled(),
            Part::Deeds => self.some_deeds(from, limit),
            Part::DeadLetters => return self.some_letters(from, limit),
            Part::Notices => self.some_notices(from, limit),
        };
        Piece::new(from.part, changes, more)
    }

    fn catalogue(&self) -> Changes {
        let mut kinds: Vec<_> = self.kinds.values().cloned().collect();
        kinds.sort_by_key(|kind| kind.no);
        Changes {
            kinds,
            merchants: self.merchants(),
            stops: self.all_stops(),
            merchant_days: self.merchant_days(BusinessDate(i32::MIN)),
            api_keys: self.api_keys(),
            letter_ends: self.letter_ends.values().cloned().collect(),
            marks: self.marks(""),
            ..Changes::default()
        }
    }

    fn all_stops(&self) -> Vec<Stop> {
        let mut stops: Vec<Stop> = self.stops.values().cloned().collect();
        stops.sort_by_key(|stop| (stop.scope.to_string(), stop.cause.name()));
        stops
    }

    fn some_deeds(&self, from: &Cursor, limit: u32) -> Rows {
        let skipped = usize::try_from(from.numbers.0).unwrap_or(0);
        let (deeds, more) = page(self.deeds.iter().skip(skipped), limit);
        let given = i64::try_from(deeds.len()).unwrap_or(i64::MAX);
        let next = Cursor::at(from.part, (from.numbers.0.saturating_add(given), 0));
        let changes = Changes {
            deeds: deeds.into_iter().cloned().collect(),
            ..Changes::default()
        };
        (changes, Some(next).filter(|_| more))
    }

    /// Notices, and after the last of them the endpoints that wait for them.
    fn some_notices(&self, from: &Cursor, limit: u32) -> Rows {
        let told = self.outbox.notices(from.numbers.0, limit.max(1));
        let (mut changes, next) = told_after(from, told, self.outbox.newest());
        if next.is_none() {
            changes.endpoints = self.outbox.for_copy();
        }
        (changes, next)
    }

    fn some_users(&self, from: &Cursor, limit: u32) -> Rows {
        let after = (Bound::Excluded(UserNo(from.numbers.0)), Bound::Unbounded);
        let (users, more) = page(self.users.range(after), limit);
        let last = users.last().map(|(no, _)| Cursor::at(from.part, (no.0, 0)));
        let changes = Changes {
            links: users
                .iter()
                .flat_map(|(no, _)| self.links_of(**no).into_values())
                .collect(),
            users: users.into_iter().map(|(_, user)| user.clone()).collect(),
            ..Changes::default()
        };
        (changes, last.filter(|_| more))
    }

    fn some_link_states(&self, from: &Cursor, limit: u32) -> Rows {
        let name = |digest: &[u8; 32]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let after = self.link_states.values();
        let after = after.filter(|state| {
            let name: String = name(&state.digest.0);
            name > from.names.0
        });
        let (states, more) = page(after, limit);
        let last = states.last();
        let last = last.map(|s| Cursor::named(from.part, name(&s.digest.0), ""));
        let changes = Changes {
            link_states: states.into_iter().cloned().collect(),
            ..Changes::default()
        };
        (changes, last.filter(|_| more))
    }

    fn some_payouts(&self, from: &Cursor, limit: u32) -> Rows {
        let waits = from.part == Part::Work;
        let after = self.payouts.values().filter(|payout| {
            payout.id.to_string() > from.names.0 && (!waits || self.work.contains_key(&payout.id))
        });
        let (payouts, more) = page(after, limit);
        let last = payouts.last();
        let last = last.map(|payout| Cursor::named(from.part, payout.id.to_string(), ""));
        let mut changes = Changes::default();
        for payout in payouts {
            let work = self.work.get(&payout.id).filter(|_| waits);
            let work = work.map(|waiting| waiting.work);
            changes.payouts.push((payout.clone(), work));
            let earlier = self.attempts.values().filter(|_| !waits);
            let earlier = earlier.filter(|attempt| attempt.number().payout() == payout.id);
            changes.attempts.extend(earlier.cloned());
            let history = self.history.get(&payout.id).filter(|_| !waits);
            changes
                .history
                .extend(history.into_iter().flatten().cloned());
        }
        (changes, last.filter(|_| more))
    }

    fn some_entries(&self, from: &Cursor, limit: u32) -> Piece {
        let mut gather = Gather::after(from, limit);
        let first = gather.first();
        let skipped = usize::try_from(from.numbers.0).unwrap_or(0);
        for (seq, entry) in (first..).zip(self.entries.iter().skip(skipped)) {
            let event = self.earning_of.get(&seq);
            let event = event.and_then(|key| Some(&self.earnings.get(key)?.0));
            let line = self.bill_line_of.get(&seq);
            let line = line.and_then(|key| self.bill_lines.get(key));
            let booked = match (event, line) {
                (Some(event), _) => Booked::Event(Box::new(Earning {
                    amount: entry.amount(),
                    repaid: Micros::ZERO,
                    clawed: Micros::ZERO,
                    ..event.clone()
                })),
                (None, Some(line)) => Booked::Line(Box::new(line.clone())),
                (None, None) => Booked::Plain,
            };
            if !gather.take(entry.clone(), booked) {
                break;
            }
        }
        gather.finish()
    }

    fn some_taken_back(&self, from: &Cursor, limit: u32) -> Rows {
        let after = (Bound::Excluded(from.numbers.0), Bound::Unbounded);
        let events = self.earning_of.range(after).filter_map(|(seq, key)| {
            let (earning, _) = self.earnings.get(key)?;
            (earning.clawed > Micros::ZERO).then_some((*seq, key, earning.clawed))
        });
        let (events, more) = page(events, limit);
        let last = events.last();
        let last = last.map(|(seq, ..)| Cursor::at(from.part, (*seq, 0)));
        let taken =
            |(_, key, sum): (i64, &(Source, EventId), Micros)| (key.0.clone(), key.1.clone(), sum);
        let changes = Changes {
            clawed: events.into_iter().map(taken).collect(),
            ..Changes::default()
        };
        (changes, last.filter(|_| more))
    }

    fn some_terms(&self, from: &Cursor, limit: u32) -> Rows {
        let after = (Bound::Excluded(UserNo(from.numbers.0)), Bound::Unbounded);
        let (users, more) = page(self.users.range(after), limit);
        let last = users.last().map(|(no, _)| Cursor::at(from.part, (no.0, 0)));
        let mut changes = Changes::default();
        for no in users.into_iter().map(|(no, _)| *no) {
            let kinds = self.kind_days.iter().filter(|((user, _), _)| *user == no);
            let kinds = kinds.map(|((user, kind), totals)| (*user, *kind, *totals));
            changes.kind_days.extend(kinds);
            let days = self.cooling.iter().filter(|((user, _), _)| *user == no);
            let days = days.filter(|(_, amount)| **amount > Micros::ZERO);
            let days = days.map(|((user, day), amount)| (*user, *day, *amount));
            changes.cooling.extend(days);
        }
        (changes, last.filter(|_| more))
    }

    fn some_days(&self, from: &Cursor, limit: u32) -> Rows {
        let (user, day) = from.numbers;
        let day = BusinessDate(i32::try_from(day).unwrap_or(i32::MIN));
        let after = (Bound::Excluded((UserNo(user), day)), Bound::Unbounded);
        let (days, more) = page(self.day_totals.range(after), limit);
        let last = days.last();
        let last = last.map(|((user, day), _)| (user.0, i64::from(day.0)));
        let last = last.map(|numbers| Cursor::at(from.part, numbers));
        let changes = Changes {
            day_totals: days
                .into_iter()
                .map(|((user, day), totals)| (*user, *day, *totals))
                .collect(),
            ..Changes::default()
        };
        (changes, last.filter(|_| more))
    }

    fn some_answers(&self, from: &Cursor, limit: u32) -> Rows {
        let (scope, key) = from.names.clone();
        let after = Bound::Excluded(IdempotencyKey { scope, key });
        let (answers, more) = page(self.answers.range((after, Bound::Unbounded)), limit);
        let last = answers.last();
        let last = last.map(|(key, _)| Cursor::named(from.part, &key.scope, &key.key));
        let changes = Changes {
            answers: answers
                .into_iter()
                .map(|(key, answer)| (key.clone(), answer.clone()))
                .collect(),
            ..Changes::default()
        };
        (changes, last.filter(|_| more))
    }

    fn all_reconciled(&self) -> Rows {
        let (bills, breaks) = self.reconciled();
        let changes = Changes {
            bills,
            breaks,
            ..Changes::default()
        };
        (changes, None)
    }

    fn some_letters(&self, from: &Cursor, limit: u32) -> Piece {
        let mut all = self.dead_letters(u32::MAX);
        all.reverse();
        let skipped = usize::try_from(from.numbers.0).unwrap_or(0);
        letters(from, all.into_iter().skip(skipped), limit.min(LETTERS_MAX))
    }
}
