//! What comes next: the one place where a payout's life is decided.

use super::{Attempt, Queue, Review, State};
use crate::risk::{Reason, Verdict};
use crate::time::{Timestamp, stepped};
use crate::transfer::{Cure, Finding, Origin, TransferOrder, TransferReport};

/// An answer that has not come after this time is asked for.
pub const ANSWER_WAIT_MS: i64 = 30_000;
/// While WeChat says "no record" for less than this, it may still be accepting.
pub const NOT_FOUND_WAIT_MS: i64 = 10 * 60_000;
/// The same number may be sent again this long after its first send; three days are certain.
pub const RESEND_WINDOW_MS: i64 = 3 * 24 * 3_600_000;
/// A new attempt after one that ended for a passing reason begins after this.
pub const AGAIN_MS: i64 = 3_600_000;
/// A refusal that heals by itself is tried again after this.
pub const LATER_MS: i64 = 30_000;
/// A refusal that a person must cure is tried again after this.
pub const PERSON_MS: i64 = 10 * 60_000;

/// Waits between one question and the next; the last one repeats.
const ASK_WAITS_MS: [i64; 8] = [
    1_000,
    5_000,
    30_000,
    60_000,
    5 * 60_000,
    15 * 60_000,
    30 * 60_000,
    3_600_000,
];

/// A person who must confirm is not asked about as soon as a machine: so many waits are skipped.
const PERSON_ASKS: u32 = 3;

/// What happens to the held money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Money {
    /// It stays held.
    Stays,
    /// It was paid out.
    Settles,
    /// It goes back to the user's balance.
    Returns,
}

/// The answer to "what comes next".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The new state.
    pub state: State,
    /// What happens to the held money.
    pub money: Money,
    /// What it waits for now; nothing when it is final.
    pub wait: Option<(Queue, Timestamp)>,
}

impl Step {
    fn ends(state: State, money: Money) -> Step {
        Step {
            state,
            money,
            wait: None,
        }
    }

    fn waits(state: State, queue: Queue, due: Timestamp) -> Step {
        Step {
            state,
            money: Money::Stays,
            wait: Some((queue, due)),
        }
    }
}

/// What a message does to a payout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The payout moves on.
    Moves(Box<Step>),
    /// It says nothing new.
    Nothing,
    /// It contradicts what is final. The state stays, and a person must look.
    Contradicts,
}

impl Effect {
    fn moves(step: Step) -> Effect {
        Effect::Moves(Box::new(step))
    }
}

/// When the next question is due after `asks` questions without news.
#[must_use]
pub fn ask_due(now: Timestamp, asks: u32) -> Timestamp {
    now.after_ms(stepped(&ASK_WAITS_MS, asks))
}

/// Risk has looked. People who are asked have so many milliseconds.
#[must_use]
pub fn assessed(verdict: Verdict, now: Timestamp, review_ms: i64) -> Step {
    match verdict {
        Verdict::Pass => Step::waits(State::Approved, Queue::Send, now),
        Verdict::Review(reasons) => {
            let approvals = Vec::new();
            let review = State::Review(Review { reasons, approvals });
            Step::waits(review, Queue::Review, now.after_ms(review_ms))
        }
        Verdict::Refuse(reasons) => Step::ends(State::Refused(reasons), Money::Returns),
    }
}

/// Whether an order may be sent in this state.
#[must_use]
pub fn sendable(state: &State) -> bool {
    match state {
        State::Approved
        | State::Deferred(..)
        | State::Unknown(..)
        | State::AwaitingUser(_, None) => true,
        State::Requested
        | State::Review(_)
        | State::Sending(_)
        | State::Processing(_)
        | State::AwaitingUser(_, Some(_))
        | State::Cancelling(_)
        | State::Paid(..)
        | State::Failed(..)
        | State::Expired(_)
        | State::Cancelled(_)
        | State::Refused(_) => false,
    }
}

