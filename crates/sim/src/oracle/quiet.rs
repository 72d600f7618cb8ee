//! What must hold at milestones, and once everything has come to rest.

use std::collections::BTreeMap;

use lingqian_core::audit::{Finding, Invariant};
use lingqian_core::facts::Wallet;
use lingqian_core::id::OutBillNo;
use lingqian_core::ledger::Account;
use lingqian_core::money::Fen;
use lingqian_core::payout::State;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_engine::float::Float;
use lingqian_io::store::{Audited, Summary};

use super::{Oracle, WINDOW_MS, Watched};
use crate::wechat::{Stand, Wechat};

/// Clocks of processes are apart by at most this, by the faults that there are.
pub(super) const CLOCKS_APART_MS: i64 = 12 * 3_600_000;

impl Oracle {
    /// The store was audited.
    pub(crate) fn audited(&mut self, audited: &Audited) {
        self.checks += Invariant::ALL.len() as u64;
        // A bill with a row too few does not add up until it is fetched again.
        let about_bills = |invariant| {
            matches!(
                invariant,
                Invariant::FloatMatchesBills | Invariant::BillsChain
            )
        };
        let wrong = audited.findings.iter().find(|finding| {
            !about_bills(finding.invariant) || !self.is_of_an_untrue_bill(&finding.subject)
        });
        if let Some(finding) = wrong {
            self.check(false, finding.invariant.name(), || finding.to_string());
        }
        if self.sees_all {
            let (entries, payouts) = (self.entries, self.payouts.len() as u64);
            let same = audited.entries == entries && audited.payouts == payouts;
            self.check(same, "nothing_is_broken", || {
                format!(
                    "{} entries and {} payouts are stored, {entries} and {payouts} were committed",
                    audited.entries, audited.payouts
                )
            });
        }
    }

    /// A user's wallet by the store, against the sums of what was committed.
    pub(crate) fn wallet(&mut self, wallet: &Wallet, today: BusinessDate) {
        if !self.sees_all {
            return;
        }
        let no = wallet.user.no;
        let (cools, cooling) = (self.cools(no, today), wallet.purse(today).cooling.0);
        self.check(cooling == cools, "cooling_is_kept", || {
            let user = &wallet.user.id;
            format!("{cools} micro-yuan of {user} cool off, {cooling} are stored")
        });
        let sum = |account| self.accounts.get(&account).copied().unwrap_or(0);
        let sums = (
            sum(Account::Available(no)),
            sum(Account::Held(no)),
            -sum(Account::Receivable(no)),
        );
        let stored = (wallet.available.0, wallet.held.0, wallet.owed.0);
        self.check(sums == stored, "model_agrees", || {
            format!(
                "{} has {stored:?} stored, {sums:?} by its entries",
                wallet.user.id
            )
        });
    }

    /// Whether the page that a lost answer took along can still be had: the same order brings it,
    /// as long as it may go out again.
    pub(crate) fn may_fetch_page(&self, number: OutBillNo, now: Timestamp) -> bool {
        let first = self.first_sent.get(&number);
        first.is_some_and(|first| now.since_ms(*first) < WINDOW_MS - CLOCKS_APART_MS)
    }

    /// Whether only a person can decide: nobody may send it again, and WeChat knows nothing of it.
    pub(crate) fn needs_a_person(watched: &Watched, now: Timestamp, wechat: &Wechat) -> bool {
        let State::Unknown(attempt, _) = &watched.payout.state else {
            return false;
        };
        let late = now.since_ms(attempt.first_sent_at) >= WINDOW_MS - CLOCKS_APART_MS;
        late && wechat.stands(attempt.number()).is_none()
    }

    /// Everything rests: every payout is final, nothing waits, and both sides agree.
    pub(crate) fn rests(&mut self, summary: &Summary, wechat: &Wechat) {
        let waiting: u64 = summary.waiting.iter().map(|(_, count)| count).sum();
        let left: Vec<String> = self
            .payouts
            .values()
            .filter(|watched| !watched.payout.state.is_final())
            .map(|watched| {
                format!(
                    "{} is {}",
                    watched.payout.reference,
                    watched.payout.state.name()
                )
            })
            .collect();
        self.check(left.is_empty() && waiting == 0, "everything_ends", || {
            format!("{waiting} wait; {}", left.join(", "))
        });
        let paid: BTreeMap<_, i64> = wechat
            .transfers()
            .values()
            .filter(|transfer| transfer.stand == Stand::Success)
            .map(|transfer| (transfer.order.number.payout(), transfer.order.amount.0))
            .collect();
        let settled: BTreeMap<_, i64> = self
            .payouts
            .iter()
            .filter(|(_, watched)| matches!(watched.payout.state, State::Paid(..)))
            .map(|(id, watched)| (*id, watched.payout.amount.0))
            .collect();
        self.check(paid == settled, "paid_means_paid", || {
            let (paid, settled): (i64, i64) = (paid.values().sum(), settled.values().sum());
            format!("WeChat paid {paid} fen, the books settled {settled}")
        });
        for number in std::mem::take(&mut self.promised) {
            let stand = wechat.stands(number);
            let name = self.name_of(number.payout());
            let unwanted = self
                .payouts
                .get(&number.payout())
                .is_some_and(|watched| watched.unwanted);
            let kept = unwanted || stand.is_some_and(Stand::is_final) && !wechat.is_overdue(number);
            self.check(kept, "page_is_shown", || {
                format!("the user of {name} wanted to confirm and it is {stand:?}")
            });
        }
    }

    /// Every day was reconciled: nothing is left to explain.
    pub(crate) fn reconciled(&mut self, summary: &Summary) {
        let left = |account: &Account| matches!(account, Account::Clearing(_) | Account::Suspense);
        let unexplained: Vec<String> = summary
            .accounts
            .iter()
            .filter(|(account, balance)| left(account) && balance.0 != 0)
            .map(|(account, balance)| format!("{account:?} at {balance}"))
            .collect();
        let open = summary.open_breaks;
        self.check(open == 0 && unexplained.is_empty(), "bills_agree", || {
            format!("{open} breaks are open; {}", unexplained.join(", "))
        });
    }

    /// The live auditor has looked: it is right, or somebody made the books lie.
    pub(crate) fn watched(&mut self, findings: &[Finding]) {
        if let Some(seen) = &mut self.spoilt {
            *seen |= !findings.is_empty();
            return;
        }
        self.check(findings.is_empty(), "auditor_is_right", || {
            findings
                .first()
                .map(ToString::to_string)
                .unwrap_or_default()
        });
    }

    /// Everything is billed: what is left at WeChat is what is there.
    pub(crate) fn reckoned(&mut self, float: &Float, there: i64) {
        let known = float.left == Some(Fen(there)) && float.in_flight == Fen::ZERO;
        self.check(known, "float_is_known", || {
            format!(
                "{:?} fen are reckoned, {} of them under way; {there} are there",
                float.left, float.in_flight.0
            )
        });
    }

    /// A user's balance against the model.
    pub(crate) fn modelled(&mut self, wallet: &Wallet, expected: i64) {
        let net = wallet.available.0 - wallet.owed.0 + wallet.held.0;
        self.check(net == expected, "model_agrees", || {
            format!(
                "{} has {net} micro-yuan, the model says {expected}",
                wallet.user.id
            )
        });
    }
}
