//! What is the same for every route: problems, request ids, what no route takes.

use lingqian_http::ROUTES;
use lingqian_io::twin::FaultPoint;
use serde_json::json;

use crate::world::{Ask, World, is};

#[tokio::test]
async fn a_path_that_is_not_there_is_a_problem() {
    let world = World::new().await;
    for path in [
        "/",
        "/v1",
        "/v1/user",
        "/v1/users/",
        "/v1/users/u1/x",
        "/V1/users",
        "/v2/users",
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.problem(), is(404, "no_such_route", None), "{path}");
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_a_problem() {
    let world = World::new().await;
    for route in &ROUTES {
        let path = route.path.replace("{id}", "x");
        let answer = world.send(Ask::new("PUT", &path)).await;
        assert_eq!(
            answer.problem(),
            is(405, "method_not_allowed", None),
            "{path}"
        );
        let allow = answer.header("allow").expect("the right ones are told");
        assert!(allow.contains(route.method), "{allow} for {path}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_a_problem_on_every_route_that_reads_one() {
    let world = World::with(|settings| settings.body_max = 100).await;
    let long = format!("\"{}\"", "x".repeat(100));
    let asks = [
        Ask::post("/v1/users"),
        Ask::new("PATCH", "/v1/users/u1"),
        Ask::post("/v1/events"),
        Ask::post("/v1/withdrawals").header("idempotency-key", "k1"),
    ];
    for ask in asks {
        let answer = world.send(ask.text("application/json", &long)).await;
        assert_eq!(answer.problem(), is(413, "body_too_large", None));
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_by_its_type_is_a_problem() {
    let world = World::new().await;
    let asks = [
        Ask::post("/v1/users"),
        Ask::new("PATCH", "/v1/users/u1"),
        Ask::post("/v1/withdrawals").header("idempotency-key", "k1"),
    ];
    for ask in asks {
        let answer = world
            .send(ask.text("application/x-www-form-urlencoded", "id=u1"))
            .await;
        assert_eq!(answer.problem(), is(415, "content_type_wrong", None));
    }
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let world = World::new().await;
    let mut seen = std::collections::BTreeSet::new();
    for path in [
        "/v1/summary",
        "/v1/nothing",
        "/healthz",
        "/v1/users/ghost",
        "/oauth/wechat/callback",
    ] {
        let answer = world.get(path).await;
        let id = answer.header("request-id").expect("an id").to_owned();
        assert!(id.starts_with("rq_"), "{id}");
        assert!(seen.insert(id), "no two are the same");
    }
}

#[tokio::test]
async fn a_callers_request_id_is_kept_when_it_is_sane() {
    let world = World::new().await;
    let long = "x".repeat(64);
    for given in ["a", "2f1c-77.b_Z", &long] {
        let answer = world
            .send(Ask::get("/healthz").header("request-id", given))
            .await;
        assert_eq!(answer.header("request-id"), Some(given));
    }
    let longer = "x".repeat(65);
    for given in ["", "a b", "a\"b", "<x>", &longer] {
        let answer = world
            .send(Ask::get("/healthz").header("request-id", given))
            .await;
        assert_ne!(answer.header("request-id"), Some(given));
    }
}

#[tokio::test]
async fn a_store_that_fails_is_the_same_problem_on_every_route_that_looks() {
    let world = World::new().await;
    world.user("u1").await;
    let id = format!("/v1/payouts/po_{}", "0".repeat(26));
    for path in [
        "/v1/users",
        "/v1/users/u1",
        "/v1/users/u1/statement",
        "/v1/payouts",
        &id,
        "/v1/bills",
        "/v1/breaks",
        "/v1/dead-letters",
        "/v1/summary",
        "/metrics",
    ] {
        world.store().fail_next(FaultPoint::Look);
        let answer = world.get(path).await;
        assert_eq!(
            answer.problem(),
            is(503, "temporarily_unavailable", None),
            "{path}"
        );
        let value = answer.json();
        assert_eq!(
            (&value["retryable"], answer.header("retry-after")),
            (&json!(true), Some("1"))
        );
        assert!(
            !answer.text.contains("twin"),
            "what failed inside stays inside"
        );
    }
}

#[tokio::test]
async fn a_head_is_answered_as_a_get_without_its_body() {
    let world = World::new().await;
    let answer = world.send(Ask::new("HEAD", "/v1/summary")).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    let answer = world
        .send(Ask::new("HEAD", "/v1/summary").without_key())
        .await;
    assert_eq!(answer.status, 401);
}