/// People are still asked, until then.
#[must_use]
pub fn reviewed(review: Review, until: Timestamp) -> Step {
    Step::waits(State::Review(review), Queue::Review, until)
}

/// Whether WeChat surely has nothing of it: no send was begun, or every one was refused.
#[must_use]
pub fn unsent(state: &State) -> bool {
    match state {
        State::Requested | State::Review(_) | State::Approved => true,
        State::Deferred(attempt, _) => !attempt.doubt,
        State::Sending(_)
        | State::Unknown(..)
        | State::Processing(_)
        | State::AwaitingUser(..)
        | State::Cancelling(_)
        | State::Paid(..)
        | State::Failed(..)
        | State::Expired(_)
        | State::Cancelled(_)
        | State::Refused(_) => false,
    }
}

/// It ends for a reason that is not WeChat's; nothing where WeChat may have it.
#[must_use]
pub fn given_up(state: State, reason: Reason) -> Option<Step> {
    if !unsent(&state) {
        return None;
    }
    let ends = match state.attempt() {
        Some(attempt) => State::Failed(attempt.clone(), reason.code().to_owned()),
        None => State::Refused(vec![reason]),
    };
    Some(Step::ends(ends, Money::Returns))
}

/// Somebody wants the same order sent again now; nothing where that is not allowed.
#[must_use]
pub fn resent(state: State, now: Timestamp) -> Option<Step> {
    let attempt = state.attempt()?;
    let allowed = attempt.may_go_again(now);
    match state {
        State::Deferred(..) | State::Unknown(..) if allowed => {
            Some(Step::waits(state, Queue::Send, now))
        }
        State::Deferred(..)
        | State::Unknown(..)
        | State::Requested
        | State::Review(_)
        | State::Approved
        | State::Sending(_)
        | State::Processing(_)
        | State::AwaitingUser(..)
        | State::Cancelling(_)
        | State::Paid(..)
        | State::Failed(..)
        | State::Expired(_)
        | State::Cancelled(_)
        | State::Refused(_) => None,
    }
}

/// An attempt of which WeChat may know ends by the word of a bill.
#[must_use]
pub fn billed(state: &State, paid: bool, now: Timestamp) -> Option<Step> {
    let attempt = state.attempt().filter(|_| !state.is_final())?.clone();
    Some(if paid {
        Step::ends(State::Paid(attempt, now), Money::Settles)
    } else {
        let code = "not_on_any_bill".to_owned();
        Step::ends(State::Failed(attempt, code), Money::Returns)
    })
}

/// An attempt ended unpaid for a reason that may be gone later: the payout goes on with a new
/// one instead of ending.
#[must_use]
pub fn again(cure: Cure, now: Timestamp) -> Option<Step> {
    let due = match cure {
        Cure::Never => return None,
        Cure::Later => now.after_ms(AGAIN_MS),
        Cure::Float | Cure::Person => now.after_ms(PERSON_MS),
        Cure::Tomorrow => tomorrow(now),
    };
    Some(Step::waits(State::Approved, Queue::Send, due))
}

/// A batch was refused as a whole, and nobody knows for whose sake: what was in it goes on under a
/// new number. Nothing where the order was not in a batch, where an earlier send may have
/// been accepted, or where the answer is about another send.
#[must_use]
pub fn parted(state: &State, report: &TransferReport, now: Timestamp) -> Option<Step> {
    let (State::Sending(attempt), Finding::Refused { cure, .. }) = (state, &report.finding) else {
        return None;
    };
    if report.origin != Origin::Answer || attempt.doubt {
        return None;
    }
    attempt.order.seat?;
    let due = match cure {
        Cure::Later => now.after_ms(LATER_MS),
        // When the account has money again is the merchant's stop's affair.
        Cure::Float | Cure::Never => now,
        Cure::Tomorrow => tomorrow(now),
        Cure::Person => now.after_ms(PERSON_MS),
    };
    Some(Step::waits(State::Approved, Queue::Send, due))
}

