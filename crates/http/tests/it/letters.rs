//! The desk for dead letters: listed without what they say, shown, mended, given again, discarded.

use serde_json::{Value, json};

use crate::world::{World, event_of, is};

async fn names(world: &World, path: &str) -> Vec<String> {
    let list = world.get(path).await.json();
    let data = list["data"].as_array().expect("a list").iter();
    data.map(|one| one["id"].as_str().expect("a name").to_owned())
        .collect()
}

/// A letter about a user who is not there yet.
async fn ghost(world: &World) -> String {
    world.post("/v1/events", &event_of("ghost", "e1", 7)).await;
    names(world, "/v1/dead-letters").await.remove(0)
}

#[tokio::test]
async fn dead_letters_are_listed_newest_first_without_what_they_say() {
    let world = World::new().await;
    for event in [
        event_of("ghost", "e1", 1),
        event_of("ghost", "e2", 1),
        event_of("ghost", "e1", 1),
    ] {
        world.post("/v1/events", &event).await;
    }
    let list = world.get("/v1/dead-letters").await.json();
    let data = list["data"].as_array().expect("a list");
    assert_eq!(data.len(), 2);
    assert_eq!(data[0]["times"], 2);
    let raw = event_of("ghost", "e2", 1).to_string();
    let expected = json!({
        "id": data[1]["id"], "door": "http", "position": "index 0", "code": "unknown_user",
        "times": 1, "bytes": raw.len(), "at": "2026-03-02T04:00:02Z", "state": "open",
        "ended_at": null, "event": null,
    });
    assert_eq!(data[1], expected);
    assert!(
        !list.to_string().contains("ghost"),
        "who it is about is in no list"
    );
    let id = data[1]["id"].as_str().expect("a name");
    let one = world.get(&format!("/v1/dead-letters/{id}")).await.json();
    assert_eq!(
        (&one["raw"], &one["raw_hex"], &one["cut"]),
        (&json!(raw), &Value::Null, &json!(false))
    );
    assert_eq!(names(&world, "/v1/dead-letters?limit=1").await.len(), 1);
    let answer = world.get("/v1/dead-letters?door=http").await;
    assert_eq!(answer.problem(), is(400, "parameter_unknown", Some("door")));
    let answer = world.get("/v1/dead-letters?state=old").await;
    assert_eq!(
        answer.problem(),
        is(400, "parameter_invalid", Some("state"))
    );
}

#[tokio::test]
async fn replaying_twice_credits_once_and_is_on_record() {
    let world = World::new().await;
    let id = ghost(&world).await;
    let path = format!("/v1/dead-letters/{id}/replay");
    let why = json!({ "reason": "the user is registered now" });
    let refused = world.post(&path, &why).await;
    assert_eq!(refused.problem(), is(404, "unknown_user", Some("/user")));
    world.user("ghost").await;
    let done = world.post(&path, &why).await.json();
    let expected =
        json!({ "id": id, "state": "replayed", "status": "credited", "amount_micros": 7 });
    assert_eq!(done, expected);
    // Again, also in other words: nothing happens.
    let again = world.post(&path, &why).await;
    assert_eq!(again.problem(), is(409, "letter_ended", None));
    let mended = json!({ "reason": "once more", "event": event_of("ghost", "e9", 7) });
    let again = world.post(&path, &mended).await;
    assert_eq!(again.problem(), is(409, "letter_ended", None));
    let user = world.get("/v1/users/ghost").await.json();
    assert_eq!(user["available_micros"], 7);
    assert!(names(&world, "/v1/dead-letters").await.is_empty());
    let all = names(&world, "/v1/dead-letters?state=all").await;
    assert_eq!(all, std::slice::from_ref(&id));
    let deeds = world.get(&format!("/v1/deeds?subject={id}")).await.json();
    let deed = &deeds["data"][0];
    assert_eq!(deed["what"], "replay_letter");
    assert_eq!(deed["reason"], "the user is registered now");
    assert_eq!(
        (&deed["before"], &deed["after"]),
        (&json!("open"), &json!("replayed"))
    );
}

#[tokio::test]
async fn a_letter_whose_event_was_credited_meanwhile_ends_and_credits_nothing() {
    let world = World::new().await;
    let id = ghost(&world).await;
    world.user("ghost").await;
    world.post("/v1/events", &event_of("ghost", "e1", 7)).await;
    let why = json!({ "reason": "to be sure" });
    let done = world
        .post(&format!("/v1/dead-letters/{id}/replay"), &why)
        .await;
    assert_eq!(done.json()["status"], "duplicate");
    let user = world.get("/v1/users/ghost").await.json();
    assert_eq!(user["available_micros"], 7);
}

#[tokio::test]
async fn a_letter_is_mended_or_discarded_and_open_again_when_it_comes_again() {
    let world = World::new().await;
    world.user("alice").await;
    let id = ghost(&world).await;
    let path = |what: &str| format!("/v1/dead-letters/{id}/{what}");
    let bad = json!({ "reason": "a slip", "event": { "source": "app" } });
    let refused = world.post(&path("replay"), &bad).await;
    assert_eq!(
        refused.problem(),
        is(422, "field_missing", Some("/event/event_id"))
    );
    let none = world.post(&path("replay"), &json!({ "reason": " " })).await;
    assert_eq!(none.problem(), is(400, "reason_malformed", Some("/reason")));
    let mended = json!({ "reason": "the id was wrong", "event": event_of("alice", "e1", 7) });
    let done = world.post(&path("replay"), &mended).await.json();
    assert_eq!(done["status"], "credited");
    assert_eq!(ghost(&world).await, id, "it came again");
    let why = json!({ "reason": "a test account" });
    assert_eq!(
        world.post(&path("discard"), &why).await.json()["state"],
        "discarded"
    );
    let again = world.post(&path("discard"), &why).await;
    assert_eq!(again.problem(), is(409, "letter_ended", None));
    let strange = format!("/v1/dead-letters/unknown_user-{}", "0".repeat(32));
    assert_eq!(
        world.get(&strange).await.problem(),
        is(404, "not_found", None)
    );
    let strange = world.get("/v1/dead-letters/x").await;
    assert_eq!(strange.problem(), is(400, "malformed", Some("/id")));
}
