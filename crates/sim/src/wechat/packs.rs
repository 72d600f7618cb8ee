//! Batches of many: one request and one number, items that end by themselves, and money that is
//! locked for all of them or for none.

use lingqian_core::id::OutBillNo;
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::TransferOrder;

use super::answers::{Reply, error, same, wants};
use super::batches::stands;
use super::{CLOSE_LAG_MS, CONFIRM_MS, Event, News, REENTRY_MS, Stand, Transfer, Wechat};
use crate::dice::Dice;
use crate::fault::WechatFault;
use crate::text::beijing;

impl Wechat {
    /// The numbers of a batch's items.
    fn pack(&self, batch: OutBillNo) -> Vec<OutBillNo> {
        let packed = self.transfers.values().map(|transfer| &transfer.order);
        let own = packed.filter(|order| order.seat.is_some() && order.batch() == batch);
        own.map(|order| order.number).collect()
    }

    /// Whether a number is that of an item among others.
    pub(super) fn is_packed(&self, number: OutBillNo) -> bool {
        let known = self.transfers.get(&number);
        known.is_some_and(|known| known.order.seat.is_some())
    }

    /// A create of many arrives.
    pub(super) fn create_pack(&mut self, now: Timestamp, orders: &[TransferOrder]) -> Reply {
        if self.faults.take(WechatFault::RefusesForGood) {
            return error(400, "PARAM_ERROR", "参数错误");
        }
        let Some(first) = orders.first() else {
            return error(400, "PARAM_ERROR", "参数错误");
        };
        let batch = first.batch();
        let known = self.pack(batch);
        if !known.is_empty() || self.transfers.contains_key(&batch) {
            let alike = |order: &TransferOrder| {
                let known = self.transfers.get(&order.number);
                known.is_some_and(|known| same(&known.order, order))
            };
            if known.len() != orders.len() || !orders.iter().all(alike) {
                self.news.push(News::Differs(batch));
                let words = "单号已存在但信息不一致，请查单后比较确认";
                return error(400, "INVALID_REQUEST", words);
            }
            let accepted_at = self.transfers.get(&batch).map(|known| known.accepted_at);
            if accepted_at.is_some_and(|at| now.since_ms(at) > REENTRY_MS) {
                self.news.push(News::TooLate(batch));
                return error(400, "INVALID_REQUEST", "单号已超过可重入时间，请查单");
            }
            return self.pack_accepted(batch);
        }
        if let Some(refused) = orders.iter().find_map(wants) {
            return refused;
        }
        let named = orders.iter().filter(|order| order.name.is_some()).count();
        if named != 0 && named != orders.len() {
            return error(400, "PARAM_ERROR", "转账批次参数不正确");
        }
        let fen: i64 = orders.iter().map(|order| order.amount.0).sum();
        if fen > self.free(&first.mchid) && !self.waits_for_money(first) {
            return error(403, "NOT_ENOUGH", "资金不足");
        }
        self.accept_pack(now, orders);
        self.pack_accepted(batch)
    }

    fn accept_pack(&mut self, now: Timestamp, orders: &[TransferOrder]) {
        let Some(batch) = orders.first().map(TransferOrder::batch) else {
            return;
        };
        for order in orders {
            let mut dice = self.record(now, order);
            let fails = self.faults.take(WechatFault::ClosesAtOnce);
            if let Some(known) = self.transfers.get(&batch).map(|first| first.visible_at)
                && let Some(transfer) = self.transfers.get_mut(&order.number)
            {
                transfer.visible_at = known;
            }
            let (number, reason) = (order.number, self.reason_of(order, &mut dice, fails));
            if let Some(reason) = reason {
                self.end(now, number, Stand::Fail, Some(reason));
            }
        }
        let mut dice = Dice::of(self.seed ^ 9, &batch.to_string());
        let (lag, after) = if self.lively {
            let after = if dice.chance(150) {
                dice.within(100, 120_000)
            } else {
                0
            };
            (dice.within(0, CLOSE_LAG_MS), after)
        } else {
            (0, 0)
        };
        self.schedule(now.after_ms(CONFIRM_MS + lag), Event::Expire(batch));
        if after > 0 {
            self.schedule(now.after_ms(after), Event::Lock(batch));
        } else {
            self.lock_pack(now, batch);
        }
    }

    /// Locks the money of all items that have not failed, or tries again later.
    pub(super) fn lock_pack(&mut self, now: Timestamp, batch: OutBillNo) {
        let waits = |stand| matches!(stand, Some(Stand::Accepted | Stand::Processing));
        let mut waiting = self.pack(batch);
        waiting.retain(|number| waits(self.stands(*number)));
        let amounts = waiting.iter().filter_map(|number| {
            let order = &self.transfers.get(number)?.order;
            Some((order.mchid.clone(), order.amount.0))
        });
        let amounts: Vec<_> = amounts.collect();
        let fen: i64 = amounts.iter().map(|(_, fen)| fen).sum();
        let Some((merchant, _)) = amounts.first() else {
            return;
        };
        if fen > self.free(merchant) {
            for number in waiting {
                self.moves(now, number, Stand::Processing);
            }
            self.schedule(now.after_ms(10 * 60_000), Event::Lock(batch));
            return;
        }
        for number in waiting {
            self.locks(now, number);
            self.pays_without_asking(now, number);
        }
    }

    /// The money never came: nothing of the batch is paid.
    pub(super) fn pack_expires(&mut self, now: Timestamp, batch: OutBillNo) {
        for number in self.pack(batch) {
            if self.stands(number).is_some_and(|stand| !stand.is_final()) {
                self.end(now, number, Stand::Fail, Some("OVERDUE_CLOSE"));
            }
        }
    }

    /// A question about a batch of many arrives.
    pub(super) fn query_pack(&self, now: Timestamp, order: &TransferOrder) -> Reply {
        let batch = order.batch();
        let known = self.transfers.get(&batch);
        let own = |transfer: &&Transfer| {
            transfer.visible_at <= now && transfer.order.mchid == order.mchid
        };
        match known.filter(own) {
            Some(first) => self.pack_stands(first),
            None => error(404, "NOT_FOUND", "记录不存在"),
        }
    }

    /// The items of a batch, and what WeChat calls where it stands.
    fn packed(&self, batch: OutBillNo) -> (Vec<&Transfer>, &'static str) {
        let items = self.pack(batch);
        let items = items.iter().filter_map(|number| self.transfers.get(number));
        let items: Vec<&Transfer> = items.collect();
        let closed = |item: &&&Transfer| item.reason.as_deref() == Some("OVERDUE_CLOSE");
        let status = if items.iter().any(|item| closed(&item)) {
            "CLOSED"
        } else if items.iter().any(|item| item.stand == Stand::Accepted) {
            "ACCEPTED"
        } else if items.iter().any(|item| item.stand == Stand::Processing) {
            "WAIT_PAY"
        } else if items.iter().all(|item| item.stand.is_final()) {
            "FINISHED"
        } else {
            "PROCESSING"
        };
        (items, status)
    }

    fn pack_accepted(&self, batch: OutBillNo) -> Reply {
        let since = self.transfers.get(&batch).map(|first| first.since);
        Reply {
            status: 200,
            body: format!(
                r#"{{"out_batch_no":"{batch}","batch_id":"B{batch}","create_time":"{}","batch_status":"{}"}}"#,
                beijing(since.unwrap_or_default()),
                self.packed(batch).1,
            ),
        }
    }

    fn pack_stands(&self, first: &Transfer) -> Reply {
        let (items, status) = self.packed(first.order.batch());
        stands(first, &items, status)
    }
}
