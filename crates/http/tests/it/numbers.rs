//! Health, and numbers for Prometheus. No number names a person.

use lingqian_core::transfer::Finding;
use lingqian_io::twin::FaultPoint;
use serde_json::json;

use crate::world::{Ask, World, event_of};

async fn numbers(world: &World) -> String {
    let answer = world.get("/metrics").await;
    assert_eq!(answer.status, 200);
    let kind = answer.header("content-type").expect("a type");
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    answer.text
}

fn has(text: &str, line: &str) {
    assert!(
        text.lines().any(|other| other == line),
        "{line} is not in\n{text}"
    );
}

#[tokio::test]
async fn it_lives_whatever_the_store_does_and_is_ready_when_the_store_answers() {
    let world = World::new().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(world.send(Ask::get(path).without_key()).await.status, 200);
    }
    world.store().fail_next(FaultPoint::Look);
    assert_eq!(
        world.send(Ask::get("/healthz").without_key()).await.status,
        200
    );
    let answer = world.send(Ask::get("/readyz").without_key()).await;
    assert_eq!(answer.status, 503);
    assert!(
        !answer.text.contains("twin"),
        "what failed inside stays inside"
    );
    assert_eq!(
        world.send(Ask::get("/readyz").without_key()).await.status,
        200
    );
}

#[tokio::test]
async fn requests_are_counted_by_template_and_never_by_what_is_in_them() {
    let world = World::new().await;
    world.user("u-secret").await;
    world.get("/v1/users/u-secret").await;
    world.get("/v1/users/u-ghost").await;
    world.get("/v1/secret-path").await;
    let text = numbers(&world).await;
    has(
        &text,
        r#"lingqian_http_requests_total{method="GET",route="/v1/users/{id}",status="200"} 1"#,
    );
    has(
        &text,
        r#"lingqian_http_requests_total{method="GET",route="/v1/users/{id}",status="404"} 1"#,
    );
    has(
        &text,
        r#"lingqian_http_requests_total{method="GET",route="none",status="404"} 1"#,
    );
    assert!(!text.contains("secret") && !text.contains("ghost"));
    has(&text, "# EOF");
}

#[tokio::test]
async fn events_are_counted_by_result_from_both_ways_in() {
    let world = World::new().await;
    world.user("u1").await;
    let events = json!([
        event_of("u1", "e1", 1),
        event_of("u1", "e1", 1),
        event_of("ghost", "e2", 1)
    ]);
    world.post("/v1/events", &events).await;
    let lines = format!("{}\nbroken\n", event_of("u1", "e3", 1));
    world
        .send(Ask::post("/v1/events").text("application/x-ndjson", &lines))
        .await;
    let text = numbers(&world).await;
    has(&text, r#"lingqian_events_total{name="credited"} 2"#);
    has(&text, r#"lingqian_events_total{name="duplicate"} 1"#);
    has(&text, r#"lingqian_events_total{name="rejected"} 2"#);
}

#[tokio::test]
async fn the_books_are_shown_as_they_are_now() {
    let world = World::new().await;
    world.linked("u1").await;
    world.payout("u1", "r1", 150).await;
    world.pay(Finding::Paid).await;
    world.payout("u1", "r2", 20).await;
    world.post("/v1/events", &event_of("ghost", "e1", 1)).await;
    let text = numbers(&world).await;
    has(&text, r#"lingqian_payouts{name="paid"} 1"#);
    has(&text, r#"lingqian_payouts{name="requested"} 1"#);
    has(&text, r#"lingqian_payouts{name="failed"} 0"#);
    has(&text, r#"lingqian_waiting{name="assess"} 1"#);
    has(&text, r#"lingqian_waiting{name="send"} 0"#);
    has(
        &text,
        r#"lingqian_balance_micros{name="clearing:1"} 1500000"#,
    );
    has(&text, "lingqian_open_breaks 0");
    has(&text, "lingqian_dead_letters 1");
    world.pay(Finding::Paid).await;
    has(
        &numbers(&world).await,
        r#"lingqian_payouts{name="requested"} 0"#,
    );
}

#[tokio::test]
async fn what_is_stopped_is_a_number_until_it_is_lifted() {
    let world = World::new().await;
    let stop = json!({ "scope": "all", "reason": "a drill" });
    assert_eq!(world.post("/v1/stops", &stop).await.status, 200);
    let line = r#"lingqian_stop_since_seconds{scope="all",cause="person"} "#;
    let shown = async || numbers(&world).await.contains(line);
    assert!(shown().await);
    assert_eq!(world.post("/v1/stops/lift", &stop).await.status, 200);
    assert!(!shown().await);
}

#[tokio::test]
async fn notifications_are_counted_by_result() {
    let world = World::new().await;
    let ask = Ask::post("/hooks/wechat/transfer").without_key();
    world.send(ask.text("application/json", "{}")).await;
    let text = numbers(&world).await;
    has(
        &text,
        r#"lingqian_notifications_total{name="signature_header_missing"} 1"#,
    );
}
