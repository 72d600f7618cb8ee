//! Earning events: what the app says happened, what is kept of it, and the one rule that turns
//! an event into entries, exactly once.
//!
//! `(source, event_id)` names an event for ever. The same id with the same content answers
//! "already credited"; with other content it is a conflict and changes nothing.
//!
//! The rule looks at a [`Case`] of plain values and not at a container of facts, so that a test
//! may fill it from maps and a store that posts a million events a second from flat arrays.

use crate::Rejection;
use crate::id::{EventId, KindCode, KindNo, Source, UserId, UserNo};
use crate::ledger::{Account, Cause, Entry};
use crate::money::{AMOUNT_MAX, BALANCE_MAX, Micros};
use crate::time::{BusinessDate, Timestamp};

/// An event may be dated this far ahead of our clock, for senders whose clock is fast.
pub const CLOCK_SKEW_MAX_MS: i64 = 24 * 3_600_000;

/// The longest cooling-off, in days.
pub const COOLING_DAYS_MAX: u16 = 366;

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
    /// What holds for it beyond the amount.
    pub terms: Terms,
}

/// What holds for a kind beyond the amount of one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What one user may be credited in one business day.
    pub user_day_amount_max: Option<Micros>,
    /// How many events of one user are credited in one business day.
    pub user_day_count_max: Option<u32>,
    /// So many days the money cannot be withdrawn; at most [`COOLING_DAYS_MAX`].
    pub cooling_days: u16,
    /// The money comes from another user, whom the event names. Caps count for the sender.
    pub between_users: bool,
}

impl Terms {
    /// Whether what a user got on a day must be counted.
    #[must_use]
    pub fn capped(&self) -> bool {
        self.user_day_amount_max.is_some() || self.user_day_count_max.is_some()
    }
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
    /// How much; may be left out for a kind with a price, and for a claw-back of all that is
    /// left.
    pub amount: Option<Micros>,
    /// When it happened, where the app says so.
    pub occurred_at: Option<Timestamp>,
    /// Whose money it is, for a kind between users.
    pub from: Option<UserId>,
    /// The event of the same source that this one takes back.
    pub reverses: Option<EventId>,
}

/// A booked event, as it is kept.
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
    /// How much was credited, or taken back.
    pub amount: Micros,
    /// When it happened, by the app's word.
    pub occurred_at: Option<Timestamp>,
    /// When it was booked.
    pub recorded_at: Timestamp,
    /// Whose money it was, for a kind between users.
    pub from: Option<UserNo>,
    /// The event of the same source that it takes back.
    pub reverses: Option<EventId>,
    /// From when on the money may be withdrawn, where the kind cools off.
    pub matures_on: Option<BusinessDate>,
    /// How much of it paid a debt at once; that much never cools off.
    pub repaid: Micros,
    /// How much later events took back of it.
    pub clawed: Micros,
}

impl Earning {
    /// What the rule compares and counts.
    #[must_use]
    pub fn known(&self) -> Known<'_> {
        Known {
            user: self.user,
            kind: self.kind,
            amount: self.amount,
            occurred_at: self.occurred_at,
            from: self.from,
            reverses: self.reverses.as_ref().map(EventId::as_str),
            matures_on: self.matures_on,
            repaid: self.repaid,
            clawed: self.clawed,
        }
    }
}

/// A booked event, as the rule looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known<'a> {
    /// Who earned.
    pub user: UserNo,
    /// What for.
    pub kind: KindNo,
    /// How much.
    pub amount: Micros,
    /// When it happened, by the app's word.
    pub occurred_at: Option<Timestamp>,
    /// Whose money it was.
    pub from: Option<UserNo>,
    /// The event that it takes back.
    pub reverses: Option<&'a str>,
    /// From when on the money may be withdrawn.
    pub matures_on: Option<BusinessDate>,
    /// How much of it paid a debt at once; that much never cools off.
    pub repaid: Micros,
    /// How much later events took back of it.
    pub clawed: Micros,
}

impl Known<'_> {
    /// By how much what cools off falls when so much more of it is taken back: what cools is
    /// taken first, and what paid a debt never did cool.
    #[must_use]
    pub fn cools_less(&self, amount: Micros) -> Micros {
        let brought = self.amount.minus(self.repaid);
        let left = brought.and_then(|brought| brought.minus(self.clawed));
        left.map_or(Micros::ZERO, |left| left.max(Micros::ZERO).min(amount))
    }
}

/// What one user got of one kind on one business day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindDay {
    /// Which day.
    pub day: BusinessDate,
    /// How many events.
    pub count: u32,
    /// Their sum.
    pub amount: Micros,
}

impl KindDay {
    /// The totals that count on `day`. A clock that was set back does not reopen an earlier day.
    #[must_use]
    pub fn on(self, day: BusinessDate) -> KindDay {
        if self.day >= day {
            return self;
        }
        KindDay {
            day,
            ..KindDay::default()
        }
    }

