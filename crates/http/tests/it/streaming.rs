//! Earning events as a stream of lines: one answer for each line, in order, then the sum.

use axum::body::{Body, Bytes};
use futures_util::{StreamExt as _, stream};
use lingqian_io::Browse as _;
use lingqian_io::twin::FaultPoint;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::world::{Answer, Ask, World, event_of};

const LINES: &str = "application/x-ndjson";

fn ask(chunks: Vec<Result<Vec<u8>, &'static str>>) -> Ask {
    let chunks = chunks
        .into_iter()
        .map(|chunk| chunk.map_err(std::io::Error::other));
    Ask::post("/v1/events")
        .header("content-type", LINES)
        .body(Body::from_stream(stream::iter(chunks)))
}

async fn send(world: &World, text: &str) -> Answer {
    let answer = world.send(Ask::post("/v1/events").text(LINES, text)).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some(LINES))
    );
    answer
}

fn credited(line: usize, micros: i64) -> Value {
    json!({ "line": line, "status": "credited", "amount_micros": micros })
}

fn sum(credited: u64, duplicates: u64, rejected: u64) -> Value {
    json!({ "summary": {
        "credited": credited, "duplicates": duplicates, "rejected": rejected,
    } })
}

#[tokio::test]
async fn good_and_bad_lines_are_answered_in_order_even_when_the_last_one_is_broken() {
    let world = World::new().await;
    world.user("u1").await;
    let text = [
        event_of("u1", "e1", 10).to_string(),
        "not json".into(),
        event_of("ghost", "e2", 10).to_string(),
        event_of("u1", "e1", 10).to_string(),
        event_of("u1", "e3", -5).to_string(),
        event_of("u1", "e4", 20).to_string(),
        r#"{"source":"app","event_id":"e5","us"#.into(),
    ]
    .join("\n");
    let lines = send(&world, &text).await.lines();
    assert_eq!(lines.len(), 8);
    assert_eq!(lines[0], credited(1, 10));
    let rejected = [
        (1, "malformed_json", Value::Null),
        (2, "unknown_user", "user".into()),
        (4, "amount_not_positive", "amount".into()),
        (6, "malformed_json", Value::Null),
    ];
    for (index, code, field) in rejected {
        let line = &lines[index];
        assert_eq!(
            (&line["line"], &line["status"]),
            (&json!(index + 1), &json!("rejected"))
        );
        assert_eq!((&line["code"], &line["field"]), (&json!(code), &field));
    }
    assert_eq!(lines[3], json!({ "line": 4, "status": "duplicate" }));
    assert_eq!(lines[5], credited(6, 20));
    assert_eq!(lines[7], sum(2, 1, 4));
    assert_eq!(world.books().await.earned, (2, 30));
    let mut places: Vec<String> = world
        .store()
        .dead_letters(10)
        .await
        .expect("no fault")
        .into_iter()
        .map(|(letter, _)| letter.position)
        .collect();
    places.sort();
    assert_eq!(places, ["line 2", "line 3", "line 5", "line 7"]);
    world.audited().await;
}

#[tokio::test]
async fn an_empty_stream_has_an_empty_sum() {
    let world = World::new().await;
    for text in ["", "\n", "\r\n \n\t"] {
        assert_eq!(send(&world, text).await.lines(), [sum(0, 0, 0)], "{text:?}");
    }
}

#[tokio::test]
async fn empty_lines_are_not_answered_but_counted_as_lines() {
    let world = World::new().await;
    world.user("u1").await;
    let text = format!(
        "\r\n{}\r\n\n{}\r\n",
        event_of("u1", "e1", 1),
        event_of("u1", "e2", 2)
    );
    let lines = send(&world, &text).await.lines();
    assert_eq!(lines, [credited(2, 1), credited(4, 2), sum(2, 0, 0)]);
}

#[tokio::test]
async fn it_does_not_matter_where_the_stream_is_cut() {
    let world = World::new().await;
    world.user("u1").await;
    let one = |event: &str| {
        let text = format!("{}\n{}", event_of("u1", event, 1), event_of("u1", event, 2));
        text.into_bytes()
    };
    let length = one("cut-000").len();
    for cut in 0..=length {
        let text = one(&format!("cut-{cut:03}"));
        let (head, tail) = text.split_at(cut);
        let answer = world
            .send(ask(vec![Ok(head.to_vec()), Ok(tail.to_vec())]))
            .await;
        let lines = answer.lines();
        assert_eq!(lines[0], credited(1, 1), "cut at {cut}");
        assert_eq!(lines[1]["code"], "event_conflict", "cut at {cut}");
        assert_eq!(lines[2], sum(1, 0, 1), "cut at {cut}");
    }
    let bytes = one("bytewise")
        .into_iter()
        .map(|byte| Ok(vec![byte]))
        .collect();
    assert_eq!(world.send(ask(bytes)).await.lines()[2], sum(1, 0, 1));
}

