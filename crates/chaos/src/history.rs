//! What clients asked and what they were told, one JSON value a line, as it happened.
//!
//! An operation has two lines: one before its first byte went out, one when its fate was known to
//! the client. An operation whose second line is missing was never answered: its fate is unknown.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::weather::Weather;

/// How an operation ended, as far as its client can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It was done: the answer says so.
    Ok,
    /// It was not done, and never will be: the answer says so.
    Fail,
    /// It may or may not have been done, or may still be.
    Info,
}

/// How events are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// One JSON object.
    Single,
    /// A JSON array.
    Array,
    /// JSON lines.
    Lines,
}

/// One earning event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Credit {
    /// Its name for ever.
    pub event: String,
    /// Who earns.
    pub user: String,
    /// What for.
    pub kind: String,
    /// How much.
    pub micros: i64,
    /// Whose money it was, between users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Which event it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverses: Option<String>,
}

/// What people do to payouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Say yes.
    Approve,
    /// End it before anything is sent.
    Refuse,
    /// Send the same order again.
    Resend,
    /// Say that a bill shows it.
    MarkPaid,
    /// Say that no bill shows it.
    MarkUnpaid,
}

impl Act {
    /// The last part of its address.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Act::Approve => "approve",
            Act::Refuse => "refuse",
            Act::Resend => "resend",
            Act::MarkPaid => "mark-paid",
            Act::MarkUnpaid => "mark-unpaid",
        }
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum Call {
    /// Credit events.
    Earn {
        /// In which form.
        form: Form,
        /// Which.
        credits: Vec<Credit>,
    },
    /// Set money aside for a payout.
    Withdraw {
        /// The idempotency key.
        key: String,
        /// Whose money.
        user: String,
        /// How much; none is all there is.
        fen: Option<i64>,
        /// The caller's own name for it.
        reference: String,
    },
    /// Stop a payout.
    Cancel {
        /// Which.
        payout: String,
    },
    /// Do something to a payout by hand.
    Act {
        /// Which.
        payout: String,
        /// What.
        what: Act,
    },
    /// Stop everything.
    Stop,
    /// Let everything go on.
    Lift,
    /// Read payouts of a state, newest first.
    Waiting {
        /// The state's name.
        state: String,
    },
    /// Read a user's balances.
    User {
        /// Whose.
        user: String,
    },
    /// Read a user's newest entries.
    Statement {
        /// Whose.
        user: String,
    },
    /// Read one payout.
    Payout {
        /// Which.
        payout: String,
    },
    /// Read a user's newest payouts.
    Payouts {
        /// Whose.
        user: String,
    },
    /// Ask a process whether its store answers.
    Ready {
        /// Which process.
        process: usize,
    },
}

/// What became of one event of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Credited {
    /// It is credited now.
    Now,
    /// It was credited before.
    Before,
    /// It is refused.
    Refused,
    /// Nobody said.
    Unknown,
}

/// A payout as a reader saw it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct PayoutSeen {
    /// Which.
    pub id: String,
    /// Whose.
    pub user: String,
    /// The state's name.
    pub state: String,
    /// Whether the state is final.
    #[serde(rename = "final")]
    pub ended: bool,
    /// How much.
    pub amount_fen: i64,
    /// The caller's name for it.
    pub reference: String,
    /// Rises with every change.
    pub version: i64,
    /// The number that WeChat knows it by.
    pub out_bill_no: Option<String>,
}

/// A line of a statement as a reader saw it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct LineSeen {
    /// The entry's number.
    pub seq: i64,
    /// Why money moved.
    pub cause: String,
    /// How much.
    pub amount_micros: i64,
    /// For which payout.
    pub payout: Option<String>,
    /// By which event.
    pub event_id: Option<String>,
}

/// What an answer told.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "saw", rename_all = "snake_case")]
pub enum Saw {
    /// Nothing that could be checked.
    Nothing,
    /// What became of each event, in their order.
    Credited {
        /// One for each.
        results: Vec<Credited>,
    },
    /// A payout was made, or had been.
    Withdrawn {
        /// Which.
        payout: String,
        /// Of how much.
        amount_fen: i64,
        /// Whether the answer is an earlier one again.
        replayed: bool,
    },
    /// A user's balances.
    Balances {
        /// Available.
        available: i64,
        /// Held.
        held: i64,
    },
    /// A page of a statement, newest first.
    Lines {
        /// Its lines.
        lines: Vec<LineSeen>,
    },
    /// Payouts.
    Payouts {
        /// In any order.
        payouts: Vec<PayoutSeen>,
    },
}

