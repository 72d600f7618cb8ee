//! `lingqian import`: a file of events, credited line by line.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use crate::cli::Import;
use crate::feed::{Feed, feed, pieces};
use crate::home::Home;
use crate::output::show;
use crate::platform::open;
use crate::progress::{Stage, grouped};

/// A file, or standard input for `-`.
///
/// # Errors
/// When the file cannot be opened.
pub(crate) fn input(path: &Path) -> anyhow::Result<Box<dyn Read + Send>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(std::io::stdin()));
    }
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Box::new(file))
}

/// Runs the command.
///
/// # Errors
/// When the file cannot be read or the store fails; what was counted before stands.
pub(crate) async fn run(home: &Home, options: &Import, json: bool) -> anyhow::Result<ExitCode> {
    let pieces = pieces(input(&options.file)?);
    let (wire, desk) = open(home).await?;
    let stage = Stage::begin("import", "events", None);
    let how = Feed {
        door: "import",
        register: options.register,
        show: options.show,
    };
    let (counts, refused) = feed(&wire, &desk, how, pieces, |lines| stage.advance(lines)).await?;
    let rate = stage.end();
    let value = json!({ "counts": counts, "refused": refused, "rate": rate });
    show(json, &value, |out| {
        for line in &refused {
            let field = line
                .field
                .as_deref()
                .map(|f| format!(" ({f})"))
                .unwrap_or_default();
            writeln!(
                out,
                "{}: {}{field}: {}",
                line.position, line.code, line.detail
            )?;
        }
        if counts.rejected > refused.len() as u64 {
            writeln!(out, "… and {} more", counts.rejected - refused.len() as u64)?;
        }
        writeln!(
            out,
            "{} read: {} credited ({}), {} duplicates, {} rejected and kept as dead letters",
            grouped(counts.read),
            grouped(counts.credited),
            lingqian_core::money::Micros(counts.credited_micros),
            grouped(counts.duplicates),
            grouped(counts.rejected)
        )
    })?;
    Ok(ExitCode::SUCCESS)
}
