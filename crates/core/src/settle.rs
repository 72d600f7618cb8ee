//! Turns what happened to a payout into changes: its new state, the entries that pay out or
//! release the hold, the day's totals, the history, and what it waits for next.
//!
//! Every way in ends in [`moved`], so money can leave the hold in one place only.

use crate::changes::{Changes, HistoryLine, Work};
use crate::command::Outcome;
use crate::control::{self, Act, Actor, Scope, StopCause};
use crate::execute::{Decision, Moment};
use crate::facts::Facts;
use crate::id::PayoutId;
use crate::ledger::{Account, Cause, Entry};
use crate::link::Sharing;
use crate::money::Fen;
use crate::payout::{self, Attempt, Effect, Money, Payout, Queue, State, Step};
use crate::reconcile;
use crate::rejection::Rejection;
use crate::risk::{self, Reason, Subject, Verdict};
use crate::transfer::{Cure, Evidence, Finding, Origin, TransferReport};
use crate::user::DayTotals;

/// What the history says about a change.
pub(crate) struct Note {
    pub(crate) event: &'static str,
    pub(crate) code: Option<String>,
    pub(crate) evidence: Option<Evidence>,
}

impl Note {
    pub(crate) fn plain(event: &'static str) -> Note {
        Note {
            event,
            code: None,
            evidence: None,
        }
    }
}

/// Risk looks at a payout. One that passes counts towards the day's limits from this moment.
pub(crate) fn assess(moment: &Moment<'_>, payout: &Payout, facts: &Facts) -> Decision {
    if payout.state != State::Requested {
        return Err(Rejection::WrongState {
            state: payout.state.name(),
        });
    }
    let verdict = risk::judge(moment.policy, &subject(moment, payout, facts));
    Ok(judged(moment, payout, verdict, facts))
}

/// People approved it; the limits have the last word.
pub(crate) fn admit(moment: &Moment<'_>, payout: &Payout, facts: &Facts) -> (Changes, Outcome) {
    let reasons = risk::assess(moment.policy, &subject(moment, payout, facts));
    let verdict = if reasons.is_empty() {
        Verdict::Pass
    } else {
        Verdict::Refuse(reasons)
    };
    judged(moment, payout, verdict, facts)
}

fn subject(moment: &Moment<'_>, payout: &Payout, facts: &Facts) -> Subject {
    let wallet = facts.wallet(payout.user);
    Subject {
        amount: payout.amount,
        linked: wallet.is_linked(),
        payable: wallet.is_payable(facts.merchants.values()),
        shared: wallet
            .held_links()
            .any(|link| link.sharing == Sharing::Flagged),
        frozen: wallet.user.frozen,
        named: wallet.user.name.is_some(),
        today: wallet.day(moment.now.business_date()),
    }
}

fn judged(
    moment: &Moment<'_>,
    payout: &Payout,
    verdict: Verdict,
    facts: &Facts,
) -> (Changes, Outcome) {
    let day = moment.now.business_date();
    let today = facts.wallet(payout.user).day(day);
    let passed = verdict == Verdict::Pass;
    let reasons = match &verdict {
        Verdict::Pass => &[],
        Verdict::Review(reasons) | Verdict::Refuse(reasons) => reasons.as_slice(),
    };
    let note = Note {
        code: codes(reasons),
        ..Note::plain("assessed")
    };
    let mut payout = payout.clone();
    let mut counted = Vec::new();
    if passed {
        let amount = today
            .amount
            .plus(payout.amount)
            .expect("risk checked the sum");
        let count = today.count.checked_add(1).expect("risk checked the count");
        counted.push((payout.user, day, DayTotals { count, amount }));
        payout.counted_on = Some(day);
    }
    let step = payout::assessed(verdict, moment.now, moment.policy.review_ms);
    let mut changes = moved(moment, payout, step, note, facts);
    changes.day_totals.extend(counted);
    (changes, Outcome::Assessed { passed })
}

/// Nobody approved it in time.
pub(crate) fn expire_review(moment: &Moment<'_>, payout: &Payout, facts: &Facts) -> Decision {
    let wrong = Rejection::WrongState {
        state: payout.state.name(),
    };
    let State::Review(_) = payout.state else {
        return Err(wrong);
    };
    let until = payout.created_at.after_ms(moment.policy.review_ms);
    if moment.now < until {
        return Err(wrong);
    }
    let step = payout::given_up(payout.state.clone(), Reason::ReviewExpired).ok_or(wrong)?;
    let note = Note::plain("expired");
    Ok(told(moved(moment, payout.clone(), step, note, facts)))
}

/// Somebody wants it stopped.
pub(crate) fn cancel(moment: &Moment<'_>, payout: &Payout, facts: &Facts) -> Decision {
    let step =
        payout::cancelled(payout.state.clone(), moment.now).ok_or(Rejection::WrongState {
            state: payout.state.name(),
        })?;
    Ok(told(moved(
        moment,
        payout.clone(),
        step,
        Note::plain("cancel_asked"),
        facts,
    )))
}

