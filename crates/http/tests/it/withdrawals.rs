//! Withdrawals: money is set aside once per idempotency key and once per reference.

use lingqian_io::Ports as _;
use lingqian_io::twin::FaultPoint;
use serde_json::{Value, json};

use crate::world::{Ask, World, is};

fn body(fen: i64) -> Value {
    json!({ "user": "u1", "amount_fen": fen, "reference": "r1" })
}

#[tokio::test]
async fn money_is_set_aside_and_the_payout_can_be_found() {
    let world = World::new().await;
    world.linked("u1").await;
    let answer = world.withdraw("k1", &body(150)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let value = answer.json();
    let id = value["id"].as_str().expect("an id");
    assert!(id.starts_with("po_") && id.len() == 29);
    let expected = json!({
        "outcome": "done", "id": id, "amount_fen": 150, "currency": "CNY", "created_at": "2026-03-02T04:00:02Z",
    });
    assert_eq!(value, expected);
    let location = answer.header("location").expect("a location");
    assert_eq!(location, format!("/v1/payouts/{id}"));
    assert_eq!(answer.header("idempotent-replayed"), None);
    assert_eq!(world.get(location).await.json()["state"], "requested");
    let user = world.get("/v1/users/u1").await.json();
    assert_eq!(
        (&user["available_micros"], &user["held_micros"]),
        (&json!(8_500_000), &json!(1_500_000))
    );
    world.audited().await;
}

#[tokio::test]
async fn all_is_every_whole_fen() {
    let world = World::new().await;
    world.linked("u1").await;
    world.earn("u1", "dust", 9_999).await;
    let all = json!({ "user": "u1", "amount_fen": "all", "reference": "r1" });
    let answer = world.withdraw("k1", &all).await;
    assert_eq!(answer.json()["amount_fen"], 1_000);
    assert_eq!(
        world.get("/v1/users/u1").await.json()["available_micros"],
        9_999
    );
}

#[tokio::test]
async fn the_same_key_and_body_are_answered_the_same_for_ever() {
    let world = World::new().await;
    world.linked("u1").await;
    let first = world.withdraw("k1", &body(150)).await;
    let before = world.books().await;
    world.ports.clock().advance_ms(7 * 86_400_000);
    let spaced = r#" { "reference":"r1",  "amount_fen": 150, "user":"u\u0031" } "#;
    let other_spelling = Ask::post("/v1/withdrawals")
        .header("idempotency-key", "k1")
        .text("application/json", spaced);
    for again in [
        world.withdraw("k1", &body(150)).await,
        world.send(other_spelling).await,
    ] {
        assert_eq!((again.status, &again.text), (201, &first.text));
        assert_eq!(again.header("location"), first.header("location"));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }
    assert_eq!(world.books().await, before);
}

#[tokio::test]
async fn all_is_replayed_although_nothing_is_left() {
    let world = World::new().await;
    world.linked("u1").await;
    let all = json!({ "user": "u1", "amount_fen": "all", "reference": "r1" });
    let first = world.withdraw("k1", &all).await;
    let again = world.withdraw("k1", &all).await;
    assert_eq!((again.status, &again.text), (201, &first.text));
}

#[tokio::test]
async fn a_key_with_another_body_is_refused() {
    let world = World::new().await;
    world.linked("u1").await;
    world.linked("u2").await;
    world.withdraw("k1", &body(150)).await;
    let before = world.books().await;
    let others = [
        body(151),
        json!({ "user": "u1", "amount_fen": "all", "reference": "r1" }),
        json!({ "user": "u2", "amount_fen": 150, "reference": "r1" }),
        json!({ "user": "u1", "amount_fen": 150, "reference": "r2" }),
    ];
    for other in others {
        let answer = world.withdraw("k1", &other).await;
        assert_eq!(
            answer.problem(),
            is(422, "idempotency_key_reused", None),
            "{other}"
        );
        assert_eq!(answer.json()["outcome"], "not_done");
    }
    assert_eq!(world.books().await, before);
}

#[tokio::test]
async fn a_reference_is_used_once_whatever_the_key() {
    let world = World::new().await;
    world.linked("u1").await;
    world.withdraw("k1", &body(150)).await;
    let answer = world.withdraw("k2", &body(150)).await;
    assert_eq!(
        answer.problem(),
        is(409, "reference_used", Some("/reference"))
    );
    assert_eq!(answer.json()["retryable"], false);
    assert_eq!(
        world.get("/v1/users/u1").await.json()["held_micros"],
        1_500_000
    );
}

#[tokio::test]
async fn of_two_at_once_with_one_key_one_waits_its_turn() {
    let world = World::new().await;
    world.linked("u1").await;
    let body = body(150);
    let (one, two) = tokio::join!(world.withdraw("k1", &body), world.withdraw("k1", &body));
    assert_eq!(one.status, 201);
    assert_eq!(two.problem(), is(409, "idempotency_key_in_use", None));
    assert_eq!(two.json()["retryable"], true);
    let again = world.withdraw("k1", &body).await;
    assert_eq!((again.status, again.text), (201, one.text));
    assert_eq!(
        world.get("/v1/users/u1").await.json()["held_micros"],
        1_500_000
    );
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_the_key_free() {
    let world = World::new().await;
    world.linked("u1").await;
    let body = body(150);
    {
        let mut leaving = Box::pin(world.withdraw("k1", &body));
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        assert!(leaving.as_mut().poll(&mut context).is_pending());
    }
    let again = world.withdraw("k1", &body).await;
    assert_eq!(again.status, 201);
    assert_eq!(
        world.get("/v1/users/u1").await.json()["held_micros"],
        1_500_000
    );
    world.audited().await;
}

#[tokio::test]
async fn two_users_of_the_same_money_share_what_there_is() {
    let world = World::new().await;
    world.linked("u1").await;
    let ask = |key| json!({ "user": "u1", "amount_fen": 600, "reference": key });
    let (a, b) = (ask("a"), ask("b"));
    let (one, two) = tokio::join!(world.withdraw("a", &a), world.withdraw("b", &b));
    assert_eq!(one.status, 201);
    assert_eq!(
        two.problem(),
        is(422, "insufficient_funds", Some("/amount_fen"))
    );
    world.audited().await;
}

#[tokio::test]
async fn the_key_is_required_and_of_sane_length() {
    let world = World::new().await;
    world.linked("u1").await;
    let before = world.books().await;
    let answer = world.post("/v1/withdrawals", &body(150)).await;
    assert_eq!(
        answer.problem(),
        is(400, "idempotency_key_missing", Some("Idempotency-Key"))
    );
    for key in ["", &"k".repeat(256)] {
        let answer = world.withdraw(key, &body(150)).await;
        assert_eq!(
            answer.problem(),
            is(400, "idempotency_key_malformed", Some("Idempotency-Key"))
        );
    }
    assert_eq!(world.books().await, before);
    assert_eq!(
        world.withdraw(&"k".repeat(255), &body(150)).await.status,
        201
    );
}

/// User, amount and reference as JSON; then what they are answered with.
const REFUSED: [([&str; 3], u16, &str, &str); 13] = [
    (["\"ghost\"", "100", "\"r\""], 404, "unknown_user", "/user"),
    (["\"a b\"", "100", "\"r\""], 400, "malformed", "/user"),
    (
        ["\"u1\"", "1001", "\"r\""],
        422,
        "insufficient_funds",
        "/amount_fen",
    ),
    (
        ["\"u1\"", "0", "\"r\""],
        422,
        "amount_not_positive",
        "/amount_fen",
    ),
    (
        ["\"u1\"", "-5", "\"r\""],
        422,
        "amount_not_positive",
        "/amount_fen",
    ),
    (
        ["\"u1\"", "9223372036854775807", "\"r\""],
        422,
        "amount_out_of_range",
        "/amount_fen",
    ),
    (
        ["\"poor\"", "\"all\"", "\"r\""],
        422,
        "below_minimum",
        "/amount_fen",
    ),
    (
        ["\"u1\"", "1.5", "\"r\""],
        400,
        "amount_not_integer",
        "/amount_fen",
    ),
    (
        ["\"u1\"", "1e2", "\"r\""],
        400,
        "amount_not_integer",
        "/amount_fen",
    ),
    (
        ["\"u1\"", "\"100\"", "\"r\""],
        400,
        "amount_not_integer",
        "/amount_fen",
    ),
    (
        ["\"u1\"", "\"ALL\"", "\"r\""],
        400,
        "amount_not_integer",
        "/amount_fen",
    ),
    (
        ["\"u1\"", "null", "\"r\""],
        400,
        "amount_not_integer",
        "/amount_fen",
    ),
    (["\"u1\"", "100", "\"\""], 400, "malformed", "/reference"),
];

#[tokio::test]
async fn a_request_that_breaks_a_rule_says_which_and_holds_nothing() {
    let world = World::new().await;
    world.linked("u1").await;
    world.user("poor").await;
    let before = world.books().await;
    for ([user, amount, reference], status, code, pointer) in REFUSED {
        let request = format!(r#"{{"user":{user},"amount_fen":{amount},"reference":{reference}}}"#);
        let request: Value = serde_json::from_str(&request).expect("JSON");
        let answer = world.withdraw("k1", &request).await;
        let expected = is(status, code, Some(pointer));
        assert_eq!(answer.problem(), expected, "{request}");
        assert_eq!(answer.json()["outcome"], "not_done");
    }
    assert_eq!(world.books().await, before);
    let answer = world.withdraw("k1", &body(100)).await;
    assert_eq!(answer.status, 201, "a refusal does not use the key up");
}

#[tokio::test]
async fn a_request_with_a_field_too_few_or_too_many_is_refused() {
    let world = World::new().await;
    let long = "r".repeat(65);
    let cases = [
        (
            json!({ "user": "u1", "amount_fen": 1 }),
            "field_missing",
            "/reference",
        ),
        (
            json!({ "user": "u1", "reference": "r" }),
            "field_missing",
            "/amount_fen",
        ),
        (json!({ "user": "u1", "to": 1 }), "field_unknown", "/to"),
        (
            json!({ "user": "u1", "amount_fen": 1, "reference": long }),
            "malformed",
            "/reference",
        ),
    ];
    for (request, code, pointer) in cases {
        let answer = world.withdraw("k1", &request).await;
        assert_eq!(answer.problem(), is(400, code, Some(pointer)), "{request}");
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_cured_by_the_same_request() {
    let cases = [
        (
            FaultPoint::Commit,
            503,
            "temporarily_unavailable",
            "not_done",
            None,
        ),
        (
            FaultPoint::CommitLost,
            500,
            "outcome_unknown",
            "unknown",
            None,
        ),
        (
            FaultPoint::CommitUnanswered,
            500,
            "outcome_unknown",
            "unknown",
            Some("true"),
        ),
    ];
    for (fault, status, code, outcome, replayed) in cases {
        let world = World::new().await;
        world.linked("u1").await;
        world.store().fail_next(fault);
        let answer = world.withdraw("k1", &body(150)).await;
        assert_eq!(answer.problem(), is(status, code, None));
        assert_eq!(answer.json()["outcome"], outcome);
        let again = world.withdraw("k1", &body(150)).await;
        assert_eq!(
            (again.status, again.header("idempotent-replayed")),
            (201, replayed),
            "{fault:?}"
        );
        assert_eq!(
            world.get("/v1/users/u1").await.json()["held_micros"],
            1_500_000
        );
        world.audited().await;
    }
}

#[tokio::test]
async fn a_conflict_with_another_process_is_not_the_callers_business() {
    let world = World::new().await;
    world.linked("u1").await;
    world.store().fail_next(FaultPoint::CommitConflict);
    assert_eq!(world.withdraw("k1", &body(150)).await.status, 201);
    world.audited().await;
}

#[tokio::test]
async fn a_withdrawal_is_json() {
    let world = World::new().await;
    let ask = Ask::post("/v1/withdrawals").header("idempotency-key", "k1");
    let answer = world.send(ask.text("text/plain", "{}")).await;
    assert_eq!(answer.problem(), is(415, "content_type_wrong", None));
}
