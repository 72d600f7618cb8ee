//! What the app was answered, against what is in the books.

use lingqian_core::id::PayoutId;
use lingqian_core::time::Timestamp;
use lingqian_core::{Outcome, Rejection};

use super::{Accepted, Oracle};

impl Oracle {
    /// A withdrawal with a key was answered; `told` is whether somebody knew of its acceptance
    /// before this was asked.
    pub(crate) fn withdrawn(
        &mut self,
        name: &str,
        (digest, told): ([u8; 32], bool),
        answer: &Result<Outcome, Rejection>,
    ) {
        match answer {
            Ok(Outcome::Withdrawn {
                payout,
                amount,
                created_at,
                ..
            }) => {
                self.accepted_withdrawal(name, digest, (*payout, amount.0, *created_at));
            }
            Ok(other) => self.check(false, "acknowledged_exists", || {
                format!("{name} was answered with {other:?}")
            }),
            Err(rejection) => {
                let same = self
                    .keys
                    .get(name)
                    .is_some_and(|first| first.digest == digest);
                self.check(!(same && told), "same_key_same_answer", || {
                    format!("{name} was accepted and is now refused: {rejection}")
                });
            }
        }
    }

    fn accepted_withdrawal(
        &mut self,
        name: &str,
        digest: [u8; 32],
        (payout, fen, created_at): (PayoutId, i64, Timestamp),
    ) {
        let stored = self.payouts.get(&payout);
        let exists = stored.is_some_and(|watched| {
            watched.payout.amount.0 == fen && watched.payout.reference.as_str() == name
        });
        self.check(exists, "acknowledged_exists", || {
            format!("{name} was accepted with {fen} fen and is not in the books")
        });
        let Some(first) = self.keys.get(name).cloned() else {
            let accepted = Accepted {
                digest,
                payout,
                fen,
                created_at,
            };
            self.keys.insert(name.to_owned(), accepted);
            return;
        };
        self.check(first.digest == digest, "other_body_refused", || {
            format!("{name} was accepted again with another request")
        });
        let same = (first.payout, first.fen, first.created_at) == (payout, fen, created_at);
        self.check(same, "same_key_same_answer", || {
            format!(
                "{name} was first {} fen, then {fen} fen, or another payout",
                first.fen
            )
        });
    }

    /// An event was answered as known: it must have brought what was asked for.
    pub(crate) fn known_event(&mut self, event: &str, user: &str, micros: i64) {
        if !self.sees_all {
            return;
        }
        let brought = self.booked.get(event).map(|booked| {
            let own = booked.iter().filter(|(name, _)| name == user);
            own.map(|(_, micros)| *micros).sum::<i64>()
        });
        self.check(brought == Some(micros), "earned_once", || {
            format!("{event} is answered as known with {micros}, it brought {brought:?}")
        });
    }

    /// An event was answered as credited, now or before.
    pub(crate) fn credited(&mut self, event: &str) {
        if !self.sees_all {
            return;
        }
        let booked = self.booked.contains_key(event);
        self.check(booked, "acknowledged_exists", || {
            format!("{event} was acknowledged and is not in the books")
        });
    }
}
