//! The desk at which a batch of events is decided on: everything that they meet, read in sets, and
//! kept up to date with what was decided so far.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use lingqian_core::earning::{Booking, Case, Credited, Kind, KindDay, Leg, Purse, Verdict, decide};
use lingqian_core::id::UserNo;
use lingqian_core::ledger::{Account, Entry};
use lingqian_core::money::{AMOUNT_MAX, BALANCE_MAX, Micros};
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::{EventView, Rejection};
use lingqian_io::Fault;
use lingqian_io::store::EventAnswer;

use crate::accounts::{self, Accounts};
use crate::ahead::After;
use crate::chain::EventKey;
use crate::codec::get;
use crate::commit::{Beside, Refused};
use crate::events::{Events, Known};
use crate::journal::{End, Event, Journal};
use crate::pool::Session;
use crate::{rows, sql};

/// The catalogue by the codes of its kinds.
type Kinds = HashMap<String, Kind>;

/// What is to be read for a batch.
pub(crate) struct Question<'q, 'b> {
    pub(crate) session: &'q Session,
    events: &'q Events<'b>,
    /// The number of each name of the batch.
    numbers: &'q [Option<i64>],
    /// Every number once.
    users: Vec<i64>,
    now: Timestamp,
}

impl<'q, 'b> Question<'q, 'b> {
    pub(crate) fn new(
        session: &'q Session,
        events: &'q Events<'b>,
        numbers: &'q [Option<i64>],
        now: Timestamp,
    ) -> Question<'q, 'b> {
        let users: BTreeSet<i64> = numbers.iter().flatten().copied().collect();
        Question {
            session,
            events,
            numbers,
            users: users.into_iter().collect(),
            now,
        }
    }

    /// Reads everything.
    pub(crate) async fn ask(&self, kinds: &Kinds) -> Result<Found, Refused> {
        let known = async { Ok(self.events.known(self.session, |_| true).await?) };
        let (known, found) = tokio::try_join!(known, self.balances(kinds))?;
        Ok(Found { known, ..found })
    }

    /// Reads again what others may have changed. An event that was booked stays so, but for how
    /// much of it was taken back.
    pub(crate) async fn ask_again(
        &self,
        kinds: &Kinds,
        mut known: HashMap<EventKey, Known>,
    ) -> Result<Found, Refused> {
        let originals: HashSet<EventKey> =
            self.events.originals.iter().flatten().copied().collect();
        let changed = self
            .events
            .known(self.session, |key| originals.contains(key));
        known.extend(changed.await?);
        let found = self.balances(kinds).await?;
        Ok(Found { known, ..found })
    }

    /// Accounts; totals of kinds and what cools off, where an event of the batch asks for it.
    async fn balances(&self, kinds: &Kinds) -> Result<Found, Refused> {
        let mut found = Found {
            accounts: accounts::of_all(self.session, &self.users).await?,
            ..Found::default()
        };
        let today = self.now.business_date().0;
        let views = self.events.views.iter();
        let named: BTreeSet<&str> = views.clone().map(|view| view.kind).collect();
        let kinds: Vec<&Kind> = named.iter().filter_map(|kind| kinds.get(*kind)).collect();
        let takes_back = views.clone().any(|view| view.reverses.is_some());
        if kinds.iter().any(|kind| kind.terms.capped()) {
            let query = sql!("kind_days");
            for row in &self.session.rows(query, &[&self.users, &today]).await? {
                let key = (get(row, 0)?, get(row, 1)?);
                found.kind_days.insert(key, rows::kind_day(row)?);
            }
        }
        let cools = |kind: &&Kind| kind.terms.cooling_days > 0 || kind.terms.between_users;
        if takes_back || kinds.iter().any(cools) {
            let query = sql!("cooling");
            for row in &self.session.rows(query, &[&self.users, &today]).await? {
                let key = (get(row, 0)?, get(row, 1)?);
                found.cooling.insert(key, get(row, 2)?);
            }
        }
        Ok(found)
    }
}

/// What was read.
#[derive(Default)]
pub(crate) struct Found {
    accounts: BTreeMap<i64, Accounts>,
    /// What was booked before.
    known: HashMap<EventKey, Known>,
    kind_days: HashMap<(i64, i64), KindDay>,
    cooling: BTreeMap<(i64, i32), i64>,
}

impl Found {
    /// Puts what the batch before leaves over what was read.
    pub(crate) fn put(&mut self, question: &Question<'_, '_>, after: &After) {
        for (user, own) in &mut self.accounts {
            if let Some(moved) = after.accounts.get(user)
                && moved.newest != own.newest
            {
                *own = *moved;
            }
        }
        let events = question.events;
        for key in events.keys.iter().chain(events.originals.iter().flatten()) {
            if let Some(known) = after.known.get(key) {
                self.known.insert(*key, known.clone());
            }
        }
        let today = question.now.business_date();
        let totals = after.kind_days.iter();
        let totals = totals.filter(|(_, totals)| totals.day >= today);
        self.kind_days
            .extend(totals.map(|(key, totals)| (*key, *totals)));
        self.cooling
            .extend(after.cooling.iter().map(|(key, amount)| (*key, *amount)));
    }
}

