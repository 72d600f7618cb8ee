//! One earning event as JSON: a fast way for good lines, and a slow one that explains bad ones.

use std::borrow::Cow;

use lingqian_core::EventView;
use lingqian_core::money::{Fen, Micros};
use lingqian_core::time::Timestamp;
use lingqian_engine::ingest::Unreadable;
use serde::Deserialize;
use serde_json::Value;

/// A text that is borrowed where nothing in it is escaped, also within an option.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    event_id: Cow<'a, str>,
    #[serde(borrow)]
    user: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    amount_micros: Option<i64>,
    amount_fen: Option<i64>,
    #[serde(borrow)]
    occurred_at: Option<Text<'a>>,
    #[serde(borrow)]
    from: Option<Text<'a>>,
    #[serde(borrow)]
    reverses: Option<Text<'a>>,
}

/// Every field; the first four are needed.
const FIELDS: [&str; 9] = [
    "source",
    "event_id",
    "user",
    "kind",
    "amount_micros",
    "amount_fen",
    "occurred_at",
    "from",
    "reverses",
];

/// An event as it was read: its numbers are understood, its texts are not checked yet.
#[derive(Debug)]
pub struct WireEvent<'a> {
    wire: Wire<'a>,
    amount: Option<Micros>,
    occurred_at: Option<Timestamp>,
}

impl WireEvent<'_> {
    /// What it says.
    #[must_use]
    pub fn view(&self) -> EventView<'_> {
        EventView {
            source: &self.wire.source,
            event_id: &self.wire.event_id,
            user: &self.wire.user,
            kind: &self.wire.kind,
            amount: self.amount,
            occurred_at: self.occurred_at,
            from: self.wire.from.as_ref().map(|text| &*text.0),
            reverses: self.wire.reverses.as_ref().map(|text| &*text.0),
        }
    }
}

fn fault(code: &'static str, field: Option<&str>, detail: impl Into<String>) -> Unreadable {
    Unreadable {
        code,
        field: field.map(str::to_owned),
        detail: detail.into(),
    }
}

/// Reads one event.
///
/// # Errors
/// The first thing that is wrong, with the field that is to blame.
pub fn parse_event(text: &[u8]) -> Result<WireEvent<'_>, Unreadable> {
    let wire: Wire<'_> = serde_json::from_slice(text).map_err(|error| explain(text, &error))?;
    let amount = match (wire.amount_micros, wire.amount_fen) {
        (Some(_), Some(_)) => {
            return Err(fault(
                "amount_twice",
                Some("amount_fen"),
                "give amount_micros or amount_fen, not both",
            ));
        }
        (Some(micros), None) => Some(Micros(micros)),
        (None, Some(fen)) => Some(Fen(fen).micros().ok_or_else(|| {
            fault(
                "amount_out_of_range",
                Some("amount_fen"),
                "amount_fen is out of range",
            )
        })?),
        (None, None) => None,
    };
    let occurred_at = wire.occurred_at.as_ref();
    let occurred_at = occurred_at.map(|Text(text)| moment(text)).transpose()?;
    Ok(WireEvent {
        wire,
        amount,
        occurred_at,
    })
}

fn moment(text: &str) -> Result<Timestamp, Unreadable> {
    let at: Result<jiff::Timestamp, _> = text.parse();
    at.map(|at| Timestamp(at.as_millisecond())).map_err(|_| {
        fault(
            "time_invalid",
            Some("occurred_at"),
            "occurred_at must be like 2026-03-02T10:15:07Z or 2026-03-02T18:15:07+08:00",
        )
    })
}

fn explain(text: &[u8], error: &serde_json::Error) -> Unreadable {
    let value: Value = match serde_json::from_slice(text) {
        Ok(value) => value,
        Err(error) => {
            let column = error.column();
            return fault(
                "malformed_json",
                None,
                format!("not JSON, at column {column}"),
            );
        }
    };
    let Some(map) = value.as_object() else {
        return fault("malformed_json", None, "an event is a JSON object");
    };
    if let Some(name) = map.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        let list = FIELDS.join(", ");
        let name: String = name.chars().take(64).collect();
        return fault(
            "field_unknown",
            Some(&name),
            format!("known fields are {list}"),
        );
    }
    for field in FIELDS {
        let value = map.get(field).filter(|value| !value.is_null());
        let optional = !FIELDS[..4].contains(&field);
        let problem = match (value, field) {
            (None, _) if optional => None,
            (None, _) => Some(("field_missing", format!("{field} is missing"))),
            (Some(value), "amount_micros" | "amount_fen") if value.is_u64() && !value.is_i64() => {
                Some(("amount_out_of_range", format!("{field} is out of range")))
            }
            (Some(value), "amount_micros" | "amount_fen") if !value.is_i64() => Some((
                "amount_not_integer",
                format!("{field} must be an integer without point or quotes"),
            )),
            (Some(_), "amount_micros" | "amount_fen") => None,
            (Some(value), _) if !value.is_string() => {
                Some(("field_invalid", format!("{field} must be a string")))
            }
            (Some(_), _) => None,
        };
        if let Some((code, detail)) = problem {
            return fault(code, Some(field), detail);
        }
    }
    fault("field_invalid", None, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (&'static str, Option<String>) {
        let fault = parse_event(text.as_bytes()).expect_err(text);
        (fault.code, fault.field)
    }

    const GOOD: &str = r#""source":"app","event_id":"e1","user":"u1","kind":"ad_view""#;

    #[test]
    fn a_good_line_reads_with_either_unit() {
        let read = |text: &str| {
            let event = parse_event(text.as_bytes());
            let event = event.unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
            (event.amount, event.occurred_at)
        };
        let micros = read(&format!(r#"{{{GOOD},"amount_micros":2500}}"#));
        assert_eq!(micros, (Some(Micros(2_500)), None));
        let fen = read(&format!(r#"{{{GOOD},"amount_fen":3}}"#));
        assert_eq!(fen, (Some(Micros(30_000)), None));
        let none = format!(r#"{{{GOOD},"occurred_at":"2026-03-02T18:15:07+08:00"}}"#);
        assert_eq!(read(&none), (None, Some(Timestamp(1_772_446_507_000))));
    }

    #[test]
    fn each_bad_line_names_its_field() {
        let field = |name: &str| Some(name.to_owned());
        assert_eq!(refused("{"), ("malformed_json", None));
        assert_eq!(refused("[1]"), ("malformed_json", None));
        assert_eq!(
            refused(r#"{"source":"a"}"#),
            ("field_missing", field("event_id"))
        );
        let with = |tail: &str| refused(&format!("{{{GOOD},{tail}}}"));
        assert_eq!(with(r#""amount":1"#), ("field_unknown", field("amount")));
        assert_eq!(
            with(r#""amount_micros":1.5"#),
            ("amount_not_integer", field("amount_micros"))
        );
        assert_eq!(
            with(r#""amount_micros":"5""#),
            ("amount_not_integer", field("amount_micros"))
        );
        assert_eq!(
            with(r#""amount_fen":1e3"#),
            ("amount_not_integer", field("amount_fen"))
        );
        let both = r#""amount_fen":1,"amount_micros":1"#;
        assert_eq!(with(both), ("amount_twice", field("amount_fen")));
        assert_eq!(
            with(r#""occurred_at":"yesterday""#),
            ("time_invalid", field("occurred_at"))
        );
        assert_eq!(with(r#""from":7"#), ("field_invalid", field("from")));
        assert_eq!(
            with(r#""reverses":["e0"]"#),
            ("field_invalid", field("reverses"))
        );
    }
}
