//! From messages to the books: the same way for every broker. A message is answered for when it
//! is credited, known, or kept as a dead letter, and never before.

use std::sync::Arc;
use std::time::Duration;

use lingqian_core::letter::Mark;
use lingqian_engine::Desk;
#[cfg(feature = "kafka")]
use lingqian_engine::ingest::Unreadable;
use lingqian_engine::ingest::{Door, ItemResult, Items, ingest};
use lingqian_io::Ports;
#[cfg(any(feature = "rabbitmq", feature = "kafka"))]
use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::figures::Figures;
use crate::mapping::Reader;

/// At most so many messages are handled together.
pub const MESSAGES_MAX: usize = 8_192;
/// At most so many bytes of them, unless one alone has more.
pub const PARCEL_BYTES_MAX: usize = 4 * 1_048_576;

/// How long what was taken may still wait for the store when we are to stop.
#[cfg(any(feature = "rabbitmq", feature = "kafka"))]
const GRACE: Duration = Duration::from_secs(5);

/// Messages of one place in their order.
#[derive(Debug, Default)]
pub struct Parcel {
    text: Vec<u8>,
    items: Items,
}

impl Parcel {
    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether no more should be added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= MESSAGES_MAX || self.text.len() >= PARCEL_BYTES_MAX
    }

    /// How many bytes of messages are kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Reads a message and adds it under its place. Of one that is too large the beginning is
    /// kept, up to the limit.
    pub fn push(&mut self, reader: &Reader, place: u64, version: Option<&str>, message: &[u8]) {
        let kept = message.get(..reader.bytes_max()).unwrap_or(message);
        let begin = self.text.len();
        self.text.extend_from_slice(kept);
        let (items, range) = (&mut self.items, begin..self.text.len());
        reader.each(version, message, &mut |read| {
            items.push(place, range.clone(), read);
        });
    }

    /// Adds what is no message: why there is a hole, and in words for people where. It becomes a
    /// dead letter.
    #[cfg(feature = "kafka")]
    pub(crate) fn push_hole(&mut self, place: u64, why: Unreadable, text: &str) {
        let begin = self.text.len();
        self.text.extend_from_slice(text.as_bytes());
        self.items.push(place, begin..self.text.len(), Err(why));
    }
}

/// A message that was kept as a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its place in the parcel, from zero.
    pub index: usize,
    /// The letter's code.
    pub code: &'static str,
}

/// The way into the books for one source.
pub struct Intake<P> {
    /// The ports.
    pub ports: P,
    /// The way to the rules.
    pub desk: Desk,
    /// How messages are read.
    pub reader: Reader,
    /// What is counted.
    pub figures: Arc<Figures>,
    /// The name of its door on dead letters, such as `kafka:app`.
    pub door: String,
}

impl<P: Clone> Clone for Intake<P> {
    fn clone(&self) -> Self {
        Intake {
            ports: self.ports.clone(),
            desk: self.desk.clone(),
            reader: self.reader.clone(),
            figures: Arc::clone(&self.figures),
            door: self.door.clone(),
        }
    }
}

/// Ends a while after we were told to stop: whatever is not in the books by then comes again.
#[cfg(any(feature = "rabbitmq", feature = "kafka"))]
pub(crate) async fn overdue(stop: &watch::Receiver<bool>) {
    let mut stop = stop.clone();
    let _ = stop.wait_for(|stopped| *stopped).await;
    tokio::time::sleep(GRACE).await;
}

impl<P: Ports> Intake<P> {
    /// Handles a parcel, and keeps how far the source was read with it. It answers when all of it
    /// is durable: while the store fails it tries again, and nothing more is fetched meanwhile.
    /// Tells which messages were kept as dead letters.
    pub async fn take(&self, unit: &str, parcel: Parcel, mark: Option<Mark>) -> Vec<Refused> {
        let Parcel { text, mut items } = parcel;
        if let Some(mark) = mark {
            items.mark(mark);
        }
        let door = Door {
            name: &self.door,
            unit,
        };
        let mut backoff = Backoff::default();
        loop {
            let done = ingest(&self.ports, &self.desk, door, &text, items.clone()).await;
            match done {
                Ok(ingested) => {
                    let (mut credited, mut duplicates, mut letters) = (0, 0, Vec::new());
                    for (index, (_, result)) in ingested.iter().enumerate() {
                        match result {
                            ItemResult::Credited { .. } => credited += 1,
                            ItemResult::Duplicate => duplicates += 1,
                            ItemResult::Rejected { code, .. } => {
                                letters.push(Refused { index, code });
                            }
                        }
                    }
                    let kept = u64::try_from(letters.len()).unwrap_or(u64::MAX);
                    self.figures.handled(credited, duplicates, kept);
                    return letters;
                }
                Err(fault) => {
                    self.figures.failed();
                    let wait = backoff.failed(self.ports.dice());
                    let (door, wait_ms) = (&self.door, wait.as_millis());
                    tracing::warn!(door, %fault, wait_ms, "messages wait for the store");
                    tokio::time::sleep(wait.min(Duration::from_secs(10))).await;
                }
            }
        }
    }
}
