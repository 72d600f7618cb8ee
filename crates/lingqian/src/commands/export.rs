//! `lingqian export entries`: the movements of some days for an auditor, tied to the chain.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use lingqian_core::time::BusinessDate;
use lingqian_sqlite::{Cell, Take, Wanted};

use crate::books::Books;
use crate::cli::{Export, ExportEntries};
use crate::export::{Sheet, Summary, begin};
use crate::home::{Home, write_whole};
use crate::progress::{Stage, grouped};

/// Hands entries to a file and tells how far the books were read.
struct Writing<'s> {
    sheet: Box<dyn Sheet>,
    stage: &'s Stage,
}

impl Take for Writing<'_> {
    type Error = anyhow::Error;

    fn entry(&mut self, cells: &[Cell]) -> anyhow::Result<()> {
        self.sheet.entry(cells)
    }

    fn at(&mut self, entries: u64) {
        self.stage.at(entries);
    }
}

/// Runs the command.
///
/// # Errors
/// When the books cannot be read, a page does not fit, or the file cannot be written.
pub(crate) fn run(home: &Home, command: &Export, json: bool) -> anyhow::Result<ExitCode> {
    let Export::Entries(options) = command;
    let wanted = wanted(options)?;
    let mut books = Books::open(home)?;
    match &options.out {
        None => {
            let written = write(&mut books, &wanted, options, std::io::stdout());
            if written.as_ref().is_err_and(nobody_reads) {
                return Ok(ExitCode::SUCCESS);
            }
            let summary = written?;
            // The file has standard output for itself.
            eprintln!("{}", told(&summary, json)?);
        }
        Some(path) => {
            ensure!(
                !path.is_dir(),
                "{} is a directory; name a file in it",
                path.display()
            );
            let part = path.with_added_extension("part");
            let failed = || format!("cannot write {}", path.display());
            let file = fs::File::create(&part).with_context(failed)?;
            let synced = file.try_clone().with_context(failed)?;
            let summary = write(&mut books, &wanted, options, file).inspect_err(|_| {
                // What is not whole is left to nobody.
                let _ = fs::remove_file(&part);
            })?;
            synced.sync_all().with_context(failed)?;
            fs::rename(&part, path).with_context(failed)?;
            note(path, &summary)?;
            writeln!(std::io::stdout(), "{}", told(&summary, json)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whoever reads only the first lines is not an error.
fn nobody_reads(error: &anyhow::Error) -> bool {
    let broken = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::BrokenPipe;
    error.downcast_ref().is_some_and(broken)
}

fn wanted(options: &ExportEntries) -> anyhow::Result<Wanted> {
    let day = |text: &Option<String>| {
        let parsed = text.as_deref().map(|text| {
            BusinessDate::parse(text).with_context(|| format!("{text} is not a day: yyyy-mm-dd"))
        });
        parsed.transpose()
    };
    let wanted = Wanted {
        from: day(&options.from)?,
        to: day(&options.to)?,
        from_seq: options.from_seq,
        to_seq: options.to_seq,
    };
    let days = wanted.from.zip(wanted.to);
    ensure!(
        days.is_none_or(|(from, to)| from <= to),
        "--from is after --to: no day is in between"
    );
    let seqs = wanted.from_seq.zip(wanted.to_seq);
    ensure!(
        seqs.is_none_or(|(from, to)| from <= to),
        "--from-seq is after --to-seq: no entry is in between"
    );
    Ok(wanted)
}

fn write(
    books: &mut Books,
    wanted: &Wanted,
    options: &ExportEntries,
    out: impl Write + Send + 'static,
) -> anyhow::Result<Summary> {
    let stage = Stage::begin("export", "entries", None);
    let mut writing = Writing {
        sheet: begin(options.format, out)?,
        stage: &stage,
    };
    let summary = Summary::from(&books.export(wanted, &mut writing)?);
    writing.sheet.end(&summary)?;
    stage.end();
    Ok(summary)
}

/// The summary beside the file, for whoever gets both.
fn note(path: &Path, summary: &Summary) -> anyhow::Result<()> {
    let beside = path.with_added_extension("summary.json");
    let mut text = serde_json::to_string_pretty(summary)?;
    text.push('\n');
    write_whole(&beside, text.as_bytes())
}

fn told(summary: &Summary, json: bool) -> anyhow::Result<String> {
    if json {
        return Ok(serde_json::to_string_pretty(summary)?);
    }
    let range = match (summary.first_seq, summary.last_seq) {
        (Some(first), Some(last)) => format!(" ({first} to {last})"),
        _ => String::new(),
    };
    Ok(format!(
        "{} entries{range} that moved {} micro-yuan; read and proved from entry {} to entry {}, head {}",
        grouped(summary.entries),
        summary.sum_micros,
        summary.chain_from,
        summary.chain_entries,
        summary.chain_head
    ))
}
