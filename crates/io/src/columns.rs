//! What stores in tables write alike: the state of a payout in columns, and text that is read
//! back. Text that does not read back is a damaged store, never a panic.

use lingqian_core::id::{AppId, IdFault, OutBillNo, PayoutId};
use lingqian_core::payout::{Attempt, Payout, Queue, Review, State};
use lingqian_core::risk::Reason;
use lingqian_core::time::Timestamp;

use crate::fault::Fault;
use crate::text::{actors_text, read_actors, read_apps, read_report};

/// A value in `place` that does not read back.
#[must_use]
pub fn damaged(place: &str) -> Fault {
    Fault::Broken(format!("{place} holds something that was never written"))
}

/// Reads a typed id from text.
///
/// # Errors
/// When it was never written.
pub fn id<T>(text: &str, parse: fn(&str) -> Result<T, IdFault>, place: &str) -> Result<T, Fault> {
    parse(text).map_err(|_| damaged(place))
}

/// Digests are 32 bytes.
///
/// # Errors
/// When these are fewer or more.
pub fn digest(bytes: &[u8], place: &str) -> Result<[u8; 32], Fault> {
    bytes.try_into().map_err(|_| damaged(place))
}

/// A queue from its name.
///
/// # Errors
/// When it was never written.
pub fn queue(name: &str) -> Result<Queue, Fault> {
    Queue::from_name(name).ok_or_else(|| damaged("work.queue"))
}

/// A payout's name.
///
/// # Errors
/// When it was never written.
pub fn payout_id(text: &str) -> Result<PayoutId, Fault> {
    id(text, PayoutId::parse, "a payout's name")
}

/// The pairs of a scene's report.
///
/// # Errors
/// When they were never written.
pub fn report(text: &str) -> Result<Vec<(String, String)>, Fault> {
    read_report(text).ok_or_else(|| damaged("a scene report"))
}

/// The apps of a merchant.
///
/// # Errors
/// When they were never written.
pub fn apps(text: &str) -> Result<Vec<AppId>, Fault> {
    read_apps(text).ok_or_else(|| damaged("the apps of a merchant"))
}

/// What a state has beside its name and its attempt, as columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateData {
    /// Why it is in this state; several reasons are separated by commas.
    pub code: Option<String>,
    /// What the user's confirmation needs.
    pub package: Option<String>,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
    /// Who approved it so far.
    pub approvals: Option<String>,
}

impl From<&State> for StateData {
    fn from(state: &State) -> StateData {
        let none = StateData::default();
        match state {
            State::Deferred(_, code) | State::Unknown(_, code) | State::Failed(_, code) => {
                StateData {
                    code: Some(code.clone()),
                    ..none
                }
            }
            State::Review(review) => StateData {
                code: Some(codes(&review.reasons)),
                approvals: Some(actors_text(&review.approvals)),
                ..none
            },
            State::Refused(reasons) => StateData {
                code: Some(codes(reasons)),
                ..none
            },
            State::AwaitingUser(_, package) => StateData {
                package: package.clone(),
                ..none
            },
            State::Paid(_, at) => StateData {
                paid_at: Some(*at),
                ..none
            },
            State::Requested
            | State::Approved
            | State::Sending(_)
            | State::Processing(_)
            | State::Cancelling(_)
            | State::Expired(_)
            | State::Cancelled(_) => none,
        }
    }
}

