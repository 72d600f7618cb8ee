//! Storage: facts in, changes out, leases on due work; and what people look at.

use std::future::Future;

use lingqian_core::audit::Finding;
use lingqian_core::changes::HistoryLine;
use lingqian_core::command::{ApiKey, DeadLetter};
use lingqian_core::control::{Deed, Stop};
use lingqian_core::earning::Credited;
use lingqian_core::facts::Wallet;
use lingqian_core::id::{KindCode, MerchantNo, OutBillNo, PayoutId, UserId, UserNo};
use lingqian_core::ledger::{Account, Entry};
use lingqian_core::letter::{Fate, LetterEnd, LetterId, Mark};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::payout::{Attempt, Payout, Queue};
use lingqian_core::reconcile::{Bill, Break};
use lingqian_core::risk::Policy;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::Merchant;
use lingqian_core::withdrawal::Withdrawal;
use lingqian_core::{
    Changes, Command, EventBatch, EventView, Facts, Keys, Moment, Notes, Outcome, Rejection,
    execute,
};

use crate::{Fault, Inbox, Links, Outbox};

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
    /// event, a reference, a key's answer or a bill's line twice; an event whose entries do not
    /// book its amount between its accounts; a name of two users or a wallet of two; a final payout that changes its state; an order that changes once it may
    /// have been sent.
    fn commit(
        &self,
        basis: u64,
        changes: Changes,
    ) -> impl Future<Output = Result<Committed, Fault>> + Send;

    /// Decides on earning events in their order by [`lingqian_core::earning::decide`], and writes
    /// what they book; durable when it answers. Each stands alone: one that is refused changes
    /// nothing and the others go on. The answers are those that the same events would get as
    /// commands, one after the other; a store overrides this to be fast, not to be different.
    ///
    /// # Errors
    /// A fault; [`Fault::Unknown`] when it may or may not have been written. The same events may
    /// be given again without harm. The batch's marks that become true with the answers
    /// ([`EventBatch::marks_of`]) are written in the same commit.
    fn earn(
        &self,
        now: Timestamp,
        events: EventBatch,
    ) -> impl Future<Output = Result<Vec<EventAnswer>, Fault>> + Send
    where
        Self: Sized,
    {
        earn_by_commands(self, now, events)
    }

    /// Decides on withdrawals in their order by [`lingqian_core::withdrawal::decide`], and writes
    /// the holds and payouts of those that are accepted; durable when it answers. Each stands
    /// alone, and the answers are those that the same requests would get as commands, one after
    /// the other; a store overrides this to be fast, not to be different.
    ///
    /// # Errors
    /// A fault; [`Fault::Unknown`] when it may or may not have been written.
    fn withdraw(
        &self,
        now: Timestamp,
        policy: &Policy,
        requests: Vec<Withdrawal>,
    ) -> impl Future<Output = Result<Vec<WithdrawalAnswer>, Fault>> + Send
    where
        Self: Sized,
    {
        let policy = policy.clone();
        async move { withdraw_by_commands(self, now, &policy, requests).await }
    }

    /// Writes notes, all or nothing; durable when it answers. They rest on nothing, so nobody's
    /// facts are untrue afterwards; a store overrides this so that no decision waits for them.
    ///
    /// # Errors
    /// A fault; [`Fault::Unknown`] when they may or may not have been written.
    fn note(&self, notes: Notes) -> impl Future<Output = Result<(), Fault>> + Send
    where
        Self: Sized,
    {
        note_by_commit(self, notes)
    }

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

/// What came of one event.
pub type EventAnswer = Result<Credited, Rejection>;

/// What came of one withdrawal.
pub type WithdrawalAnswer = Result<Outcome, Rejection>;

/// How often a batch is decided anew when others keep committing in between.
const CONFLICTS_MAX: u32 = 100;

/// The plain way to write notes, as changes like any other.
///
/// # Errors
/// As for [`Store::note`].
async fn note_by_commit<S: Store>(store: &S, notes: Notes) -> Result<(), Fault> {
    let changes = Changes::from(notes);
    for _ in 0..CONFLICTS_MAX {
        let basis = store.prefetch(Keys::default()).await?.basis;
        if store.commit(basis, changes.clone()).await? == Committed::Done {
            return Ok(());
        }
    }
    Err(Fault::Retry(
        "other processes kept committing in between".into(),
    ))
}