    /// The totals with one event more, or nothing when they leave their range.
    #[must_use]
    pub fn with(self, amount: Micros) -> Option<KindDay> {
        Some(KindDay {
            day: self.day,
            count: self.count.checked_add(1)?,
            amount: self.amount.plus(amount)?,
        })
    }
}

/// What a user has, as far as the rule looks at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purse {
    /// The balance of the available account.
    pub available: Micros,
    /// How much of it still cools off.
    pub cooling: Micros,
    /// What the user owes after claw-backs; never negative.
    pub owed: Micros,
}

impl Purse {
    /// What can be withdrawn or sent: neither what cools off nor what is owed.
    #[must_use]
    pub fn spendable(self) -> Micros {
        let set_aside = self.cooling.plus(self.owed);
        let left = set_aside.and_then(|aside| self.available.minus(aside));
        left.map_or(Micros::ZERO, |left| left.max(Micros::ZERO))
    }
}

/// One event and everything that the books say about what it names.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The amount that the event brings.
    pub amount: Option<Micros>,
    /// When it happened, by the app's word.
    pub occurred_at: Option<Timestamp>,
    /// The event that it takes back.
    pub reverses: Option<&'a str>,
    /// Whether it names a sender.
    pub names_sender: bool,
    /// The user that it names, unless nobody is registered under that name.
    pub user: Option<UserNo>,
    /// The kind that it names, where the catalogue has it.
    pub kind: Option<&'a Kind>,
    /// The sender that it names, unless nobody is registered under that name.
    pub sender: Option<UserNo>,
    /// What was booked under its name before.
    pub known: Option<Known<'a>>,
    /// What was booked under the name that it takes back.
    pub original: Option<Known<'a>>,
    /// What the user has.
    pub purse: Purse,
    /// What the sender has.
    pub sender_purse: Purse,
    /// What the user whose cap counts (the sender, where there is one) got of the kind.
    pub counted: KindDay,
}

/// What comes of an event that is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was booked before, with this amount.
    Known,
    /// It is booked now.
    Booked(Booking),
}

/// How an event is booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booking {
    /// The event's own amount.
    pub amount: Micros,
    /// The movement that bears the event's name.
    pub first: Leg,
    /// A movement that follows from it.
    pub second: Option<Leg>,
    /// The totals of the user and kind whose cap counts, as they are from now on.
    pub counted: Option<(UserNo, KindDay)>,
    /// From when on the money may be withdrawn.
    pub matures_on: Option<BusinessDate>,
    /// By how much what cools off until a day changes for the event's user.
    pub cooling: Option<(BusinessDate, Micros)>,
}

/// One movement of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The account that gives.
    pub debit: Account,
    /// The account that receives.
    pub credit: Account,
    /// How much.
    pub amount: Micros,
    /// Why.
    pub cause: Cause,
}

impl Booking {
    /// How much of the event paid a debt.
    #[must_use]
    pub fn repaid(&self) -> Micros {
        let second = self.second.filter(|leg| leg.cause == Cause::Repay);
        second.map_or(Micros::ZERO, |leg| leg.amount)
    }
}

impl Leg {
    /// The movement as an entry, or nothing when it moves nothing.
    #[must_use]
    pub fn entry(self, at: Timestamp) -> Option<Entry> {
        Entry::new((self.debit, self.credit), self.amount, self.cause, None, at)
    }
}

/// What an event that is not refused is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credited {
    /// It was booked just now, with this amount.
    Now(Micros),
    /// It had been booked before.
    Before,
}

/// Decides on one event.
///
/// # Errors
/// The first rule that the event breaks; nothing changes then.
#[inline]
pub fn decide(now: Timestamp, case: &Case<'_>) -> Result<Verdict, Rejection> {
    let user = case.user.ok_or(Rejection::UnknownUser)?;
    let kind = case.kind.ok_or(Rejection::UnknownKind)?;
    if let Some(known) = &case.known {
        return if is_same(known, case, user, kind.no) {
            Ok(Verdict::Known)
        } else {
            Err(Rejection::EventConflict)
        };
    }
    if case
        .occurred_at
        .is_some_and(|at| at.since_ms(now) > CLOCK_SKEW_MAX_MS)
    {
        return Err(Rejection::OccurredInFuture);
    }
    let booking = if case.reverses.is_some() {
        claw_back(case, user, kind, now)?
    } else {
        credit(case, user, kind, now)?
    };
    Ok(Verdict::Booked(booking))
}

/// A price may have changed since, so an event without an amount is compared without one.
fn is_same(known: &Known<'_>, case: &Case<'_>, user: UserNo, kind: KindNo) -> bool {
    known.user == user
        && known.kind == kind
        && case.amount.is_none_or(|amount| amount == known.amount)
        && case.occurred_at == known.occurred_at
        && known.reverses == case.reverses
        && known.from.is_some() == case.names_sender
        && known.from == case.sender
}

