//! Entries as Apache Parquet, one group of rows in memory at a time.

use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;

use lingqian_sqlite::{Cell, Column, ENTRY_COLUMNS, Holds};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::{Sheet, Summary};

/// Rows of a group.
const GROUP_ROWS: usize = 50_000;

/// One column of the group that is being gathered.
#[derive(Default)]
struct Gathered {
    numbers: Vec<i64>,
    texts: Vec<ByteArray>,
    /// 1 for a value, 0 for none.
    levels: Vec<i16>,
    /// The text that came last: what is told again and again is kept once.
    last: Option<(Rc<str>, ByteArray)>,
}

impl Gathered {
    fn text(&mut self, text: &Rc<str>) {
        let same = |(known, _): &&(Rc<str>, ByteArray)| Rc::ptr_eq(known, text);
        let bytes = match self.last.as_ref().filter(same) {
            Some((_, bytes)) => bytes.clone(),
            None => ByteArray::from(text.as_bytes().to_vec()),
        };
        self.last = Some((Rc::clone(text), bytes.clone()));
        self.texts.push(bytes);
    }
}

/// A Parquet file.
pub(super) struct Parquet<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    columns: Vec<Gathered>,
    rows: usize,
}

fn field(column: &Column) -> anyhow::Result<Arc<Type>> {
    let repetition = if column.optional {
        Repetition::OPTIONAL
    } else {
        Repetition::REQUIRED
    };
    let (physical, logical) = match column.holds {
        Holds::Integer => (Physical::INT64, None),
        Holds::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let field = Type::primitive_type_builder(column.name, physical)
        .with_repetition(repetition)
        .with_logical_type(logical)
        .build()?;
    Ok(Arc::new(field))
}

impl<W: Write + Send> Parquet<W> {
    pub(super) fn begin(out: W) -> anyhow::Result<Parquet<W>> {
        let fields: anyhow::Result<Vec<_>> = ENTRY_COLUMNS.iter().map(field).collect();
        let schema = Type::group_type_builder("entries")
            .with_fields(fields?)
            .build()?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .build();
        Ok(Parquet {
            writer: SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?,
            columns: ENTRY_COLUMNS.iter().map(|_| Gathered::default()).collect(),
            rows: 0,
        })
    }

    /// Writes the group that was gathered.
    fn group(&mut self) -> anyhow::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for (column, gathered) in ENTRY_COLUMNS.iter().zip(&mut self.columns) {
            let Some(mut writer) = group.next_column()? else {
                anyhow::bail!("the file has fewer columns than an entry");
            };
            let levels = column.optional.then_some(gathered.levels.as_slice());
            match column.holds {
                Holds::Integer => {
                    let typed = writer.typed::<Int64Type>();
                    typed.write_batch(&gathered.numbers, levels, None)?;
                }
                Holds::Text => {
                    let typed = writer.typed::<ByteArrayType>();
                    typed.write_batch(&gathered.texts, levels, None)?;
                }
            }
            writer.close()?;
            gathered.numbers.clear();
            gathered.texts.clear();
            gathered.levels.clear();
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

impl<W: Write + Send> Sheet for Parquet<W> {
    fn entry(&mut self, cells: &[Cell]) -> anyhow::Result<()> {
        for (gathered, cell) in self.columns.iter_mut().zip(cells) {
            match cell {
                Cell::Empty => {}
                Cell::Integer(number) => gathered.numbers.push(*number),
                Cell::Text(text) => gathered.text(text),
            }
            gathered.levels.push(i16::from(*cell != Cell::Empty));
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS {
            self.group()?;
        }
        Ok(())
    }

    fn end(mut self: Box<Self>, summary: &Summary) -> anyhow::Result<()> {
        self.group()?;
        let words = serde_json::to_string(summary)?;
        let note = KeyValue::new("lingqian.summary".to_owned(), words);
        self.writer.append_key_value_metadata(note);
        self.writer.close()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::RowAccessor as _;

    use super::*;

    fn cells(seq: i64) -> Vec<Cell> {
        let columns = ENTRY_COLUMNS.iter().enumerate();
        columns
            .map(|(place, column)| match (column.optional, column.holds) {
                (true, _) if seq % 2 == 0 => Cell::Empty,
                (_, Holds::Integer) if place == 0 => Cell::Integer(seq),
                (_, Holds::Integer) => Cell::Integer(i64::MAX - seq),
                (_, Holds::Text) => Cell::Text(format!("{place} of {seq}").into()),
            })
            .collect()
    }

    #[test]
    fn groups_of_rows_read_back_as_they_were() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("entries.parquet");
        let file = std::fs::File::create(&path).expect("made");
        let mut sheet = Box::new(Parquet::begin(file).expect("begun"));
        let rows = i64::try_from(GROUP_ROWS).expect("small") + 3;
        for seq in 1..=rows {
            sheet.entry(&cells(seq)).expect("written");
        }
        let summary = Summary {
            entries: 7,
            sum_micros: 1 << 80,
            first_seq: Some(1),
            last_seq: None,
            chain_from: 1,
            chain_entries: 9,
            chain_head: "00".into(),
        };
        sheet.end(&summary).expect("whole");
        let reader = SerializedFileReader::new(std::fs::File::open(&path).expect("opens"));
        let reader = reader.expect("it is Parquet");
        assert_eq!(reader.num_row_groups(), 2);
        let notes = reader.metadata().file_metadata().key_value_metadata();
        let words = serde_json::to_string(&summary).expect("JSON");
        assert_eq!(notes.expect("a note")[0].value, Some(words));
        let mut seq = 0;
        for row in reader.get_row_iter(None).expect("reads") {
            let row = row.expect("a row");
            seq += 1;
            for (place, cell) in cells(seq).into_iter().enumerate() {
                match cell {
                    Cell::Empty => assert!(row.is_null(place).expect("a value")),
                    Cell::Integer(number) => {
                        assert_eq!(row.get_long(place).expect("a number"), number)
                    }
                    Cell::Text(text) => {
                        assert_eq!(row.get_string(place).expect("text").as_str(), &*text);
                    }
                }
            }
        }
        assert_eq!(seq, rows);
    }
}