/// The plain way to book events, through prefetch, the rules and commit.
///
/// # Errors
/// As for [`Store::earn`].
pub async fn earn_by_commands<S: Store>(
    store: &S,
    now: Timestamp,
    events: EventBatch,
) -> Result<Vec<EventAnswer>, Fault> {
    let owned = |event: EventView<'_>| {
        let event = event.to_event();
        let whole = |_| Fault::Broken("a batch holds a malformed event".into());
        event.map(Command::Earn).map_err(whole)
    };
    let commands: Vec<Command> = events.iter().map(owned).collect::<Result<_, Fault>>()?;
    let marks = |answers: &[Result<Outcome, Rejection>]| events.marks_of(answers);
    let policy = Policy::default();
    let moment = Moment {
        now,
        policy: &policy,
    };
    let answers = by_commands(store, &moment, &commands, marks).await?;
    let answers = answers.into_iter();
    let credited = |outcome| match outcome {
        Outcome::Credited { amount } => Credited::Now(amount),
        _ => Credited::Before,
    };
    Ok(answers.map(|answer| answer.map(credited)).collect())
}

/// The plain way to withdraw, through prefetch, the rules and commit.
///
/// # Errors
/// As for [`Store::withdraw`].
pub async fn withdraw_by_commands<S: Store>(
    store: &S,
    now: Timestamp,
    policy: &Policy,
    requests: Vec<Withdrawal>,
) -> Result<Vec<WithdrawalAnswer>, Fault> {
    let commands = requests.into_iter().map(Box::new).map(Command::Withdraw);
    let commands: Vec<Command> = commands.collect();
    by_commands(store, &Moment { now, policy }, &commands, |_| Vec::new()).await
}

async fn by_commands<S: Store>(
    store: &S,
    moment: &Moment<'_>,
    commands: &[Command],
    marks: impl Fn(&[Result<Outcome, Rejection>]) -> Vec<Mark>,
) -> Result<Vec<Result<Outcome, Rejection>>, Fault> {
    for _ in 0..CONFLICTS_MAX {
        let keys = Keys::of(commands.iter(), moment.now);
        let mut facts = store.prefetch(keys).await?;
        let (basis, mut all) = (facts.basis, Changes::default());
        let mut answers = Vec::with_capacity(commands.len());
        for command in commands {
            let answer = execute(moment, command, &facts).map(|(changes, outcome)| {
                facts.apply(&changes);
                all.append(changes);
                outcome
            });
            answers.push(answer);
        }
        all.marks = marks(&answers);
        if all.is_empty() {
            return Ok(answers);
        }
        match store.commit(basis, all).await? {
            Committed::Done => return Ok(answers),
            Committed::Conflict => {}
        }
    }
    let words = "other processes kept committing in between";
    Err(Fault::Retry(words.into()))
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
    /// Its attempts that ended while it went on, oldest first.
    pub attempts: Vec<Attempt>,
    /// What happened, oldest first.
    pub history: Vec<HistoryLine>,
    /// Its entries with their numbers, oldest first.
    pub entries: Vec<(i64, Entry)>,
    /// Its breaks, open and closed.
    pub breaks: Vec<Break>,
}

/// What a store says when a letter that is to end was ended by somebody else meanwhile.
pub const LETTER_ENDED: &str = "somebody else replayed or discarded a dead letter meanwhile";

/// Which dead letters to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LetterWish {
    /// Those too that somebody replayed or discarded.
    pub all: bool,
    /// At most so many.
    pub limit: u32,
}

/// A dead letter and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterRow {
    /// Its name.
    pub id: LetterId,
    /// What came, where and when it came last.
    pub letter: DeadLetter,
    /// How many bytes came.
    pub bytes: u64,
    /// How often it came.
    pub times: u64,
    /// What somebody made of it, last.
    pub end: Option<LetterEnd>,
}

impl LetterRow {
    /// A letter under its name.
    #[must_use]
    pub fn new((letter, times): (DeadLetter, u64), end: Option<LetterEnd>) -> LetterRow {
        let id = LetterId::of(&letter.code, blake3::hash(&letter.raw).as_bytes());
        let bytes = u64::try_from(letter.raw.len()).unwrap_or(u64::MAX);
        LetterRow {
            id,
            letter,
            bytes,
            times,
            end,
        }
    }

    /// The same without what it says.
    #[must_use]
    pub fn without_raw(mut self) -> LetterRow {
        self.letter.raw.clear();
        self
    }

    /// A letter that was read without what it says, by the digest and the length of that.
    ///
    /// # Errors
    /// Whatever the digest is instead, where it is none.
    pub fn listed(
        (letter, times): (DeadLetter, u64),
        (digest, bytes): (Vec<u8>, u64),
        end: Option<LetterEnd>,
    ) -> Result<LetterRow, Vec<u8>> {
        let id = LetterId::of(&letter.code, &digest.try_into()?);
        Ok(LetterRow {
            id,
            letter,
            bytes,
            times,
            end,
        })
    }

    /// What somebody made of it, unless it came again since.
    #[must_use]
    pub fn fate(&self) -> Option<Fate> {
        let end = self.end.as_ref();
        end.filter(|end| end.times >= self.times)
            .map(|end| end.fate)
    }
}

