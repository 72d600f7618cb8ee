//! What people and the engine itself stop, and who did what for which reason.
//!
//! A stop keeps payouts from leaving; what was sent is still asked about, and notifications are
//! still believed. Nothing ends because of a stop: the money stays held until it is lifted or
//! somebody ends the payout. Each stop has one cause, so that lifting a person's stop does not
//! lift the engine's own, and the other way round.

use std::fmt;

use crate::changes::Changes;
use crate::command::Outcome;
use crate::execute::{Decision, Moment};
use crate::facts::Facts;
use crate::id::{IdFault, MchId, checked, text_id};
use crate::rejection::Rejection;
use crate::time::{Timestamp, stepped};

/// A stopped payout is looked at again after this, in milliseconds.
pub const STOP_WAIT_MS: i64 = 60_000;
/// The longest reason, in bytes.
const REASON_MAX: usize = 400;

text_id!(
    /// Who acts: an API key such as `key:7f3a…`, a person at the command line such as `cli:wang`,
    /// or the engine itself.
    Actor,
    80
);

impl Actor {
    /// The engine, where nobody asked it to.
    #[must_use]
    pub fn engine() -> Actor {
        Actor("engine".to_owned())
    }
}

/// Who wants something by hand, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Who.
    pub actor: Actor,
    /// Why, in words for people.
    pub reason: String,
}

impl Act {
    /// An act with its reason, 1 to 400 bytes without line breaks or other control characters.
    ///
    /// # Errors
    /// The rule that the reason breaks.
    pub fn new(actor: Actor, reason: &str) -> Result<Act, IdFault> {
        let reason = reason.trim();
        if reason.is_empty() {
            return Err(IdFault::Empty);
        }
        if reason.len() > REASON_MAX {
            return Err(IdFault::TooLong(REASON_MAX));
        }
        if reason.chars().any(char::is_control) {
            return Err(IdFault::Alphabet);
        }
        Ok(Act {
            actor,
            reason: reason.to_owned(),
        })
    }
}

/// One line of the record of what was done by hand, or by the engine in a person's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What, such as `approve` or `stop`.
    pub what: String,
    /// To which payout, user or scope.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// How it stood before.
    pub before: String,
    /// How it stands after.
    pub after: String,
}

/// What a stop covers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Every payout.
    All,
    /// Payouts of one merchant.
    Merchant(MchId),
    /// Payouts under one of WeChat's scenes.
    Scene(String),
}

impl Scope {
    /// Reads `all`, `merchant:MCHID` or `scene:NUMBER`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(text: &str) -> Result<Scope, IdFault> {
        match text.split_once(':') {
            None if text == "all" => Ok(Scope::All),
            Some(("merchant", mchid)) => Ok(Scope::Merchant(MchId::parse(mchid)?)),
            Some(("scene", "")) => Err(IdFault::Empty),
            Some(("scene", scene)) if scene.len() > 32 => Err(IdFault::TooLong(32)),
            Some(("scene", scene)) if scene.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                Ok(Scope::Scene(scene.to_owned()))
            }
            _ => Err(IdFault::Form),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::All => f.write_str("all"),
            Scope::Merchant(mchid) => write!(f, "merchant:{mchid}"),
            Scope::Scene(scene) => write!(f, "scene:{scene}"),
        }
    }
}

/// Why there is a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopCause {
    /// Somebody wants it.
    Person,
    /// The merchant's account at WeChat is empty. One payout is tried now and then, and the
    /// first that is accepted lifts the stop.
    Float,
    /// The books or WeChat's word contradict themselves; a person lifts it.
    Audit,
}

impl StopCause {
    /// Every cause.
    pub const ALL: [StopCause; 3] = [StopCause::Person, StopCause::Float, StopCause::Audit];

    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            StopCause::Person => "person",
            StopCause::Float => "float",
            StopCause::Audit => "audit",
        }
    }

    /// The cause of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<StopCause> {
        StopCause::ALL
            .into_iter()
            .find(|cause| cause.name() == name)
    }
}

/// A stop, in force until it is lifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// What it covers.
    pub scope: Scope,
    /// Why it is there; a scope has at most one stop of each cause.
    pub cause: StopCause,
    /// Who stopped it and for which reason.
    pub act: Act,
    /// Since when.
    pub since: Timestamp,
    /// For an empty account: when one payout is tried again.
    pub probe_at: Option<Timestamp>,
    /// How many were tried so far.
    pub probes: u32,
    /// When it ended.
    pub lifted_at: Option<Timestamp>,
}

impl Stop {
    fn key(&self) -> (Scope, StopCause) {
        (self.scope.clone(), self.cause)
    }
}

/// The stops in force, by scope and cause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stops(std::collections::BTreeMap<(Scope, StopCause), Stop>);

impl Stops {
    /// Takes in a stop, or takes it out where it is lifted.
    pub fn take(&mut self, stop: Stop) {
        if stop.lifted_at.is_some() {
            self.0.remove(&stop.key());
        } else {
            self.0.insert(stop.key(), stop);
        }
    }