impl StateData {
    /// The state of this name with this attempt.
    ///
    /// # Errors
    /// When no such state was ever written.
    pub fn state(self, name: &str, attempt: Option<Attempt>) -> Result<State, Fault> {
        let lacking = || damaged("payouts, a state without its data,");
        let code = || self.code.clone().ok_or_else(lacking);
        let begun = || attempt.clone().ok_or_else(lacking);
        Ok(match name {
            "requested" => State::Requested,
            "review" => State::Review(Review {
                reasons: reasons(&code()?)?,
                approvals: (self.approvals.as_deref())
                    .and_then(read_actors)
                    .ok_or_else(lacking)?,
            }),
            "approved" => State::Approved,
            "sending" => State::Sending(begun()?),
            "deferred" => State::Deferred(begun()?, code()?),
            "unknown" => State::Unknown(begun()?, code()?),
            "processing" => State::Processing(begun()?),
            "awaiting_user" => State::AwaitingUser(begun()?, self.package),
            "cancelling" => State::Cancelling(begun()?),
            "paid" => State::Paid(begun()?, self.paid_at.ok_or_else(lacking)?),
            "failed" => State::Failed(begun()?, code()?),
            "expired" => State::Expired(begun()?),
            "cancelled" => State::Cancelled(attempt),
            "refused" => State::Refused(reasons(&code()?)?),
            _ => return Err(damaged("payouts.state")),
        })
    }
}

fn codes(reasons: &[Reason]) -> String {
    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code()).collect();
    codes.join(",")
}

fn reasons(codes: &str) -> Result<Vec<Reason>, Fault> {
    let reason = |code| Reason::from_code(code).ok_or_else(|| damaged("payouts.code"));
    codes.split(',').map(reason).collect()
}

/// The first and the last number of a payout's attempts that ended while it went on; nothing
/// where there are none.
#[must_use]
pub fn earlier_numbers(payout: &Payout) -> Option<(String, String)> {
    let number = |attempt| OutBillNo::new(payout.id, attempt).to_string();
    (payout.tries > 0).then(|| (number(1), number(payout.tries)))
}

/// Between these two texts are the seats of a batch, and no others.
#[must_use]
pub fn seats_of(batch: OutBillNo) -> (String, String) {
    // The character after the one between number and place.
    (format!("{batch}/"), format!("{batch}0"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lingqian_core::id::{MerchantNo, PayoutId, Reference, UserNo};
    use lingqian_core::money::Fen;
    use lingqian_core::payout::Asked;
    use lingqian_core::time::Timestamp;

    #[test]
    fn earlier_numbers_are_of_this_payout_alone() {
        // A name that ends as its first number does must not lend its end to the number.
        let payout = |tries| Payout {
            id: PayoutId::from_bits((7 << 80) | 1),
            user: UserNo(1),
            merchant: MerchantNo(1),
            amount: Fen(1),
            reference: Reference::parse("r").expect("an id"),
            asked: Asked::ByRequest,
            created_at: Timestamp(7),
            updated_at: Timestamp(7),
            version: 1,
            counted_on: None,
            billed: Fen::ZERO,
            tries,
            state: State::Approved,
        };
        assert_eq!(earlier_numbers(&payout(0)), None);
        let (first, last) = earlier_numbers(&payout(2)).expect("two ended");
        assert!(first.ends_with("0101") && last.ends_with("0102"));
        assert_eq!((first.len(), last.len()), (30, 30));
    }

    #[test]
    fn a_state_without_its_data_or_of_no_name_is_damage() {
        for (name, data) in [
            ("requested", StateData::default()),
            ("approved", StateData::default()),
            ("cancelled", StateData::default()),
        ] {
            let state = data.clone().state(name, None).expect("it was written");
            assert_eq!((state.name(), StateData::from(&state)), (name, data));
        }
        let reviewed = StateData {
            code: Some(codes(&Reason::ALL)),
            approvals: Some("key:a cli:b".into()),
            ..StateData::default()
        };
        let state = reviewed.clone().state("review", None).expect("written");
        assert_eq!(StateData::from(&state), reviewed);
        for name in [
            "review",
            "refused",
            "sending",
            "paid",
            "unknown",
            "somewhere",
        ] {
            let refused = StateData::default().state(name, None);
            assert!(
                matches!(refused, Err(Fault::Broken(_))),
                "{name}: {refused:?}"
            );
        }
        let odd = StateData {
            code: Some("no_such_reason".into()),
            ..StateData::default()
        };
        assert_eq!(odd.state("refused", None), Err(damaged("payouts.code")));
    }
}