/// What is booked of one event.
struct Booked {
    place: usize,
    kind: i64,
    first: Entry,
    second: Option<Entry>,
    booking: Booking,
}

impl Booked {
    fn event<'b>(&self, events: &Events<'b>) -> Event<'b> {
        let view = &events.views[self.place];
        Event {
            key: events.keys[self.place],
            source: view.source,
            event_id: view.event_id,
            kind: self.kind,
            amount: self.booking.amount.0,
            occurred_at: view.occurred_at.map(|at| at.0),
            from_user: view.from.is_some(),
            reverses: view.reverses,
            matures_on: self.booking.matures_on.map(|day| day.0),
        }
    }
}

/// Everything that the events of a batch meet, kept up to date with what was decided so far.
pub(crate) struct Desk<'q, 'b> {
    now: Timestamp,
    today: BusinessDate,
    events: &'q Events<'b>,
    kinds: &'q Kinds,
    numbers: &'q [Option<i64>],
    found: Found,
    /// Available and owed by the place of the name.
    purses: Vec<(Micros, Micros)>,
    /// Events that this batch books, and those of which it takes something back.
    fresh: HashMap<EventKey, Known>,
    booked: Vec<Booked>,
    beside: Beside,
}

impl<'q, 'b> Desk<'q, 'b> {
    pub(crate) fn new(question: &Question<'q, 'b>, kinds: &'q Kinds, found: Found) -> Self {
        let purse = |number: &Option<i64>| {
            let accounts = number.and_then(|number| found.accounts.get(&number));
            let accounts = accounts.copied().unwrap_or_default();
            let owed = accounts.receivable.unwrap_or(0).saturating_neg();
            (Micros(accounts.available.unwrap_or(0)), Micros(owed))
        };
        let events = question.events;
        Desk {
            now: question.now,
            today: question.now.business_date(),
            events,
            kinds,
            numbers: question.numbers,
            purses: question.numbers.iter().map(purse).collect(),
            found,
            fresh: HashMap::with_capacity(events.views.len()),
            booked: Vec::with_capacity(events.views.len()),
            beside: Beside::default(),
        }
    }

    /// Decides on every event, one after the other.
    pub(crate) fn decide(&mut self) -> Vec<EventAnswer> {
        let places = 0..self.events.views.len();
        places.map(|place| self.next(place)).collect()
    }

    pub(crate) fn books_nothing(&self) -> bool {
        self.booked.is_empty()
    }

    /// What was booked before.
    pub(crate) fn into_known(self) -> HashMap<EventKey, Known> {
        self.found.known
    }

    /// What is booked, and what is kept beside it.
    pub(crate) fn leave(self) -> (HashMap<EventKey, Known>, Beside) {
        (self.fresh, self.beside)
    }

    /// The entries behind that end of the chain, once.
    pub(crate) fn journal(&mut self, end: End) -> Result<Journal, Refused> {
        let each = |booked: &Booked| 1 + usize::from(booked.second.is_some());
        let entries: usize = self.booked.iter().map(each).sum();
        let entries = i64::try_from(entries).unwrap_or(i64::MAX);
        end.room_for(entries)?;
        let accounts = std::mem::take(&mut self.found.accounts);
        let mut journal = Journal::begin(end, accounts, entries);
        for booked in &self.booked {
            let event = booked.event(self.events);
            journal.append(&booked.first, Some(&event))?;
            if let Some(second) = &booked.second {
                journal.append(second, None)?;
            }
        }
        journal.forget_untouched();
        Ok(journal)
    }

    /// Whether somebody else booked one of those that were refused after it was looked for: then it
    /// is to be told that it is booked, and not why it cannot be.
    pub(crate) async fn some_were_booked_meanwhile(
        &self,
        session: &Session,
        answers: &[EventAnswer],
    ) -> Result<bool, Fault> {
        let keys = self.events.keys.iter().zip(answers);
        let refused = keys.filter(|(key, answer)| answer.is_err() && self.known(key).is_none());
        let refused: HashSet<&EventKey> = refused.map(|(key, _)| key).collect();
        let found = self.events.known(session, |key| refused.contains(key));
        Ok(!found.await?.is_empty())
    }

    fn known(&self, key: &EventKey) -> Option<&Known> {
        self.fresh.get(key).or_else(|| self.found.known.get(key))
    }

