//! Answers of SQL as people and programs read them: aligned tables, CSV, JSON.

use std::fmt::Write as _;
use std::io::{self, Write};

use lingqian_sqlite::{Datum, SqlAnswer};

/// A plain table measures so many rows before it prints the first of them.
const MEASURED: usize = 1_000;

/// A value as text.
fn text(value: &Datum<'_>) -> String {
    match value {
        Datum::Null => String::new(),
        Datum::Integer(number) => number.to_string(),
        Datum::Real(number) => number.to_string(),
        Datum::Text(text) => (*text).to_owned(),
        Datum::Bytes(bytes) => {
            bytes.iter().fold(String::from("x'"), |mut text, byte| {
                // Writing to a string cannot fail.
                let _ = write!(text, "{byte:02x}");
                text
            }) + "'"
        }
    }
}

/// An aligned table.
pub(crate) struct Plain<W: Write> {
    out: W,
    names: Vec<String>,
    widths: Vec<usize>,
    /// Rows that were not printed yet, each value with whether it stands at the right.
    rows: Vec<Vec<(String, bool)>>,
    begun: bool,
    count: u64,
}

impl<W: Write> Plain<W> {
    pub(crate) fn new(out: W) -> Plain<W> {
        Plain {
            out,
            names: Vec::new(),
            widths: Vec::new(),
            rows: Vec::new(),
            begun: false,
            count: 0,
        }
    }

    fn print(&mut self) -> io::Result<()> {
        if !self.begun {
            self.begun = true;
            let names: Vec<(String, bool)> = self
                .names
                .iter()
                .map(|name| (name.clone(), false))
                .collect();
            self.line(&names)?;
            let rule: Vec<(String, bool)> = self
                .widths
                .iter()
                .map(|width| ("-".repeat(*width), false))
                .collect();
            self.line(&rule)?;
        }
        for row in std::mem::take(&mut self.rows) {
            self.line(&row)?;
        }
        Ok(())
    }

    fn line(&mut self, values: &[(String, bool)]) -> io::Result<()> {
        let mut line = String::new();
        for (place, ((value, right), width)) in values.iter().zip(&self.widths).enumerate() {
            let room = " ".repeat(width.saturating_sub(value.chars().count()));
            if place > 0 {
                line.push_str("  ");
            }
            if *right {
                line.push_str(&room);
            }
            line.push_str(value);
            if !*right {
                line.push_str(&room);
            }
        }
        writeln!(self.out, "{}", line.trim_end())
    }

    /// Prints what is left.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.print()?;
        let rows = if self.count == 1 { "row" } else { "rows" };
        writeln!(self.out, "({} {rows})", self.count)
    }
}

impl<W: Write> SqlAnswer for Plain<W> {
    fn columns(&mut self, names: &[&str]) -> io::Result<()> {
        self.names = names.iter().map(|name| (*name).to_owned()).collect();
        self.widths = names.iter().map(|name| name.chars().count()).collect();
        Ok(())
    }

    fn row(&mut self, values: &[Datum<'_>]) -> io::Result<()> {
        self.count += 1;
        let mut row = Vec::with_capacity(values.len());
        for (value, width) in values.iter().zip(&mut self.widths) {
            let right = matches!(value, Datum::Integer(_) | Datum::Real(_));
            // A line is a line.
            let text = text(value).replace(['\n', '\r', '\t'], " ");
            if !self.begun {
                *width = (*width).max(text.chars().count());
            }
            row.push((text, right));
        }
        self.rows.push(row);
        if self.begun || self.rows.len() >= MEASURED {
            self.print()?;
        }
        Ok(())
    }
}

/// Comma-separated values (RFC 4180) with a header.
pub(crate) struct Csv<W: Write> {
    out: W,
}

/// Writes one value of a line of CSV.
pub(crate) fn csv_value(out: &mut impl Write, text: &str) -> io::Result<()> {
    let plain = |byte: u8| !matches!(byte, b',' | b'"' | b'\n' | b'\r');
    if text.bytes().all(plain) {
        return out.write_all(text.as_bytes());
    }
    write!(out, "\"{}\"", text.replace('"', "\"\""))
}

impl<W: Write> Csv<W> {
    pub(crate) fn new(out: W) -> Csv<W> {
        Csv { out }
    }

