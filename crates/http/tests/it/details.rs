//! What is easily forgotten at a door.

use axum::body::Body;
use futures_util::{StreamExt as _, stream};
use lingqian_core::Command;
use lingqian_core::command::ApiKey;
use lingqian_io::{Clock as _, Ports as _};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::world::{Ask, NOON, World, event_of, is};

#[tokio::test]
async fn a_problem_names_its_request_and_place() {
    let world = World::new().await;
    let ask = Ask::get("/v1/users/ghost").header("request-id", "mine-1");
    let value = world.send(ask).await.json();
    assert_eq!(value["request_id"], "mine-1");
    assert_eq!(value["instance"], "/v1/users/ghost");
}

#[tokio::test]
async fn a_parameter_that_is_not_known_is_refused_on_every_route() {
    let world = World::new().await;
    world.user("u1").await;
    for path in [
        "/v1/bills",
        "/v1/breaks",
        "/v1/summary",
        "/v1/users/u1",
        "/metrics",
        "/openapi.json",
    ] {
        let answer = world.get(&format!("{path}?nonsense=1")).await;
        assert_eq!(answer.status, 400, "{path}");
    }
}

#[tokio::test]
async fn a_field_of_another_sort_is_named() {
    let world = World::new().await;
    world.user("u1").await;
    let answer = world.post("/v1/users", &json!({ "id": 5 })).await;
    assert_eq!(answer.problem(), is(400, "field_invalid", Some("/id")));
    let change = Ask::new("PATCH", "/v1/users/u1").json(&json!({ "frozen": "yes" }));
    let answer = world.send(change).await;
    assert_eq!(answer.problem(), is(400, "field_invalid", Some("/frozen")));
}

#[tokio::test]
async fn a_line_over_the_limit_is_named_and_the_rest_goes_on_however_it_is_cut() {
    let world = World::with(|settings| settings.line_max = 200).await;
    world.user("u1").await;
    let text = format!(
        "{}\n{}{}\n{}\n",
        event_of("u1", "e1", 1),
        event_of("u1", "e2", 1),
        " ".repeat(500),
        event_of("u1", "e3", 1)
    );
    let chunks: Vec<_> = text
        .into_bytes()
        .chunks(100)
        .map(|c| Ok::<_, std::io::Error>(c.to_vec()))
        .collect();
    let ask = Ask::post("/v1/events").header("content-type", "application/x-ndjson");
    let lines = world
        .send(ask.body(Body::from_stream(stream::iter(chunks))))
        .await
        .lines();
    assert_eq!(lines[1]["code"], "line_too_long", "{lines:?}");
    assert_eq!(
        lines[3],
        json!({ "summary": { "credited": 2, "duplicates": 0, "rejected": 1 } })
    );
}

