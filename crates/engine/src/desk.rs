//! The one way to the rules: a desk where commands from everywhere queue, are decided in
//! batches, and are answered after the commit.
//!
//! While one batch is being committed the next one gathers, so a busy desk commits large
//! batches and an idle one answers at once. Earning events have a lane of their own, see
//! `events`; the two lanes take turns, so neither decides on what the other is changing
//! and neither waits for ever.

mod events;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join;
use lingqian_core::risk::Policy;
use lingqian_core::time::Timestamp;
use lingqian_core::withdrawal::Withdrawal;
use lingqian_core::{Changes, Command, EventBatch, Keys, Moment, Outcome, Rejection, execute};
use lingqian_io::store::{Committed, EventAnswer};
use lingqian_io::{Clock, Fault, Store};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// How a desk works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeskSettings {
    /// The limits in force.
    pub policy: Policy,
    /// At most so many commands share one commit, unless one request alone brings more.
    pub batch_max: usize,
    /// Requests that may wait; more wait at the door.
    pub queue_max: usize,
    /// How often a batch is decided anew when others keep committing in between.
    pub conflicts_max: u32,
    /// At most so many events share one commit, unless one request alone brings more.
    pub events_max: usize,
    /// So many commits of events may be under way, so that one is decided while one is synced.
    pub events_open: usize,
    /// With so many events waiting the desk is crowded: doors that can ask their callers to come
    /// again do so, and the others fetch no more.
    pub events_waiting_max: usize,
    /// Beside a commit that is under way another begins with at least so many events; fewer
    /// wait for company until it ends.
    pub events_beside_min: usize,
}

impl Default for DeskSettings {
    fn default() -> Self {
        DeskSettings {
            policy: Policy::default(),
            batch_max: 4_096,
            queue_max: 4_096,
            conflicts_max: 100,
            events_max: 16_384,
            events_open: 2,
            events_waiting_max: 262_144,
            events_beside_min: 1_024,
        }
    }
}

/// What came of one command.
pub type Answer = Result<Outcome, Rejection>;

struct Request {
    commands: Vec<Command>,
    answer: oneshot::Sender<Result<Vec<Answer>, Fault>>,
}

/// A handle to the desk; clones share it.
#[derive(Clone, Debug)]
pub struct Desk {
    requests: mpsc::Sender<Request>,
    events: mpsc::Sender<events::Request>,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
}

/// What both lanes work with.
struct Counter<S, C> {
    store: S,
    clock: Arc<C>,
    settings: DeskSettings,
    /// Whose turn it is: a commit of events or of withdrawals takes one place, a batch with other
    /// commands takes all. Who came first is served first.
    turns: Semaphore,
}

impl Desk {
    /// Opens a desk. The second part is its work; somebody must run it until the last handle
    /// is gone.
    pub fn open<S: Store + Clone, C: Clock>(
        store: S,
        clock: Arc<C>,
        settings: DeskSettings,
    ) -> (Desk, impl Future<Output = ()> + Send) {
        let (requests, commands_in) = mpsc::channel(settings.queue_max);
        let (events, events_in) = mpsc::channel(settings.queue_max);
        let waiting_max = settings.events_waiting_max;
        let counter = Counter {
            store,
            clock,
            turns: Semaphore::new(settings.events_open.max(1)),
            settings,
        };
        let work = async move {
            let commands = work(&counter, commands_in);
            join(commands, events::work(&counter, events_in)).await;
        };
        let desk = Desk {
            requests,
            events,
            waiting: Arc::default(),
            waiting_max,
        };
        (desk, work)
    }

    /// Decides on one command; durable when it answers.
    ///
    /// # Errors
    /// A fault; [`Fault::Unknown`] when the outcome is not known.
    pub async fn submit(&self, command: Command) -> Result<Answer, Fault> {
        let answers = self.submit_all(vec![command]).await?;
        answers
            .into_iter()
            .next()
            .ok_or_else(|| Fault::Broken("the desk lost an answer".into()))
    }

    /// Decides on commands in their order, all in one commit. Each stands alone: one that is
    /// refused changes nothing and the others go on.
    ///
    /// # Errors
    /// A fault; [`Fault::Unknown`] when the outcome is not known.
    pub async fn submit_all(&self, commands: Vec<Command>) -> Result<Vec<Answer>, Fault> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let (answer, answered) = oneshot::channel();
        let sent = self.requests.send(Request { commands, answer }).await;
        sent.map_err(|_| closed())?;
        answered.await.map_err(|_| went_down())?
    }

    /// Whether more waits than should: who comes now had better come again.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) >= self.waiting_max
            || self.requests.capacity() == 0
            || self.events.capacity() == 0
    }

    /// Books earning events in their order; durable when it answers. Each stands alone: one that
    /// is refused changes nothing and the others go on.
    ///
    /// # Errors
    /// A fault; the same events may then be given again without harm.
    pub async fn submit_events(&self, events: EventBatch) -> Result<Vec<EventAnswer>, Fault> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let _waits = Waits::begin(&self.waiting, events.len());
        let (answer, answered) = oneshot::channel();
        let sent = self.events.send(events::Request { events, answer }).await;
        sent.map_err(|_| closed())?;
        answered.await.map_err(|_| went_down())?
    }
}