/// A little after the next business day begins.
fn tomorrow(now: Timestamp) -> Timestamp {
    now.business_date().next().start().after_ms(PERSON_MS)
}

/// The order is about to be sent: `order` is the one made now for a first send; every later
/// send uses the order of the attempt. Nothing when the state forbids sending.
#[must_use]
pub fn begun(state: State, order: TransferOrder, now: Timestamp) -> Option<Step> {
    let attempt = match state {
        State::Approved => Attempt {
            order,
            sends: 1,
            asks: 0,
            doubt: false,
            first_sent_at: now,
            last_sent_at: now,
            bill_no: None,
        },
        State::Deferred(attempt, _) | State::Unknown(attempt, _) => Attempt {
            sends: attempt.sends.saturating_add(1),
            last_sent_at: now,
            ..attempt
        },
        // An earlier send was accepted, so no refusal of this one may end the payout.
        State::AwaitingUser(attempt, None) => Attempt {
            sends: attempt.sends.saturating_add(1),
            last_sent_at: now,
            doubt: true,
            ..attempt
        },
        State::Requested
        | State::Review(_)
        | State::Sending(_)
        | State::Processing(_)
        | State::AwaitingUser(_, Some(_))
        | State::Cancelling(_)
        | State::Paid(..)
        | State::Failed(..)
        | State::Expired(_)
        | State::Cancelled(_)
        | State::Refused(_) => return None,
    };
    Some(Step::waits(
        State::Sending(attempt),
        Queue::Ask,
        now.after_ms(ANSWER_WAIT_MS),
    ))
}

/// Somebody wants it stopped. Nothing when it cannot be: a send is under way, its fate is
/// unknown, the user has confirmed, or it is over.
#[must_use]
pub fn cancelled(state: State, now: Timestamp) -> Option<Step> {
    if unsent(&state) {
        let ends = State::Cancelled(state.attempt().cloned());
        return Some(Step::ends(ends, Money::Returns));
    }
    match state {
        State::AwaitingUser(attempt, _) => {
            Some(Step::waits(State::Cancelling(attempt), Queue::Cancel, now))
        }
        State::Requested
        | State::Review(_)
        | State::Approved
        | State::Deferred(..)
        | State::Sending(_)
        | State::Unknown(..)
        | State::Processing(_)
        | State::Cancelling(_)
        | State::Paid(..)
        | State::Failed(..)
        | State::Expired(_)
        | State::Cancelled(_)
        | State::Refused(_) => None,
    }
}

/// An answer, a notification or a query has something to say.
#[must_use]
pub fn reported(state: &State, report: &TransferReport, now: Timestamp) -> Effect {
    let attempt = match state {
        State::Requested
        | State::Review(_)
        | State::Approved
        | State::Refused(_)
        | State::Cancelled(None) => {
            // Nothing was sent, so there is nothing that WeChat can know about it.
            return if proves_an_end(&report.finding) {
                Effect::Contradicts
            } else {
                Effect::Nothing
            };
        }
        State::Paid(..) | State::Failed(..) | State::Expired(_) | State::Cancelled(Some(_)) => {
            return after_the_end(state, &report.finding);
        }
        State::Sending(attempt)
        | State::Deferred(attempt, _)
        | State::Unknown(attempt, _)
        | State::Processing(attempt)
        | State::AwaitingUser(attempt, _)
        | State::Cancelling(attempt) => attempt,
    };
    let mut attempt = attempt.clone();
    if report.bill_no.is_some() {
        attempt.bill_no.clone_from(&report.bill_no);
    }
    match &report.finding {
        Finding::Paid => {
            let at = report.at.unwrap_or(now);
            Effect::moves(Step::ends(State::Paid(attempt, at), Money::Settles))
        }
        Finding::Failed { code, .. } => Effect::moves(Step::ends(
            State::Failed(attempt, code.clone()),
            Money::Returns,
        )),
        Finding::Expired => Effect::moves(Step::ends(State::Expired(attempt), Money::Returns)),
        Finding::Cancelled => {
            Effect::moves(Step::ends(State::Cancelled(Some(attempt)), Money::Returns))
        }
        Finding::Processing | Finding::AwaitingUser { .. } | Finding::Cancelling => {
            Effect::moves(alive(state, attempt, &report.finding, now))
        }
        Finding::Refused { code, cure } if report.origin == Origin::Answer => {
            refused(state, attempt, code, *cure, now)
        }
        // A question that was refused says nothing about the transfer that it asked about.
        Finding::Refused { code, .. } => Effect::moves(unknown(state, attempt, code, report, now)),
        Finding::NotFound => not_found(state, attempt, now),
        Finding::Unknown { code } => Effect::moves(unknown(state, attempt, code, report, now)),
    }
}

