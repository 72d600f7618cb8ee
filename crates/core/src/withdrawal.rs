//! Turns a request for money into a hold on the balance and a payout that waits for risk.
//!
//! Like the rule of earning, the rule looks at a [`Case`] of plain values, so that a store which
//! answers many requests a second need not fill a container of facts for each.

use crate::changes::{Changes, HistoryLine, Work};
use crate::command::{IdempotencyKey, Outcome};
use crate::earning::Purse;
use crate::execute::{Decision, Moment};
use crate::facts::{Facts, RememberedAnswer};
use crate::id::{MerchantNo, PayoutId, Reference, UserId, UserNo};
use crate::ledger::{Account, Cause, Entry};
use crate::money::{AMOUNT_MAX, Fen, Micros};
use crate::payout::{Asked, Payout, Queue, State};
use crate::rejection::Rejection;
use crate::time::Timestamp;
use crate::user::DayTotals;

/// How much a withdrawal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Exactly this.
    Exactly(Fen),
    /// All whole fen of the balance, up to what the limits leave for today.
    All,
}

/// Somebody wants money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// The new payout's name.
    pub payout: PayoutId,
    /// Whose money.
    pub user: UserId,
    /// How much.
    pub wanted: Wanted,
    /// The caller's name for it, unique for ever.
    pub reference: Reference,
    /// Who asks.
    pub asked: Asked,
    /// The idempotency key and the SHA-256 of the request, where there is one.
    pub key: Option<(IdempotencyKey, [u8; 32])>,
}

/// One request and everything that the books say about what it names.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// How much it asks for.
    pub wanted: Wanted,
    /// SHA-256 of the request, where it bears an idempotency key.
    pub digest: Option<&'a [u8; 32]>,
    /// What its key was answered with before.
    pub answer: Option<&'a RememberedAnswer>,
    /// Whether its reference names an earlier withdrawal.
    pub reference_used: bool,
    /// The user that it names, unless nobody is registered under that name.
    pub user: Option<UserNo>,
    /// The merchant that pays, where there is one.
    pub merchant: Option<MerchantNo>,
    /// What the user has.
    pub purse: Purse,
    /// What was approved for the user today; looked at only by one who wants all.
    pub today: DayTotals,
}

/// What comes of a request that is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It was accepted before.
    Replayed(&'a RememberedAnswer),
    /// Money is set aside for it now.
    Held(Held),
}

/// How much of whose money is set aside, and who is to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Whose money.
    pub user: UserNo,
    /// The merchant that pays.
    pub merchant: MerchantNo,
    /// How much; whole fen.
    pub amount: Fen,
    /// The same in micro-yuan.
    pub micros: Micros,
}

impl Held {
    /// The payout of an accepted request, as it is born.
    #[must_use]
    pub fn payout(&self, request: &Withdrawal, now: Timestamp) -> Payout {
        Payout {
            id: request.payout,
            user: self.user,
            merchant: self.merchant,
            amount: self.amount,
            reference: request.reference.clone(),
            asked: request.asked,
            created_at: now,
            updated_at: now,
            version: 1,
            counted_on: None,
            billed: Fen::ZERO,
            tries: 0,
            state: State::Requested,
        }
    }

    /// What an accepted request is answered with.
    #[must_use]
    pub fn outcome(&self, payout: PayoutId, now: Timestamp) -> Outcome {
        Outcome::Withdrawn {
            payout,
            amount: self.amount,
            created_at: now,
            replayed: false,
        }
    }
}

impl RememberedAnswer {
    /// What a request is answered with that was accepted before.
    #[must_use]
    pub fn replayed(&self) -> Outcome {
        Outcome::Withdrawn {
            payout: self.payout,
            amount: self.amount,
            created_at: self.created_at,
            replayed: true,
        }
    }
}