/// WeChat said something, by an answer, a notification or a query.
pub(crate) fn report(
    moment: &Moment<'_>,
    payout: &Payout,
    report: &TransferReport,
    facts: &Facts,
) -> Decision {
    let note = Note {
        event: report.origin.name(),
        code: report.finding.code().map(str::to_owned),
        evidence: Some(report.evidence.clone()),
    };
    if report.number.attempt() <= payout.tries {
        // An attempt that provably ended unpaid: whatever else is said of it changes nothing.
        let amount = report.claims.amount;
        if amount.is_some_and(|amount| amount != payout.amount) {
            let field = "transfer_amount";
            return Err(Rejection::ClaimMismatch { field });
        }
        let paid = report.finding == Finding::Paid;
        return Ok(if paid {
            contradicted(moment, payout, report, note, facts)
        } else {
            unmoved(payout, Changes::default())
        });
    }
    let attempt = payout
        .state
        .attempt()
        .filter(|attempt| attempt.number() == report.number);
    check_claims(report, attempt.ok_or(Rejection::ForeignNumber)?)?;
    match payout::reported(&payout.state, report, moment.now) {
        Effect::Nothing => Ok(unmoved(payout, Changes::default())),
        Effect::Contradicts => Ok(contradicted(moment, payout, report, note, facts)),
        Effect::Moves(step) => Ok(heard(moment, payout, report, (*step, note), facts)),
    }
}

/// A report moves the payout, and what it says about the merchant's account is kept.
fn heard(
    moment: &Moment<'_>,
    payout: &Payout,
    report: &TransferReport,
    (mut step, mut note): (Step, Note),
    facts: &Facts,
) -> (Changes, Outcome) {
    let before = payout.state.name();
    let mut payout = payout.clone();
    let mchid = payout.state.attempt().map(|a| a.order.mchid.clone());
    let (mut stop, mut ended) = (None, None);
    if let Some(again) = payout::parted(&payout.state, report, moment.now) {
        // None of a batch that was refused ends for another's sake.
        ended = payout.state.attempt().cloned();
        step = again;
        note.event = "attempt_ended";
        payout.tries = payout.tries.saturating_add(1);
    }
    match (&report.finding, &mchid) {
        (Finding::Failed { cure, .. }, _)
            if payout.tries.saturating_add(1) < moment.policy.attempts_max =>
        {
            if let Some(again) = payout::again(*cure, moment.now) {
                ended = step.state.attempt().cloned();
                step = again;
                note.event = "attempt_ended";
                payout.tries = payout.tries.saturating_add(1);
            }
        }
        (Finding::Refused { code, cure }, Some(mchid)) if *cure == Cure::Float => {
            let emptied = control::emptied(&facts.stops, mchid, code, moment.now);
            if let State::Deferred(..) = step.state {
                step.wait = emptied.probe_at.map(|at| (Queue::Send, at));
            }
            stop = Some(emptied);
        }
        (Finding::Processing | Finding::AwaitingUser { .. } | Finding::Paid, Some(mchid))
            if report.origin == Origin::Answer =>
        {
            stop = control::refilled(&facts.stops, mchid, moment.now);
        }
        (Finding::AwaitingUser { .. } | Finding::Paid, Some(mchid)) => {
            // The answer of the one that was tried may have been lost: what is heard of it later
            // says the same. One that was sent before the account was empty says nothing.
            let sent_at = payout.state.attempt().map(|attempt| attempt.last_sent_at);
            let refilled = control::refilled(&facts.stops, mchid, moment.now);
            stop = refilled.filter(|stop| sent_at.is_some_and(|at| at > stop.since));
        }
        _ => {}
    }
    let news = step.state.name() != before || report.origin != Origin::Query;
    let mut changes = moved(moment, payout, step, note, facts);
    if !news {
        // A question without news every few minutes would drown the story.
        changes.history.clear();
    }
    changes.stops.extend(stop);
    changes.attempts.extend(ended);
    told(changes)
}

