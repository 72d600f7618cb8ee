//! `lingqian copy`: the books of one store moved into another, and both compared.
//!
//! How far it came is kept in a small file beside the books (`notes`).

mod notes;

use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use lingqian_core::audit::Invariant;
use lingqian_engine::copy::{
    Compared, Comparison, begins_alike, entries, give, is_empty, is_unfinished, note, read_out,
    resume,
};
use lingqian_io::read_out::{Cursor, Part, Piece};
use lingqian_io::store::{Audited, Summary};
use lingqian_io::{Browse as _, Fault, ReadOut as _, Store as _};
use lingqian_postgres::Alone;
use serde::Serialize;

use notes::Notes;

use crate::NEEDS_A_PERSON;
use crate::cli::Copy;
use crate::config::Config;
use crate::output::show;
use crate::progress::{Rate, Stage, grouped};
use crate::store::{AnyStore, Place};

/// Rows of one piece.
const PIECE_ROWS: u32 = 4_000;
/// How often the file is written while entries are copied; they tell by themselves how many
/// arrived.
const NOTE_EVERY: Duration = Duration::from_millis(250);
/// How long a store that does not answer is asked again,
const PATIENCE: Duration = Duration::from_secs(60);
/// how long somebody who was killed may take to be gone from a server,
const LEAVING: Duration = Duration::from_secs(3);
/// and after how long each time.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Both ends of a copy, and the file beside it.
struct Ends {
    from: AnyStore,
    to: AnyStore,
    notes: Notes,
}

/// What was copied, as JSON.
#[derive(Debug, Default, Serialize)]
struct Report {
    from: String,
    to: String,
    /// Whether this went on with a copy that had been stopped.
    resumed: bool,
    /// Whether every invariant holds, but for what is made anew, and both sides say the same.
    alike: bool,
    users: u64,
    entries: u64,
    earnings: u64,
    payouts: u64,
    bills: u64,
    dead_letters: u64,
    /// Entries that this run wrote.
    rate: Rate,
    /// What is wrong or differs.
    findings: Vec<String>,
    /// What was wrong and is not copied, but made anew of the entries.
    made_anew: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// When a store cannot be read or written, or the target has other books in it; what arrived
/// before stands, and the same command goes on from there.
pub(crate) async fn run(options: &Copy, json: bool) -> anyhow::Result<ExitCode> {
    let (from, to) = (options.from.place()?, options.to.place()?);
    let notes = Notes::beside(&from, &to)?;
    check_source(&from)?;
    if let Place::File(path) = &to {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        dir.map_or(Ok(()), fs::create_dir_all)
            .with_context(|| format!("cannot make the directory of {to}"))?;
    }
    let ends = Ends {
        from: from.open().await?,
        to: to.open().await?,
        notes,
    };
    // What is copied stands still meanwhile.
    let alone = ends.alone().await;
    let alone = alone.with_context(|| format!("the store {from}"))?;
    let mut report = Report {
        from: from.to_string(),
        to: to.to_string(),
        ..Report::default()
    };
    ensure!(
        !is_unfinished(&ends.from).await?,
        "copy_unfinished: {from} is a copy that was stopped; finish that one first"
    );
    let audited = audit("audit", &ends.from).await?;
    count(&mut report, &audited);
    if report.findings.is_empty() {
        report.rate = ends.copy(&mut report).await?;
        ends.compare(&mut report, &audited).await?;
    }
    if let Some(alone) = &alone
        && !alone.is_held().await
    {
        let words = "the connection that kept writers away was lost: compare once more";
        report.findings.push(format!("{from}: {words}"));
    }
    report.alike = report.findings.is_empty();
    if report.alike {
        note(&ends.to, true).await?;
        ends.notes.end()?;
    }
    tell(json, &report)?;
    Ok(if report.alike {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NEEDS_A_PERSON)
    })
}

