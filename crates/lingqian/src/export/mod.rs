//! Files of entries for somebody else: CSV, JSON lines, Parquet. All in constant memory.

mod parquet;
mod text;

use std::io::Write;

use clap::ValueEnum;
use lingqian_sqlite::{Cell, Exported};
use serde::Serialize;

use crate::commands::ledger::hex;

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Comma-separated values with a header (RFC 4180).
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet, compressed with Snappy.
    Parquet,
}

/// What ties a file to the books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    /// Entries in the file.
    pub(crate) entries: u64,
    /// What they moved, all together.
    pub(crate) sum_micros: i128,
    /// The first of them.
    pub(crate) first_seq: Option<u64>,
    /// The last of them.
    pub(crate) last_seq: Option<u64>,
    /// The first entry that was looked at.
    pub(crate) chain_from: u64,
    /// The last entry of the books that was looked at.
    pub(crate) chain_entries: u64,
    /// The head of the chain there, for `lingqian ledger verify --head`.
    pub(crate) chain_head: String,
}

impl From<&Exported> for Summary {
    fn from(exported: &Exported) -> Summary {
        Summary {
            entries: exported.entries,
            sum_micros: exported.sum_micros,
            first_seq: exported.first_seq,
            last_seq: exported.last_seq,
            chain_from: exported.chain_from,
            chain_entries: exported.chain_entries,
            chain_head: hex(&exported.chain_head),
        }
    }
}

/// A file that is being written.
pub(crate) trait Sheet {
    /// One entry more.
    ///
    /// # Errors
    /// When it cannot be written.
    fn entry(&mut self, cells: &[Cell]) -> anyhow::Result<()>;

    /// The file is whole.
    ///
    /// # Errors
    /// When it cannot be written.
    fn end(self: Box<Self>, summary: &Summary) -> anyhow::Result<()>;
}

/// Begins a file.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn begin<W: Write + Send + 'static>(
    format: Format,
    out: W,
) -> anyhow::Result<Box<dyn Sheet>> {
    Ok(match format {
        Format::Csv => Box::new(text::Csv::begin(out)?),
        Format::Ndjson => Box::new(text::Ndjson::new(out)),
        Format::Parquet => Box::new(parquet::Parquet::begin(out)?),
    })
}
