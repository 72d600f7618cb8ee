//! One transfer: what the merchant asked for, and how far it has come.

use serde::{Deserialize, Serialize};

use super::Manner;

/// The states of a transfer, in WeChat's spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum State {
    /// Accepted, no money locked yet.
    Accepted,
    /// Waiting for money on the operation account.
    Processing,
    /// Money locked, the user is asked.
    WaitUserConfirm,
    /// The user has confirmed.
    Transfering,
    /// The money is in the user's wallet.
    Success,
    /// It will never be paid, and nothing is locked.
    Fail,
    /// The merchant has asked to cancel.
    Canceling,
    /// Cancelled, and nothing is locked.
    Cancelled,
}

impl State {
    /// All states, in the order of a transfer's life.
    pub(crate) const ALL: [Self; 8] = [
        Self::Accepted,
        Self::Processing,
        Self::WaitUserConfirm,
        Self::Transfering,
        Self::Success,
        Self::Fail,
        Self::Canceling,
        Self::Cancelled,
    ];

    /// The word on the wire.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Accepted => "ACCEPTED",
            Self::Processing => "PROCESSING",
            Self::WaitUserConfirm => "WAIT_USER_CONFIRM",
            Self::Transfering => "TRANSFERING",
            Self::Success => "SUCCESS",
            Self::Fail => "FAIL",
            Self::Canceling => "CANCELING",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Whether nothing can change any more.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Fail | Self::Cancelled)
    }
}

/// Which of WeChat's keys signs messages about a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyChoice {
    /// The platform certificate.
    Certificate,
    /// The WeChat Pay public key.
    PublicKey,
}

/// What the merchant asked for. A second request under the same number must be equal to it;
/// the name is compared in clear, because its encryption is different every time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) appid: String,
    pub(crate) out_bill_no: String,
    pub(crate) transfer_scene_id: String,
    pub(crate) openid: String,
    pub(crate) user_name: Option<String>,
    pub(crate) amount_fen: u64,
    pub(crate) remark: String,
    pub(crate) notify_url: Option<String>,
    pub(crate) perception: Option<String>,
    pub(crate) report_infos: Vec<(String, String)>,
    pub(crate) receive_style: Option<String>,
}

/// What the robot will do on the phone, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hand {
    pub(crate) confirms: bool,
    pub(crate) at_ms: i64,
}

/// A transfer with everything that is known about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Transfer {
    pub(crate) order: Order,
    pub(crate) transfer_bill_no: String,
    pub(crate) package_info: String,
    pub(crate) state: State,
    pub(crate) fail_reason: Option<String>,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    /// When it is closed if nobody has confirmed.
    pub(crate) close_ms: i64,
    /// When the clock moves it on, if nothing else does.
    pub(crate) due_ms: Option<i64>,
    pub(crate) hand: Option<Hand>,
    /// Whether its money is locked.
    pub(crate) locked: bool,
    /// Whether an expense line is on the bill that no income line has answered.
    pub(crate) booked: bool,
    /// How often money has reached the user: 0 or 1, and anything else is a bug of the sandbox.
    pub(crate) paid_times: u32,
    pub(crate) signed_by: KeyChoice,
}

/// One step of a transfer, with every decision that belongs to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Move {
    pub(crate) out_bill_no: String,
    pub(crate) at_ms: i64,
    pub(crate) state: State,
    pub(crate) fail_reason: Option<String>,
    pub(crate) due_ms: Option<i64>,
    pub(crate) hand: Option<Hand>,
    /// Write the expense line now, if there is none yet.
    pub(crate) book: bool,
    /// Announce this state to the merchant, in this manner.
    pub(crate) notice: Option<Manner>,
}

