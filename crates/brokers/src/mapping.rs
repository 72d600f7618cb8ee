//! Messages of other people's making to earning events: which field is what, in which version.

use std::collections::BTreeMap;

use lingqian_core::EventView;
use lingqian_core::earning::EarningEvent;
use lingqian_core::id::{EventId, IdFault, KindCode, Source, UserId};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::time::Timestamp;
use lingqian_engine::ingest::{Unreadable, whole};
use serde::Deserialize;
use serde_json::Value;

/// Takes an event that was read, or why it could not be; called once.
pub type Take<'t> = &'t mut dyn FnMut(Result<&EventView<'_>, Unreadable>);

/// How a message in our own form is read, without a copy of it.
pub type Plain = fn(&[u8], Take<'_>);

/// The longest message that can be an event, in bytes, unless the configuration says otherwise.
pub const BYTES_MAX: usize = 65_536;

/// Which field of a foreign message is which of ours. A name is a path such as `player.id`; one
/// that begins with `=` is not a name but the value itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// The source of the event.
    pub source: String,
    /// Its id.
    pub event_id: String,
    /// The user.
    pub user: String,
    /// The kind.
    pub kind: String,
    /// The amount in micro-yuan.
    #[serde(default)]
    pub amount_micros: Option<String>,
    /// The amount in fen.
    #[serde(default)]
    pub amount_fen: Option<String>,
    /// When it happened: a text after RFC 3339, or a number of milliseconds since 1970.
    #[serde(default)]
    pub occurred_at: Option<String>,
    /// The sender, of a kind between users.
    #[serde(default)]
    pub from: Option<String>,
    /// The event that is taken back.
    #[serde(default)]
    pub reverses: Option<String>,
    /// The version of the message's schema.
    #[serde(default)]
    pub schema: Option<String>,
    /// Names of kinds that have another name here.
    #[serde(default)]
    pub kinds: BTreeMap<String, String>,
}

/// Reads messages of one source.
#[derive(Clone, Debug)]
pub struct Reader {
    plain: Plain,
    map: Option<Map>,
    versions: Vec<String>,
    bytes_max: usize,
}

fn fault(code: &'static str, field: &str, detail: impl Into<String>) -> Unreadable {
    Unreadable {
        code,
        field: Some(field.to_owned()).filter(|field| !field.is_empty()),
        detail: detail.into(),
    }
}

impl Reader {
    /// A reader: of our own form, or by a map. Where `versions` is empty a message may bear any
    /// version, or none; otherwise one of these, or none.
    #[must_use]
    pub fn new(plain: Plain, map: Option<Map>, versions: Vec<String>, bytes_max: usize) -> Reader {
        Reader {
            plain,
            map,
            versions,
            bytes_max,
        }
    }

    /// The longest message that is read, in bytes.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Reads a message and hands on what is in it. `version` is what its header says of its schema.
    pub fn each(&self, version: Option<&str>, text: &[u8], take: Take<'_>) {
        if text.len() > self.bytes_max {
            let detail = format!("a message may have at most {} bytes", self.bytes_max);
            return take(Err(fault("too_large", "", detail)));
        }
        if let Err(unreadable) = self.check(version) {
            return take(Err(unreadable));
        }
        match &self.map {
            None => (self.plain)(text, take),
            Some(map) => match self.mapped(map, text) {
                Ok(event) => take(Ok(&EventView::from(&event))),
                Err(unreadable) => take(Err(unreadable)),
            },
        }
    }

    /// Reads a message whole.
    ///
    /// # Errors
    /// The first thing that is wrong, with the field that is to blame.
    pub fn read(&self, version: Option<&str>, text: &[u8]) -> Result<EarningEvent, Unreadable> {
        let mut read = Err(fault("malformed", "", "nothing was read"));
        self.each(version, text, &mut |event| read = event.and_then(whole));
        read
    }

    fn check(&self, version: Option<&str>) -> Result<(), Unreadable> {
        let known = |version: &str| self.versions.iter().any(|known| known == version);
        if self.versions.is_empty() || version.is_none_or(known) {
            return Ok(());
        }
        let known = self.versions.join(", ");
        let detail = format!("the schema's version is none of those that are read: {known}");
        Err(fault("schema_unknown", "schema", detail))
    }

    fn mapped(&self, map: &Map, text: &[u8]) -> Result<EarningEvent, Unreadable> {
        let value: Value = serde_json::from_slice(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let place = format!("not JSON, at line {line} column {column}");
            fault("malformed_json", "", place)
        })?;
        if !value.is_object() {
            return Err(fault("malformed_json", "", "a message is a JSON object"));
        }
        let words = |path: &Option<String>| {
            let path = path.as_deref();
            path.map_or(Ok(None), |path| text_at(&value, path))
        };
        self.check(words(&map.schema)?.as_deref())?;
        let need = |path: &str| {
            let lacks = || fault("field_missing", path, format!("{path} is missing"));
            text_at(&value, path)?.ok_or_else(lacks)
        };
        let kind = need(&map.kind)?;
        let kind = map.kinds.get(&kind).unwrap_or(&kind);
        let id = |path: &str, fault_: IdFault| fault("malformed", path, format!("{path} {fault_}"));
        let user = |path: &Option<String>| -> Result<Option<UserId>, Unreadable> {
            let text = words(path)?;
            let parsed = text.map(|text| UserId::parse(&text)).transpose();
            parsed.map_err(|fault| id(path.as_deref().unwrap_or_default(), fault))
        };
        let reverses = words(&map.reverses)?.map(|text| EventId::parse(&text));
        let reverses = reverses.transpose();
        Ok(EarningEvent {
            source: Source::parse(&need(&map.source)?).map_err(|f| id(&map.source, f))?,
            event_id: EventId::parse(&need(&map.event_id)?).map_err(|f| id(&map.event_id, f))?,
            user: UserId::parse(&need(&map.user)?).map_err(|f| id(&map.user, f))?,
            kind: KindCode::parse(kind).map_err(|f| id(&map.kind, f))?,
            amount: amount(map, &value)?,
            occurred_at: moment(map.occurred_at.as_deref(), &value)?,
            from: user(&map.from)?,
            reverses: reverses.map_err(|f| id(map.reverses.as_deref().unwrap_or_default(), f))?,
        })
    }
}

fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let found = path
        .split('.')
        .try_fold(value, |value, name| value.get(name));
    found.filter(|value| !value.is_null())
}

/// A text, or a whole number as text.
fn text_at(value: &Value, path: &str) -> Result<Option<String>, Unreadable> {
    if let Some(constant) = path.strip_prefix('=') {
        return Ok(Some(constant.to_owned()));
    }
    match at(value, path) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => {
            Ok(Some(number.to_string()))
        }
        Some(_) => {
            let detail = format!("{path} must be a string or a whole number");
            Err(fault("field_invalid", path, detail))
        }
    }
}

fn integer(value: &Value, path: &str) -> Result<Option<i64>, Unreadable> {
    let Some(found) = at(value, path) else {
        return Ok(None);
    };
    let wrong = || {
        let detail = format!("{path} must be an integer without point or quotes");
        fault("amount_not_integer", path, detail)
    };
    found.as_i64().map(Some).ok_or_else(wrong)
}

fn amount(map: &Map, value: &Value) -> Result<Option<Micros>, Unreadable> {
    let read = |path: &Option<String>| {
        let path = path.as_deref();
        path.map_or(Ok(None), |path| integer(value, path))
    };
    match (read(&map.amount_micros)?, read(&map.amount_fen)?) {
        (Some(_), Some(_)) => {
            let field = map.amount_fen.as_deref().unwrap_or_default();
            Err(fault("amount_twice", field, "an amount is given twice"))
        }
        (Some(micros), None) => Ok(Some(Micros(micros))),
        (None, Some(fen)) => {
            let field = map.amount_fen.as_deref().unwrap_or_default();
            let out = || {
                fault(
                    "amount_out_of_range",
                    field,
                    format!("{field} is out of range"),
                )
            };
            Fen(fen).micros().map(Some).ok_or_else(out)
        }
        (None, None) => Ok(None),
    }
}

fn moment(path: Option<&str>, value: &Value) -> Result<Option<Timestamp>, Unreadable> {
    let Some(path) = path else { return Ok(None) };
    let read = match at(value, path) {
        None => return Ok(None),
        Some(Value::String(text)) => {
            let at: Result<jiff::Timestamp, _> = text.parse();
            at.ok().map(|at| Timestamp(at.as_millisecond()))
        }
        Some(number) => number.as_i64().map(Timestamp),
    };
    let wrong = || {
        let detail = format!("{path} must be a time after RFC 3339, or milliseconds since 1970");
        fault("time_invalid", path, detail)
    };
    read.map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader() -> Reader {
        let map: Map = serde_json::from_str(
            r#"{"source":"=orders","event_id":"id","user":"player.uid","kind":"type",
                "amount_fen":"reward.cents","occurred_at":"ts","schema":"v",
                "kinds":{"watched":"ad_view"}}"#,
        )
        .expect("a map");
        let plain: Plain = |_, take| take(Err(fault("never", "", "a map is there")));
        Reader::new(plain, Some(map), vec!["1".into(), "2".into()], 200)
    }

    fn refused(text: &str) -> (&'static str, Option<String>) {
        let fault = reader().read(None, text.as_bytes()).expect_err(text);
        (fault.code, fault.field)
    }

    #[test]
    fn foreign_fields_become_ours() {
        let text = br#"{"v":2,"id":17,"player":{"uid":"u1"},"type":"watched",
            "reward":{"cents":3},"ts":1772446507000,"more":[1]}"#;
        let event = reader().read(None, text).expect("it reads");
        assert_eq!(
            (event.source.as_str(), event.event_id.as_str()),
            ("orders", "17")
        );
        assert_eq!(
            (event.user.as_str(), event.kind.as_str()),
            ("u1", "ad_view")
        );
        assert_eq!(event.amount, Some(Micros(30_000)));
        assert_eq!(event.occurred_at, Some(Timestamp(1_772_446_507_000)));
    }

    #[test]
    fn what_is_wrong_is_named_as_the_sender_names_it() {
        let field = |name: &str| Some(name.to_owned());
        assert_eq!(refused("{"), ("malformed_json", None));
        assert_eq!(refused("[]"), ("malformed_json", None));
        assert_eq!(refused(r#"{"v":3}"#), ("schema_unknown", field("schema")));
        assert_eq!(
            refused(r#"{"v":1,"id":"a"}"#),
            ("field_missing", field("type"))
        );
        let with = |more: &str| {
            let text = format!(r#"{{"type":"t","id":"a","player":{{"uid":"u"}},{more}}}"#);
            refused(&text)
        };
        let cents = r#""reward":{"cents":1.5}"#;
        assert_eq!(with(cents), ("amount_not_integer", field("reward.cents")));
        assert_eq!(with(r#""ts":"soon""#), ("time_invalid", field("ts")));
        let user = r#"{"type":"t","id":"a","player":{"uid":"a b"}}"#;
        assert_eq!(refused(user), ("malformed", field("player.uid")));
        assert_eq!(refused(&"x".repeat(201)), ("too_large", None));
        let header = reader().read(Some("9"), b"{}").expect_err("a version");
        assert_eq!(header.code, "schema_unknown");
    }
}
