//! The hot path: a batch of events from names to entries.
//!
//! Before the teller has the batch its names are hashed, and it is asked which ids may be older ones.
//! What costs memory accesses is done for many events at a time, so that they overlap: users are
//! found, and the newest ids fetched. Only then are they decided on, one after the other.

use lingqian_core::earning::{Booking, Case, Credited, Kind, Purse, Verdict, decide};
use lingqian_core::id::UserNo;
use lingqian_core::time::Timestamp;
use lingqian_core::{EventBatch, EventView, Rejection};
use lingqian_io::Fault;
use lingqian_io::store::EventAnswer;
use rusqlite::Connection;

use super::scout::{Resolved, Scouted};
use super::{AHEAD_MAX, Pending, Teller, Told};
use crate::codec::fault;
use crate::ids::{Again, fingerprint};
use crate::ledger::{Found, Ledger, Marks};
use crate::letters::write_marks;
use crate::names::hash;
use crate::near::TOGETHER;
use crate::record::EventName;
use crate::scribe::{Extra, Reply};

/// A batch on the teller's desk, and what its words stand for in the books.
struct Desk<'e> {
    now: Timestamp,
    events: &'e EventBatch,
    scouted: &'e Scouted,
    /// The numbers of its sources, as far as events came from there before.
    sources: Vec<Option<u32>>,
    /// Where its kinds are in the catalogue.
    kinds: Vec<Option<usize>>,
}

impl Teller {
    /// Decides on events. Whoever waits is answered when they are durable.
    pub(crate) fn earn(&mut self, pending: Pending) {
        let mut pending = pending;
        let ready = self.wait(AHEAD_MAX - 1);
        if let Err(fault) = ready.and_then(|()| self.open_books().map(|_| ())) {
            let _ = pending.answer.send(Err(fault));
            return;
        }
        let Some(ledger) = &mut self.ledger else {
            return;
        };
        let scouted = &mut pending.scouted;
        match self.board.renew(&mut scouted.by, ledger.ids.settled()) {
            Again::Nothing => {}
            Again::Since(run) => scouted.ask_since(run),
            Again::Everything => scouted.ask(),
        }
        let before = ledger.last();
        match decide_all(ledger, &self.connection, &mut pending) {
            Err(fault) => {
                self.ledger = None;
                let _ = pending.answer.send(Err(fault));
            }
            Ok(answers) if ledger.last() == before && !pending.events.keeps(&answers) => {
                let Pending { events, answer, .. } = pending;
                let again = move || Told::Again(events);
                self.answer_durable(Told::Answers(answers), again, answer);
            }
            Ok(answers) => {
                let today = pending.now.business_date();
                let marks = pending.events.marks_of(&answers);
                let write = move |file: &Connection| write_marks(file, &marks);
                let extra: Option<Extra> = pending
                    .events
                    .keeps(&answers)
                    .then(|| Box::new(write) as Extra);
                self.send(today, extra, Reply::Events(Box::new(pending), answers));
            }
        }
    }
}

fn decide_all(
    ledger: &mut Ledger,
    connection: &Connection,
    pending: &mut Pending,
) -> Result<Vec<EventAnswer>, Fault> {
    // One snapshot for all look-ups, instead of one for each.
    let connection = &connection.unchecked_transaction().map_err(fault)?;
    let mut cases = std::mem::take(&mut pending.scouted.cases);
    let desk = Desk::of(ledger, pending);
    let mut answers = Vec::with_capacity(cases.len());
    for (part, cases) in cases.chunks_mut(TOGETHER).enumerate() {
        let begin = part * TOGETHER;
        resolve(ledger, connection, cases, (desk.events, begin))?;
        for (place, resolved) in (begin..).zip(cases.iter()) {
            answers.push(desk.decide_one(ledger, connection, (place, resolved))?);
        }
    }
    Ok(answers)
}

/// Finds the users of some events, [`TOGETHER`] at most, and fetches what is looked at when they are
/// decided on.
fn resolve(
    ledger: &mut Ledger,
    connection: &Connection,
    cases: &mut [Resolved],
    (events, begin): (&EventBatch, usize),
) -> Result<(), Fault> {
    ledger.names.fetch(cases.iter().map(|case| case.name));
    for (place, case) in (begin..).zip(cases.iter_mut()) {
        case.user = ledger.names.get(case.name);
        if case.user.is_none()
            && let Some(event) = events.get(place)
        {
            case.user = ledger.names.find(connection, case.name, event.user)?;
        }
        if let Some(user) = case.user {
            ledger.accounts.load(connection, user)?;
        }
    }
    ledger
        .accounts
        .fetch(cases.iter().filter_map(|case| case.user));
    ledger.ids.fetch(cases.iter().map(|case| case.fingerprint));
    Ok(())
}

/// What of an event's case is looked up and owned.
#[derive(Default)]
struct Looked {
    known: Option<Box<Found>>,
    original: Option<Box<Found>>,
    sender: Option<UserNo>,
    sender_purse: Purse,
}