fn proves_an_end(finding: &Finding) -> bool {
    match finding {
        Finding::Paid | Finding::Failed { .. } | Finding::Expired | Finding::Cancelled => true,
        Finding::Processing
        | Finding::AwaitingUser { .. }
        | Finding::Cancelling
        | Finding::Refused { .. }
        | Finding::NotFound
        | Finding::Unknown { .. } => false,
    }
}

fn after_the_end(state: &State, finding: &Finding) -> Effect {
    let agrees = match finding {
        Finding::Paid => matches!(state, State::Paid(..)),
        // WeChat has one word for all ends without payment, so they do not contradict.
        Finding::Failed { .. } | Finding::Expired | Finding::Cancelled => {
            !matches!(state, State::Paid(..))
        }
        Finding::Processing
        | Finding::AwaitingUser { .. }
        | Finding::Cancelling
        | Finding::Refused { .. }
        | Finding::NotFound
        | Finding::Unknown { .. } => true,
    };
    if agrees {
        Effect::Nothing
    } else {
        Effect::Contradicts
    }
}

/// WeChat has it and it is not over.
fn alive(state: &State, mut attempt: Attempt, finding: &Finding, now: Timestamp) -> Step {
    let next = match (state, finding) {
        // A late answer to the send must not make us forget that we asked for a cancel.
        (State::Cancelling(_), Finding::Processing | Finding::AwaitingUser { .. })
        | (_, Finding::Cancelling) => Finding::Cancelling,
        (_, other) => other.clone(),
    };
    let same = matches!(
        (state, &next),
        (State::Processing(_), Finding::Processing)
            | (State::AwaitingUser(..), Finding::AwaitingUser { .. })
            | (State::Cancelling(_), Finding::Cancelling)
    );
    attempt.asks = if same {
        attempt.asks.saturating_add(1)
    } else {
        0
    };
    let due = ask_due(now, attempt.asks);
    match next {
        Finding::AwaitingUser { package } => {
            let known = if let State::AwaitingUser(_, known) = state {
                known.clone()
            } else {
                None
            };
            // Without the package nobody can confirm; sending the same order again brings it,
            // at once the first time and ever later when it does not.
            // With it a person needs a while, and a notification usually comes first.
            let Some(package) = package.or(known) else {
                let again = if attempt.sends > 1 {
                    ask_due(now, attempt.sends)
                } else {
                    now
                };
                return Step::waits(State::AwaitingUser(attempt, None), Queue::Send, again);
            };
            let due = ask_due(now, attempt.asks.saturating_add(PERSON_ASKS));
            let state = State::AwaitingUser(attempt, Some(package));
            Step::waits(state, Queue::Ask, due)
        }
        Finding::Cancelling => {
            // WeChat still waits for the user, so our cancel did not arrive.
            let unheard = matches!(finding, Finding::AwaitingUser { .. });
            let queue = if unheard { Queue::Cancel } else { Queue::Ask };
            Step::waits(State::Cancelling(attempt), queue, due)
        }
        Finding::Processing
        | Finding::Paid
        | Finding::Expired
        | Finding::Cancelled
        | Finding::Failed { .. }
        | Finding::Refused { .. }
        | Finding::NotFound
        | Finding::Unknown { .. } => Step::waits(State::Processing(attempt), Queue::Ask, due),
    }
}

