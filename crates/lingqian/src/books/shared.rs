//! Books in PostgreSQL for commands that only look.

use std::fmt::Write as _;
use std::io;

use lingqian_core::time::BusinessDate;
use lingqian_io::Store as _;
use lingqian_io::store::Audited;
use lingqian_postgres::PostgresStore;
use lingqian_postgres::reading::Refused as Denied;
use lingqian_postgres::reading::{Answer, Kind, Reading, Stopped, Taker, Value};
use lingqian_sqlite::{Cell, Datum, ENTRY_COLUMNS, Exported, Refused, SqlAnswer, Take, Wanted};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::books::{Misfit, Proved};
use crate::store::StoreUrl;

/// One connection that only reads.
pub(crate) struct Shared {
    url: StoreUrl,
    reading: Reading,
}

/// Commands that look do one thing at a time, and wait for it.
fn wait<T>(work: impl Future<Output = T>) -> T {
    block_in_place(|| Handle::current().block_on(work))
}

impl Shared {
    /// Connects.
    ///
    /// # Errors
    /// When the database cannot be reached, or its tables are none of ours.
    pub(crate) fn open(url: &StoreUrl) -> anyhow::Result<Shared> {
        let reading = wait(Reading::open(url.shared()?))?;
        let url = url.clone();
        Ok(Shared { url, reading })
    }

    pub(crate) fn verify(
        &self,
        noted: Option<[u8; 32]>,
        each: impl FnMut(u64),
    ) -> anyhow::Result<Proved> {
        let verified = wait(self.reading.verify(noted, each))?;
        Ok(Proved {
            entries: verified.entries,
            links: verified.batches,
            link: "batches",
            head: verified.head,
            noted_at: verified.noted_at,
            misfit: verified.misfit.map(|misfit| Misfit {
                first: misfit.first,
                last: misfit.last,
                words: misfit.to_string(),
            }),
        })
    }

    pub(crate) fn audit(&self) -> anyhow::Result<Audited> {
        let audited = async {
            let store = PostgresStore::open(self.url.shared()?).await?;
            anyhow::Ok(store.audit().await?)
        };
        wait(audited)
    }

    pub(crate) fn export<T: Take<Error = anyhow::Error>>(
        &self,
        wanted: &Wanted,
        taker: &mut T,
    ) -> anyhow::Result<Exported> {
        let mut taking = Taking {
            wanted,
            taker,
            cells: Vec::with_capacity(ENTRY_COLUMNS.len()),
        };
        let exported = wait(self.reading.export(&mut taking));
        let exported = exported.map_err(|stopped| match stopped {
            Stopped::Books(fault) => fault.into(),
            Stopped::Taker(error) => error,
        })?;
        Ok(Exported {
            entries: exported.entries,
            sum_micros: exported.sum_micros,
            first_seq: exported.first_seq,
            last_seq: exported.last_seq,
            chain_from: u64::from(exported.verified.entries > 0),
            chain_entries: exported.verified.entries,
            chain_head: exported.verified.head,
        })
    }

    pub(crate) fn ask(&self, statement: &str, answer: &mut dyn SqlAnswer) -> Result<(), Refused> {
        let mut told = Told {
            answer,
            kinds: Vec::new(),
        };
        wait(self.reading.ask(statement, &mut told)).map_err(|denied| match denied {
            Denied::Statement(words) => Refused::Statement(words),
            Denied::Output(error) => Refused::Output(error),
        })
    }

    pub(crate) fn tables(&self) -> anyhow::Result<Vec<(String, String)>> {
        Ok(wait(self.reading.tables())?)
    }

    pub(crate) fn schema(&self, name: &str) -> anyhow::Result<Option<String>> {
        let tables = self.tables()?;
        let Some((_, words)) = tables.into_iter().find(|(known, _)| known == name) else {
            return Ok(None);
        };
        let mut text = format!("-- {words}\n{name} (\n");
        for column in wait(self.reading.columns(name))? {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {column}");
        }
        text.push_str(")\n");
        Ok(Some(text))
    }
}

/// Hands entries of the database to somebody who takes those of a file.
struct Taking<'t, T> {
    wanted: &'t Wanted,
    taker: &'t mut T,
    cells: Vec<Cell>,
}

impl<T: Take<Error = anyhow::Error>> Taker for Taking<'_, T> {
    type Error = anyhow::Error;

    fn wants(&self, seq: u64, day: BusinessDate) -> bool {
        self.wanted.fits(seq, day)
    }

    fn entry(&mut self, values: &[Value<'_>]) -> anyhow::Result<()> {
        self.cells.clear();
        self.cells.extend(values.iter().map(|value| match value {
            Value::Empty => Cell::Empty,
            Value::Integer(number) => Cell::Integer(*number),
            Value::Text(text) => Cell::Text((*text).into()),
        }));
        self.taker.entry(&self.cells)
    }

    fn at(&mut self, entries: u64) -> bool {
        self.taker.at(entries);
        self.wanted.to_seq.is_none_or(|to| entries < to)
    }
}

/// Tells an answer of the database to somebody who knows values of a file.
struct Told<'a> {
    answer: &'a mut dyn SqlAnswer,
    kinds: Vec<Kind>,
}

impl Answer for Told<'_> {
    fn columns(&mut self, columns: &[(&str, Kind)]) -> io::Result<()> {
        self.kinds = columns.iter().map(|(_, kind)| *kind).collect();
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        self.answer.columns(&names)
    }

    fn row(&mut self, values: &[Option<&str>]) -> io::Result<()> {
        let values = values.iter().zip(&self.kinds);
        let values: Vec<Datum<'_>> = values.map(|(text, kind)| datum(*text, *kind)).collect();
        self.answer.row(&values)
    }
}

fn datum(text: Option<&str>, kind: Kind) -> Datum<'_> {
    let Some(text) = text else {
        return Datum::Null;
    };
    match kind {
        Kind::Truth => Datum::Integer(i64::from(text == "t")),
        // A sum may be larger than what is one here; then its digits are told.
        Kind::Number => match (text.parse(), text.parse()) {
            (Ok(whole), _) => Datum::Integer(whole),
            (_, Ok(number)) if text.contains('.') => Datum::Real(number),
            _ => Datum::Text(text),
        },
        Kind::Text => Datum::Text(text),
    }
}
