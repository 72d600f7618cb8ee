//! WeChat's old API. The enterprise payment pays while it answers, says in one word that it is busy
//! whether or not it pays, tells nobody of an end, and knows no cancelling. Neither does the red
//! packet, which its receiver opens without a page of ours, or it comes back.

use std::collections::BTreeMap;

use lingqian_core::id::OutBillNo;
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::{Evidence, Origin, TransferOrder, TransferReport};
use lingqian_wechat::rails;
use lingqian_wechat::settings::RailKind;
use lingqian_wechat::transfer::silent;
use lingqian_wechat::v2::{Heard, enterprise, red_packet};

use super::answers::name_of;
use super::batches::product;
use super::{CONFIRM_MS, Event, Stand, Transfer, Wechat};
use crate::dice::Dice;
use crate::fault::WechatFault;
use crate::scene::Shared;

/// A payment that is called busy is paid within this, if it is.
const BUSY_MS: i64 = 6 * 3_600_000;
/// Whoever asks about it may be told for so long that there is none.
const HIDDEN_MS: i64 = 5 * 60_000;
/// What nobody opened is on its way back for at most so long.
const REFUND_MS: i64 = 2 * 3_600_000;
/// What a packet may hold, in fen.
const PACKET: std::ops::RangeInclusive<i64> = 100..=20_000;

