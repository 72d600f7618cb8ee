//! Who pays: stops of a merchant or a scene, empty accounts, quotas and shares, by an onlooker who
//! counts for himself.

use std::collections::BTreeMap;

use lingqian_core::Changes;
use lingqian_core::control::{Scope, StopCause};
use lingqian_core::id::{MchId, MerchantNo};
use lingqian_core::money::Fen;
use lingqian_core::payout::{Payout, State};
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::TransferOrder;

use super::Oracle;
use crate::wechat::Wechat;
use crate::world::{Payer, mchid};

/// WeChat's words for an empty account, in the new API and in the old one.
const EMPTY: [&str; 2] = ["NOT_ENOUGH", "NOTENOUGH"];

/// An empty account: since when, and when one payout may be tried.
pub(super) type Emptied = BTreeMap<MchId, (Timestamp, Option<Timestamp>)>;

/// What the onlooker knows of those who pay.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// What each may pay in a day; nobody keeps to a quota any more once everything must end.
    payers: Vec<Payer>,
    empty: Emptied,
    empty_before: Emptied,
    /// What each was told to pay on a day.
    told: BTreeMap<(MchId, BusinessDate), i64>,
    /// Sends of this commit, by merchant.
    sent: BTreeMap<MchId, u32>,
}

impl Routes {
    pub(super) fn new(payers: &[Payer]) -> Routes {
        Routes {
            payers: payers.to_vec(),
            ..Routes::default()
        }
    }
}

/// The number of a merchant from 1, as a name.
pub(crate) fn merchant(no: MerchantNo) -> MchId {
    mchid(usize::try_from(no.0).unwrap_or(1))
}

/// Whether a stop is about an order.
fn covers(stop: &str, order: &TransferOrder) -> bool {
    let scope = stop.split(' ').next().unwrap_or_default();
    [
        Scope::All,
        Scope::Merchant(order.mchid.clone()),
        Scope::Scene(order.scene.clone()),
    ]
    .iter()
    .any(|covered| covered.to_string() == scope)
}

/// Orders of batches that were refused because the account is empty.
fn parted(changes: &Changes) -> impl Iterator<Item = &TransferOrder> {
    let empty = |order: &&TransferOrder| {
        changes.history.iter().any(|line| {
            let code = line.code.as_deref().unwrap_or_default();
            line.payout == order.number.payout()
                && line.event == "attempt_ended"
                && EMPTY.contains(&code)
        })
    };
    let ended = changes.attempts.iter().map(|attempt| &attempt.order);
    ended.filter(|order| order.seat.is_some()).filter(empty)
}

impl Oracle {
    /// The operator takes all quotas away.
    pub(crate) fn forget_quotas(&mut self) {
        for payer in &mut self.routes.payers {
            payer.quota = None;
        }
    }

    /// Accounts that a commit finds or leaves empty.
    pub(super) fn accounts_run_dry(&mut self, changes: &Changes) {
        self.routes.empty_before = self.routes.empty.clone();
        self.routes.sent.clear();
        for stop in &changes.stops {
            if stop.cause != StopCause::Float {
                continue;
            }
            let Scope::Merchant(mchid) = &stop.scope else {
                self.check(false, "empty_account_stops", || stop.scope.to_string());
                continue;
            };
            let own = |payout: &Payout| {
                let attempt = payout.state.attempt();
                attempt.is_some_and(|attempt| attempt.order.mchid == *mchid)
            };
            let mut payouts = changes.payouts.iter().map(|(payout, _)| payout);
            if stop.lifted_at.is_none() {
                let emptied = (stop.since, stop.probe_at);
                let known = self.routes.empty.insert(mchid.clone(), emptied).is_some();
                let empty = |state: &State| {
                    matches!(state, State::Deferred(_, code) | State::Unknown(_, code)
                        if EMPTY.contains(&code.as_str()))
                };
                let refused = payouts.any(|payout| own(payout) && empty(&payout.state))
                    || parted(changes).any(|order| order.mchid == *mchid);
                self.check(known || refused, "empty_account_stops", || {
                    format!("{mchid} stops and none of its transfers was refused")
                });
                continue;
            }
            self.routes.empty.remove(mchid);
            let paid = |state: &State| {
                matches!(
                    state,
                    State::Processing(_) | State::AwaitingUser(..) | State::Paid(..)
                )
            };
            // What is heard later of one that was sent meanwhile says the same as its answer.
            let was_sent = |payout: &Payout| {
                let before = self.payouts.get(&payout.id);
                let sending = before.is_some_and(|b| matches!(b.payout.state, State::Sending(_)));
                let attempt = payout.state.attempt();
                sending || attempt.is_some_and(|attempt| attempt.last_sent_at > stop.since)
            };
            let accepted =
                payouts.any(|payout| own(payout) && paid(&payout.state) && was_sent(payout));
            let scope = stop.scope.to_string();
            let mut deeds = changes.deeds.iter();
            let by_hand = deeds.any(|deed| deed.what == "lift" && deed.subject == scope);
            self.check(accepted || by_hand, "empty_account_stops", || {
                format!("{scope} goes on and none of its transfers was accepted")
            });
        }
        self.emptied_stops(changes);
    }

