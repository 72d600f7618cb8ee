//! What is found out about a batch of events before the teller has it, who is one for all: what its
//! texts stand for, which of its ids may be old, and which events in the file bear them.

use std::sync::Arc;

use lingqian_core::id::UserNo;
use lingqian_core::{EventBatch, EventView};
use lingqian_io::Fault;
use rusqlite::Connection;

use crate::ids::{EventPrints, Settled};
use crate::ledger::Seen;
use crate::names::hash;
use crate::page;
use crate::record::EventName;

/// So many different sources and kinds of a batch are told apart; others are looked up by their texts.
const WORDS_MAX: usize = 32;
/// A text that is not told apart.
const OTHER: u8 = u8::MAX;

/// What an event's texts stand for: one line of the processor's cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolved {
    /// The hash of its user's name.
    pub(super) name: u128,
    pub(super) fingerprint: u64,
    pub(super) user: Option<UserNo>,
    /// Its id, where that is packed.
    packed: Option<(u8, [u8; 16])>,
    /// Its source and its kind among those of the batch.
    source: u8,
    kind: u8,
    /// Whether its id may be among the older ones.
    pub(super) old: bool,
    /// Whether it names no other user and no other event.
    pub(super) plain: bool,
}

const _: () = assert!(size_of::<Resolved>() <= 64);

impl Resolved {
    /// The event's id, where it is packed.
    pub(super) fn packed(&self) -> Option<EventName<'static>> {
        let (form, bytes) = self.packed?;
        Some(EventName::Packed(form, bytes))
    }

    /// Where its source is among those of the batch.
    pub(super) fn source(&self) -> Option<usize> {
        (self.source != OTHER).then_some(usize::from(self.source))
    }

    /// Where its kind is among those of the batch.
    pub(super) fn kind(&self) -> Option<usize> {
        (self.kind != OTHER).then_some(usize::from(self.kind))
    }
}

/// The different texts of one kind in a batch.
#[derive(Default)]
struct Words<'e> {
    texts: Vec<&'e str>,
    /// For each of them, the first event that has it.
    places: Vec<usize>,
}

impl<'e> Words<'e> {
    /// The number of a text; `place` is that of its event.
    fn number(&mut self, text: &'e str, place: usize) -> u8 {
        let known = self.texts.iter().position(|known| *known == text);
        let number = known.unwrap_or(self.texts.len());
        if number >= WORDS_MAX {
            return OTHER;
        }
        if known.is_none() {
            self.texts.push(text);
            self.places.push(place);
        }
        u8::try_from(number).unwrap_or(OTHER)
    }
}

/// What was found out about a batch.
pub(crate) struct Scouted {
    pub(super) by: Arc<Settled>,
    pub(super) cases: Vec<Resolved>,
    /// For each of its sources, and each of its kinds, the first event that has it.
    pub(super) sources: Vec<usize>,
    pub(super) kinds: Vec<usize>,
    /// What bears the ids of these events, as far as the runs tell, by rising places.
    seen: Vec<(usize, Vec<Seen>)>,
}

impl Scouted {
    /// Finds out what no file is read for.
    pub(crate) fn new(by: Arc<Settled>, events: &EventBatch) -> Scouted {
        let (mut sources, mut kinds) = (Words::default(), Words::default());
        // Of the sources that are told apart.
        let mut prints: Vec<EventPrints> = Vec::new();
        let mut resolved = |(place, event)| {
            let EventView { source, kind, .. } = event;
            let own = sources.number(source, place);
            if usize::from(own) == prints.len() {
                prints.push(EventPrints::of(&by.key, source));
            }
            let known = prints.get(usize::from(own)).copied();
            let prints = known.unwrap_or_else(|| EventPrints::of(&by.key, source));
            Resolved {
                name: hash(&by.key, event.user),
                fingerprint: prints.of_event(event.event_id),
                user: None,
                packed: match EventName::of(event.event_id) {
                    EventName::Packed(form, bytes) => Some((form, bytes)),
                    EventName::Text(_) => None,
                },
                source: own,
                kind: kinds.number(kind, place),
                old: false,
                plain: event.from.is_none() && event.reverses.is_none(),
            }
        };
        let cases = events.iter().enumerate().map(&mut resolved).collect();
        let mut scouted = Scouted {
            sources: sources.places,
            kinds: kinds.places,
            by,
            cases,
            seen: Vec::new(),
        };
        scouted.ask();
        scouted
    }

