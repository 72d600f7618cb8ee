//! The pretend world: processes over one store, the app and its users, WeChat, and time. It does
//! what the actions say and lets the futures of all processes take turns.

mod acts;
mod calm;
mod hooks;
mod last;
mod passes;
mod people;
mod requests;
mod serve;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lingqian_core::id::{MchId, PayoutId};
use lingqian_core::link::LinkPolicy;
use lingqian_core::money::Fen;
use lingqian_core::risk::Policy;
use lingqian_core::time::Timestamp;
use lingqian_engine::float::Float;
use lingqian_engine::wake::WakeCursor;
use lingqian_engine::watch::WatchCursor;
use lingqian_engine::{Desk, DeskSettings, Limits};
use lingqian_io::twin::ManualClock;
use lingqian_io::{Browse, Clock as _, Store};
use lingqian_wechat::settings::RailKind;

use crate::dice::{Dice, mix};
use crate::faults::Pending;
use crate::model::Model;
use crate::oracle::{Oracle, Violation};
use crate::ports::SimPorts;
use crate::scene::{Life, Scene, Shared};
use crate::store::SimStore;
use crate::tasks::{Label, Tasks};
use crate::wait::wait;
use crate::wechat::{Event, Wechat};
pub(crate) use hooks::{HOOKS_MAX, hook};
pub(crate) use people::{CAP, COOLING_DAYS, GIFTS};
use requests::Request;
pub(crate) use requests::Wish;

/// 2026-03-02, noon in Beijing: the moment at which every world begins.
pub const NOON: Timestamp = Timestamp(1_772_424_000_000);
/// The merchants that pay.
const MCHIDS: [&str; 2] = ["1900000109", "1900000117"];
/// The scene under which each pays.
pub(crate) const SCENES: [&str; 2] = ["1000", "1005"];

/// A merchant, counted from 1.
pub(crate) fn mchid(no: usize) -> MchId {
    let name = MCHIDS.get(no.saturating_sub(1)).unwrap_or(&MCHIDS[0]);
    MchId::parse(name).expect("a merchant number")
}

/// One of the merchants that pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payer {
    /// Its share where others pay, too.
    pub weight: u32,
    /// What it may be told to pay in a day.
    pub quota: Option<Fen>,
    /// Which of WeChat's products its payouts go by.
    pub product: RailKind,
    /// How many of its new orders go out in one request, where the product is the batch.
    pub packs: u16,
}

impl Default for Payer {
    fn default() -> Self {
        Payer {
            weight: 1,
            quota: None,
            product: RailKind::Transfer,
            packs: 1,
        }
    }
}
/// No action keeps processes busy for longer than this many polls.
const POLLS_MAX: usize = 200_000;

/// How a world is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where all chance comes from.
    pub seed: u64,
    /// The limits in force.
    pub policy: Policy,
    /// Whether users and WeChat act by themselves; in stories they do what they are told.
    pub lively: bool,
    /// Whether bills show money when it is locked rather than when it is paid.
    pub shows_locks: bool,
    /// Whether the store's own fast ways are taken.
    pub fast: bool,
    /// Whether somebody reads what happened.
    pub trace: bool,
    /// How much one run of a pass takes on.
    pub limits: Limits,
    /// What lies in the first merchant's account at first, in fen.
    pub float: i64,
    /// What lies in the second one's.
    pub float2: i64,
    /// Who pays.
    pub merchants: Vec<Payer>,
    /// Whether users have real names. Some are not known, and some are wrong.
    pub names: bool,
    /// Whether a sweep may split a balance into several payouts.
    pub split: bool,
    /// How many receivers of the app are told what happens.
    pub hooks: usize,
}

/// The limits of the rules, but that a wallet which took another one's place cools off for ten
/// minutes: whatever is due must end before a run is over.
pub(crate) fn usual_policy() -> Policy {
    let links = LinkPolicy {
        relink_cooling_ms: 600_000,
        ..LinkPolicy::default()
    };
    Policy {
        links,
        ..Policy::default()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            seed: 0,
            policy: usual_policy(),
            lively: false,
            shows_locks: false,
            fast: true,
            trace: true,
            limits: Limits::default(),
            float: 1_000_000,
            float2: 1_000_000,
            merchants: vec![Payer::default()],
            names: false,
            split: false,
            hooks: 0,
        }
    }
}

struct Process<S> {
    /// What a living process has.
    alive: Option<(SimPorts<S>, Desk)>,
    clock: Arc<ManualClock>,
    paused: bool,
    starts: u64,
    /// Where its passes stand that go on the next time; in memory.
    standing: Arc<Mutex<Standing>>,
}