fn tell(json: bool, report: &Report) -> anyhow::Result<()> {
    show(json, report, |out| {
        for finding in &report.made_anew {
            writeln!(out, "MADE ANEW {finding}")?;
        }
        for finding in &report.findings {
            writeln!(out, "BROKEN {finding}")?;
        }
        if !report.alike {
            return writeln!(out, "{} must not be used", report.to);
        }
        let others = match report.made_anew.is_empty() {
            true => "",
            false => "other ",
        };
        writeln!(
            out,
            "{} entries, {} users, {} earnings, {} payouts, {} bills and {} dead letters are in \
             {}: all {others}invariants hold on both sides, and both read out alike",
            grouped(report.entries),
            grouped(report.users),
            grouped(report.earnings),
            grouped(report.payouts),
            grouped(report.bills),
            grouped(report.dead_letters),
            report.to
        )?;
        writeln!(
            out,
            "Serve {} from now on and never {} again. The keyring and the credentials are not in \
             a store: keep those of the data directory.",
            report.to, report.from
        )
    })
}

fn count(report: &mut Report, audited: &Audited) {
    report.entries = audited.entries;
    report.earnings = audited.earnings;
    report.payouts = audited.payouts;
    report.bills = audited.bills;
    for finding in &audited.findings {
        // By what names are found is not read from the old books: it follows from their entries.
        let told = match finding.invariant {
            Invariant::NamesAreRemembered => &mut report.made_anew,
            _ => &mut report.findings,
        };
        told.push(format!("{}: {finding}", report.from));
    }
}

/// The books that are read must be there, and be those that are used.
fn check_source(from: &Place) -> anyhow::Result<()> {
    let Place::File(path) = from else {
        return Ok(());
    };
    ensure!(path.is_file(), "there are no books at {from}");
    let config = path.with_file_name("lingqian.toml");
    let is_own = path.file_name().is_some_and(|name| name == "lingqian.db");
    if is_own && config.is_file() {
        let shared = !Config::load(&config)?.store.url.is_empty();
        ensure!(
            !shared,
            "{} says that the books are in another store and not in {from}; copy those",
            config.display()
        );
    }
    Ok(())
}

async fn audit(name: &'static str, store: &AnyStore) -> anyhow::Result<Audited> {
    let stage = Stage::begin(name, "entries", None);
    let audited = store.audit().await?;
    stage.at(audited.entries);
    stage.end();
    Ok(audited)
}

impl Ends {
    /// Keeps writers from the source. A server needs a moment to notice that one was killed.
    async fn alone(&self) -> Result<Option<Alone>, Fault> {
        let began = Instant::now();
        loop {
            match self.from.alone().await {
                Err(Fault::Held(_)) if began.elapsed() < LEAVING => {
                    tokio::time::sleep(ASK_AGAIN).await;
                }
                other => return other,
            }
        }
    }

    /// Moves everything that has not arrived yet.
    async fn copy(&self, report: &mut Report) -> anyhow::Result<Rate> {
        let mut next = self.begin(report).await?;
        note(&self.to, false).await?;
        let stage = Stage::begin("copy", "entries", Some(report.entries));
        let mut noted = Instant::now();
        let mut piece = match &next {
            Some(cursor) => read_out(&self.from, cursor.clone(), PIECE_ROWS).await?,
            None => Piece::default(),
        };
        while let Some(cursor) = next {
            // The next piece is read while this one is written.
            let (given, read) = tokio::join!(self.give(&cursor, &piece), self.read(&piece));
            given?;
            stage.advance(entries(&piece.changes));
            let new_part = piece.next.as_ref().map(|next| next.part) != Some(Part::Entries);
            if new_part || noted.elapsed() >= NOTE_EVERY {
                self.notes.write(piece.next.as_ref())?;
                noted = Instant::now();
            }
            next = piece.next;
            piece = read?;
        }
        Ok(stage.end())
    }

