//! From what WeChat answers to what it means: done, not done, or unknown. The rows are in `tables`.
//!
//! Only codes decide, never texts, with one exception that makes us more careful: the code
//! `INVALID_REQUEST` stands for many things, one of them that the number exists with other
//! data, and then something was accepted under it. It is definite only with words that are
//! known to mean "not accepted".
//!
//! An error answer is believed as definite for good only if it is signed. Without a signature
//! (a proxy or a firewall may have written it) the same order is sent again later.

use lingqian_core::transfer::{Cure, Finding};

use crate::tables::{self, Refusal};

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

/// What an error answer to a create or a cancel means for that send, by the table of its rail.
#[must_use]
pub fn refusal(table: &[Refusal], answer: &ErrorAnswer<'_>) -> Finding {
    let row = table.iter().find(|row| {
        (row.status, row.code) == (answer.status, answer.code)
            && answer.message.starts_with(row.words)
    });
    let Some(row) = row else {
        return unknown(answer);
    };
    let cure = if row.cure == Cure::Never && !answer.signed {
        Cure::Person
    } else {
        row.cure
    };
    Finding::Refused {
        code: answer.code.to_owned(),
        cure,
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
            cure: reason.map_or(Cure::Never, tables::another),
        },
        _ => Finding::Unknown {
            code: "state_unknown".into(),
        },
    }
}
