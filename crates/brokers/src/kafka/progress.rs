//! How far each partition is, and what gathers of each for the next round.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::intake::{MESSAGES_MAX, PARCEL_BYTES_MAX, Parcel};

/// Messages are handed on when so much time has passed since the first of them.
const LINGER: Duration = Duration::from_millis(5);

/// A partition.
pub(super) type Place = (String, i32);
/// An offset of each.
pub(super) type Offsets = BTreeMap<Place, i64>;

/// How far each partition is.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Up to which offset its messages are durable.
    durable: Mutex<Offsets>,
    /// Which offset comes next, where that is known: after its mark, or after what was fetched.
    fetched: Mutex<Offsets>,
    /// Those that came to us since somebody looked.
    begun: Mutex<BTreeSet<Place>>,
    has_begun: AtomicBool,
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Done {
    /// A partition is ours, and is read from its mark if it has one.
    pub(super) fn begin(&self, place: Place, mark: Option<i64>) {
        self.expects(&place, mark);
        self.set(place.clone(), mark.unwrap_or(0));
        lock(&self.begun).insert(place);
        self.has_begun.store(true, Ordering::Release);
    }

    pub(super) fn set(&self, place: Place, next: i64) {
        lock(&self.durable).insert(place, next);
    }

    pub(super) fn forget(&self, place: &Place) {
        lock(&self.durable).remove(place);
        lock(&self.fetched).remove(place);
    }

    pub(super) fn all(&self) -> Offsets {
        lock(&self.durable).clone()
    }

    fn expected(&self, place: &Place) -> Option<i64> {
        lock(&self.fetched).get(place).copied()
    }

    fn expects(&self, place: &Place, next: Option<i64>) {
        let mut fetched = lock(&self.fetched);
        match next {
            Some(next) => fetched.insert(place.clone(), next),
            None => fetched.remove(place),
        };
    }

    fn begun(&self) -> BTreeSet<Place> {
        if !self.has_begun.swap(false, Ordering::Acquire) {
            return BTreeSet::new();
        }
        std::mem::take(&mut *lock(&self.begun))
    }
}

/// Messages of one partition, and the offset after the last.
pub(super) struct Share {
    pub(super) place: Place,
    pub(super) parcel: Parcel,
    pub(super) next: i64,
    /// Which offset should come next. One that was never read, and one that came to us again,
    /// begins where it begins.
    pub(super) expected: Option<i64>,
}

/// Messages of all partitions that are handled side by side.
pub(super) type Round = Vec<Share>;

/// What gathers for the next round.
#[derive(Default)]
pub(super) struct Gathered {
    shares: Vec<Share>,
    /// The one that the last message went to: messages of a partition come together.
    at: usize,
    messages: usize,
    bytes: usize,
    pub(super) since: Option<Instant>,
}

impl Gathered {
    pub(super) fn is_full(&self) -> bool {
        self.messages >= MESSAGES_MAX || self.bytes >= PARCEL_BYTES_MAX
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        let waited = |since| now.saturating_duration_since(since) >= LINGER;
        self.is_full() || self.since.is_some_and(waited)
    }

    pub(super) fn take(&mut self, done: &Done) -> Round {
        self.begin_anew(done);
        let whole = std::mem::take(self);
        for share in &whole.shares {
            done.expects(&share.place, share.expected);
        }
        whole.shares
    }

    /// What gathers of a partition.
    pub(super) fn share(
        &mut self,
        (topic, partition): (&str, i32),
        done: &Done,
    ) -> Option<&mut Share> {
        self.begin_anew(done);
        let is = |share: &Share| share.place.1 == partition && share.place.0 == topic;
        if !self.shares.get(self.at).is_some_and(is) {
            self.at = self.shares.iter().position(is).unwrap_or_else(|| {
                let place = (topic.to_owned(), partition);
                self.shares.push(Share {
                    next: 0,
                    expected: done.expected(&place),
                    place,
                    parcel: Parcel::default(),
                });
                self.shares.len() - 1
            });
        }
        self.shares.get_mut(self.at)
    }

    /// One message more, of so many bytes.
    pub(super) fn count(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes;
        self.since.get_or_insert_with(Instant::now);
    }

    /// Partitions that were taken from us and came back are read from their marks again.
    fn begin_anew(&mut self, done: &Done) {
        for place in done.begun() {
            let mut shares = self.shares.iter_mut();
            if let Some(share) = shares.find(|share| share.place == place) {
                share.expected = done.expected(&place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(gathered: &mut Gathered, done: &Done) -> Option<i64> {
        let share = gathered.share(("t", 1), done).expect("a share");
        share.expected
    }

    #[test]
    fn a_partition_that_comes_back_is_expected_from_its_mark() {
        let (done, mut gathered) = (Done::default(), Gathered::default());
        let place = ("t".to_owned(), 1);
        done.begin(place.clone(), None);
        assert_eq!(expected(&mut gathered, &done), None);
        let share = gathered.share(("t", 1), &done).expect("a share");
        (share.next, share.expected) = (21, Some(21));
        assert_eq!(gathered.take(&done).len(), 1);
        assert_eq!(expected(&mut gathered, &done), Some(21), "over the round");
        // It is taken away while something gathers, and comes back at its mark.
        done.forget(&place);
        done.begin(place.clone(), Some(10));
        assert_eq!(expected(&mut gathered, &done), Some(10));
        done.begin(place, Some(12));
        gathered.take(&done);
        assert_eq!(
            expected(&mut gathered, &done),
            Some(12),
            "also between rounds"
        );
    }
}
