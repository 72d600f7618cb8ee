//! A stream of JSON lines: one answer for each line, in order, as they are committed, and a
//! summary at the end.
//!
//! While one batch is being committed the next one is read. A sender who waits for answers gets
//! them before more lines are waited for; one who does not read answers is not read from any
//! more, so a stream never holds more than [`OPEN_MAX`] batches under way and one that gathers; and
//! all streams together hold few more than two each, see [`crate::Settings::overlaps_max`].

use std::sync::Arc;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::{self, FuturesOrdered};
use futures_util::{FutureExt as _, StreamExt as _};
use lingqian_engine::ingest::{Door, Ingested, ingest};
use lingqian_io::{Fault, Ports};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use crate::Doors;
use crate::wire::lines::{Batch, Lines};
use crate::wire::result::{self, Counts, RESULT_BYTES};

/// Batches of one stream that may be under way.
const OPEN_MAX: usize = 3;
/// A line without an end ends the stream after so many times its limit.
const SKIP_MAX: usize = 16;
/// This door on dead letters.
const DOOR: Door<'_> = Door {
    name: "http",
    unit: "line",
};

/// One stream.
struct Stream<P> {
    doors: Doors<P>,
    body: BodyDataStream,
    /// Came in and was not cut yet.
    piece: Bytes,
    lines: Lines,
    /// Nothing more is read, and why if it is not the end.
    ended: bool,
    broken: Option<&'static str>,
    /// Under way, with the first line of each.
    open: FuturesOrdered<BoxFuture<'static, Result<Ingested, Fault>>>,
    /// The last line that was answered.
    answered: u64,
    counts: Counts,
    over: bool,
}

/// Answers a stream.
pub(crate) fn streamed<P: Ports>(doors: Doors<P>, request: Request) -> Response {
    let stream = Stream {
        lines: Lines::new(doors.settings.line_max),
        doors,
        body: request.into_body().into_data_stream(),
        piece: Bytes::new(),
        ended: false,
        broken: None,
        open: FuturesOrdered::new(),
        answered: 0,
        counts: Counts::default(),
        over: false,
    };
    let answers = stream::unfold(stream, |mut stream| async move {
        if stream.over {
            return None;
        }
        let answers = stream.next_answers().await;
        Some((Ok::<Bytes, std::io::Error>(Bytes::from(answers)), stream))
    });
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (StatusCode::OK, headers, Body::from_stream(answers)).into_response()
}

type Piece = Option<Result<Bytes, axum::Error>>;

impl<P: Ports> Stream<P> {
    async fn next_answers(&mut self) -> Vec<u8> {
        loop {
            while self.reads() {
                if !self.piece.is_empty() {
                    let taken = self.lines.take(&self.piece);
                    let _ = self.piece.split_to(taken);
                    self.look_for_an_end();
                } else if let Some(piece) = self.body.next().now_or_never() {
                    self.came(piece);
                } else {
                    break;
                }
            }
            if let Some(place) = self.place() {
                let batch = self.lines.batch();
                let ingested = commit(self.doors.clone(), batch, place);
                self.open.push_back(ingested);
                // The desk hears of it before more is read.
                if let Some(Some(done)) = self.open.next().now_or_never() {
                    return self.told(done);
                }
                continue;
            }
            if self.open.is_empty() && self.ended {
                return self.finished();
            }
            if let Some(done) = self.wait().await {
                return self.told(done);
            }
        }
    }

    /// A place for what has gathered: one when nothing is under way, another beside it when a
    /// whole batch waits.
    fn place(&self) -> Option<Place> {
        if self.lines.is_empty() {
            return None;
        }
        if self.open.is_empty() {
            return Some(None);
        }
        let whole = self.lines.is_full() || self.ended;
        if !whole || self.open.len() >= OPEN_MAX {
            return None;
        }
        let overlaps = Arc::clone(&self.doors.overlaps);
        overlaps.try_acquire_owned().ok().map(Some)
    }

    fn reads(&self) -> bool {
        !self.ended && !self.lines.is_full()
    }

    /// Waits for answers or, where there is room, for more lines.
    async fn wait(&mut self) -> Option<Result<Ingested, Fault>> {
        if !self.reads() {
            return self.open.next().await;
        }
        if self.open.is_empty() {
            let piece = self.body.next().await;
            self.came(piece);
            return None;
        }
        match select(self.open.next(), self.body.next()).await {
            Either::Left((done, _)) => done,
            Either::Right((piece, _)) => {
                self.came(piece);
                None
            }
        }
    }

    fn came(&mut self, piece: Piece) {
        match piece {
            Some(Ok(piece)) => self.piece = piece,
            Some(Err(_)) => {
                self.lines.break_off();
                self.ended = true;
                self.broken = Some("the stream broke off; send the rest again");
            }
            None => {
                self.lines.end();
                self.ended = true;
            }
        }
    }

    fn look_for_an_end(&mut self) {
        let skip_max = self.doors.settings.line_max.saturating_mul(SKIP_MAX);
        if self.lines.skipped() > skip_max {
            self.lines.break_off();
            self.ended = true;
            self.broken = Some("a line has no end; nothing from it on was read");
        }
    }

    fn told(&mut self, done: Result<Ingested, Fault>) -> Vec<u8> {
        let ingested = match done {
            Ok(ingested) => ingested,
            Err(fault) => return self.failed(&fault),
        };
        let mut out = Vec::with_capacity(128 + ingested.len() * RESULT_BYTES);
        let mut counts = Counts::default();
        for (line, what) in ingested.iter() {
            counts.add(&what);
            result::write(&mut out, DOOR.unit, line, &what);
            out.push(b'\n');
            self.answered = line;
        }
        self.counts.add_all(counts);
        self.doors.metrics.ingested(counts);
        if self.ended && self.open.is_empty() && self.lines.is_empty() {
            out.extend(self.finished());
        }
        out
    }

    /// What was answered stands. Of what comes after it nothing is certain, also where a later
    /// batch was under way.
    fn failed(&mut self, fault: &Fault) -> Vec<u8> {
        self.over = true;
        tracing::error!(%fault, "a stream of events was cut short");
        let error = json!({ "error": {
            "code": fault.code(),
            "line": self.answered + 1,
            "detail": "nothing from the first unanswered line on is certain; send it again",
        } });
        self.ends_with(Some(error))
    }

    fn finished(&mut self) -> Vec<u8> {
        self.over = true;
        let line = self.lines.next_line();
        let error = self.broken.map(
            |words| json!({ "error": { "code": "stream_broken", "line": line, "detail": words } }),
        );
        self.ends_with(error)
    }

    fn ends_with(&self, error: Option<serde_json::Value>) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(error) = error {
            out.extend_from_slice(error.to_string().as_bytes());
            out.push(b'\n');
        }
        out.push(b'{');
        self.counts.write(&mut out);
        out.extend_from_slice(b"}\n");
        out
    }
}

/// The first batch of a stream needs no permit.
type Place = Option<OwnedSemaphorePermit>;

fn commit<P: Ports>(
    doors: Doors<P>,
    batch: Batch,
    place: Place,
) -> BoxFuture<'static, Result<Ingested, Fault>> {
    async move {
        let Batch { text, items } = batch;
        let ingested = ingest(&doors.ports, &doors.desk, DOOR, &text, items).await;
        drop(place);
        ingested
    }
    .boxed()
}
