//! Runs scripts and tells what came of them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lingqian_io::twin::MemoryStore;
use lingqian_io::{Browse, Store};

use crate::dice::{Dice, mix};
use crate::oracle::Violation;
use crate::script::{Line, Script};
use crate::world::{Tally, World};

/// Between one audit of the whole store and the next lie so many actions.
const MILESTONE: usize = 128;

/// What came of a script.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    /// The first thing that must never be, with the place of the action after which it was.
    pub failure: Option<(usize, Violation)>,
    /// What was counted.
    pub tally: Tally,
    /// What happened, where somebody wanted to read it.
    pub trace: Vec<String>,
}

/// Runs a script over a store.
pub fn over<S: Store + Browse + Clone>(script: &Script, open: impl Fn() -> S + 'static) -> Ran {
    over_then(script, open, |_| {})
}

/// Runs a script over a store and looks at the world at its end.
pub(crate) fn over_then<S: Store + Browse + Clone>(
    script: &Script,
    open: impl Fn() -> S + 'static,
    then: impl FnOnce(&mut World<S>),
) -> Ran {
    let mut ran = Ran::default();
    let mut place = 0;
    let settings = script.settings.clone();
    let done = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(settings, open);
        for line in &script.lines {
            step(&mut world, line, &mut ran.trace);
            place += 1;
            if place % MILESTONE == 0 {
                world.milestone();
            }
            if world.violation().is_some() {
                break;
            }
        }
        then(&mut world);
        ran.trace.extend(world.lines());
        ran.tally = world.counted();
        world.violation()
    }));
    let violation = done.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        Some(Violation {
            invariant: "engine_does_not_panic".into(),
            detail: words.unwrap_or("no words").to_owned(),
        })
    });
    ran.failure = violation.map(|violation| (place, violation));
    ran
}

fn step<S: Store + Browse + Clone>(world: &mut World<S>, line: &Line, trace: &mut Vec<String>) {
    if world.settings.trace {
        trace.push(line.action.to_string());
    }
    match line.turns {
        Some(turns) => {
            let mut dice = Dice::new(mix(world.settings.seed, u64::from(turns.salt)));
            world.act(&line.action, Some(&mut dice));
            world.run(Some(&mut dice), usize::from(turns.polls));
        }
        None => {
            world.act(&line.action, None);
            world.run(None, usize::MAX);
        }
    }
    trace.extend(world.lines());
}

/// Runs a script over the store's twin, which lives in memory.
#[must_use]
pub fn on_twin(script: &Script) -> Ran {
    let store = MemoryStore::default();
    let (books, lively) = (store.clone(), script.settings.lively);
    let open = move || store.clone();
    over_then(script, open, |world| {
        if lively && world.is_calm() {
            world.falsify(&books);
        }
    })
}

/// The script of a seed: what the workload makes of it, then calm.
#[must_use]
pub fn of_seed(seed: u64, steps: u64) -> Script {
    let mut script = crate::workload::script(seed, steps);
    script.lines.push(Line {
        action: crate::action::Action::Calm,
        turns: None,
    });
    script
}

impl<S: Store + Browse + Clone> World<S> {
    /// What was counted until now.
    pub(crate) fn counted(&self) -> Tally {
        let shared = self.scene.lock();
        let mut faults: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut add = |words, times| *faults.entry(words).or_default() += times;
        shared
            .wechat
            .faults
            .struck()
            .for_each(|(fault, times)| add(fault.words(), times));
        shared
            .wechat
            .notice_faults
            .struck()
            .for_each(|(fault, times)| add(fault.words(), times));
        shared
            .wechat
            .bill_faults
            .struck()
            .for_each(|(fault, times)| add(fault.words(), times));
        shared
            .hook_faults
            .struck()
            .for_each(|(fault, times)| add(fault.words(), times));
        shared
            .store_faults
            .struck()
            .for_each(|(fault, times)| add(fault.words(), times));
        let mut ended: BTreeMap<&'static str, u64> = BTreeMap::new();
        for watched in shared.oracle.payouts.values() {
            *ended.entry(watched.payout.state.name()).or_default() += 1;
        }
        Tally {
            payouts: shared.oracle.payouts.len() as u64,
            ended,
            faults,
            checks: shared.oracle.checks,
            moments: shared.moments,
            ..self.tally.clone()
        }
    }
}

impl Tally {
    /// Adds what another run counted.
    pub fn add(&mut self, other: &Tally) {
        self.payouts += other.payouts;
        self.crashes += other.crashes;
        self.checks += other.checks;
        self.moments += other.moments;
        self.polls += other.polls;
        self.actions += other.actions;
        for (name, times) in &other.faults {
            *self.faults.entry(name).or_default() += times;
        }
        for (name, times) in &other.ended {
            *self.ended.entry(name).or_default() += times;
        }
    }
}
