//! Enterprise payment: `promotion/transfers` and `gettransferinfo`. Its answer is
//! the payment itself; nobody confirms and nothing is announced.

use lingqian_core::id::{OpenId, OutBillNo};
use lingqian_core::money::Fen;
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::TransferReport;
use lingqian_core::transfer::{Claims, Cure, Evidence, Finding, Origin, TransferOrder};

use crate::tables::{self, ENTERPRISE, Row};
use crate::transfer::silent;
use crate::v2::door::{DoorSettings, Heard};

/// Where a payment is made.
pub const SEND_PATH: &str = "/mmpaymkttransfers/promotion/transfers";
/// Where it is asked about.
pub const ASK_PATH: &str = "/mmpaymkttransfers/gettransferinfo";

/// As much of an answer as evidence keeps, in bytes.
const EVIDENCE_MAX: usize = 4_096;

/// Fields that name a person or mean nothing later.
const HIDDEN: [&str; 6] = [
    "openid",
    "re_openid",
    "transfer_name",
    "re_user_name",
    "nonce_str",
    "sign",
];

/// What is sent for an order; `name` is in clear where WeChat is to compare it.
#[must_use]
pub fn payment(
    order: &TransferOrder,
    name: Option<String>,
    settings: &DoorSettings,
) -> Vec<(&'static str, String)> {
    let check = if name.is_some() {
        "FORCE_CHECK"
    } else {
        "NO_CHECK"
    };
    let mut fields = vec![
        ("mch_appid", order.app.to_string()),
        ("mchid", order.mchid.to_string()),
        ("partner_trade_no", order.number.to_string()),
        ("openid", order.openid.expose().to_owned()),
        ("check_name", check.to_owned()),
        ("amount", order.amount.0.to_string()),
        ("desc", order.remark.clone()),
        ("spbill_create_ip", settings.ip.clone()),
    ];
    fields.extend(name.map(|name| ("re_user_name", name)));
    fields
}

/// What asks about a number.
#[must_use]
pub fn question(
    number: OutBillNo,
    app: &str,
    settings: &DoorSettings,
) -> Vec<(&'static str, String)> {
    vec![
        ("appid", app.to_owned()),
        ("mch_id", settings.mchid.to_string()),
        ("partner_trade_no", number.to_string()),
    ]
}

/// What the answer to a payment reports.
#[must_use]
pub fn paid(order: &TransferOrder, heard: &Heard) -> TransferReport {
    let (number, evidence) = (order.number, evidence(heard));
    let silent = |finding| silent(number, Origin::Answer, finding, evidence.clone());
    if let Some(finding) = not_good(ENTERPRISE, heard) {
        return silent(finding);
    }
    if heard.field("partner_trade_no") != Some(number.to_string().as_str()) {
        return silent(unknown("number_mismatch"));
    }
    let Some(payment_no) = heard.field("payment_no") else {
        return silent(unknown("payment_no_missing"));
    };
    TransferReport {
        number,
        origin: Origin::Answer,
        finding: Finding::Paid,
        bill_no: Some(payment_no.to_owned()),
        at: heard.field("payment_time").and_then(moment),
        claims: Claims {
            mchid: heard.field("mchid").map(str::to_owned),
            app: heard.field("mch_appid").map(str::to_owned),
            openid: None,
            amount: None,
        },
        evidence,
    }
}

