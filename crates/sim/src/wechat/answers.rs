//! What WeChat answers to a create, a question and a cancel, as status, code and body. The real
//! reader of such answers makes reports of them.

use lingqian_core::id::{MchId, OutBillNo};
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::TransferOrder;

use lingqian_wechat::settings::RailKind;

use super::batches::{accepted, of_batch, product};
use super::{CLOSE_LAG_MS, CONFIRM_MS, Event, News, REENTRY_MS, Stand, Transfer, Wechat};
use crate::dice::Dice;
use crate::fault::WechatFault;
use crate::text::beijing;

/// Why WeChat closes a transfer at once.
const REASONS: [&str; 4] = [
    "ACCOUNT_FROZEN",
    "DAY_RECEIVED_QUOTA_EXCEED",
    "PAYER_ACCOUNT_ABNORMAL",
    "TRANSFER_RISK",
];

/// From so many fen on a transfer must say whom it is for.
const NAMED_FROM: i64 = 200_000;

/// A smaller transfer must not.
const TINY: i64 = 30;

/// Whose wallet it is, as that person is called.
pub(crate) fn name_of(wallet: &str) -> Vec<u8> {
    format!(
        "person of {}",
        wallet.split('-').take(2).collect::<Vec<_>>().join("-")
    )
    .into_bytes()
}

/// An answer before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

pub(crate) fn error(status: u16, code: &str, words: &str) -> Reply {
    Reply {
        status,
        body: format!(r#"{{"code":"{code}","message":"{words}"}}"#),
    }
}

/// Whether two orders ask for the same.
pub(super) fn same(known: &TransferOrder, again: &TransferOrder) -> bool {
    known == again
}

/// The refusal of an order with a name too few or too many.
pub(super) fn wants(order: &TransferOrder) -> Option<Reply> {
    let words = if order.amount.0 >= NAMED_FROM && order.name.is_none() {
        "转账金额大于等于2000元时，收款用户姓名必填"
    } else if order.amount.0 < TINY && order.name.is_some() {
        "转账金额小于0.3元时，不允许填写收款用户姓名"
    } else {
        return None;
    };
    Some(error(400, "PARAM_ERROR", words))
}

impl Wechat {
    /// A create arrives.
    pub(crate) fn create(&mut self, now: Timestamp, order: &TransferOrder) -> Reply {
        if self.faults.take(WechatFault::RefusesForGood) {
            return error(400, "PARAM_ERROR", "参数错误");
        }
        if let Some(known) = self.transfers.get(&order.number) {
            if !same(&known.order, order) {
                self.news.push(News::Differs(order.number));
                let words = "单号已存在但信息不一致，请查单后比较确认";
                return error(400, "INVALID_REQUEST", words);
            }
            if now.since_ms(known.accepted_at) > REENTRY_MS {
                self.news.push(News::TooLate(order.number));
                return error(400, "INVALID_REQUEST", "单号已超过可重入时间，请查单");
            }
            return created(known);
        }
        if let Some(refused) = wants(order) {
            return refused;
        }
        if order.amount.0 > self.free(&order.mchid) && !self.waits_for_money(order) {
            return error(403, "NOT_ENOUGH", "资金不足");
        }
        self.accept(now, order);
        self.transfers.get(&order.number).map_or_else(
            || error(500, "SYSTEM_ERROR", "系统异常，请稍后重试"),
            created,
        )
    }

    /// Keeps a transfer that is accepted; tells the dice of what becomes of it.
    pub(super) fn record(&mut self, now: Timestamp, order: &TransferOrder) -> Dice {
        let number = order.number;
        let nth = self
            .transfers_of
            .entry(order.openid.expose().to_owned())
            .or_default();
        *nth += 1;
        let mut dice = Dice::of(self.seed ^ *nth, order.openid.expose());
        let count = self.transfers.len() + 1;
        let visible_at = if self.faults.take(WechatFault::RecordLate) {
            now.after_ms(dice.within(1_000, 300_000))
        } else {
            now
        };
        let transfer = Transfer {
            order: order.clone(),
            stand: Stand::Accepted,
            reason: None,
            since: now,
            accepted_at: now,
            visible_at,
            locked: false,
            package: format!("package-{count}"),
            bill_no: format!("1330{count:030}"),
        };
        self.transfers.insert(number, transfer);
        self.news.push(News::Accepted(Box::new(order.clone())));
        dice
    }

    fn accept(&mut self, now: Timestamp, order: &TransferOrder) {
        let number = order.number;
        let mut dice = self.record(now, order);
        let lag = if self.lively {
            dice.within(0, CLOSE_LAG_MS)
        } else {
            0
        };
        self.schedule(now.after_ms(CONFIRM_MS + lag), Event::Expire(number));
        let fails = self.faults.take(WechatFault::ClosesAtOnce);
        if let Some(reason) = self.reason_of(order, &mut dice, fails) {
            self.end(now, number, Stand::Fail, Some(reason));
        } else if self.lively && dice.chance(150) {
            let at = now.after_ms(dice.within(100, 120_000));
            self.schedule(at, Event::Lock(number));
        } else {
            self.lock(now, number);
        }
    }

    /// Why a transfer that was accepted ends at once, where it does.
    pub(super) fn reason_of(
        &self,
        order: &TransferOrder,
        dice: &mut Dice,
        fails: bool,
    ) -> Option<&'static str> {
        let mut name = order.name.iter();
        if name.any(|name| name.0 != name_of(order.openid.expose())) {
            return Some("NAME_NOT_CORRECT");
        }
        let unlucky = fails || (self.lively && dice.chance(30));
        if !unlucky {
            return None;
        }
        Some(if self.lively {
            *dice.pick(&REASONS)
        } else {
            "ACCOUNT_FROZEN"
        })
    }

    /// A question arrives.
    pub(crate) fn query(&self, now: Timestamp, merchant: &MchId, number: OutBillNo) -> Reply {
        let known = self.transfers.get(&number);
        let own =
            |transfer: &&Transfer| transfer.visible_at <= now && transfer.order.mchid == *merchant;
        match known.filter(own) {
            Some(transfer) if product(&transfer.order) == RailKind::Batch => of_batch(transfer),
            Some(transfer) => told(transfer).without_package(transfer),
            None => error(404, "NOT_FOUND", "记录不存在"),
        }
    }

    /// A cancel arrives.
    pub(crate) fn cancel(&mut self, now: Timestamp, merchant: &MchId, number: OutBillNo) -> Reply {
        let own = self.transfers.get(&number);
        let own = own.filter(|transfer| transfer.order.mchid == *merchant);
        let Some(stand) = own.map(|transfer| transfer.stand) else {
            return error(400, "INVALID_REQUEST", "单号错误，请检查");
        };
        if stand == Stand::WaitUserConfirm
            && (self.faults.take(WechatFault::ConfirmWins) || self.person_races(number))
        {
            self.person_confirms(now, number, true);
        }
        match self.stands(number) {
            Some(Stand::WaitUserConfirm) => {
                self.moves(now, number, Stand::Canceling);
                let mut dice = Dice::of(self.seed, &number.to_string());
                let later = if self.lively {
                    dice.within(0, 60_000)
                } else {
                    1_000
                };
                self.schedule(now.after_ms(later), Event::Cancelled(number));
            }
            Some(Stand::Canceling | Stand::Cancelled) => {}
            _ => return error(400, "INVALID_REQUEST", "当前状态不支持撤销"),
        }
        let transfer = self.transfers.get(&number);
        transfer.map_or_else(|| error(404, "NOT_FOUND", "记录不存在"), brief)
    }
}

