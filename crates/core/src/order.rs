//! Makes an order durable just before it is sent, or says why nothing is sent now.

use crate::changes::{Changes, Work};
use crate::command::Outcome;
use crate::control::STOP_WAIT_MS;
use crate::execute::{Decision, Moment};
use crate::facts::Facts;
use crate::id::OutBillNo;
use crate::link::Link;
use crate::money::Fen;
use crate::payout::{self, Attempt, Payout, Queue, State};
use crate::rejection::Rejection;
use crate::risk::Reason;
use crate::route::{self, Route};
use crate::settle::{Note, moved, told};
use crate::time::Timestamp;
use crate::transfer::{Merchant, NAME_FROM, TransferOrder};

/// Makes the order durable just before it is sent. What was decided at approval is asked again:
/// a wallet may have been unlinked, a user frozen, or a merchant stopped since. What may not go
/// now waits; what may not go at all ends, unless WeChat may have it.
pub(crate) fn begin(moment: &Moment<'_>, payout: &Payout, facts: &Facts) -> Decision {
    let wrong = Rejection::WrongState {
        state: payout.state.name(),
    };
    let reason = kept_back(moment, payout, facts);
    if !payout::sendable(&payout.state) {
        return Err(wrong);
    }
    if let Some(reason) = reason {
        let note = Note {
            code: Some(reason.code().to_owned()),
            ..Note::plain("stopped")
        };
        return match payout::given_up(payout.state.clone(), reason) {
            Some(step) => Ok(told(moved(moment, payout.clone(), step, note, facts))),
            // WeChat may have it, so it is asked about and not sent again.
            None => Ok(put_off(
                payout,
                Queue::Ask,
                moment.now.after_ms(STOP_WAIT_MS),
            )),
        };
    }
    match payout.state.attempt() {
        Some(attempt) => send_again(moment, payout, attempt, facts),
        None => send_first(moment, payout, facts),
    }
}

/// The same order again, of the same merchant.
fn send_again(moment: &Moment<'_>, payout: &Payout, attempt: &Attempt, facts: &Facts) -> Decision {
    let order = &attempt.order;
    // What waits for the user was accepted, whenever it was first sent, and must get its page.
    let accepted = matches!(payout.state, State::AwaitingUser(..));
    if !attempt.may_go_again(moment.now) && !accepted && !payout::unsent(&payout.state) {
        // WeChat may not take the number for the same any more.
        let due = payout::ask_due(moment.now, attempt.asks);
        return Ok(put_off(payout, Queue::Ask, due));
    }
    if let Some(until) = facts.stops.until(&order.mchid, &order.scene, moment.now) {
        let queue = if payout::unsent(&payout.state) {
            Queue::Send
        } else {
            Queue::Ask
        };
        return Ok(put_off(payout, queue, until));
    }
    if let Some(seat) = order.seat {
        return Ok((Changes::default(), Outcome::InBatch(seat.batch())));
    }
    begun(moment, payout.clone(), order.clone(), None, facts)
}

fn send_first(moment: &Moment<'_>, payout: &Payout, facts: &Facts) -> Decision {
    let (merchant, link) = match route::choose(payout, moment, facts) {
        Route::Wait(until) => return Ok(put_off(payout, Queue::Send, until)),
        Route::By(merchant, link) => (merchant, link),
    };
    let payout = Payout {
        merchant: merchant.no,
        ..payout.clone()
    };
    let order = first_order(&payout, (merchant, link), facts);
    let amount = payout.amount;
    begun(moment, payout, order, Some(amount), facts)
}

/// A send of this order begins.
pub(crate) fn begun(
    moment: &Moment<'_>,
    payout: Payout,
    order: TransferOrder,
    counted: Option<Fen>,
    facts: &Facts,
) -> Decision {
    let wrong = Rejection::WrongState {
        state: payout.state.name(),
    };
    let step = payout::begun(payout.state.clone(), order.clone(), moment.now).ok_or(wrong)?;
    let merchant = facts.merchant(&order.mchid);
    let mut changes = moved(moment, payout, step, Note::plain("begun"), facts);
    if let Some(merchant) = merchant {
        let (day, probe) = route::told(merchant, counted, facts, moment.now);
        let today = moment.now.business_date();
        changes
            .merchant_days
            .extend(day.map(|(no, sum)| (no, today, sum)));
        changes.stops.extend(probe);
    }
    Ok((changes, Outcome::Begun(Box::new(order))))
}