/// A definite "not accepted". It is about this send only: where an earlier send may have been
/// accepted, the payout stays unknown.
fn refused(state: &State, attempt: Attempt, code: &str, cure: Cure, now: Timestamp) -> Effect {
    if let State::Cancelling(_) = state {
        // The answer to a cancel: what became of the transfer is asked again.
        let attempt = Attempt { asks: 0, ..attempt };
        return Effect::moves(Step::waits(State::Processing(attempt), Queue::Ask, now));
    }
    let State::Sending(_) = state else {
        return Effect::Nothing;
    };
    if attempt.doubt {
        return Effect::moves(in_doubt(attempt, code, now));
    }
    let code = code.to_owned();
    Effect::moves(match cure {
        Cure::Later => Step::waits(
            State::Deferred(attempt, code),
            Queue::Send,
            now.after_ms(LATER_MS),
        ),
        // When the account has money again is the merchant's stop's affair.
        Cure::Float => Step::waits(State::Deferred(attempt, code), Queue::Send, now),
        Cure::Tomorrow => {
            let due = tomorrow(now);
            Step::waits(State::Deferred(attempt, code), Queue::Send, due)
        }
        Cure::Person => Step::waits(
            State::Deferred(attempt, code),
            Queue::Send,
            now.after_ms(PERSON_MS),
        ),
        Cure::Never => Step::ends(State::Failed(attempt, code), Money::Returns),
    })
}

/// "No record" while it may still be accepting is asked again; after that the same order is
/// sent again, as long as WeChat allows it. It is never read as a failure.
fn not_found(state: &State, attempt: Attempt, now: Timestamp) -> Effect {
    if let State::Sending(_) | State::Unknown(..) = state {
        let settled = now.since_ms(attempt.last_sent_at) >= NOT_FOUND_WAIT_MS;
        let allowed = attempt.may_go_again(now);
        let mut step = in_doubt(attempt, "not_found", now);
        if settled && allowed {
            step.wait = Some((Queue::Send, now));
        }
        return Effect::moves(step);
    }
    Effect::moves(ask_again(state, attempt, now))
}

/// An unknown answer to a send casts doubt; an unanswered question changes nothing but when
/// the next one is due.
fn unknown(
    state: &State,
    attempt: Attempt,
    code: &str,
    report: &TransferReport,
    now: Timestamp,
) -> Step {
    let was_sent = matches!(state, State::Deferred(..)) && report.origin == Origin::Answer;
    if was_sent || matches!(state, State::Sending(_) | State::Unknown(..)) {
        in_doubt(attempt, code, now)
    } else {
        ask_again(state, attempt, now)
    }
}

fn in_doubt(attempt: Attempt, code: &str, now: Timestamp) -> Step {
    let due = ask_due(now, attempt.asks);
    let asks = attempt.asks.saturating_add(1);
    let attempt = Attempt {
        doubt: true,
        asks,
        ..attempt
    };
    Step::waits(State::Unknown(attempt, code.to_owned()), Queue::Ask, due)
}

fn ask_again(state: &State, attempt: Attempt, now: Timestamp) -> Step {
    let asks = attempt.asks.saturating_add(1);
    let due = ask_due(now, asks);
    let attempt = Attempt { asks, ..attempt };
    if let State::Deferred(_, code) = state {
        return Step::waits(State::Deferred(attempt, code.clone()), Queue::Send, due);
    }
    let next = if let State::AwaitingUser(_, package) = state {
        State::AwaitingUser(attempt, package.clone())
    } else if let State::Cancelling(_) = state {
        State::Cancelling(attempt)
    } else {
        State::Processing(attempt)
    };
    Step::waits(next, Queue::Ask, due)
}
