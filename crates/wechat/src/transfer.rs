//! Messages of the 2025 merchant transfer: `/v3/fund-app/mch-transfer/transfer-bills`.

use lingqian_core::id::{OpenId, OutBillNo};
use lingqian_core::money::Fen;
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::{Claims, Evidence, Finding, Origin, TransferOrder, TransferReport};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::classify::{self, ErrorAnswer};
use crate::tables;

/// Where transfers are created.
pub const CREATE_PATH: &str = "/v3/fund-app/mch-transfer/transfer-bills";

/// As much of a body as evidence keeps, in bytes.
const BODY_MAX: usize = 4_096;

#[derive(Serialize)]
struct Create<'a> {
    appid: &'a str,
    out_bill_no: String,
    transfer_scene_id: &'a str,
    openid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    transfer_amount: i64,
    transfer_remark: &'a str,
    notify_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_recv_perception: Option<&'a str>,
    transfer_scene_report_infos: Vec<Info<'a>>,
}

/// What an order reports under this name are the words by which the user is told what the money
/// is, and no report of the scene.
pub const PERCEPTION: &str = "user_recv_perception";

#[derive(Serialize)]
pub(crate) struct Info<'a> {
    info_type: &'a str,
    info_content: &'a str,
}

/// What an order reports of its scene.
pub(crate) fn infos(order: &TransferOrder) -> Vec<Info<'_>> {
    let reports = order
        .scene_report
        .iter()
        .filter(|(kind, _)| kind != PERCEPTION);
    reports
        .map(|(info_type, info_content)| Info {
            info_type,
            info_content,
        })
        .collect()
}

/// The words by which the user is told what the money is; nothing for those of the scene.
pub(crate) fn perception(order: &TransferOrder) -> Option<&str> {
    let mut reports = order.scene_report.iter();
    let found = reports.find(|(kind, _)| kind == PERCEPTION);
    found.map(|(_, words)| words.as_str())
}

/// The body of a create. `name` is already sealed for WeChat.
#[must_use]
pub fn create_body(order: &TransferOrder, name: Option<String>, notify_url: &str) -> Vec<u8> {
    let create = Create {
        appid: order.app.as_str(),
        out_bill_no: order.number.to_string(),
        transfer_scene_id: &order.scene,
        openid: order.openid.expose(),
        user_name: name,
        transfer_amount: order.amount.0,
        transfer_remark: &order.remark,
        notify_url,
        user_recv_perception: perception(order),
        transfer_scene_report_infos: infos(order),
    };
    serde_json::to_vec(&create).unwrap_or_default()
}

/// Where a number is asked about.
#[must_use]
pub fn query_path(number: OutBillNo) -> String {
    format!("{CREATE_PATH}/out-bill-no/{number}")
}

/// Where a number is cancelled.
#[must_use]
pub fn cancel_path(number: OutBillNo) -> String {
    format!("{CREATE_PATH}/out-bill-no/{number}/cancel")
}

/// What WeChat says about a transfer, in an answer or a notification. New fields may appear at
/// any time and are ignored. It names a person, so it never prints itself.
#[derive(Clone, Deserialize)]
pub struct Bill {
    /// Our number.
    pub out_bill_no: String,
    /// Theirs.
    pub transfer_bill_no: Option<String>,
    /// Where it stands.
    pub state: String,
    /// What opens the confirm page.
    pub package_info: Option<String>,
    /// Why it failed.
    pub fail_reason: Option<String>,
    /// The merchant; both spellings occur.
    #[serde(alias = "mchid")]
    pub mch_id: Option<String>,
    /// The app.
    pub appid: Option<String>,
    /// The receiver.
    pub openid: Option<String>,
    /// The amount in fen.
    pub transfer_amount: Option<i64>,
    /// When it became so.
    pub update_time: Option<String>,
    /// When it was created.
    pub create_time: Option<String>,
}

/// The body of an error answer.
#[derive(Deserialize, Default)]
struct ErrorBody {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// An answer as it came in, and whether its signature was proved. Its body may name a person,
/// so it never prints itself.
#[derive(Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// WeChat's id of the call.
    pub request_id: Option<String>,
    /// The raw body.
    pub body: Vec<u8>,
    /// Nothing if it is WeChat's; otherwise a word for what failed.
    pub doubt: Option<&'static str>,
}

impl Answer {
    /// The answer for the record.
    pub(crate) fn evidence(&self) -> Evidence {
        Evidence {
            status: Some(self.status),
            request_id: self.request_id.clone(),
            body: redact(&self.body),
        }
    }