impl<'e> Desk<'e> {
    fn of(ledger: &Ledger, pending: &'e Pending) -> Desk<'e> {
        let Pending {
            now,
            events,
            scouted,
            ..
        } = pending;
        let first = |place: &usize| events.get(*place);
        let sources = scouted.sources.iter();
        let sources = sources.map(|place| ledger.known_source(first(place)?.source));
        let kinds = scouted.kinds.iter();
        let kinds = kinds.map(|place| ledger.kind_place(first(place)?.kind));
        Desk {
            now: *now,
            events,
            scouted,
            sources: sources.collect(),
            kinds: kinds.collect(),
        }
    }

    /// The event at a place with its texts: most are decided on without.
    fn event(&self, place: usize) -> Result<EventView<'e>, Fault> {
        let lost = || Fault::Broken("a batch has fewer events than were looked at".into());
        self.events.get(place).ok_or_else(lost)
    }

    /// The number of an event's source; a new one gets the next.
    fn source(
        &self,
        ledger: &mut Ledger,
        (place, resolved): (usize, &Resolved),
    ) -> Result<u32, Fault> {
        let known = resolved.source().and_then(|own| *self.sources.get(own)?);
        match known {
            Some(known) => Ok(known),
            None => ledger.source_no(self.event(place)?.source),
        }
    }

    /// The kind of an event.
    fn kind<'l>(
        &self,
        ledger: &'l Ledger,
        (place, resolved): (usize, &Resolved),
    ) -> Option<&'l Kind> {
        let place = match resolved.kind() {
            Some(own) => *self.kinds.get(own)?,
            None => ledger.kind_place(self.events.get(place)?.kind),
        };
        ledger.kinds.get(place?)
    }

    fn decide_one(
        &self,
        ledger: &mut Ledger,
        connection: &Connection,
        own: (usize, &Resolved),
    ) -> Result<EventAnswer, Fault> {
        let (place, resolved) = own;
        let looked = self.look_up(ledger, connection, own)?;
        let today = self.now.business_date();
        let kind = self.kind(ledger, own);
        let capped = kind.filter(|kind| kind.terms.capped());
        let counted = capped.zip(looked.sender.or(resolved.user));
        let (amount, occurred_at) = self.events.terms(place);
        let texts = match resolved.plain {
            true => None,
            false => Some(self.event(place)?),
        };
        let case = Case {
            amount,
            occurred_at,
            reverses: texts.and_then(|event| event.reverses),
            names_sender: texts.is_some_and(|event| event.from.is_some()),
            user: resolved.user,
            kind,
            sender: looked.sender,
            known: looked.known.as_deref().map(Found::known),
            original: looked.original.as_deref().map(Found::known),
            purse: resolved
                .user
                .map_or_else(Purse::default, |user| ledger.accounts.purse(user, today)),
            sender_purse: looked.sender_purse,
            counted: counted
                .map(|(kind, user)| ledger.accounts.kind_day(user, kind.no))
                .unwrap_or_default(),
        };
        let booking = match decide(self.now, &case) {
            Err(rejection) => return Ok(Err(rejection)),
            Ok(Verdict::Known) => return Ok(Ok(Credited::Before)),
            Ok(Verdict::Booked(booking)) => booking,
        };
        let kind = kind.map(|kind| kind.no);
        let (Some(user), Some(kind)) = (resolved.user, kind) else {
            return Ok(Err(Rejection::UnknownUser));
        };
        let id = match resolved.packed() {
            Some(id) => id,
            None => EventName::Text(self.event(place)?.event_id),
        };
        let marks = Marks {
            source: self.source(ledger, own)?,
            id,
            fingerprint: resolved.fingerprint,
            user,
            kind,
            occurred_at,
            reverses: looked.original.as_ref().map(|original| original.seq),
        };
        book(
            ledger,
            self.now,
            &booking,
            &marks,
            looked.original.as_deref(),
        )?;
        Ok(Ok(Credited::Now(booking.amount)))
    }

    fn look_up(
        &self,
        ledger: &mut Ledger,
        connection: &Connection,
        (place, resolved): (usize, &Resolved),
    ) -> Result<Looked, Fault> {
        let mut looked = Looked::default();
        if !ledger.ids.is_new(resolved.fingerprint, resolved.old) {
            let event = self.event(place)?;
            let (name, print) = ((event.source, event.event_id), resolved.fingerprint);
            let known = match self.scouted.seen(place) {
                Some(seen) => ledger.find_beside(connection, name, print, seen)?,
                None => ledger.find(connection, name, print, resolved.old)?,
            };
            looked.known = known.map(Box::new);
        }
        if resolved.plain {
            return Ok(looked);
        }
        let event = self.event(place)?;
        if let Some(sender) = event.from {
            let hash = hash(&ledger.key, sender);
            looked.sender = ledger.names.find(connection, hash, sender)?;
            if let Some(user) = looked.sender {
                ledger.accounts.load(connection, user)?;
                looked.sender_purse = ledger.accounts.purse(user, self.now.business_date());
            }
        }
        if let Some(original) = event.reverses {
            let fingerprint = fingerprint(&ledger.key, event.source, original);
            let old = ledger.ids.may_be_old(fingerprint);
            let name = (event.source, original);
            let original = ledger.find(connection, name, fingerprint, old)?;
            looked.original = original.map(Box::new);
        }
        Ok(looked)
    }
}

fn book(
    ledger: &mut Ledger,
    now: Timestamp,
    booking: &Booking,
    marks: &Marks<'_>,
    original: Option<&Found>,
) -> Result<(), Fault> {
    ledger.book(now, booking, marks)?;
    if let Some(original) = original {
        let clawed = original.clawed.plus(booking.amount);
        ledger.set_clawed(original.seq, clawed.unwrap_or(original.amount));
    }
    Ok(())
}
