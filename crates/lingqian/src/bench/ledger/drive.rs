//! Keeps so many batches under way and writes down what came of them and how long it took.

use std::collections::VecDeque;
use std::task::Poll;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lingqian_core::command::Command;
use lingqian_core::earning::Credited;
use lingqian_core::id::{PayoutId, Reference};
use lingqian_core::payout::Asked;
use lingqian_core::risk::Policy;
use lingqian_core::time::Timestamp;
use lingqian_core::withdrawal::{Wanted, Withdrawal};
use lingqian_core::{Changes, Keys, Moment, Outcome, execute};
use lingqian_io::store::{Committed, EventAnswer};
use lingqian_io::{Clock as _, Dice as _, Store};
use tokio::task::JoinHandle;

use crate::bench::figures::Latencies;
use crate::bench::ledger::model::Fate;
use crate::bench::ledger::plan::{Batch, Tally, Wish};
use crate::bench::load::user_id;
use crate::bench::machine::{Meter, Reading};
use crate::world::{RealClock, RealDice};

/// So often others may commit between a prefetch and its commit before that is given up.
const CONFLICTS_MAX: u64 = 10_000;

/// The first day of a run in which days pass, at noon in Beijing: 2026-01-02.
const FIRST_NOON: Timestamp = Timestamp(1_767_326_400_000);
const DAY_MS: i64 = 24 * 3_600_000;
/// So much later at most is a batch of that day.
const SINCE_NOON_MAX_MS: i64 = 11 * 3_600_000;

/// What was done up to a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark {
    pub(crate) entries: u64,
    pub(crate) reading: Reading,
    /// Batches that were answered by then.
    pub(crate) batches: usize,
}

/// Drives a store.
pub(crate) struct Driver<S> {
    store: S,
    in_flight: usize,
    /// After how many entries a mark is set.
    stride: u64,
    open: VecDeque<JoinHandle<anyhow::Result<Done>>>,
    /// Who is told the number of each batch that was answered.
    pub(crate) teller: Option<fn(u64)>,
    /// The clock of the timed part.
    pub(crate) meter: Meter,
    /// What was answered.
    pub(crate) tally: Tally,
    /// How long each batch of events took.
    pub(crate) earned: Latencies,
    /// How long each batch of withdrawals took.
    pub(crate) withdrew: Latencies,
    /// Marks along the way.
    pub(crate) marks: Vec<Mark>,
}

/// What came of one batch.
struct Done {
    number: u64,
    tally: Tally,
    earned: Duration,
    withdrew: Option<Duration>,
}

impl<S: Store + Clone> Driver<S> {
    /// A driver that sets about ten marks over so many entries.
    pub(crate) fn new(store: S, (in_flight, entries): (u32, u64), meter: Meter) -> Driver<S> {
        Driver {
            store,
            teller: None,
            meter,
            in_flight: in_flight as usize,
            stride: (entries / 10).max(1),
            open: VecDeque::new(),
            tally: Tally::default(),
            earned: Latencies::default(),
            withdrew: Latencies::default(),
            marks: Vec::new(),
        }
    }

    /// Has these batches decided, and waits for the last.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn run(&mut self, batches: Vec<Batch>) -> anyhow::Result<()> {
        self.meter.start();
        for batch in batches {
            if self.open.len() >= self.in_flight {
                self.take_oldest().await?;
            }
            // Whoever is asked first is asked for the first time before the next: a store takes
            // calls in the order in which they are made.
            let mut deciding = Box::pin(decide(self.store.clone(), batch));
            let at_once = futures_util::poll!(&mut deciding);
            self.open.push_back(tokio::spawn(async move {
                match at_once {
                    Poll::Ready(done) => done,
                    Poll::Pending => deciding.await,
                }
            }));
        }
        while !self.open.is_empty() {
            self.take_oldest().await?;
        }
        self.meter.stop();
        Ok(())
    }

    async fn take_oldest(&mut self) -> anyhow::Result<()> {
        let Some(oldest) = self.open.pop_front() else {
            return Ok(());
        };
        let done = oldest.await.context("a batch panicked")??;
        if let Some(tell) = self.teller {
            tell(done.number);
        }
        self.tally.add(&done.tally);
        self.earned.add(done.earned);
        if let Some(took) = done.withdrew {
            self.withdrew.add(took);
        }
        let entries = self.tally.entries();
        if entries >= self.stride * (self.marks.len() as u64 + 1) {
            self.marks.push(Mark {
                entries,
                reading: self.meter.read(),
                batches: self.earned.len(),
            });
        }
        Ok(())
    }
}