/// Decides on one request. Only an acceptance is remembered under the key: what was refused
/// changed nothing and may be asked again.
///
/// # Errors
/// The first rule that the request breaks; nothing changes then.
pub fn decide<'a>(moment: &Moment<'_>, case: &Case<'a>) -> Result<Verdict<'a>, Rejection> {
    if let (Some(digest), Some(answer)) = (case.digest, case.answer) {
        return if answer.digest == *digest {
            Ok(Verdict::Replayed(answer))
        } else {
            Err(Rejection::KeyReused)
        };
    }
    if case.reference_used {
        return Err(Rejection::ReferenceUsed);
    }
    let user = case.user.ok_or(Rejection::UnknownUser)?;
    let merchant = case.merchant.ok_or(Rejection::UnknownMerchant)?;
    let amount = amount(moment, case)?;
    let out_of_range = Rejection::AmountOutOfRange { max: AMOUNT_MAX };
    let micros = amount.micros().ok_or(out_of_range.clone())?;
    if micros > case.purse.spendable() {
        return Err(Rejection::InsufficientFunds);
    }
    if micros > AMOUNT_MAX {
        return Err(out_of_range);
    }
    Ok(Verdict::Held(Held {
        user,
        merchant,
        amount,
        micros,
    }))
}

fn amount(moment: &Moment<'_>, case: &Case<'_>) -> Result<Fen, Rejection> {
    match case.wanted {
        Wanted::Exactly(amount) if amount <= Fen::ZERO => Err(Rejection::AmountNotPositive),
        Wanted::Exactly(amount) => Ok(amount),
        Wanted::All => {
            let left = moment.policy.user_day_amount_max.minus(case.today.amount);
            let amount = case
                .purse
                .spendable()
                .whole_fen()
                .min(moment.policy.payout_max)
                .min(left.unwrap_or(Fen::ZERO));
            let min = moment.policy.payout_min;
            if amount < min {
                Err(Rejection::BelowMinimum { min })
            } else {
                Ok(amount)
            }
        }
    }
}

/// Decides on one request by facts.
///
/// # Errors
/// The first rule that the request breaks; nothing changes then.
pub(crate) fn withdraw(moment: &Moment<'_>, request: &Withdrawal, facts: &Facts) -> Decision {
    let today = moment.now.business_date();
    let user = facts.user(&request.user).map(|user| user.no);
    let wallet = user.map(|user| facts.wallet(user));
    let case = Case {
        wanted: request.wanted,
        digest: request.key.as_ref().map(|(_, digest)| digest),
        answer: request.key.as_ref().and_then(|(key, _)| facts.answer(key)),
        reference_used: facts.reference_used(&request.reference),
        user,
        merchant: facts.paying_merchant().map(|merchant| merchant.no),
        purse: wallet.map_or_else(Purse::default, |wallet| wallet.purse(today)),
        today: wallet.map_or_else(DayTotals::default, |wallet| wallet.day(today)),
    };
    match decide(moment, &case)? {
        Verdict::Replayed(answer) => Ok((Changes::default(), answer.replayed())),
        Verdict::Held(held) => accepted(moment.now, request, &held),
    }
}

fn accepted(now: Timestamp, request: &Withdrawal, held: &Held) -> Decision {
    let payout = held.payout(request, now);
    let (id, user) = (payout.id, held.user);
    let sides = (Account::Available(user), Account::Held(user));
    let hold = Entry::new(sides, held.micros, Cause::Hold, Some(id), now);
    let out_of_range = Rejection::AmountOutOfRange { max: AMOUNT_MAX };
    let hold = hold.ok_or(out_of_range)?;
    let answers = request.key.iter().map(|(key, digest)| {
        let answer = RememberedAnswer {
            digest: *digest,
            payout: id,
            amount: held.amount,
            created_at: now,
        };
        (key.clone(), answer)
    });
    let work = Work {
        queue: Queue::Assess,
        due_at: now,
    };
    let changes = Changes {
        entries: vec![hold],
        answers: answers.collect(),
        history: vec![HistoryLine::held(&payout)],
        payouts: vec![(payout, Some(work))],
        ..Changes::default()
    };
    Ok((changes, held.outcome(id, now)))
}