    /// The stop of this scope and cause.
    #[must_use]
    pub fn get(&self, scope: &Scope, cause: StopCause) -> Option<&Stop> {
        self.0.get(&(scope.clone(), cause))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Stop> {
        self.0.values()
    }

    /// Until when nothing of this merchant under this scene may be sent; nothing when it may be
    /// sent now. An empty account gives way to one payout when its time has come.
    #[must_use]
    pub fn until(&self, mchid: &MchId, scene: &str, now: Timestamp) -> Option<Timestamp> {
        let scopes = [
            Scope::All,
            Scope::Merchant(mchid.clone()),
            Scope::Scene(scene.to_owned()),
        ];
        let stops = scopes.iter().flat_map(|scope| {
            let of = |cause| self.get(scope, cause);
            StopCause::ALL.into_iter().filter_map(of)
        });
        let ends = stops.filter_map(|stop| match stop.probe_at {
            Some(probe_at) => (probe_at > now).then_some(probe_at),
            None => Some(now.after_ms(STOP_WAIT_MS)),
        });
        ends.max()
    }
}

impl FromIterator<Stop> for Stops {
    fn from_iter<I: IntoIterator<Item = Stop>>(stops: I) -> Stops {
        let mut all = Stops::default();
        stops.into_iter().for_each(|stop| all.take(stop));
        all
    }
}

/// Waits between tries of an empty account, in milliseconds; the last one repeats.
const PROBE_WAITS_MS: [i64; 4] = [30_000, 60_000, 5 * 60_000, 10 * 60_000];

fn probe_due(now: Timestamp, probes: u32) -> Timestamp {
    now.after_ms(stepped(&PROBE_WAITS_MS, probes))
}

/// The merchant's account is empty: nothing of it is sent but one payout now and then.
#[must_use]
pub fn emptied(stops: &Stops, mchid: &MchId, code: &str, now: Timestamp) -> Stop {
    let scope = Scope::Merchant(mchid.clone());
    match stops.get(&scope, StopCause::Float) {
        Some(known) => Stop {
            probe_at: Some(
                known
                    .probe_at
                    .unwrap_or(now)
                    .max(probe_due(now, known.probes)),
            ),
            ..known.clone()
        },
        None => Stop {
            scope,
            cause: StopCause::Float,
            act: Act {
                actor: Actor::engine(),
                reason: format!("WeChat answered {code}"),
            },
            since: now,
            probe_at: Some(probe_due(now, 0)),
            probes: 0,
            lifted_at: None,
        },
    }
}

/// One payout is tried although the account was empty; the others wait for what comes of it.
#[must_use]
pub fn probed(stops: &Stops, mchid: &MchId, now: Timestamp) -> Option<Stop> {
    let known = stops.get(&Scope::Merchant(mchid.clone()), StopCause::Float)?;
    let probes = known.probes.saturating_add(1);
    Some(Stop {
        probe_at: Some(probe_due(now, probes)),
        probes,
        ..known.clone()
    })
}

/// A transfer of this merchant was accepted, so there is money again.
#[must_use]
pub fn refilled(stops: &Stops, mchid: &MchId, now: Timestamp) -> Option<Stop> {
    let known = stops.get(&Scope::Merchant(mchid.clone()), StopCause::Float)?;
    Some(Stop {
        lifted_at: Some(now),
        ..known.clone()
    })
}

/// Stops something, or lifts the stop. Doing it again changes nothing.
///
/// # Errors
/// [`Rejection::UnknownMerchant`].
pub(crate) fn set_stop(
    moment: &Moment<'_>,
    (scope, cause): (&Scope, StopCause),
    on: bool,
    act: &Act,
    facts: &Facts,
) -> Decision {
    if let Scope::Merchant(mchid) = scope
        && facts.merchant(mchid).is_none()
    {
        return Err(Rejection::UnknownMerchant);
    }
    let known = facts.stops.get(scope, cause);
    let stop = match (known, on) {
        (Some(known), false) => Stop {
            lifted_at: Some(moment.now),
            ..known.clone()
        },
        (None, true) => Stop {
            scope: scope.clone(),
            cause,
            act: act.clone(),
            since: moment.now,
            probe_at: None,
            probes: 0,
            lifted_at: None,
        },
        (Some(_), true) | (None, false) => return Ok((Changes::default(), Outcome::Done)),
    };
    let word = |on: bool| if on { "stopped" } else { "running" };
    let deed = Deed {
        at: moment.now,
        actor: act.actor.clone(),
        what: if on { "stop" } else { "lift" }.to_owned(),
        subject: scope.to_string(),
        reason: act.reason.clone(),
        before: format!("{} ({})", word(!on), cause.name()),
        after: format!("{} ({})", word(on), cause.name()),
    };
    let changes = Changes {
        stops: vec![stop],
        deeds: vec![deed],
        ..Changes::default()
    };
    Ok((changes, Outcome::Done))
}