/// One batch: withdrawals of what earlier ones brought, and its events, in this order.
async fn decide<S: Store>(store: S, batch: Batch) -> anyhow::Result<Done> {
    let Batch {
        number,
        day,
        events,
        fates,
        wishes,
    } = batch;
    let now = if fates.is_empty() {
        RealClock::default().business()
    } else {
        // Time passes from batch to batch, within the day as well.
        let since_noon = i64::try_from(number).unwrap_or(0) % SINCE_NOON_MAX_MS;
        FIRST_NOON.after_ms(i64::from(day) * DAY_MS + since_noon)
    };
    let requests = withdrawals(now, number, &wishes);
    let began = Instant::now();
    let set_aside = async {
        let withdrawn = withdraw(&store, now, requests).await;
        withdrawn.map(|withdrawn| (withdrawn, began.elapsed()))
    };
    let earn = async {
        let answers = store.earn(now, events).await;
        answers.map(|answers| (answers, began.elapsed()))
    };
    let (withdrawn, earned) = futures_util::future::join(set_aside, earn).await;
    let (answers, earned) = earned?;
    let (withdrawn, took) = withdrawn?;
    let counted = count(&answers);
    Ok(Done {
        number,
        tally: Tally {
            withdrawn: withdrawn.accepted,
            not_withdrawn: withdrawn.refused,
            fen: withdrawn.fen,
            otherwise: differing(&answers, &fates),
            ..counted
        },
        earned,
        withdrew: (!wishes.is_empty()).then_some(took),
    })
}

/// How many answers are not what was expected in their place, where something was.
fn differing(answers: &[EventAnswer], fates: &[Fate]) -> u64 {
    if fates.is_empty() {
        return 0;
    }
    let same = |(answer, fate): &(&EventAnswer, &Fate)| match answer {
        Ok(Credited::Now(amount)) => **fate == Fate::Now(*amount),
        Ok(Credited::Before) => **fate == Fate::Before,
        Err(rejection) => **fate == Fate::Refused(rejection.code()),
    };
    let alike = answers.iter().zip(fates).filter(same).count();
    answers.len().max(fates.len()).abs_diff(alike) as u64
}

fn count(answers: &[EventAnswer]) -> Tally {
    let mut tally = Tally::default();
    for answer in answers {
        match answer {
            Ok(Credited::Now(amount)) => {
                tally.credited += 1;
                tally.micros += i128::from(amount.0);
            }
            Ok(Credited::Before) => tally.duplicates += 1,
            Err(_) => tally.refused += 1,
        }
    }
    tally
}

/// Requests for some wishes, each with a name and a reference of its own.
fn withdrawals(now: Timestamp, batch: u64, wishes: &[Wish]) -> Vec<Withdrawal> {
    let request = |(place, wish): (usize, &Wish)| {
        let reference = format!("bench-{batch}-{place}");
        Withdrawal {
            payout: PayoutId::new(now, RealDice.roll()),
            user: user_id(wish.user),
            wanted: Wanted::Exactly(wish.amount),
            reference: Reference::parse(&reference).expect("letters, digits and hyphens"),
            asked: Asked::ByRequest,
            key: None,
        }
    };
    wishes.iter().enumerate().map(request).collect()
}

/// What came of some withdrawals.
#[derive(Debug, Default)]
struct Withdrawn {
    accepted: u64,
    refused: u64,
    fen: i128,
}

/// The only place that knows how a store sets money aside.
async fn withdraw<S: Store>(
    store: &S,
    now: Timestamp,
    requests: Vec<Withdrawal>,
) -> anyhow::Result<Withdrawn> {
    let mut withdrawn = Withdrawn::default();
    if requests.is_empty() {
        return Ok(withdrawn);
    }
    for answer in store.withdraw(now, &Policy::default(), requests).await? {
        if let Ok(Outcome::Withdrawn { amount, .. }) = answer {
            withdrawn.accepted += 1;
            withdrawn.fen += i128::from(amount.0);
        } else {
            withdrawn.refused += 1;
        }
    }
    Ok(withdrawn)
}

/// Commands through prefetch, the rules and commit, all in one commit; answers what came of those
/// that were not refused.
///
/// # Errors
/// When the store fails or others never stop to commit.
pub(crate) async fn decide_all<S: Store>(
    store: &S,
    now: Timestamp,
    commands: &[Command],
) -> anyhow::Result<Vec<Outcome>> {
    let policy = Policy::default();
    let moment = Moment {
        now,
        policy: &policy,
    };
    for _ in 0..CONFLICTS_MAX {
        let mut facts = store.prefetch(Keys::of(commands.iter(), now)).await?;
        let (basis, mut all, mut outcomes) = (facts.basis, Changes::default(), Vec::new());
        for command in commands {
            if let Ok((changes, outcome)) = execute(&moment, command, &facts) {
                facts.apply(&changes);
                all.append(changes);
                outcomes.push(outcome);
            }
        }
        if store.commit(basis, all).await? == Committed::Done {
            return Ok(outcomes);
        }
    }
    anyhow::bail!("others committed {CONFLICTS_MAX} times between a prefetch and its commit")
}
