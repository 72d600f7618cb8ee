//! WeChat's batches: accepted at once and paid when there is money, without anybody confirming. Its
//! item is found later than the batch is finished, and it is closed when the money never came.

use lingqian_core::id::{MchId, OutBillNo};
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::{Cure, Evidence, Finding, Origin, TransferOrder, TransferReport};
use lingqian_wechat::batch;
use lingqian_wechat::settings::RailKind;
use lingqian_wechat::transfer::{Answer, silent};

use super::answers::{Reply, error};
use super::{Event, Stand, Transfer, Wechat};
use crate::dice::Dice;
use crate::scene::Shared;
use crate::text::beijing;

/// An item is found within this after its batch is finished.
const ITEM_MS: i64 = 5 * 60_000;

/// The product that an order is for.
pub(super) fn product(order: &TransferOrder) -> RailKind {
    RailKind::of_scene(&order.scene)
}

/// What WeChat calls where a batch stands.
fn batch_status(transfer: &Transfer) -> &'static str {
    let closed = transfer.reason.as_deref() == Some("OVERDUE_CLOSE");
    match transfer.stand {
        Stand::Accepted => "ACCEPTED",
        Stand::Processing => "WAIT_PAY",
        Stand::Fail if closed => "CLOSED",
        Stand::Success | Stand::Fail | Stand::Cancelled => "FINISHED",
        Stand::WaitUserConfirm | Stand::Transfering | Stand::Canceling => "PROCESSING",
    }
}

/// The answer to a create of a batch.
pub(super) fn accepted(transfer: &Transfer) -> Reply {
    Reply {
        status: 200,
        body: format!(
            r#"{{"out_batch_no":"{}","batch_id":"{}","create_time":"{}","batch_status":"{}"}}"#,
            transfer.order.number,
            transfer.bill_no,
            beijing(transfer.since),
            batch_status(transfer),
        ),
    }
}

/// The answer about a batch of one.
pub(super) fn of_batch(transfer: &Transfer) -> Reply {
    stands(transfer, &[transfer], batch_status(transfer))
}

/// The answer about a batch with these items, whose number the first one gave.
pub(super) fn stands(first: &Transfer, items: &[&Transfer], status: &str) -> Reply {
    let fen = |items: &[&Transfer]| -> i64 { items.iter().map(|item| item.order.amount.0).sum() };
    let mut paid = items.to_vec();
    paid.retain(|item| item.stand == Stand::Success);
    let reason = if status == "CLOSED" {
        r#","close_reason":"OVERDUE_CLOSE""#
    } else {
        ""
    };
    Reply {
        status: 200,
        body: format!(
            r#"{{"transfer_batch":{{"mchid":"{}","out_batch_no":"{}","appid":"{}","batch_status":"{status}","total_num":{},"total_amount":{},"success_num":{},"success_amount":{},"update_time":"{}"{reason}}}}}"#,
            first.order.mchid,
            first.order.batch(),
            first.order.app,
            items.len(),
            fen(items),
            paid.len(),
            fen(&paid),
            beijing(first.since),
        ),
    }
}

impl Wechat {
    /// The answer about a batch's item.
    fn item(&self, now: Timestamp, number: OutBillNo) -> Reply {
        let Some(transfer) = self.transfers.get(&number) else {
            return error(404, "NOT_FOUND", "记录不存在");
        };
        let late = if self.lively {
            Dice::of(self.seed ^ 5, &number.to_string()).within(-ITEM_MS, ITEM_MS)
        } else {
            0
        };
        if now.since_ms(transfer.since) < late {
            return error(404, "NOT_FOUND", "记录不存在");
        }
        let status = match transfer.stand {
            Stand::Success => "SUCCESS",
            Stand::Fail | Stand::Cancelled => "FAIL",
            Stand::Accepted => "INIT",
            _ => "PROCESSING",
        };
        let reason = transfer.reason.as_ref().filter(|_| status == "FAIL");
        let reason = reason.map(|reason| format!(r#","fail_reason":"{reason}""#));
        let (order, number) = (&transfer.order, transfer.order.number);
        Reply {
            status: 200,
            body: format!(
                r#"{{"mchid":"{}","out_batch_no":"{}","out_detail_no":"{number}","detail_id":"{}","detail_status":"{status}","appid":"{}","openid":"{}","transfer_amount":{},"update_time":"{}"{}}}"#,
                order.mchid,
                order.batch(),
                transfer.bill_no,
                order.app,
                order.openid.expose(),
                order.amount.0,
                beijing(transfer.since),
                reason.unwrap_or_default(),
            ),
        }
    }

    /// Whether a batch is taken although the account is empty, to be paid when it no longer is.
    pub(super) fn waits_for_money(&self, order: &TransferOrder) -> bool {
        let batch = product(order) == RailKind::Batch;
        batch && Dice::of(self.seed ^ 8, &order.number.to_string()).chance(500)
    }

    /// Money is there: nobody has to confirm.
    pub(super) fn pays_without_asking(&mut self, now: Timestamp, number: OutBillNo) {
        self.moves(now, number, Stand::Transfering);
        let after = if self.lively {
            Dice::of(self.seed ^ 6, &number.to_string()).within(0, 30 * 60_000)
        } else {
            1_000
        };
        self.schedule(now.after_ms(after), Event::Pay(number));
    }
}

impl Shared {
    /// Which product a merchant's payouts go by here.
    pub(super) fn product_of(&self, merchant: &MchId) -> RailKind {
        self.wechat
            .products
            .get(merchant)
            .copied()
            .unwrap_or_default()
    }

    /// What is heard about a batch, and then about its item.
    pub(super) fn batch_told(&mut self, order: &TransferOrder, answer: &Answer) -> TransferReport {
        if let Some(report) = batch::asked(order, answer) {
            return report;
        }
        let Reply { status, body } = self.wechat.item(self.now, order.number);
        let answer = Answer {
            status,
            request_id: None,
            body: body.into_bytes(),
            doubt: None,
        };
        batch::told(order, &answer)
    }
}

/// Nothing can be taken back there.
pub(super) fn no_cancel(number: OutBillNo) -> TransferReport {
    let finding = Finding::Refused {
        code: "cancel_not_possible".to_owned(),
        cure: Cure::Person,
    };
    silent(number, Origin::Answer, finding, Evidence::default())
}
