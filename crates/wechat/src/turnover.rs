//! Two keys of one merchant while it changes from the old to the new one.
//!
//! Until a moment the old key signs, from then on the new one. Where WeChat answers `SIGN_ERROR`
//! the same request is sent once more, signed by the other key: it is the same order under the
//! same number, so it pays at most once, even if the first answer was forged. If the other key is
//! accepted, it signs for a while and a person is told; if it is refused as well, the keys are not
//! what is wrong, and nothing changes. A key that may be stolen must be taken out, not kept as the
//! old one.

use std::sync::atomic::{AtomicI64, Ordering};

use lingqian_core::time::Timestamp;

/// For so long the key that was refused does not sign; then it is tried again.
pub const SET_ASIDE_MS: i64 = 600_000;

/// One key, or two and the moment at which the second takes over.
#[derive(Debug)]
pub struct Turnover<S> {
    old: S,
    new: Option<(S, Timestamp)>,
    /// Until when the other key than the moment says signs; zero: not at all.
    swapped_until: AtomicI64,
}

impl<S> Turnover<S> {
    /// One key for ever.
    #[must_use]
    pub fn one(key: S) -> Turnover<S> {
        Turnover {
            old: key,
            new: None,
            swapped_until: AtomicI64::new(0),
        }
    }

    /// A second key that takes over at a moment.
    #[must_use]
    pub fn followed_by(self, new: S, from: Timestamp) -> Turnover<S> {
        Turnover {
            new: Some((new, from)),
            ..self
        }
    }

    /// The key that signs at a moment, and the other one.
    pub fn at(&self, now: Timestamp) -> (&S, Option<&S>) {
        let Some((new, from)) = &self.new else {
            return (&self.old, None);
        };
        let swapped = now.0 < self.swapped_until.load(Ordering::Relaxed);
        if (now >= *from) == swapped {
            (&self.old, Some(new))
        } else {
            (new, Some(&self.old))
        }
    }

    /// The key of the moment was refused and the other one accepted; answers whether that is news.
    pub fn swap(&self, now: Timestamp) -> bool {
        let until = if now.0 < self.swapped_until.load(Ordering::Relaxed) {
            0
        } else {
            now.0.saturating_add(SET_ASIDE_MS)
        };
        self.swapped_until.swap(until, Ordering::Relaxed) != until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_key_takes_over_at_its_moment_and_is_set_aside_for_a_while() {
        let keys = Turnover::one("old").followed_by("new", Timestamp(1_000));
        let at = |ms| *keys.at(Timestamp(ms)).0;
        assert_eq!((at(999), at(1_000)), ("old", "new"));
        assert!(keys.swap(Timestamp(2_000)));
        assert_eq!((at(2_001), at(2_000 + SET_ASIDE_MS)), ("old", "new"));
        assert_eq!(keys.at(Timestamp(2_001)).1, Some(&"new"));
        let keys = Turnover::one("only");
        assert_eq!(keys.at(Timestamp(5)), (&"only", None));
    }
}
