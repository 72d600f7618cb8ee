//! The batch transfer of 2021: `/v3/transfer/batches`. Many payouts go out in one request, each an
//! item under its own number, and the batch has the number of the first: all of that is durable
//! before the first byte goes out. One that goes alone is a batch of one item, and both have its
//! number.
//!
//! What is said of a batch is said of each of its items as far as nothing came of it: that it was
//! accepted, is under way, was refused, or is not known. What became of an item is asked about the
//! item.

use futures_util::{StreamExt, stream};
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
    total_num: usize,
    transfer_detail_list: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_scene_id: Option<&'a str>,
    notify_url: &'a str,
}

#[derive(Serialize)]
struct Item<'a> {
    out_detail_no: String,
    transfer_amount: i64,
    transfer_remark: &'a str,
    openid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
}

/// The largest batch.
pub const ITEMS_MAX: u16 = 1_000;
/// Items of one batch that are asked about at a time.
const ASKED_AT_ONCE: usize = 8;

/// The body of a create: all orders of a batch in their places, each with its name already sealed
/// for WeChat. They say alike what the batch says; nothing where there is none.
#[must_use]
pub fn create_body(orders: &[(&TransferOrder, Option<String>)], notify_url: &str) -> Vec<u8> {
    let Some((first, _)) = orders.first() else {
        return Vec::new();
    };
    let item = |(order, name): &(&'_ TransferOrder, Option<String>)| Item {
        out_detail_no: order.number.to_string(),
        transfer_amount: order.amount.0,
        transfer_remark: &first.remark,
        openid: String::from(order.openid.expose()),
        user_name: name.clone(),
    };
    let amounts = orders.iter().map(|(order, _)| order.amount.0);
    let create = Create {
        appid: first.app.as_str(),
        out_batch_no: first.batch().to_string(),
        batch_name: &first.remark,
        batch_remark: &first.remark,
        total_amount: amounts.fold(0, i64::saturating_add),
        total_num: orders.len(),
        transfer_detail_list: orders.iter().map(item).collect(),
        transfer_scene_id: RailKind::scene_id(&first.scene),
        notify_url,
    };
    serde_json::to_vec(&create).unwrap_or_default()
}

/// Where a batch is asked about.
#[must_use]
pub fn query_path(batch: OutBillNo) -> String {
    format!("{CREATE_PATH}/out-batch-no/{batch}?need_query_detail=false")
}

