//! Earning events: one, an array, or a stream of JSON lines of any length. One result each.

use axum::Json;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use lingqian_engine::ingest::{Item, ItemResult, Unreadable, ingest};
use lingqian_io::{Fault, Ports};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::request::{self, content_type};
use crate::wire::event::parse_event;
use crate::{Doors, Problem};

/// The most events that a JSON array may hold; a stream has no such limit.
const ARRAY_MAX: usize = 10_000;
/// Lines of a stream that share a commit.
const LINES_MAX: usize = 2_000;
/// Bytes of a stream that share a commit, but for the last line.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// A line without an end ends the stream after so many times its limit.
const SKIP_MAX: usize = 16;
/// The name of this door on dead letters.
const DOOR: &str = "http";

/// Credits events.
pub(crate) async fn post<P: Ports>(
    State(doors): State<Doors<P>>,
    request: Request,
) -> Result<Response, Problem> {
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

async fn whole<P: Ports>(doors: &Doors<P>, body: &[u8]) -> Result<Response, Problem> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let raws: Vec<&RawValue> = if first == Some(&b'[') {
        serde_json::from_slice(body).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            Problem::field(
                "",
                "malformed_json",
                format!("not a JSON array, at {place}"),
            )
        })?
    } else {
        let one = serde_json::from_slice(body).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            Problem::field("", "malformed_json", format!("not JSON, at {place}"))
        })?;
        vec![one]
    };
    if raws.len() > ARRAY_MAX {
        let detail = "an array may hold 10,000 events; send more as JSON lines";
        return Err(Problem::new(413, "array_too_long", detail));
    }
    let item =
        |(index, raw): (usize, &&RawValue)| item(format!("index {index}"), raw.get().as_bytes());
    let results = ingest(
        &doors.ports,
        &doors.desk,
        DOOR,
        raws.iter().enumerate().map(item).collect(),
    )
    .await?;
    let mut counts = Counts::default();
    let data: Vec<Value> = results
        .iter()
        .enumerate()
        .map(|(index, result)| {
            counts.add(result);
            shown("index", index, result)
        })
        .collect();
    doors
        .metrics
        .ingested(counts.credited, counts.duplicates, counts.rejected);
    Ok(Json(json!({ "data": data, "summary": counts.shown() })).into_response())
}

fn item(position: String, raw: &[u8]) -> Item {
    Item {
        position,
        event: parse_event(raw),
        raw: raw.to_vec(),
    }
}

#[derive(Default)]
struct Counts {
    credited: u64,
    duplicates: u64,
    rejected: u64,
}

impl Counts {
    fn add(&mut self, result: &ItemResult) {
        match result {
            ItemResult::Credited { .. } => self.credited += 1,
            ItemResult::Duplicate => self.duplicates += 1,
            ItemResult::Rejected { .. } => self.rejected += 1,
        }
    }

    fn shown(&self) -> Value {
        json!({
            "credited": self.credited,
            "duplicates": self.duplicates,
            "rejected": self.rejected,
        })
    }
}

fn shown(place: &str, index: usize, result: &ItemResult) -> Value {
    let mut value = match result {
        ItemResult::Credited { amount } => {
            json!({ "status": "credited", "amount_micros": amount.0 })
        }
        ItemResult::Duplicate => json!({ "status": "duplicate" }),
        ItemResult::Rejected {
            code,
            field,
            detail,
        } => {
            json!({ "status": "rejected", "code": code, "field": field, "detail": detail })
        }
    };
    value[place] = json!(index);
    value
}

/// What is left of a stream, cut into lines.
struct Lines<P> {
    doors: Doors<P>,
    body: BodyDataStream,
    rest: Vec<u8>,
    /// Bytes of the line in `rest` that were beyond the limit and were dropped.
    skipped: usize,
    /// Bytes of the lines that were cut off and not answered.
    gathered: usize,
    /// The number of the last line that was answered, from 1.
    line: usize,
    counts: Counts,
    over: bool,
}

/// Answers one line for each line, as they are committed, and a summary at the end.
fn streamed<P: Ports>(doors: Doors<P>, request: Request) -> Response {
    let body = request.into_body().into_data_stream();
    let counts = Counts::default();
    let lines = Lines {
        doors,
        body,
        rest: Vec::new(),
        skipped: 0,
        gathered: 0,
        line: 0,
        counts,
        over: false,
    };
    let answers = stream::unfold(lines, |mut lines| async move {
        if lines.over {
            return None;
        }
        let chunk = lines.next_answers().await;
        Some((Ok::<Bytes, std::io::Error>(chunk), lines))
    });
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (StatusCode::OK, headers, Body::from_stream(answers)).into_response()
}

