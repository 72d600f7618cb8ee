//! Which events were booked and which withdrawals made, for ever, by the 64-bit fingerprints of
//! their names.
//!
//! The newest are in a table in memory. When there are enough of them they become an immutable run:
//! sorted buckets in the file. Runs of a size are merged into one, a little with every commit. What
//! is kept in memory says for most names that they are in no run: one table for all young runs, and
//! a filter for each old one. A fingerprint only says where to look: whether a name is known is
//! decided by the text in the entry.

mod bucket;
mod cells;
mod check;
mod filter;
mod merge;
mod recent;
mod run;
mod settled;
mod young;

use std::collections::HashSet;
use std::sync::Arc;

use lingqian_io::Fault;
use rusqlite::Connection;
use siphasher::sip::SipHasher13;

pub(crate) use check::check;
pub(crate) use merge::{Merged, Merger};
use recent::Recent;
use run::BUCKET_IDS;
pub(crate) use run::{Run, SealedRun, load};
pub(crate) use settled::{Again, Board, Settled};
use young::Sheet;

use crate::names::Key;
use crate::near::fetch;
use filter::Filter;

/// Ids that gather in memory before they become a run, by default: with those that the last batch
/// brings on top about 2^7 full buckets, so few that what tells of the newest ids is small beside the
/// filters of all others.
pub(crate) const RECENT_IDS: usize = BUCKET_IDS * 120;

/// The fingerprints of the events of one source, whose name is hashed once for all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventPrints(SipHasher13);

impl EventPrints {
    pub(crate) fn of(key: &Key, source: &str) -> EventPrints {
        let mut hasher = SipHasher13::new_with_key(key);
        std::hash::Hasher::write(&mut hasher, source.as_bytes());
        // No id holds this byte, so that two names never run together.
        std::hash::Hasher::write_u8(&mut hasher, 0xFF);
        EventPrints(hasher)
    }

    /// The fingerprint of an event.
    #[inline]
    pub(crate) fn of_event(mut self, event: &str) -> u64 {
        std::hash::Hasher::write(&mut self.0, event.as_bytes());
        std::hash::Hasher::finish(&self.0)
    }
}

/// The fingerprint of an event's name.
pub(crate) fn fingerprint(key: &Key, source: &str, event: &str) -> u64 {
    EventPrints::of(key, source).of_event(event)
}

/// The fingerprint of a withdrawal's reference. No source of events has this name.
pub(crate) fn reference_print(key: &Key, reference: &str) -> u64 {
    fingerprint(key, "\u{1}", reference)
}

/// The fingerprint of an idempotency key. No source of events has this name.
pub(crate) fn key_print(key: &Key, scope: &str, text: &str) -> u64 {
    let mut hasher = SipHasher13::new_with_key(key);
    std::hash::Hasher::write(&mut hasher, b"\x02\xFF");
    std::hash::Hasher::write(&mut hasher, scope.as_bytes());
    // No text holds this byte.
    std::hash::Hasher::write_u8(&mut hasher, 0xFF);
    std::hash::Hasher::write(&mut hasher, text.as_bytes());
    std::hash::Hasher::finish(&hasher)
}

/// A fingerprint and the number of the entry that bears the name.
pub(crate) type Id = (u64, u64);

/// Every id.
#[derive(Debug)]
pub(crate) struct Ids {
    recent: Recent,
    /// Runs that are on their way to the file.
    sealed: Vec<Arc<SealedRun>>,
    /// Runs that are in the file.
    runs: Vec<Run>,
    /// What tells which run may have an id.
    settled: Arc<Settled>,
    next_run: u64,
    /// Ids that were added since somebody asked.
    added: u64,
}

impl Ids {
    /// No ids of a file where this is the number of the next run; a run is made of so many.
    fn new(key: Key, next_run: u64, recent_max: usize) -> Ids {
        Ids {
            recent: Recent::new(recent_max.max(1)),
            sealed: Vec::new(),
            runs: Vec::new(),
            settled: Arc::new(Settled {
                key,
                ..Settled::default()
            }),
            next_run,
            added: 0,
        }
    }

    /// How many bytes of memory tell of ids.
    pub(crate) fn bytes(&self) -> usize {
        let sealed: usize = self.sealed.iter().map(|run| run.held_bytes()).sum();
        self.recent.bytes() + sealed + self.settled.bytes()
    }

    /// How many ids were added since the last time.
    pub(crate) fn take_added(&mut self) -> u64 {
        std::mem::take(&mut self.added)
    }

    /// Adds an id.
    pub(crate) fn add(&mut self, id: Id) {
        self.added += 1;
        self.recent.add(id);
    }

