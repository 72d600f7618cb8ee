//! The top-level match: one command, the facts it asked for, and what comes of it.

use crate::changes::Changes;
use crate::changes::Posting;
use crate::command::{Command, Outcome};
use crate::earning::{
    self, Booking, COOLING_DAYS_MAX, Case, Earning, EarningEvent, Kind, Purse, Verdict,
};
use crate::facts::{Facts, Wallet};
use crate::id::{KindNo, MchId, PayoutId, UserNo};
use crate::money::{AMOUNT_MAX, Micros};
use crate::payout::Payout;
use crate::reconcile::{self, Bill};
use crate::rejection::Rejection;
use crate::risk::Policy;
use crate::time::{BusinessDate, Timestamp};
use crate::transfer::{Merchant, TransferReport};
use crate::{
    control, endpoint, letter, link, manual, notice, order, pack, settle, user, withdrawal,
};

/// When a decision is made, and under which limits.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// Now, by the business clock.
    pub now: Timestamp,
    /// The limits in force.
    pub policy: &'a Policy,
}

/// What a command that was not refused changes and answers.
pub type Decision = Result<(Changes, Outcome), Rejection>;

/// Decides on one command.
///
/// # Errors
/// The first rule that the command breaks; it changes nothing then.
///
/// # Panics
/// When the facts lack what [`crate::Keys::of`] asks for this command: the store is wrong.
pub fn execute(moment: &Moment<'_>, command: &Command, facts: &Facts) -> Decision {
    let (mut changes, outcome) = decide(moment, command, facts)?;
    changes.notices = notice::of(moment.now, &changes, facts);
    Ok((changes, outcome))
}

fn decide(moment: &Moment<'_>, command: &Command, facts: &Facts) -> Decision {
    match command {
        Command::DefineKind(kind) => define_kind(kind, facts),
        Command::DefineMerchant(merchant) => define_merchant(merchant, facts),
        Command::AddApiKey(key) => done(Changes {
            api_keys: vec![key.clone()],
            ..Changes::default()
        }),
        Command::SetEndpoint {
            endpoint,
            what,
            act,
        } => endpoint::set(moment, endpoint, what, act),
        Command::RegisterUser { user, name } => user::register(moment, user, name.as_ref(), facts),
        Command::SetFrozen { user, frozen, act } => {
            user::set_frozen(moment, (user, *frozen), act.as_ref(), facts)
        }
        Command::StartLink {
            user,
            app,
            page,
            state,
        } => link::start(moment, (user, app.as_ref(), page), *state, facts),
        Command::RedeemState { state } => link::redeem(moment, *state, facts),
        Command::CompleteLink { state, identity } => {
            link::complete(moment, *state, identity, facts)
        }
        Command::Link(command) => link::decide(moment, command, facts),
        Command::Earn(event) => earn(moment, event, facts),
        Command::ReplayLetter {
            letter,
            times,
            event,
            act,
        } => letter::replay(moment, (letter, *times), event, act, facts),
        Command::DiscardLetter { letter, times, act } => {
            letter::discard(moment, (letter, *times), act, facts)
        }
        Command::Withdraw(request) => withdrawal::withdraw(moment, request, facts),
        Command::Assess(payout) => settle::assess(moment, known(*payout, facts)?, facts),
        Command::ExpireReview(payout) => {
            settle::expire_review(moment, known(*payout, facts)?, facts)
        }
        Command::Manual { payout, what, act } => {
            manual::manual(moment, known(*payout, facts)?, *what, act, facts)
        }
        Command::SetStop {
            scope,
            cause,
            on,
            act,
        } => control::set_stop(moment, (scope, *cause), *on, act, facts),
        Command::BeginTransfer(payout) => order::begin(moment, known(*payout, facts)?, facts),
        Command::BeginTransfers { payouts, packs } => pack::begin(moment, payouts, packs, facts),
        Command::ResendBatch { batch, members } => pack::again(moment, *batch, members, facts),
        Command::Rouse(payout) => order::rouse(moment, known(*payout, facts)?, facts),
        Command::CancelPayout(payout) => settle::cancel(moment, known(*payout, facts)?, facts),
        Command::ReportTransfer(report) => reported(moment, report, facts),
        Command::RecordBillLine { mchid, date, line } => {
            let merchant = merchant(mchid, facts)?.no;
            reconcile::record_line(moment, (merchant, *date), line, facts)
        }
        Command::CheckEnded {
            mchid,
            payout,
            date,
        } => ended(moment, (mchid, *date), *payout, facts),
        Command::CloseBill { mchid, bill } => close_bill(mchid, bill, facts),
    }
}

fn reported(moment: &Moment<'_>, report: &TransferReport, facts: &Facts) -> Decision {
    let payout = known(report.number.payout(), facts)?;
    settle::report(moment, payout, report, facts)
}

fn ended(
    moment: &Moment<'_>,
    (mchid, date): (&MchId, BusinessDate),
    payout: PayoutId,
    facts: &Facts,
) -> Decision {
    let merchant = merchant(mchid, facts)?.no;
    let payout = known(payout, facts)?;
    reconcile::check_ended(moment, (merchant, date), payout, facts)
}

fn close_bill(mchid: &MchId, bill: &Bill, facts: &Facts) -> Decision {
    let bill = Bill {
        merchant: merchant(mchid, facts)?.no,
        ..bill.clone()
    };
    done(Changes {
        bills: vec![bill],
        ..Changes::default()
    })
}

