//! What is broken when: a schedule that follows from the seed and nothing else.

use fastrand::Rng;

use crate::settings::{Fault, Settings, Store};
use crate::weather::Weather;

/// Faults of the sandbox that strike the next transfers, by its own names.
const WECHAT: [&str; 14] = [
    "answer_lost",
    "error_after",
    "error_before",
    "too_fast",
    "unknown_key",
    "wrong_signature",
    "slow_answer",
    "not_enough",
    "unknown_code",
    "other_data",
    "quota_spent",
    "query_blind",
    "query_error",
    "cancel_lost",
];
/// Faults of the sandbox that strike the next notifications.
const NOTICES: [&str; 4] = [
    "notice_twice",
    "notice_late",
    "notice_never",
    "notice_probe",
];

/// A run of so many seconds is long.
const LONG_RUN_S: u64 = 200;

/// One blow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    /// `kill -9`, a while of nothing, and a new beginning, perhaps with a later clock.
    Kill {
        /// Whom.
        process: usize,
        /// How long it is down, in milliseconds.
        down_ms: u64,
        /// How far the business clock moves meanwhile, in seconds.
        ahead_s: u64,
    },
    /// It stands still for so long.
    Stop {
        /// Whom.
        process: usize,
        /// How long, in milliseconds.
        still_ms: u64,
    },
    /// It stands still past every lease while another process, whose clock is later, takes over;
    /// then it goes on with what it holds in its hands.
    Oversleep {
        /// Whom.
        process: usize,
        /// How far the other's clock moves, in seconds.
        ahead_s: u64,
        /// How long the other has for it, in milliseconds.
        still_ms: u64,
    },
    /// Every connection of the platform is ended by the database.
    EndBackends,
    /// The database ends at once and begins again.
    RestartDatabase {
        /// How long it is down, in milliseconds.
        down_ms: u64,
    },
    /// The weather on a way.
    Cut {
        /// Which way.
        way: Road,
        /// What it does.
        weather: Weather,
        /// For how long, in milliseconds.
        ms: u64,
    },
    /// The next so many times something goes wrong in the sandbox.
    Wechat {
        /// What, by the sandbox's name.
        fault: &'static str,
        /// How often.
        times: u64,
    },
    /// The sandbox is killed and begins again.
    KillWechat {
        /// How long it is down, in milliseconds.
        down_ms: u64,
    },
    /// Somebody sends notifications that WeChat did not sign.
    Forge,
}

/// A way with a proxy on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    /// From a process to the database.
    Database(usize),
    /// From clients to a process.
    Client(usize),
    /// From the platform to WeChat.
    Wechat,
    /// From WeChat to the platform.
    Hook,
}

/// A blow and how long the striker rests before it.
pub type Timed = (u64, Strike);

/// What is struck by each striker; they do not wait for each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Processes and the database itself.
    pub processes: Vec<Timed>,
    /// The ways between them.
    pub roads: Vec<Timed>,
    /// WeChat.
    pub wechat: Vec<Timed>,
}

impl Plan {
    /// The plan of a run.
    #[must_use]
    pub fn of(settings: &Settings) -> Plan {
        let mut rng = Rng::with_seed(settings.seed ^ 0x006e_656d_6573_6973);
        let has = |fault| settings.faults.contains(&fault);
        let shared = settings.store == Store::Postgres;
        let count = if shared { settings.processes.max(1) } else { 1 };
        let mut blows: Vec<fn(&mut Rng, usize) -> Strike> = Vec::new();
        if has(Fault::Kill) {
            blows.extend([kill as fn(&mut Rng, usize) -> Strike, kill, kill]);
        }
        if has(Fault::Stop) {
            blows.extend([stop as fn(&mut Rng, usize) -> Strike, stop]);
            if count > 1 {
                blows.extend([oversleep as fn(&mut Rng, usize) -> Strike, oversleep]);
            }
        }
        if has(Fault::CutDb) && shared {
            blows.extend([
                end_backends as fn(&mut Rng, usize) -> Strike,
                restart_database,
            ]);
        }
        let processes = track(&mut rng, settings, (400, 1_500), |rng| {
            let blow = *pick(rng, &blows)?;
            Some(blow(rng, count))
        });
        let mut ways: Vec<Road> = Vec::new();
        for process in 0..count {
            if has(Fault::CutDb) && shared {
                ways.extend([Road::Database(process); 2]);
            }
            if has(Fault::CutClient) {
                ways.push(Road::Client(process));
            }
        }
        if has(Fault::CutWechat) {
            ways.extend([Road::Wechat; 2]);
        }
        if has(Fault::Notify) {
            ways.push(Road::Hook);
        }
        let roads = track(&mut rng, settings, (100, 900), |rng| {
            Some(Strike::Cut {
                way: *pick(rng, &ways)?,
                weather: *pick(rng, &Weather::BAD)?,
                ms: lasts(rng, settings),
            })
        });
        let wechat = track(&mut rng, settings, (100, 700), |rng| wechat(rng, settings));
        Plan {
            processes,
            roads,
            wechat,
        }
    }
}

fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> Option<&'a T> {
    if from.is_empty() {
        return None;
    }
    from.get(rng.usize(0..from.len()))
}