    fn line<'a>(&mut self, values: impl Iterator<Item = &'a str>) -> io::Result<()> {
        for (place, value) in values.enumerate() {
            if place > 0 {
                self.out.write_all(b",")?;
            }
            csv_value(&mut self.out, value)?;
        }
        self.out.write_all(b"\n")
    }
}

impl<W: Write> SqlAnswer for Csv<W> {
    fn columns(&mut self, names: &[&str]) -> io::Result<()> {
        self.line(names.iter().copied())
    }

    fn row(&mut self, values: &[Datum<'_>]) -> io::Result<()> {
        let texts: Vec<String> = values.iter().map(text).collect();
        self.line(texts.iter().map(String::as_str))
    }
}

/// An array of objects, one a line.
pub(crate) struct Json<W: Write> {
    out: W,
    names: Vec<String>,
    begun: bool,
}

impl<W: Write> Json<W> {
    pub(crate) fn new(out: W) -> Json<W> {
        Json {
            out,
            names: Vec::new(),
            begun: false,
        }
    }

    /// Closes the array.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        let close = if self.begun { "\n]" } else { "[]" };
        writeln!(self.out, "{close}")
    }
}

impl<W: Write> SqlAnswer for Json<W> {
    fn columns(&mut self, names: &[&str]) -> io::Result<()> {
        self.names = names.iter().map(|name| (*name).to_owned()).collect();
        Ok(())
    }

    fn row(&mut self, values: &[Datum<'_>]) -> io::Result<()> {
        let open = if self.begun { ",\n{" } else { "[\n{" };
        self.begun = true;
        self.out.write_all(open.as_bytes())?;
        for (place, (name, value)) in self.names.iter().zip(values).enumerate() {
            if place > 0 {
                self.out.write_all(b",")?;
            }
            serde_json::to_writer(&mut self.out, name)?;
            self.out.write_all(b":")?;
            match value {
                Datum::Null => self.out.write_all(b"null")?,
                Datum::Integer(number) => write!(self.out, "{number}")?,
                Datum::Real(number) => serde_json::to_writer(&mut self.out, number)?,
                value => serde_json::to_writer(&mut self.out, &text(value))?,
            }
        }
        self.out.write_all(b"}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [[Datum<'_>; 3]; 2] = [
        [Datum::Integer(7), Datum::Text("a,\"b\"\nc"), Datum::Null],
        [
            Datum::Integer(-12),
            Datum::Text("零钱"),
            Datum::Bytes(&[1, 255]),
        ],
    ];

    fn feed(answer: &mut dyn SqlAnswer) {
        answer.columns(&["n", "words", "x"]).expect("written");
        ROWS.iter()
            .for_each(|row| answer.row(row).expect("written"));
    }

    #[test]
    fn an_answer_is_printed_in_each_form() {
        let (mut plain, mut csv, mut json) = (Vec::new(), Vec::new(), Vec::new());
        let mut table = Plain::new(&mut plain);
        feed(&mut table);
        table.end().expect("written");
        feed(&mut Csv::new(&mut csv));
        let mut list = Json::new(&mut json);
        feed(&mut list);
        list.end().expect("written");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        assert_eq!(
            text(plain),
            "n    words    x\n---  -------  -------\n  7  a,\"b\" c\n-12  零钱       \
             x'01ff'\n(2 rows)\n"
        );
        assert_eq!(
            text(csv),
            "n,words,x\n7,\"a,\"\"b\"\"\nc\",\n-12,零钱,x'01ff'\n"
        );
        let json: serde_json::Value = serde_json::from_str(&text(json)).expect("JSON");
        assert_eq!(json[0]["words"], "a,\"b\"\nc");
        assert_eq!(
            (&json[1]["n"], &json[0]["x"]),
            (&(-12).into(), &serde_json::Value::Null)
        );
    }
}
