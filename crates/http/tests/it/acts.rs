//! What people do by hand: reviews by two keys, stops, and the record of it.

use lingqian_core::money::Fen;
use lingqian_core::risk::Policy;
use lingqian_core::transfer::Finding;
use lingqian_engine::{Limits, assess};
use lingqian_io::Ports as _;
use serde_json::{Value, json};

use crate::world::{Answer, Ask, World, is};

async fn reviewed() -> (World, String) {
    let policy = Policy {
        review_from: Some(Fen(100)),
        second_from: Some(Fen(100)),
        ..Policy::default()
    };
    let world = World::under(policy).await;
    world.linked("u1").await;
    let id = world.payout("u1", "r1", 150).await;
    world.assess().await;
    (world, id)
}

async fn act(world: &World, key: &str, path: &str, body: &Value) -> Answer {
    world.send(Ask::post(path).with_key(key).json(body)).await
}

fn because() -> Value {
    json!({ "reason": "looked at it" })
}

#[tokio::test]
async fn two_keys_approve_and_one_alone_does_not() {
    let (world, id) = reviewed().await;
    let (first, second) = (
        world.mint(&["payouts:approve"]).await,
        world.mint(&["payouts:approve"]).await,
    );
    let path = format!("/v1/payouts/{id}/approve");
    let once = act(&world, &first.text, &path, &because()).await;
    assert_eq!(
        (once.status, &once.json()["state"]),
        (200, &json!("review"))
    );
    let again = act(&world, &first.text, &path, &because()).await;
    assert_eq!(again.problem(), is(409, "same_person", None));
    let shown = world.get(&format!("/v1/payouts/{id}")).await.json();
    let name = format!("key:{}", first.key.id);
    assert_eq!(shown["approved_by"], json!([name]));
    assert_eq!(shown["code"], "approval_needed,second_approval_needed");
    let cases = world.get("/v1/cases").await.json();
    assert_eq!(cases["data"][0]["kind"], "review");
    assert_eq!(cases["data"][0]["subject"], json!(id));
    assert_eq!(
        cases["data"][0]["ways"],
        json!([
            format!("lingqian payout approve {id} --reason \"…\""),
            format!("lingqian payout refuse {id} --reason \"…\""),
        ])
    );
    let twice = act(&world, &second.text, &path, &because()).await;
    assert_eq!(twice.json()["state"], "approved");
    let late = act(&world, &second.text, &path, &because()).await;
    assert_eq!(late.problem(), is(409, "wrong_state", None));
    let deeds = world.get(&format!("/v1/deeds?subject={id}")).await.json();
    let told: Vec<(&str, &str)> = deeds["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|deed| {
            (
                deed["what"].as_str().expect("text"),
                deed["after"].as_str().expect("text"),
            )
        })
        .collect();
    assert_eq!(told, [("approve", "approved"), ("approve", "review")]);
    assert_eq!(deeds["data"][1]["actor"], json!(name));
    assert_eq!(world.get("/v1/cases").await.json()["data"], json!([]));
    world.audited().await;
}

#[tokio::test]
async fn a_refusal_returns_the_money_and_tells_who() {
    let (world, id) = reviewed().await;
    let path = format!("/v1/payouts/{id}/refuse");
    let done = world.post(&path, &because()).await;
    assert_eq!(done.json()["state"], "refused");
    let shown = world.get(&format!("/v1/payouts/{id}")).await.json();
    assert_eq!(shown["code"], "refused_by_person");
    assert_eq!(shown["deeds"][0]["reason"], "looked at it");
    assert_eq!(world.get("/v1/users/u1").await.json()["held_micros"], 0);
    world.audited().await;
}

#[tokio::test]
async fn bodies_that_do_not_say_why_change_nothing() {
    let (world, id) = reviewed().await;
    let path = format!("/v1/payouts/{id}/approve");
    let malformed = |code: &str| is(400, code, Some("/reason"));
    for reason in ["", "  ", "two\nlines"] {
        let answer = world.post(&path, &json!({ "reason": reason })).await;
        assert_eq!(
            answer.problem(),
            malformed("reason_malformed"),
            "{reason:?}"
        );
    }
    let long = world
        .post(&path, &json!({ "reason": "x".repeat(401) }))
        .await;
    assert_eq!(long.problem(), malformed("reason_malformed"));
    let bodies = [
        json!({}),
        json!({ "reason": 1 }),
        json!({ "reason": "a", "b": 1 }),
    ];
    for body in bodies {
        assert_eq!(world.post(&path, &body).await.status, 400, "{body}");
    }
    let none = world.send(Ask::post(&path)).await;
    assert_eq!(none.status, 415);
    let foreign = world.post("/v1/payouts/x/approve", &because()).await;
    assert_eq!(foreign.status, 400);
    let nobody = "/v1/payouts/po_01ARZ3NDEKTSV4RRFFQ69G5FAV/approve";
    let nobody = world.post(nobody, &because()).await;
    assert_eq!(nobody.problem(), is(404, "unknown_payout", None));
    let deeds = world.get("/v1/deeds").await.json();
    assert_eq!(deeds["data"], json!([]));
    let shown = world.get(&format!("/v1/payouts/{id}")).await.json();
    assert_eq!(
        (&shown["state"], &shown["version"]),
        (&json!("review"), &json!(2))
    );
}

