//! Notifications: proved, sealed, repeated until somebody acknowledges.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Address, World, proves};

async fn confirmed(world: &World, address: &Address, number: &str) {
    let mut body = world.transfer(number, 700).await;
    body["notify_url"] = json!(address.url);
    assert_eq!(world.create(&body).await.expect("answers").status, 200);
    world
        .admin("POST", &format!("transfers/{number}/confirm"), &Value::Null)
        .await;
}

#[tokio::test]
async fn the_end_of_a_transfer_is_announced_signed_and_sealed() {
    let world = World::new().await;
    let address = Address::open(0).await;
    confirmed(&world, &address, "N1").await;
    let received = address.received(1).await;
    let (headers, body) = &received[0];
    assert!(proves(&world.credentials, headers, body));
    let envelope: Value = serde_json::from_slice(body).expect("JSON");
    assert_eq!(envelope["event_type"], "MCHTRANSFER.BILL.FINISHED");
    let told = world.opened(&envelope["resource"]);
    assert_eq!(
        (&told["out_bill_no"], &told["state"]),
        (&json!("N1"), &json!("SUCCESS"))
    );
    assert_eq!(told["transfer_amount"], 700);
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again_on_the_schedule_and_then_stops() {
    let world = World::new().await;
    let address = Address::open(2).await;
    confirmed(&world, &address, "N1").await;
    address.received(1).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(address.count(), 1, "not before fifteen seconds");
    world.sandbox.advance(Duration::from_secs(16)).await;
    address.received(2).await;
    world.sandbox.advance(Duration::from_secs(16)).await;
    let received = address.received(3).await;
    assert!(
        received
            .iter()
            .all(|(headers, body)| proves(&world.credentials, headers, body))
    );
    world.sandbox.advance(Duration::from_secs(86_400)).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(address.count(), 3, "nothing after it was acknowledged");
}

#[tokio::test]
async fn notifications_go_wrong_as_they_are_told_to() {
    let world = World::new().await;
    let address = Address::open(0).await;
    world
        .admin("POST", "faults", &json!({ "times": { "notice_twice": 1 } }))
        .await;
    confirmed(&world, &address, "N1").await;
    assert_eq!(address.received(2).await.len(), 2);
    world
        .admin("POST", "faults", &json!({ "times": { "notice_never": 1 } }))
        .await;
    confirmed(&world, &address, "N2").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(address.count(), 2, "it never comes");
    world
        .admin("POST", "faults", &json!({ "times": { "notice_probe": 1 } }))
        .await;
    confirmed(&world, &address, "N3").await;
    let received = address.received(3).await;
    let (headers, body) = &received[2];
    assert!(headers["wechatpay-signature"].starts_with("WECHATPAY/SIGNTEST/"));
    assert!(!proves(&world.credentials, headers, body));
    let list = world.admin("GET", "notifications", &Value::Null).await;
    let id = list["data"][1]["id"].as_u64().expect("an id");
    world
        .admin("POST", &format!("notifications/{id}"), &Value::Null)
        .await;
    assert_eq!(
        address.received(4).await.len(),
        4,
        "it is sent again by hand"
    );
}
