//! The feed published to a broker: in its order, each notice at least once.
//!
//! How far a sink was told is a mark in the books, kept after the broker has confirmed. If we die
//! in between, the notices after the mark are published again; each bears its number.
//!
//! Of several processes over one store one publishes: it holds the sink's lease, and the others
//! wait for that to end. Whoever finds after publishing that it holds the lease no more leaves the
//! mark to its successor.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use lingqian_core::Notes;
use lingqian_core::letter::Mark;
use lingqian_core::notice::Told;
use lingqian_core::time::Timestamp;
use lingqian_io::outbox::SinkLease;
use lingqian_io::{Browse as _, Clock as _, Dice as _, Fault, Outbox as _, Ports, Store as _};
use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::figures::Figures;

/// Notices that are published together.
const NOTICES_MAX: u32 = 500;
/// How long a sink rests when there is nothing new.
const REST: Duration = Duration::from_millis(200);
/// How long a lease is unless the configuration says otherwise. It is asked for again when half of
/// it is over.
pub const LEASE: Duration = Duration::from_secs(30);
/// How long a process rests while another one publishes.
const ELSEWHERE_REST: Duration = Duration::from_secs(2);

/// Why notices were not published, or not kept as published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// A stable code.
    pub code: &'static str,
    /// Words for people.
    pub words: String,
}

impl Failed {
    /// A failure of a code.
    pub fn new(code: &'static str, words: impl ToString) -> Failed {
        let words = words.to_string();
        Failed { code, words }
    }

    /// The broker failed.
    pub fn of(words: impl ToString) -> Failed {
        Failed::new("broker_error", words)
    }
}

/// Where notices go.
pub trait Publisher: Send {
    /// Publishes notices in their order and answers when the broker has confirmed all of them.
    ///
    /// # Errors
    /// When one was not confirmed; some of the notices may have arrived.
    fn publish(&mut self, notices: &[Told]) -> impl Future<Output = Result<(), Failed>> + Send;
}

/// A sink: who is told, under which name, with which numbers.
pub struct Sink<P> {
    ports: P,
    /// Its name, which its mark bears.
    name: String,
    figures: Arc<Figures>,
    /// Ours among those of other processes.
    holder: String,
    lease_ms: i64,
    /// In milliseconds of the business time.
    held_until: AtomicI64,
}

fn in_ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn words(fault: Fault) -> Failed {
    Failed::new("store", fault)
}

impl<P: Ports> Sink<P> {
    /// A sink of this name, which nobody publishes to yet.
    #[must_use]
    pub fn new(ports: P, name: &str, figures: Arc<Figures>) -> Sink<P> {
        let holder = format!("{:032x}", ports.dice().roll());
        Sink {
            ports,
            name: name.to_owned(),
            figures,
            holder,
            lease_ms: in_ms(LEASE),
            held_until: AtomicI64::new(i64::MIN),
        }
    }

    /// The same with a lease of this length: so long nobody publishes after the holder died.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Sink<P> {
        Sink {
            lease_ms: in_ms(lease),
            ..self
        }
    }

    /// Publishes what is due now, once. Tells how many notices, or nothing where another process
    /// publishes them.
    ///
    /// # Errors
    /// When the broker or the store fails; what was confirmed and not kept is published again.
    pub async fn once(&self, to: &mut impl Publisher) -> Result<Option<usize>, Failed> {
        if !self.hold().await? {
            return Ok(None);
        }
        let name = format!("sink/{}", self.name);
        let marks = self.ports.store().marks(name.clone()).await;
        let marks = marks.map_err(words)?;
        let mark = marks.into_iter().find(|mark| mark.name == name);
        let after = mark.map_or(0, |mark| mark.position);
        let notices = self.ports.store().notices(after, NOTICES_MAX).await;
        let notices = notices.map_err(words)?;
        let Some(last) = notices.last() else {
            return Ok(Some(0));
        };
        to.publish(&notices).await?;
        if !self.hold().await? {
            return Ok(None);
        }
        let position = last.number;
        let notes = Notes {
            marks: vec![Mark { name, position }],
            ..Notes::default()
        };
        self.ports.store().note(notes).await.map_err(words)?;
        Ok(Some(notices.len()))
    }

    /// Whether we are the one who publishes, and for a while yet.
    async fn hold(&self) -> Result<bool, Failed> {
        let now = self.ports.clock().business();
        let enough = now.after_ms(self.lease_ms / 2);
        if self.held_until.load(Ordering::Relaxed) > enough.0 {
            return Ok(true);
        }
        let until = now.after_ms(self.lease_ms);
        let held = self.lease(now, until).await?;
        let held_until = if held { until.0 } else { i64::MIN };
        self.held_until.store(held_until, Ordering::Relaxed);
        Ok(held)
    }

    async fn lease(&self, now: Timestamp, until: Timestamp) -> Result<bool, Failed> {
        let lease = SinkLease {
            sink: self.name.clone(),
            holder: self.holder.clone(),
            now,
            until,
        };
        self.ports.store().lease_sink(lease).await.map_err(words)
    }

    /// Another process need not wait until the lease ends.
    async fn give_back(&self) {
        let now = self.ports.clock().business();
        if self.held_until.load(Ordering::Relaxed) <= now.0 {
            return;
        }
        if let Err(error) = self.lease(now, now).await {
            let sink = &self.name;
            let error = error.words;
            tracing::warn!(sink, error, "the sink's lease was not given back");
        }
    }

    /// Publishes until told to stop.
    pub async fn run(self, to: impl Publisher, stop: watch::Receiver<bool>) {
        let (mut to, mut stop, mut backoff) = (to, stop, Backoff::default());
        while !*stop.borrow() {
            let wait = match self.once(&mut to).await {
                Ok(Some(published)) => {
                    backoff.worked();
                    let count = u64::try_from(published).unwrap_or(u64::MAX);
                    self.figures.published(count);
                    self.figures.connected(true);
                    if published > 0 {
                        continue;
                    }
                    REST
                }
                Ok(None) => {
                    self.figures.connected(false);
                    ELSEWHERE_REST
                }
                Err(Failed { code, words }) => {
                    let news = self.figures.failed_with(code);
                    self.figures.connected(false);
                    let wait = backoff.failed(self.ports.dice());
                    let (sink, wait_ms, tries) = (&self.name, wait.as_millis(), backoff.tries());
                    if news || backoff.is_worth_a_line() {
                        let error = words;
                        tracing::warn!(sink, code, error, tries, wait_ms, "the feed is told again");
                    }
                    wait
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stop.changed() => {}
            }
        }
        self.give_back().await;
    }
}