/// What is said contradicts what was proved. The state stays; where WeChat paid what we hold for
/// unpaid, nothing more of that merchant is sent until a person has looked.
fn contradicted(
    moment: &Moment<'_>,
    payout: &Payout,
    report: &TransferReport,
    note: Note,
    facts: &Facts,
) -> (Changes, Outcome) {
    let event = "contradiction";
    let note = Note { event, ..note };
    let history = vec![line(moment, payout.id, payout.state.name(), note)];
    // One merchant's WeChat can stop that merchant; an attempt that ended may be another's.
    let named = report.claims.mchid.as_deref();
    let named = named.map(|mchid| facts.merchants.values().find(|m| m.mchid.as_str() == mchid));
    let merchant = named.unwrap_or_else(|| facts.merchant_of(payout.merchant));
    let stop = merchant.filter(|_| report.finding == Finding::Paid);
    let mut changes = Changes {
        history,
        ..Changes::default()
    };
    if let Some(merchant) = stop {
        let act = Act {
            actor: Actor::engine(),
            reason: format!("WeChat paid {}, which had ended unpaid", payout.id),
        };
        let scope = (&Scope::Merchant(merchant.mchid.clone()), StopCause::Audit);
        let stopped = control::set_stop(moment, scope, true, &act, facts);
        if let Ok((stopped, _)) = stopped {
            changes.append(stopped);
        }
    }
    unmoved(payout, changes)
}

fn unmoved(payout: &Payout, changes: Changes) -> (Changes, Outcome) {
    let state = payout.state.name();
    let moved = false;
    (changes, Outcome::Payout { state, moved })
}

pub(crate) fn told(changes: Changes) -> (Changes, Outcome) {
    let state = changes
        .payouts
        .first()
        .map_or("", |(payout, _)| payout.state.name());
    (changes, Outcome::Payout { state, moved: true })
}

fn codes(reasons: &[Reason]) -> Option<String> {
    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code()).collect();
    (!codes.is_empty()).then(|| codes.join(","))
}

/// A report that disagrees with what we sent is not about our transfer.
fn check_claims(report: &TransferReport, attempt: &Attempt) -> Result<(), Rejection> {
    let (claims, order) = (&report.claims, &attempt.order);
    let checks = [
        (
            "mchid",
            claims
                .mchid
                .as_deref()
                .is_none_or(|mchid| mchid == order.mchid.as_str()),
        ),
        (
            "appid",
            claims
                .app
                .as_deref()
                .is_none_or(|app| app == order.app.as_str()),
        ),
        (
            "openid",
            claims
                .openid
                .as_ref()
                .is_none_or(|openid| *openid == order.openid),
        ),
        (
            "transfer_amount",
            claims.amount.is_none_or(|amount| amount == order.amount),
        ),
    ];
    match checks.into_iter().find(|(_, agrees)| !agrees) {
        Some((field, _)) => Err(Rejection::ClaimMismatch { field }),
        None => Ok(()),
    }
}

/// The one place where a payout changes and held money moves.
pub(crate) fn moved(
    moment: &Moment<'_>,
    payout: Payout,
    step: Step,
    note: Note,
    facts: &Facts,
) -> Changes {
    assert!(!payout.state.is_final(), "a final payout never changes");
    assert_eq!(
        step.state.is_final(),
        step.money != Money::Stays,
        "an end moves the hold, once"
    );
    let (user, amount) = (
        payout.user,
        payout.amount.micros().expect("it was held before"),
    );
    let held = Account::Held(user);
    let move_to = match step.money {
        Money::Stays => None,
        Money::Settles => Some((Account::Clearing(payout.merchant), Cause::Settle)),
        Money::Returns => Some((Account::Available(user), Cause::Release)),
    };
    let entries = move_to.map(|(to, cause)| {
        Entry::new((held, to), amount, cause, Some(payout.id), moment.now)
            .expect("an amount that could be held can be moved")
    });
    let returns = step.money == Money::Returns;
    let uncounted = payout.counted_on.filter(|_| returns).map(|day| {
        let counted = facts.wallet(user).day(day);
        let totals = DayTotals {
            count: counted.count.saturating_sub(1),
            amount: counted
                .amount
                .minus(payout.amount)
                .expect("the totals are in range"),
        };
        (user, day, totals)
    });
    let counted_on = payout.counted_on.filter(|_| !returns);
    let version = payout.version.saturating_add(1);
    let history = vec![line(moment, payout.id, step.state.name(), note)];
    let work = step.wait.map(|(queue, due_at)| Work { queue, due_at });
    let payout = Payout {
        counted_on,
        version,
        updated_at: moment.now,
        state: step.state,
        ..payout
    };
    // A bill that showed it before it ended was explained by its being under way.
    let seen = payout.state.is_final() && payout.billed != Fen::ZERO;
    let date = moment.now.business_date();
    let checked = seen.then(|| reconcile::check_payout(moment, date, &payout, facts));
    Changes {
        breaks: checked.flatten().into_iter().collect(),
        entries: entries.into_iter().collect(),
        day_totals: uncounted.into_iter().collect(),
        history,
        payouts: vec![(payout, work)],
        ..Changes::default()
    }
}

fn line(moment: &Moment<'_>, payout: PayoutId, state: &'static str, note: Note) -> HistoryLine {
    let Note {
        event,
        code,
        evidence,
    } = note;
    HistoryLine {
        payout,
        at: moment.now,
        event,
        state,
        code,
        evidence,
    }
}