    /// Finds out which ids may be older ones; what bears them was not looked at yet.
    pub(super) fn ask(&mut self) {
        let Scouted { by, cases, .. } = self;
        by.suspect(cases, |case| case.fingerprint, |case| &mut case.old);
        self.seen.clear();
    }

    /// Finds out which ids may be those of runs that came after this one.
    pub(super) fn ask_since(&mut self, since: u64) {
        let came = self.by.came(since, &self.cases, |case| case.fingerprint);
        for place in &came {
            self.cases[*place].old = true;
        }
        self.seen
            .retain(|(place, _)| came.binary_search(place).is_err());
    }

    /// Looks into the runs, and at the entries that they lead to, as of one moment. What is
    /// written there is never changed, so that it is true at any later one; what cannot be read is
    /// left to the teller.
    pub(crate) fn look(&mut self, connection: &mut Connection, events: &EventBatch) {
        if !self.cases.iter().any(|case| case.old) {
            return;
        }
        let Ok(moment) = connection.transaction() else {
            return;
        };
        let suspects = self.cases.iter().enumerate().filter(|(_, case)| case.old);
        for (place, case) in suspects {
            let (Some(event), Ok(seqs)) =
                (events.get(place), self.by.look(&moment, case.fingerprint))
            else {
                continue;
            };
            let id = case.packed().unwrap_or(EventName::Text(event.event_id));
            let seen = |seq| page::with_line(&moment, seq, |line| Seen::of(line, id));
            let seen: Result<Vec<Option<Seen>>, Fault> = seqs.into_iter().map(seen).collect();
            if let Ok(seen) = seen {
                self.seen
                    .push((place, seen.into_iter().flatten().collect()));
            }
        }
    }

    /// What bears the id of the event at a place, if the runs were looked into.
    pub(super) fn seen(&self, place: usize) -> Option<&[Seen]> {
        let found = self.seen.binary_search_by_key(&place, |seen| seen.0);
        let seen = self.seen.get(found.ok()?)?;
        Some(&seen.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::ids::{self, Again, Board, Ids, fingerprint};
    use crate::schema::open_writer;

    const KEY: [u8; 16] = [7; 16];
    const EVENTS: u64 = 100;

    fn name(number: u64) -> String {
        format!("event-{number}")
    }

    fn events() -> EventBatch {
        let mut events = EventBatch::default();
        for number in 0..EVENTS {
            let event = EventView {
                source: "game",
                event_id: &name(number),
                user: "alice",
                kind: "ad_view",
                amount: None,
                occurred_at: None,
                from: None,
                reverses: None,
            };
            events.push(&event).expect("well formed");
        }
        events
    }

    /// Makes a run of events.
    fn seal(ids: &mut Ids, numbers: impl Iterator<Item = u64>) {
        numbers.for_each(|number| ids.add((fingerprint(&KEY, "game", &name(number)), number + 1)));
        assert!(ids.seal().is_some());
    }

    #[test]
    fn what_was_seen_before_a_run_came_does_not_stand_for_what_that_run_has() {
        let dir = tempfile::tempdir().expect("a directory");
        let books = open_writer(&dir.path().join("books.db"), &Options::default());
        let books = books.expect("opens");
        let mut ids = ids::load(&books, KEY, 4).expect("empty");
        seal(&mut ids, 1_000..1_010);
        let board = Board::default();
        board.put_up(ids.settled());
        let mut scouted = Scouted::new(board.read(), &events());
        // Two were suspected wrongly, and nothing was found in the file.
        for place in [3, 5] {
            scouted.cases[place].old = true;
            scouted.seen.push((place, Vec::new()));
        }
        assert!(scouted.seen(3).is_some() && scouted.seen(5).is_some());
        assert_eq!(board.renew(&mut scouted.by, ids.settled()), Again::Nothing);
        // Another batch books the first of them, which goes into a run before this batch is decided on.
        seal(&mut ids, (3..4).chain(2_000..2_010));
        let again = board.renew(&mut scouted.by, ids.settled());
        let Again::Since(run) = again else {
            panic!("{again:?}");
        };
        scouted.ask_since(run);
        assert!(scouted.seen(3).is_none(), "it is to be looked for again");
        assert!(scouted.seen(5).is_some_and(|seen| seen.is_empty()));
        assert!(scouted.cases[3].old && scouted.cases[5].old);
        assert!(!scouted.cases[4].old);
        // Other books were read: nothing of what was seen stands.
        let other = ids::load(&books, KEY, 4).expect("empty");
        let again = board.renew(&mut scouted.by, other.settled());
        assert_eq!(again, Again::Everything);
        scouted.ask();
        assert!(scouted.seen(5).is_none());
    }
}