fn done(changes: Changes) -> Decision {
    Ok((changes, Outcome::Done))
}

fn known(id: PayoutId, facts: &Facts) -> Result<&Payout, Rejection> {
    facts.payout(id).ok_or(Rejection::UnknownPayout)
}

fn merchant<'f>(mchid: &MchId, facts: &'f Facts) -> Result<&'f Merchant, Rejection> {
    facts.merchant(mchid).ok_or(Rejection::UnknownMerchant)
}

/// The number names the funding account, so neither may it move to another code nor may a code
/// get another number.
fn define_kind(kind: &Kind, facts: &Facts) -> Decision {
    let taken = |other: &Kind| (other.code == kind.code) != (other.no == kind.no);
    if kind.terms.cooling_days > COOLING_DAYS_MAX {
        return Err(Rejection::CoolingTooLong);
    }
    if kind.no == KindNo::TOP_UP || facts.kinds.values().any(taken) {
        return Err(Rejection::Immutable {
            what: "the number of a kind",
        });
    }
    if facts.kind(&kind.code) == Some(kind) {
        return done(Changes::default());
    }
    done(Changes {
        kinds: vec![kind.clone()],
        ..Changes::default()
    })
}

/// Lays an event's case before the one rule, and turns what it says into changes.
pub(crate) fn earn(moment: &Moment<'_>, event: &EarningEvent, facts: &Facts) -> Decision {
    let today = moment.now.business_date();
    let wallet = |user: Option<UserNo>| user.map(|user| facts.wallet(user));
    let purse = |user| wallet(user).map_or_else(Purse::default, |wallet| wallet.purse(today));
    let user = facts.user(&event.user).map(|user| user.no);
    let sender = event.from.as_ref().and_then(|id| facts.user(id));
    let sender = sender.map(|user| user.no);
    let kind = facts.kind(&event.kind);
    let original = event.reverses.as_ref();
    let original = original.and_then(|id| facts.earning(&event.source, id));
    let capped = kind.and_then(|kind| wallet(sender.or(user))?.kinds.get(&kind.no));
    let case = Case {
        amount: event.amount,
        occurred_at: event.occurred_at,
        reverses: event.reverses.as_ref().map(|id| id.as_str()),
        names_sender: event.from.is_some(),
        user,
        kind,
        sender,
        known: facts
            .earning(&event.source, &event.event_id)
            .map(Earning::known),
        original: original.map(Earning::known),
        purse: purse(user),
        sender_purse: purse(sender),
        counted: capped.copied().unwrap_or_default(),
    };
    match earning::decide(moment.now, &case)? {
        Verdict::Known => Ok((Changes::default(), Outcome::AlreadyCredited)),
        Verdict::Booked(booking) => {
            let user = user.ok_or(Rejection::UnknownUser)?;
            let kind = kind.ok_or(Rejection::UnknownKind)?.no;
            let earning = Earning {
                source: event.source.clone(),
                event_id: event.event_id.clone(),
                user,
                kind,
                amount: booking.amount,
                occurred_at: event.occurred_at,
                recorded_at: moment.now,
                from: sender,
                reverses: event.reverses.clone(),
                matures_on: booking.matures_on,
                repaid: booking.repaid(),
                clawed: Micros::ZERO,
            };
            booked(moment, earning, &booking, original, facts.wallet(user))
        }
    }
}

fn booked(
    moment: &Moment<'_>,
    earning: Earning,
    booking: &Booking,
    original: Option<&Earning>,
    wallet: &Wallet,
) -> Decision {
    let out_of_range = Rejection::AmountOutOfRange { max: AMOUNT_MAX };
    let first = booking
        .first
        .entry(moment.now)
        .ok_or(out_of_range.clone())?;
    let second = booking
        .second
        .map(|leg| leg.entry(moment.now).ok_or(out_of_range));
    let posting = Posting {
        first,
        second: second.transpose()?,
    };
    let cooling = booking.cooling.map(|(day, change)| {
        let before = wallet.cooling.get(&day).copied().unwrap_or_default();
        let after = before.plus(change).unwrap_or_default();
        (earning.user, day, after.max(Micros::ZERO))
    });
    let clawed = original
        .zip(earning.reverses.clone())
        .map(|(original, id)| {
            let sum = original.clawed.plus(booking.amount);
            (earning.source.clone(), id, sum.unwrap_or(original.amount))
        });
    let counted = booking
        .counted
        .map(|(user, totals)| (user, earning.kind, totals));
    let amount = booking.amount;
    let changes = Changes {
        kind_days: counted.into_iter().collect(),
        cooling: cooling.into_iter().collect(),
        clawed: clawed.into_iter().collect(),
        earnings: vec![(earning, posting)],
        ..Changes::default()
    };
    Ok((changes, Outcome::Credited { amount }))
}

fn define_merchant(merchant: &Merchant, facts: &Facts) -> Decision {
    let taken = |other: &Merchant| (other.mchid == merchant.mchid) != (other.no == merchant.no);
    if facts.merchants.values().any(taken) {
        return Err(Rejection::Immutable {
            what: "the number of a merchant",
        });
    }
    if facts.merchant(&merchant.mchid) == Some(merchant) {
        return done(Changes::default());
    }
    done(Changes {
        merchants: vec![merchant.clone()],
        ..Changes::default()
    })
}
