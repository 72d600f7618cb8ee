//! Streams whose batches overlap: order, memory, and faults in the middle.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, BodyDataStream, Bytes};
use futures_util::{StreamExt as _, stream};
use lingqian_io::Browse as _;
use lingqian_io::twin::FaultPoint;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::ServiceExt as _;

use crate::world::{Ask, World, event_of, is};

const LINES: &str = "application/x-ndjson";

/// Lines for the numbers, each an event of u1 worth one micro-yuan.
fn text(numbers: std::ops::RangeInclusive<usize>) -> Bytes {
    let line = |number| format!("{}\n", event_of("u1", &format!("e{number}"), 1));
    Bytes::from(numbers.map(line).collect::<String>())
}

async fn stream_of(world: &World, body: Body) -> BodyDataStream {
    let ask = Ask::post("/v1/events").header("content-type", LINES);
    let request = world.request(ask.body(body));
    let response = world.router().oneshot(request).await.expect("infallible");
    assert_eq!(response.status(), 200);
    response.into_body().into_data_stream()
}

async fn next(answers: &mut BodyDataStream) -> Option<Vec<Value>> {
    let piece = answers.next().await?.expect("a piece");
    let text = String::from_utf8(piece.to_vec()).expect("text");
    let lines = text.lines().map(serde_json::from_str);
    Some(lines.map(|line| line.expect("a line is JSON")).collect())
}

async fn all(answers: &mut BodyDataStream) -> Vec<Value> {
    let mut lines = Vec::new();
    while let Some(more) = next(answers).await {
        lines.extend(more);
    }
    lines
}

#[tokio::test]
async fn a_hundred_thousand_times_one_event_in_one_stream_is_one_credit() {
    let world = World::new().await;
    world.user("u1").await;
    let line = format!("{}\n", event_of("u1", "same", 7));
    let ask = Ask::post("/v1/events").text(LINES, &line.repeat(100_000));
    let answer = world.send(ask).await;
    let lines = answer.text.lines().collect::<Vec<_>>();
    assert_eq!(lines.len(), 100_001);
    assert_eq!(
        lines[0],
        r#"{"line":1,"status":"credited","amount_micros":7}"#
    );
    assert_eq!(lines[99_999], r#"{"line":100000,"status":"duplicate"}"#);
    let sum = r#"{"summary":{"credited":1,"duplicates":99999,"rejected":0}}"#;
    assert_eq!(lines[100_000], sum);
    assert_eq!(world.books().await.earned, (1, 7));
    world.audited().await;
}

#[tokio::test]
async fn answers_keep_their_order_across_batches_that_overlap() {
    let world = World::new().await;
    world.user("u1").await;
    // Each event comes twice: the second time it must be known, whichever batch it falls into.
    let twice = [text(1..=20_000), text(1..=20_000)].concat();
    let pieces: Vec<Bytes> = twice.chunks(100_003).map(Bytes::copy_from_slice).collect();
    let body = Body::from_stream(stream::iter(pieces).map(Ok::<_, std::io::Error>));
    let lines = all(&mut stream_of(&world, body).await).await;
    assert_eq!(lines.len(), 40_001);
    for (index, line) in lines[..40_000].iter().enumerate() {
        assert_eq!(line["line"], index + 1);
        let expected = if index < 20_000 {
            "credited"
        } else {
            "duplicate"
        };
        assert_eq!(line["status"], expected, "line {}", index + 1);
    }
    assert_eq!(world.books().await.earned, (20_000, 20_000));
}

#[tokio::test]
async fn a_caller_who_does_not_read_is_not_read_from() {
    let world = World::new().await;
    world.user("u1").await;
    let (piece_lines, pulled) = (500, Arc::new(AtomicUsize::new(0)));
    let pieces = stream::unfold(0, {
        let pulled = Arc::clone(&pulled);
        move |number| {
            pulled.fetch_add(piece_lines, Ordering::SeqCst);
            let piece = text(number + 1..=number + piece_lines);
            async move { Some((Ok::<_, std::io::Error>(piece), number + piece_lines)) }
        }
    });
    let mut answers = stream_of(&world, Body::from_stream(pieces)).await;
    let mut answered = 0;
    for _ in 0..6 {
        answered += next(&mut answers).await.expect("answers").len();
        let ahead = pulled.load(Ordering::SeqCst) - answered;
        // Three batches under way, one that gathers, and the piece that did not fit any more.
        assert!(ahead <= 4 * 8_000 + piece_lines, "{ahead} lines ahead");
    }
    let before = pulled.load(Ordering::SeqCst);
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        pulled.load(Ordering::SeqCst),
        before,
        "nobody asked for more"
    );
    drop(answers);
    world.audited().await;
}

/// A body that the test feeds.
fn fed() -> (mpsc::UnboundedSender<Bytes>, Body) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let pieces = stream::unfold(receiver, |mut receiver| async move {
        let piece: Bytes = receiver.recv().await?;
        Some((Ok::<_, std::io::Error>(piece), receiver))
    });
    (sender, Body::from_stream(pieces))
}

