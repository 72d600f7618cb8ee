//! The feed, and endpoints of webhooks, as a caller has them.

use lingqian_core::transfer::Finding;
use lingqian_engine::Limits;
use lingqian_engine::notify::notify;
use lingqian_http::Trials;
use lingqian_io::courier::Receipt;
use lingqian_io::twin::TwinCourier;
use serde_json::{Value, json};

use crate::world::{Answer, Ask, World, is};

/// One payout that was paid: two users' worth of notices.
async fn paid() -> World {
    let world = World::new().await;
    world.linked("u1").await;
    world.payout("u1", "r1", 100).await;
    world.pay(Finding::Paid).await;
    world
}

fn events(answer: &Answer) -> Vec<String> {
    let said = answer.json();
    let data = said["data"].as_array().expect("a list").iter();
    data.map(|one| one["type"].as_str().expect("a name").to_owned())
        .collect()
}

async fn create(world: &World, body: &Value) -> Value {
    let made = world.post("/v1/webhooks", body).await;
    assert_eq!(made.status, 201, "{:?}", made.json());
    made.json()
}

#[tokio::test]
async fn the_feed_tells_each_change_once_and_goes_on_where_it_is_asked_to() {
    let world = paid().await;
    let all = world.get("/v1/feed").await;
    let expected = [
        "user.linked",
        "payout.approved",
        "payout.sending",
        "payout.paid",
    ];
    assert_eq!(events(&all), expected);
    let said = all.json();
    assert_eq!(
        (&said["has_more"], &said["next_after"]),
        (&json!(false), &json!(4))
    );
    let last = &said["data"][3];
    assert_eq!(last["data"]["user"], "u1");
    assert_eq!((&last["number"], &last["version"]), (&json!(4), &json!(4)));
    let shown = world
        .get(&format!(
            "/v1/payouts/{}",
            last["data"]["id"].as_str().expect("an id")
        ))
        .await
        .json();
    for (name, value) in last["data"].as_object().expect("a row") {
        assert_eq!(shown[name], *value, "{name} is as the API shows it");
    }
    let some = world.get("/v1/feed?after=1&limit=2").await;
    assert_eq!(events(&some), expected[1..3]);
    assert_eq!(some.json()["has_more"], true);
    assert_eq!(some.json()["next_after"], 3);
    let none = world.get("/v1/feed?after=4").await.json();
    assert_eq!(
        (&none["data"], &none["next_after"]),
        (&json!([]), &json!(4))
    );
    for (query, field) in [
        ("after=-1", "after"),
        ("after=x", "after"),
        ("limit=1001", "limit"),
    ] {
        let refused = world.get(&format!("/v1/feed?{query}")).await.problem();
        assert_eq!(
            refused,
            is(400, "parameter_invalid", Some(field)),
            "{query}"
        );
    }
}

#[tokio::test]
async fn an_endpoint_is_made_changed_and_deleted_and_shows_its_secret_once() {
    let world = paid().await;
    let url = "https://app.example.test/hook";
    let made = create(
        &world,
        &json!({ "url": url, "events": ["payout.*"], "note": "财务" }),
    )
    .await;
    let path = format!("/v1/webhooks/{}", made["id"].as_str().expect("a name"));
    assert!(
        made["secret"]
            .as_str()
            .expect("a secret")
            .starts_with("whsec_")
    );
    assert_eq!(
        made["health"]["planned_to"], 4,
        "it begins with what comes next"
    );
    let shown = world.get(&path).await.json();
    assert_eq!(shown.get("secret"), None);
    assert_eq!(
        shown["secrets"],
        json!([{ "scheme": "v1", "valid_until": null }])
    );
    let body = json!({ "scheme": "v1a", "overlap_seconds": 60 });
    let rotated = world.post(&format!("{path}/rotate"), &body).await.json();
    assert!(
        rotated["secret"]
            .as_str()
            .expect("a key")
            .starts_with("whpk_")
    );
    let valid = rotated["secrets"].as_array().expect("two").iter();
    let valid: Vec<&Value> = valid.map(|secret| &secret["valid_until"]).collect();
    assert_eq!(valid, [&Value::Null, &json!("2026-03-02T04:01:02Z")]);
    let off = json!({ "enabled": false, "events": ["*"], "url": "https://b.example.test/" });
    let changed = world.send(Ask::new("PATCH", &path).json(&off)).await.json();
    assert_eq!(
        (&changed["enabled"], &changed["off_why"]),
        (&json!(false), &json!("asked"))
    );
    assert_eq!(changed["url"], "https://b.example.test/");
    assert_eq!(
        world.get("/v1/webhooks").await.json()["data"],
        json!([changed])
    );
    let deeds = world.get("/v1/deeds").await.json();
    let deeds = deeds["data"].as_array().expect("a list").iter();
    let deeds: Vec<&str> = deeds.filter_map(|deed| deed["what"].as_str()).collect();
    assert_eq!(
        deeds,
        ["webhook_change", "webhook_rotate", "webhook_create"]
    );
    let gone = world.send(Ask::new("DELETE", &path)).await;
    assert_eq!(gone.json()["deleted"], true);
    assert_eq!(world.get(&path).await.problem(), is(404, "not_found", None));
}