impl<P: Ports> Lines<P> {
    async fn next_answers(&mut self) -> Bytes {
        let mut items = Vec::new();
        let mut broken = None;
        self.gathered = 0;
        let skip_max = self.doors.settings.line_max.saturating_mul(SKIP_MAX);
        while items.len() < LINES_MAX && self.gathered < BATCH_BYTES_MAX {
            if self.skipped > skip_max {
                broken = Some("a line has no end; nothing from it on was read");
                self.over = true;
                break;
            }
            // A sender who waits for answers gets them before more lines are waited for.
            let next = match self.body.next().now_or_never() {
                Some(next) => next,
                None if !items.is_empty() => break,
                None => self.body.next().await,
            };
            match next {
                Some(Ok(chunk)) => self.take_chunk(&chunk, &mut items),
                Some(Err(_)) => {
                    broken = Some("the stream broke off; send the rest again");
                    self.rest.clear();
                    self.over = true;
                    break;
                }
                None => {
                    self.over = true;
                    if !self.rest.is_empty() {
                        let line = std::mem::take(&mut self.rest);
                        self.push(&line, &mut items);
                    }
                    break;
                }
            }
        }
        self.answer(items, broken).await
    }

    /// Cuts whole lines off without moving the rest for each.
    fn take_chunk(&mut self, chunk: &[u8], items: &mut Vec<Item>) {
        let mut chunk = chunk;
        while let Some(end) = chunk.iter().position(|byte| *byte == b'\n') {
            let (head, tail) = chunk.split_at(end);
            if self.rest.is_empty() {
                self.push(head, items);
            } else {
                let mut line = std::mem::take(&mut self.rest);
                line.extend_from_slice(head);
                self.push(&line, items);
            }
            self.skipped = 0;
            chunk = tail.get(1..).unwrap_or_default();
        }
        // One byte over the limit is enough to know that the line is too long.
        let room = (self.doors.settings.line_max + 1).saturating_sub(self.rest.len());
        let (kept, dropped) = chunk.split_at(room.min(chunk.len()));
        self.rest.extend_from_slice(kept);
        self.skipped += dropped.len();
    }

    fn push(&mut self, line: &[u8], items: &mut Vec<Item>) {
        self.line += 1;
        self.gathered += line.len();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let mut item = item(format!("line {}", self.line), line);
        if line.len() > self.doors.settings.line_max {
            item.event = Err(Unreadable {
                code: "line_too_long",
                field: None,
                detail: "a line may have 64 KiB".into(),
            });
        }
        items.push(item);
    }

    async fn answer(&mut self, items: Vec<Item>, broken: Option<&str>) -> Bytes {
        let numbers: Vec<usize> = items.iter().map(|item| number(&item.position)).collect();
        let done = ingest(&self.doors.ports, &self.doors.desk, DOOR, items).await;
        let mut text = String::new();
        match done {
            Ok(results) => self.tell(&mut text, &numbers, &results),
            Err(fault) => self.fail(&mut text, fault),
        }
        if let Some(words) = broken {
            let line = self.line + 1;
            let error =
                json!({ "error": { "code": "stream_broken", "line": line, "detail": words } });
            text.push_str(&format!("{error}\n"));
        }
        if self.over {
            text.push_str(&format!("{}\n", json!({ "summary": self.counts.shown() })));
        }
        Bytes::from(text)
    }

    fn tell(&mut self, text: &mut String, numbers: &[usize], results: &[ItemResult]) {
        let before = (
            self.counts.credited,
            self.counts.duplicates,
            self.counts.rejected,
        );
        for (line, result) in numbers.iter().zip(results) {
            self.counts.add(result);
            text.push_str(&format!("{}\n", shown("line", *line, result)));
        }
        let Counts {
            credited,
            duplicates,
            rejected,
        } = &self.counts;
        self.doors.metrics.ingested(
            credited - before.0,
            duplicates - before.1,
            rejected - before.2,
        );
    }

    fn fail(&mut self, text: &mut String, fault: Fault) {
        self.over = true;
        let code = fault.code();
        tracing::error!(%fault, "a stream of events was cut short");
        let detail = "nothing from the first unanswered line on is certain; send it again";
        let error = json!({ "error": { "code": code, "detail": detail } });
        text.push_str(&format!("{error}\n"));
    }
}

fn number(position: &str) -> usize {
    position
        .rsplit(' ')
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}
