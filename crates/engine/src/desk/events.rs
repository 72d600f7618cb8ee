//! The lane for earning events: requests of many callers become one batch, and a batch is one
//! commit of [`Store::earn`].
//!
//! Nobody waits when nothing is being committed. While a commit is under way the next batch
//! gathers; when enough has come it begins beside it, so that the store may decide one batch
//! while it syncs the other. There is no cost per event here but the copy of its texts, and
//! where a request fills a batch not even that.

use futures_util::StreamExt as _;
use futures_util::future::select;
use futures_util::stream::FuturesUnordered;
use lingqian_core::EventBatch;
use lingqian_io::store::EventAnswer;
use lingqian_io::{Clock, Fault, Store};
use tokio::sync::{mpsc, oneshot};

use super::Counter;

/// Events of one caller.
pub(super) struct Request {
    /// In their order.
    pub(super) events: EventBatch,
    /// Who waits.
    pub(super) answer: oneshot::Sender<Result<Vec<EventAnswer>, Fault>>,
}

/// One caller's share of a batch.
struct Share {
    count: usize,
    answer: oneshot::Sender<Result<Vec<EventAnswer>, Fault>>,
}

/// What gathers for the next commit, in the order in which it came.
#[derive(Default)]
struct Gathered {
    events: EventBatch,
    shares: Vec<Share>,
}

impl Gathered {
    fn add(&mut self, request: Request) {
        let Request { events, answer } = request;
        let count = events.len();
        if self.shares.is_empty() {
            self.events = events;
        } else {
            self.events.append(&events);
        }
        self.shares.push(Share { count, answer });
    }

    fn len(&self) -> usize {
        self.events.len()
    }

    fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }
}

/// The requests, and what of them gathers.
struct Lane {
    requests: mpsc::Receiver<Request>,
    next: Gathered,
    /// Came in and is not in `next` yet.
    came: Option<Request>,
    more: bool,
    events_max: usize,
}

impl Lane {
    /// Takes in what waits already, as far as it fits.
    fn gather(&mut self) {
        while self.next.len() < self.events_max {
            let came = self.came.take();
            let Some(request) = came.or_else(|| self.requests.try_recv().ok()) else {
                return;
            };
            let whole = self.next.len().saturating_add(request.events.len());
            if !self.next.is_empty() && whole > self.events_max {
                self.came = Some(request);
                return;
            }
            self.next.add(request);
        }
    }

    fn gathers(&self) -> bool {
        self.more && self.came.is_none() && self.next.len() < self.events_max
    }

    /// Waits for one request.
    async fn wait(&mut self) {
        match self.requests.recv().await {
            Some(request) => self.came = Some(request),
            None => self.more = false,
        }
    }
}

/// Works until the last caller is gone and everybody is answered. Batches begin in the order in
/// which they came.
pub(super) async fn work<S: Store, C: Clock>(
    counter: &Counter<S, C>,
    requests: mpsc::Receiver<Request>,
) {
    let settings = &counter.settings;
    let mut open = FuturesUnordered::new();
    let mut lane = Lane {
        requests,
        next: Gathered::default(),
        came: None,
        more: true,
        events_max: settings.events_max,
    };
    loop {
        lane.gather();
        let enough = lane.came.is_some() || lane.next.len() >= settings.events_beside_min;
        let beside = open.len() < settings.events_open && enough;
        if !lane.next.is_empty() && (open.is_empty() || beside) {
            open.push(commit(counter, std::mem::take(&mut lane.next)));
            continue;
        }
        match (lane.gathers(), open.is_empty()) {
            (true, true) => lane.wait().await,
            // What was pushed begins here, before anybody is waited for.
            (true, false) => {
                select(open.next(), std::pin::pin!(lane.wait())).await;
            }
            (false, false) => {
                open.next().await;
            }
            (false, true) => return,
        }
    }
}

/// One commit, and the answers to everybody who has a share in it.
async fn commit<S: Store, C: Clock>(counter: &Counter<S, C>, gathered: Gathered) {
    let Gathered { events, shares } = gathered;
    let count = events.len();
    let turn = counter.turns.acquire().await;
    let now = counter.clock.business();
    let earned = counter.store.earn(now, events).await;
    drop(turn);
    let earned = earned.and_then(|answers| {
        let lost = || Fault::Broken("the store lost an answer".into());
        (answers.len() == count).then_some(answers).ok_or_else(lost)
    });
    answer(shares, earned);
}

/// Somebody who no longer waits loses the answer, not the effect.
fn answer(mut shares: Vec<Share>, earned: Result<Vec<EventAnswer>, Fault>) {
    if shares.len() == 1
        && let Some(only) = shares.pop()
    {
        let _ = only.answer.send(earned);
        return;
    }
    match earned {
        Ok(answers) => {
            let mut answers = answers.into_iter();
            for share in shares {
                let own = answers.by_ref().take(share.count).collect();
                let _ = share.answer.send(Ok(own));
            }
        }
        Err(fault) => {
            for share in shares {
                let _ = share.answer.send(Err(fault.clone()));
            }
        }
    }
}
