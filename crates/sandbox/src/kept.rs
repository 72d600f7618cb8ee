//! What the books keep: transfers, and movements on merchants' accounts.

use serde::{Deserialize, Serialize};

/// What a transfer is known by: numbers are a merchant's own, so two may use the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) mchid: String,
    pub(crate) number: String,
}

impl Id {
    pub(crate) fn new(mchid: &str, number: &str) -> Id {
        Id {
            mchid: mchid.to_owned(),
            number: number.to_owned(),
        }
    }
}

/// One merchant's account.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) flow: Vec<FlowLine>,
    pub(crate) balance: i64,
    /// The sum of what waits for users.
    pub(crate) locked: i64,
    /// The sum of what is under way in batches and by the old API.
    pub(crate) paying: i64,
}

/// One transfer as it was asked for and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Transfer {
    /// Who pays; nothing in journals of earlier versions, where there was one merchant.
    #[serde(default)]
    pub(crate) mchid: String,
    pub(crate) out_bill_no: String,
    pub(crate) transfer_bill_no: String,
    pub(crate) appid: String,
    pub(crate) openid: String,
    pub(crate) amount: i64,
    pub(crate) scene: String,
    pub(crate) infos: Vec<(String, String)>,
    pub(crate) remark: String,
    pub(crate) user_name: Option<String>,
    pub(crate) notify_url: Option<String>,
    pub(crate) package: String,
    pub(crate) created_at: i64,
    pub(crate) outcome: Outcome,
    pub(crate) updated_at: i64,
    /// Whether money is locked for it.
    pub(crate) locked: bool,
    /// The authorization that it asks for, or that it rests on.
    #[serde(default)]
    pub(crate) authorization: Option<String>,
    /// Whether nobody confirms it.
    #[serde(default)]
    pub(crate) direct: bool,
}

/// Where a transfer stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "state", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Outcome {
    /// No money was locked yet.
    Accepted,
    /// The user must confirm.
    WaitUserConfirm,
    /// The money is being locked.
    Processing,
    /// The user confirmed, or nobody needs to.
    Transfering {
        /// Why the wallet will not take it; nothing where it will.
        #[serde(default)]
        fails: Option<String>,
    },
    /// In the wallet.
    Success,
    /// Ended unpaid.
    Fail {
        /// WeChat's reason.
        reason: String,
    },
    /// A cancel was accepted.
    Canceling,
    /// Cancelled.
    Cancelled,
}

impl Transfer {
    /// What it is known by.
    pub(crate) fn id(&self) -> Id {
        Id::new(&self.mchid, &self.out_bill_no)
    }
}

impl Outcome {
    /// WeChat's word for it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Outcome::Accepted => "ACCEPTED",
            Outcome::WaitUserConfirm => "WAIT_USER_CONFIRM",
            Outcome::Processing => "PROCESSING",
            Outcome::Transfering { .. } => "TRANSFERING",
            Outcome::Success => "SUCCESS",
            Outcome::Fail { .. } => "FAIL",
            Outcome::Canceling => "CANCELING",
            Outcome::Cancelled => "CANCELLED",
        }
    }

    /// Whether it goes on without anybody's doing.
    pub(crate) fn moves_on(&self) -> bool {
        matches!(
            self,
            Outcome::Accepted | Outcome::Processing | Outcome::Transfering { .. }
        )
    }

    /// Whether nothing changes any more.
    pub(crate) fn is_final(&self) -> bool {
        matches!(
            self,
            Outcome::Success | Outcome::Fail { .. } | Outcome::Cancelled
        )
    }
}

/// One movement on a merchant's account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct FlowLine {
    /// Whose account; nothing in journals of earlier versions.
    #[serde(default)]
    pub(crate) mchid: String,
    pub(crate) flow_no: String,
    pub(crate) at: i64,
    pub(crate) business_no: String,
    pub(crate) words: String,
    pub(crate) income: bool,
    pub(crate) amount: i64,
    pub(crate) balance: i64,
    pub(crate) voucher: String,
}
