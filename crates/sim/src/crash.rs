//! Kills a process before and after every side effect of every flow, starts it again, lets
//! everything come to rest, and looks at all of it. There are finitely many such points, and all
//! of them are tried.

use lingqian_io::{Browse, Store};

use crate::action::Action;
use crate::oracle::Violation;
use crate::script::Script;
use crate::world::World;

/// One flow: what is there before it, and what is killed at every point.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Its name.
    pub name: &'static str,
    before: &'static str,
    flow: &'static str,
}

const MONEY: &str = "user alice\nearn e1 alice 10.00";

const PACKED: &str = "world product1=2 packs1=10\nuser alice\nuser bob\n\
                      earn e1 alice 10.00\nearn e2 bob 5.00";

/// Every flow.
pub const FLOWS: [Flow; 18] = [
    Flow {
        name: "a withdrawal is paid",
        before: MONEY,
        flow: "withdraw w1 alice 3.00\nrun assess\nrun dispatch\nconfirm w1\nclock +5s\n\
               clock +20m\nrun poll",
    },
    Flow {
        name: "the answer is lost",
        before: MONEY,
        flow: "withdraw w1 alice 3.00\nrun assess\nwechat loses the answer\nrun dispatch\n\
               clock +1m\nrun poll\nrun dispatch\nconfirm w1\nnotice dropped\nclock +1h\nrun poll",
    },
    Flow {
        name: "the request is lost",
        before: MONEY,
        flow: "withdraw w1 alice 3.00\nrun assess\nwechat loses the request\nrun dispatch\n\
               clock +1m\nrun poll\nclock +15m\nrun poll\nrun dispatch",
    },
    Flow {
        name: "a transfer is cancelled",
        before: MONEY,
        flow: "withdraw w1 alice 3.00\nrun assess\nrun dispatch\ncancel w1\nrun cancel\n\
               clock +5s\nclock +1m\nrun poll",
    },
    Flow {
        name: "nobody confirms",
        before: MONEY,
        flow: "withdraw w1 alice 3.00\nrun assess\nrun dispatch\nnotice dropped\nclock +26h\n\
               run poll",
    },
    Flow {
        name: "risk refuses",
        before: MONEY,
        flow: "withdraw w1 alice 0.05\nrun assess",
    },
    Flow {
        name: "WeChat puts it off",
        before: MONEY,
        flow: "withdraw w1 alice 3.00\nrun assess\nwechat throttles\nrun dispatch\nclock +1m\n\
               run dispatch\nconfirm w1\nclock +5s",
    },
    Flow {
        name: "the account is empty",
        before: "world float=100\nuser alice\nearn e1 alice 10.00",
        flow: "withdraw w1 alice 3.00\nrun assess\nrun dispatch\nfloat +50.00\nclock +1m\n\
               run dispatch\nconfirm w1\nclock +5s",
    },
    Flow {
        name: "a second attempt",
        before: MONEY,
        flow: "withdraw w1 alice 3.00\nrun assess\nrun dispatch\n\
               close w1 DAY_RECEIVED_QUOTA_EXCEED\nclock +5s\nclock +25h\nrun dispatch\n\
               confirm w1\nclock +5s",
    },
    Flow {
        name: "two people approve",
        before: "world review-from=100 second-from=200\nuser alice\nearn e1 alice 10.00",
        flow: "withdraw w1 alice 3.00\nrun assess\napprove w1 by ann\napprove w1 by bob\n\
               run dispatch\nconfirm w1\nclock +5s",
    },
    Flow {
        name: "nobody approves",
        before: "world review-from=100\nuser alice\nearn e1 alice 10.00",
        flow: "withdraw w1 alice 3.00\nrun assess\nclock +8d\nrun expire",
    },
    Flow {
        name: "a wallet is linked",
        before: MONEY,
        flow: "link alice o-another",
    },
    Flow {
        name: "events are booked",
        before: "user alice\nuser bob",
        flow: "earn e1 alice 1.00\ngift g1 alice bob 0.40\ntake-back c1 e1 0.80\n\
               earn e1 alice 1.00\nearn e2 nobody 1.00",
    },
    Flow {
        name: "balances are swept",
        before: "user alice\nuser bob\nearn e1 alice 10.00\nearn e2 bob 5.00",
        flow: "run sweep\nrun assess\nrun dispatch",
    },
    Flow {
        name: "a batch of many is paid",
        before: PACKED,
        flow: "withdraw w1 alice 3.00\nwithdraw w2 bob 2.00\nrun assess\nrun dispatch\n\
               clock +31s\nrun poll\nclock +20m\nrun poll",
    },
    Flow {
        name: "a batch of many is lost and goes again",
        before: PACKED,
        flow: "withdraw w1 alice 3.00\nwithdraw w2 bob 2.00\nrun assess\n\
               wechat loses the request\nrun dispatch\nclock +15m\nrun poll\nrun dispatch\n\
               clock +1m\nrun poll",
    },
    Flow {
        name: "a batch of many is refused",
        before: PACKED,
        flow: "withdraw w1 alice 3.00\nwithdraw w2 bob 2.00\nrun assess\n\
               wechat refuses for good\nrun dispatch\nrun dispatch\nclock +1m\nrun poll",
    },
    Flow {
        name: "a day is reconciled",
        before: "user alice\nearn e1 alice 10.00\nwithdraw w1 alice 3.00\nrun assess\n\
                 run dispatch\nconfirm w1\nclock +5s\nclock +1d",
        flow: "run bills",
    },
];