#[tokio::test]
async fn after_a_fault_in_the_middle_what_was_answered_stands_and_the_rest_is_sent_again() {
    for fault in [
        FaultPoint::Commit,
        FaultPoint::CommitLost,
        FaultPoint::CommitUnanswered,
    ] {
        let world = World::new().await;
        world.user("u1").await;
        let (feed, body) = fed();
        let mut answers = stream_of(&world, body).await;
        feed.send(text(1..=10)).expect("somebody reads");
        let first = next(&mut answers).await.expect("answers");
        assert_eq!(first.len(), 10);
        world.store().fail_next(fault);
        feed.send(text(11..=20_010)).expect("somebody reads");
        let rest = all(&mut answers).await;
        assert_eq!(rest.len(), 2, "{fault:?}: {rest:?}");
        assert_eq!(rest[0]["error"]["line"], 11);
        let sum = json!({ "credited": 10, "duplicates": 0, "rejected": 0 });
        assert_eq!(rest[1]["summary"], sum);
        drop(feed);
        let again = Ask::post("/v1/events").header("content-type", LINES);
        let again = world.send(again.body(Body::from(text(11..=20_010)))).await;
        let last = again.lines().pop().expect("a sum");
        let count = |name: &str| last["summary"][name].as_u64().expect("a number");
        assert_eq!(count("credited") + count("duplicates"), 20_000, "{fault:?}");
        assert_eq!(world.books().await.earned, (20_010, 20_010), "{fault:?}");
        world.audited().await;
    }
}

#[tokio::test]
async fn a_dead_letter_is_kept_before_its_batch_is_answered_though_others_overlap() {
    let world = World::new().await;
    world.user("u1").await;
    // The bad line makes the first batch commit twice: its events, then its dead letter.
    let pieces = [
        text(1..=7_999),
        Bytes::from("broken\n"),
        text(8_001..=24_000),
    ]
    .concat();
    let ask = Ask::post("/v1/events").header("content-type", LINES);
    let mut answers = {
        let request = world.request(ask.body(Body::from(pieces)));
        let response = world.router().oneshot(request).await.expect("infallible");
        response.into_body().into_data_stream()
    };
    let first = next(&mut answers).await.expect("answers");
    assert_eq!((first.len(), &first[7_999]["line"]), (8_000, &json!(8_000)));
    assert_eq!(first[7_999]["code"], "malformed_json");
    let letters = world.store().dead_letters(10).await.expect("no fault");
    assert_eq!(letters[0].0.position, "line 8000");
    assert_eq!(letters[0].0.raw, b"broken", "kept before it is answered");
    let rest = all(&mut answers).await;
    assert_eq!(rest.len(), 16_001);
    world.audited().await;
}

#[tokio::test]
async fn without_a_place_to_overlap_a_stream_goes_on_batch_by_batch() {
    let world = World::with(|settings| settings.overlaps_max = 0).await;
    world.user("u1").await;
    let ask = Ask::post("/v1/events").header("content-type", LINES);
    let lines = world
        .send(ask.body(Body::from(text(1..=20_000))))
        .await
        .lines();
    assert_eq!(lines.len(), 20_001);
    let numbers = lines.iter().take(20_000).map(|line| line["line"].as_u64());
    assert!(numbers.eq((1..=20_000).map(Some)));
}

#[tokio::test]
async fn many_streams_at_once_are_all_answered() {
    let world = Arc::new(World::with(|settings| settings.overlaps_max = 1).await);
    world.user("u1").await;
    let streams = (0..80).map(|number| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let line = |n| format!("{}\n", event_of("u1", &format!("s{number}-{n}"), 1));
            let text: String = (0..50).map(line).collect();
            let pieces: Vec<Bytes> = text
                .as_bytes()
                .chunks(999)
                .map(Bytes::copy_from_slice)
                .collect();
            let body = Body::from_stream(stream::iter(pieces).map(Ok::<_, std::io::Error>));
            all(&mut stream_of(&world, body).await).await.len()
        })
    });
    for lines in futures_util::future::join_all(streams).await {
        assert_eq!(lines.expect("no panic"), 51);
    }
    assert_eq!(world.books().await.earned, (4_000, 4_000));
}

#[tokio::test]
async fn blank_lines_without_end_hold_nobody_up() {
    let world = World::new().await;
    world.user("u1").await;
    let blanks = " \n\r\n\t\n".repeat(1 << 20);
    let text = format!("{blanks}{}\n", event_of("u1", "e1", 1));
    let ask = Ask::post("/v1/events").header("content-type", LINES);
    let lines = world.send(ask.body(Body::from(text))).await.lines();
    assert_eq!(
        (lines.len(), &lines[0]["line"]),
        (2, &json!(3 * (1 << 20) + 1))
    );
    assert_eq!(lines[1]["summary"]["credited"], 1);
}

#[tokio::test]
async fn a_crowded_desk_asks_for_events_later_and_takes_none_of_them() {
    let world = World::new().await;
    world.user("u1").await;
    let world = Arc::new(world.before_an_idle_desk());
    let waiting: Vec<_> = (0..2)
        .map(|no| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                let event = event_of("u1", &format!("e{no}"), 1);
                world.post("/v1/events", &event).await
            })
        })
        .collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(world.desk.is_crowded());
    let refused = world.post("/v1/events", &event_of("u1", "e9", 1)).await;
    assert_eq!(refused.problem(), is(503, "overloaded", None));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.json()["retryable"], true);
    waiting.iter().for_each(|one| one.abort());
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!world.desk.is_crowded(), "whoever went away makes room");
}