#[tokio::test]
async fn what_is_wrong_is_said_and_changes_nothing() {
    let world = World::new().await;
    let url = "https://a.example.test/";
    for (body, code, field) in [
        (json!({ "url": "ftp://a" }), "url_malformed", "/url"),
        (json!({ "url": "https://u:p@a/" }), "url_malformed", "/url"),
        (
            json!({ "url": url, "events": ["payout.payed"] }),
            "event_unknown",
            "/events",
        ),
        (
            json!({ "url": url, "note": "a\nb" }),
            "note_malformed",
            "/note",
        ),
        (
            json!({ "url": url, "scheme": "v2" }),
            "scheme_unknown",
            "/scheme",
        ),
        (json!({ "url": url, "after": 1 }), "field_invalid", "/after"),
        (json!({ "url": url, "urls": 1 }), "field_unknown", "/urls"),
        (json!({ "events": [] }), "field_missing", "/url"),
    ] {
        let refused = world.post("/v1/webhooks", &body).await;
        assert_eq!(refused.problem(), is(400, code, Some(field)), "{body}");
    }
    assert_eq!(world.get("/v1/webhooks").await.json()["data"], json!([]));
    let made = create(&world, &json!({ "url": url })).await;
    let path = format!("/v1/webhooks/{}", made["id"].as_str().expect("a name"));
    let long = world
        .post(&format!("{path}/rotate"), &json!({ "overlap_seconds": -1 }))
        .await;
    assert_eq!(
        long.problem(),
        is(400, "field_invalid", Some("/overlap_seconds"))
    );
    for range in [
        json!({ "first": 0 }),
        json!({ "first": 2, "last": 1 }),
        json!({ "first": 1, "last": 10_001 }),
    ] {
        let refused = world.post(&format!("{path}/replay"), &range).await;
        assert_eq!(
            refused.problem(),
            is(400, "range_invalid", Some("/last")),
            "{range}"
        );
    }
    let stranger = world
        .post("/v1/webhooks/we_x/replay", &json!({ "first": 1 }))
        .await;
    assert_eq!(stranger.problem(), is(404, "not_found", None));
}

#[tokio::test]
async fn what_was_delivered_is_delivered_again_on_request() {
    let world = paid().await;
    let body = json!({ "url": "https://a.example.test/", "events": ["payout.*"], "after": 0 });
    let made = create(&world, &body).await;
    let path = format!("/v1/webhooks/{}", made["id"].as_str().expect("a name"));
    let courier = TwinCourier::default();
    let limits = Limits::default();
    while notify(&world.ports, &courier, &limits)
        .await
        .expect("no fault")
        .taken
        > 0
    {}
    assert_eq!(courier.sent().len(), 3);
    let waits = world.get(&format!("{path}/deliveries")).await.json();
    assert_eq!(waits["data"], json!([]));
    let replayed = world
        .post(&format!("{path}/replay"), &json!({ "first": 3, "last": 4 }))
        .await;
    assert_eq!(replayed.json()["replayed"], 2);
    let waits = world
        .get(&format!("{path}/deliveries?limit=1"))
        .await
        .json();
    assert_eq!(
        (&waits["data"][0]["number"], &waits["next_after"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(waits["data"][0]["state"], "waiting");
    while notify(&world.ports, &courier, &limits)
        .await
        .expect("no fault")
        .taken
        > 0
    {}
    assert_eq!(courier.sent().len(), 2);
}

#[tokio::test]
async fn a_trial_is_signed_and_told_and_health_is_in_the_numbers() {
    let courier = TwinCourier::default();
    let sender = courier.clone();
    let world = World::with(move |settings| settings.trials = Trials::by(sender)).await;
    let made = create(&world, &json!({ "url": "https://app.example/hook" })).await;
    let id = made["id"].as_str().expect("a name").to_owned();
    let path = format!("/v1/webhooks/{id}/test");
    let tested = world.post(&path, &json!({})).await.json();
    assert_eq!(tested, json!({ "id": id, "taken": true, "code": null }));
    let sent = courier.sent();
    assert_eq!((sent.len(), sent[0].keys.len()), (1, 1), "signed");
    let body: Value = serde_json::from_str(&sent[0].body).expect("JSON");
    assert_eq!(
        (&body["type"], &body["sample"]),
        (&json!("webhook.test"), &json!(true))
    );
    courier.answers([Receipt::unanswered("timeout")]);
    let tested = world.post(&path, &json!({})).await.json();
    assert_eq!(tested["code"], "timeout");
    assert_eq!(
        world
            .post("/v1/webhooks/we_none/test", &json!({}))
            .await
            .status,
        404
    );
    let numbers = world.get("/metrics").await.text;
    for line in [
        format!("lingqian_webhooks{{endpoint=\"{id}\",what=\"on\"}} 1"),
        format!("lingqian_webhooks{{endpoint=\"{id}\",what=\"failures\"}} 0"),
    ] {
        assert!(numbers.contains(&line), "{line}: {numbers}");
    }
    world
        .send(Ask::new("DELETE", &format!("/v1/webhooks/{id}")))
        .await;
    assert!(
        !world.get("/metrics").await.text.contains(&id),
        "it is gone"
    );
}
