//! What is measured in the same run, with the same events, durable alike: ledgers as others write
//! them. They are correct, and here to be compared with.

mod postgres;
mod tigerbeetle;

pub(crate) use postgres::beside as postgres;
pub(crate) use tigerbeetle::beside as tigerbeetle;

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bench::figures::{micros_each, per_second};
use crate::bench::load::{Event, Load};
use crate::bench::machine::Meter;
use crate::bench::mix::{Mix, Next};
use crate::bench::options::LedgerOptions;

/// How the books did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ours {
    /// So many entries
    pub(crate) entries: u64,
    /// in that time on the wall,
    pub(crate) wall: Duration,
    /// with that much processor time.
    pub(crate) used: Duration,
}

impl Ours {
    /// Entries a second on the wall.
    pub(crate) fn rate(self) -> u64 {
        per_second(self.entries, self.wall)
    }
}

/// An event with its texts.
#[derive(Clone, Debug)]
struct Sent {
    number: u64,
    id: String,
    user: String,
    kind: &'static str,
    micros: i64,
    at: Option<i64>,
}

/// The events that a ledger by hand gets: such a ledger has no list of users, so what names nobody
/// is not sent to it, and it knows no claw-backs, so everybody only earns.
fn events(load: &Load, options: &LedgerOptions, count: u64) -> Vec<Sent> {
    let mut mix = Mix::new(options.seed, 0, options.duplicates);
    let next = (0..count).map(|_| mix.draw());
    let known = next.filter_map(|next| match next {
        Next::New(number) | Next::Again(number) => Some(load.plain(number)),
        Next::Refused(_) => None,
    });
    let sent = |event: Event| {
        load.view(&event, false, |view| Sent {
            number: event.number,
            id: view.event_id.to_owned(),
            user: view.user.to_owned(),
            kind: event.kind(),
            micros: event.brings.0,
            at: view.occurred_at.map(|at| at.0),
        })
    };
    known.map(sent).collect()
}

/// How many events must be booked and what the balances must add up to.
fn expected(events: &[Sent]) -> (u64, i64) {
    let mut seen = HashSet::new();
    let new = events.iter().filter(|event| seen.insert(event.number));
    new.fold((0, 0), |(count, sum), event| {
        (count + 1, sum + event.micros)
    })
}

/// One line of the table.
fn row(
    name: &str,
    (at_once, connections): (u64, usize),
    (booked, meter): (u64, &Meter),
    ours: Ours,
) -> Value {
    let reading = meter.read();
    let rate = per_second(booked, reading.wall);
    let server = meter.along_used_if_any();
    let (others, _) = meter.others_percent();
    json!({
        "ledger": name,
        "at_once": at_once,
        "connections": connections,
        "entries": booked,
        "entries_per_second": rate,
        "processor_us": micros_each(reading.used, booked),
        "server_processor_us": server.map(|used| micros_each(used, booked)),
        "others_percent": others,
        "the_books_are_times_faster": ours.rate() as f64 / rate.max(1) as f64,
    })
}
