//! The journal: one line of JSON per commit, on disk before anything is promised.
//!
//! Any number of requests append at once; one thread writes what has gathered and syncs it once
//! for all of them. A last line that a crash has torn is cut off when the journal is opened; a
//! damaged line anywhere else is an error, because something was promised on it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::watch;

/// How long a start waits for an earlier owner of the directory to let go.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);

/// The journal could not be written; nothing more can be promised.
#[derive(Debug)]
pub(crate) struct Broken;

/// An open journal. Dropping it writes what was appended.
pub(crate) struct Journal {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    flushed: watch::Sender<Flushed>,
}

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    appended: u64,
    closed: bool,
}

#[derive(Clone, Copy, Default)]
struct Flushed {
    lines: u64,
    broken: bool,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal {
    /// Opens the journal of a data directory and hands every whole line to `replay`. The
    /// directory belongs to this journal until it is dropped.
    ///
    /// # Errors
    /// When another sandbox uses the directory, a line before the last is damaged, or the disk
    /// fails.
    pub(crate) fn open(
        data: &Path,
        mut replay: impl FnMut(&str) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let lock = lock(&data.join("journal.lock"))?;
        let path = data.join("journal.jsonl");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = replay_lines(&text, &mut replay)
            .with_context(|| format!("{} is damaged", path.display()))?;
        file.set_len(u64::try_from(whole)?)?;
        file.seek(SeekFrom::End(0))?;
        file.sync_all()?;
        File::open(data)?.sync_all()?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            flushed: watch::Sender::new(Flushed::default()),
        });
        let writer = thread::Builder::new()
            .name("sandbox-journal".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || {
                    write_until_closed(&shared, &mut file);
                    drop(lock);
                }
            })?;
        Ok(Self {
            shared,
            writer: Some(writer),
        })
    }

    /// Appends one line and answers its ticket. Lines are written in the order of the calls.
    pub(crate) fn append(&self, line: &str) -> u64 {
        let mut queue = self.shared.queue();
        queue.bytes.extend_from_slice(line.as_bytes());
        queue.bytes.push(b'\n');
        queue.appended += 1;
        self.shared.wake.notify_one();
        queue.appended
    }

    /// The ticket of the line appended last.
    pub(crate) fn latest(&self) -> u64 {
        self.shared.queue().appended
    }

    /// Waits until the line of this ticket, and all before it, are on disk.
    pub(crate) async fn durable(&self, ticket: u64) -> Result<(), Broken> {
        let mut flushed = self.shared.flushed.subscribe();
        let reached = flushed
            .wait_for(|flushed| flushed.broken || flushed.lines >= ticket)
            .await;
        reached
            .is_ok_and(|flushed| !flushed.broken)
            .then_some(())
            .ok_or(Broken)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.wake.notify_one();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn lock(path: &Path) -> anyhow::Result<File> {
    let file = File::create(path)?;
    let since = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if since.elapsed() < LOCK_WAIT_MAX => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                bail!("another sandbox uses {}", path.with_file_name("").display())
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

/// Replays the whole lines and answers how many bytes they are.
fn replay_lines(
    text: &[u8],
    replay: &mut impl FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let mut whole = 0;
    while let Some(length) = text[whole..].iter().position(|byte| *byte == b'\n') {
        let end = whole + length + 1;
        let line = str::from_utf8(&text[whole..end - 1]).map_err(anyhow::Error::from);
        match line.and_then(&mut *replay) {
            Ok(()) => whole = end,
            Err(_) if end == text.len() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(whole)
}

fn write_until_closed(shared: &Shared, file: &mut File) {
    loop {
        let (bytes, lines) = {
            let mut queue = shared.queue();
            while queue.bytes.is_empty() && !queue.closed {
                queue = shared
                    .wake
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            (std::mem::take(&mut queue.bytes), queue.appended)
        };
        if bytes.is_empty() {
            return;
        }
        match file.write_all(&bytes).and_then(|()| file.sync_data()) {
            Ok(()) => drop(shared.flushed.send_replace(Flushed {
                lines,
                broken: false,
            })),
            Err(error) => {
                tracing::error!(%error, "the journal cannot be written; the sandbox is stuck");
                shared.flushed.send_replace(Flushed {
                    lines: 0,
                    broken: true,
                });
                return;
            }
        }
    }
}