/// Where passes of a process stand.
#[derive(Debug, Default)]
struct Standing {
    watch: WatchCursor,
    wake: WakeCursor,
    /// What was reckoned up last.
    float: Option<Float>,
}

/// What the world counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Payouts that were made.
    pub payouts: u64,
    /// Payouts by the state in which they ended.
    pub ended: BTreeMap<&'static str, u64>,
    /// Processes that died.
    pub crashes: u64,
    /// Faults by name, with how often each struck.
    pub faults: BTreeMap<&'static str, u64>,
    /// Checks of the oracle.
    pub checks: u64,
    /// Side effects before and after which a process could have died.
    pub moments: u64,
    /// Polls of futures.
    pub polls: u64,
    /// Actions that were carried out.
    pub actions: u64,
}

/// The world over a store.
pub struct World<S> {
    pub(crate) settings: Settings,
    pub(crate) scene: Scene,
    tasks: Tasks,
    processes: Vec<Process<S>>,
    requests: Vec<Request>,
    /// Payouts by the name that the app gave them, as far as the app knows.
    known: BTreeMap<String, PayoutId>,
    open: Box<dyn Fn() -> S>,
    /// The store as the onlooker sees it: without faults.
    pub(crate) books: S,
    pub(crate) tally: Tally,
    /// Faults have stopped.
    calm: bool,
}

impl<S: Store + Browse + Clone> World<S> {
    /// A world whose processes open the store in this way. One process runs; a merchant and
    /// kinds are defined.
    pub fn new(settings: Settings, open: impl Fn() -> S + 'static) -> World<S> {
        let Settings {
            seed,
            lively,
            shows_locks,
            ..
        } = settings;
        let mut wechat = Wechat::new(seed, lively, shows_locks);
        wechat.top_up(NOON, &mchid(1), settings.float);
        if settings.merchants.len() > 1 {
            wechat.top_up(NOON, &mchid(2), settings.float2);
        }
        for (no, payer) in (1..).zip(&settings.merchants) {
            if payer.product != RailKind::Transfer {
                wechat.products.insert(mchid(no), payer.product);
                wechat.packs.insert(mchid(no), payer.packs);
            }
        }
        let scene = Scene::new(Shared {
            now: NOON,
            wechat,
            oracle: Oracle::new(&settings),
            model: Model::default(),
            store_faults: Pending::default(),
            hook_faults: Pending::default(),
            lives: Vec::new(),
            trace: settings.trace.then(Vec::new),
            moments: 0,
            inbox: Vec::new(),
        });
        let books = open();
        let mut world = World {
            settings,
            scene,
            tasks: Tasks::default(),
            processes: Vec::new(),
            requests: Vec::new(),
            known: BTreeMap::new(),
            open: Box::new(open),
            books,
            tally: Tally::default(),
            calm: false,
        };
        world.define();
        world.open_hooks();
        world.start(0);
        world
    }