/// What came of a flow.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Which flow.
    pub name: &'static str,
    /// At how many points the process was killed.
    pub points: u64,
    /// The first point at which something was wrong, and what.
    pub failure: Option<(u64, Violation)>,
}

/// Tries every point of every flow. `stores` makes an empty store and a way to open it for each
/// try; `careful` goes the ways with the most points.
pub fn enumerate<S, O>(mut stores: impl FnMut() -> O, careful: bool) -> Vec<Tried>
where
    S: Store + Browse + Clone,
    O: Fn() -> S + 'static,
{
    FLOWS
        .iter()
        .map(|flow| try_all(flow, &mut stores, careful))
        .collect()
}

fn try_all<S, O>(flow: &Flow, stores: &mut impl FnMut() -> O, careful: bool) -> Tried
where
    S: Store + Browse + Clone,
    O: Fn() -> S + 'static,
{
    let (points, failure) = live(flow, stores(), careful, None);
    let mut tried = Tried {
        name: flow.name,
        points,
        failure: failure.map(|violation| (0, violation)),
    };
    for point in 1..=points {
        if tried.failure.is_some() {
            break;
        }
        let (_, failure) = live(flow, stores(), careful, Some(point));
        tried.failure = failure.map(|violation| (point, violation));
    }
    tried
}

/// Lives through a flow, dies at a point of it, and recovers; tells how many points there were.
fn live<S: Store + Browse + Clone>(
    flow: &Flow,
    open: impl Fn() -> S + 'static,
    careful: bool,
    point: Option<u64>,
) -> (u64, Option<Violation>) {
    let read = |text: &str| Script::read(text).expect("flows are written well");
    let before = read(flow.before);
    let mut settings = before.settings.clone();
    settings.trace = false;
    settings.fast = !careful;
    let mut world = World::new(settings, open);
    let play = |world: &mut World<S>, script: &Script| {
        for line in &script.lines {
            world.act(&line.action, None);
            world.run(None, usize::MAX);
        }
    };
    play(&mut world, &before);
    let began = world.moments_of(0);
    if let Some(point) = point {
        world.fuse(0, point);
    }
    play(&mut world, &read(flow.flow));
    let points = world.moments_of(0).saturating_sub(began);
    world.milestone();
    world.act(&Action::Start(1), None);
    world.act(&Action::Calm, None);
    (points, world.violation())
}

impl<S: Store + Browse + Clone> World<S> {
    /// At how many moments a process could have died so far.
    fn moments_of(&self, no: usize) -> u64 {
        self.scene
            .lock()
            .lives
            .get(no)
            .map_or(0, |life| life.moments)
    }
}