#[tokio::test]
async fn what_is_stopped_is_not_sent_until_the_stop_is_lifted() {
    let world = World::new().await;
    world.linked("u1").await;
    let id = world.payout("u1", "r1", 150).await;
    let stop = json!({ "scope": "all", "reason": "a drill" });
    for _ in 0..2 {
        let stopped = world.post("/v1/stops", &stop).await;
        assert_eq!(stopped.status, 200, "{}", stopped.text);
        let data = stopped.json();
        assert_eq!(data["data"].as_array().map(Vec::len), Some(1));
        assert_eq!(data["data"][0]["cause"], "person");
    }
    world.pay(Finding::Processing).await;
    let shown = async || world.get(&format!("/v1/payouts/{id}")).await.json();
    assert_eq!(shown().await["state"], "approved");
    let other = json!({ "scope": "all", "cause": "audit", "reason": "not mine" });
    let lifted = world.post("/v1/stops/lift", &other).await;
    assert_eq!(lifted.json()["data"].as_array().map(Vec::len), Some(1));
    let lifted = world.post("/v1/stops/lift", &stop).await;
    assert_eq!(lifted.json()["data"], json!([]));
    world.ports.clock().advance_ms(61_000);
    world.pay(Finding::Processing).await;
    assert_eq!(shown().await["state"], "processing");
    let deeds = world.get("/v1/deeds?subject=all").await.json();
    let whats: Vec<&Value> = deeds["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|deed| &deed["what"])
        .collect();
    assert_eq!(whats, ["lift", "stop"], "what changed nothing is no deed");
}

#[tokio::test]
async fn scopes_and_causes_that_do_not_exist_are_named() {
    let world = World::new().await;
    for scope in ["", "ALL", "user:u1", "merchant:", "scene:a b"] {
        let body = json!({ "scope": scope, "reason": "r" });
        let answer = world.post("/v1/stops", &body).await;
        let expected = is(400, "scope_malformed", Some("/scope"));
        assert_eq!(answer.problem(), expected, "{scope}");
    }
    let stranger = json!({ "scope": "merchant:1999999999", "reason": "r" });
    let answer = world.post("/v1/stops", &stranger).await;
    assert_eq!(answer.problem().1, "unknown_merchant");
    let cause = json!({ "scope": "all", "cause": "whim", "reason": "r" });
    let answer = world.post("/v1/stops/lift", &cause).await;
    assert_eq!(answer.problem(), is(400, "cause_unknown", Some("/cause")));
    assert_eq!(world.get("/v1/stops").await.json()["data"], json!([]));
}

#[tokio::test]
async fn a_cancel_with_a_reason_is_on_record_and_one_without_is_the_apps() {
    let world = World::new().await;
    world.linked("u1").await;
    let (mine, theirs) = (
        world.payout("u1", "r1", 20).await,
        world.payout("u1", "r2", 20).await,
    );
    let path = |id: &str| format!("/v1/payouts/{id}/cancel");
    let by_person = world.post(&path(&mine), &because()).await;
    assert_eq!(
        (by_person.status, &by_person.json()["state"]),
        (202, &json!("cancelled"))
    );
    let by_app = world.send(Ask::post(&path(&theirs))).await;
    assert_eq!(by_app.json()["state"], "cancelled");
    let deeds = world.get("/v1/deeds").await.json();
    let data = deeds["data"].as_array().expect("a list");
    assert_eq!((data.len(), &data[0]["subject"]), (1, &json!(mine)));
}

#[tokio::test]
async fn a_freeze_with_a_reason_is_on_record_once() {
    let world = World::new().await;
    world.user("u1").await;
    let change = async |body: Value| {
        let ask = Ask::new("PATCH", "/v1/users/u1").json(&body);
        world.send(ask).await
    };
    let wrong = change(json!({ "frozen": true, "reason": "" })).await;
    assert_eq!(
        wrong.problem(),
        is(400, "reason_malformed", Some("/reason"))
    );
    for _ in 0..2 {
        let frozen = change(json!({ "frozen": true, "reason": "looks odd" })).await;
        assert_eq!(frozen.json()["frozen"], true);
    }
    let free = change(json!({ "frozen": false })).await;
    assert_eq!(free.json()["frozen"], false);
    let deeds = world.get("/v1/deeds?subject=u1").await.json();
    let data = deeds["data"].as_array().expect("a list");
    assert_eq!((data.len(), &data[0]["what"]), (1, &json!("freeze")));
    assert_eq!(data[0]["after"], "frozen");
}

impl World {
    /// Lets risk look.
    async fn assess(&self) {
        let limits = Limits::default();
        let looked = assess::assess(&self.ports, &self.desk, &limits).await;
        looked.expect("no fault");
    }
}
