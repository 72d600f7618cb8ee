//! Results under names that carry their unit, once: an aligned table for people and JSON for
//! programs are two prints of the same sheet.

use std::io::Write;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::progress::grouped;

/// Sections of named values, in the order in which they were found.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    sections: Vec<(&'static str, Vec<(&'static str, Value)>)>,
}

impl Sheet {
    /// Begins a section.
    pub(crate) fn section(&mut self, name: &'static str) -> &mut Sheet {
        self.sections.push((name, Vec::new()));
        self
    }

    /// Writes a value down in the section that was begun last.
    pub(crate) fn put(&mut self, name: &'static str, value: impl Into<Value>) -> &mut Sheet {
        if let Some((_, lines)) = self.sections.last_mut() {
            lines.push((name, value.into()));
        }
        self
    }

    /// Several.
    pub(crate) fn put_all(&mut self, lines: Vec<(&'static str, Value)>) -> &mut Sheet {
        for (name, value) in lines {
            self.put(name, value);
        }
        self
    }

    /// The table.
    ///
    /// # Errors
    /// When the output is closed.
    pub(crate) fn tell(&self, out: &mut dyn Write) -> std::io::Result<()> {
        for (name, lines) in &self.sections {
            writeln!(out, "{}", words(name))?;
            for (name, value) in lines {
                match value {
                    Value::Array(rows) => columns(out, name, rows)?,
                    value => writeln!(out, "  {:<44} {:>16}", words(name), cell(value))?,
                }
            }
        }
        Ok(())
    }
}

/// Sections become objects.
impl Serialize for Sheet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let section = |lines: &Vec<(&'static str, Value)>| {
            let lines = lines.iter();
            lines
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect::<Map<String, Value>>()
        };
        let sections = self.sections.iter();
        serializer.collect_map(sections.map(|(name, lines)| (name, section(lines))))
    }
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}

fn cell(value: &Value) -> String {
    match value {
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => grouped(whole),
            (None, Some(fraction)) if fraction.abs() >= 100.0 => format!("{fraction:.0}"),
            (None, Some(fraction)) if fraction.abs() >= 10.0 => format!("{fraction:.1}"),
            (None, Some(fraction)) => format!("{fraction:.3}"),
            (None, None) => number.to_string(),
        },
        Value::String(text) => text.clone(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Null => "not known".to_owned(),
        other => other.to_string(),
    }
}

/// Rows of one shape beside each other.
fn columns(out: &mut dyn Write, name: &str, rows: &[Value]) -> std::io::Result<()> {
    writeln!(out, "  {}", words(name))?;
    let heads: Vec<&String> = rows
        .first()
        .and_then(Value::as_object)
        .map(|row| row.keys().collect())
        .unwrap_or_default();
    let wide = |head: &str| head.len().max(10);
    let head = heads
        .iter()
        .map(|head| format!("{:>1$}", words(head), wide(head)));
    writeln!(out, "    {}", head.collect::<Vec<_>>().join("  "))?;
    for row in rows {
        let cells = heads
            .iter()
            .map(|head| format!("{:>1$}", cell(&row[head.as_str()]), wide(head)));
        writeln!(out, "    {}", cells.collect::<Vec<_>>().join("  "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_and_the_json_say_the_same() {
        let mut sheet = Sheet::default();
        sheet
            .section("earn")
            .put("entries_per_second", 1_234_567_u64)
            .put("wait_ms", 1.25);
        sheet
            .section("state")
            .put("sound", true)
            .put("rows", json!([{ "a_ms": 1 }, { "a_ms": 20 }]));
        let mut text = Vec::new();
        sheet.tell(&mut text).expect("memory takes it");
        let text = String::from_utf8(text).expect("text");
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[1], ["entries", "per", "second", "1,234,567"]);
        assert_eq!(lines[2], ["wait", "ms", "1.250"]);
        assert_eq!(lines[4], ["sound", "yes"]);
        assert_eq!(lines[6], ["a", "ms"]);
        assert_eq!(lines[8], ["20"]);
        let value = serde_json::to_value(&sheet).expect("JSON");
        assert_eq!(value["earn"]["entries_per_second"], 1_234_567);
        assert_eq!(value["state"]["rows"][1]["a_ms"], 20);
    }
}
