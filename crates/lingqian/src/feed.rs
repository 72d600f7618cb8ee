//! Lines of events into the desk: reading, parsing and committing overlap.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use futures_util::StreamExt as _;
use lingqian_core::command::Command;
use lingqian_core::id::UserId;
use lingqian_engine::Desk;
use lingqian_engine::ingest::{Door, Ingested, ItemResult, ingest};
use lingqian_http::wire::lines::{Batch, Lines};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::wire::Wire;

/// Batches under way at a time, and as many that wait.
const OPEN: usize = 3;
/// The longest line, in bytes; as long as that of a stream.
const LINE_MAX: usize = 65_536;
/// As much of an input as is read at once, in bytes.
const PIECE: usize = 1 << 20;

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
pub(crate) struct Feed {
    /// The door's name on dead letters.
    pub(crate) door: &'static str,
    /// Whether users that are not known are registered.
    pub(crate) register: bool,
    /// How many refused lines are kept to be shown.
    pub(crate) show: usize,
}

/// Feeds what pieces of text make, line by line, until they end; everything that was counted is
/// durable.
///
/// # Errors
/// When the input cannot be read or the store fails; what was committed stands, and feeding the
/// same lines again credits nothing twice.
pub(crate) async fn feed(
    wire: &Wire,
    desk: &Desk,
    feed: Feed,
    pieces: impl Iterator<Item = std::io::Result<Vec<u8>>> + Send + 'static,
    mut progress: impl FnMut(u64),
) -> anyhow::Result<(Counts, Vec<Refused>)> {
    let door = Door {
        name: feed.door,
        unit: "line",
    };
    let (sender, receiver) = mpsc::channel(OPEN);
    let reader = tokio::task::spawn_blocking(move || read(pieces, &sender));
    let batches = ReceiverStream::new(receiver).map(|batch: Batch| async move {
        if feed.register {
            register(desk, &batch).await?;
        }
        anyhow::Ok(ingest(wire, desk, door, &batch.text, batch.items).await?)
    });
    let mut done = std::pin::pin!(batches.buffered(OPEN));
    let (mut counts, mut refused) = (Counts::default(), Vec::new());
    while let Some(batch) = done.next().await {
        let ingested = batch?;
        progress(ingested.len() as u64);
        counts.add_all(&ingested);
        let room = feed.show.saturating_sub(refused.len());
        refused.extend(refusals(&ingested).take(room));
    }
    reader.await??;
    Ok((counts, refused))
}

fn refusals(ingested: &Ingested) -> impl Iterator<Item = Refused> {
    ingested.iter().filter_map(|(line, result)| match result {
        ItemResult::Rejected {
            code,
            field,
            detail,
        } => Some(Refused {
            position: format!("line {line}"),
            code: code.to_owned(),
            field: field.map(str::to_owned),
            detail: detail.into_owned(),
        }),
        ItemResult::Credited { .. } | ItemResult::Duplicate => None,
    })
}

impl Counts {
    fn add_all(&mut self, ingested: &Ingested) {
        for (_, result) in ingested.iter() {
            self.add(&result);
        }
    }

    fn add(&mut self, result: &ItemResult<'_>) {
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

/// What a file or a pipe brings, in pieces.
pub(crate) fn pieces(
    mut input: impl Read + Send + 'static,
) -> impl Iterator<Item = std::io::Result<Vec<u8>>> + Send + 'static {
    std::iter::from_fn(move || {
        let mut piece = vec![0; PIECE];
        loop {
            match input.read(&mut piece) {
                Ok(0) => return None,
                Ok(length) => {
                    piece.truncate(length);
                    return Some(Ok(piece));
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Some(Err(error)),
            }
        }
    })
}

/// Reads and parses on a thread of its own. Whoever listened and is gone has failed and says so.
fn read(
    pieces: impl Iterator<Item = std::io::Result<Vec<u8>>>,
    sender: &mpsc::Sender<Batch>,
) -> anyhow::Result<()> {
    let mut lines = Lines::new(LINE_MAX);
    for piece in pieces {
        let piece = piece?;
        let mut rest = piece.as_slice();
        while !rest.is_empty() {
            let taken = lines.take(rest);
            rest = rest.get(taken..).unwrap_or_default();
            if lines.is_full() && sender.blocking_send(lines.batch()).is_err() {
                return Ok(());
            }
        }
    }
    lines.end();
    if !lines.is_empty() {
        let _ = sender.blocking_send(lines.batch());
    }
    Ok(())
}

async fn register(desk: &Desk, batch: &Batch) -> anyhow::Result<()> {
    let users = batch.items.events().iter().map(|event| event.user);
    let users: BTreeSet<&str> = users.collect();
    let users = users.into_iter().map(UserId::parse);
    let users: Vec<UserId> = users.collect::<Result<_, _>>()?;
    let command = |user: &UserId| Command::RegisterUser {
        user: user.clone(),
        name: None,
    };
    for answer in desk.submit_all(users.iter().map(command).collect()).await? {
        answer?;
    }
    Ok(())
}
