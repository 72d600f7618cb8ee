//! Events in batches, in sets: names to numbers, accounts locked by rising number, what was
//! booked before, one rule per event, and everything that comes of it in a few statements.
//!
//! What the rule looks at cannot change before the commit: balances, caps and what cools off
//! belong to users whose accounts are locked; the catalogue is compared again at the end of the
//! chain; and an event that somebody else books in between under the same name breaks the
//! uniqueness of names, and the batch is decided again.
//!
//! So events may be looked for while the batch before still holds the accounts. What that one books
//! is looked for again, and so is what was refused, and of what is taken back how much is left.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use lingqian_core::earning::{Booking, Case, Credited, Kind, KindDay, Leg, Purse, Verdict, decide};
use lingqian_core::id::UserNo;
use lingqian_core::ledger::{Account, Entry};
use lingqian_core::letter::Mark;
use lingqian_core::money::{AMOUNT_MAX, BALANCE_MAX, Micros};
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::{EventBatch, EventView, Rejection};
use lingqian_io::Fault;
use lingqian_io::store::EventAnswer;

use crate::chain::EventKey;
use crate::codec::{damaged, get};
use crate::commit::{Beside, Refused, lock_end};
use crate::events::{Events, Known};
use crate::journal::{Accounts, End, Event, Journal, Sealed};
use crate::lane::{Batch, Book};
use crate::pool::Session;
use crate::settle::Books;
use crate::{letters, rows, sql};

/// Events that somebody waits for.
pub(crate) struct Asked {
    pub(crate) now: Timestamp,
    pub(crate) batch: EventBatch,
}

impl Batch for Asked {
    type Answers = Vec<EventAnswer>;
    type Book<'a> = Postings<'a>;

    async fn decided<'a>(
        &'a self,
        books: &Books,
        session: &Session,
        before: Option<&[EventKey]>,
    ) -> Result<(Vec<EventAnswer>, Option<Postings<'a>>), Refused> {
        let events = Events::of(&self.batch);
        let catalogue = books.catalogue(session).await?;
        let about = (self.now, &catalogue.kinds);
        let mut desk = Desk::gather(books, session, about, (&events, before)).await?;
        let answers: Vec<EventAnswer> = (0..events.views.len())
            .map(|place| desk.next(place))
            .collect();
        if before.is_some() && desk.some_were_booked_meanwhile(session, &answers).await? {
            return Err(Refused::Conflict);
        }
        let marks = self.batch.marks_of(&answers);
        if desk.booked.is_empty() && marks.is_empty() {
            return Ok((answers, None));
        }
        let end = lock_end(session).await?;
        if end.catalogue != catalogue.version {
            return Err(Refused::Conflict);
        }
        let (accounts, booked, beside) = (desk.accounts, desk.booked, desk.beside);
        let postings = Postings {
            end,
            events,
            accounts,
            booked,
            beside,
            marks,
        };
        Ok((answers, Some(postings)))
    }
}

/// What a batch books, with the end of the chain in hand.
pub(crate) struct Postings<'b> {
    end: End,
    events: Events<'b>,
    accounts: BTreeMap<i64, Accounts>,
    booked: Vec<Booked>,
    beside: Beside,
    marks: Vec<Mark>,
}

