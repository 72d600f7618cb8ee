//! What arrives at WeChat and what WeChat does, against what was committed.

use std::collections::BTreeSet;

use lingqian_core::id::{OutBillNo, PayoutId};
use lingqian_core::payout::State;
use lingqian_core::transfer::TransferOrder;

use super::Oracle;
use crate::wechat::{News, Stand, Wechat};

impl Oracle {
    /// A create arrives: the books must have all of it, exactly so, since before it left; and what
    /// they have as a batch comes whole.
    pub(crate) fn arrives(&mut self, orders: &[TransferOrder]) {
        for order in orders {
            self.arrives_durable(order);
        }
        let Some(first) = orders.first() else {
            return;
        };
        let batch = first.batch();
        let kept = self.orders.values();
        let kept = kept.filter(|order| order.seat.is_some() && order.batch() == batch);
        let kept: BTreeSet<OutBillNo> = kept.map(|order| order.number).collect();
        let came: BTreeSet<OutBillNo> = orders.iter().map(|order| order.number).collect();
        let whole = if first.seat.is_some() {
            kept == came
        } else {
            came.len() == 1
        };
        let (came, kept) = (came.len(), kept.len());
        self.check(whole, "batch_goes_whole", || {
            format!("{came} orders arrive of a batch of {kept}")
        });
    }

    fn arrives_durable(&mut self, order: &TransferOrder) {
        let durable = self.orders.get(&order.number) == Some(order);
        self.check(durable, "durable_before_sent", || {
            format!(
                "{} arrives at WeChat and is not what is stored",
                order.number
            )
        });
    }

    /// WeChat did something.
    pub(crate) fn hears(&mut self, news: &News, wechat: &Wechat) {
        match news {
            News::Accepted(order) => self.accepted(order, wechat),
            News::Moved(number, Stand::Success) => self.paid(*number, wechat),
            News::Moved(..) | News::TooLate(_) => {}
            News::Differs(number) => {
                self.check(false, "order_never_changes", || {
                    format!("{number} came to WeChat again with other data")
                });
            }
        }
    }

    fn accepted(&mut self, order: &TransferOrder, wechat: &Wechat) {
        let payout = order.number.payout();
        let name = self.name_of(payout);
        self.is_open(payout, "accepts");
        let tries = self.payouts.get(&payout).map_or(0, |p| p.payout.tries);
        self.check(
            order.number.attempt() > tries,
            "one_number_at_a_time",
            || format!("{} was given up and is accepted", order.number),
        );
        let alive = wechat
            .of_payout(payout)
            .filter(|other| other.order.number != order.number)
            .filter(|other| !matches!(other.stand, Stand::Fail | Stand::Cancelled))
            .count();
        self.check(alive == 0, "one_number_at_a_time", || {
            format!("{name} has a new number while {alive} others live")
        });
    }

    fn paid(&mut self, number: OutBillNo, wechat: &Wechat) {
        let payout = number.payout();
        let name = self.name_of(payout);
        let all = wechat.of_payout(payout);
        let times = all
            .filter(|transfer| transfer.stand == Stand::Success)
            .count();
        self.check(times == 1, "one_success", || {
            format!("{name} was paid {times} times")
        });
        self.is_open(payout, "pays");
    }

    /// What WeChat does is done to a payout that has not ended.
    fn is_open(&mut self, payout: PayoutId, does: &str) {
        let name = self.name_of(payout);
        let state = self
            .payouts
            .get(&payout)
            .map(|watched| watched.payout.state.clone());
        let open = state.as_ref().is_some_and(|state| !state.is_final());
        self.check(open, "unpaid_means_unpaid", || {
            format!(
                "WeChat {does} {name}, which is {:?}",
                state.as_ref().map(State::name)
            )
        });
    }
}
