//! Which event comes next: a new one, one that was sent before, or one that will be refused.

use fastrand::Rng;

use crate::bench::options::Share;

/// Numbers of one stream of events; streams share none.
pub(crate) const STREAM: u64 = 1 << 40;

/// Numbers from here on belong to events that are refused; they are never sent again.
const REFUSED: u64 = 1 << 39;

/// This share of the events names a user whom nobody registered.
const REFUSED_SHARE: u32 = Share::WHOLE / 1_000;

/// Half of what is resent was among so many last new events.
const RECENT: u64 = 10_000;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// An event that was never sent.
    New(u64),
    /// One that was.
    Again(u64),
    /// One that names nobody.
    Refused(u64),
}

/// One stream of events.
pub(crate) struct Mix {
    rng: Rng,
    first: u64,
    duplicates: Share,
    new: u64,
    refused: u64,
}

impl Mix {
    /// The stream of that place.
    pub(crate) fn new(seed: u64, stream: u32, duplicates: Share) -> Mix {
        Mix {
            rng: Rng::with_seed(seed ^ (u64::from(stream) << 32) ^ 0x6d69_7821),
            first: u64::from(stream) * STREAM,
            duplicates,
            new: 0,
            refused: 0,
        }
    }

    /// The next event.
    pub(crate) fn draw(&mut self) -> Next {
        let dice = self.rng.u32(0..Share::WHOLE);
        if dice < self.duplicates.0 && self.new > 0 {
            let reach = if dice.is_multiple_of(2) {
                RECENT
            } else {
                u64::MAX
            };
            let back = self.rng.u64(0..self.new.min(reach));
            return Next::Again(self.first + self.new - 1 - back);
        }
        if dice >= Share::WHOLE - REFUSED_SHARE {
            self.refused += 1;
            return Next::Refused(self.first + REFUSED + self.refused - 1);
        }
        self.new += 1;
        Next::New(self.first + self.new - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn shares_are_kept_and_only_what_was_sent_is_sent_again() {
        let mut mix = Mix::new(1, 3, Share(20_000));
        let (mut sent, mut again, mut refused) = (BTreeSet::new(), 0, 0);
        for _ in 0..100_000 {
            match mix.draw() {
                Next::New(number) => assert!(sent.insert(number), "a new one is new"),
                Next::Again(number) => {
                    assert!(sent.contains(&number), "an old one was sent");
                    again += 1;
                }
                Next::Refused(number) => {
                    assert!(!sent.contains(&number));
                    refused += 1;
                }
            }
        }
        assert!((1_800..2_200).contains(&again), "{again} of 2,000");
        assert!((60..140).contains(&refused), "{refused} of 100");
        assert!(sent.iter().all(|number| number / STREAM == 3));
    }
}
