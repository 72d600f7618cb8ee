//! The states that a transfer passes by itself, and how long it stays in each.

use std::time::Duration;

use lingqian_sandbox::{Lag, Settings};
use serde_json::{Value, json};

use crate::client::{Address, World};

const HOUR: Duration = Duration::from_secs(3_600);

/// Hours in each state, so that only the business clock moves anything.
fn hours(settings: &mut Settings) {
    settings.lag = Some(Lag {
        accepted_ms: 3_600_000,
        processing_ms: 2 * 3_600_000,
        transfering_ms: 3_600_000,
    });
}

#[tokio::test]
async fn a_transfer_is_accepted_processed_waits_is_under_way_and_arrives() {
    let world = World::with(hours).await;
    let address = Address::open(0).await;
    let mut body = world.transfer("L1", 500).await;
    body["notify_url"] = json!(address.url);
    let told = world.create(&body).await.expect("answers").json();
    assert_eq!(told["state"], "ACCEPTED");
    assert!(told["package_info"].is_null(), "there is no page yet");
    let early = format!("{}/_sandbox/transfers/L1/confirm", world.url);
    let early = crate::client::call("POST", &early, &[], "").await;
    assert_eq!(
        early.expect("answers").status,
        400,
        "nothing to confirm yet"
    );
    world.sandbox.advance(HOUR).await;
    assert_eq!(world.state("L1").await, "PROCESSING");
    world.sandbox.advance(HOUR).await;
    assert_eq!(world.state("L1").await, "PROCESSING");
    world.sandbox.advance(HOUR).await;
    assert_eq!(world.state("L1").await, "WAIT_USER_CONFIRM");
    // Whoever sends the same again gets the page.
    let again = world.create(&body).await.expect("answers").json();
    assert!(again["package_info"].is_string(), "{again}");
    world
        .admin("POST", "transfers/L1/confirm", &Value::Null)
        .await;
    assert_eq!(world.state("L1").await, "TRANSFERING");
    let again = world.create(&body).await.expect("answers").json();
    assert_eq!(again["state"], "TRANSFERING");
    assert_eq!(address.count(), 0, "nothing has ended");
    world.sandbox.advance(HOUR).await;
    assert_eq!(world.state("L1").await, "SUCCESS");
    address.received(1).await;
}

#[tokio::test]
async fn what_will_fail_fails_when_its_time_has_come() {
    let world = World::with(hours).await;
    for number in ["F1", "F2"] {
        let body = world.transfer(number, 500).await;
        world.create(&body).await.expect("answers");
    }
    world.sandbox.advance(3 * HOUR).await;
    let refuse = "transfers/F1/refuse?reason=ACCOUNT_NOT_EXIST";
    world.admin("POST", refuse, &Value::Null).await;
    assert_eq!(world.state("F1").await, "TRANSFERING");
    let path = "/v3/fund-app/mch-transfer/transfer-bills/out-bill-no";
    let cancelled = world.ask("POST", &format!("{path}/F1/cancel"), "").await;
    assert_eq!(cancelled.expect("answers").error().1, "INVALID_REQUEST");
    world.sandbox.advance(HOUR).await;
    assert_eq!(
        world.query("F1").await.json()["fail_reason"],
        "ACCOUNT_NOT_EXIST"
    );
    // A wallet that was frozen while the money was being locked.
    let body = world.transfer("F3", 500).await;
    world.create(&body).await.expect("answers");
    let frozen = json!({ "name": "alice", "frozen": true });
    world.admin("POST", "users", &frozen).await;
    world.sandbox.advance(3 * HOUR).await;
    assert_eq!(
        world.query("F3").await.json()["fail_reason"],
        "ACCOUNT_FROZEN"
    );
}

