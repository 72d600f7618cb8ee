//! Dead letters: listed without their content, shown with it, given again or discarded.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use lingqian_core::earning::EarningEvent;
use lingqian_core::letter::LetterId;
use lingqian_core::{EventView, Outcome};
use lingqian_engine::ingest::{TOO_LONG, Unreadable, whole};
use lingqian_engine::letters::{self, Refusal};
use lingqian_io::store::{LetterRow, LetterWish};
use lingqian_io::{Browse as _, Ports};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::api::acts::{Body, act};
use crate::auth::Caller;
use crate::request::{self, Query, id};
use crate::wire::event::parse_event;
use crate::wire::rfc3339;
use crate::{Doors, Problem};

/// How what came through a door is read, by the door's name.
#[derive(Clone)]
pub struct LetterReader(Arc<ReadLetter>);

type ReadLetter = dyn Fn(&str, &[u8]) -> Result<EarningEvent, Unreadable> + Send + Sync;

impl LetterReader {
    /// A way to read.
    pub fn new(
        read: impl Fn(&str, &[u8]) -> Result<EarningEvent, Unreadable> + Send + Sync + 'static,
    ) -> LetterReader {
        LetterReader(Arc::new(read))
    }
}

impl Default for LetterReader {
    fn default() -> Self {
        LetterReader::new(|_, text| whole_event(text))
    }
}

impl std::fmt::Debug for LetterReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LetterReader")
    }
}

/// Reads an event in the form of the HTTP door, with every field checked.
///
/// # Errors
/// The first thing that is wrong, with the field that is to blame.
pub fn whole_event(text: &[u8]) -> Result<EarningEvent, Unreadable> {
    let event = parse_event(text)?;
    whole(&event.view())
}

/// Reads an event and hands it on without a copy of it: `take` is called once. Its fields are
/// well formed as soon as they are in a batch.
pub fn each_event(text: &[u8], take: &mut dyn FnMut(Result<&EventView<'_>, Unreadable>)) {
    match parse_event(text) {
        Ok(event) => take(Ok(&event.view())),
        Err(unreadable) => take(Err(unreadable)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replay {
    reason: String,
    #[serde(default)]
    event: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Discard {
    reason: String,
}

/// What may be seen in a list: where it came from and why it is there, not what it says.
fn line(row: &LetterRow) -> Value {
    let end = row.end.as_ref();
    json!({
        "id": row.id.as_str(),
        "door": row.letter.door,
        "position": row.letter.position,
        "code": row.letter.code,
        "at": rfc3339(row.letter.at),
        "times": row.times,
        "bytes": row.bytes,
        "state": row.fate().map_or("open", |fate| fate.name()),
        "ended_at": end.map(|end| rfc3339(end.at)),
        "event": end.map(|end| end.event.as_str()).filter(|event| !event.is_empty()),
    })
}

/// Inputs that were not credited, newest first: those that are open, or all.
pub(crate) async fn list<P: Ports>(
    State(doors): State<Doors<P>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::parse(query.as_deref(), &["limit", "state"])?;
    let limit = query.limit()?;
    let all = match query.get("state") {
        None | Some("open") => false,
        Some("all") => true,
        Some(_) => {
            let detail = "state is `open` (what is not given) or `all`";
            return Err(Problem::field("state", "parameter_invalid", detail));
        }
    };
    let rows = doors
        .ports
        .store()
        .letters(LetterWish { all, limit })
        .await?;
    Ok(Json(
        json!({ "data": rows.iter().map(line).collect::<Vec<_>>() }),
    ))
}

/// One of them, with what came: as text, and as bytes where it is none.
pub(crate) async fn show<P: Ports>(
    State(doors): State<Doors<P>>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let name = id("/id", &name, LetterId::parse)?;
    let row = doors.ports.store().letter(name).await?;
    let row = row.ok_or_else(|| Problem::not_found("dead letter"))?;
    let raw = &row.letter.raw;
    let mut value = line(&row);
    value["raw"] = json!(String::from_utf8_lossy(raw));
    let hex = || raw.iter().map(|byte| format!("{byte:02x}")).collect();
    value["raw_hex"] = json!(std::str::from_utf8(raw).err().map(|_| -> String { hex() }));
    value["cut"] = json!(TOO_LONG.contains(&row.letter.code.as_str()));
    Ok(Json(value))
}

/// Gives one again, as it came or mended.
pub(crate) async fn replay<P: Ports>(
    State(doors): State<Doors<P>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    (headers, body): (HeaderMap, Body),
) -> Result<Json<Value>, Problem> {
    let name = id("/id", &name, LetterId::parse)?;
    let body = request::body(body)?;
    let Replay { reason, event } = request::json(&headers, &body)?;
    let act = act(&caller, &reason)?;
    let mended = event.as_ref().map(|event| event.get().as_bytes());
    let read = |door: &str, text: &[u8]| (doors.settings.letters.0)(door, text);
    let outcome = letters::replay(&doors.ports, &doors.desk, (name.clone(), act), mended, read);
    let (status, amount) = match outcome.await.map_err(refused)? {
        Outcome::Credited { amount } => ("credited", Some(amount.0)),
        _ => ("duplicate", None),
    };
    Ok(Json(
        json!({ "id": name.as_str(), "state": "replayed", "status": status,
        "amount_micros": amount }),
    ))
}

/// Ends one of which nothing is to come.
pub(crate) async fn discard<P: Ports>(
    State(doors): State<Doors<P>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    (headers, body): (HeaderMap, Body),
) -> Result<Json<Value>, Problem> {
    let name = id("/id", &name, LetterId::parse)?;
    let Discard { reason } = request::json(&headers, &request::body(body)?)?;
    let act = act(&caller, &reason)?;
    let done = letters::discard(&doors.ports, &doors.desk, (name.clone(), act));
    done.await.map_err(refused)?;
    Ok(Json(json!({ "id": name.as_str(), "state": "discarded" })))
}

fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Absent => Problem::not_found("dead letter"),
        Refusal::Unreadable(unreadable) => {
            let field = unreadable.field.unwrap_or_default();
            let pointer = format!("/event/{field}");
            Problem::new(422, unreadable.code, unreadable.detail).at(&pointer)
        }
        Refusal::Rejected(rejection) => rejection.into(),
        Refusal::Fault(fault) => fault.into(),
    }
}