/// One striker's blows until the time is over.
fn track(
    rng: &mut Rng,
    settings: &Settings,
    (least, most): (u64, u64),
    mut blow: impl FnMut(&mut Rng) -> Option<Strike>,
) -> Vec<Timed> {
    let (mut at, mut all) = (0, Vec::new());
    while at < settings.seconds * 1_000 {
        let rest = rng.u64(least..most);
        let Some(strike) = blow(rng) else { break };
        at += rest + strike.takes_ms();
        all.push((rest, strike));
    }
    all
}

/// How long a way is cut, in milliseconds. In a long run some cuts are longer than anybody waits.
fn lasts(rng: &mut Rng, settings: &Settings) -> u64 {
    let long = rng.u8(0..10) == 0 && settings.seconds >= LONG_RUN_S;
    if long {
        rng.u64(5_000..75_000)
    } else {
        rng.u64(300..2_500)
    }
}

fn kill(rng: &mut Rng, count: usize) -> Strike {
    Strike::Kill {
        process: rng.usize(0..count),
        down_ms: rng.u64(0..600),
        ahead_s: if rng.bool() { 0 } else { rng.u64(10..1_200) },
    }
}

fn stop(rng: &mut Rng, count: usize) -> Strike {
    Strike::Stop {
        process: rng.usize(0..count),
        still_ms: rng.u64(200..3_000),
    }
}

fn oversleep(rng: &mut Rng, count: usize) -> Strike {
    Strike::Oversleep {
        process: rng.usize(0..count),
        ahead_s: rng.u64(130..2_400),
        still_ms: rng.u64(800..2_500),
    }
}

fn end_backends(_: &mut Rng, _: usize) -> Strike {
    Strike::EndBackends
}

fn restart_database(rng: &mut Rng, _: usize) -> Strike {
    Strike::RestartDatabase {
        down_ms: rng.u64(0..800),
    }
}

fn wechat(rng: &mut Rng, settings: &Settings) -> Option<Strike> {
    let has = |fault| settings.faults.contains(&fault);
    let dice = rng.u8(0..100);
    let notify = has(Fault::Notify) && (dice < 35 || !has(Fault::Wechat));
    if notify {
        return Some(if dice.is_multiple_of(4) {
            Strike::Forge
        } else {
            Strike::Wechat {
                fault: pick(rng, &NOTICES)?,
                times: rng.u64(1..4),
            }
        });
    }
    if !has(Fault::Wechat) {
        return None;
    }
    Some(if dice > 92 {
        Strike::KillWechat {
            down_ms: rng.u64(0..800),
        }
    } else {
        Strike::Wechat {
            fault: pick(rng, &WECHAT)?,
            times: rng.u64(1..5),
        }
    })
}

impl Strike {
    /// About how long it takes, in milliseconds.
    #[must_use]
    pub fn takes_ms(self) -> u64 {
        match self {
            Strike::Kill { down_ms, .. }
            | Strike::RestartDatabase { down_ms }
            | Strike::KillWechat { down_ms } => down_ms + 400,
            Strike::Stop { still_ms, .. } => still_ms,
            Strike::Oversleep { still_ms, .. } => still_ms + 700,
            Strike::Cut { ms, .. } => ms,
            Strike::EndBackends | Strike::Wechat { .. } | Strike::Forge => 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(seed: u64) -> Settings {
        Settings {
            seed,
            seconds: 120,
            ..Settings::new("lingqian".into(), "nowhere".into(), Store::Postgres)
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
        assert_eq!(Plan::of(&settings(7)), Plan::of(&settings(7)));
        assert_ne!(Plan::of(&settings(7)), Plan::of(&settings(8)));
    }

    #[test]
    fn two_minutes_have_every_kind_of_blow() {
        let plan = Plan::of(&settings(3));
        let blows = [&plan.processes[..], &plan.roads, &plan.wechat].concat();
        let kinds: std::collections::BTreeSet<String> = blows
            .iter()
            .map(|(_, strike)| format!("{strike:?}"))
            .map(|words| words.split([' ', '{']).next().unwrap_or("").to_owned())
            .collect();
        let all = [
            "Cut",
            "EndBackends",
            "Forge",
            "Kill",
            "KillWechat",
            "Oversleep",
            "RestartDatabase",
            "Stop",
            "Wechat",
        ];
        assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), all);
        let weathers: std::collections::BTreeSet<String> = plan
            .roads
            .iter()
            .filter_map(|(_, strike)| match strike {
                Strike::Cut { weather, .. } => Some(format!("{weather:?}")),
                _ => None,
            })
            .collect();
        assert_eq!(weathers.len(), Weather::BAD.len());
    }

    #[test]
    fn what_is_left_out_is_not_struck() {
        let plan = Plan::of(&Settings {
            faults: vec![Fault::Kill],
            ..settings(1)
        });
        assert!(plan.roads.is_empty() && plan.wechat.is_empty());
        let kills = |(_, strike): &Timed| matches!(strike, Strike::Kill { .. });
        assert!(plan.processes.len() > 20 && plan.processes.iter().all(kills));
    }
}
