//! What is tried once everything has come to rest: whether a sweep takes all that there is, whether
//! the money at WeChat is known, and whether auditors see books that lie.

use lingqian_core::id::PayoutId;
use lingqian_core::ledger::Account;
use lingqian_core::payout::Payout;
use lingqian_io::twin::{MemoryStore, Spoil};
use lingqian_io::{Browse, Store};

use super::passes::SWEEP_FROM;
use super::{World, mchid};
use crate::action::Pass;
use crate::dice::Dice;
use crate::wait::wait;

/// A balance is split into so many payouts at most.
const PARTS_MAX: usize = 20;
/// The auditor has walked through everything after so many looks.
const LOOKS_MAX: u32 = 4_000;

impl<S: Store + Browse + Clone> World<S> {
    /// Nothing is under way and everything is billed: what is reckoned is what is there.
    pub(super) fn reckon(&mut self) {
        self.begin(Pass::Reckon, 0);
        self.run(None, usize::MAX);
        let Some(float) = self.stands(0).and_then(|mut stands| stands.float.take()) else {
            return;
        };
        let merchants = self.settings.merchants.len();
        let mut shared = self.scene.lock();
        let accounts = (1..=merchants).map(|no| shared.wechat.account(&mchid(no)).balance);
        let there = accounts.sum();
        shared.oracle.reckoned(&float, there);
    }

    /// A sweep of everybody: what it asks for is what each may withdraw.
    pub(super) fn sweep_all(&mut self) {
        let before = self.wallets();
        self.begin(Pass::Sweep, 0);
        self.run(None, usize::MAX);
        let after = self.wallets();
        let today = self.scene.lock().now.business_date();
        let policy = self.settings.policy.clone();
        let parts_max = if self.settings.split { PARTS_MAX } else { 1 };
        for (was, is) in before.iter().zip(&after) {
            let mut shared = self.scene.lock();
            let cools = shared.oracle.cools(was.user.no, today);
            let mut left = (was.available.0 - cools - was.owed.0).max(0) / 10_000;
            let approved = shared.oracle.approved_on(was.user.no, today);
            let day = policy.user_day_amount_max.0 - approved;
            let (mut wanted, mut parts) = (0, 0);
            while was.available.0 >= SWEEP_FROM.0 * 10_000 && parts < parts_max {
                let part = left.min(policy.payout_max.0).min(day);
                if part < policy.payout_min.0 {
                    break;
                }
                (wanted, left, parts) = (wanted + part, left - part, parts + 1);
                if part < policy.payout_max.0 {
                    break;
                }
            }
            let held = (is.held.0 - was.held.0) / 10_000;
            let fast = self.settings.fast;
            shared
                .oracle
                .check(fast || held == wanted, "sweep_takes_all", || {
                    format!("{} fen of {} are swept, {wanted} may be", held, was.user.id)
                });
        }
    }

    /// Makes the books lie in one way of many, and lets the auditors look.
    pub(crate) fn falsify(&mut self, store: &MemoryStore) {
        let mut dice = Dice::of(self.settings.seed, "spoil");
        let payouts: Vec<Payout> = {
            let shared = self.scene.lock();
            if shared.oracle.violation.is_some() {
                return;
            }
            let all = shared.oracle.payouts.values();
            all.map(|watched| watched.payout.clone()).collect()
        };
        let Some(victim) = payouts.get(dice.place(payouts.len())) else {
            return;
        };
        let (spoil, live) = lie(&mut dice, victim, &payouts);
        store.spoil(&spoil);
        self.scene.lock().oracle.spoilt = Some(false);
        let found = wait(self.books.audit()).is_ok_and(|audited| !audited.findings.is_empty());
        let says = |who: &str| format!("{who} sees nothing of {spoil:?}");
        let oracle = &self.scene;
        oracle
            .lock()
            .oracle
            .check(found, "auditor_sees", || says("the audit"));
        if !live || self.settings.fast {
            return;
        }
        // A walk that was under way may have passed what is wrong now.
        let walks = self.stands(0).map_or(0, |stands| stands.watch.walks);
        for _ in 0..LOOKS_MAX {
            self.begin(Pass::Watch, 0);
            self.run(None, usize::MAX);
            let now = self.stands(0).map_or(0, |stands| stands.watch.walks);
            let through = now > walks + 1;
            if through || self.scene.lock().oracle.spoilt == Some(true) {
                break;
            }
        }
        let mut shared = self.scene.lock();
        let seen = shared.oracle.spoilt == Some(true);
        shared
            .oracle
            .check(seen, "auditor_sees", || says("the live auditor"));
        let stopped = shared.oracle.stops.contains("all by audit");
        shared.oracle.check(stopped, "auditor_sees", || {
            "the live auditor stops nothing".to_owned()
        });
    }
}

/// A lie, and whether the live auditor can see it, who looks at payouts and their users.
fn lie(dice: &mut Dice, victim: &Payout, payouts: &[Payout]) -> (Spoil, bool) {
    let (user, merchant) = (victim.user, victim.merchant);
    let (available, held, owed) = (
        Account::Available(user),
        Account::Held(user),
        Account::Receivable(user),
    );
    let clearing = Account::Clearing(merchant);
    let micros = dice.within(1, 5);
    let open = payouts.iter().find(|payout| !payout.state.is_final());
    let open: Option<PayoutId> = open.map(|payout| payout.id);
    match dice.below(12) {
        11 => (Spoil::Moved(Account::Fees, held, micros), true),
        0 => (Spoil::Moved(Account::Fees, available, micros), true),
        1 => (Spoil::Moved(available, held, micros), true),
        2 => (Spoil::Moved(owed, Account::Suspense, micros), true),
        3 => (Spoil::Made(Account::Fees, micros), true),
        4 => (Spoil::Made(clearing, -micros), true),
        5 => (Spoil::Made(held, micros), true),
        6 => (Spoil::Entries(victim.id), true),
        7 => (Spoil::State(victim.id), true),
        8 => (
            Spoil::Moved(clearing, Account::Float(merchant), micros),
            false,
        ),
        9 => match open {
            Some(open) => (Spoil::Wait(open), false),
            None => (Spoil::Counted(victim.id), false),
        },
        _ => (Spoil::Counted(victim.id), false),
    }
}
