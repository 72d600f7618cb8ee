//! Lines of events into the desk: reading, parsing and committing overlap.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt as _;
use lingqian_core::command::Command;
use lingqian_core::id::UserId;
use lingqian_engine::Desk;
use lingqian_engine::ingest::{Item, ItemResult, ingest};
use lingqian_http::wire::event::parse_event;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::wire::Wire;

/// Lines that travel together.
const BATCH: usize = 2_000;
/// Batches under way at a time.
const OPEN: usize = 4;

/// What came of the lines.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Counts {
    /// Lines that were not empty.
    pub(crate) read: u64,
    /// Credited now.
    pub(crate) credited: u64,
    /// Credited before.
    pub(crate) duplicates: u64,
    /// Not credited; kept as dead letters.
    pub(crate) rejected: u64,
    /// Not credited, by code.
    pub(crate) rejected_by_code: BTreeMap<String, u64>,
    /// The sum of what was credited now.
    pub(crate) credited_micros: i64,
}

/// A line that was not credited.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Refused {
    /// Where.
    pub(crate) position: String,
    /// Why, for programs.
    pub(crate) code: String,
    /// The field that is to blame.
    pub(crate) field: Option<String>,
    /// Why, for people.
    pub(crate) detail: String,
}

/// How lines are fed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Feed<'a> {
    /// The door's name on dead letters.
    pub(crate) door: &'a str,
    /// Whether users that are not known are registered.
    pub(crate) register: bool,
    /// How many refused lines are kept to be shown.
    pub(crate) show: usize,
}

/// Feeds lines until they end; everything that was counted is durable.
///
/// # Errors
/// When the input cannot be read or the store fails; what was committed stands, and feeding the
/// same lines again credits nothing twice.
pub(crate) async fn feed(
    wire: &Wire,
    desk: &Desk,
    feed: Feed<'_>,
    lines: impl Iterator<Item = std::io::Result<Vec<u8>>> + Send + 'static,
    mut progress: impl FnMut(u64),
) -> anyhow::Result<(Counts, Vec<Refused>)> {
    let (sender, receiver) = mpsc::channel(OPEN);
    let reader = tokio::task::spawn_blocking(move || read(lines, &sender));
    let batches = ReceiverStream::new(receiver).map(|items: Vec<Item>| async move {
        if feed.register {
            register(desk, &items).await?;
        }
        let places: Vec<String> = items.iter().map(|item| item.position.clone()).collect();
        let results = ingest(wire, desk, feed.door, items).await?;
        anyhow::Ok((places, results))
    });
    let mut done = std::pin::pin!(batches.buffered(OPEN));
    let (mut counts, mut refused) = (Counts::default(), Vec::new());
    while let Some(batch) = done.next().await {
        let (places, results) = batch?;
        progress(results.len() as u64);
        for (position, result) in places.into_iter().zip(results) {
            counts.add(&result);
            if let ItemResult::Rejected {
                code,
                field,
                detail,
            } = result
                && refused.len() < feed.show
            {
                refused.push(Refused {
                    position,
                    code: code.to_owned(),
                    field,
                    detail,
                });
            }
        }
    }
    reader.await??;
    Ok((counts, refused))
}

impl Counts {
    fn add(&mut self, result: &ItemResult) {
        self.read += 1;
        match result {
            ItemResult::Credited { amount } => {
                self.credited += 1;
                self.credited_micros = self.credited_micros.saturating_add(amount.0);
            }
            ItemResult::Duplicate => self.duplicates += 1,
            ItemResult::Rejected { code, .. } => {
                self.rejected += 1;
                *self.rejected_by_code.entry((*code).to_owned()).or_default() += 1;
            }
        }
    }
}

/// Reads and parses on a thread of its own.
fn read(
    lines: impl Iterator<Item = std::io::Result<Vec<u8>>>,
    sender: &mpsc::Sender<Vec<Item>>,
) -> anyhow::Result<()> {
    let mut items = Vec::with_capacity(BATCH);
    for (index, line) in lines.enumerate() {
        let mut raw = line?;
        if raw.ends_with(b"\r") {
            raw.pop();
        }
        if raw.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let position = format!("line {}", index + 1);
        items.push(Item {
            position,
            event: parse_event(&raw),
            raw,
        });
        if items.len() == BATCH {
            let full = std::mem::replace(&mut items, Vec::with_capacity(BATCH));
            if sender.blocking_send(full).is_err() {
                return Ok(());
            }
        }
    }
    if !items.is_empty() {
        // Whoever listens has failed and says so.
        let _ = sender.blocking_send(items);
    }
    Ok(())
}

async fn register(desk: &Desk, items: &[Item]) -> anyhow::Result<()> {
    let events = items.iter().filter_map(|item| item.event.as_ref().ok());
    let users: BTreeSet<&UserId> = events.map(|event| &event.user).collect();
    let command = |user: &UserId| Command::RegisterUser {
        user: user.clone(),
        name: None,
    };
    for answer in desk
        .submit_all(users.into_iter().map(command).collect())
        .await?
    {
        answer?;
    }
    Ok(())
}
