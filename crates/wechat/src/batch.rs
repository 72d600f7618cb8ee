//! The batch transfer of 2021: `/v3/transfer/batches`. One payout is one batch with one item, and
//! both have the payout's number: it is durable before the first byte goes out, whatever became of
//! a batch is what became of its payout, and a line of the bill that names either of the two names
//! the payout. (Many payouts in one batch would need a second durable number, and WeChat does not
//! say which of the two its bills name.)

use lingqian_core::id::{OpenId, OutBillNo};
use lingqian_core::money::Fen;
use lingqian_core::transfer::TransferReport;
use lingqian_core::transfer::{Claims, Cure, Evidence, Finding, Origin, TransferOrder};
use lingqian_io::{Clock, Dice, Sealer, Signer};
use serde::{Deserialize, Serialize};

use crate::classify;
use crate::pay::{WechatPay, unanswered};
use crate::settings::RailKind;
use crate::tables;
use crate::transfer::{Answer, Call, moment, silent};

/// Where batches are created.
pub const CREATE_PATH: &str = "/v3/transfer/batches";

#[derive(Serialize)]
struct Create<'a> {
    appid: &'a str,
    out_batch_no: String,
    batch_name: &'a str,
    batch_remark: &'a str,
    total_amount: i64,
    total_num: u32,
    transfer_detail_list: [Item<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_scene_id: Option<&'a str>,
    notify_url: &'a str,
}

#[derive(Serialize)]
struct Item<'a> {
    out_detail_no: String,
    transfer_amount: i64,
    transfer_remark: &'a str,
    openid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
}

/// The body of a create. `name` is already sealed for WeChat.
#[must_use]
pub fn create_body(order: &TransferOrder, name: Option<String>, notify_url: &str) -> Vec<u8> {
    let create = Create {
        appid: order.app.as_str(),
        out_batch_no: order.number.to_string(),
        batch_name: &order.remark,
        batch_remark: &order.remark,
        total_amount: order.amount.0,
        total_num: 1,
        transfer_detail_list: [Item {
            out_detail_no: order.number.to_string(),
            transfer_amount: order.amount.0,
            transfer_remark: &order.remark,
            openid: order.openid.expose(),
            user_name: name,
        }],
        transfer_scene_id: RailKind::scene_id(&order.scene),
        notify_url,
    };
    serde_json::to_vec(&create).unwrap_or_default()
}

/// Where a batch is asked about.
#[must_use]
pub fn query_path(number: OutBillNo) -> String {
    format!("{CREATE_PATH}/out-batch-no/{number}?need_query_detail=false")
}

/// Where its item is asked about.
#[must_use]
pub fn item_path(number: OutBillNo) -> String {
    format!("{CREATE_PATH}/out-batch-no/{number}/details/out-detail-no/{number}")
}

#[derive(Deserialize)]
struct Accepted {
    out_batch_no: String,
    batch_status: String,
    create_time: Option<String>,
}

#[derive(Deserialize)]
struct Asked {
    transfer_batch: Batch,
}

/// What WeChat says about a batch, in an answer or a notification.
#[derive(Deserialize)]
pub(crate) struct Batch {
    pub(crate) out_batch_no: String,
    batch_status: String,
    mchid: Option<String>,
    appid: Option<String>,
    close_reason: Option<String>,
    total_num: Option<u32>,
    total_amount: Option<i64>,
    success_num: Option<u32>,
    success_amount: Option<i64>,
    update_time: Option<String>,
}

/// It names a person, so it never prints itself.
#[derive(Deserialize)]
struct Detail {
    out_batch_no: String,
    out_detail_no: String,
    detail_id: Option<String>,
    detail_status: String,
    fail_reason: Option<String>,
    mchid: Option<String>,
    appid: Option<String>,
    openid: Option<String>,
    transfer_amount: Option<i64>,
    update_time: Option<String>,
}

fn unknown(code: &str) -> Finding {
    let code = code.to_owned();
    Finding::Unknown { code }
}

/// What a good answer holds; otherwise what the answer means.
fn read<T: for<'a> Deserialize<'a>>(call: Call, answer: &Answer) -> Result<T, Finding> {
    let refused = answer.error(|error| match call {
        Call::Create => classify::refusal(tables::BATCH, error),
        Call::Cancel | Call::Query => classify::query_error(error),
    });
    if let Some(finding) = refused {
        return Err(finding);
    }
    match answer.doubt {
        Some(doubt) => Err(unknown(doubt)),
        None => serde_json::from_slice(&answer.body).map_err(|_| unknown("answer_unreadable")),
    }
}

/// What the answer to a create reports: at most that it was accepted. What became of it is asked.
#[must_use]
pub fn created(number: OutBillNo, answer: &Answer) -> TransferReport {
    let evidence = answer.evidence();
    let accepted = match read::<Accepted>(Call::Create, answer) {
        Ok(accepted) => accepted,
        Err(finding) => return silent(number, Origin::Answer, finding, evidence),
    };
    let finding = if accepted.out_batch_no != number.to_string() {
        unknown("number_mismatch")
    } else if STATES.contains(&accepted.batch_status.as_str()) {
        Finding::Processing
    } else {
        unknown("state_unknown")
    };
    TransferReport {
        at: accepted.create_time.as_deref().and_then(moment),
        ..silent(number, Origin::Answer, finding, evidence)
    }
}

