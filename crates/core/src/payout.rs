//! The life of a payout: one state at a time, each owning its data, and one function that says
//! what comes next.
//!
//! Final states never change. What we do not know is a state of its own and is left only by
//! evidence. The business number is decided once, before the first byte goes out, and the same
//! order is sent again under the same number until its fate is proved.

use crate::id::{MerchantNo, OutBillNo, PayoutId, Reference, UserNo};
use crate::money::Fen;
use crate::risk::Reason;
use crate::time::{BusinessDate, Timestamp};
use crate::transfer::{Cure, Finding, Origin, TransferOrder, TransferReport};

/// An answer that has not come after this time is asked for.
pub const ANSWER_WAIT_MS: i64 = 30_000;
/// While WeChat says "no record" for less than this, it may still be accepting.
pub const NOT_FOUND_WAIT_MS: i64 = 10 * 60_000;
/// The same number may be sent again this long after its first send; three days are certain.
pub const RESEND_WINDOW_MS: i64 = 3 * 24 * 3_600_000;
/// A refusal that heals by itself is tried again after this.
pub const LATER_MS: i64 = 30_000;
/// A refusal that a person must cure is tried again after this.
pub const PERSON_MS: i64 = 10 * 60_000;

/// Waits between one question and the next; the last one repeats.
const ASK_WAITS_MS: [i64; 8] =
    [1_000, 5_000, 30_000, 60_000, 5 * 60_000, 15 * 60_000, 30 * 60_000, 3_600_000];

/// Who asked for the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A request named the amount or all of it.
    ByRequest,
    /// A sweep found a balance above the threshold.
    BySweep,
}

/// One payout: an amount of one user's money on its way to their wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payout {
    /// Its name.
    pub id: PayoutId,
    /// Whose money it is.
    pub user: UserNo,
    /// The merchant that pays.
    pub merchant: MerchantNo,
    /// How much; whole fen.
    pub amount: Fen,
    /// The caller's name for it.
    pub reference: Reference,
    /// Who asked.
    pub asked: Asked,
    /// When the money was held.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Rises with every change, from 1.
    pub version: u32,
    /// The business day whose limits it counts towards.
    pub counted_on: Option<BusinessDate>,
    /// What bills show as paid for it: out minus returned.
    pub billed: Fen,
    /// Where it stands.
    pub state: State,
}

/// One try to make the transfer, known to WeChat by one number for its whole life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What is sent, unchanged, every time.
    pub order: TransferOrder,
    /// How often it was sent.
    pub sends: u32,
    /// How often we asked since the last news.
    pub asks: u32,
    /// Whether there ever was a send whose fate we did not learn. A refusal of a later send
    /// then proves nothing about the earlier one.
    pub doubt: bool,
    /// When it was first sent.
    pub first_sent_at: Timestamp,
    /// When it was last sent.
    pub last_sent_at: Timestamp,
    /// WeChat's number for it.
    pub bill_no: Option<String>,
}

impl Attempt {
    /// The business number.
    #[must_use]
    pub fn number(&self) -> OutBillNo {
        self.order.number
    }
}

/// Where a payout stands. Each state has exactly what is known in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Money is held; risk has not looked yet.
    Requested,
    /// Risk passed it; nothing was sent.
    Approved,
    /// The order is durable and may be on its way.
    Sending(Attempt),
    /// Every send so far was definitely refused for a reason that can be cured. The same order
    /// will be sent again.
    Deferred(Attempt, String),
    /// We do not know what became of a send.
    Unknown(Attempt, String),
    /// WeChat has it.
    Processing(Attempt),
    /// WeChat waits for the user, who confirms on a page opened with the package.
    AwaitingUser(Attempt, Option<String>),
    /// We asked WeChat to cancel it.
    Cancelling(Attempt),
    /// In the user's wallet, since the moment by WeChat's clock.
    Paid(Attempt, Timestamp),
    /// Ended unpaid, for the reason.
    Failed(Attempt, String),
    /// Nobody confirmed in time; ended unpaid.
    Expired(Attempt),
    /// Cancelled, before or after it was sent.
    Cancelled(Option<Attempt>),
    /// Risk refused it.
    Refused(Vec<Reason>),
}

impl State {
    /// The stable names, in the order of a life.
    pub const NAMES: [&'static str; 13] = [
        "requested",
        "approved",
        "sending",
        "deferred",
        "unknown",
        "processing",
        "awaiting_user",
        "cancelling",
        "paid",
        "failed",
        "expired",
        "cancelled",
        "refused",
    ];

