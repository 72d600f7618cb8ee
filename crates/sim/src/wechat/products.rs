//! WeChat's other products. A batch is accepted at once and pays when it has the money, without
//! anybody confirming; its item is found later than the batch is finished, and it is closed when the
//! money never came. The enterprise payment of the old API pays while it answers, says in one word
//! that it is busy whether or not it pays, tells nobody of an end, and knows no cancelling.

use std::collections::BTreeMap;

use lingqian_core::id::{MchId, OutBillNo};
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::{Cure, Evidence, Finding, Origin, TransferOrder, TransferReport};
use lingqian_wechat::settings::RailKind;
use lingqian_wechat::transfer::{Answer, silent};
use lingqian_wechat::v2::{Heard, enterprise};
use lingqian_wechat::{batch, rails};

use super::answers::{Reply, error, name_of};
use super::{Event, Stand, Transfer, Wechat};
use crate::dice::Dice;
use crate::fault::WechatFault;
use crate::scene::Shared;
use crate::text::beijing;

/// A payment that is called busy is paid within this, if it is.
const BUSY_MS: i64 = 6 * 3_600_000;
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

/// The answer about a batch.
pub(super) fn of_batch(transfer: &Transfer) -> Reply {
    let (order, status) = (&transfer.order, batch_status(transfer));
    let amount = order.amount.0;
    let paid = i64::from(transfer.stand == Stand::Success);
    let reason = if status == "CLOSED" {
        r#","close_reason":"OVERDUE_CLOSE""#
    } else {
        ""
    };
    Reply {
        status: 200,
        body: format!(
            r#"{{"transfer_batch":{{"mchid":"{}","out_batch_no":"{}","appid":"{}","batch_status":"{status}","total_num":1,"total_amount":{amount},"success_num":{paid},"success_amount":{},"update_time":"{}"{reason}}}}}"#,
            order.mchid,
            order.number,
            order.app,
            paid * amount,
            beijing(transfer.since),
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
                r#"{{"mchid":"{}","out_batch_no":"{number}","out_detail_no":"{number}","detail_id":"{}","detail_status":"{status}","appid":"{}","openid":"{}","transfer_amount":{},"update_time":"{}"{}}}"#,
                order.mchid,
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

    /// An enterprise payment arrives; what its answer says is said by its caller.
    pub(super) fn enterprise(&mut self, now: Timestamp, order: &TransferOrder) -> Fields {
        let number = order.number;
        if self.faults.take(WechatFault::RefusesForGood) {
            // Its codes are not signed, and have meant other things before.
            let mut dice = Dice::of(self.seed ^ 9, &number.to_string());
            let new = !self.transfers.contains_key(&number);
            if new && dice.chance(500) && order.amount.0 <= self.free(&order.mchid) {
                self.record(now, order);
                self.locks(now, number);
                self.end(now, number, Stand::Success, None);
                // Nobody could tell such a payment from none if it were not found, too.
                if let Some(transfer) = self.transfers.get_mut(&number) {
                    transfer.visible_at = now;
                }
            }
            return refused("PARAM_ERROR");
        }
        if let Some(known) = self.transfers.get(&number) {
            if known.order != *order {
                self.news.push(super::News::Differs(number));
                return refused("FATAL_ERROR");
            }
            return match known.stand {
                Stand::Success => payment(known),
                Stand::Fail => refused("SEND_FAILED"),
                _ => refused("SYSTEMERROR"),
            };
        }
        let named = order.name.as_ref().map(|name| &name.0);
        if named.is_some_and(|name| *name != name_of(order.openid.expose())) {
            return refused("NAME_MISMATCH");
        }
        if order.amount.0 > self.free(&order.mchid) {
            return refused("NOTENOUGH");
        }
        let busy = self.faults.take(WechatFault::BreaksAfter);
        self.record(now, order);
        self.locks(now, number);
        if busy {
            let mut dice = Dice::of(self.seed ^ 7, &number.to_string());
            // Whoever asks meanwhile may be told that there is no such payment.
            let hidden = if dice.chance(500) { ITEM_MS } else { 0 };
            if let Some(transfer) = self.transfers.get_mut(&number) {
                let visible_at = now.after_ms(hidden);
                transfer.visible_at = transfer.visible_at.max(visible_at);
            }
            self.moves(now, number, Stand::Transfering);
            let at = now.after_ms(dice.within(1_000, BUSY_MS));
            self.schedule(at, Event::Pay(number));
            return refused("SYSTEMERROR");
        }
        self.end(now, number, Stand::Success, None);
        let paid = self.transfers.get(&number);
        paid.map_or_else(|| refused("SYSTEMERROR"), payment)
    }

    /// A question about an enterprise payment.
    fn enterprise_told(&self, now: Timestamp, number: OutBillNo) -> Fields {
        let visible = |transfer: &&Transfer| transfer.visible_at <= now;
        let Some(transfer) = self.transfers.get(&number).filter(visible) else {
            return refused("NOT_FOUND");
        };
        let status = match transfer.stand {
            Stand::Success => "SUCCESS",
            Stand::Fail | Stand::Cancelled => "FAILED",
            _ => "PROCESSING",
        };
        let order = &transfer.order;
        fields([
            ("return_code", "SUCCESS".to_owned()),
            ("result_code", "SUCCESS".to_owned()),
            ("partner_trade_no", order.number.to_string()),
            ("mch_id", order.mchid.to_string()),
            ("appid", order.app.to_string()),
            ("detail_id", transfer.bill_no.clone()),
            ("status", status.to_owned()),
            ("openid", order.openid.expose().to_owned()),
            ("payment_amount", order.amount.0.to_string()),
        ])
    }
}

/// A message of the old API.
pub(super) type Fields = BTreeMap<String, String>;

fn fields<const N: usize>(fields: [(&str, String); N]) -> Fields {
    let owned = fields.into_iter();
    owned
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The message is right, the matter is refused.
pub(super) fn refused(code: &str) -> Fields {
    fields([
        ("return_code", "SUCCESS".to_owned()),
        ("result_code", "FAIL".to_owned()),
        ("err_code", code.to_owned()),
    ])
}

fn payment(transfer: &Transfer) -> Fields {
    fields([
        ("return_code", "SUCCESS".to_owned()),
        ("result_code", "SUCCESS".to_owned()),
        ("partner_trade_no", transfer.order.number.to_string()),
        ("payment_no", transfer.bill_no.clone()),
        ("mchid", transfer.order.mchid.to_string()),
        ("mch_appid", transfer.order.app.to_string()),
    ])
}

fn heard(fields: Fields) -> Heard {
    Heard {
        request_id: None,
        status: 200,
        fields: Ok(fields),
    }
}

/// Nobody answered.
fn unheard(number: OutBillNo, origin: Origin) -> TransferReport {
    let finding = enterprise::unknown("timeout");
    silent(number, origin, finding, Evidence::default())
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

    /// A payment by the old API is sent, and what is heard of it. A refusal for good is believed
    /// when WeChat, asked, has no record.
    pub(super) fn pays(&mut self, order: &TransferOrder) -> TransferReport {
        let (now, number) = (self.now, order.number);
        self.oracle.arrives(order);
        let faults = &mut self.wechat.faults;
        if faults.take(WechatFault::LosesRequest) {
            return unheard(number, Origin::Answer);
        }
        if faults.take(WechatFault::GetsItLate) {
            let mut dice = Dice::of(7, &number.to_string());
            let at = now.after_ms(dice.within(10_000, 40 * 60_000));
            let late = Event::Arrive(Box::new(order.clone()));
            self.wechat.schedule(at, late);
            return unheard(number, Origin::Answer);
        }
        let early = [
            (WechatFault::BreaksBefore, "SYSTEMERROR"),
            (WechatFault::Throttles, "FREQ_LIMIT"),
            (WechatFault::WantsRight, "NO_AUTH"),
        ];
        let early = early.into_iter().find(|(fault, _)| faults.take(*fault));
        let fields = match early {
            Some((_, code)) => refused(code),
            None => self.wechat.enterprise(now, order),
        };
        self.hear();
        let faults = &mut self.wechat.faults;
        let done = fields
            .get("result_code")
            .is_some_and(|code| code == "SUCCESS");
        if done && faults.take(WechatFault::LosesAnswer) {
            return unheard(number, Origin::Answer);
        }
        let late = [
            (WechatFault::UnknownCode, "SOMETHING_NEW"),
            (WechatFault::SeesConflict, "FATAL_ERROR"),
        ];
        let hidden = late
            .into_iter()
            .find(|(fault, _)| done && faults.take(*fault));
        let fields = hidden.map_or(fields, |(_, code)| refused(code));
        let report = enterprise::paid(order, &heard(fields));
        if rails::is_over(&report) {
            let asked = self.asked_old(number);
            return rails::believed(report, asked);
        }
        report
    }

    /// A question by the old API.
    pub(super) fn asked_old(&mut self, number: OutBillNo) -> TransferReport {
        let faults = &mut self.wechat.faults;
        if faults.take(WechatFault::SilentToQuestion) {
            return unheard(number, Origin::Query);
        }
        let fields = if faults.take(WechatFault::RefusesQuestion) {
            refused("SYSTEMERROR")
        } else {
            self.wechat.enterprise_told(self.now, number)
        };
        enterprise::told(number, &heard(fields))
    }

    /// What is heard about a batch, and then about its item.
    pub(super) fn batch_told(&mut self, number: OutBillNo, answer: &Answer) -> TransferReport {
        if let Some(report) = batch::asked(number, answer) {
            return report;
        }
        let Reply { status, body } = self.wechat.item(self.now, number);
        let answer = Answer {
            status,
            request_id: None,
            body: body.into_bytes(),
            doubt: None,
        };
        batch::told(number, &answer)
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
