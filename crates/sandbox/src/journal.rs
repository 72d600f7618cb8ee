//! What happened, one JSON value a line, synced before anybody is told. Many who wait share one
//! sync. A line that was torn by a crash is the last one and promised nothing.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::mpsc;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::authorization::Authorization;
use crate::batch::Batch;
use crate::identity::Kind;
use crate::kept::{FlowLine, Outcome, Transfer};
use crate::old::{Packet, Payment};

/// One thing that happened.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(crate) enum Record {
    /// The business clock runs so far ahead.
    Clock { offset_ms: i64 },
    /// A person with a WeChat account.
    User {
        name: String,
        real_name: Option<String>,
        frozen: bool,
    },
    /// An authorization code was handed out.
    Code {
        #[serde(default)]
        appid: String,
        code: String,
        user: String,
        scope: String,
        snapshot: bool,
        at: i64,
    },
    /// Tokens were handed out, for a code or by a refresh.
    Tokens {
        #[serde(default)]
        appid: String,
        code: Option<String>,
        openid: String,
        scope: String,
        access: String,
        refresh: String,
        at: i64,
    },
    /// A mini program's code was used.
    CodeUsed { code: String },
    /// An app beside the merchants' own.
    App {
        appid: String,
        secret: String,
        kind: Kind,
    },
    /// A user took tokens away.
    Voided {
        appid: String,
        openid: String,
        at: i64,
        errcode: i64,
    },
    /// A transfer was accepted.
    Created { transfer: Box<Transfer> },
    /// A transfer moved.
    Moved {
        #[serde(default)]
        mchid: String,
        number: String,
        outcome: Outcome,
        at: i64,
    },
    /// An authorization, as it stands now.
    Authorization { authorization: Box<Authorization> },
    /// A batch, as it stands now.
    Batch { batch: Box<Batch> },
    /// A red packet, as it stands now.
    Packet { packet: Box<Packet> },
    /// A payment of the old API, as it stands now.
    Payment { payment: Box<Payment> },
    /// Money moved on a merchant's account.
    Flow { line: FlowLine },
    /// A notification is due.
    Notify {
        id: u64,
        #[serde(default)]
        mchid: String,
        number: String,
        due_at: i64,
    },
    /// An app was bound to a merchant, or is so no more.
    Bound {
        mchid: String,
        appid: String,
        bound: bool,
    },
    /// A notification was tried.
    Notified {
        id: u64,
        delivered: bool,
        next_due_at: Option<i64>,
    },
}

enum Message {
    Line(u64, String),
    End,
}

/// The journal's writer.
#[derive(Debug)]
pub(crate) struct Journal {
    lines: mpsc::Sender<Message>,
    written: u64,
    /// Lines that are written together or not at all, while they gather.
    gathered: Option<String>,
    durable: watch::Receiver<u64>,
}

/// A moment in the journal that can be waited for.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    line: u64,
    durable: watch::Receiver<u64>,
}

impl Promise {
    /// Waits until everything up to that moment is on disk.
    pub(crate) async fn kept(mut self) -> anyhow::Result<()> {
        let line = self.line;
        self.durable
            .wait_for(|durable| *durable >= line)
            .await
            .context("the journal is closed")?;
        Ok(())
    }
}

impl Journal {
    /// Reads what is there and opens the file for more.
    pub(crate) fn open(path: &Path) -> anyhow::Result<(Journal, Vec<Record>)> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        let (records, whole) = read(&file)?;
        file.set_len(whole)?;
        file.seek(SeekFrom::End(0))?;
        let (lines, queue) = mpsc::channel();
        let (sender, durable) = watch::channel(0);
        std::thread::Builder::new()
            .name("sandbox-journal".into())
            .spawn(move || write(&mut file, &queue, &sender))?;
        Ok((
            Journal {
                lines,
                written: 0,
                gathered: None,
                durable,
            },
            records,
        ))
    }

    /// Queues a record. Callers hold the lock of the books, so the order is theirs.
    pub(crate) fn append(&mut self, record: &Record) {
        self.written += 1;
        let line = serde_json::to_string(record).expect("records are plain data");
        match &mut self.gathered {
            Some(gathered) if gathered.is_empty() => *gathered = line,
            Some(gathered) => {
                gathered.push('\n');
                gathered.push_str(&line);
            }
            // A writer that is gone shows as a promise that is never kept.
            None => drop(self.lines.send(Message::Line(self.written, line))),
        }
    }

    /// From now on records gather, until [`Journal::end`].
    pub(crate) fn begin(&mut self) {
        self.gathered = Some(String::new());
    }

    /// What gathered is queued as one piece.
    pub(crate) fn end(&mut self) {
        if let Some(gathered) = self.gathered.take().filter(|lines| !lines.is_empty()) {
            let _ = self.lines.send(Message::Line(self.written, gathered));
        }
    }

    /// What was queued so far, to be waited for.
    pub(crate) fn promise(&self) -> Promise {
        Promise {
            line: self.written,
            durable: self.durable.clone(),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = self.lines.send(Message::End);
    }
}

/// The records and the length of what is whole.
fn read(file: &File) -> anyhow::Result<(Vec<Record>, u64)> {
    let mut reader = BufReader::new(file);
    let (mut records, mut whole) = (Vec::new(), 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        if length == 0 || !line.ends_with(b"\n") {
            return Ok((records, whole));
        }
        let record = serde_json::from_slice(&line)
            .with_context(|| format!("record {} of the journal is damaged", records.len() + 1))?;
        records.push(record);
        whole += length as u64;
    }
}

fn write(file: &mut File, queue: &mpsc::Receiver<Message>, durable: &watch::Sender<u64>) {
    while let Ok(first) = queue.recv() {
        let (mut bytes, mut last, mut end) = (Vec::new(), 0, false);
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Line(number, line) => {
                    bytes.extend_from_slice(line.as_bytes());
                    bytes.push(b'\n');
                    last = number;
                }
                Message::End => {
                    end = true;
                    break;
                }
            }
            next = queue.try_recv().ok();
        }
        if let Err(error) = file.write_all(&bytes).and_then(|()| file.sync_data()) {
            tracing::error!(%error, "the journal cannot be written; the sandbox answers no more");
            return;
        }
        if last > 0 {
            durable.send_replace(last);
        }
        if end {
            return;
        }
    }
}