    /// The stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            State::Requested => "requested",
            State::Approved => "approved",
            State::Sending(_) => "sending",
            State::Deferred(..) => "deferred",
            State::Unknown(..) => "unknown",
            State::Processing(_) => "processing",
            State::AwaitingUser(..) => "awaiting_user",
            State::Cancelling(_) => "cancelling",
            State::Paid(..) => "paid",
            State::Failed(..) => "failed",
            State::Expired(_) => "expired",
            State::Cancelled(_) => "cancelled",
            State::Refused(_) => "refused",
        }
    }

    /// Whether nothing can change it any more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            State::Paid(..)
            | State::Failed(..)
            | State::Expired(_)
            | State::Cancelled(_)
            | State::Refused(_) => true,
            State::Requested
            | State::Approved
            | State::Sending(_)
            | State::Deferred(..)
            | State::Unknown(..)
            | State::Processing(_)
            | State::AwaitingUser(..)
            | State::Cancelling(_) => false,
        }
    }

    /// The attempt, where one was begun.
    #[must_use]
    pub fn attempt(&self) -> Option<&Attempt> {
        match self {
            State::Sending(attempt)
            | State::Deferred(attempt, _)
            | State::Unknown(attempt, _)
            | State::Processing(attempt)
            | State::AwaitingUser(attempt, _)
            | State::Cancelling(attempt)
            | State::Paid(attempt, _)
            | State::Failed(attempt, _)
            | State::Expired(attempt) => Some(attempt),
            State::Cancelled(attempt) => attempt.as_ref(),
            State::Requested | State::Approved | State::Refused(_) => None,
        }
    }
}

/// What a payout waits for. Everything unfinished waits for exactly one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Queue {
    /// Risk looks at it.
    Assess,
    /// The order is sent, for the first time or again.
    Send,
    /// WeChat is asked what became of it.
    Ask,
    /// WeChat is asked to cancel it.
    Cancel,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Queue; 4] = [Queue::Assess, Queue::Send, Queue::Ask, Queue::Cancel];

    /// The stored name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Queue::Assess => "assess",
            Queue::Send => "send",
            Queue::Ask => "ask",
            Queue::Cancel => "cancel",
        }
    }

    /// The queue of a stored name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Queue> {
        Queue::ALL.into_iter().find(|queue| queue.name() == name)
    }
}

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
        Step { state, money, wait: None }
    }

    fn waits(state: State, queue: Queue, due: Timestamp) -> Step {
        Step { state, money: Money::Stays, wait: Some((queue, due)) }
    }
}

/// What a message does to a payout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The payout moves on.
    Moves(Step),
    /// It says nothing new.
    Nothing,
    /// It contradicts what is final. The state stays, and a person must look.
    Contradicts,
}

/// When the next question is due after `asks` questions without news.
#[must_use]
pub fn ask_due(now: Timestamp, asks: u32) -> Timestamp {
    let index = usize::try_from(asks).unwrap_or(usize::MAX);
    let last = 3_600_000;
    now.after_ms(ASK_WAITS_MS.get(index).copied().unwrap_or(last))
}

/// Risk has looked.
#[must_use]
pub fn assessed(reasons: Vec<Reason>, now: Timestamp) -> Step {
    if reasons.is_empty() {
        Step::waits(State::Approved, Queue::Send, now)
    } else {
        Step::ends(State::Refused(reasons), Money::Returns)
    }
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
        State::Deferred(attempt, _)
        | State::Unknown(attempt, _)
        | State::AwaitingUser(attempt, None) => {
            Attempt { sends: attempt.sends.saturating_add(1), last_sent_at: now, ..attempt }
        }
        State::Requested
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
    Some(Step::waits(State::Sending(attempt), Queue::Ask, now.after_ms(ANSWER_WAIT_MS)))
}

