//! The life of a payout: one state at a time, each owning its data, and one function that says
//! what comes next.
//!
//! Final states never change. What we do not know is a state of its own and is left only by
//! evidence. The business number is decided once, before the first byte goes out, and the same
//! order is sent again under the same number until its fate is proved.

mod step;

pub use step::{
    AGAIN_MS, ANSWER_WAIT_MS, Effect, LATER_MS, Money, NOT_FOUND_WAIT_MS, PERSON_MS,
    RESEND_WINDOW_MS, Step, again, ask_due, assessed, begun, billed, cancelled, given_up, parted,
    reported, resent, reviewed, sendable, unsent,
};

use crate::control::Actor;
use crate::id::{MerchantNo, OutBillNo, PayoutId, Reference, UserNo};
use crate::money::Fen;
use crate::risk::Reason;
use crate::time::{BusinessDate, Timestamp};
use crate::transfer::TransferOrder;

/// Who asked for the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A request named the amount or all of it.
    ByRequest,
    /// A sweep found a balance above the threshold.
    BySweep,
}

impl Asked {
    /// The stored name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Asked::ByRequest => "request",
            Asked::BySweep => "sweep",
        }
    }

    /// The value of a stored name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Asked> {
        [Asked::ByRequest, Asked::BySweep]
            .into_iter()
            .find(|asked| asked.name() == name)
    }
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
    /// How many attempts ended, each provably without a payment. The next one has a new number.
    pub tries: u8,
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
    /// Whether there ever was a send whose fate we did not learn, or one that was accepted
    /// before this one. A refusal of a later send then proves nothing about the earlier one.
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

    /// Whether WeChat still takes the number for the same.
    #[must_use]
    pub fn may_go_again(&self, now: Timestamp) -> bool {
        now.since_ms(self.first_sent_at) < RESEND_WINDOW_MS
    }
}

/// What risk wants people to look at, and who said yes so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Why they are asked.
    pub reasons: Vec<Reason>,
    /// Who approved it; each once.
    pub approvals: Vec<Actor>,
}

/// Where a payout stands. Each state has exactly what is known in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Money is held; risk has not looked yet.
    Requested,
    /// Risk wants people to look.
    Review(Review),
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
    pub const NAMES: [&'static str; 14] = [
        "requested",
        "review",
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
            State::Review(_) => "review",
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
            | State::Review(_)
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
            State::Requested | State::Review(_) | State::Approved | State::Refused(_) => None,
        }
    }
}

/// What a payout waits for. Everything unfinished waits for exactly one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Queue {
    /// Risk looks at it.
    Assess,
    /// People look at it; when the time is up it ends.
    Review,
    /// The order is sent, for the first time or again.
    Send,
    /// WeChat is asked what became of it.
    Ask,
    /// WeChat is asked to cancel it.
    Cancel,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Queue; 5] = [
        Queue::Assess,
        Queue::Review,
        Queue::Send,
        Queue::Ask,
        Queue::Cancel,
    ];

    /// The stored name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Queue::Assess => "assess",
            Queue::Review => "review",
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
