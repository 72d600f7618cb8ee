//! Turns a request for money into a hold on the balance and a payout that waits for risk.

use crate::changes::{Changes, HistoryLine, Work};
use crate::command::{IdempotencyKey, Outcome, Rejection};
use crate::execute::{Decision, Moment};
use crate::facts::{Facts, RememberedAnswer, Wallet};
use crate::id::{PayoutId, Reference, UserId};
use crate::ledger::{Account, Cause, Entry};
use crate::money::{AMOUNT_MAX, Fen};
use crate::payout::{Asked, Payout, Queue, State};

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

/// Decides on one request. Only an acceptance is remembered under the key: what was refused
/// changed nothing and may be asked again.
///
/// # Errors
/// The first rule that the request breaks; nothing changes then.
pub(crate) fn withdraw(moment: &Moment<'_>, request: &Withdrawal, facts: &Facts) -> Decision {
    if let Some((key, digest)) = &request.key
        && let Some(answer) = facts.answer(key)
    {
        if answer.digest != *digest {
            return Err(Rejection::KeyReused);
        }
        let &RememberedAnswer {
            payout,
            amount,
            created_at,
            ..
        } = answer;
        return Ok((
            Changes::default(),
            Outcome::Withdrawn {
                payout,
                amount,
                created_at,
                replayed: true,
            },
        ));
    }
    if facts.reference_used(&request.reference) {
        return Err(Rejection::ReferenceUsed);
    }
    let user = facts.user(&request.user).ok_or(Rejection::UnknownUser)?.no;
    let wallet = facts.wallet(user);
    let merchant = facts
        .paying_merchant()
        .ok_or(Rejection::UnknownMerchant)?
        .no;
    let amount = amount(moment, request.wanted, wallet)?;
    let out_of_range = Rejection::AmountOutOfRange { max: AMOUNT_MAX };
    let micros = amount.micros().ok_or_else(|| out_of_range.clone())?;
    if micros > wallet.purse(moment.now.business_date()).spendable() {
        return Err(Rejection::InsufficientFunds);
    }
    let sides = (Account::Available(user), Account::Held(user));
    let hold = Entry::new(sides, micros, Cause::Hold, Some(request.payout), moment.now)
        .ok_or(out_of_range)?;
    let payout = Payout {
        id: request.payout,
        user,
        merchant,
        amount,
        reference: request.reference.clone(),
        asked: request.asked,
        created_at: moment.now,
        updated_at: moment.now,
        version: 1,
        counted_on: None,
        billed: Fen::ZERO,
        state: State::Requested,
    };
    Ok(accepted(moment, request, payout, hold))
}

fn accepted(
    moment: &Moment<'_>,
    request: &Withdrawal,
    payout: Payout,
    hold: Entry,
) -> (Changes, Outcome) {
    let (id, amount, created_at) = (payout.id, payout.amount, payout.created_at);
    let answers = request.key.iter().map(|(key, digest)| {
        (
            key.clone(),
            RememberedAnswer {
                digest: *digest,
                payout: id,
                amount,
                created_at,
            },
        )
    });
    let history = HistoryLine {
        payout: id,
        at: moment.now,
        event: "held",
        state: payout.state.name(),
        code: None,
        evidence: None,
    };
    let changes = Changes {
        entries: vec![hold],
        answers: answers.collect(),
        history: vec![history],
        payouts: vec![(
            payout,
            Some(Work {
                queue: Queue::Assess,
                due_at: moment.now,
            }),
        )],
        ..Changes::default()
    };
    (
        changes,
        Outcome::Withdrawn {
            payout: id,
            amount,
            created_at,
            replayed: false,
        },
    )
}

fn amount(moment: &Moment<'_>, wanted: Wanted, wallet: &Wallet) -> Result<Fen, Rejection> {
    match wanted {
        Wanted::Exactly(amount) if amount <= Fen::ZERO => Err(Rejection::AmountNotPositive),
        Wanted::Exactly(amount) => Ok(amount),
        Wanted::All => {
            let today = wallet.day(moment.now.business_date());
            let left = moment.policy.user_day_amount_max.minus(today.amount);
            let amount = wallet
                .purse(moment.now.business_date())
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
