//! The newest ids, in a table whose places follow the order of the fingerprints. Looking and adding
//! touch one line of the processor's cache, and read from end to end the table is nearly sorted.

use super::Id;
use crate::lines::{Lines, Place};

/// Of so many places so many are taken when a run is made: most lines are not full, so that a second
/// one is rarely looked at.
const PLACES_PER_IDS: (usize, usize) = (3, 2);

impl Place for Id {
    /// Entries are numbered from one.
    const FREE: Id = (0, 0);

    fn is_free(&self) -> bool {
        self.1 == 0
    }

    fn share(&self) -> u64 {
        self.0
    }
}

/// The table.
#[derive(Debug)]
pub(super) struct Recent {
    lines: Lines<Id>,
    ids_max: usize,
}

impl Recent {
    /// A table for so many ids, and a few more.
    pub(super) fn new(ids_max: usize) -> Recent {
        let (places, ids) = PLACES_PER_IDS;
        Recent {
            lines: Lines::of_places((ids_max.max(1) * places).div_ceil(ids)),
            ids_max,
        }
    }

    /// How many bytes of memory it takes.
    pub(super) fn bytes(&self) -> usize {
        self.lines.bytes()
    }

    /// Whether there are enough to make a run of.
    pub(super) fn is_full(&self) -> bool {
        self.lines.taken() >= self.ids_max
    }

    /// Adds an id.
    pub(super) fn add(&mut self, id: Id) {
        // A batch may be larger than was thought.
        if self.lines.taken() * 10 >= self.lines.places() * 9 {
            self.lines.grow(self.lines.places() * 2);
        }
        self.lines.add(id);
    }

    /// The first place where a fingerprint is looked for.
    pub(super) fn first(&self, fingerprint: u64) -> Option<&Id> {
        self.lines.first(fingerprint)
    }

    /// Whether there is an entry under a fingerprint.
    #[inline]
    pub(super) fn has(&self, fingerprint: u64) -> bool {
        let own = self.lines.find(fingerprint, |id| id.0 == fingerprint);
        own.is_some()
    }

    /// The numbers of the entries under a fingerprint.
    pub(super) fn find(&self, fingerprint: u64) -> impl Iterator<Item = u64> {
        let near = self.lines.near(fingerprint);
        near.filter(move |id| id.0 == fingerprint).map(|id| id.1)
    }

    /// Takes all ids out, sorted.
    pub(super) fn take_sorted(&mut self) -> Vec<Id> {
        let mut ids = Vec::with_capacity(self.lines.taken());
        self.lines.take(&mut ids, <[Id]>::sort_unstable);
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mix;
    use super::*;

    #[test]
    fn ids_are_found_and_come_out_in_their_order() {
        for ids_max in [0, 1, 1_000, 7_000] {
            let mut recent = Recent::new(ids_max);
            for turn in 0..2 {
                let all = (1..=7_000).map(|seq| (mix(seq / 2 + turn), seq));
                let mut all: Vec<Id> = all.collect();
                all.iter().for_each(|id| recent.add(*id));
                for (fingerprint, seq) in &all {
                    assert!(recent.find(*fingerprint).any(|found| found == *seq));
                }
                assert_eq!(recent.find(mix(1 << 40)).count(), 0);
                assert!(recent.is_full());
                all.sort_unstable();
                assert_eq!(recent.take_sorted(), all);
                assert_eq!(recent.is_full(), ids_max == 0);
            }
        }
    }

    #[test]
    fn fingerprints_at_the_end_find_room() {
        let mut recent = Recent::new(2_000);
        let last = |number: u64| u64::MAX - number;
        (0..2_000).for_each(|number| recent.add((last(number), number + 1)));
        for number in 0..2_000 {
            assert_eq!(recent.find(last(number)).collect::<Vec<_>>(), [number + 1]);
        }
        assert!(recent.take_sorted().is_sorted());
    }
}