    /// Where to begin; nothing when all had arrived.
    async fn begin(&self, report: &mut Report) -> anyhow::Result<Option<Cursor>> {
        let Some(last) = self.notes.read()? else {
            ensure!(
                is_empty(&self.to).await?,
                "there are books in {} already, and they are not a copy that was stopped; a copy \
                 needs an empty store",
                report.to
            );
            let begin = Cursor::default();
            self.notes.write(Some(&begin))?;
            return Ok(Some(begin));
        };
        ensure!(
            begins_alike(&self.from, &self.to).await?,
            "what is in {} is not the beginning of {}; {} says that a copy was stopped there, \
             remove it and begin anew with an empty store",
            report.to,
            report.from,
            self.notes.path.display()
        );
        report.resumed = true;
        Ok(match last {
            Some(last) => Some(resume(&self.to, last).await?),
            None => None,
        })
    }

    /// Gives a piece until somebody answers.
    async fn give(&self, cursor: &Cursor, piece: &Piece) -> Result<(), Fault> {
        let began = Instant::now();
        loop {
            match give(&self.to, cursor, &piece.changes).await {
                Err(Fault::Retry(_) | Fault::Unknown(_)) if began.elapsed() < PATIENCE => {
                    tokio::time::sleep(ASK_AGAIN).await;
                }
                given => return given.map(|_| ()),
            }
        }
    }

    async fn read(&self, before: &Piece) -> Result<Piece, Fault> {
        match &before.next {
            Some(next) => read_out(&self.from, next.clone(), PIECE_ROWS).await,
            None => Ok(Piece::default()),
        }
    }

    /// Looks at both sides: audits, sums, the newest entry, and everything piece by piece.
    async fn compare(&self, report: &mut Report, ours: &Audited) -> anyhow::Result<()> {
        let theirs = audit("audit", &self.to).await?;
        for finding in &theirs.findings {
            report.findings.push(format!("{}: {finding}", report.to));
        }
        let counts = |a: &Audited| [a.entries, a.accounts, a.earnings, a.payouts, a.bills];
        let mut differs = |what: &str, differs: bool| {
            if differs {
                let words = "one of the two was written to meanwhile";
                report.findings.push(format!("{what} differ: {words}"));
            }
        };
        differs("the audits", counts(ours) != counts(&theirs));
        let newest = (
            self.from.newest_entry().await?,
            self.to.newest_entry().await?,
        );
        differs("the newest entries", newest.0 != newest.1);
        let (ours, theirs) = (self.from.summary().await?, self.to.summary().await?);
        let (ours, theirs) = (sorted(ours), sorted(theirs));
        differs("the sums", ours != theirs);
        let part = self.read_both(u64::try_from(newest.0).unwrap_or(0)).await?;
        let name = part.map(|part| format!("the {}", part.name().replace('_', " ")));
        differs(&name.clone().unwrap_or_default(), name.is_some());
        (report.users, report.dead_letters) = (ours.users.0, ours.dead_letters);
        Ok(())
    }

    /// Reads both stores out beside each other; tells the first part that is not alike.
    async fn read_both(&self, entries: u64) -> anyhow::Result<Option<Part>> {
        let stage = Stage::begin("compare", "entries", Some(entries));
        let mut comparison = Comparison::default();
        let found = loop {
            match comparison.step(&self.from, &self.to, PIECE_ROWS).await? {
                Compared::Alike(entries) => stage.advance(entries),
                Compared::Wholly => break None,
                Compared::Different(part) => break Some(part),
            }
        };
        stage.end();
        Ok(found)
    }
}

/// A summary as it can be compared: without order, and without accounts that are empty.
fn sorted(mut summary: Summary) -> Summary {
    summary.payouts.sort();
    summary.accounts.retain(|(_, balance)| balance.0 != 0);
    summary.accounts.sort();
    summary.waiting.sort_unstable();
    summary
}