/// The books in a few numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many users are registered, and how many are linked.
    pub users: (u64, u64),
    /// How many events were booked, and the sum of their amounts.
    pub earned: (u64, i128),
    /// How many inputs were kept as dead letters, counting repeats once.
    pub dead_letters: u64,
    /// Per state name: how many payouts and their sum in fen.
    pub payouts: Vec<(String, u64, i64)>,
    /// Balances of the system accounts.
    pub accounts: Vec<(Account, Micros)>,
    /// The sums of users' available and held balances, in micro-yuan.
    pub users_hold: (i128, i128),
    /// The sum of what users owe after claw-backs, in micro-yuan.
    pub users_owe: i128,
    /// Breaks that are open.
    pub open_breaks: u64,
    /// How much work waits, per queue.
    pub waiting: Vec<(Queue, u64)>,
}

/// What passes look at all the time, at a cost that does not grow with the books.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Per state name: how many payouts and their sum in fen.
    pub payouts: Vec<(String, u64, i64)>,
    /// Balances of the system accounts.
    pub accounts: Vec<(Account, Micros)>,
    /// When a stop was last lifted.
    pub lifted_at: Option<Timestamp>,
}

/// What people and passes look at. Nothing here decides about money. Whoever shows the books also
/// tells what happened to them.
pub trait Browse: Outbox + Links + Inbox {
    /// One user with links and balances; `day` says which day's totals come along.
    ///
    /// # Errors
    /// A fault when it could not be read; so for all the others.
    fn user(
        &self,
        id: &UserId,
        day: BusinessDate,
    ) -> impl Future<Output = Result<Option<Wallet>, Fault>> + Send;

    /// Entries of a user's accounts, newest first, with numbers below
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

    /// The payouts of a batch, in the order of their places in it, whatever became of them since.
    fn seated(&self, batch: OutBillNo)
    -> impl Future<Output = Result<Vec<PayoutId>, Fault>> + Send;

    /// Users whose available balance is at least `threshold`, by rising number after `after`.
    fn sweepable(
        &self,
        threshold: Micros,
        after: UserNo,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<(UserNo, UserId)>, Fault>> + Send;

    /// Payouts that the merchant paid on that business day by WeChat's clock, by rising id after
    /// `after`.
    fn paid_on(
        &self,
        of: (MerchantNo, BusinessDate),
        after: Option<PayoutId>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<PayoutId>, Fault>> + Send;

    /// All API keys, withdrawn ones too. One that was withdrawn stays so.
    fn api_keys(&self) -> impl Future<Output = Result<Vec<ApiKey>, Fault>> + Send;

    /// Whether the books would be written to: a store that found damage refuses, though it can be read.
    ///
    /// # Errors
    /// [`Fault::Damaged`] with what every writer is told.
    fn sound(&self) -> impl Future<Output = Result<(), Fault>> + Send {
        std::future::ready(Ok(()))
    }

    /// All merchants.
    fn merchants(&self) -> impl Future<Output = Result<Vec<Merchant>, Fault>> + Send;

    /// The stops in force, by scope and cause.
    fn stops(&self) -> impl Future<Output = Result<Vec<Stop>, Fault>> + Send;

    /// What was done by hand, newest first; all of it, or what was done to one payout, user or
    /// scope.
    fn deeds(
        &self,
        subject: Option<String>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Deed>, Fault>> + Send;

    /// What each merchant was told to pay on that day and later ones.
    fn merchant_days(
        &self,
        since: BusinessDate,
    ) -> impl Future<Output = Result<Vec<(MerchantNo, BusinessDate, Fen)>, Fault>> + Send;

    /// Closed bills and all breaks, by day.
    fn reconciled(&self) -> impl Future<Output = Result<(Vec<Bill>, Vec<Break>), Fault>> + Send;

    /// Dead letters, newest first; how often each came. Those of one code and content are one,
    /// with door, position and time of the last.
    fn dead_letters(
        &self,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<(DeadLetter, u64)>, Fault>> + Send;

    /// Dead letters with what somebody made of them, newest first; without what they say
    /// ([`LetterRow::without_raw`]), because a letter may be as long as a message.
    fn letters(
        &self,
        wish: LetterWish,
    ) -> impl Future<Output = Result<Vec<LetterRow>, Fault>> + Send;

    /// One dead letter.
    fn letter(&self, id: LetterId)
    -> impl Future<Output = Result<Option<LetterRow>, Fault>> + Send;

    /// How far sources were read and sinks were told, whose names begin so; by name.
    fn marks(&self, prefix: String) -> impl Future<Output = Result<Vec<Mark>, Fault>> + Send;

    /// The books in a few numbers.
    fn summary(&self) -> impl Future<Output = Result<Summary, Fault>> + Send;

    /// What passes look at all the time: totals that are kept, not counted.
    fn standing(&self) -> impl Future<Output = Result<Standing, Fault>> + Send;
}