/// A stop was lifted: what waited for that is due now. What began anew after an attempt that
/// ended waits for what ended it, and what is in doubt is asked about; neither is hurried.
pub(crate) fn rouse(moment: &Moment<'_>, payout: &Payout, facts: &Facts) -> Decision {
    let wrong = Rejection::WrongState {
        state: payout.state.name(),
    };
    let open = match &payout.state {
        State::Approved if payout.tries == 0 => {
            let linked = facts.wallet(payout.user).is_linked();
            let route = linked.then(|| route::choose(payout, moment, facts));
            !matches!(route, Some(Route::Wait(_)))
        }
        State::Deferred(attempt, _) => {
            let order = &attempt.order;
            let until = facts.stops.until(&order.mchid, &order.scene, moment.now);
            until.is_none()
        }
        State::Approved
        | State::Requested
        | State::Review(_)
        | State::Sending(_)
        | State::Unknown(..)
        | State::Processing(_)
        | State::AwaitingUser(..)
        | State::Cancelling(_)
        | State::Paid(..)
        | State::Failed(..)
        | State::Expired(_)
        | State::Cancelled(_)
        | State::Refused(_) => false,
    };
    if open {
        Ok(put_off(payout, Queue::Send, moment.now))
    } else {
        Err(wrong)
    }
}

/// Nothing happens to the payout but that it waits for something else or longer.
pub(crate) fn put_off(payout: &Payout, queue: Queue, due_at: Timestamp) -> (Changes, Outcome) {
    let changes = Changes {
        payouts: vec![(payout.clone(), Some(Work { queue, due_at }))],
        ..Changes::default()
    };
    let state = payout.state.name();
    (
        changes,
        Outcome::Payout {
            state,
            moved: false,
        },
    )
}

/// Why this payout may not be sent now.
pub(crate) fn kept_back(moment: &Moment<'_>, payout: &Payout, facts: &Facts) -> Option<Reason> {
    let waits_too_long = moment.now.since_ms(payout.created_at) >= moment.policy.hold_ms;
    // What waits for the user was accepted, and goes again only for its page.
    let accepted = matches!(payout.state, State::AwaitingUser(..));
    match barred(payout, facts) {
        None if waits_too_long && !accepted => Some(Reason::HoldExpired),
        barred => barred,
    }
}

/// Why nothing may be sent to this user. An order that was made goes to the wallet that it names
/// and to no other: where that was ended, or where nothing of it ever arrived and the user has
/// another one now, it does not go at all.
fn barred(payout: &Payout, facts: &Facts) -> Option<Reason> {
    let wallet = facts.wallet(payout.user);
    let order = payout.state.attempt().map(|attempt| &attempt.order);
    let of_order = order.map(|order| {
        let link = wallet.links.get(&order.app).filter(|link| link.holds());
        let moved = payout::unsent(&payout.state);
        link.filter(|link| link.openid == order.openid || !moved)
    });
    let linked = of_order.map_or(wallet.is_linked(), |link| link.is_some());
    match (linked, wallet.user.frozen) {
        (false, _) => Some(Reason::NotLinked),
        (true, true) => Some(Reason::Frozen),
        (true, false) => None,
    }
}

/// The order of a first send.
fn first_order(
    payout: &Payout,
    (merchant, link): (&Merchant, &Link),
    facts: &Facts,
) -> TransferOrder {
    let wallet = facts.wallet(payout.user);
    TransferOrder {
        number: OutBillNo::new(payout.id, payout.tries.saturating_add(1)),
        mchid: merchant.mchid.clone(),
        app: link.app.clone(),
        openid: link.openid.clone(),
        amount: payout.amount,
        scene: merchant.scene.clone(),
        scene_report: merchant.scene_report.clone(),
        remark: merchant.remark.clone(),
        name: wallet
            .user
            .name
            .clone()
            .filter(|_| payout.amount >= NAME_FROM),
        seat: None,
    }
}