/// Events that are not answered yet.
struct Waits<'a> {
    all: &'a AtomicUsize,
    own: usize,
}

impl<'a> Waits<'a> {
    fn begin(all: &'a AtomicUsize, own: usize) -> Waits<'a> {
        all.fetch_add(own, Ordering::Relaxed);
        Waits { all, own }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.own, Ordering::Relaxed);
    }
}

fn closed() -> Fault {
    Fault::Retry("the desk is closed".into())
}

/// After the commit, perhaps, and before the answer.
fn went_down() -> Fault {
    Fault::Unknown("the desk went down".into())
}

async fn work<S: Store, C: Clock>(counter: &Counter<S, C>, requests: mpsc::Receiver<Request>) {
    let settings = &counter.settings;
    let places = u32::try_from(settings.events_open.max(1)).unwrap_or(u32::MAX);
    let mut waiting = Waiting {
        requests,
        came: None,
        batch_max: settings.batch_max,
    };
    while let Some(first) = waiting.first().await {
        // What comes while the events are committing shares the batch.
        let withdrawals = first.is_withdrawals();
        let places = if withdrawals { 1 } else { places };
        let turn = counter.turns.acquire_many(places).await;
        let batch = waiting.gather(first);
        let decided = if withdrawals {
            withdraw(counter, &batch).await
        } else {
            decide(&counter.store, &*counter.clock, settings, &batch).await
        };
        drop(turn);
        answer(batch, decided);
    }
}

impl Request {
    /// Whether nothing but withdrawals is in it.
    fn is_withdrawals(&self) -> bool {
        let withdrawal = |command: &Command| matches!(command, Command::Withdraw(_));
        self.commands.iter().all(withdrawal)
    }
}

/// Requests in the order in which they came.
struct Waiting {
    requests: mpsc::Receiver<Request>,
    /// Came in and belongs to the next batch.
    came: Option<Request>,
    batch_max: usize,
}

impl Waiting {
    async fn first(&mut self) -> Option<Request> {
        match self.came.take() {
            Some(came) => Some(came),
            None => self.requests.recv().await,
        }
    }

    /// Adds what waits already, as far as it fits; to withdrawals only withdrawals.
    fn gather(&mut self, first: Request) -> Vec<Request> {
        let withdrawals = first.is_withdrawals();
        let mut size = first.commands.len();
        let mut batch = vec![first];
        while size < self.batch_max
            && let Ok(next) = self.requests.try_recv()
        {
            if withdrawals && !next.is_withdrawals() {
                self.came = Some(next);
                break;
            }
            size += next.commands.len();
            batch.push(next);
        }
        batch
    }
}

/// Withdrawals have a way of their own through the store, as events have.
async fn withdraw<S: Store, C: Clock>(
    counter: &Counter<S, C>,
    batch: &[Request],
) -> Result<Vec<Answer>, Fault> {
    let commands = batch.iter().flat_map(|request| &request.commands);
    let withdrawal = |command: &Command| match command {
        Command::Withdraw(request) => Some(Withdrawal::clone(request)),
        _ => None,
    };
    let requests: Vec<Withdrawal> = commands.filter_map(withdrawal).collect();
    let (now, policy) = (counter.clock.business(), &counter.settings.policy);
    counter.store.withdraw(now, policy, requests).await
}

fn answer(batch: Vec<Request>, decided: Result<Vec<Answer>, Fault>) {
    match decided {
        Ok(answers) => {
            let mut answers = answers.into_iter();
            for request in batch {
                let own = answers.by_ref().take(request.commands.len()).collect();
                // Somebody who no longer waits loses the answer, not the effect.
                let _ = request.answer.send(Ok(own));
            }
        }
        Err(fault) => {
            for request in batch {
                let _ = request.answer.send(Err(fault.clone()));
            }
        }
    }
}

/// Prefetch, execute, commit; again when somebody else committed in between.
async fn decide<S: Store, C: Clock>(
    store: &S,
    clock: &C,
    settings: &DeskSettings,
    batch: &[Request],
) -> Result<Vec<Answer>, Fault> {
    for _ in 0..settings.conflicts_max {
        let now = clock.business();
        let keys = Keys::of(batch.iter().flat_map(|request| &request.commands), now);
        let mut facts = store.prefetch(keys).await?;
        let basis = facts.basis;
        let (changes, answers) = execute_all(&settings.policy, now, batch, &mut facts);
        if changes.is_empty() {
            return Ok(answers);
        }
        match store.commit(basis, changes).await? {
            Committed::Done => return Ok(answers),
            Committed::Conflict => {}
        }
    }
    Err(Fault::Retry(
        "other processes kept committing in between".into(),
    ))
}

fn execute_all(
    policy: &Policy,
    now: Timestamp,
    batch: &[Request],
    facts: &mut lingqian_core::Facts,
) -> (Changes, Vec<Answer>) {
    let moment = Moment { now, policy };
    let mut all = Changes::default();
    let mut answers = Vec::new();
    for command in batch.iter().flat_map(|request| &request.commands) {
        let answer = execute(&moment, command, facts).map(|(changes, outcome)| {
            facts.apply(&changes);
            all.append(changes);
            outcome
        });
        answers.push(answer);
    }
    (all, answers)
}
