//! The hot path: a batch of events from names to entries.
//!
//! Before the teller has the batch its names are hashed, and the filters asked that seldom change.
//! What costs memory accesses is done for many events at a time, so that they overlap: the youngest
//! ids are looked at, then users found. Only then are they decided on, one after the other.

use std::hint::black_box;
use std::ops::Range;
use std::sync::{Arc, PoisonError};

use lingqian_core::earning::{Booking, Case, Credited, Purse, Verdict, decide};
use lingqian_core::id::UserNo;
use lingqian_core::time::Timestamp;
use lingqian_core::{EventBatch, EventView, Rejection};
use lingqian_io::Fault;
use lingqian_io::store::EventAnswer;
use rusqlite::Connection;

use super::{AHEAD_MAX, Pending, Teller, Told};
use crate::codec::fault;
use crate::ids::{Settled, TOGETHER, fingerprint};
use crate::ledger::{Found, Ledger, Marks};
use crate::letters::write_marks;
use crate::names::hash;
use crate::scribe::{Extra, Reply};

/// What an event's names stand for.
#[derive(Clone, Copy, Debug)]
struct Resolved {
    name: u128,
    fingerprint: u64,
    user: Option<UserNo>,
    /// Whether its id may be among the older ones.
    old: bool,
}

/// What was found out about a batch by whoever gives it, so that the teller has less to do: the
/// hashes of its names, and which of its ids may be old.
pub(crate) struct Scouted {
    by: Arc<Settled>,
    cases: Vec<Resolved>,
}

impl Scouted {
    pub(crate) fn new(by: Arc<Settled>, events: &EventBatch) -> Scouted {
        let resolved = |event: EventView<'_>| Resolved {
            name: hash(&by.key, event.user),
            fingerprint: fingerprint(&by.key, event.source, event.event_id),
            user: None,
            old: false,
        };
        let mut cases: Vec<Resolved> = events.iter().map(resolved).collect();
        by.suspect(&mut cases, |case| case.fingerprint, |case| &mut case.old);
        Scouted { by, cases }
    }
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
        let settled = ledger.ids.settled();
        if !Arc::ptr_eq(&pending.scouted.by, settled) {
            pending.scouted = Scouted::new(Arc::clone(settled), &pending.events);
            *self.settled.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(settled);
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
    let events = &pending.events;
    let mut answers = Vec::with_capacity(events.len());
    let mut begin = 0;
    for cases in pending.scouted.cases.chunks_mut(TOGETHER) {
        let end = begin + cases.len();
        resolve(ledger, connection, cases, (events, begin..end))?;
        for (event, resolved) in events.range(begin..end).zip(cases.iter()) {
            let answer = decide_one(ledger, connection, &event, resolved, pending.now)?;
            answers.push(answer);
        }
        begin = end;
    }
    Ok(answers)
}

/// Finds the users of some events and asks about the youngest ids. Each loop touches one place in memory for
/// each event and decides nothing, so that many of them are fetched at a time.
fn resolve(
    ledger: &mut Ledger,
    connection: &Connection,
    cases: &mut [Resolved],
    (events, range): (&EventBatch, Range<usize>),
) -> Result<(), Fault> {
    let names = cases.iter().map(|case| ledger.names.touch(case.name));
    black_box(names.fold(0, |all, word| all ^ word));
    let ids = &ledger.ids;
    ids.suspect_young(cases, |case| case.fingerprint, |case| &mut case.old);
    for (place, case) in range.zip(cases.iter_mut()) {
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
    let users = cases.iter().filter_map(|case| case.user);
    let users = users.map(|user| ledger.accounts.get(user).newest);
    black_box(users.fold(0, |all, newest| all ^ newest));
    let newest = cases.iter().map(|case| ledger.ids.touch(case.fingerprint));
    black_box(newest.fold(0, |all, word| all ^ word));
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

fn decide_one(
    ledger: &mut Ledger,
    connection: &Connection,
    event: &EventView<'_>,
    resolved: &Resolved,
    now: Timestamp,
) -> Result<EventAnswer, Fault> {
    let looked = look_up(ledger, connection, event, resolved, now)?;
    let today = now.business_date();
    let kind = ledger.kind(event.kind);
    let capped = kind.filter(|kind| kind.terms.capped());
    let counted = capped.zip(looked.sender.or(resolved.user));
    let case = Case {
        amount: event.amount,
        occurred_at: event.occurred_at,
        reverses: event.reverses,
        names_sender: event.from.is_some(),
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
    match decide(now, &case) {
        Err(rejection) => Ok(Err(rejection)),
        Ok(Verdict::Known) => Ok(Ok(Credited::Before)),
        Ok(Verdict::Booked(booking)) => {
            let kind = kind.map(|kind| kind.no);
            let (Some(user), Some(kind)) = (resolved.user, kind) else {
                return Ok(Err(Rejection::UnknownUser));
            };
            let source = ledger.source_no(event.source)?;
            let marks = Marks {
                source,
                event_id: event.event_id,
                fingerprint: resolved.fingerprint,
                user,
                kind,
                occurred_at: event.occurred_at,
                reverses: looked.original.as_ref().map(|original| original.seq),
            };
            book(ledger, now, &booking, &marks, looked.original.as_deref())?;
            Ok(Ok(Credited::Now(booking.amount)))
        }
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

fn look_up(
    ledger: &mut Ledger,
    connection: &Connection,
    event: &EventView<'_>,
    resolved: &Resolved,
    now: Timestamp,
) -> Result<Looked, Fault> {
    let name = (event.source, event.event_id);
    let mut looked = Looked::default();
    if !ledger.ids.is_new(resolved.fingerprint, resolved.old) {
        let known = ledger.find(connection, name, resolved.fingerprint, resolved.old)?;
        looked.known = known.map(Box::new);
    }
    if let Some(sender) = event.from {
        let hash = hash(&ledger.key, sender);
        looked.sender = ledger.names.find(connection, hash, sender)?;
        if let Some(user) = looked.sender {
            ledger.accounts.load(connection, user)?;
            looked.sender_purse = ledger.accounts.purse(user, now.business_date());
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