/// A line of the history.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// Somebody asks.
    Asked {
        /// The operation's number.
        op: u64,
        /// Microseconds since the history began.
        at: u64,
        /// Who.
        client: String,
        /// What.
        what: Call,
    },
    /// Somebody was told, or gave up waiting.
    Told {
        /// The operation's number.
        op: u64,
        /// Microseconds since the history began.
        at: u64,
        /// How it ended.
        fate: Fate,
        /// The HTTP status, where there was one.
        status: Option<u16>,
        /// The stable code of an error, or a word for what happened to the connection.
        code: Option<String>,
        /// What the answer told.
        what: Saw,
    },
    /// Something was broken or mended on purpose.
    Struck(Struck),
}

/// Something that was broken or mended on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Struck {
    /// Microseconds since the history began.
    pub at: u64,
    /// What was struck, such as `kill` or `database-1`.
    pub what: String,
    /// How, in words.
    pub how: String,
    /// The weather on a way from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weather: Option<Weather>,
}

/// An operation from both its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// Its number.
    pub op: u64,
    /// Who asked.
    pub client: String,
    /// When it was asked.
    pub asked: u64,
    /// When it ended for the client; never, if it was not answered.
    pub told: u64,
    /// What was asked.
    pub call: Call,
    /// How it ended.
    pub fate: Fate,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// The stable code of an error.
    pub code: Option<String>,
    /// What the answer told.
    pub saw: Saw,
}

/// A history that is being written.
#[derive(Debug)]
pub struct Recorder {
    began: Instant,
    state: Mutex<(u64, BufWriter<File>)>,
}

impl Recorder {
    /// Begins a history in a file.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path) -> anyhow::Result<Recorder> {
        let file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Recorder {
            began: Instant::now(),
            state: Mutex::new((0, BufWriter::new(file))),
        })
    }

    /// Somebody asks; answers the operation's number.
    pub fn asked(&self, client: &str, what: Call) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        let op = state.0;
        let line = Line::Asked {
            op,
            at: self.now(),
            client: client.to_owned(),
            what,
        };
        write(&mut state.1, &line);
        op
    }

    /// Somebody was told.
    pub fn told(
        &self,
        op: u64,
        fate: Fate,
        (status, code): (Option<u16>, Option<String>),
        what: Saw,
    ) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let line = Line::Told {
            op,
            at: self.now(),
            fate,
            status,
            code,
            what,
        };
        write(&mut state.1, &line);
    }

    /// Something was broken or mended.
    pub fn struck(&self, what: &str, how: impl Into<String>) {
        self.write_struck(what, how.into(), None);
    }

    /// The weather on a way changed.
    pub fn weather(&self, way: &str, weather: Weather) {
        self.write_struck(way, format!("{weather:?}"), Some(weather));
    }

    fn write_struck(&self, what: &str, how: String, weather: Option<Weather>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let struck = Struck {
            at: self.now(),
            what: what.to_owned(),
            how,
            weather,
        };
        write(&mut state.1, &Line::Struck(struck));
    }

    /// Microseconds since the history began.
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Writes out what is still in memory.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&self) -> anyhow::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(state.1.flush()?)
    }
}

fn write(out: &mut BufWriter<File>, line: &Line) {
    let written = serde_json::to_writer(&mut *out, line)
        .map_err(std::io::Error::from)
        .and_then(|()| out.write_all(b"\n"));
    written.expect("the history can be written, or nothing can be proved");
}

/// Reads a history: operations by their number, and what was struck.
///
/// # Errors
/// When the file cannot be read, or a line is none of ours.
pub fn read(path: &Path) -> anyhow::Result<(Vec<Op>, Vec<Struck>)> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (mut ops, mut struck) = (BTreeMap::new(), Vec::new());
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let place = || format!("line {} of {}", index + 1, path.display());
        let line: Line = serde_json::from_str(&line?).with_context(place)?;
        match line {
            Line::Asked {
                op,
                at,
                client,
                what,
            } => {
                let open = Op {
                    op,
                    client,
                    asked: at,
                    told: u64::MAX,
                    call: what,
                    fate: Fate::Info,
                    status: None,
                    code: None,
                    saw: Saw::Nothing,
                };
                ops.insert(op, open);
            }
            Line::Told {
                op,
                at,
                fate,
                status,
                code,
                what,
            } => {
                let open: &mut Op = ops.get_mut(&op).with_context(place)?;
                (open.told, open.fate, open.status) = (at, fate, status);
                (open.code, open.saw) = (code, what);
            }
            Line::Struck(one) => struck.push(one),
        }
    }
    Ok((ops.into_values().collect(), struck))
}