/// What WeChat calls where a batch stands.
const STATES: [&str; 5] = ["WAIT_PAY", "ACCEPTED", "PROCESSING", "FINISHED", "CLOSED"];

/// What the answer about a batch reports; nothing when its item has to be asked about.
#[must_use]
pub fn asked(number: OutBillNo, answer: &Answer) -> Option<TransferReport> {
    let evidence = answer.evidence();
    match read::<Asked>(Call::Query, answer) {
        Ok(asked) => of_batch(number, Origin::Query, &asked.transfer_batch, evidence),
        Err(finding) => Some(silent(number, Origin::Query, finding, evidence)),
    }
}

/// What a batch tells about its one item; nothing when it is finished and does not say enough.
pub(crate) fn of_batch(
    number: OutBillNo,
    origin: Origin,
    batch: &Batch,
    evidence: Evidence,
) -> Option<TransferReport> {
    let finding = if batch.out_batch_no != number.to_string() {
        unknown("number_mismatch")
    } else if batch.total_num.is_some_and(|items| items != 1) {
        unknown("items_mismatch")
    } else {
        match batch.batch_status.as_str() {
            "WAIT_PAY" | "ACCEPTED" | "PROCESSING" => Finding::Processing,
            // Nothing of a batch that was closed was paid.
            "CLOSED" => {
                let reason = batch.close_reason.as_deref().unwrap_or("CLOSED");
                failed(reason)
            }
            "FINISHED" if origin == Origin::Notification && all_paid(batch) => Finding::Paid,
            "FINISHED" => return None,
            _ => unknown("state_unknown"),
        }
    };
    Some(TransferReport {
        at: batch.update_time.as_deref().and_then(moment),
        claims: Claims {
            mchid: batch.mchid.clone(),
            app: batch.appid.clone(),
            openid: None,
            amount: batch.total_amount.map(Fen),
        },
        ..silent(number, origin, finding, evidence)
    })
}

fn all_paid(batch: &Batch) -> bool {
    (batch.total_num, batch.success_num) == (Some(1), Some(1))
        && batch.total_amount.is_some()
        && batch.total_amount == batch.success_amount
}

fn failed(reason: &str) -> Finding {
    Finding::Failed {
        code: reason.to_owned(),
        cure: tables::another(reason),
    }
}

/// What the answer about an item reports.
#[must_use]
pub fn told(number: OutBillNo, answer: &Answer) -> TransferReport {
    let evidence = answer.evidence();
    let detail = match read::<Detail>(Call::Query, answer) {
        Ok(detail) => detail,
        // The batch is there and finished, so an item that is not found is no news.
        Err(Finding::NotFound) => {
            return silent(number, Origin::Query, unknown("item_not_found"), evidence);
        }
        Err(finding) => return silent(number, Origin::Query, finding, evidence),
    };
    let own = number.to_string();
    let openid = detail.openid.as_deref().map(OpenId::parse);
    let finding = match (detail.detail_status.as_str(), &detail.fail_reason) {
        _ if detail.out_batch_no != own || detail.out_detail_no != own => {
            unknown("number_mismatch")
        }
        _ if matches!(openid, Some(Err(_))) => unknown("openid_unreadable"),
        ("INIT" | "WAIT_PAY" | "PROCESSING", _) => Finding::Processing,
        ("SUCCESS", _) => Finding::Paid,
        ("FAIL", Some(reason)) => failed(reason),
        ("FAIL", None) => Finding::Failed {
            code: "FAIL".to_owned(),
            cure: Cure::Never,
        },
        _ => unknown("state_unknown"),
    };
    TransferReport {
        bill_no: detail.detail_id,
        at: detail.update_time.as_deref().and_then(moment),
        claims: Claims {
            mchid: detail.mchid,
            app: detail.appid,
            openid: openid.and_then(Result::ok),
            amount: detail.transfer_amount.map(Fen),
        },
        ..silent(number, Origin::Query, finding, evidence)
    }
}

impl<S: Signer, K: Sealer, C: Clock, D: Dice> WechatPay<S, K, C, D> {
    /// Sends an order as a batch.
    pub(crate) async fn send_batch(&self, order: &TransferOrder) -> TransferReport {
        let number = order.number;
        let silent = |finding| silent(number, Origin::Answer, finding, Evidence::default());
        let Ok(name) = self.name(order).await else {
            return silent(Finding::Refused {
                code: "name_unreadable".to_owned(),
                cure: Cure::Person,
            });
        };
        let body = create_body(order, name, &self.settings.notify_url);
        match self.call(&self.create, ("POST", CREATE_PATH), body).await {
            Err(word) => silent(unanswered(word, Call::Create)),
            Ok(answered) => created(number, &self.proved(answered).await),
        }
    }

    /// Asks about a batch and, when that is finished, about its item.
    pub(crate) async fn ask_batch(&self, number: OutBillNo) -> TransferReport {
        let silent = |word: &str| {
            let finding = unanswered(word, Call::Query);
            silent(number, Origin::Query, finding, Evidence::default())
        };
        let pace = &self.batch_query;
        let path = query_path(number);
        let answered = match self.call(pace, ("GET", &path), Vec::new()).await {
            Err(word) => return silent(word),
            Ok(answered) => self.proved(answered).await,
        };
        if let Some(report) = asked(number, &answered) {
            return report;
        }
        let path = item_path(number);
        match self.call(pace, ("GET", &path), Vec::new()).await {
            Err(word) => silent(word),
            Ok(answered) => told(number, &self.proved(answered).await),
        }
    }
}