    /// Fetches where these are looked for among the newest.
    pub(crate) fn fetch(&self, fingerprints: impl Iterator<Item = u64>) {
        let first = fingerprints.map(|fingerprint| self.recent.first(fingerprint));
        fetch(first, |id| id.1);
    }

    /// Whether there is nothing to look for: neither among the newest nor, by `old`, in runs.
    pub(crate) fn is_new(&self, fingerprint: u64, old: bool) -> bool {
        !old && !self.recent.has(fingerprint)
    }

    /// Entries among the newest whose name may be the one with this fingerprint.
    pub(crate) fn recent(&self, fingerprint: u64) -> impl Iterator<Item = u64> {
        self.recent.find(fingerprint)
    }

    /// What tells of all but the newest.
    pub(crate) fn settled(&self) -> &Arc<Settled> {
        &self.settled
    }

    /// Whether an older id may have this fingerprint.
    pub(crate) fn may_be_old(&self, fingerprint: u64) -> bool {
        let mut case = [(fingerprint, false)];
        self.settled
            .suspect(&mut case, |case| case.0, |case| &mut case.1);
        case[0].1
    }

    /// Entries among the older ones whose name may be the one with this fingerprint.
    pub(crate) fn old(&self, connection: &Connection, fingerprint: u64) -> Result<Vec<u64>, Fault> {
        let mut found = Vec::new();
        for suspect in self.settled.suspects(fingerprint) {
            if let Some(sealed) = self.sealed.iter().find(|run| run.number == suspect) {
                sealed.find(fingerprint, &mut found);
            } else if let Some(run) = self.runs.iter().find(|run| run.number == suspect) {
                run.find(connection, fingerprint, &mut found)?;
            }
        }
        Ok(found)
    }

    /// Makes a run of the newest ids, when there are enough of them.
    pub(crate) fn seal(&mut self) -> Option<Arc<SealedRun>> {
        if !self.recent.is_full() {
            return None;
        }
        let ids = self.recent.take_sorted();
        let sealed = Arc::new(SealedRun::new(self.next_run, ids));
        self.next_run += 1;
        self.sealed.push(Arc::clone(&sealed));
        self.add_young(sealed.number, sealed.prints());
        Some(sealed)
    }

    /// Adds a young run to the last sheet, or to a new one.
    fn add_young(&mut self, run: u64, prints: impl ExactSizeIterator<Item = u64>) {
        let mut sheets = self.settled.sheets.clone();
        let room = sheets.pop_if(|sheet| sheet.fits(prints.len()));
        let mut last = room.unwrap_or_else(|| Sheet::of_runs(prints.len()));
        last.add(run, prints);
        sheets.push(last);
        self.settle(Settled {
            sheets,
            newest: self.settled.newest.max(run),
            ..Settled::clone(&self.settled)
        });
    }

    /// Replaces what is settled, without sheets and filters of which every run was merged.
    fn settle(&mut self, mut settled: Settled) {
        let sealed = self.sealed.iter().map(|run| run.run());
        settled.runs = self.runs.iter().copied().chain(sealed).collect();
        let living: HashSet<u64> = settled.runs.iter().map(|run| run.number).collect();
        let lives = |sheet: &Sheet| sheet.runs().iter().any(|run| living.contains(run));
        settled.sheets.retain(lives);
        settled.filters.retain(|(run, _)| living.contains(run));
        self.settled = Arc::new(settled);
    }

    /// Adds the filter of a run.
    fn add_filter(&mut self, run: u64, filter: Filter) {
        let mut settled = Settled::clone(&self.settled);
        settled.filters.push((run, Arc::new(filter)));
        self.settle(settled);
    }

    /// The run of that number is in the file.
    pub(crate) fn stored(&mut self, number: u64) {
        if let Some(place) = self.sealed.iter().position(|run| run.number == number) {
            let sealed = self.sealed.remove(place);
            self.runs.push(sealed.run());
        }
    }

    /// Runs become one, or a part of them does.
    pub(crate) fn merged(&mut self, merged: Merged) {
        let Merged {
            inputs,
            run,
            kind,
            slabs,
            whole,
        } = merged;
        let goes =
            |known: &Run| known.number == run.number || whole && inputs.contains(&known.number);
        let mut settled = Settled::clone(&self.settled);
        let moved = self.runs.iter().filter(|run| goes(run) && !run.is_old());
        settled.moved = moved.fold(settled.moved, |moved, run| moved.max(run.number));
        self.runs.retain(|known| !goes(known));
        self.runs.push(run);
        let known = settled
            .filters
            .iter()
            .position(|(number, _)| *number == run.number);
        let mut filter = match known.map(|place| settled.filters.remove(place)) {
            Some((_, filter)) => Arc::unwrap_or_clone(filter),
            None => kind,
        };
        slabs.into_iter().for_each(|slab| filter.put(slab));
        let old = settled.filters.iter_mut();
        for (_, input) in old.filter(|(number, _)| inputs.contains(number)) {
            Arc::make_mut(input).leave_to(&filter);
        }
        settled.filters.push((run.number, Arc::new(filter)));
        self.settle(settled);
    }

