//! The one table from what WeChat answers to what it means: done, not done, or unknown.
//!
//! Only codes decide, never texts, with one exception that makes us more careful: the code
//! `INVALID_REQUEST` stands for many things, one of them that the number exists with other
//! data, and then something was accepted under it. It is definite only with words that are
//! known to mean "not accepted".
//!
//! An error answer is believed as definite for good only if it is signed. Without a signature
//! (a proxy or a firewall may have written it) the same order is sent again later.

use lingqian_core::transfer::{Cure, Finding};

/// What an error answer says, besides its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorAnswer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// WeChat's code; empty when the body is not WeChat's.
    pub code: &'a str,
    /// WeChat's words.
    pub message: &'a str,
    /// Whether the answer is signed, and rightly.
    pub signed: bool,
}

/// What an error answer to a create or a cancel means for that send.
#[must_use]
pub fn refusal(answer: &ErrorAnswer<'_>) -> Finding {
    let cure = match (answer.status, answer.code) {
        (400, "PARAM_ERROR") => Cure::Never,
        (400, "INVALID_REQUEST") if answer.message.starts_with(DAY_QUOTA) => Cure::Tomorrow,
        (400, "INVALID_REQUEST") if not_accepted(answer.message) => Cure::Never,
        // The app is not bound to the merchant: somebody has to bind it on the merchant platform,
        // and the same request is then accepted.
        (400, "APPID_MCHID_NOT_MATCH") | (401, "SIGN_ERROR") | (403, "NO_AUTH") => Cure::Person,
        (403, "NOT_ENOUGH") => Cure::Float,
        (429, "FREQUENCY_LIMITED" | "FREQUENCY_LIMIT_EXCEED" | "RATELIMIT_EXCEEDED") => Cure::Later,
        _ => return unknown(answer),
    };
    let cure = if cure == Cure::Never && !answer.signed {
        Cure::Person
    } else {
        cure
    };
    Finding::Refused {
        code: answer.code.to_owned(),
        cure,
    }
}

/// Whether another transfer of the same payout may come through after one that ended for this
/// reason. What the user or nobody can cure is over: the money returns to the balance.
fn another(reason: &str) -> Cure {
    match reason {
        "DAY_RECEIVED_COUNT_EXCEED" | "DAY_RECEIVED_QUOTA_EXCEED" => Cure::Tomorrow,
        "TRANSFER_RISK" => Cure::Later,
        "BUDGET_NOT_ENOUGH"
        | "MERCHANT_NOT_CONFIRM"
        | "PAYER_ACCOUNT_ABNORMAL"
        | "PRODUCT_AUTH_CHECK_FAIL"
        | "TRANSFER_SCENE_UNAVAILABLE" => Cure::Person,
        _ => Cure::Never,
    }
}

/// What an error answer to a query means. Only "not found" says anything about the transfer.
#[must_use]
pub fn query_error(answer: &ErrorAnswer<'_>) -> Finding {
    match (answer.status, answer.code) {
        (404, "NOT_FOUND" | "RESOURCE_NOT_EXISTS") => Finding::NotFound,
        _ => unknown(answer),
    }
}

/// The merchant has paid as much as it may in a day.
const DAY_QUOTA: &str = "超出商户单日转账额度";

/// Beginnings of the messages that are listed as definite.
const NOT_ACCEPTED: [&str; 4] = [
    "超过单笔转账上下限",
    "暂不支持展示当前传入的用户收款感知",
    "Openid格式错误",
    "商户未开通该转账场景",
];

fn not_accepted(message: &str) -> bool {
    NOT_ACCEPTED.iter().any(|words| message.starts_with(words))
}

fn unknown(answer: &ErrorAnswer<'_>) -> Finding {
    let code = if answer.code.is_empty() {
        format!("status_{}", answer.status)
    } else {
        answer.code.to_owned()
    };
    Finding::Unknown { code }
}

/// What a state means. `reason` is WeChat's for a failure, `package` opens the confirm page.
#[must_use]
pub fn state(state: &str, reason: Option<&str>, package: Option<String>) -> Finding {
    match (state, reason) {
        ("ACCEPTED" | "PROCESSING" | "TRANSFERING", _) => Finding::Processing,
        ("WAIT_USER_CONFIRM", _) => Finding::AwaitingUser { package },
        ("SUCCESS", _) => Finding::Paid,
        ("CANCELING", _) => Finding::Cancelling,
        ("CANCELLED", _) => Finding::Cancelled,
        ("FAIL", Some("OVERDUE_CLOSE")) => Finding::Expired,
        ("FAIL", Some("MCH_CANCEL")) => Finding::Cancelled,
        ("FAIL", reason) => Finding::Failed {
            code: reason.unwrap_or("FAIL").to_owned(),
            cure: reason.map_or(Cure::Never, another),
        },
        _ => Finding::Unknown {
            code: "state_unknown".into(),
        },
    }
}
