//! What came of an event as JSON, written by hand: a million a second leave no room for a tree.
//!
//! The members come in one order: place, status, then what belongs to the status.

use lingqian_engine::ingest::ItemResult;
use serde::Serialize;

/// A guess of the bytes that one result takes.
pub(crate) const RESULT_BYTES: usize = 64;

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) credited: u64,
    pub(crate) duplicates: u64,
    pub(crate) rejected: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, result: &ItemResult<'_>) {
        match result {
            ItemResult::Credited { .. } => self.credited += 1,
            ItemResult::Duplicate => self.duplicates += 1,
            ItemResult::Rejected { .. } => self.rejected += 1,
        }
    }

    pub(crate) fn add_all(&mut self, other: Counts) {
        self.credited += other.credited;
        self.duplicates += other.duplicates;
        self.rejected += other.rejected;
    }

    /// Writes `"summary":{...}` without braces around it.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#""summary":{"credited":"#);
        value(out, self.credited);
        out.extend_from_slice(br#","duplicates":"#);
        value(out, self.duplicates);
        out.extend_from_slice(br#","rejected":"#);
        value(out, self.rejected);
        out.push(b'}');
    }
}

/// Writes one result; `unit` says what the place counts.
pub(crate) fn write(out: &mut Vec<u8>, unit: &str, place: u64, result: &ItemResult<'_>) {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(unit.as_bytes());
    out.extend_from_slice(b"\":");
    value(out, place);
    match result {
        ItemResult::Credited { amount } => {
            out.extend_from_slice(br#","status":"credited","amount_micros":"#);
            value(out, amount.0);
        }
        ItemResult::Duplicate => out.extend_from_slice(br#","status":"duplicate""#),
        ItemResult::Rejected {
            code,
            field,
            detail,
        } => {
            out.extend_from_slice(br#","status":"rejected","code":"#);
            value(out, code);
            out.extend_from_slice(br#","field":"#);
            value(out, field);
            out.extend_from_slice(br#","detail":"#);
            value(out, detail);
        }
    }
    out.push(b'}');
}

/// A number or a text.
fn value(out: &mut Vec<u8>, value: impl Serialize) {
    let written = serde_json::to_writer(out, &value);
    written.expect("numbers and texts are JSON and a vector takes them");
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use lingqian_core::money::Micros;

    use super::*;

    fn written(unit: &str, result: &ItemResult<'_>) -> String {
        let mut out = Vec::new();
        write(&mut out, unit, 12, result);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn results_have_one_form() {
        let credited = ItemResult::Credited {
            amount: Micros(2_500),
        };
        assert_eq!(
            written("line", &credited),
            r#"{"line":12,"status":"credited","amount_micros":2500}"#
        );
        assert_eq!(
            written("index", &ItemResult::Duplicate),
            r#"{"index":12,"status":"duplicate"}"#
        );
        let rejected = ItemResult::Rejected {
            code: "malformed",
            field: None,
            detail: Cow::Borrowed("a \"quote\"\n"),
        };
        assert_eq!(
            written("line", &rejected),
            r#"{"line":12,"status":"rejected","code":"malformed","field":null,"detail":"a \"quote\"\n"}"#
        );
    }
}
