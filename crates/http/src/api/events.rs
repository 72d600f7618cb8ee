//! Earning events: one, an array, or a stream of JSON lines of any length. One result each.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use lingqian_engine::ingest::{Door, Items, ingest};
use lingqian_io::Ports;
use serde_json::value::RawValue;

use crate::api::stream::streamed;
use crate::request::{self, content_type};
use crate::wire::event::parse_event;
use crate::wire::result::{self, Counts, RESULT_BYTES};
use crate::{Doors, Problem};

/// The most events that a JSON array may hold; a stream has no such limit.
const ARRAY_MAX: usize = 10_000;
/// This door on dead letters.
const DOOR: Door<'_> = Door {
    name: "http",
    unit: "index",
};

/// Credits events.
pub(crate) async fn post<P: Ports>(
    State(doors): State<Doors<P>>,
    request: Request,
) -> Result<Response, Problem> {
    if doors.desk.is_crowded() {
        let detail = "more events wait than should; nothing of this was taken, send it again";
        return Err(Problem::new(503, "overloaded", detail));
    }
    match content_type(request.headers()).as_str() {
        "application/x-ndjson" | "application/ndjson" => Ok(streamed(doors, request)),
        "application/json" => {
            let body = request::body(Bytes::from_request(request, &()).await)?;
            whole(&doors, &body).await
        }
        _ => Err(Problem::new(
            415,
            "content_type_wrong",
            "send `application/json` (one event or an array) or `application/x-ndjson`",
        )),
    }
}

/// Answers a body that is one JSON value.
async fn whole<P: Ports>(doors: &Doors<P>, body: &[u8]) -> Result<Response, Problem> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let items = if first == Some(&b'[') {
        array(body)?
    } else {
        one(body)?
    };
    let ingested = ingest(&doors.ports, &doors.desk, DOOR, body, items).await?;
    let mut out = Vec::with_capacity(128 + ingested.len() * RESULT_BYTES);
    let mut counts = Counts::default();
    out.extend_from_slice(br#"{"data":["#);
    for (index, what) in ingested.iter() {
        if index > 0 {
            out.push(b',');
        }
        counts.add(&what);
        result::write(&mut out, DOOR.unit, index, &what);
    }
    out.extend_from_slice(b"],");
    counts.write(&mut out);
    out.push(b'}');
    doors.metrics.ingested(counts);
    let mut response = Response::new(Body::from(out));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

/// A good event is read once; what is not one is looked at again for what to call it.
fn one(body: &[u8]) -> Result<Items, Problem> {
    let mut items = Items::default();
    match parse_event(body) {
        Ok(event) => {
            let start = body.len().saturating_sub(body.trim_ascii_start().len());
            let raw = start..body.trim_ascii_end().len();
            items.push(0, raw, Ok(&event.view()));
        }
        Err(unreadable) => {
            let raw: &RawValue =
                serde_json::from_slice(body).map_err(|error| malformed("JSON", &error))?;
            items.push(0, place_of(raw, body), Err(unreadable));
        }
    }
    Ok(items)
}

fn array(body: &[u8]) -> Result<Items, Problem> {
    let raws: Vec<&RawValue> =
        serde_json::from_slice(body).map_err(|error| malformed("a JSON array", &error))?;
    if raws.len() > ARRAY_MAX {
        let detail = "an array may hold 10,000 events; send more as JSON lines";
        return Err(Problem::new(413, "array_too_long", detail));
    }
    let mut items = Items::with_capacity(raws.len());
    for (index, raw) in (0..).zip(raws) {
        let place = place_of(raw, body);
        match parse_event(raw.get().as_bytes()) {
            Ok(event) => items.push(index, place, Ok(&event.view())),
            Err(unreadable) => items.push(index, place, Err(unreadable)),
        }
    }
    Ok(items)
}

fn malformed(what: &str, error: &serde_json::Error) -> Problem {
    let place = format!("line {} column {}", error.line(), error.column());
    Problem::field("", "malformed_json", format!("not {what}, at {place}"))
}

/// Where in the body a value lies that was borrowed from it.
fn place_of(raw: &RawValue, body: &[u8]) -> std::ops::Range<usize> {
    let text = raw.get();
    let start = text.as_ptr().addr().saturating_sub(body.as_ptr().addr());
    start..start + text.len()
}
