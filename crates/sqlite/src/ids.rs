//! Which events were booked and which withdrawals made, for ever, by the 64-bit fingerprints of
//! their names.
//!
//! The newest are in a table in memory. When there are enough of them they become an immutable run: sorted
//! buckets in the file, and a filter in memory that says for most names that they are not in it.
//! Four runs of a size are merged into one, a little with every commit. A fingerprint only says
//! where to look: whether a name is known is decided by the text in the entry.

mod filter;
mod merge;
mod recent;
mod run;

use std::sync::Arc;

use lingqian_io::Fault;
use rusqlite::Connection;
use siphasher::sip::SipHasher13;

use filter::Filter;
pub(crate) use merge::Merger;
use recent::Recent;
pub(crate) use run::{Run, SealedRun, load};

use crate::names::Key;

/// Ids that gather in memory before they become a run, by default: 2^10 full buckets.
pub(crate) const RECENT_IDS: usize = 448 << 10;

/// The fingerprint of an event's name.
pub(crate) fn fingerprint(key: &Key, source: &str, event: &str) -> u64 {
    let mut hasher = SipHasher13::new_with_key(key);
    std::hash::Hasher::write(&mut hasher, source.as_bytes());
    // No id holds this byte, so that two names never run together.
    std::hash::Hasher::write_u8(&mut hasher, 0xFF);
    std::hash::Hasher::write(&mut hasher, event.as_bytes());
    std::hash::Hasher::finish(&hasher)
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
    runs: Vec<Run>,
    next_run: u64,
    /// Ids that were added since somebody asked.
    added: u64,
}

impl Ids {
    /// The ids of a file whose runs are these; a run is made of so many.
    pub(crate) fn new((runs, next_run): (Vec<Run>, u64), recent_max: usize) -> Ids {
        Ids {
            recent: Recent::new(recent_max.max(1)),
            sealed: Vec::new(),
            runs,
            next_run,
            added: 0,
        }
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

    /// A part of where an id is looked for among the newest.
    pub(crate) fn touch(&self, fingerprint: u64) -> u64 {
        self.recent.touch(fingerprint)
    }

    /// Whether there is nothing to look for: neither among the newest nor, by `old`, in runs.
    pub(crate) fn is_new(&self, fingerprint: u64, old: bool) -> bool {
        !old && self.recent.find(fingerprint).next().is_none()
    }

    /// Entries among the newest whose name may be the one with this fingerprint.
    pub(crate) fn recent(&self, fingerprint: u64) -> impl Iterator<Item = u64> {
        self.recent.find(fingerprint)
    }

    /// A filter for each run.
    pub(crate) fn filters(&self) -> impl Iterator<Item = &Filter> {
        let stored = self.runs.iter().map(|run| run.filter.as_ref());
        stored.chain(self.sealed.iter().map(|run| run.filter()))
    }

    /// Whether an older id may have this fingerprint.
    pub(crate) fn may_be_old(&self, fingerprint: u64) -> bool {
        self.filters().any(|filter| filter.may_hold(fingerprint))
    }

    /// Entries among the older ones whose name may be the one with this fingerprint.
    pub(crate) fn old(&self, connection: &Connection, fingerprint: u64) -> Result<Vec<u64>, Fault> {
        let mut found = Vec::new();
        for sealed in &self.sealed {
            sealed.find(fingerprint, &mut found);
        }
        for run in self.runs.iter().filter(|run| run.may_hold(fingerprint)) {
            run.find(connection, fingerprint, &mut found)?;
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
        Some(sealed)
    }

    /// The run of that number is in the file.
    pub(crate) fn stored(&mut self, number: u64) {
        if let Some(place) = self.sealed.iter().position(|run| run.number == number) {
            let sealed = self.sealed.remove(place);
            self.runs.push(sealed.run());
        }
    }

    /// These runs were merged into that one, which is in the file.
    pub(crate) fn merged(&mut self, inputs: &[u64], run: Run) {
        self.runs.retain(|known| !inputs.contains(&known.number));
        self.runs.push(run);
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
    /// A bijection that looks random (splitmix64).
    pub(super) fn mix(number: u64) -> u64 {
        let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