    /// Who is told that an account is empty stops it.
    fn emptied_stops(&mut self, changes: &Changes) {
        for order in parted(changes) {
            let scope = Scope::Merchant(order.mchid.clone());
            let mut stops = changes.stops.iter();
            let stopped = stops.any(|s| s.cause == StopCause::Float && s.scope == scope);
            self.check(stopped, "empty_account_stops", || {
                format!("{scope} is empty and goes on")
            });
        }
        for (payout, _) in &changes.payouts {
            let State::Deferred(attempt, code) = &payout.state else {
                continue;
            };
            let before = self.payouts.get(&payout.id);
            let sent = before.is_some_and(|b| matches!(b.payout.state, State::Sending(_)));
            let scope = Scope::Merchant(attempt.order.mchid.clone());
            let mut stops = changes.stops.iter();
            let stopped = stops.any(|s| s.cause == StopCause::Float && s.scope == scope);
            let bad = sent && EMPTY.contains(&code.as_str()) && !stopped;
            self.check(!bad, "empty_account_stops", || {
                format!("{scope} is empty and goes on")
            });
        }
    }

    /// An order goes out, for the first time or again.
    pub(super) fn goes_out(&mut self, payout: &Payout, order: &TransferOrder, at: Timestamp) {
        let name = payout.reference.to_string();
        let mut still = self.stops_before.intersection(&self.stops);
        let stopped = still.find(|stop| covers(stop, order)).cloned();
        self.check(stopped.is_none(), "stop_is_kept", || {
            format!("{name} goes out: {stopped:?}")
        });
        let frozen = |known: Option<&super::Known>| known.is_none_or(|known| known.frozen);
        let barred = frozen(self.users.get(&payout.user)) && {
            let earlier = self.earlier.get(&payout.user);
            earlier.is_none() || frozen(earlier)
        };
        self.check(!barred, "sent_only_while_allowed", || {
            format!("{name} goes out to somebody who is frozen")
        });
        let before = self.payouts.get(&payout.id);
        let page = before.is_some_and(|b| matches!(b.payout.state, State::AwaitingUser(..)));
        let late = !page && at.since_ms(payout.created_at) >= self.policy.hold_ms;
        self.check(!late, "no_late_send", || {
            format!("{name} goes out so long after it was asked for")
        });
        let before = self.routes.empty_before.get(&order.mchid).copied();
        let now = self.routes.empty.get(&order.mchid).copied();
        let (Some((since, probe_at)), Some((still, _))) = (before, now) else {
            return;
        };
        if since != still {
            return;
        }
        let sent = self.routes.sent.entry(order.mchid.clone()).or_default();
        // A batch is one request.
        *sent += u32::from(order.seat.is_none_or(|seat| seat.place() == 1));
        let alone = *sent == 1 && probe_at.is_none_or(|probe_at| probe_at <= at);
        self.check(alone, "empty_account_stops", || {
            format!("{name} goes out of an empty account and it is not time for a try")
        });
    }

    /// A new order: its merchant is told to pay so much more today.
    pub(super) fn is_told(&mut self, order: &TransferOrder, at: Timestamp) {
        let no = (1..=self.routes.payers.len()).find(|no| mchid(*no) == order.mchid);
        let payer = no.and_then(|no| self.routes.payers.get(no - 1).cloned());
        let Some(payer) = payer else {
            self.check(false, "quota_holds", || {
                format!("{} is nobody", order.mchid)
            });
            return;
        };
        let day = (order.mchid.clone(), at.business_date());
        let told = self.routes.told.entry(day).or_default();
        *told += order.amount.0;
        let told = *told;
        let within = payer.quota.is_none_or(|quota| told <= quota.0);
        self.check(within, "quota_holds", || {
            format!("{} is told to pay {told} fen in a day", order.mchid)
        });
        let shares = self.routes.payers.iter().any(|payer| payer.weight > 0);
        self.check(payer.weight > 0 || !shares, "quota_holds", || {
            format!("{} pays and has no share", order.mchid)
        });
    }

    /// What is stored of merchants' days is what they were told.
    pub(super) fn days_add_up(&mut self, changes: &Changes) {
        let mut last: BTreeMap<(MchId, BusinessDate), Fen> = BTreeMap::new();
        for (no, day, sum) in &changes.merchant_days {
            last.insert((merchant(*no), *day), *sum);
        }
        for (day, stored) in last {
            let told = self.routes.told.get(&day).copied().unwrap_or(0);
            self.check(told == stored.0, "quota_holds", || {
                format!("{} on {}: {told} fen told, {} kept", day.0, day.1, stored.0)
            });
        }
    }

    /// Bills that do not say what was: whoever compares with them is right to wonder.
    pub(super) fn bills_are_true(&mut self, changes: &Changes, wechat: &Wechat) {
        for bill in &changes.bills {
            let mchid = merchant(bill.merchant);
            let (out, came_in) = wechat.true_day(&mchid, bill.date);
            let closing = wechat.true_closing(&mchid, bill.date);
            let opening = closing + out - came_in;
            let told = (bill.out.0, bill.came_in.0, bill.opening.0, bill.closing.0);
            if told == (out, came_in, opening, closing) {
                self.untrue.remove(&(bill.merchant, bill.date));
            } else {
                // What a day without movement says is what the day before it said, unless WeChat
                // left out the only row that it had.
                let before = (bill.merchant, BusinessDate(bill.date.0 - 1));
                let left_out = wechat.wrong_days.contains_key(&(mchid, bill.date));
                let known = left_out || self.untrue.contains(&before);
                let invented = bill.lines == 0 && !known;
                self.check(!invented, "bills_agree", || {
                    let date = bill.date;
                    format!("nothing moved on {date}, and the balance is said to be {told:?}")
                });
                self.untrue.insert((bill.merchant, bill.date));
            }
        }
    }

    /// Whether a finding about a day's bill is about one that does not say what was.
    pub(super) fn is_of_an_untrue_bill(&self, subject: &str) -> bool {
        self.untrue.iter().any(|(_, day)| {
            let on = |day: BusinessDate| day.to_string() == subject;
            on(*day) || on(day.next())
        })
    }
}
