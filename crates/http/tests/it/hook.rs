//! WeChat's notifications: what is signed is believed, after the commit it is acknowledged.

use lingqian_core::transfer::Finding;
use lingqian_io::twin::FaultPoint;
use lingqian_io::{Clock as _, Ports as _};
use serde_json::json;

use crate::wechat::SIGNATURE;
use crate::world::{Answer, Ask, World};

fn signed(world: &World, body: &str) -> Ask {
    let at = world.ports.clock().wire().0 / 1_000;
    unsigned(body)
        .header("wechatpay-timestamp", &at.to_string())
        .header("Wechatpay-Signature", SIGNATURE)
        .header("wechatpay-serial", "WX1")
}

fn unsigned(body: &str) -> Ask {
    Ask::post("/hooks/wechat/transfer")
        .without_key()
        .text("application/json", body)
}

/// A payout that WeChat has, and its number.
async fn sent(world: &World) -> (String, String) {
    world.linked("u1").await;
    let id = world.payout("u1", "r1", 150).await;
    world.pay(Finding::Processing).await;
    let number = format!("LQ{}01", &id[3..]);
    (id, number)
}

fn failed(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.json(), json!({ "code": "FAIL", "message": code }));
}

async fn state(world: &World, id: &str) -> String {
    let story = world.get(&format!("/v1/payouts/{id}")).await.json();
    story["state"].as_str().expect("text").to_owned()
}

#[tokio::test]
async fn a_genuine_notification_moves_the_payout_once_and_is_acknowledged_every_time() {
    let world = World::new().await;
    let (id, number) = sent(&world).await;
    let paid = format!("{number} paid");
    let answer = world.send(signed(&world, &paid)).await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({ "code": "SUCCESS", "message": "OK" }))
    );
    assert_eq!(state(&world, &id).await, "paid");
    let before = world.books().await;
    let again = world.send(signed(&world, &paid)).await;
    assert_eq!(again.status, 200);
    assert_eq!(world.books().await, before);
    let user = world.get("/v1/users/u1").await.json();
    assert_eq!(
        (&user["available_micros"], &user["held_micros"]),
        (&json!(8_500_000), &json!(0))
    );
    world.audited().await;
}

#[tokio::test]
async fn a_failure_gives_the_money_back() {
    let world = World::new().await;
    let (id, number) = sent(&world).await;
    let answer = world
        .send(signed(&world, &format!("{number} ACCOUNT_FROZEN")))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(state(&world, &id).await, "failed");
    assert_eq!(
        world.get("/v1/users/u1").await.json()["available_micros"],
        10_000_000
    );
    world.audited().await;
}

#[tokio::test]
async fn what_is_not_wechats_has_no_effect() {
    let world = World::new().await;
    let (id, number) = sent(&world).await;
    let paid = format!("{number} paid");
    let now = world.ports.clock().wire().0 / 1_000;
    let before = world.books().await;
    let with = |at: i64, signature: &str, serial: &str| {
        unsigned(&paid)
            .header("wechatpay-timestamp", &at.to_string())
            .header("wechatpay-signature", signature)
            .header("wechatpay-serial", serial)
    };
    let cases = [
        (unsigned(&paid), "signature_header_missing"),
        (with(now, "forged", "WX1"), "signature_wrong"),
        (with(now, "", "WX1"), "signature_wrong"),
        (with(now, SIGNATURE, "WX2"), "signing_key_unknown"),
        (with(now - 301, SIGNATURE, "WX1"), "timestamp_stale"),
        (with(now + 301, SIGNATURE, "WX1"), "timestamp_stale"),
    ];
    for (ask, code) in cases {
        failed(&world.send(ask).await, 401, code);
    }
    assert_eq!(world.books().await, before);
    assert_eq!(state(&world, &id).await, "processing");
}

#[tokio::test]
async fn what_is_signed_but_does_not_read_is_not_acknowledged() {
    let world = World::new().await;
    for (body, code) in [
        ("seal", "seal_wrong"),
        ("form", "message_malformed"),
        ("NOTOURS paid", "message_malformed"),
    ] {
        let answer = world.send(signed(&world, body)).await;
        assert!((400..500).contains(&answer.status), "{body}");
        failed(&answer, answer.status, code);
    }
}

#[tokio::test]
async fn what_is_about_something_else_is_acknowledged_and_forgotten() {
    let world = World::new().await;
    let before = world.books().await;
    let foreign = format!("LQ{}01 paid", "0".repeat(26));
    for body in ["REFUND.SUCCESS", &foreign] {
        assert_eq!(world.send(signed(&world, body)).await.status, 200, "{body}");
    }
    assert_eq!(world.books().await, before);
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_kept() {
    for fault in [
        FaultPoint::Prefetch,
        FaultPoint::Commit,
        FaultPoint::CommitLost,
        FaultPoint::CommitUnanswered,
    ] {
        let world = World::new().await;
        let (id, number) = sent(&world).await;
        let paid = format!("{number} paid");
        world.store().fail_next(fault);
        let answer = world.send(signed(&world, &paid)).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (503, &json!("FAIL")),
            "{fault:?}"
        );
        assert_eq!(
            world.send(signed(&world, &paid)).await.status,
            200,
            "WeChat sends it again"
        );
        assert_eq!(state(&world, &id).await, "paid");
        world.audited().await;
    }
}

#[tokio::test]
async fn a_notification_over_the_limit_is_not_read() {
    let world = World::with(|settings| settings.body_max = 1_000).await;
    let before = world.books().await;
    let answer = world.send(signed(&world, &"x".repeat(1_001))).await;
    failed(&answer, 413, "body_too_large");
    assert_eq!(world.books().await, before);
}