    /// The first violation, if there was one.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        self.scene.lock().oracle.violation.clone()
    }

    /// Takes the lines that were written since the last time.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        self.scene
            .lock()
            .trace
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    pub(crate) fn start(&mut self, no: usize) {
        while self.processes.len() <= no {
            let now = self.scene.lock().now;
            self.processes.push(Process {
                alive: None,
                clock: Arc::new(ManualClock::new(now)),
                paused: false,
                starts: 0,
                standing: Arc::default(),
            });
            self.scene.lock().lives.push(Life::default());
        }
        let process = &mut self.processes[no];
        if process.alive.is_some() {
            return;
        }
        process.starts += 1;
        process.paused = false;
        process.standing = Arc::default();
        let name = mix(self.settings.seed, process.starts * 16 + no as u64);
        let store = SimStore::new((self.open)(), self.scene.clone(), no, self.settings.fast);
        let clock = Arc::clone(&process.clock);
        let settings = DeskSettings {
            policy: self.settings.policy.clone(),
            ..DeskSettings::default()
        };
        let (desk, work) = Desk::open(store.clone(), Arc::clone(&clock), settings);
        let ports = SimPorts::new(store, &self.scene, no, &clock, name);
        process.alive = Some((ports, desk));
        self.scene.lock().lives[no] = Life::default();
        self.tasks.add(no, Label::Desk, work);
    }

    /// A process is gone, with everything that it had begun.
    pub(crate) fn crash(&mut self, no: usize) {
        let Some(process) = self.processes.get_mut(no) else {
            return;
        };
        if process.alive.take().is_none() {
            return;
        }
        process.paused = false;
        self.tally.crashes += 1;
        let killed = self.tasks.kill(no);
        let mut shared = self.scene.lock();
        shared.lives[no] = Life::default();
        shared.tell(|| format!("  p{} dies", no + 1));
        let now = shared.now;
        for label in killed {
            match label {
                Label::Request(place) => self.requests[place].in_flight = false,
                Label::Notice(id) => shared.wechat.not_taken(id, now),
                Label::Desk | Label::Pass(_) => {}
            }
        }
    }

    /// Lets whoever can go on take turns: at most so many polls, or until all wait.
    pub(crate) fn run(&mut self, mut dice: Option<&mut Dice>, polls_max: usize) {
        for _ in 0..polls_max.min(POLLS_MAX) {
            let processes = &self.processes;
            let runs = |no: usize| processes.get(no).is_some_and(|process| !process.paused);
            if !self.tasks.step(dice.as_deref_mut(), runs) {
                return;
            }
            self.tally.polls += 1;
            self.after_a_poll();
        }
    }

    fn after_a_poll(&mut self) {
        let (dying, happens) = {
            let shared = self.scene.lock();
            let dying = shared.lives.iter().position(|life| life.dying);
            let due = shared
                .wechat
                .next_event()
                .is_some_and(|at| at <= shared.now);
            (dying, due || !shared.inbox.is_empty())
        };
        if let Some(no) = dying {
            self.crash(no);
        }
        if happens {
            self.hear();
            let now = self.scene.lock().now;
            self.happen(now);
        }
    }

    /// Everything that WeChat and its users do up to a moment.
    fn happen(&mut self, until: Timestamp) {
        loop {
            let due = {
                let mut shared = self.scene.lock();
                let Some((at, event)) = shared.wechat.due(until) else {
                    return;
                };
                shared.now = shared.now.max(at);
                if let Event::Arrive(orders) = &event {
                    let fen: i64 = orders.iter().map(|order| order.amount.0).sum();
                    shared.tell(|| format!("  wechat: a late request arrives, {fen} fen"));
                    shared.oracle.arrives(orders);
                }
                let now = shared.now;
                let shown = match &event {
                    Event::Confirm(number) => shared.is_shown(*number),
                    _ => false,
                };
                shared.wechat.happens(now, &event, shown);
                shared.hear();
                event
            };
            if let Event::Deliver(id) = due {
                self.deliver(id);
            }
        }
    }

    /// Time passes for everybody.
    pub(crate) fn advance(&mut self, ms: i64) {
        let target = self.scene.lock().now.after_ms(ms);
        self.happen(target);
        self.scene.lock().now = target;
        for process in &self.processes {
            process.clock.advance_ms(ms);
        }
    }

    /// Every clock shows the true moment again.
    fn set_clocks(&mut self) {
        let now = self.scene.lock().now;
        for process in &self.processes {
            process.clock.set_business(now);
            process.clock.set_wire(now);
        }
    }

    /// Puts the clock of a process somewhere else.
    pub(crate) fn jump(&mut self, no: usize, ms: i64, wire: bool) {
        let Some(process) = self.processes.get(no) else {
            return;
        };
        if wire {
            process.clock.set_wire(process.clock.wire().after_ms(ms));
        } else {
            process
                .clock
                .set_business(process.clock.business().after_ms(ms));
        }
    }

    /// Where the passes of a process stand.
    fn stands(&self, no: usize) -> Option<MutexGuard<'_, Standing>> {
        let process = self.processes.get(no)?;
        let standing = process.standing.lock();
        Some(standing.unwrap_or_else(PoisonError::into_inner))
    }

    /// The processes that are alive.
    fn alive(&self) -> Vec<usize> {
        let numbered = self.processes.iter().enumerate();
        let alive = numbered.filter(|(_, process)| process.alive.is_some());
        alive.map(|(no, _)| no).collect()
    }

    /// The store's audit and a user's wallet, against what was committed.
    pub(crate) fn milestone(&mut self) {
        let audited = wait(self.books.audit());
        let wallets = self.wallets();
        let mut shared = self.scene.lock();
        let today = shared.now.business_date();
        let oracle = &mut shared.oracle;
        match audited {
            Ok(audited) => oracle.audited(&audited),
            Err(fault) => oracle.check(false, "nothing_is_broken", || fault.to_string()),
        }
        for wallet in wallets {
            oracle.wallet(&wallet, today);
        }
    }
}

impl Shared {
    /// Whether the app can show the page that WeChat waits for.
    pub(crate) fn is_shown(&self, number: lingqian_core::id::OutBillNo) -> bool {
        let package = self.oracle.package_of(number.payout());
        let transfer = self.wechat.transfers().get(&number);
        package.is_some() && package == transfer.map(|transfer| transfer.package.as_str())
    }
}