/// Somebody wants it stopped. Nothing when it cannot be: a send is under way, its fate is
/// unknown, the user has confirmed, or it is over.
#[must_use]
pub fn cancelled(state: State, now: Timestamp) -> Option<Step> {
    match state {
        State::Requested | State::Approved => {
            Some(Step::ends(State::Cancelled(None), Money::Returns))
        }
        State::Deferred(attempt, _) if !attempt.doubt => {
            Some(Step::ends(State::Cancelled(Some(attempt)), Money::Returns))
        }
        State::AwaitingUser(attempt, _) => {
            Some(Step::waits(State::Cancelling(attempt), Queue::Cancel, now))
        }
        State::Deferred(..)
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
        State::Requested | State::Approved | State::Refused(_) | State::Cancelled(None) => {
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
            Effect::Moves(Step::ends(State::Paid(attempt, at), Money::Settles))
        }
        Finding::Failed { code } => {
            Effect::Moves(Step::ends(State::Failed(attempt, code.clone()), Money::Returns))
        }
        Finding::Expired => Effect::Moves(Step::ends(State::Expired(attempt), Money::Returns)),
        Finding::Cancelled => {
            Effect::Moves(Step::ends(State::Cancelled(Some(attempt)), Money::Returns))
        }
        Finding::Processing | Finding::AwaitingUser { .. } | Finding::Cancelling => {
            Effect::Moves(alive(state, attempt, &report.finding, now))
        }
        Finding::Refused { code, cure } => refused(state, attempt, code, *cure, now),
        Finding::NotFound => not_found(state, attempt, now),
        Finding::Unknown { code } => Effect::Moves(unknown(state, attempt, code, report, now)),
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
    if agrees { Effect::Nothing } else { Effect::Contradicts }
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
    attempt.asks = if same { attempt.asks.saturating_add(1) } else { 0 };
    let due = ask_due(now, attempt.asks);
    match next {
        Finding::AwaitingUser { package } => {
            let known = match state {
                State::AwaitingUser(_, known) => known.clone(),
                _ => None,
            };
            let package = package.or(known);
            // Without the package nobody can confirm; sending the same order again brings it.
            let queue = if package.is_some() { Queue::Ask } else { Queue::Send };
            let due = if package.is_some() { due } else { now };
            Step::waits(State::AwaitingUser(attempt, package), queue, due)
        }
        Finding::Cancelling => Step::waits(State::Cancelling(attempt), Queue::Ask, due),
        _ => Step::waits(State::Processing(attempt), Queue::Ask, due),
    }
}

/// A definite "not accepted". It is about this send only: where an earlier send may have been
/// accepted, the payout stays unknown.
fn refused(state: &State, attempt: Attempt, code: &str, cure: Cure, now: Timestamp) -> Effect {
    let State::Sending(_) = state else {
        return match state {
            // The answer to a cancel: what became of the transfer is asked again.
            State::Cancelling(_) => Effect::Moves(Step::waits(
                State::Processing(Attempt { asks: 0, ..attempt }),
                Queue::Ask,
                now,
            )),
            _ => Effect::Nothing,
        };
    };
    if attempt.doubt {
        return Effect::Moves(in_doubt(attempt, code, now));
    }
    let code = code.to_owned();
    Effect::Moves(match cure {
        Cure::Later => {
            Step::waits(State::Deferred(attempt, code), Queue::Send, now.after_ms(LATER_MS))
        }
        Cure::Person => {
            Step::waits(State::Deferred(attempt, code), Queue::Send, now.after_ms(PERSON_MS))
        }
        Cure::Never => Step::ends(State::Failed(attempt, code), Money::Returns),
    })
}

/// "No record" while it may still be accepting is asked again; after that the same order is
/// sent again, as long as WeChat allows it. It is never read as a failure.
fn not_found(state: &State, attempt: Attempt, now: Timestamp) -> Effect {
    match state {
        State::Sending(_) | State::Unknown(..) => {
            let settled = now.since_ms(attempt.last_sent_at) >= NOT_FOUND_WAIT_MS;
            let allowed = now.since_ms(attempt.first_sent_at) < RESEND_WINDOW_MS;
            let mut step = in_doubt(attempt, "not_found", now);
            if settled && allowed {
                step.wait = Some((Queue::Send, now));
            }
            Effect::Moves(step)
        }
        State::Processing(_) | State::AwaitingUser(..) | State::Cancelling(_) => {
            Effect::Moves(ask_again(state, attempt, now))
        }
        _ => Effect::Nothing,
    }
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
    match state {
        State::Sending(_) | State::Unknown(..) => in_doubt(attempt, code, now),
        State::Deferred(..) if report.origin == Origin::Answer => in_doubt(attempt, code, now),
        _ => ask_again(state, attempt, now),
    }
}

fn in_doubt(attempt: Attempt, code: &str, now: Timestamp) -> Step {
    let due = ask_due(now, attempt.asks);
    let asks = attempt.asks.saturating_add(1);
    let attempt = Attempt { doubt: true, asks, ..attempt };
    Step::waits(State::Unknown(attempt, code.to_owned()), Queue::Ask, due)
}

fn ask_again(state: &State, attempt: Attempt, now: Timestamp) -> Step {
    let asks = attempt.asks.saturating_add(1);
    let due = ask_due(now, asks);
    let attempt = Attempt { asks, ..attempt };
    let next = match state {
        State::AwaitingUser(_, package) => State::AwaitingUser(attempt, package.clone()),
        State::Cancelling(_) => State::Cancelling(attempt),
        State::Deferred(_, code) => State::Deferred(attempt, code.clone()),
        _ => State::Processing(attempt),
    };
    let queue = if matches!(next, State::Deferred(..)) { Queue::Send } else { Queue::Ask };
    Step::waits(next, queue, due)
}
