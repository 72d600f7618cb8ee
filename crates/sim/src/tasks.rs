//! Futures, polled by hand: no runtime, no thread. Whoever holds the dice says who goes next, and
//! a process dies by dropping what is its.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use crate::action::Pass;
use crate::dice::Dice;

/// Whose work a future is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    Desk,
    Pass(Pass),
    Request(usize),
    Notice(u64),
}

#[derive(Debug)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Work = Pin<Box<dyn Future<Output = ()>>>;

struct Task {
    process: usize,
    label: Label,
    work: Work,
    woken: Arc<Flag>,
    waker: Waker,
}

/// Everything that is under way.
#[derive(Default)]
pub(crate) struct Tasks {
    list: Vec<Task>,
    /// Who goes next when nobody rolls dice.
    turn: usize,
    ready: Vec<usize>,
}

impl Tasks {
    pub(crate) fn add(
        &mut self,
        process: usize,
        label: Label,
        work: impl Future<Output = ()> + 'static,
    ) {
        let woken = Arc::new(Flag(AtomicBool::new(true)));
        self.list.push(Task {
            process,
            label,
            work: Box::pin(work),
            waker: Waker::from(Arc::clone(&woken)),
            woken,
        });
    }

    pub(crate) fn has(&self, process: usize, label: Label) -> bool {
        self.list
            .iter()
            .any(|task| task.process == process && task.label == label)
    }

    /// Drops everything of a process; tells what that was.
    pub(crate) fn kill(&mut self, process: usize) -> Vec<Label> {
        let mut killed = Vec::new();
        self.list.retain(|task| {
            let own = task.process == process;
            if own {
                killed.push(task.label);
            }
            !own
        });
        self.turn = 0;
        killed
    }

    /// Polls one of those that can go on and may run; whether there was one. Without dice they
    /// take turns.
    pub(crate) fn step(&mut self, dice: Option<&mut Dice>, runs: impl Fn(usize) -> bool) -> bool {
        self.ready.clear();
        for (place, task) in self.list.iter().enumerate() {
            if task.woken.0.load(Ordering::Relaxed) && runs(task.process) {
                self.ready.push(place);
            }
        }
        let next = match dice {
            Some(dice) => self.ready.get(dice.place(self.ready.len())).copied(),
            None => {
                let after = self.ready.iter().find(|place| **place >= self.turn);
                after.or(self.ready.first()).copied()
            }
        };
        let Some(next) = next else { return false };
        let Some(task) = self.list.get_mut(next) else {
            return false;
        };
        task.woken.0.store(false, Ordering::Relaxed);
        let mut context = Context::from_waker(&task.waker);
        let done = task.work.as_mut().poll(&mut context).is_ready();
        self.turn = next + usize::from(!done);
        if done {
            self.list.remove(next);
        }
        true
    }
}