/// New money, or another user's.
fn credit(
    case: &Case<'_>,
    user: UserNo,
    kind: &Kind,
    now: Timestamp,
) -> Result<Booking, Rejection> {
    let payer = payer(case, user, kind)?;
    let amount = price(kind, case.amount)?;
    if payer.is_some() && case.sender_purse.spendable() < amount {
        return Err(Rejection::InsufficientFunds);
    }
    if case
        .purse
        .available
        .plus(amount)
        .is_none_or(|sum| sum > BALANCE_MAX)
    {
        return Err(Rejection::BalanceOutOfRange);
    }
    let today = now.business_date();
    let counted = counted(case, kind, amount, today)?;
    let repaid = case.purse.owed.min(amount);
    let available = Account::Available(user);
    let second = (repaid > Micros::ZERO).then_some(Leg {
        debit: available,
        credit: Account::Receivable(user),
        amount: repaid,
        cause: Cause::Repay,
    });
    let matures_on = today.after_days(kind.terms.cooling_days);
    let left = amount.minus(repaid).unwrap_or(Micros::ZERO);
    let cooling = matures_on
        .filter(|_| left > Micros::ZERO)
        .map(|day| (day, left));
    Ok(Booking {
        amount,
        first: Leg {
            debit: payer.map_or(Account::Funding(kind.no), Account::Available),
            credit: available,
            amount,
            cause: payer.map_or(Cause::Earn, |_| Cause::Transfer),
        },
        second,
        counted: counted.map(|totals| (payer.unwrap_or(user), totals)),
        matures_on,
        cooling,
    })
}

/// The sender of a kind between users.
fn payer(case: &Case<'_>, user: UserNo, kind: &Kind) -> Result<Option<UserNo>, Rejection> {
    if !kind.terms.between_users {
        return if case.names_sender {
            Err(Rejection::SenderNotAllowed)
        } else {
            Ok(None)
        };
    }
    if !case.names_sender {
        return Err(Rejection::SenderMissing);
    }
    let sender = case.sender.ok_or(Rejection::UnknownSender)?;
    if sender == user {
        return Err(Rejection::SenderIsReceiver);
    }
    Ok(Some(sender))
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

/// The totals with this event, where the kind has a cap.
fn counted(
    case: &Case<'_>,
    kind: &Kind,
    amount: Micros,
    today: BusinessDate,
) -> Result<Option<KindDay>, Rejection> {
    if !kind.terms.capped() {
        return Ok(None);
    }
    let totals = case.counted.on(today).with(amount);
    let totals = totals.ok_or(Rejection::DayCapReached)?;
    let Terms {
        user_day_amount_max,
        user_day_count_max,
        ..
    } = kind.terms;
    let over = user_day_amount_max.is_some_and(|max| totals.amount > max)
        || user_day_count_max.is_some_and(|max| totals.count > max);
    if over {
        Err(Rejection::DayCapReached)
    } else {
        Ok(Some(totals))
    }
}

/// Takes back what an earlier event brought: from the balance as far as it reaches, the rest
/// becomes a debt that later earnings pay first.
fn claw_back(
    case: &Case<'_>,
    user: UserNo,
    kind: &Kind,
    now: Timestamp,
) -> Result<Booking, Rejection> {
    let original = case.original.ok_or(Rejection::UnknownEvent)?;
    if case.names_sender {
        return Err(Rejection::SenderNotAllowed);
    }
    if original.reverses.is_some() || original.from.is_some() {
        return Err(Rejection::NotReversible);
    }
    if (original.user, original.kind) != (user, kind.no) {
        return Err(Rejection::OriginalDiffers);
    }
    let left = original.amount.minus(original.clawed);
    let left = left.filter(|left| *left > Micros::ZERO);
    let left = left.ok_or(Rejection::AlreadyTakenBack)?;
    let amount = case.amount.unwrap_or(left);
    if amount <= Micros::ZERO {
        return Err(Rejection::AmountNotPositive);
    }
    if amount > left {
        return Err(Rejection::AmountOutOfRange { max: left });
    }
    let taken = case.purse.available.min(amount);
    let owed = amount.minus(taken).unwrap_or(Micros::ZERO);
    if case
        .purse
        .owed
        .plus(owed)
        .is_none_or(|sum| sum > BALANCE_MAX)
    {
        return Err(Rejection::BalanceOutOfRange);
    }
    let leg = |debit, amount, cause| Leg {
        debit,
        credit: Account::Funding(kind.no),
        amount,
        cause,
    };
    let from_balance = leg(Account::Available(user), taken, Cause::ClawBack);
    let (first, second) = if taken == Micros::ZERO {
        let owing = leg(Account::Receivable(user), amount, Cause::ClawBack);
        (owing, None)
    } else {
        let owing = leg(Account::Receivable(user), owed, Cause::Owe);
        (from_balance, (owed > Micros::ZERO).then_some(owing))
    };
    let cools = original.matures_on.filter(|day| *day > now.business_date());
    let less = Some(original.cools_less(amount)).filter(|less| *less > Micros::ZERO);
    Ok(Booking {
        amount,
        first,
        second,
        counted: None,
        matures_on: None,
        cooling: cools.and_then(|day| Some((day, Micros::ZERO.minus(less?)?))),
    })
}
