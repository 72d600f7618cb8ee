//! Entries as CSV and as JSON lines. An empty value is empty in CSV and `null` in JSON.

use std::io::{BufWriter, Write};

use lingqian_sqlite::{Cell, ENTRY_COLUMNS};

use super::{Sheet, Summary};
use crate::table::csv_value;

/// Comma-separated values.
pub(super) struct Csv<W: Write> {
    out: BufWriter<W>,
}

impl<W: Write> Csv<W> {
    pub(super) fn begin(out: W) -> anyhow::Result<Csv<W>> {
        let mut out = BufWriter::new(out);
        let names = ENTRY_COLUMNS.map(|column| column.name).join(",");
        writeln!(out, "{names}")?;
        Ok(Csv { out })
    }
}

impl<W: Write> Sheet for Csv<W> {
    fn entry(&mut self, cells: &[Cell]) -> anyhow::Result<()> {
        for (place, cell) in cells.iter().enumerate() {
            if place > 0 {
                self.out.write_all(b",")?;
            }
            match cell {
                Cell::Empty => {}
                Cell::Integer(number) => write!(self.out, "{number}")?,
                Cell::Text(text) => csv_value(&mut self.out, text)?,
            }
        }
        Ok(self.out.write_all(b"\n")?)
    }

    fn end(mut self: Box<Self>, _summary: &Summary) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }
}

/// One JSON object a line.
pub(super) struct Ndjson<W: Write> {
    out: BufWriter<W>,
}

impl<W: Write> Ndjson<W> {
    pub(super) fn new(out: W) -> Ndjson<W> {
        Ndjson {
            out: BufWriter::new(out),
        }
    }
}

impl<W: Write> Sheet for Ndjson<W> {
    fn entry(&mut self, cells: &[Cell]) -> anyhow::Result<()> {
        for (place, (column, cell)) in ENTRY_COLUMNS.iter().zip(cells).enumerate() {
            let open = if place == 0 { "{" } else { "," };
            write!(self.out, "{open}\"{}\":", column.name)?;
            match cell {
                Cell::Empty => self.out.write_all(b"null")?,
                Cell::Integer(number) => write!(self.out, "{number}")?,
                Cell::Text(text) => serde_json::to_writer(&mut self.out, text.as_ref())?,
            }
        }
        Ok(self.out.write_all(b"}\n")?)
    }

    fn end(mut self: Box<Self>, _summary: &Summary) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }
}
