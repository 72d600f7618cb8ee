//! The top-level match: one command, the facts it asked for, and what comes of it.

use crate::changes::Changes;
use crate::command::{Command, Outcome, Rejection};
use crate::earning::{self, Kind};
use crate::facts::Facts;
use crate::id::{KindNo, MchId, PayoutId};
use crate::payout::Payout;
use crate::reconcile::{self, Bill};
use crate::risk::Policy;
use crate::time::Timestamp;
use crate::transfer::Merchant;
use crate::{link, settle, user, withdrawal};

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
    match command {
        Command::DefineKind(kind) => define_kind(kind, facts),
        Command::DefineMerchant(merchant) => define_merchant(merchant, facts),
        Command::AddApiKey(key) => done(Changes {
            api_keys: vec![key.clone()],
            ..Changes::default()
        }),
        Command::RegisterUser { user, name } => user::register(moment, user, name.as_ref(), facts),
        Command::SetFrozen { user, frozen } => user::set_frozen(user, *frozen, facts),
        Command::StartLink { user, state } => link::start(moment, user, *state, facts),
        Command::RedeemState { state } => link::redeem(moment, *state, facts),
        Command::CompleteLink { state, identity } => {
            link::complete(moment, *state, identity, facts)
        }
        Command::Earn(event) => earning::earn(moment, event, facts),
        Command::KeepDeadLetter(letter) => done(Changes {
            dead_letters: vec![letter.clone()],
            ..Changes::default()
        }),
        Command::Withdraw(request) => withdrawal::withdraw(moment, request, facts),
        Command::Assess(payout) => settle::assess(moment, known(*payout, facts)?, facts),
        Command::BeginTransfer(payout) => settle::begin(moment, known(*payout, facts)?, facts),
        Command::CancelPayout(payout) => settle::cancel(moment, known(*payout, facts)?, facts),
        Command::ReportTransfer(report) => {
            let payout = known(report.number.payout(), facts)?;
            settle::report(moment, payout, report, facts)
        }
        Command::RecordBillLine { mchid, date, line } => {
            let merchant = merchant(mchid, facts)?.no;
            reconcile::record_line(moment, (merchant, *date), line, facts)
        }
        Command::CheckEnded { payout, date } => Ok(reconcile::check_ended(
            moment,
            *date,
            known(*payout, facts)?,
            facts,
        )),
        Command::CloseBill { mchid, bill } => {
            let bill = Bill {
                merchant: merchant(mchid, facts)?.no,
                ..bill.clone()
            };
            done(Changes {
                bills: vec![bill],
                ..Changes::default()
            })
        }
    }
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