    /// Decides on the next event.
    fn next(&mut self, place: usize) -> EventAnswer {
        let view = &self.events.views[place];
        let (user_place, sender_place) = self.events.people[place];
        let user = self.numbers[user_place];
        let sender = sender_place.and_then(|place| self.numbers[place]);
        let kind = self.kinds.get(view.kind);
        let counted = kind.and_then(|kind| {
            let whose = sender.or(user)?;
            self.found.kind_days.get(&(whose, kind.no.0)).copied()
        });
        let original = self.events.originals[place].and_then(|key| self.known(&key));
        let case = Case {
            amount: view.amount,
            occurred_at: view.occurred_at,
            reverses: view.reverses,
            names_sender: view.from.is_some(),
            user: user.map(UserNo),
            kind,
            sender: sender.map(UserNo),
            known: self.known(&self.events.keys[place]).map(Known::view),
            original: original.map(Known::view),
            purse: self.purse(user_place),
            sender_purse: sender_place.map_or_else(Purse::default, |place| self.purse(place)),
            counted: counted.unwrap_or_default(),
        };
        let booking = match decide(self.now, &case)? {
            Verdict::Known => return Ok(Credited::Before),
            Verdict::Booked(booking) => booking,
        };
        let user = user.ok_or(Rejection::UnknownUser)?;
        let kind = kind.ok_or(Rejection::UnknownKind)?.no;
        let entry = |leg: Leg| {
            let entry = leg.entry(self.now);
            entry.ok_or(Rejection::AmountOutOfRange { max: AMOUNT_MAX })
        };
        let first = entry(booking.first)?;
        let second = booking.second.map(entry).transpose()?;
        self.keep(place, (user, kind.0), sender, &booking);
        self.post(place, [Some(booking.first), booking.second]);
        self.booked.push(Booked {
            place,
            kind: kind.0,
            first,
            second,
            booking,
        });
        Ok(Credited::Now(booking.amount))
    }

    fn purse(&self, place: usize) -> Purse {
        let (available, owed) = self.purses[place];
        let cooling = match self.numbers[place] {
            Some(user) if !self.found.cooling.is_empty() => {
                let days = (user, self.today.0.saturating_add(1))..=(user, i32::MAX);
                self.found
                    .cooling
                    .range(days)
                    .fold(Micros::ZERO, |sum, (_, amount)| {
                        sum.plus(Micros(*amount)).unwrap_or(BALANCE_MAX)
                    })
            }
            _ => Micros::ZERO,
        };
        Purse {
            available,
            cooling,
            owed,
        }
    }

    /// Later events of the batch meet what this one brought.
    fn keep(
        &mut self,
        place: usize,
        (user, kind): (i64, i64),
        sender: Option<i64>,
        booking: &Booking,
    ) {
        let view: &EventView<'b> = &self.events.views[place];
        let known = Known::new(view, (user, kind), sender, booking);
        self.fresh.insert(self.events.keys[place], known);
        if let Some((whose, totals)) = booking.counted {
            self.found.kind_days.insert((whose.0, kind), totals);
            self.beside.kind_days.insert((whose.0, kind), totals);
        }
        if let Some((day, change)) = booking.cooling {
            let before = self.found.cooling.get(&(user, day.0)).copied().unwrap_or(0);
            let after = before.checked_add(change.0).unwrap_or(0).max(0);
            self.found.cooling.insert((user, day.0), after);
            self.beside.cooling.insert((user, day.0), after);
        }
        if let Some(key) = self.events.originals[place]
            && let Some(mut original) = self.known(&key).cloned()
        {
            let sum = original.clawed.plus(booking.amount);
            original.clawed = sum.unwrap_or(original.amount);
            self.beside.taken.insert(key, original.clawed.0);
            self.fresh.insert(key, original);
        }
    }

    /// Moves the money in the purses of the event's people.
    fn post(&mut self, place: usize, legs: [Option<Leg>; 2]) {
        let (user, sender) = self.events.people[place];
        for leg in legs.into_iter().flatten() {
            for (account, credited) in [(leg.debit, false), (leg.credit, true)] {
                let Some(owner) = account.user().map(|user| user.0) else {
                    continue;
                };
                let own = |place: &usize| self.numbers[*place] == Some(owner);
                let Some(place) = [Some(user), sender].into_iter().flatten().find(own) else {
                    continue;
                };
                let (available, owed) = &mut self.purses[place];
                // A debt is what the receivable account is below zero.
                let (balance, gains) = match account {
                    Account::Receivable(_) => (owed, !credited),
                    _ => (available, credited),
                };
                let moved = if gains {
                    balance.plus(leg.amount)
                } else {
                    balance.minus(leg.amount)
                };
                *balance = moved.unwrap_or(BALANCE_MAX);
            }
        }
    }
}
