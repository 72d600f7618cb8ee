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

use lingqian_core::command::Command;
use lingqian_core::letter::Mark;
use lingqian_core::notice::Told;
use lingqian_core::time::Timestamp;
use lingqian_engine::Desk;
use lingqian_io::outbox::SinkLease;
use lingqian_io::{Browse as _, Clock as _, Dice as _, Fault, Outbox as _, Ports};
use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::figures::Figures;

/// Notices that are published together.
const NOTICES_MAX: u32 = 500;
/// How long a sink rests when there is nothing new.
const REST: Duration = Duration::from_millis(200);
/// How long a lease is, in milliseconds. It is asked for again when half of it is over.
const LEASE_MS: i64 = 30_000;
/// How long a process rests while another one publishes.
const ELSEWHERE_REST: Duration = Duration::from_secs(2);

/// Where notices go.
pub trait Publisher: Send {
    /// Publishes notices in their order and answers when the broker has confirmed all of them.
    ///
    /// # Errors
    /// Words for people; some of the notices may have arrived.
    fn publish(&mut self, notices: &[Told]) -> impl Future<Output = Result<(), String>> + Send;
}

/// A sink: who is told, under which name, with which numbers.
pub struct Sink<P> {
    ports: P,
    desk: Desk,
    /// Its name, which its mark bears.
    name: String,
    figures: Arc<Figures>,
    /// Ours among those of other processes.
    holder: String,
    /// In milliseconds of the business time.
    held_until: AtomicI64,
}

fn words(fault: Fault) -> String {
    fault.to_string()
}

impl<P: Ports> Sink<P> {
    /// A sink of this name, which nobody publishes to yet.
    #[must_use]
    pub fn new(ports: P, desk: Desk, name: &str, figures: Arc<Figures>) -> Sink<P> {
        let holder = format!("{:032x}", ports.dice().roll());
        Sink {
            ports,
            desk,
            name: name.to_owned(),
            figures,
            holder,
            held_until: AtomicI64::new(i64::MIN),
        }
    }

    /// Publishes what is due now, once. Tells how many notices, or nothing where another process
    /// publishes them.
    ///
    /// # Errors
    /// Words for people; what was confirmed and not kept is published again.
    pub async fn once(&self, to: &mut impl Publisher) -> Result<Option<usize>, String> {
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
        let kept = self.desk.submit(Command::KeepMark(Mark { name, position }));
        let kept = kept.await.map_err(words)?;
        kept.map_err(|rejection| rejection.to_string())?;
        Ok(Some(notices.len()))
    }

    /// Whether we are the one who publishes, and for a while yet.
    async fn hold(&self) -> Result<bool, String> {
        let now = self.ports.clock().business();
        let enough = now.after_ms(LEASE_MS / 2);
        if self.held_until.load(Ordering::Relaxed) > enough.0 {
            return Ok(true);
        }
        let until = now.after_ms(LEASE_MS);
        let held = self.lease(now, until).await?;
        let held_until = if held { until.0 } else { i64::MIN };
        self.held_until.store(held_until, Ordering::Relaxed);
        Ok(held)
    }

    async fn lease(&self, now: Timestamp, until: Timestamp) -> Result<bool, String> {
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
                Err(error) => {
                    self.figures.failed();
                    self.figures.connected(false);
                    let wait = backoff.failed(self.ports.dice());
                    let (sink, wait_ms) = (&self.name, wait.as_millis());
                    tracing::warn!(sink, error, wait_ms, "the feed is published again");
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