    /// What somebody makes of the error that it is; nothing where it is none.
    pub(crate) fn error<R>(&self, judge: impl FnOnce(&ErrorAnswer<'_>) -> R) -> Option<R> {
        if (200..300).contains(&self.status) {
            return None;
        }
        let body: ErrorBody = serde_json::from_slice(&self.body).unwrap_or_default();
        Some(judge(&ErrorAnswer {
            status: self.status,
            code: &body.code,
            message: &body.message,
            signed: self.doubt.is_none(),
        }))
    }
}

/// Which call an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A create.
    Create,
    /// A cancel.
    Cancel,
    /// A query.
    Query,
}

/// What an answer reports about a number.
#[must_use]
pub fn report(number: OutBillNo, call: Call, answer: &Answer) -> TransferReport {
    let origin = if call == Call::Query {
        Origin::Query
    } else {
        Origin::Answer
    };
    let evidence = answer.evidence();
    let refused = answer.error(|error| match call {
        Call::Query => classify::query_error(error),
        Call::Create => classify::refusal(tables::TRANSFER, error),
        // A refused cancel leaves the transfer as it is; it is asked about.
        Call::Cancel => refused_cancel(error),
    });
    if let Some(finding) = refused {
        return silent(number, origin, finding, evidence);
    }
    if let Some(doubt) = answer.doubt {
        return silent(
            number,
            origin,
            Finding::Unknown { code: doubt.into() },
            evidence,
        );
    }
    let Ok(bill) = serde_json::from_slice::<Bill>(&answer.body) else {
        let finding = Finding::Unknown {
            code: "answer_unreadable".into(),
        };
        return silent(number, origin, finding, evidence);
    };
    if bill.out_bill_no != number.to_string() {
        let finding = Finding::Unknown {
            code: "number_mismatch".into(),
        };
        return silent(number, origin, finding, evidence);
    }
    told(number, origin, bill, evidence)
}

fn refused_cancel(error: &ErrorAnswer<'_>) -> Finding {
    match error.status {
        400 => Finding::Refused {
            code: error.code.to_owned(),
            cure: lingqian_core::transfer::Cure::Person,
        },
        status => Finding::Unknown {
            code: format!("status_{status}"),
        },
    }
}

/// What a bill of WeChat's reports.
#[must_use]
pub fn told(number: OutBillNo, origin: Origin, bill: Bill, evidence: Evidence) -> TransferReport {
    let at = bill
        .update_time
        .as_deref()
        .or(bill.create_time.as_deref())
        .and_then(moment);
    let openid = bill.openid.as_deref().map(OpenId::parse);
    let readable = !matches!(openid, Some(Err(_)));
    let finding = classify::state(&bill.state, bill.fail_reason.as_deref(), bill.package_info);
    let unreadable = Finding::Unknown {
        code: "openid_unreadable".into(),
    };
    TransferReport {
        number,
        origin,
        finding: if readable { finding } else { unreadable },
        bill_no: bill.transfer_bill_no,
        at,
        claims: Claims {
            mchid: bill.mch_id,
            app: bill.appid,
            openid: openid.and_then(Result::ok),
            amount: bill.transfer_amount.map(Fen),
        },
        evidence,
    }
}

/// A report that says nothing beyond its finding.
#[must_use]
pub fn silent(
    number: OutBillNo,
    origin: Origin,
    finding: Finding,
    evidence: Evidence,
) -> TransferReport {
    let claims = Claims::default();
    TransferReport {
        number,
        origin,
        finding,
        bill_no: None,
        at: None,
        claims,
        evidence,
    }
}

pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>()
        .ok()
        .map(|at| Timestamp(at.as_millisecond()))
}

/// A body for the record, without what identifies or opens anything.
#[must_use]
pub fn redact(body: &[u8]) -> String {
    let mut text = match serde_json::from_slice::<Value>(body) {
        Ok(mut value) => {
            hide(&mut value);
            value.to_string()
        }
        Err(_) => format!("({} bytes that are not JSON)", body.len()),
    };
    let mut end = BODY_MAX.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// Fields that identify a person, open a page, or quote what was sent, at any depth.
const HIDDEN: [&str; 6] = [
    "openid",
    "user_name",
    "package_info",
    "value",
    "sign_information",
    "truncated_sign_message",
];

fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                if HIDDEN.contains(&name.as_str()) {
                    *field = Value::String("…".into());
                } else {
                    hide(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
