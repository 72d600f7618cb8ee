//! Turns one earning event into one entry, exactly once.
//!
//! `(source, event_id)` names an event for ever. The same id with the same content answers
//! "already credited"; with other content it is a conflict and changes nothing.

use crate::changes::Changes;
use crate::command::{Outcome, Rejection};
use crate::execute::Moment;
use crate::facts::Facts;
use crate::id::{EventId, KindCode, KindNo, Source, UserId, UserNo};
use crate::ledger::{Account, Cause, Entry};
use crate::money::{AMOUNT_MAX, Micros};
use crate::time::Timestamp;

/// An event may be dated this far ahead of our clock, for senders whose clock is fast.
pub const CLOCK_SKEW_MAX_MS: i64 = 24 * 3_600_000;

/// A kind of earning in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The number of its funding account.
    pub no: KindNo,
    /// What events call it.
    pub code: KindCode,
    /// The fixed price; without one every event brings its own amount.
    pub price: Option<Micros>,
    /// The largest amount that one event may bring.
    pub amount_max: Micros,
    /// The tax class of this income, such as `labour`, `commission`, `incidental`.
    pub tax_class: String,
}

/// What the app says happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarningEvent {
    /// Where it comes from.
    pub source: Source,
    /// Its name within the source.
    pub event_id: EventId,
    /// Who earned.
    pub user: UserId,
    /// What for.
    pub kind: KindCode,
    /// How much; may be left out for a kind with a price.
    pub amount: Option<Micros>,
    /// When it happened, where the app says so.
    pub occurred_at: Option<Timestamp>,
}

/// A credited event, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earning {
    /// Where it came from.
    pub source: Source,
    /// Its name within the source.
    pub event_id: EventId,
    /// Who earned.
    pub user: UserNo,
    /// What for.
    pub kind: KindNo,
    /// How much was credited.
    pub amount: Micros,
    /// When it happened, by the app's word.
    pub occurred_at: Option<Timestamp>,
    /// When it was credited.
    pub recorded_at: Timestamp,
}

/// Decides on one event.
///
/// # Errors
/// The first rule that the event breaks; nothing changes then.
pub fn earn(
    moment: &Moment<'_>,
    event: &EarningEvent,
    facts: &Facts,
) -> Result<(Changes, Outcome), Rejection> {
    let user = facts.user(&event.user).ok_or(Rejection::UnknownUser)?.no;
    let kind = facts.kind(&event.kind).ok_or(Rejection::UnknownKind)?;
    if let Some(known) = facts.earning(&event.source, &event.event_id) {
        return if is_same(known, event, user, kind.no) {
            Ok((Changes::default(), Outcome::AlreadyCredited))
        } else {
            Err(Rejection::EventConflict)
        };
    }
    let amount = price(kind, event.amount)?;
    if event
        .occurred_at
        .is_some_and(|at| at.since_ms(moment.now) > CLOCK_SKEW_MAX_MS)
    {
        return Err(Rejection::OccurredInFuture);
    }
    let sides = (Account::Funding(kind.no), Account::Available(user));
    let entry = Entry::new(sides, amount, Cause::Earn, None, moment.now)
        .ok_or(Rejection::AmountOutOfRange { max: AMOUNT_MAX })?;
    let earning = Earning {
        source: event.source.clone(),
        event_id: event.event_id.clone(),
        user,
        kind: kind.no,
        amount,
        occurred_at: event.occurred_at,
        recorded_at: moment.now,
    };
    let changes = Changes {
        earnings: vec![(earning, entry)],
        ..Changes::default()
    };
    Ok((changes, Outcome::Credited { amount }))
}

/// A price may have changed since, so an event without an amount is compared without one.
fn is_same(known: &Earning, event: &EarningEvent, user: UserNo, kind: KindNo) -> bool {
    known.user == user
        && known.kind == kind
        && event.amount.is_none_or(|amount| amount == known.amount)
        && event.occurred_at == known.occurred_at
}

fn price(kind: &Kind, given: Option<Micros>) -> Result<Micros, Rejection> {
    let amount = match (given, kind.price) {
        (Some(given), Some(price)) if given != price => {
            return Err(Rejection::AmountNotThePrice { price });
        }
        (Some(given), _) => given,
        (None, Some(price)) => price,
        (None, None) => return Err(Rejection::AmountMissing),
    };
    if amount <= Micros::ZERO {
        return Err(Rejection::AmountNotPositive);
    }
    let max = kind.amount_max.min(AMOUNT_MAX);
    if amount > max {
        Err(Rejection::AmountOutOfRange { max })
    } else {
        Ok(amount)
    }
}