/// What the answer to a question reports.
#[must_use]
pub fn told(number: OutBillNo, heard: &Heard) -> TransferReport {
    let evidence = evidence(heard);
    let silent = |finding| silent(number, Origin::Query, finding, evidence.clone());
    if let Some(finding) = not_told(heard) {
        return silent(finding);
    }
    if heard.field("partner_trade_no") != Some(number.to_string().as_str()) {
        return silent(unknown("number_mismatch"));
    }
    let finding = match heard.field("status") {
        Some("SUCCESS") => Finding::Paid,
        Some("PROCESSING") => Finding::Processing,
        // The reason is a text, so nothing is concluded from it.
        Some("FAILED") => Finding::Failed {
            code: "FAILED".to_owned(),
            cure: Cure::Never,
        },
        _ => unknown("state_unknown"),
    };
    let openid = heard.field("openid").map(OpenId::parse);
    let amount = heard.field("payment_amount").map(str::parse);
    if matches!(openid, Some(Err(_))) || matches!(amount, Some(Err(_))) {
        return silent(unknown("claims_unreadable"));
    }
    TransferReport {
        number,
        origin: Origin::Query,
        finding,
        bill_no: heard.field("detail_id").map(str::to_owned),
        at: heard
            .field("payment_time")
            .or(heard.field("transfer_time"))
            .and_then(moment),
        claims: Claims {
            mchid: heard
                .field("mch_id")
                .or(heard.field("mchid"))
                .map(str::to_owned),
            app: heard.field("appid").map(str::to_owned),
            openid: openid.and_then(Result::ok),
            amount: amount.and_then(Result::ok).map(Fen),
        },
        evidence,
    }
}

/// Nothing when both codes say that the call worked; otherwise what it means that they do not.
/// `return_code` is about the message and `result_code` about the matter; a refusal counts only
/// with a code of the matter, because a message that was refused has none.
#[must_use]
pub fn not_good(table: &[Row], heard: &Heard) -> Option<Finding> {
    let fault = match &heard.fields {
        _ if heard.status != 200 => return Some(unknown(&format!("status_{}", heard.status))),
        Err(fault) => return Some(unknown(fault.code())),
        Ok(_) => (heard.field("return_code"), heard.field("result_code")),
    };
    match (fault, heard.field("err_code")) {
        ((Some("SUCCESS"), Some("SUCCESS")), None | Some("SUCCESS")) => None,
        ((Some(_), Some("FAIL")), Some(code)) => Some(tables::finding(table, &word(code))),
        ((Some("FAIL"), None), _) => Some(unknown("message_refused")),
        _ => Some(unknown("answer_unreadable")),
    }
}

/// Nothing when the answer to a question tells something; otherwise what it means that it does not.
#[must_use]
pub fn not_told(heard: &Heard) -> Option<Finding> {
    not_good(&[], heard).map(|finding| match finding {
        Finding::Unknown { code } if code == "NOT_FOUND" => Finding::NotFound,
        finding => finding,
    })
}

/// A code as it may be kept: a word, whatever was sent.
fn word(code: &str) -> String {
    let plain = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '_';
    code.chars().filter(plain).take(32).collect()
}

/// Nobody can tell.
#[must_use]
pub fn unknown(code: &str) -> Finding {
    Finding::Unknown {
        code: code.to_owned(),
    }
}

/// An answer for the record, without what names a person.
#[must_use]
pub fn evidence(heard: &Heard) -> Evidence {
    let mut body = String::new();
    match &heard.fields {
        Ok(fields) => {
            for (name, value) in fields {
                let value = if HIDDEN.contains(&name.as_str()) {
                    "…"
                } else {
                    value
                };
                body.push_str(&format!("{name}={value}\n"));
            }
        }
        Err(fault) => body = format!("(the answer {fault})"),
    }
    let mut end = EVIDENCE_MAX.min(body.len());
    while !body.is_char_boundary(end) {
        end -= 1;
    }
    body.truncate(end);
    Evidence {
        status: Some(heard.status),
        request_id: heard.request_id.clone(),
        body,
    }
}

/// `yyyy-MM-dd HH:mm:ss` in Beijing; colons occur in two widths.
#[must_use]
pub fn moment(text: &str) -> Option<Timestamp> {
    let at: jiff::civil::DateTime = text.replace('：', ":").parse().ok()?;
    let at = jiff::tz::Offset::constant(8).to_timestamp(at).ok()?;
    Some(Timestamp(at.as_millisecond()))
}
