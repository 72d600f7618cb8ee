//! Cash red packets: `sendredpack` and `gethbinfo`. The user opens the packet; what nobody
//! opens within a day comes back to the merchant.
//!
//! The number of a packet has at most 28 characters, so ours goes without its first two; bills name
//! it so, too.

use lingqian_core::id::OutBillNo;
use lingqian_core::money::Fen;
use lingqian_core::transfer::{Claims, Cure, Finding, Origin, TransferOrder, TransferReport};

use crate::settings::RailKind;
use crate::tables::RED_PACKET;
use crate::transfer::silent;
use crate::v2::door::{DoorSettings, Heard};
use crate::v2::enterprise::{evidence, not_good, not_told, unknown};

/// Where a packet is sent.
pub const SEND_PATH: &str = "/mmpaymkttransfers/sendredpack";
/// Where it is asked about.
pub const ASK_PATH: &str = "/mmpaymkttransfers/gethbinfo";

/// What every number of ours begins with.
const PREFIX: &str = "LQ";

/// The number of a packet.
#[must_use]
pub fn billno(number: OutBillNo) -> String {
    let text = number.to_string();
    text.strip_prefix(PREFIX).unwrap_or(&text).to_owned()
}

/// Our number for what a bill calls so, if it is a packet of ours.
#[must_use]
pub fn of_billno(text: &str) -> Option<OutBillNo> {
    OutBillNo::parse(&format!("{PREFIX}{text}")).ok()
}

/// What is sent for an order.
#[must_use]
pub fn packet(order: &TransferOrder, settings: &DoorSettings) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("mch_billno", billno(order.number)),
        ("mch_id", order.mchid.to_string()),
        ("wxappid", order.app.to_string()),
        ("send_name", settings.sender.clone()),
        ("re_openid", order.openid.expose().to_owned()),
        ("total_amount", order.amount.0.to_string()),
        ("total_num", "1".to_owned()),
        ("wishing", order.remark.clone()),
        ("client_ip", settings.ip.clone()),
        ("act_name", order.remark.clone()),
        ("remark", order.remark.clone()),
    ];
    let scene = RailKind::scene_id(&order.scene);
    fields.extend(scene.map(|scene| ("scene_id", scene.to_owned())));
    fields
}

/// What asks about a packet.
#[must_use]
pub fn question(
    number: OutBillNo,
    app: &str,
    settings: &DoorSettings,
) -> Vec<(&'static str, String)> {
    vec![
        ("appid", app.to_owned()),
        ("mch_id", settings.mchid.to_string()),
        ("mch_billno", billno(number)),
        ("bill_type", "MCHT".to_owned()),
    ]
}

/// What the answer to a send reports: at most that it is on its way to somebody who may open it.
#[must_use]
pub fn sent(number: OutBillNo, heard: &Heard) -> TransferReport {
    let evidence = evidence(heard);
    if let Some(finding) = not_good(RED_PACKET, heard) {
        return silent(number, Origin::Answer, finding, evidence);
    }
    let finding = if heard.field("mch_billno") == Some(billno(number).as_str()) {
        Finding::Processing
    } else {
        unknown("number_mismatch")
    };
    TransferReport {
        bill_no: heard.field("send_listid").map(str::to_owned),
        ..silent(number, Origin::Answer, finding, evidence)
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
    if heard.field("mch_billno") != Some(billno(number).as_str()) {
        return silent(unknown("number_mismatch"));
    }
    let amount = heard.field("total_amount").map(str::parse);
    if matches!(amount, Some(Err(_))) {
        return silent(unknown("claims_unreadable"));
    }
    let finding = match heard.field("status") {
        Some("SENDING" | "SENT" | "RFUND_ING") => Finding::Processing,
        Some("RECEIVED") => Finding::Paid,
        Some("REFUND") => Finding::Expired,
        Some("FAILED") => Finding::Failed {
            code: "FAILED".to_owned(),
            cure: Cure::Never,
        },
        _ => unknown("state_unknown"),
    };
    TransferReport {
        bill_no: heard.field("detail_id").map(str::to_owned),
        claims: Claims {
            mchid: heard.field("mch_id").map(str::to_owned),
            app: None,
            openid: None,
            amount: amount.and_then(Result::ok).map(Fen),
        },
        ..silent(finding)
    }
}