#[tokio::test]
async fn what_is_not_locked_yet_can_be_cancelled_and_locks_nothing() {
    let world = World::with(hours).await;
    let body = world.transfer("C1", 500).await;
    world.create(&body).await.expect("answers");
    let path = "/v3/fund-app/mch-transfer/transfer-bills/out-bill-no/C1/cancel";
    let told = world.ask("POST", path, "").await.expect("answers").json();
    assert_eq!(told["state"], "CANCELING");
    for _ in 0..100 {
        if world.state("C1").await == "CANCELLED" {
            let books = world.admin("GET", "books", &Value::Null).await;
            assert_eq!(books["out_fen"], 0);
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it was never cancelled");
}

#[tokio::test]
async fn money_that_is_gone_when_it_is_to_be_locked_is_waited_for_a_day() {
    let world = World::with(|settings| {
        hours(settings);
        settings.first_top_up_fen = 500;
    })
    .await;
    for number in ["M1", "M2", "M3"] {
        let body = world.transfer(number, 500).await;
        assert_eq!(world.create(&body).await.expect("answers").status, 200);
    }
    world.sandbox.advance(3 * HOUR).await;
    let stand = async || {
        [
            world.state("M1").await,
            world.state("M2").await,
            world.state("M3").await,
        ]
    };
    let waits = "WAIT_USER_CONFIRM";
    assert_eq!(stand().await, [waits, "PROCESSING", "PROCESSING"]);
    world
        .admin("POST", "top-up", &json!({ "amount_fen": 500 }))
        .await;
    world.sandbox.advance(Duration::from_secs(1)).await;
    assert_eq!(stand().await, [waits, waits, "PROCESSING"]);
    world.sandbox.advance(21 * HOUR).await;
    assert_eq!(
        world.query("M3").await.json()["fail_reason"],
        "OVERDUE_CLOSE"
    );
}

#[tokio::test]
async fn what_was_under_way_goes_on_after_a_restart_and_the_lag_is_remembered() {
    let world = World::new().await;
    let lag = json!({ "accepted_ms": 0, "processing_ms": 3_600_000, "transfering_ms": 3_600_000 });
    assert_eq!(world.admin("POST", "lag", &lag).await, lag);
    let body = world.transfer("R1", 500).await;
    let told = world.create(&body).await.expect("answers").json();
    assert_eq!(told["state"], "PROCESSING");
    world.sandbox.advance(HOUR).await;
    let refuse = "transfers/R1/refuse?reason=ACCOUNT_NOT_EXIST";
    world.admin("POST", refuse, &Value::Null).await;
    let World { sandbox, dir, .. } = world;
    sandbox.stop().await;
    let settings = Settings {
        data: dir.path().to_owned(),
        ..Settings::default()
    };
    let world = World::open(dir, settings).await;
    assert_eq!(world.admin("GET", "lag", &Value::Null).await, lag);
    assert_eq!(world.state("R1").await, "TRANSFERING");
    world.sandbox.advance(HOUR).await;
    assert_eq!(
        world.query("R1").await.json()["fail_reason"],
        "ACCOUNT_NOT_EXIST"
    );
    for wrong in [
        json!({ "accepted_ms": -1 }),
        json!({ "processing_ms": 604_800_001 }),
    ] {
        let url = format!("{}/_sandbox/lag", world.url);
        let headers = [("content-type", "application/json".to_owned())];
        let told = crate::client::call("POST", &url, &headers, &wrong.to_string()).await;
        assert_eq!(told.expect("answers").status, 400);
    }
}

#[tokio::test]
async fn an_authorized_transfer_passes_the_states_without_anybody() {
    let world = World::with(hours).await;
    let apply = json!({ "out_authorization_no": "A1", "appid": world.credentials.appid,
        "openid": world.person("alice").await, "transfer_scene_id": "1000",
        "user_display_name": "a***e", "authorization_notify_url": "http://127.0.0.1:9/none" });
    let path = "/v3/fund-app/mch-transfer/user-confirm-authorization";
    world
        .ask("POST", path, &apply.to_string())
        .await
        .expect("answers");
    world
        .admin("POST", "authorizations/A1/confirm", &Value::Null)
        .await;
    let mut body = world.transfer("D1", 500).await;
    body["out_authorization_no"] = json!("A1");
    body.as_object_mut().expect("an object").remove("openid");
    let path = "/v3/fund-app/mch-transfer/transfer-bills/transfer";
    let told = world
        .ask("POST", path, &body.to_string())
        .await
        .expect("answers");
    assert_eq!(told.json()["state"], "ACCEPTED", "{:?}", told.json());
    let mut seen = Vec::new();
    for _ in 0..4 {
        world.sandbox.advance(HOUR).await;
        seen.push(world.state("D1").await);
    }
    assert_eq!(seen, ["PROCESSING", "PROCESSING", "TRANSFERING", "SUCCESS"]);
    let books = world.admin("GET", "books", &Value::Null).await;
    assert_eq!(books["out_fen"], 500);
}

#[tokio::test]
async fn a_robot_waits_until_there_is_something_to_confirm() {
    let world = World::with(|settings| {
        settings.lag = Some(Lag {
            processing_ms: 400,
            ..Lag::default()
        });
        settings.robot.confirm_per_mille = 1_000;
    })
    .await;
    let body = world.transfer("B1", 500).await;
    let told = world.create(&body).await.expect("answers").json();
    assert_eq!(told["state"], "PROCESSING");
    for _ in 0..200 {
        if world.state("B1").await == "SUCCESS" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nobody confirmed");
}