/// A body whose number is WeChat's and which says where the transfer stands.
fn body(transfer: &Transfer, more: &str) -> Reply {
    let Transfer {
        order,
        stand,
        reason,
        since,
        bill_no,
        ..
    } = transfer;
    let reason = match (stand, reason) {
        (Stand::Fail, Some(reason)) => format!(r#","fail_reason":"{reason}""#),
        (Stand::Cancelled, _) => r#","fail_reason":"MCH_CANCEL""#.to_owned(),
        _ => String::new(),
    };
    Reply {
        status: 200,
        body: format!(
            r#"{{"out_bill_no":"{}","transfer_bill_no":"{bill_no}","state":"{}","update_time":"{}"{reason}{more}}}"#,
            order.number,
            stand.word(),
            beijing(*since),
        ),
    }
}

fn brief(transfer: &Transfer) -> Reply {
    body(transfer, "")
}

/// The answer to a create.
fn created(transfer: &Transfer) -> Reply {
    match product(&transfer.order) {
        RailKind::Batch => accepted(transfer),
        _ => told(transfer),
    }
}

fn told(transfer: &Transfer) -> Reply {
    let package = if transfer.stand == Stand::WaitUserConfirm {
        format!(r#","package_info":"{}""#, transfer.package)
    } else {
        String::new()
    };
    body(transfer, &package)
}

impl Reply {
    /// The answer to a question: everything about the transfer but what opens the page.
    fn without_package(self, transfer: &Transfer) -> Reply {
        let order = &transfer.order;
        let more = format!(
            r#","mch_id":"{}","appid":"{}","openid":"{}","transfer_amount":{}"#,
            order.mchid,
            order.app,
            order.openid.expose(),
            order.amount.0
        );
        Reply {
            status: self.status,
            ..body(transfer, &more)
        }
    }
}