#[tokio::test]
async fn a_long_stream_is_answered_while_it_still_comes_in() {
    let world = World::new().await;
    world.user("u1").await;
    let mut text = Vec::new();
    for number in 1..=2_000 {
        text.extend_from_slice(
            format!("{}\n", event_of("u1", &format!("e{number}"), 1)).as_bytes(),
        );
    }
    let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from(text))]);
    let body = Body::from_stream(first.chain(stream::pending()));
    let request = world.request(
        Ask::post("/v1/events")
            .header("content-type", LINES)
            .body(body),
    );
    let response = world.router().oneshot(request).await.expect("infallible");
    let mut answers = response.into_body().into_data_stream();
    let chunk = answers.next().await.expect("an answer").expect("a chunk");
    let text = String::from_utf8(chunk.to_vec()).expect("text");
    assert_eq!(
        text.lines().count(),
        2_000,
        "the sum comes when the stream ends"
    );
    assert_eq!(world.books().await.earned, (2_000, 2_000));
}

#[tokio::test]
async fn many_batches_make_one_answer() {
    let world = World::new().await;
    world.user("u1").await;
    let line = |number: usize| {
        let text = if number.is_multiple_of(1_000) {
            "broken".into()
        } else {
            event_of("u1", &format!("e{number}"), 1).to_string()
        };
        format!("{text}\n").into_bytes()
    };
    let chunks = (1..=5_000).map(|number| Ok(line(number))).collect();
    let lines = world.send(ask(chunks)).await.lines();
    assert_eq!(lines.len(), 5_001);
    assert!(
        lines[..5_000]
            .iter()
            .zip(1..)
            .all(|(line, number)| line["line"] == number)
    );
    assert_eq!(lines[5_000], sum(4_995, 0, 5));
    world.audited().await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_keeps_what_was_whole_and_says_where_to_go_on() {
    let world = World::new().await;
    world.user("u1").await;
    let whole = format!("{}\n", event_of("u1", "e1", 1));
    let half = event_of("u1", "e2", 1).to_string();
    let chunks = vec![Ok(whole.into_bytes()), Ok(half.into_bytes()), Err("reset")];
    let lines = world.send(ask(chunks)).await.lines();
    assert_eq!(lines[0], credited(1, 1));
    assert_eq!(
        (&lines[1]["error"]["code"], &lines[1]["error"]["line"]),
        (&json!("stream_broken"), &json!(2))
    );
    assert_eq!(lines[2], sum(1, 0, 0));
    assert_eq!(
        world.books().await.earned,
        (1, 1),
        "half a line is not an event"
    );
}

#[tokio::test]
async fn a_line_over_the_limit_is_named_and_the_rest_goes_on() {
    let world = World::with(|settings| settings.line_max = 200).await;
    world.user("u1").await;
    let first = event_of("u1", "e1", 1);
    let long = format!("{}{}", event_of("u1", "e2", 1), " ".repeat(200));
    let text = format!("{first}\n{long}\n{}\n", event_of("u1", "e3", 1));
    let lines = send(&world, &text).await.lines();
    assert_eq!(lines[0], credited(1, 1));
    assert_eq!(
        (&lines[1]["line"], &lines[1]["code"]),
        (&json!(2), &json!("line_too_long"))
    );
    assert_eq!(lines[2], credited(3, 1));
    assert_eq!(lines[3], sum(2, 0, 1));
}

#[tokio::test]
async fn a_line_without_an_end_does_not_fill_the_memory() {
    let world = World::with(|settings| settings.line_max = 200).await;
    world.user("u1").await;
    let first = format!("{}\n", event_of("u1", "e1", 1)).into_bytes();
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 100]));
    let chunks = stream::iter([Ok(first)]).chain(endless);
    let body = Body::from_stream(chunks);
    let ask = Ask::post("/v1/events")
        .header("content-type", LINES)
        .body(body);
    let lines = world.send(ask).await.lines();
    assert_eq!(lines[0], credited(1, 1));
    assert_eq!(
        (&lines[1]["error"]["code"], &lines[1]["error"]["line"]),
        (&json!("stream_broken"), &json!(2))
    );
    assert_eq!(lines[2], sum(1, 0, 0));
}

#[tokio::test]
async fn a_stream_that_meets_a_failing_store_is_cut_short_and_can_be_sent_again() {
    let world = World::new().await;
    world.user("u1").await;
    let text: String = (1..=3)
        .map(|n| format!("{}\n", event_of("u1", &format!("e{n}"), 1)))
        .collect();
    world.store().fail_next(FaultPoint::CommitUnanswered);
    let lines = send(&world, &text).await.lines();
    assert_eq!(lines[0]["error"]["code"], "outcome_unknown");
    assert_eq!(lines[1], sum(0, 0, 0));
    let again = send(&world, &text).await.lines();
    assert_eq!(again[3], sum(0, 3, 0));
    assert_eq!(world.books().await.earned, (3, 3));
    world.audited().await;
}

#[tokio::test]
async fn a_stream_has_no_limit_but_that_of_its_lines() {
    let world = World::with(|settings| settings.body_max = 500).await;
    world.user("u1").await;
    let text: String = (1..=50)
        .map(|n| format!("{}\n", event_of("u1", &format!("e{n}"), 1)))
        .collect();
    let lines = send(&world, &text).await.lines();
    assert_eq!(lines[50], sum(50, 0, 0));
}
