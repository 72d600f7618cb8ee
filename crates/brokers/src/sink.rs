//! The feed published to a broker: in its order, each notice at least once.
//!
//! How far a sink was told is a mark in the books, kept after the broker has confirmed. If we die
//! in between, the notices after the mark are published again; each bears its number.

use std::time::Duration;

use lingqian_core::command::Command;
use lingqian_core::letter::Mark;
use lingqian_core::notice::Told;
use lingqian_engine::Desk;
use lingqian_io::{Browse as _, Fault, Outbox as _, Ports};
use std::sync::Arc;
use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::figures::Figures;

/// Notices that are published together.
const NOTICES_MAX: u32 = 500;
/// How long a sink rests when there is nothing new.
const REST: Duration = Duration::from_millis(200);

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
    /// The ports.
    pub ports: P,
    /// The way to the rules.
    pub desk: Desk,
    /// Its name, which its mark bears.
    pub name: String,
    /// What is counted.
    pub figures: Arc<Figures>,
}

impl<P: Ports> Sink<P> {
    /// Publishes what is due now, once.
    ///
    /// # Errors
    /// Words for people; what was confirmed and not kept is published again.
    pub async fn once(&self, to: &mut impl Publisher) -> Result<usize, String> {
        let words = |fault: Fault| fault.to_string();
        let name = format!("sink/{}", self.name);
        let marks = self
            .ports
            .store()
            .marks(name.clone())
            .await
            .map_err(words)?;
        let mark = marks.into_iter().find(|mark| mark.name == name);
        let after = mark.map_or(0, |mark| mark.position);
        let notices = self.ports.store().notices(after, NOTICES_MAX).await;
        let notices = notices.map_err(words)?;
        let Some(last) = notices.last() else {
            return Ok(0);
        };
        to.publish(&notices).await?;
        let position = last.number;
        let kept = self.desk.submit(Command::KeepMark(Mark { name, position }));
        kept.await
            .map_err(words)?
            .map_err(|rejection| rejection.to_string())?;
        Ok(notices.len())
    }

    /// Publishes until told to stop.
    pub async fn run(self, to: impl Publisher, stop: watch::Receiver<bool>) {
        let (mut to, mut stop, mut backoff) = (to, stop, Backoff::default());
        while !*stop.borrow() {
            let wait = match self.once(&mut to).await {
                Ok(published) => {
                    backoff.worked();
                    let count = u64::try_from(published).unwrap_or(u64::MAX);
                    self.figures.published(count);
                    self.figures.connected(true);
                    if published > 0 {
                        continue;
                    }
                    REST
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
    }
}