impl Wechat {
    /// An enterprise payment arrives; what its answer says is said by its caller.
    pub(super) fn enterprise(&mut self, now: Timestamp, order: &TransferOrder) -> Fields {
        let number = order.number;
        if self.faults.take(WechatFault::RefusesForGood) {
            if self.done_though_refused(now, order) {
                self.end(now, number, Stand::Success, None);
            }
            return refused(self.what_is_said(number));
        }
        let said = |known: &Transfer| match known.stand {
            Stand::Success => payment(known),
            Stand::Fail => refused("SEND_FAILED"),
            _ => refused("SYSTEMERROR"),
        };
        if let Some(said) = self.again(order, said) {
            return said;
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
            let hidden = if dice.chance(500) { HIDDEN_MS } else { 0 };
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

    /// What is said of a number that comes again; nothing where it is new.
    fn again(
        &mut self,
        order: &TransferOrder,
        said: impl Fn(&Transfer) -> Fields,
    ) -> Option<Fields> {
        let known = self.transfers.get(&order.number)?;
        if known.order == *order {
            return Some(said(known));
        }
        self.news.push(super::News::Differs(order.number));
        Some(refused("FATAL_ERROR"))
    }

    /// An order of the old API is carried out although it is called refused: its codes are not
    /// signed, and have meant other things before.
    fn done_though_refused(&mut self, now: Timestamp, order: &TransferOrder) -> bool {
        let number = order.number;
        let mut dice = Dice::of(self.seed ^ 9, &number.to_string());
        let new = !self.transfers.contains_key(&number);
        let done = new && dice.chance(500) && order.amount.0 <= self.free(&order.mchid);
        if done {
            self.record(now, order);
            self.locks(now, number);
            // Nobody could tell such a payment from none if it were not found, too.
            if let Some(transfer) = self.transfers.get_mut(&number) {
                transfer.visible_at = now;
            }
        }
        done
    }

    /// Why it is refused, by WeChat's word.
    fn what_is_said(&self, number: OutBillNo) -> &'static str {
        const WORDS: [&str; 4] = ["PARAM_ERROR", "NOTENOUGH", "MONEY_LIMIT", "NO_AUTH"];
        Dice::of(self.seed ^ 11, &number.to_string()).pick::<&str>(&WORDS)
    }

    /// A red packet arrives; what its answer says is said by its caller.
    pub(super) fn packet(&mut self, now: Timestamp, order: &TransferOrder) -> Fields {
        let number = order.number;
        if self.faults.take(WechatFault::RefusesForGood) {
            if self.done_though_refused(now, order) {
                self.lies_there(now, number);
            }
            return refused(self.what_is_said(number));
        }
        let said = |known: &Transfer| match known.stand {
            Stand::Fail => refused("SEND_FAILED"),
            _ => sent(known),
        };
        if let Some(said) = self.again(order, said) {
            return said;
        }
        if !PACKET.contains(&order.amount.0) {
            return refused("AMOUNT_LIMIT");
        }
        if order.amount.0 > self.free(&order.mchid) {
            return refused("NOTENOUGH");
        }
        let busy = self.faults.take(WechatFault::BreaksAfter);
        self.record(now, order);
        self.locks(now, number);
        self.lies_there(now, number);
        match self.transfers.get(&number) {
            Some(known) if !busy => sent(known),
            _ => refused("SYSTEMERROR"),
        }
    }

    /// A packet waits to be opened, and not for ever.
    fn lies_there(&mut self, now: Timestamp, number: OutBillNo) {
        self.moves(now, number, Stand::WaitUserConfirm);
        self.person_sees(now, number);
        self.schedule(now.after_ms(CONFIRM_MS), Event::Expire(number));
    }

    /// A day has passed since a packet was sent: somebody opens it at the last moment, or it comes
    /// back, which takes a while.
    pub(super) fn packet_expires(&mut self, now: Timestamp, number: OutBillNo) {
        match self.stands(number) {
            Some(Stand::WaitUserConfirm) if self.person_races(number) => {
                self.person_confirms(now, number, true);
            }
            Some(Stand::WaitUserConfirm) => {
                let mut dice = Dice::of(self.seed ^ 10, &number.to_string());
                let after = if self.lively {
                    dice.within(1_000, REFUND_MS)
                } else {
                    1_000
                };
                self.moves(now, number, Stand::Canceling);
                self.schedule(now.after_ms(after), Event::Expire(number));
            }
            Some(Stand::Canceling) => self.end(now, number, Stand::Fail, Some("OVERDUE_CLOSE")),
            _ => {}
        }
    }

    /// A question about a red packet.
    fn packet_told(&self, now: Timestamp, number: OutBillNo) -> Fields {
        let visible = |transfer: &&Transfer| transfer.visible_at <= now;
        let Some(transfer) = self.transfers.get(&number).filter(visible) else {
            return refused("NOT_FOUND");
        };
        let overdue = transfer.reason.as_deref() == Some("OVERDUE_CLOSE");
        let status = match transfer.stand {
            Stand::Success => "RECEIVED",
            Stand::Fail if overdue => "REFUND",
            Stand::Fail | Stand::Cancelled => "FAILED",
            Stand::Canceling => "RFUND_ING",
            Stand::WaitUserConfirm | Stand::Transfering => "SENT",
            Stand::Accepted | Stand::Processing => "SENDING",
        };
        let order = &transfer.order;
        fields([
            ("return_code", "SUCCESS".to_owned()),
            ("result_code", "SUCCESS".to_owned()),
            ("mch_billno", red_packet::billno(number)),
            ("mch_id", order.mchid.to_string()),
            ("detail_id", transfer.bill_no.clone()),
            ("status", status.to_owned()),
            ("total_amount", order.amount.0.to_string()),
        ])
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

/// The answer to the send of a packet.
fn sent(transfer: &Transfer) -> Fields {
    fields([
        ("return_code", "SUCCESS".to_owned()),
        ("result_code", "SUCCESS".to_owned()),
        ("mch_billno", red_packet::billno(transfer.order.number)),
        ("send_listid", transfer.bill_no.clone()),
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
    /// A payment or a packet by the old API is sent, and what is heard of it. A refusal for good is believed
    /// when WeChat, asked, has no record.
    pub(super) fn pays(&mut self, order: &TransferOrder) -> TransferReport {
        let (now, number) = (self.now, order.number);
        self.oracle.arrives(std::slice::from_ref(order));
        let faults = &mut self.wechat.faults;
        if faults.take(WechatFault::LosesRequest) {
            return unheard(number, Origin::Answer);
        }
        if faults.take(WechatFault::GetsItLate) {
            let mut dice = Dice::of(7, &number.to_string());
            let at = now.after_ms(dice.within(10_000, 40 * 60_000));
            let late = Event::Arrive(vec![order.clone()]);
            self.wechat.schedule(at, late);
            return unheard(number, Origin::Answer);
        }
        let early = [
            (WechatFault::BreaksBefore, "SYSTEMERROR"),
            (WechatFault::Throttles, "FREQ_LIMIT"),
            (WechatFault::WantsRight, "NO_AUTH"),
        ];
        let early = early.into_iter().find(|(fault, _)| faults.take(*fault));
        let packet = product(order) == RailKind::RedPacket;
        let fields = match early {
            Some((_, code)) => refused(code),
            None if packet => self.wechat.packet(now, order),
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
        let report = if packet {
            red_packet::sent(number, &heard(fields))
        } else {
            enterprise::paid(order, &heard(fields))
        };
        if rails::is_refused(&report) {
            let asked = self.asked_old(order);
            return rails::believed(report, asked);
        }
        report
    }

    /// A question by the old API.
    pub(super) fn asked_old(&mut self, order: &TransferOrder) -> TransferReport {
        let (now, number) = (self.now, order.number);
        let packet = product(order) == RailKind::RedPacket;
        let faults = &mut self.wechat.faults;
        if faults.take(WechatFault::SilentToQuestion) {
            return unheard(number, Origin::Query);
        }
        let fields = if faults.take(WechatFault::RefusesQuestion) {
            refused("SYSTEMERROR")
        } else if packet {
            self.wechat.packet_told(now, number)
        } else {
            self.wechat.enterprise_told(now, number)
        };
        if packet {
            red_packet::told(number, &heard(fields))
        } else {
            enterprise::told(number, &heard(fields))
        }
    }
}
