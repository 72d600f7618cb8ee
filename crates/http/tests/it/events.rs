//! Earning events as JSON: one or an array. One result each; what is wrong stops nothing else.

use axum::body::Body;
use futures_util::stream;
use lingqian_io::Browse as _;
use lingqian_io::twin::FaultPoint;
use serde_json::{Value, json};

use crate::world::{Ask, World, event_of, is};

async fn post(world: &World, body: &Value) -> Value {
    let answer = world.post("/v1/events", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

fn counts(credited: u64, duplicates: u64, rejected: u64) -> Value {
    json!({ "credited": credited, "duplicates": duplicates, "rejected": rejected })
}

#[tokio::test]
async fn one_event_is_credited_once() {
    let world = World::new().await;
    world.user("u1").await;
    let event = event_of("u1", "e1", 2_500);
    let expected = json!({
        "data": [{ "index": 0, "status": "credited", "amount_micros": 2_500 }],
        "summary": counts(1, 0, 0),
    });
    assert_eq!(post(&world, &event).await, expected);
    let expected = json!({
        "data": [{ "index": 0, "status": "duplicate" }],
        "summary": counts(0, 1, 0),
    });
    assert_eq!(post(&world, &event).await, expected);
    assert_eq!(world.books().await.earned, (1, 2_500));
    world.audited().await;
}

#[tokio::test]
async fn a_kind_with_a_price_needs_no_amount() {
    let world = World::new().await;
    world.user("u1").await;
    let event = json!({ "source": "app", "event_id": "e1", "user": "u1", "kind": "sign_in" });
    assert_eq!(
        post(&world, &event).await["data"][0]["amount_micros"],
        2_500
    );
}

/// What is changed in a good event, as JSON that is laid over it; the code and the field.
/// A null takes the field away.
const REFUSED: [(&str, &str, Option<&str>); 22] = [
    ("7", "malformed_json", None),
    ("[]", "malformed_json", None),
    (r#"{"user":"ghost"}"#, "unknown_user", Some("user")),
    (r#"{"user":"张三"}"#, "malformed", Some("user")),
    (r#"{"kind":"nothing"}"#, "unknown_kind", Some("kind")),
    (r#"{"kind":""}"#, "malformed", Some("kind")),
    (
        r#"{"amount_micros":1.5}"#,
        "amount_not_integer",
        Some("amount_micros"),
    ),
    (
        r#"{"amount_micros":"1"}"#,
        "amount_not_integer",
        Some("amount_micros"),
    ),
    (
        r#"{"amount_micros":-1}"#,
        "amount_not_positive",
        Some("amount"),
    ),
    (
        r#"{"amount_micros":0}"#,
        "amount_not_positive",
        Some("amount"),
    ),
    (
        r#"{"amount_micros":10000001}"#,
        "amount_out_of_range",
        Some("amount"),
    ),
    (
        r#"{"amount_micros":null}"#,
        "amount_missing",
        Some("amount"),
    ),
    (
        r#"{"kind":"sign_in","amount_micros":2501}"#,
        "amount_not_the_price",
        Some("amount"),
    ),
    (r#"{"amount_fen":1}"#, "amount_twice", Some("amount_fen")),
    (r#"{"amount":1}"#, "field_unknown", Some("amount")),
    (r#"{"source":1}"#, "field_invalid", Some("source")),
    (
        r#"{"source":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}"#,
        "malformed",
        Some("source"),
    ),
    (r#"{"event_id":null}"#, "field_missing", Some("event_id")),
    (r#"{"event_id":"a b"}"#, "malformed", Some("event_id")),
    (
        r#"{"event_id":"known"}"#,
        "event_conflict",
        Some("event_id"),
    ),
    (
        r#"{"occurred_at":"yesterday"}"#,
        "time_invalid",
        Some("occurred_at"),
    ),
    (
        r#"{"occurred_at":"2026-03-04T00:00:00Z"}"#,
        "occurred_in_future",
        Some("occurred_at"),
    ),
];

fn overlaid(changes: &str) -> Value {
    let changes: Value = serde_json::from_str(changes).expect("JSON");
    let Some(changes) = changes.as_object() else {
        return changes;
    };
    let mut event = event_of("u1", "bad", 1);
    let fields = event.as_object_mut().expect("an object");
    for (field, value) in changes {
        if value.is_null() {
            fields.remove(field);
        } else {
            fields.insert(field.clone(), value.clone());
        }
    }
    event
}

#[tokio::test]
async fn each_bad_event_of_a_batch_is_named_kept_and_stops_nothing_else() {
    let world = World::new().await;
    world.user("u1").await;
    world.earn("u1", "known", 7).await;
    let cases = REFUSED.map(|(changes, code, field)| (overlaid(changes), code, field));
    let mut batch = vec![event_of("u1", "first", 10)];
    batch.extend(cases.iter().map(|(event, ..)| event.clone()));
    batch.push(event_of("u1", "last", 20));
    let answer = post(&world, &Value::Array(batch)).await;
    assert_eq!(answer["summary"], counts(2, 0, cases.len() as u64));
    assert_eq!(answer["data"][0]["status"], "credited");
    assert_eq!(answer["data"][cases.len() + 1]["status"], "credited");
    for (index, (event, code, field)) in cases.iter().enumerate() {
        let result = &answer["data"][index + 1];
        assert_eq!(result["index"], index + 1);
        assert_eq!(result["status"], "rejected", "{event}");
        assert_eq!(
            (&result["code"], &result["field"]),
            (&json!(code), &json!(field)),
            "{event}"
        );
        assert!(
            result["detail"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        );
    }
    assert_eq!(world.books().await.earned, (3, 37));
    let letters = world.store().dead_letters(100).await.expect("no fault");
    assert_eq!(letters.len(), cases.len());
    for (letter, times) in letters {
        let place: usize = letter
            .position
            .strip_prefix("index ")
            .expect("a place")
            .parse()
            .expect("a number");
        let (event, code, _) = &cases[place - 1];
        assert_eq!(
            (letter.door.as_str(), letter.code.as_str(), times),
            ("http", *code, 1)
        );
        assert_eq!(String::from_utf8_lossy(&letter.raw), event.to_string());
    }
    world.audited().await;
}

#[tokio::test]
async fn the_same_event_twice_in_one_array_is_credited_once() {
    let world = World::new().await;
    world.user("u1").await;
    let event = event_of("u1", "e1", 5);
    let answer = post(&world, &json!([event, event, event_of("u1", "e1", 6)])).await;
    assert_eq!(answer["summary"], counts(1, 1, 1));
    assert_eq!(answer["data"][2]["code"], "event_conflict");
    assert_eq!(world.books().await.earned, (1, 5));
}

#[tokio::test]
async fn an_empty_array_is_answered_with_nothing() {
    let world = World::new().await;
    let expected = json!({ "data": [], "summary": counts(0, 0, 0) });
    assert_eq!(post(&world, &json!([])).await, expected);
}

#[tokio::test]
async fn a_body_that_does_not_read_changes_nothing_and_names_the_place() {
    let world = World::new().await;
    world.user("u1").await;
    let before = world.books().await;
    let good = event_of("u1", "e1", 5).to_string();
    for body in [
        "",
        "{",
        "[{}",
        &format!("[{good},]"),
        &format!("{good}{good}"),
        "\u{feff}{}",
    ] {
        let ask = Ask::post("/v1/events").text("application/json", body);
        let answer = world.send(ask).await;
        assert_eq!(
            answer.problem(),
            is(400, "malformed_json", Some("")),
            "{body}"
        );
        let detail = answer.json()["detail"].as_str().expect("text").to_owned();
        assert!(detail.contains("line 1 column"), "{detail}");
    }
    assert_eq!(world.books().await, before);
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let world = World::new().await;
    for kind in ["text/plain", "application/xml", "application/jsonx", ""] {
        let answer = world.send(Ask::post("/v1/events").text(kind, "{}")).await;
        assert_eq!(
            answer.problem(),
            is(415, "content_type_wrong", None),
            "{kind}"
        );
    }
    let answer = world.send(Ask::post("/v1/events")).await;
    assert_eq!(answer.problem(), is(415, "content_type_wrong", None));
    let ask = Ask::post("/v1/events").text("Application/JSON; charset=utf-8", "[]");
    assert_eq!(world.send(ask).await.status, 200);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whole_and_one_at_the_limit_is_not() {
    let world = World::with(|settings| settings.body_max = 1_000).await;
    world.user("u1").await;
    let event = event_of("u1", "e1", 5).to_string();
    let padded = |size: usize| format!("{event}{}", " ".repeat(size - event.len()));
    let before = world.books().await;
    let over = Ask::post("/v1/events").text("application/json", &padded(1_001));
    assert_eq!(
        world.send(over).await.problem(),
        is(413, "body_too_large", None)
    );
    let unsized_body = Body::from_stream(stream::iter([Ok::<_, std::io::Error>(padded(1_001))]));
    let over = Ask::post("/v1/events").header("content-type", "application/json");
    let answer = world.send(over.body(unsized_body)).await;
    assert_eq!(answer.problem(), is(413, "body_too_large", None));
    assert_eq!(world.books().await, before);
    let at = Ask::post("/v1/events").text("application/json", &padded(1_000));
    assert_eq!(world.send(at).await.json()["summary"], counts(1, 0, 0));
}

#[tokio::test]
async fn an_array_over_the_limit_is_refused_whole() {
    let world = World::new().await;
    let before = world.books().await;
    let many = vec![0; 10_001];
    let answer = world.post("/v1/events", &json!(many)).await;
    assert_eq!(answer.problem(), is(413, "array_too_long", None));
    assert_eq!(world.books().await, before);
}

#[tokio::test]
async fn events_may_be_sent_again_after_any_failure_without_a_second_credit() {
    let cases = [
        (
            FaultPoint::Prefetch,
            503,
            "temporarily_unavailable",
            "not_done",
            counts(1, 0, 0),
        ),
        (
            FaultPoint::Commit,
            503,
            "temporarily_unavailable",
            "not_done",
            counts(1, 0, 0),
        ),
        (
            FaultPoint::CommitLost,
            500,
            "outcome_unknown",
            "unknown",
            counts(1, 0, 0),
        ),
        (
            FaultPoint::CommitUnanswered,
            500,
            "outcome_unknown",
            "unknown",
            counts(0, 1, 0),
        ),
    ];
    for (fault, status, code, outcome, then) in cases {
        let world = World::new().await;
        world.user("u1").await;
        let event = event_of("u1", "e1", 5);
        world.store().fail_next(fault);
        let answer = world.post("/v1/events", &event).await;
        assert_eq!(answer.problem(), is(status, code, None), "{fault:?}");
        assert_eq!(answer.json()["outcome"], outcome);
        assert_eq!(answer.header("retry-after").is_some(), status == 503);
        assert!(
            !answer.text.contains("twin"),
            "what failed inside stays inside"
        );
        assert_eq!(post(&world, &event).await["summary"], then, "{fault:?}");
        assert_eq!(world.books().await.earned, (1, 5));
        world.audited().await;
    }
}
