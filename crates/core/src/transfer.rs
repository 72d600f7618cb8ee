//! What we ask of a provider, and every answer that it may give, in our words.
//!
//! The heart of it is [`Finding`]: done, not done by a listed definite answer, or unknown. An
//! answer that is not understood is unknown, never a failure.

use std::fmt::Write as _;

use crate::id::{AppId, MchId, OpenId, OutBillNo};
use crate::money::Fen;
use crate::seat::Seat;
use crate::time::Timestamp;
use crate::user::Sealed;

/// Under this amount WeChat does not compare names and refuses to be sent one.
pub const NAME_FROM: Fen = Fen(30);

/// A merchant of ours at WeChat Pay, with what every transfer of its says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merchant {
    /// Our number for it.
    pub no: crate::id::MerchantNo,
    /// WeChat's number for it.
    pub mchid: MchId,
    /// The apps that are bound to it at WeChat; their users it can pay. A new link goes by the
    /// first one where nobody asks for another.
    pub apps: Vec<AppId>,
    /// The scene that WeChat granted, such as `1000`.
    pub scene: String,
    /// What the scene obliges us to report, as pairs of type and content.
    pub scene_report: Vec<(String, String)>,
    /// What the user reads beside the amount, at most 32 characters.
    pub remark: String,
    /// Of several merchants that could pay, how large a share is this one's; one with zero pays
    /// only what was begun with it.
    pub weight: u32,
    /// What it may pay in one business day, where that is limited.
    pub day_quota: Option<Fen>,
}

/// One transfer, whole: everything that goes out is decided here and kept before the first
/// byte is sent. The name alone is encrypted anew for each send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferOrder {
    /// The business number, the same for every send of this attempt.
    pub number: OutBillNo,
    /// Who pays.
    pub mchid: MchId,
    /// Under which app.
    pub app: AppId,
    /// Whom.
    pub openid: OpenId,
    /// How much.
    pub amount: Fen,
    /// Under which scene.
    pub scene: String,
    /// With which report.
    pub scene_report: Vec<(String, String)>,
    /// With which words to the user.
    pub remark: String,
    /// The real name, where WeChat is to compare it.
    pub name: Option<Sealed>,
    /// Its place in a batch, where it goes out together with others.
    pub seat: Option<Seat>,
}

impl Merchant {
    /// Whether it can pay users of this app, as far as WeChat binds them.
    #[must_use]
    pub fn is_bound_to(&self, app: &AppId) -> bool {
        self.apps.contains(app)
    }

    /// Whether new payouts may be begun with it.
    #[must_use]
    pub fn begins(&self) -> bool {
        self.weight > 0
    }

    /// Whether new payouts to users of this app may be begun with it.
    #[must_use]
    pub fn begins_under(&self, app: &AppId) -> bool {
        self.begins() && self.is_bound_to(app)
    }
}

impl TransferOrder {
    /// The number of the request that it goes out in: that of its batch, or its own.
    #[must_use]
    pub fn batch(&self) -> OutBillNo {
        self.seat.map_or(self.number, |seat| seat.batch())
    }

    /// Whether it can go out in one request with another, as far as what they say alike goes.
    #[must_use]
    pub fn goes_with(&self, other: &TransferOrder) -> bool {
        let alike = |order: &TransferOrder| order.name.is_some();
        self.mchid == other.mchid
            && self.app == other.app
            && self.scene == other.scene
            && self.scene_report == other.scene_report
            && self.remark == other.remark
            && alike(self) == alike(other)
    }

    /// The order as text that is equal exactly when the orders are, for the record. It names no
    /// person: neither openid nor real name is in it.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut text = format!(
            "number={}\nmchid={}\nappid={}\namount_fen={}\nscene={}\nremark={}\nname_checked={}\n",
            self.number,
            self.mchid,
            self.app,
            self.amount.0,
            self.scene,
            self.remark,
            self.name.is_some()
        );
        for (kind, content) in &self.scene_report {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "report.{kind}={content}");
        }
        if let Some(seat) = self.seat {
            let _ = writeln!(text, "seat={seat}");
        }
        text
    }
}

/// What a definite refusal leaves us to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// The same request again, a little later: too fast.
    Later,
    /// The same request again once the merchant's account has money.
    Float,
    /// The same request again on the next business day.
    Tomorrow,
    /// The same request again once a person has changed something: rights, keys, addresses.
    Person,
    /// This request will never be accepted.
    Never,
}

/// What became of a transfer, as far as one message tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Accepted and on its way.
    Processing,
    /// Money is locked and the user must confirm. The package opens the confirm page; only the
    /// answer to a send carries it.
    AwaitingUser {
        /// What the confirm page is opened with.
        package: Option<String>,
    },
    /// A cancel is under way.
    Cancelling,
    /// In the user's wallet.
    Paid,
    /// Closed because nobody confirmed in time; nothing was paid.
    Expired,
    /// Cancelled; nothing was paid.
    Cancelled,
    /// Ended without being paid.
    Failed {
        /// WeChat's reason.
        code: String,
        /// Whether another transfer may come through. Its number is a new one.
        cure: Cure,
    },
    /// The request was not accepted, by an answer that is listed as definite.
    Refused {
        /// WeChat's error code.
        code: String,
        /// What to do about it.
        cure: Cure,
    },
    /// There is no record of the number at this moment. That proves nothing.
    NotFound,
    /// Everything else.
    Unknown {
        /// A word for what happened, such as `timeout` or WeChat's error code.
        code: String,
    },
}

impl Finding {
    /// The code that says more, where there is one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Finding::Failed { code, .. }
            | Finding::Refused { code, .. }
            | Finding::Unknown { code } => Some(code),
            Finding::NotFound => Some("not_found"),
            Finding::Processing
            | Finding::AwaitingUser { .. }
            | Finding::Cancelling
            | Finding::Paid
            | Finding::Expired
            | Finding::Cancelled => None,
        }
    }
}

/// Where a report comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The answer to a send or a cancel.
    Answer,
    /// The answer to a question.
    Query,
    /// A signed notification.
    Notification,
}

impl Origin {
    /// The stored name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Origin::Answer => "answer",
            Origin::Query => "query",
            Origin::Notification => "notification",
        }
    }
}

/// What was seen, kept for the person who has to explain it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// WeChat's own id for the call or the notification.
    pub request_id: Option<String>,
    /// The body as it came, opened where it was sealed; cut at 4 KiB.
    pub body: String,
}

/// What the message says about the transfer beyond its fate. Each must agree with our record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The merchant.
    pub mchid: Option<String>,
    /// The app.
    pub app: Option<String>,
    /// The receiver.
    pub openid: Option<OpenId>,
    /// The amount.
    pub amount: Option<Fen>,
}

/// One message about one transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferReport {
    /// Which transfer.
    pub number: OutBillNo,
    /// How we know.
    pub origin: Origin,
    /// What became of it.
    pub finding: Finding,
    /// WeChat's number for it.
    pub bill_no: Option<String>,
    /// When it became so, by WeChat's clock.
    pub at: Option<Timestamp>,
    /// What else the message says.
    pub claims: Claims,
    /// The message itself.
    pub evidence: Evidence,
}
