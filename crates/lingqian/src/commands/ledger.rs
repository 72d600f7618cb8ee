//! `lingqian ledger verify`: the chain of hashes from its first link to the last.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Serialize;

use crate::NEEDS_A_PERSON;
use crate::books::{Books, Proved};
use crate::cli::Ledger;
use crate::home::Home;
use crate::output::show;
use crate::progress::{Stage, grouped};

/// What to do about a link that does not fit.
const ADVICE: &str = "Everything before it is proved, nothing after it. Stop what writes to the \
                      books and keep them as they are. Take the newest copy in which `lingqian \
                      ledger verify --head HASH` still meets the head that you noted, and import \
                      again what came after it.";

#[derive(Debug, Serialize)]
struct Report {
    whole: bool,
    entries: u64,
    /// Links of the chain: pages of a file, batches of a database.
    pages: u64,
    head: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    noted: Option<Noted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    misfit: Option<Misfit>,
}

#[derive(Debug, Serialize)]
struct Noted {
    met: bool,
    last_entry: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Misfit {
    first_entry: u64,
    last_entry: Option<u64>,
    words: String,
    advice: &'static str,
}

/// Runs the command.
///
/// # Errors
/// When the books cannot be read.
pub(crate) fn run(home: &Home, command: &Ledger, json: bool) -> anyhow::Result<ExitCode> {
    let Ledger::Verify { head } = command;
    let noted = head.as_deref().map(hash).transpose()?;
    let mut books = Books::open(home)?;
    let stage = Stage::begin("verify", "entries", None);
    let verified = books.verify(noted, |entries| stage.at(entries))?;
    stage.end();
    let report = report(&verified, noted.is_some());
    show(json, &report, |out| {
        if let Some(misfit) = &report.misfit {
            writeln!(out, "BROKEN {}", misfit.words)?;
            writeln!(out, "{ADVICE}")?;
        }
        if let Some(noted) = &report.noted {
            match noted.last_entry {
                Some(last) => writeln!(out, "the noted head is that of entry {last}")?,
                None => writeln!(out, "BROKEN the noted head is not in this chain")?,
            }
        }
        writeln!(
            out,
            "{} entries in {} {} {}, head {}",
            grouped(report.entries),
            grouped(report.pages),
            verified.link,
            if report.misfit.is_none() {
                "are whole"
            } else {
                "before it are whole"
            },
            report.head
        )
    })?;
    Ok(if report.whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NEEDS_A_PERSON)
    })
}

fn report(verified: &Proved, asked: bool) -> Report {
    let noted = asked.then_some(Noted {
        met: verified.noted_at.is_some(),
        last_entry: verified.noted_at,
    });
    let misfit = verified.misfit.as_ref().map(|misfit| Misfit {
        first_entry: misfit.first,
        last_entry: misfit.last,
        words: misfit.words.clone(),
        advice: ADVICE,
    });
    Report {
        whole: misfit.is_none() && noted.as_ref().is_none_or(|noted| noted.met),
        entries: verified.entries,
        pages: verified.links,
        head: hex(&verified.head),
        noted,
        misfit,
    }
}

/// A hash as 64 hexadecimal digits.
pub(crate) fn hex(hash: &[u8; 32]) -> String {
    hash.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn hash(text: &str) -> anyhow::Result<[u8; 32]> {
    let wrong = || format!("{text} is not a head: 64 hexadecimal digits");
    anyhow::ensure!(text.len() == 64 && text.is_ascii(), wrong());
    let mut hash = [0; 32];
    for (place, byte) in hash.iter_mut().enumerate() {
        let pair = &text[place * 2..place * 2 + 2];
        *byte = u8::from_str_radix(pair, 16).with_context(wrong)?;
    }
    Ok(hash)
}
