//! The second half of every run: faults stop, everybody works, and everything must come to its
//! end within a bounded time, on both sides alike.

use lingqian_core::command::Manual;
use lingqian_core::payout::State;
use lingqian_io::{Browse, Store};

use super::serve::stopped;
use super::{World, mchid};
use crate::action::{Action, Pass, SCOPES};
use crate::oracle::{Oracle, Violation, Watched};
use crate::scene::Shared;
use crate::wait::wait;
use crate::wechat::Stand;

/// Spans between one round of work and the next, each with how often it is waited: three days in
/// all, by which every transfer is closed and every delayed message delivered.
const SPANS: [(i64, usize); 4] = [(1_000, 8), (30_000, 20), (600_000, 18), (3_600_000, 160)];
/// Bills of the last day are made after this.
const TO_THE_BILL_MS: i64 = 36 * 3_600_000;
/// Days in which bills must have proved what is left.
const PROOF_DAYS: u32 = 9;
/// So much is taken in a round, however little a pass takes.
const WORK_MIN: u32 = 8;
/// A page that is not shown within this is a broken promise, if WeChat still waits so long.
const PROMISE_MS: i64 = 6 * 3_600_000;

impl<S: Store + Browse + Clone> World<S> {
    /// Lets everything come to rest and looks at all of it.
    pub(crate) fn calm(&mut self) {
        self.calm = true;
        self.stop_faults();
        self.promise();
        'rest: for (ms, times) in SPANS {
            for _ in 0..times {
                self.round();
                if self.is_broken() || self.rests() {
                    break 'rest;
                }
                self.advance(ms);
            }
        }
        self.decide();
        if self.is_broken() {
            return;
        }
        self.milestone();
        let summary = wait(self.books.summary());
        if let Ok(summary) = &summary {
            let mut shared = self.scene.lock();
            let Shared { oracle, wechat, .. } = &mut *shared;
            oracle.rests(summary, wechat);
        }
        if !self.is_broken() {
            self.compare();
            self.reconcile();
        }
        if !self.is_broken() {
            self.reckon();
        }
        if !self.is_broken() && self.settings.lively {
            self.sweep_all();
        }
        if !self.is_broken() {
            self.tell_all();
        }
    }

    /// Whether everything came to rest.
    pub(crate) fn is_calm(&self) -> bool {
        self.calm && !self.is_broken()
    }

    fn is_broken(&self) -> bool {
        self.scene.lock().oracle.violation.is_some()
    }

    fn stop_faults(&mut self) {
        let lively = self.settings.lively;
        {
            let mut shared = self.scene.lock();
            shared.store_faults.stop();
            shared.hook_faults.stop();
            shared.wechat.faults.stop();
            shared.wechat.notice_faults.stop();
            shared.wechat.bill_faults.stop();
            let now = shared.now;
            let enough = if lively { 100_000_000_000 } else { 1_000_000 };
            for no in 1..=self.settings.merchants.len() {
                shared.wechat.top_up(now, &mchid(no), enough);
            }
            shared.lives.iter_mut().for_each(|life| life.fuse = None);
        }
        for payer in &mut self.settings.merchants {
            payer.quota = None;
        }
        self.define();
        self.turn_on();
        self.scene.lock().oracle.forget_quotas();
        self.set_clocks();
        for no in 0..self.processes.len() {
            self.start(no);
            self.processes[no].paused = false;
        }
        self.run(None, usize::MAX);
    }

    /// Notes whose page must be shown from now on.
    fn promise(&mut self) {
        let mut shared = self.scene.lock();
        let now = shared.now;
        let waits: Vec<_> = shared
            .wechat
            .transfers()
            .iter()
            .filter(|(number, transfer)| {
                transfer.stand == Stand::WaitUserConfirm
                    && now.since_ms(transfer.since) < PROMISE_MS
                    && shared.wechat.is_willing(**number)
                    && (shared.is_shown(**number) || shared.oracle.may_fetch_page(**number, now))
            })
            .map(|(number, _)| *number)
            .collect();
        shared.oracle.promised.extend(waits);
    }

    /// The operator lifts what is stopped, allows everybody, and approves what waits for people.
    fn operate(&mut self) {
        let (stops, frozen, reviews) = {
            let shared = self.scene.lock();
            let oracle = &shared.oracle;
            let reviews = oracle
                .payouts
                .values()
                .filter(|watched| matches!(watched.payout.state, State::Review(_)));
            let names: Vec<String> = reviews
                .map(|watched| watched.payout.reference.to_string())
                .collect();
            (oracle.stops.clone(), oracle.frozen(), names)
        };
        for stop in stops {
            let word = SCOPES.into_iter().find(|word| {
                let (scope, cause) = stopped(word);
                format!("{scope} by {}", cause.name()) == stop
            });
            let scope = word.unwrap_or("all").to_owned();
            self.act(&Action::Stop(false, scope, "ann".into()), None);
        }
        for user in frozen {
            self.act(&Action::Thaw(user), None);
        }
        for name in reviews {
            for who in ["ann", "bob"] {
                let act = Action::Act(Manual::Approve, name.clone(), who.into());
                self.act(&act, None);
                self.run(None, usize::MAX);
            }
        }
    }

    /// What nobody may send again and WeChat never heard of is proved unpaid by its bills.
    fn decide(&mut self) {
        for _ in 0..PROOF_DAYS {
            let left = self.left_to_people();
            if left.is_empty() || self.is_broken() {
                return;
            }
            self.advance(24 * 3_600_000);
            self.begin(Pass::AllBills, 0);
            self.round();
            for name in left {
                let act = Action::Act(Manual::MarkUnpaid, name, "ann".into());
                self.act(&act, None);
            }
            self.round();
        }
    }

    fn left_to_people(&self) -> Vec<String> {
        let shared = self.scene.lock();
        let (now, wechat) = (shared.now, &shared.wechat);
        let payouts = shared.oracle.payouts.values();
        payouts
            .filter(|watched| Oracle::needs_a_person(watched, now, wechat))
            .map(|watched| watched.payout.reference.to_string())
            .collect()
    }

    fn round(&mut self) {
        self.turn_on();
        self.operate();
        self.retry(None);
        self.run(None, usize::MAX);
        // Who took as much as a pass may take goes on at once.
        let claims = self.settings.limits.claim_max.clamp(1, WORK_MIN);
        for _ in 0..WORK_MIN.div_ceil(claims) {
            let before = self.scene.lock().oracle.commits;
            self.act(&Action::Work, None);
            self.run(None, usize::MAX);
            if self.scene.lock().oracle.commits == before {
                break;
            }
        }
    }

    fn rests(&self) -> bool {
        let shared = self.scene.lock();
        let (now, wechat) = (shared.now, &shared.wechat);
        let rests = |watched: &Watched| {
            watched.payout.state.is_final() || Oracle::needs_a_person(watched, now, wechat)
        };
        self.is_answered() && wechat.rests() && shared.oracle.payouts.values().all(rests)
    }

    /// Every balance against the naive model.
    fn compare(&mut self) {
        let wallets = self.wallets();
        let mut shared = self.scene.lock();
        let Shared {
            oracle,
            model,
            wechat,
            ..
        } = &mut *shared;
        let balances = model.balances(oracle, wechat);
        for wallet in wallets {
            let expected = balances.get(wallet.user.id.as_str()).copied().unwrap_or(0);
            oracle.modelled(&wallet, expected);
        }
    }

    /// Every day is reconciled, twice; nothing is left to explain.
    fn reconcile(&mut self) {
        self.advance(TO_THE_BILL_MS);
        for _ in 0..2 {
            self.run(None, usize::MAX);
            self.begin(Pass::AllBills, 0);
            self.run(None, usize::MAX);
        }
        self.milestone();
        let summary = wait(self.books.summary());
        let mut shared = self.scene.lock();
        match summary {
            Ok(summary) => shared.oracle.reconciled(&summary),
            Err(fault) => {
                shared.oracle.violation.get_or_insert(Violation {
                    invariant: "nothing_is_broken".into(),
                    detail: fault.to_string(),
                });
            }
        }
    }
}
