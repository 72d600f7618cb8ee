//! The newest ids, in a table whose places follow the order of the fingerprints: an id is at the
//! place that its fingerprint says or at one of those that follow. Looking and adding touch one
//! line of the processor's cache, and read from end to end the table is nearly sorted.

use super::Id;

/// Of so many places at most four of five are taken, so that a free one is never far.
const PLACES_PER_ID: (usize, usize) = (5, 4);
/// Places after the last one that a fingerprint says, at first.
const SPARE_PLACES: usize = 512;
/// Entries are numbered from one.
const FREE: Id = (0, 0);

/// The table.
#[derive(Debug)]
pub(super) struct Recent {
    places: Vec<Id>,
    /// Places after the last one that a fingerprint says.
    spare: usize,
    ids: usize,
    ids_max: usize,
    /// Memory for ids that are taken out.
    out: Vec<Id>,
}

impl Recent {
    /// A table for so many ids, and a few more.
    pub(super) fn new(ids_max: usize) -> Recent {
        let mut recent = Recent {
            places: Vec::new(),
            spare: SPARE_PLACES,
            ids: 0,
            ids_max,
            out: Vec::new(),
        };
        recent.make(ids_max.max(1));
        recent
    }

    fn make(&mut self, ids: usize) {
        let (places, per) = PLACES_PER_ID;
        self.places = vec![FREE; ids.div_ceil(per) * places + self.spare];
        self.ids = 0;
    }

    /// Where a fingerprint's id is looked for first.
    fn begin(&self, fingerprint: u64) -> usize {
        let places = self.places.len().saturating_sub(self.spare);
        ((u128::from(fingerprint) * places as u128) >> 64) as usize
    }

    /// Whether there are enough to make a run of.
    pub(super) fn is_full(&self) -> bool {
        self.ids >= self.ids_max
    }

    /// Adds an id.
    pub(super) fn add(&mut self, id: Id) {
        // A batch may be larger than was thought.
        if self.ids * 10 >= (self.places.len() - self.spare) * 9 {
            self.grow(self.spare);
        }
        let begin = self.begin(id.0);
        let free = self.places[begin..]
            .iter_mut()
            .find(|place| **place == FREE);
        match free {
            Some(place) => {
                *place = id;
                self.ids += 1;
            }
            // Chance that never happens.
            None => {
                self.grow(self.spare * 2);
                self.add(id);
            }
        }
    }

    fn grow(&mut self, spare: usize) {
        let all: Vec<Id> = self.iter().collect();
        self.spare = spare;
        self.make(all.len() * 2);
        all.into_iter().for_each(|id| self.add(id));
    }

    fn iter(&self) -> impl Iterator<Item = Id> {
        self.places.iter().copied().filter(|id| *id != FREE)
    }

    /// A part of where a fingerprint is looked for. Whoever has many questions touches their places
    /// first, and the memory answers many at a time: nothing here waits for what is found.
    pub(super) fn touch(&self, fingerprint: u64) -> u64 {
        let place = self.places.get(self.begin(fingerprint));
        place.map_or(0, |id| id.1)
    }

    /// The numbers of the entries under a fingerprint.
    pub(super) fn find(&self, fingerprint: u64) -> impl Iterator<Item = u64> {
        let near = self.places[self.begin(fingerprint)..].iter();
        let near = near.take_while(|id| **id != FREE);
        near.filter(move |id| id.0 == fingerprint).map(|id| id.1)
    }

    /// Takes back the memory of ids that were taken out before: it is large, and would leave holes of
    /// its size wherever it was.
    pub(super) fn reuse(&mut self, ids: Vec<Id>) {
        self.out = ids;
    }

    /// Takes all ids out, sorted.
    pub(super) fn take_sorted(&mut self) -> Vec<Id> {
        let mut ids = std::mem::take(&mut self.out);
        ids.clear();
        ids.reserve(self.ids);
        let mut together = 0;
        for place in &mut self.places {
            let id = std::mem::replace(place, FREE);
            if id != FREE {
                ids.push(id);
            } else if together < ids.len() {
                // Between two free places everything belongs there, in any order.
                ids[together..].sort_unstable();
                together = ids.len();
            }
        }
        ids[together..].sort_unstable();
        self.ids = 0;
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