    /// Gives a number to a run that is to be made by a merge.
    pub(crate) fn number_run(&mut self) -> u64 {
        self.next_run += 1;
        self.next_run - 1
    }

    /// The runs that are in the file.
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }
}

#[cfg(test)]
mod tests {
    use super::bucket::Way;
    use super::run::BUCKET_IDS;
    use super::*;
    use crate::Options;
    use crate::schema::open_writer;

    /// A bijection that looks random (splitmix64).
    pub(super) fn mix(number: u64) -> u64 {
        let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Ids up to this one are stored as earlier versions stored them,
    const EARLIER_TO: u64 = 100 * BUCKET_IDS as u64;
    /// and of the entries of these few have one, too few for words.
    const FEW: u64 = 200;
    const FEW_TO: u64 = 120 * BUCKET_IDS as u64;

    /// The entry of an id.
    fn entry_of(id: u64) -> u64 {
        id + id.clamp(EARLIER_TO, FEW_TO) * (FEW - 1)
    }

    /// Seals a run, if there are enough ids.
    fn seal(ids: &mut Ids, id: u64) -> Option<Arc<SealedRun>> {
        let sealed = ids.seal()?;
        if id > EARLIER_TO {
            return Some(sealed);
        }
        drop(sealed);
        let mut sealed = ids.sealed.pop().and_then(Arc::into_inner)?;
        sealed.form.way = Way::Earlier;
        ids.sealed.push(Arc::new(sealed));
        ids.sealed.last().cloned()
    }

    #[test]
    fn every_id_is_found_at_every_step_of_a_merge_and_filters_are_given_up_on_the_way() {
        const RUN: u64 = BUCKET_IDS as u64;
        let dir = tempfile::tempdir().expect("a directory");
        let books = open_writer(&dir.path().join("books.db"), &Options::default());
        let books = books.expect("opens");
        let change = books.unchecked_transaction().expect("begins");
        let (mut ids, mut merger) = (Ids::new([7; 16], 1, BUCKET_IDS), Merger::default());
        let (mut unused, mut parts, mut doubled) = (Vec::new(), 0, 0);
        let mut mixed = Vec::new();
        for id in 1..=330 * RUN {
            ids.add((mix(id), entry_of(id)));
            let Some(sealed) = seal(&mut ids, id) else {
                continue;
            };
            let number = sealed.number;
            sealed.write(&change).expect("written");
            merger.add(sealed.run(), Some(ids.number_run()));
            drop(sealed);
            ids.stored(number);
            merger.discard(&std::mem::take(&mut unused));
            let added = (RUN, entry_of(id));
            if let Some(merged) = merger.work(&change, added).expect("merges") {
                parts += usize::from(!merged.whole);
                let inputs = ids.runs.iter();
                let inputs = inputs.filter(|run| merged.inputs.contains(&run.number));
                let mut ways: Vec<Way> = inputs.map(|run| run.form.way).collect();
                ways.dedup_by_key(|way| std::mem::discriminant(way));
                mixed.push((ways.len(), merged.run.form.way));
                if merged.whole {
                    unused.extend(&merged.inputs);
                }
                ids.merged(merged);
            }
            for known in (1..=id).step_by(1_009) {
                let found = ids.old(&change, mix(known)).expect("reads");
                assert!(ids.may_be_old(mix(known)), "{known} of {id}");
                assert!(found.iter().all(|found| *found == entry_of(known)));
                assert!((1..3).contains(&found.len()), "{known} of {id}: {found:?}");
                doubled += found.len() - 1;
            }
        }
        assert!(parts > 2, "{parts} parts of merges");
        // Only where an input's slab is longer than what was merged of it.
        assert!(doubled > 0);
        let words = |way: &Way| matches!(way, Way::Words(_));
        for into in [Way::Wide, Way::Words(0)] {
            let mut own = mixed.iter().filter(|own| words(&own.1) == words(&into));
            assert!(own.any(|own| own.0 > 1), "{into:?}: {mixed:?}");
        }
        let old = ids.settled().filters.iter();
        let largest = old.max_by_key(|(_, filter)| filter.buckets());
        let levels: Vec<u32> = ids.runs().iter().map(|run| run.level).collect();
        assert!(largest.is_some_and(|(_, filter)| filter.buckets() == 256) && levels.contains(&3));
    }
}
