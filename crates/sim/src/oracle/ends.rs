//! How payouts end and days are closed, against WeChat's own books; and who has work in hand.

use lingqian_core::id::{MchId, PayoutId};
use lingqian_core::payout::{Payout, State};
use lingqian_core::reconcile::BreakKind;
use lingqian_core::time::{BusinessDate, Timestamp};

use super::{Oracle, Watched};
use crate::wechat::{Stand, Wechat};

impl Oracle {
    /// What ended must agree with WeChat's own books.
    pub(super) fn ended(&mut self, payout: &Payout, wechat: &Wechat) {
        let name = payout.reference.to_string();
        let transfer = payout.state.attempt().map(|attempt| attempt.number());
        let transfer = transfer.and_then(|number| wechat.transfers().get(&number));
        let stand = transfer.map(|transfer| transfer.stand);
        let state = payout.state.name();
        if let State::Paid(..) = payout.state {
            let amount = transfer.map(|transfer| transfer.order.amount);
            let agrees = stand == Some(Stand::Success) && amount == Some(payout.amount);
            self.check(agrees, "paid_means_paid", || {
                format!("{name} is paid in the books, at WeChat {stand:?}")
            });
        } else {
            let over = |stand| matches!(stand, Stand::Fail | Stand::Cancelled);
            self.check(stand.is_none_or(over), "unpaid_means_unpaid", || {
                format!("{name} is {state} in the books, at WeChat {stand:?}")
            });
        }
    }

    /// A day's bill was closed: what it left out and was paid must be a break.
    pub(super) fn closed(&mut self, mchid: &MchId, date: BusinessDate, wechat: &Wechat) {
        let Some(Some(number)) = wechat.wrong_days.get(&(mchid.clone(), date)) else {
            return;
        };
        let Some(watched) = self.payouts.get(&number.payout()) else {
            return;
        };
        let payout = &watched.payout;
        let paid_then = matches!(&payout.state, State::Paid(_, at) if at.business_date() == date);
        if !paid_then || payout.billed == payout.amount {
            return;
        }
        let found = self.open_breaks.get(&payout.id.to_string()).copied();
        let name = payout.reference.to_string();
        self.check(
            found == Some(BreakKind::MissingOnBill.code()),
            "break_is_found",
            || format!("the bill of {date} lacks {name}, and the break is {found:?}"),
        );
    }

    /// Work was leased.
    pub(crate) fn claimed(&mut self, payouts: &[PayoutId], now: Timestamp, until: Timestamp) {
        for id in payouts {
            let Some(watched) = self.payouts.get_mut(id) else {
                continue;
            };
            let free = watched.lease.is_none_or(|lease| lease <= now);
            watched.lease = Some(until);
            let name = watched.payout.reference.to_string();
            self.check(free && until > now, "lease_is_exclusive", || {
                format!("{name} is handed out while its lease runs")
            });
        }
    }

    /// A payout that was made on a way that shows no commit.
    pub(crate) fn learn(&mut self, payout: &Payout) {
        if self.payouts.contains_key(&payout.id) {
            return;
        }
        self.by_reference
            .insert(payout.reference.to_string(), payout.id);
        let watched = Watched {
            payout: payout.clone(),
            moves: [1, 0, 0],
            approved_on: None,
            lease: None,
            unwanted: false,
        };
        self.payouts.insert(payout.id, watched);
    }
}