/// Where an item is asked about.
#[must_use]
pub fn item_path(order: &TransferOrder) -> String {
    let (batch, number) = (order.batch(), order.number);
    format!("{CREATE_PATH}/out-batch-no/{batch}/details/out-detail-no/{number}")
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

/// What the answer to a create reports of each order: at most that it was accepted. What became of
/// it is asked.
#[must_use]
pub fn created(orders: &[TransferOrder], answer: &Answer) -> Vec<TransferReport> {
    let batch = orders.first().map(TransferOrder::batch);
    let (finding, at) = match read::<Accepted>(Call::Create, answer) {
        Err(finding @ Finding::Refused { .. }) => match answer.doubt {
            // Whoever wrote that, it is no reason to give up the number that all of them have.
            Some(doubt) if orders.len() > 1 => (unknown(doubt), None),
            _ => (finding, None),
        },
        Err(finding) => (finding, None),
        Ok(accepted) => {
            let at = accepted.create_time.as_deref().and_then(moment);
            let own = batch.is_some_and(|batch| accepted.out_batch_no == batch.to_string());
            let finding = if !own {
                unknown("number_mismatch")
            } else if STATES.contains(&accepted.batch_status.as_str()) {
                Finding::Processing
            } else {
                unknown("state_unknown")
            };
            (finding, at)
        }
    };
    let report = |order: &TransferOrder| TransferReport {
        at,
        ..silent(
            order.number,
            Origin::Answer,
            finding.clone(),
            answer.evidence(),
        )
    };
    orders.iter().map(report).collect()
}

/// What is believed of a refusal of many, after the batch was asked about: the next numbers are
/// made only if WeChat has no record of this one and signs that.
#[must_use]
pub fn believed(reports: Vec<TransferReport>, asked: &Answer) -> Vec<TransferReport> {
    let absent = match read::<Asked>(Call::Query, asked) {
        Err(Finding::NotFound) => asked.doubt.is_none(),
        _ => false,
    };
    if absent {
        return reports;
    }
    let doubted = |report: TransferReport| TransferReport {
        finding: unknown(report.finding.code().unwrap_or("refused")),
        ..report
    };
    reports.into_iter().map(doubted).collect()
}

/// What WeChat calls where a batch stands.
const STATES: [&str; 5] = ["WAIT_PAY", "ACCEPTED", "PROCESSING", "FINISHED", "CLOSED"];

/// What the answer about a batch reports of one order in it; nothing when its item has to be asked
/// about.
#[must_use]
pub fn asked(order: &TransferOrder, answer: &Answer) -> Option<TransferReport> {
    let (number, evidence) = (order.number, answer.evidence());
    match read::<Asked>(Call::Query, answer) {
        Ok(asked) => {
            let items = order.seat.map_or(1, |seat| seat.of());
            let named = (order.batch(), items);
            let (batch, origin) = (&asked.transfer_batch, Origin::Query);
            let report = of_batch(number, named, (origin, batch), evidence)?;
            Some(report)
        }
        Err(finding) => Some(silent(number, Origin::Query, finding, evidence)),
    }
}

/// What a notification about a batch of one item reports; nothing when its items have to be asked
/// about, as those of all others.
pub(crate) fn notified(
    number: OutBillNo,
    batch: &Batch,
    evidence: Evidence,
) -> Option<TransferReport> {
    if batch.total_num.is_some_and(|items| items > 1) {
        return None;
    }
    let said = (Origin::Notification, batch);
    of_batch(number, (number, 1), said, evidence)
}

/// What a batch of this number and so many items tells about one of them; nothing when it is
/// finished and does not say enough.
fn of_batch(
    number: OutBillNo,
    (named, items): (OutBillNo, u16),
    (origin, batch): (Origin, &Batch),
    evidence: Evidence,
) -> Option<TransferReport> {
    let finding = if batch.out_batch_no != named.to_string() {
        unknown("number_mismatch")
    } else if batch.total_num.is_some_and(|told| told != u32::from(items)) {
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
            // The sum of many says nothing about one.
            amount: batch.total_amount.filter(|_| items == 1).map(Fen),
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
pub fn told(order: &TransferOrder, answer: &Answer) -> TransferReport {
    let (number, evidence) = (order.number, answer.evidence());
    let detail = match read::<Detail>(Call::Query, answer) {
        Ok(detail) => detail,
        // The batch is there and finished, so an item that is not found is no news.
        Err(Finding::NotFound) => {
            return silent(number, Origin::Query, unknown("item_not_found"), evidence);
        }
        Err(finding) => return silent(number, Origin::Query, finding, evidence),
    };
    let (batch, own) = (order.batch().to_string(), number.to_string());
    let openid = detail.openid.as_deref().map(OpenId::parse);
    let finding = match (detail.detail_status.as_str(), &detail.fail_reason) {
        _ if detail.out_batch_no != batch || detail.out_detail_no != own => {
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
    /// Sends all orders of a batch. A refusal of many is believed only if WeChat, asked, has no
    /// record of the batch either.
    pub(crate) async fn send_batch(&self, orders: &[TransferOrder]) -> Vec<TransferReport> {
        let silent = |finding: &Finding| -> Vec<TransferReport> {
            let evidence = Evidence::default();
            let one = |order: &TransferOrder| {
                let finding = finding.clone();
                silent(order.number, Origin::Answer, finding, evidence.clone())
            };
            orders.iter().map(one).collect()
        };
        let mut named = Vec::with_capacity(orders.len());
        for order in orders {
            let Ok(name) = self.name(order).await else {
                return silent(&Finding::Refused {
                    code: "name_unreadable".to_owned(),
                    cure: Cure::Person,
                });
            };
            named.push((order, name));
        }
        let body = create_body(&named, &self.settings.notify_url);
        let reports = match self.call(&self.create, ("POST", CREATE_PATH), body).await {
            Err(word) => return silent(&unanswered(word, Call::Create)),
            Ok(answered) => created(orders, &self.proved(answered).await),
        };
        let refused = |report: &TransferReport| matches!(report.finding, Finding::Refused { .. });
        if orders.len() < 2 || !reports.iter().any(refused) {
            return reports;
        }
        let asked = self.ask_about(orders).await;
        let nobody_knows = Answer {
            status: 0,
            request_id: None,
            body: Vec::new(),
            doubt: Some("unanswered"),
        };
        believed(reports, &asked.unwrap_or(nobody_knows))
    }

    /// The answer about the batch that these orders are in.
    async fn ask_about(&self, orders: &[TransferOrder]) -> Result<Answer, &'static str> {
        let batch = orders.first().map(TransferOrder::batch);
        let path = batch.map(query_path).unwrap_or_default();
        let pace = &self.batch_query;
        let answered = self.call(pace, ("GET", &path), Vec::new()).await?;
        Ok(self.proved(answered).await)
    }

    /// Asks about a batch and, when that is finished, about those items of it.
    pub(crate) async fn ask_batch(&self, orders: &[TransferOrder]) -> Vec<TransferReport> {
        let answer = self.ask_about(orders).await;
        let answer = answer.as_ref().map_err(|word| *word);
        let one = |order| self.ask_item(order, answer);
        let asked: Vec<_> = orders.iter().map(one).collect();
        let asked = stream::iter(asked).buffered(ASKED_AT_ONCE);
        asked.collect().await
    }

    /// What is known of an order after its batch was asked about, and perhaps its item.
    async fn ask_item(
        &self,
        order: &TransferOrder,
        of_batch: Result<&Answer, &'static str>,
    ) -> TransferReport {
        let silent = |word: &str| {
            let finding = unanswered(word, Call::Query);
            silent(order.number, Origin::Query, finding, Evidence::default())
        };
        match of_batch.map(|answer| asked(order, answer)) {
            Err(word) => return silent(word),
            Ok(Some(report)) => return report,
            Ok(None) => {}
        }
        let (pace, path) = (&self.batch_query, item_path(order));
        match self.call(pace, ("GET", &path), Vec::new()).await {
            Err(word) => silent(word),
            Ok(answered) => told(order, &self.proved(answered).await),
        }
    }
}