#[tokio::test]
async fn an_invented_method_makes_no_new_number() {
    let world = World::new().await;
    world
        .send(Ask::new("BREW1", "/v1/nothing").without_key())
        .await;
    let text = world.get("/metrics").await.text;
    assert!(!text.contains("BREW1"));
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_keep_a_withdrawn_key_alive() {
    let world = World::new().await;
    let minted = world.mint(&["books:read"]).await;
    let call = || world.send(Ask::get("/v1/summary").with_key(&minted.text));
    assert_eq!(call().await.status, 200);
    let withdrawn = ApiKey {
        revoked_at: Some(world.ports.clock().business()),
        ..minted.key.clone()
    };
    world.submit(Command::AddApiKey(withdrawn)).await;
    world.ports.clock().set_wire(NOON.after_ms(-3_600_000));
    world.ports.clock().advance_ms(60_000);
    assert_eq!(call().await.status, 401);
}

#[tokio::test]
async fn a_whole_number_beyond_the_range_is_called_so() {
    let line = r#"{"source":"a","event_id":"e","user":"u","kind":"k","amount_micros":9223372036854775808}"#;
    let fault = lingqian_http::wire::event::parse_event(line.as_bytes()).expect_err("too large");
    assert_eq!(fault.code, "amount_out_of_range");
}

#[tokio::test]
async fn an_amount_is_blamed_by_the_name_that_the_caller_gave_it() {
    let world = World::new().await;
    world.linked("u1").await;
    let body = json!({ "user": "u1", "amount_fen": 0, "reference": "r" });
    let answer = world.withdraw("k", &body).await;
    assert_eq!(answer.problem().2, Some("/amount_fen".into()));
}

#[tokio::test]
async fn how_long_is_known_by_route() {
    let world = World::new().await;
    world.get("/v1/summary").await;
    let text = world.get("/metrics").await.text;
    let mut lines = text
        .lines()
        .filter(|line| line.starts_with("lingqian_http_seconds_count"));
    assert!(lines.any(|line| line.contains("/v1/summary")));
}

#[tokio::test]
async fn a_path_that_is_no_text_is_a_problem() {
    let world = World::new().await;
    assert_eq!(world.get("/v1/users/%FF").await.problem().0, 400);
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let world = World::new().await;
    let answer = world.send(Ask::new("DELETE", "/v1/bills")).await;
    assert!(
        answer
            .header("allow")
            .is_some_and(|allow| allow.contains("GET"))
    );
}

#[tokio::test]
async fn a_withdrawal_says_done() {
    let world = World::new().await;
    world.linked("u1").await;
    let body = json!({ "user": "u1", "amount_fen": 20, "reference": "r" });
    assert_eq!(world.withdraw("k", &body).await.json()["outcome"], "done");
}

#[tokio::test]
async fn a_look_at_the_head_of_the_callback_uses_nothing_up() {
    let world = World::new().await;
    world.user("u1").await;
    let state = world.state("u1").await;
    let path = format!("/oauth/wechat/callback?state={state}&code=person-1");
    world.send(Ask::new("HEAD", &path).without_key()).await;
    assert_eq!(world.books().await.users, (1, 0));
}

#[tokio::test]
async fn a_sender_who_waits_for_the_answer_gets_it() {
    let world = World::new().await;
    world.user("u1").await;
    let line = format!("{}\n", event_of("u1", "e1", 1));
    let body = stream::iter([Ok::<_, std::io::Error>(line)]).chain(stream::pending());
    let ask = Ask::post("/v1/events").header("content-type", "application/x-ndjson");
    let request = world.request(ask.body(Body::from_stream(body)));
    let response = world.router().oneshot(request).await.expect("infallible");
    let mut answers = response.into_body().into_data_stream();
    let wait = std::time::Duration::from_secs(2);
    assert!(tokio::time::timeout(wait, answers.next()).await.is_ok());
}

#[tokio::test]
async fn a_page_with_a_code_in_its_address_is_kept_and_told_to_nobody() {
    let world = World::new().await;
    let answer = world
        .send(Ask::get("/oauth/wechat/callback?state=s").without_key())
        .await;
    assert_eq!(
        (
            answer.header("cache-control"),
            answer.header("referrer-policy")
        ),
        (Some("no-store"), Some("no-referrer"))
    );
}

#[tokio::test]
async fn the_word_bearer_has_no_case() {
    let world = World::new().await;
    let header = format!("bearer {}", world.key);
    let ask = Ask::get("/v1/summary")
        .without_key()
        .header("authorization", &header);
    assert_eq!(world.send(ask).await.status, 200);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_called_too_large() {
    let world = World::new().await;
    let broken = || {
        Body::from_stream(stream::iter([
            Ok(b"[".to_vec()),
            Err(std::io::Error::other("reset")),
        ]))
    };
    let ask = Ask::post("/v1/events")
        .header("content-type", "application/json")
        .body(broken());
    let events = world.send(ask).await.status;
    let hook = world
        .send(Ask::post("/hooks/wechat/transfer").body(broken()))
        .await
        .status;
    assert_eq!((events, hook), (400, 400));
}

#[tokio::test]
async fn a_percent_sign_that_is_none_is_refused() {
    let world = World::new().await;
    assert_eq!(world.get("/v1/payouts?user=u%zz1").await.status, 400);
    let _: Value = Value::Null;
}