impl Book for Postings<'_> {
    fn booked(&self) -> Vec<EventKey> {
        let keys = self.booked.iter();
        keys.map(|booked| self.events.keys[booked.place]).collect()
    }

    async fn write(self, session: &Session) -> Result<Sealed, Refused> {
        let entries = self
            .booked
            .iter()
            .map(|booked| 1 + usize::from(booked.second.is_some()));
        let entries = i64::try_from(entries.sum::<usize>()).unwrap_or(i64::MAX);
        let after = self.end.seq.saturating_add(entries);
        if after >= self.end.room {
            return Err(Refused::NoRoom(after.saturating_add(1)));
        }
        let mut journal = Journal::begin(self.end, self.accounts, entries);
        for booked in &self.booked {
            let event = booked.event(&self.events);
            journal.append(&booked.first, Some(&event))?;
            if let Some(second) = &booked.second {
                journal.append(second, None)?;
            }
        }
        journal.forget_untouched();
        let sealed = journal.close(session, false).await?;
        self.beside.write(session).await?;
        letters::write_marks(session, &self.marks).await?;
        Ok(sealed)
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
struct Desk<'b, 'k> {
    now: Timestamp,
    today: BusinessDate,
    events: &'b Events<'b>,
    kinds: &'k HashMap<String, Kind>,
    /// The number of each name of the batch.
    numbers: Vec<Option<i64>>,
    /// As they were locked.
    accounts: BTreeMap<i64, Accounts>,
    /// Available and owed by the place of the name.
    purses: Vec<(Micros, Micros)>,
    known: HashMap<EventKey, Known<'b>>,
    kind_days: HashMap<(i64, i64), KindDay>,
    cooling: BTreeMap<(i64, i32), i64>,
    booked: Vec<Booked>,
    beside: Beside,
}

impl<'b, 'k> Desk<'b, 'k> {
    /// Locks and reads. What was booked before is looked for while others still hold the accounts;
    /// what the call before books meanwhile is looked for again when it let go of them.
    async fn gather(
        books: &Books,
        session: &Session,
        (now, kinds): (Timestamp, &'k HashMap<String, Kind>),
        (events, before): (&'b Events<'b>, Option<&[EventKey]>),
    ) -> Result<Desk<'b, 'k>, Refused> {
        // How much was taken back of an event changes while others hold its user's accounts.
        let originals: HashSet<EventKey> = events.originals.iter().flatten().copied().collect();
        let mut known = match before {
            Some(_) => events.known(session, |_| true).await?,
            None => HashMap::new(),
        };
        let numbers = books.names.resolve(session, &events.names).await?;
        let all: BTreeSet<i64> = numbers.iter().flatten().copied().collect();
        let all: Vec<i64> = all.into_iter().collect();
        let rows = session.try_rows(sql!("lock_accounts"), &[&all]).await?;
        let accounts: Result<BTreeMap<i64, Accounts>, Fault> =
            rows.iter().map(Accounts::locked).collect();
        let accounts = accounts?;
        if accounts.len() != all.len() {
            return Err(damaged("user_accounts, where a registered user is missing,").into());
        }
        let late = |key: &EventKey| {
            before.is_none_or(|before| before.binary_search(key).is_ok()) || originals.contains(key)
        };
        known.extend(events.known(session, late).await?);
        let purse = |number: &Option<i64>| {
            let accounts = number.and_then(|number| accounts.get(&number));
            let accounts = accounts.copied().unwrap_or_default();
            let owed = accounts.receivable.unwrap_or(0).saturating_neg();
            (Micros(accounts.available.unwrap_or(0)), Micros(owed))
        };
        let purses = numbers.iter().map(purse).collect();
        let mut desk = Desk {
            now,
            today: now.business_date(),
            events,
            kinds,
            numbers,
            accounts,
            purses,
            known,
            kind_days: HashMap::new(),
            cooling: BTreeMap::new(),
            booked: Vec::with_capacity(events.views.len()),
            beside: Beside::default(),
        };
        desk.terms(session, &all).await?;
        Ok(desk)
    }

    /// Whether somebody else booked one of those that were refused after it was looked for: then it
    /// is to be told that it is booked, and not why it cannot be.
    async fn some_were_booked_meanwhile(
        &self,
        session: &Session,
        answers: &[EventAnswer],
    ) -> Result<bool, Fault> {
        let keys = self.events.keys.iter().zip(answers);
        let refused = keys.filter(|(key, answer)| answer.is_err() && !self.known.contains_key(key));
        let refused: HashSet<&EventKey> = refused.map(|(key, _)| key).collect();
        let found = self.events.known(session, |key| refused.contains(key));
        Ok(!found.await?.is_empty())
    }

    /// Totals of kinds and what cools off, where an event of the batch asks for it.
    async fn terms(&mut self, session: &Session, users: &[i64]) -> Result<(), Refused> {
        let views = self.events.views.iter();
        let named: BTreeSet<&str> = views.clone().map(|view| view.kind).collect();
        let kinds: Vec<&Kind> = named
            .iter()
            .filter_map(|kind| self.kinds.get(*kind))
            .collect();
        let takes_back = views.clone().any(|view| view.reverses.is_some());
        if kinds.iter().any(|kind| kind.terms.capped()) {
            let rows = session
                .rows(sql!("kind_days"), &[&users, &self.today.0])
                .await?;
            for row in &rows {
                let key = (get(row, 0)?, get(row, 1)?);
                self.kind_days.insert(key, rows::kind_day(row)?);
            }
        }
        let cools = |kind: &&Kind| kind.terms.cooling_days > 0 || kind.terms.between_users;
        if takes_back || kinds.iter().any(cools) {
            let rows = session
                .rows(sql!("cooling"), &[&users, &self.today.0])
                .await?;
            for row in &rows {
                self.cooling
                    .insert((get(row, 0)?, get(row, 1)?), get(row, 2)?);
            }
        }
        Ok(())
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
            self.kind_days.get(&(whose, kind.no.0)).copied()
        });
        let original = self.events.originals[place].and_then(|key| self.known.get(&key));
        let case = Case {
            amount: view.amount,
            occurred_at: view.occurred_at,
            reverses: view.reverses,
            names_sender: view.from.is_some(),
            user: user.map(UserNo),
            kind,
            sender: sender.map(UserNo),
            known: self.known.get(&self.events.keys[place]).map(Known::view),
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
            Some(user) if !self.cooling.is_empty() => {
                let days = (user, self.today.0.saturating_add(1))..=(user, i32::MAX);
                self.cooling
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
        self.known.insert(self.events.keys[place], known);
        if let Some((whose, totals)) = booking.counted {
            self.kind_days.insert((whose.0, kind), totals);
            self.beside.kind_days.insert((whose.0, kind), totals);
        }
        if let Some((day, change)) = booking.cooling {
            let before = self.cooling.get(&(user, day.0)).copied().unwrap_or(0);
            let after = before.checked_add(change.0).unwrap_or(0).max(0);
            self.cooling.insert((user, day.0), after);
            self.beside.cooling.insert((user, day.0), after);
        }
        if let Some(key) = self.events.originals[place]
            && let Some(original) = self.known.get_mut(&key)
        {
            let sum = original.clawed.plus(booking.amount);
            original.clawed = sum.unwrap_or(original.amount);
            self.beside.taken.insert(key, original.clawed.0);
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
