//! Storage: facts in, changes out, leases on due work; and what people look at.

use std::future::Future;

use lingqian_core::audit::Finding;
use lingqian_core::changes::HistoryLine;
use lingqian_core::command::{ApiKey, DeadLetter};
use lingqian_core::facts::Wallet;
use lingqian_core::id::{KindCode, PayoutId, UserId, UserNo};
use lingqian_core::ledger::{Account, Entry};
use lingqian_core::money::Micros;
use lingqian_core::payout::{Payout, Queue};
use lingqian_core::reconcile::{Bill, Break};
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::Merchant;
use lingqian_core::{Changes, Facts, Keys};

use crate::Fault;

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// All of it is durable.
    Done,
    /// Somebody else committed since the prefetch. Nothing was written; decide again.
    Conflict,
}

/// A wish for due work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which queue.
    pub queue: Queue,
    /// What is due at this moment.
    pub now: Timestamp,
    /// Nobody else gets the same work before this moment.
    pub lease_until: Timestamp,
    /// At most so many payouts.
    pub limit: u32,
}

/// Where money and payouts live.
pub trait Store: Send + Sync + 'static {
    /// Reads everything that the keys name, all of one moment. What is asked for and absent is
    /// in the facts as absent. [`Facts::basis`] must let [`Store::commit`] notice other commits.
    ///
    /// # Errors
    /// A fault; nothing was changed.
    fn prefetch(&self, keys: Keys) -> impl Future<Output = Result<Facts, Fault>> + Send;

    /// Writes all of it or nothing; durable when it answers. Entries are numbered without a
    /// gap in the order of [`Changes::all_entries`]. A work that is written replaces the one
    /// that the payout had, with its lease; a break replaces the one of its subject.
    ///
    /// # Errors
    /// [`Fault::Unknown`] when it may or may not have been written. [`Fault::Broken`], with
    /// nothing written, for what no rule could have decided: a user account below zero; an
    /// event, a reference, a key's answer or a bill's line twice; a name of two users or a
    /// wallet of two; a final payout that changes its state; an order that changes once it may
    /// have been sent.
    fn commit(
        &self,
        basis: u64,
        changes: Changes,
    ) -> impl Future<Output = Result<Committed, Fault>> + Send;

    /// Leases due work, oldest first. What is not finished by a commit is due again when the
    /// lease ends. A lease does not invalidate anybody's facts.
    ///
    /// # Errors
    /// A fault; nothing was leased.
    fn claim(&self, claim: Claim) -> impl Future<Output = Result<Vec<PayoutId>, Fault>> + Send;

    /// Feeds one consistent picture of all books to [`lingqian_core::audit::Audit`].
    ///
    /// # Errors
    /// A fault when the books could not be read.
    fn audit(&self) -> impl Future<Output = Result<Audited, Fault>> + Send;
}

/// What an audit looked at and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audited {
    /// How many entries.
    pub entries: u64,
    /// How many accounts.
    pub accounts: u64,
    /// How many credited events.
    pub earnings: u64,
    /// How many payouts.
    pub payouts: u64,
    /// How many bills.
    pub bills: u64,
    /// What is wrong; empty when all is well.
    pub findings: Vec<Finding>,
}

/// One line of a user's statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementLine {
    /// The entry's number.
    pub seq: i64,
    /// The entry.
    pub entry: Entry,
    /// For an earning: its kind.
    pub kind: Option<KindCode>,
    /// For an earning: the app's source and event id.
    pub event: Option<(String, String)>,
    /// For an earning: when it happened, by the app's word.
    pub occurred_at: Option<Timestamp>,
}

/// A payout and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutRow {
    /// The payout.
    pub payout: Payout,
    /// The app's name of its user.
    pub user: UserId,
}

/// Which payouts to list; newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayoutFilter {
    /// Only in the state of this name.
    pub state: Option<String>,
    /// Only this user's.
    pub user: Option<UserId>,
    /// Only those made before this one.
    pub before: Option<PayoutId>,
    /// At most so many.
    pub limit: u32,
}

/// Everything about one payout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutStory {
    /// The payout and its user.
    pub row: PayoutRow,
    /// What happened, oldest first.
    pub history: Vec<HistoryLine>,
    /// Its entries with their numbers, oldest first.
    pub entries: Vec<(i64, Entry)>,
    /// Its breaks, open and closed.
    pub breaks: Vec<Break>,
}

/// The books in a few numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many users are registered, and how many are linked.
    pub users: (u64, u64),
    /// How many events were credited, and their sum.
    pub earned: (u64, i128),
    /// How many inputs were kept as dead letters, counting repeats once.
    pub dead_letters: u64,
    /// Per state name: how many payouts and their sum in fen.
    pub payouts: Vec<(String, u64, i64)>,
    /// Balances of the system accounts.
    pub accounts: Vec<(Account, Micros)>,
    /// The sums of users' available and held balances, in micro-yuan.
    pub users_hold: (i128, i128),
    /// Breaks that are open.
    pub open_breaks: u64,
    /// How much work waits, per queue.
    pub waiting: Vec<(Queue, u64)>,
}

/// What people and passes look at. Nothing here decides about money.
pub trait Browse: Send + Sync + 'static {
    /// One user with link and balances; `day` says which day's totals come along.
    ///
    /// # Errors
    /// A fault when it could not be read; so for all the others.
    fn user(
        &self,
        id: &UserId,
        day: BusinessDate,
    ) -> impl Future<Output = Result<Option<Wallet>, Fault>> + Send;

    /// Entries of a user's available and held accounts, newest first, with numbers below
    /// `before` where it is given.
    fn statement(
        &self,
        user: UserNo,
        before: Option<i64>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<StatementLine>, Fault>> + Send;

    /// Payouts, newest first.
    fn payouts(
        &self,
        filter: PayoutFilter,
    ) -> impl Future<Output = Result<Vec<PayoutRow>, Fault>> + Send;

    /// One payout with everything about it.
    fn payout(
        &self,
        id: PayoutId,
    ) -> impl Future<Output = Result<Option<PayoutStory>, Fault>> + Send;

    /// Users whose available balance is at least `threshold`, by rising number after `after`.
    fn sweepable(
        &self,
        threshold: Micros,
        after: UserNo,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<(UserNo, UserId)>, Fault>> + Send;

    /// Payouts that were paid on that business day by WeChat's clock, by rising id after `after`.
    fn paid_on(
        &self,
        date: BusinessDate,
        after: Option<PayoutId>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<PayoutId>, Fault>> + Send;

    /// All API keys, withdrawn ones too. One that was withdrawn stays so.
    fn api_keys(&self) -> impl Future<Output = Result<Vec<ApiKey>, Fault>> + Send;

    /// All merchants.
    fn merchants(&self) -> impl Future<Output = Result<Vec<Merchant>, Fault>> + Send;

    /// Closed bills and all breaks, by day.
    fn reconciled(&self) -> impl Future<Output = Result<(Vec<Bill>, Vec<Break>), Fault>> + Send;

    /// Dead letters, newest first; how often each came. Those of one code and content are one,
    /// with door, position and time of the last.
    fn dead_letters(
        &self,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<(DeadLetter, u64)>, Fault>> + Send;

    /// The books in a few numbers.
    fn summary(&self) -> impl Future<Output = Result<Summary, Fault>> + Send;
}
