//! What a user is told: the inbox, and the stream of what happens.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt as _;
use lingqian_core::transfer::Finding;
use lingqian_http::Lives;
use lingqian_io::twin::FaultPoint;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::world::{Ask, World, is};

/// A world whose streams are quick.
async fn quick(open_max: usize, life_ms: u64) -> World {
    World::with(|settings| {
        settings.lives = Lives {
            open_max,
            rest: Duration::from_millis(5),
            heartbeat: Duration::from_millis(60),
            life: Duration::from_millis(life_ms),
        };
    })
    .await
}

fn kinds(inbox: &Value) -> Vec<(&str, bool)> {
    let data = inbox["data"].as_array().expect("a list").iter();
    data.map(|one| {
        let kind = one["type"].as_str().expect("a name");
        (kind, one["read"].as_bool().expect("read or not"))
    })
    .collect()
}

#[tokio::test]
async fn the_inbox_tells_what_a_user_should_know_and_keeps_what_was_read() {
    let world = World::new().await;
    world.linked("u1").await;
    world.linked("u2").await;
    world.payout("u1", "r1", 100).await;
    world.pay(Finding::Paid).await;
    let inbox = world.get("/v1/users/u1/messages").await.json();
    let expected = [("payout.paid", false), ("user.linked", false)];
    assert_eq!(kinds(&inbox), expected, "not each step between");
    assert_eq!(
        (&inbox["unread"], &inbox["has_more"]),
        (&json!(2), &json!(false))
    );
    let first = &inbox["data"][0];
    assert_eq!(first["title"]["zh"], "提现已到账");
    assert_eq!(first["data"]["amount_fen"], 100);
    let linked = inbox["data"][1]["number"].as_i64().expect("a number");
    let read = async |to: i64| {
        let body = json!({ "to": to });
        let answer = world.post("/v1/users/u1/messages/read", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    };
    assert_eq!(
        read(linked).await,
        json!({ "read_to": linked, "unread": 1 })
    );
    assert_eq!(read(0).await["read_to"], linked, "what was read stays read");
    let page = world.get("/v1/users/u1/messages?limit=1").await.json();
    assert_eq!(kinds(&page), expected[..1]);
    let cursor = page["next_cursor"].as_str().expect("more");
    let rest = world
        .get(&format!("/v1/users/u1/messages?limit=1&cursor={cursor}"))
        .await;
    assert_eq!(kinds(&rest.json()), [("user.linked", true)]);
    let other = world.get("/v1/users/u2/messages").await.json();
    assert_eq!(other["unread"], 1, "another user's are another's");
}

#[tokio::test]
async fn what_is_wrong_is_named_and_changes_nothing() {
    let world = World::new().await;
    world.linked("u1").await;
    for path in ["/v1/users/nobody/messages", "/v1/users/nobody/stream"] {
        assert_eq!(world.get(path).await.status, 404, "{path}");
    }
    let cursor = world.get("/v1/users/u1/messages?cursor=x").await.problem();
    assert_eq!(cursor, is(400, "cursor_invalid", Some("cursor")));
    for (body, code) in [
        (json!({ "to": 99 }), "field_invalid"),
        (json!({ "to": -1 }), "field_invalid"),
        (json!({}), "field_missing"),
        (json!({ "to": "1" }), "field_invalid"),
        (json!({ "to": 1, "all": true }), "field_unknown"),
    ] {
        let refused = world.post("/v1/users/u1/messages/read", &body).await;
        assert_eq!(refused.problem().1, code, "{body}");
    }
    assert_eq!(
        world.get("/v1/users/u1/messages").await.json()["read_to"],
        0
    );
    for id in ["x", "-1", "99"] {
        let ask = Ask::get("/v1/users/u1/stream").header("last-event-id", id);
        let refused = world.send(ask).await.problem();
        assert_eq!(
            refused,
            is(400, "last_event_id_invalid", Some("Last-Event-ID")),
            "{id}"
        );
    }
    let key = world.mint(&["users:read"]).await.text;
    let ask = Ask::post("/v1/users/u1/messages/read").with_key(&key);
    assert_eq!(world.send(ask.json(&json!({ "to": 1 }))).await.status, 403);
}

/// An open stream.
struct Stream(BodyDataStream, String);

impl Stream {
    async fn open(world: &World, last: Option<&str>) -> Stream {
        let mut ask = Ask::get("/v1/users/u1/stream");
        if let Some(last) = last {
            ask = ask.header("last-event-id", last);
        }
        let response = world.router().oneshot(world.request(ask)).await;
        let response = response.expect("infallible");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream(Body::into_data_stream(response.into_body()), String::new())
    }

    /// Reads until the text is there, or nothing more comes; tells all of it.
    async fn until(&mut self, words: &str) -> &str {
        while !self.1.contains(words) {
            let next = tokio::time::timeout(Duration::from_secs(10), self.0.next());
            let Some(piece) = next.await.expect("it goes on") else {
                break;
            };
            self.1
                .push_str(std::str::from_utf8(&piece.expect("a piece")).expect("text"));
        }
        &self.1
    }
}

#[tokio::test]
async fn a_stream_tells_payouts_and_the_balance_as_they_change() {
    let world = quick(4, 60_000).await;
    world.linked("u1").await;
    world.linked("u2").await;
    let mut stream = Stream::open(&world, None).await;
    let first = stream.until("event: balance").await;
    assert!(first.contains("retry: 2000"), "{first}");
    let begin = stream.until("\"withdrawable_fen\":1000}").await;
    assert!(
        !begin.contains("user.linked"),
        "what was before is in the inbox"
    );
    world.payout("u1", "r1", 100).await;
    let held = stream.until("\"held_micros\":1000000").await.to_owned();
    assert!(!held.contains("payout."), "{held}");
    world.payout("u2", "r2", 100).await;
    world.pay(Finding::Paid).await;
    let paid = stream.until("\"held_micros\":0,\"owed_micros\":0,\"spendable_micros\":9000000");
    let paid = paid.await.to_owned();
    let names = [
        "event: payout.approved",
        "event: payout.sending",
        "event: payout.paid",
    ];
    let places: Vec<usize> = names
        .iter()
        .map(|name| paid.find(name).unwrap_or_else(|| panic!("{name}: {paid}")))
        .collect();
    assert!(places.is_sorted(), "in their order: {paid}");
    assert_eq!(
        paid.matches("event: payout.paid").count(),
        1,
        "of this user only"
    );
    assert!(stream.until(": heartbeat").await.contains(": heartbeat"));
    // Whoever comes again goes on where it was.
    let id = paid
        .split("event: payout.sending\nid: ")
        .nth(1)
        .expect("an id");
    let id = id.split('\n').next().expect("a line").to_owned();
    let mut again = Stream::open(&world, Some(&id)).await;
    let rest = again.until("event: balance").await;
    assert!(
        rest.contains("event: payout.paid") && !rest.contains("payout.sending"),
        "{rest}"
    );
    world.earn("u1", "later", 500).await;
    let more = again.until("\"available_micros\":9000500").await;
    assert!(more.contains("9000500"), "{more}");
}

#[tokio::test]
async fn streams_have_an_end_and_a_limit_and_a_fault_ends_one() {
    let world = quick(2, 100).await;
    world.linked("u1").await;
    let (mut one, other) = (
        Stream::open(&world, None).await,
        Stream::open(&world, None).await,
    );
    let third = world.get("/v1/users/u1/stream").await.problem();
    assert_eq!(third, is(503, "too_many_streams", None));
    // It ends by itself, and its place is free again.
    one.until("never").await;
    drop((one, other));
    let mut next = Stream::open(&world, None).await;
    next.until("event: balance").await;
    world.store().fail_next(FaultPoint::Look);
    next.until("never").await;
    let mut after = Stream::open(&world, None).await;
    assert!(
        after
            .until("event: balance")
            .await
            .contains("event: balance")
    );
}
