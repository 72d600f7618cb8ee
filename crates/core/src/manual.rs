//! What people do to payouts. Each act has somebody who did it and a reason, and is on record
//! with how the payout stood before and after.

use crate::changes::Changes;
use crate::command::{Manual, Outcome};
use crate::control::{Act, Actor, Deed};
use crate::execute::{Decision, Moment};
use crate::facts::Facts;
use crate::money::Fen;
use crate::payout::{self, Attempt, Payout, RESEND_WINDOW_MS, Review, State, Step};
use crate::rejection::Rejection;
use crate::risk::Reason;
use crate::settle::{self, Note};

/// Does it, or says why not.
pub(crate) fn manual(
    moment: &Moment<'_>,
    payout: &Payout,
    what: Manual,
    act: &Act,
    facts: &Facts,
) -> Decision {
    let wrong = Rejection::WrongState {
        state: payout.state.name(),
    };
    let state = payout.state.clone();
    let (step, event) = match what {
        Manual::Approve => return approve(moment, payout, act, facts),
        Manual::Refuse => (payout::given_up(state, Reason::ByPerson), "refused"),
        Manual::Cancel => (payout::cancelled(state, moment.now), "cancel_asked"),
        Manual::Resend => {
            let late = |attempt: &Attempt| !attempt.may_go_again(moment.now);
            if payout.state.attempt().is_some_and(late) && !payout.state.is_final() {
                return Err(Rejection::ResendTooLate);
            }
            (payout::resent(state, moment.now), "resend_asked")
        }
        Manual::MarkPaid => {
            let step = payout::billed(&state, true, moment.now).ok_or(wrong.clone())?;
            if payout.billed != payout.amount {
                let lacking = "no closed bill shows this payout with its amount";
                return Err(Rejection::NoProof { lacking });
            }
            (Some(step), "marked_paid")
        }
        Manual::MarkUnpaid => {
            let step = payout::billed(&state, false, moment.now).ok_or(wrong.clone())?;
            on_no_bill(moment, payout, facts)?;
            (Some(step), "marked_unpaid")
        }
    };
    let step = step.ok_or(wrong)?;
    Ok(done(moment, payout, (what, act), (step, event), facts))
}

/// Enough people have said yes, or one more has. Limits are looked at again at the end: they may
/// have been used up meanwhile.
fn approve(moment: &Moment<'_>, payout: &Payout, act: &Act, facts: &Facts) -> Decision {
    let State::Review(review) = &payout.state else {
        return Err(Rejection::WrongState {
            state: payout.state.name(),
        });
    };
    if review.approvals.contains(&act.actor) {
        return Err(Rejection::SamePerson);
    }
    let approvals: Vec<Actor> = review
        .approvals
        .iter()
        .chain([&act.actor])
        .cloned()
        .collect();
    // What was asked for when the review began is owed even if the limits were raised since.
    let asked = usize::from(review.reasons.contains(&Reason::SecondNeeded)).saturating_add(1);
    if approvals.len() < asked.max(moment.policy.approvals(payout.amount)) {
        let review = Review {
            approvals,
            ..review.clone()
        };
        let step = payout::reviewed(review, payout.created_at.after_ms(moment.policy.review_ms));
        let what = (Manual::Approve, act);
        return Ok(done(moment, payout, what, (step, "approved"), facts));
    }
    let (mut changes, outcome) = settle::admit(moment, payout, facts);
    record(&mut changes, moment, payout, (Manual::Approve, act));
    Ok((changes, outcome))
}

/// That no bill shows it, and none that could is missing.
fn on_no_bill(moment: &Moment<'_>, payout: &Payout, facts: &Facts) -> Result<(), Rejection> {
    let no = |lacking| Err(Rejection::NoProof { lacking });
    let Some(attempt) = payout.state.attempt() else {
        return no("nothing was sent");
    };
    if payout.billed != Fen::ZERO {
        return no("a bill shows money of this payout");
    }
    // WeChat accepts a number for three days, and what it accepted ends within one more.
    let last = attempt
        .last_sent_at
        .after_ms(RESEND_WINDOW_MS)
        .business_date()
        .next();
    if moment.now.business_date() <= last {
        return no("WeChat may still pay it; wait until its days are over");
    }
    let mut day = attempt.first_sent_at.business_date();
    while day <= last {
        if !facts.closed_bills.contains(&(payout.merchant, day)) {
            return no("a day on which it could have been paid is not reconciled");
        }
        day = day.next();
    }
    Ok(())
}

fn done(
    moment: &Moment<'_>,
    payout: &Payout,
    (what, act): (Manual, &Act),
    (step, event): (Step, &'static str),
    facts: &Facts,
) -> (Changes, Outcome) {
    let code = matches!(what, Manual::Approve).then(|| act.actor.to_string());
    let note = Note {
        code,
        ..Note::plain(event)
    };
    let mut changes = settle::moved(moment, payout.clone(), step, note, facts);
    record(&mut changes, moment, payout, (what, act));
    settle::told(changes)
}

fn record(
    changes: &mut Changes,
    moment: &Moment<'_>,
    before: &Payout,
    (what, act): (Manual, &Act),
) {
    let after = changes
        .payouts
        .last()
        .map_or(before.state.name(), |(payout, _)| payout.state.name());
    changes.deeds.push(Deed {
        at: moment.now,
        actor: act.actor.clone(),
        what: what.name().to_owned(),
        subject: before.id.to_string(),
        reason: act.reason.clone(),
        before: before.state.name().to_owned(),
        after: after.to_owned(),
    });
}
