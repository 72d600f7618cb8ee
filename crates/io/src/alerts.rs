//! What operators are told of: what stands, who was told of it and when, and how those who are
//! told have been doing.
//!
//! One process at a time is at it: it takes all of it under a lease, looks, tells, and keeps what
//! it did. Whoever dies in between is followed by the next one when the lease ends, which tells
//! again what was told and not kept. What is absent: what is worth telling, and sending.

use std::future::Future;

use lingqian_core::time::Timestamp;

use crate::Fault;
use crate::courier::Receipt;

/// What an alert is about, by which it is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AlertKey {
    /// What sort of thing, such as `float_empty`.
    pub kind: String,
    /// Which one: a payout, a scope, an endpoint.
    pub subject: String,
}

/// Something that operators should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What it is about.
    pub key: AlertKey,
    /// Since when it has been so, by the books.
    pub since: Timestamp,
    /// When it was first seen.
    pub noticed_at: Timestamp,
    /// Since when it is not seen any more.
    pub ended_at: Option<Timestamp>,
    /// More, in words.
    pub words: String,
}

/// That somebody was told of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tell {
    /// Of which.
    pub key: AlertKey,
    /// Who.
    pub target: String,
    /// When last.
    pub told_at: Timestamp,
    /// How often.
    pub times: u32,
}

/// How somebody who is told has been doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetHealth {
    /// Who.
    pub target: String,
    /// Nothing is sent there before this moment.
    pub next_at: Option<Timestamp>,
    /// Failures in a row.
    pub failures: u32,
    /// When a message was last taken.
    pub told_at: Option<Timestamp>,
    /// When one last was not.
    pub failed_at: Option<Timestamp>,
    /// What happened then, as a code.
    pub failed_with: Option<String>,
}

/// All of it: alerts and tells by key, targets by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertBoard {
    /// What stands, and what ended and is not told to everybody.
    pub alerts: Vec<Alert>,
    /// Who was told.
    pub tells: Vec<Tell>,
    /// How those who are told have been doing.
    pub targets: Vec<TargetHealth>,
}

/// What changes on the board, all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertChanges {
    /// New ones, and those that changed.
    pub alerts: Vec<Alert>,
    /// Those that are over, with whatever was told of them.
    pub gone: Vec<AlertKey>,
    /// Who was told.
    pub tells: Vec<Tell>,
    /// Who was told that it ended.
    pub ends: Vec<(AlertKey, String)>,
    /// How targets have been doing.
    pub targets: Vec<TargetHealth>,
    /// Whether the lease is given back.
    pub done: bool,
}

/// Whoever is at the alerts, for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertLease {
    /// A name that nobody else has.
    pub holder: String,
    /// The moment.
    pub now: Timestamp,
    /// Nobody else is at it before this moment.
    pub until: Timestamp,
}

impl AlertLease {
    /// A lease that ends after this was made by a clock that ran ahead, and holds nobody up.
    #[must_use]
    pub fn believed_until(&self) -> Timestamp {
        self.until.after_ms(self.until.since_ms(self.now))
    }
}

/// Where alerts are.
pub trait Alerts: Send + Sync + 'static {
    /// All of it, for people.
    ///
    /// # Errors
    /// A fault when it could not be read.
    fn alerts(&self) -> impl Future<Output = Result<AlertBoard, Fault>> + Send;

    /// Takes all of it; nothing while somebody else is at it.
    ///
    /// # Errors
    /// A fault; nothing was taken, or it is free again when the lease ends.
    fn take_alerts(
        &self,
        lease: AlertLease,
    ) -> impl Future<Output = Result<Option<AlertBoard>, Fault>> + Send;

    /// Keeps what changed, unless somebody else took it meanwhile; tells whether it was kept.
    ///
    /// # Errors
    /// A fault; the same may be given again.
    fn keep_alerts(
        &self,
        holder: String,
        changes: AlertChanges,
    ) -> impl Future<Output = Result<bool, Fault>> + Send;
}

/// What is told of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// It began.
    Began,
    /// It lasts.
    Lasts,
    /// It is over.
    Ended,
}

impl What {
    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            What::Began => "began",
            What::Lasts => "lasts",
            What::Ended => "ended",
        }
    }
}

/// One thing that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What of it.
    pub what: What,
    /// Of which alert.
    pub alert: Alert,
    /// What it is, in Chinese.
    pub title: &'static str,
    /// Whether money may be at stake, or nothing is paid.
    pub grave: bool,
}

/// A message to somebody who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telling {
    /// To whom.
    pub target: String,
    /// Its name: the same when the same is told again because nobody knows whether it was.
    pub id: String,
    /// When it is sent, by the time of the wire.
    pub at: Timestamp,
    /// What, the gravest first; nothing in a trial.
    pub items: Vec<Item>,
}

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name in the configuration.
    pub name: String,
    /// What sorts of things; all of them where there is none.
    pub kinds: Vec<String>,
}

/// Whoever carries alerts.
pub trait Herald: Send + Sync + 'static {
    /// Who is told.
    fn targets(&self) -> Vec<Target>;

    /// Sends one message once, and waits for its answer within a time.
    fn tell(&self, telling: Telling) -> impl Future<Output = Receipt> + Send;
}
