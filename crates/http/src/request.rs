//! Requests, read strictly: what is not known is an error, not ignored.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, Uri};
use lingqian_core::id::IdFault;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::Problem;

/// The most that a page of a list holds.
pub(crate) const PAGE_MAX: u32 = 200;
/// What it holds when nobody says.
const PAGE_DEFAULT: u32 = 50;

/// A body that could be read at all.
pub(crate) fn body(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|rejection| {
        if rejection.status().as_u16() == 413 {
            Problem::new(
                413,
                "body_too_large",
                "the body is larger than the limit of 1 MiB",
            )
        } else {
            Problem::new(400, "body_unreadable", "the body could not be read")
        }
    })
}

/// The one value of a JSON body.
pub(crate) fn json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Problem> {
    if content_type(headers) != "application/json" {
        return Err(Problem::new(
            415,
            "content_type_wrong",
            "send the body with `Content-Type: application/json`",
        ));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    serde_path(&mut reader, body).and_then(|value| {
        reader.end().map(|()| value).map_err(|_| {
            Problem::field(
                "",
                "malformed_json",
                "there is more than one value in the body",
            )
        })
    })
}

fn serde_path<'a, T: DeserializeOwned>(
    reader: &mut serde_json::Deserializer<serde_json::de::SliceRead<'a>>,
    body: &[u8],
) -> Result<T, Problem> {
    T::deserialize(reader).map_err(|error| {
        let text = error.to_string();
        let field = text
            .split('`')
            .nth(1)
            .map(|field| format!("/{field}"))
            .unwrap_or_default();
        let code = match error.classify() {
            serde_json::error::Category::Syntax | serde_json::error::Category::Eof => {
                "malformed_json"
            }
            _ if text.starts_with("unknown field") => "field_unknown",
            _ if text.starts_with("missing field") => "field_missing",
            _ => return invalid::<T>(body, text),
        };
        Problem::field(&field, code, text)
    })
}

/// A value of another sort: the field is the one that does not read even when it is alone.
fn invalid<T: DeserializeOwned>(body: &[u8], text: String) -> Problem {
    let fields: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    let wrong = fields.into_iter().find_map(|(name, value)| {
        let alone = Map::from_iter([(name.clone(), value)]);
        let error = T::deserialize(Value::Object(alone)).err()?.to_string();
        (!error.starts_with("missing field")).then(|| format!("/{name}"))
    });
    Problem::field(&wrong.unwrap_or_default(), "field_invalid", text)
}

/// The media type without its parameters, in lower case.
pub(crate) fn content_type(headers: &HeaderMap) -> String {
    let value = headers
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    let media = value
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    media.trim().to_ascii_lowercase()
}

/// An address whose parts are texts and whose parameters are all known.
pub(crate) fn strict(uri: &Uri, known: &[&str]) -> Result<(), Problem> {
    if decode(uri.path()).is_none() {
        return Err(Problem::new(400, "path_malformed", "the path is not UTF-8"));
    }
    Query::parse(uri.query(), known).map(|_| ())
}

/// A typed id from text.
pub(crate) fn id<T>(
    pointer: &'static str,
    text: &str,
    parse: fn(&str) -> Result<T, IdFault>,
) -> Result<T, Problem> {
    parse(text).map_err(|fault| {
        let name = pointer.trim_start_matches('/');
        Problem::field(pointer, "malformed", format!("{name} {fault}"))
    })
}

/// Query parameters, each known by name and given once.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query of an address.
    pub(crate) fn parse(query: Option<&str>, known: &[&str]) -> Result<Query, Problem> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !known.contains(&name) {
                let list = known.join(", ");
                return Err(Problem::field(
                    name,
                    "parameter_unknown",
                    format!("this parameter is not known here; known are: {list}"),
                ));
            }
            if pairs.iter().any(|(given, _)| given == name) {
                return Err(Problem::field(
                    name,
                    "parameter_repeated",
                    "given more than once",
                ));
            }
            let value = decode(value).ok_or_else(|| {
                let detail = "not percent-encoded UTF-8";
                Problem::field(name, "parameter_invalid", detail)
            })?;
            pairs.push((name.to_owned(), value));
        }
        Ok(Query(pairs))
    }

    /// A parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }

    /// The number of a page's last row, where the cursor is that.
    pub(crate) fn cursor(&self) -> Result<Option<i64>, Problem> {
        let number = |text: &str| {
            let number = text.parse::<i64>().ok().filter(|number| *number > 0);
            let words = "hand back next_cursor as it came";
            number.ok_or_else(|| Problem::field("cursor", "cursor_invalid", words))
        };
        self.get("cursor").map(number).transpose()
    }

    /// The size of the page.
    pub(crate) fn limit(&self) -> Result<u32, Problem> {
        self.limit_of(PAGE_DEFAULT, PAGE_MAX)
    }

    /// The size of a page that is of another size than others.
    pub(crate) fn limit_of(&self, default: u32, most: u32) -> Result<u32, Problem> {
        let Some(text) = self.get("limit") else {
            return Ok(default);
        };
        let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
        limit.ok_or_else(|| {
            let detail = format!("limit must be a number from 1 to {most}");
            Problem::field("limit", "parameter_invalid", detail)
        })
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let hex = digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit);
                let digits = std::str::from_utf8(&digits).ok().filter(|_| hex)?;
                u8::from_str_radix(digits, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}
