//! Users: register, show, freeze, statement.

use lingqian_core::id::UserId;
use lingqian_core::transfer::Finding;
use lingqian_core::user::Sealed;
use lingqian_io::{Browse as _, Ports as _};
use serde_json::{Value, json};

use crate::world::{Ask, NOON, World, is};

#[tokio::test]
async fn a_registered_user_is_shown_with_balances() {
    let world = World::new().await;
    let answer = world.post("/v1/users", &json!({ "id": "u1" })).await;
    assert_eq!(answer.status, 201);
    let expected = json!({
        "id": "u1", "created_at": "2026-03-02T04:00:02Z", "frozen": false, "named": false,
        "linked": false, "linked_at": null, "links": [], "currency": "CNY", "available_micros": 0,
        "held_micros": 0, "cooling_micros": 0, "owed_micros": 0, "spendable_micros": 0,
        "withdrawable_fen": 0,
        "today": { "business_date": "2026-03-02", "payouts": 0, "amount_fen": 0 },
    });
    assert_eq!(answer.json(), expected);
    assert_eq!(world.get("/v1/users/u1").await.json(), expected);

    world.earn("u1", "e1", 123_456).await;
    let shown = world.get("/v1/users/u1").await.json();
    assert_eq!(shown["available_micros"], 123_456);
    assert_eq!(shown["withdrawable_fen"], 12);
}

#[tokio::test]
async fn registering_again_changes_nothing() {
    let world = World::new().await;
    world.user("u1").await;
    world.ports.clock().advance_ms(60_000);
    let before = world.get("/v1/users/u1").await.json();
    let answer = world.post("/v1/users", &json!({ "id": "u1" })).await;
    assert_eq!((answer.status, answer.json()), (201, before));
    assert_eq!(world.books().await.users, (1, 0));
}

#[tokio::test]
async fn a_name_is_sealed_for_its_purpose_and_never_shown() {
    let world = World::new().await;
    let body = json!({ "id": "u1", "name": " Zhang San " });
    let answer = world.post("/v1/users", &body).await;
    assert_eq!(answer.json()["named"], true);
    assert!(!answer.text.contains("Zhang"));
    let id = UserId::parse("u1").expect("an id");
    let wallet = world.store().user(&id, NOON.business_date()).await;
    let kept = wallet.expect("no fault").expect("a user").user.name;
    assert_eq!(kept, Some(Sealed(b"name:naS gnahZ".to_vec())));
}

#[tokio::test]
async fn a_registration_that_is_not_as_agreed_names_what_is_wrong_and_changes_nothing() {
    let world = World::new().await;
    let before = world.books().await;
    let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(65));
    let long_name = format!(r#"{{"id":"u1","name":"{}"}}"#, "名".repeat(65));
    let cases = [
        (r#"{"id":""}"#, "malformed", Some("/id")),
        (long.as_str(), "malformed", Some("/id")),
        (r#"{"id":"a b"}"#, "malformed", Some("/id")),
        (r#"{"id":"张三"}"#, "malformed", Some("/id")),
        (r#"{"id":"u1","name":"  "}"#, "malformed", Some("/name")),
        (long_name.as_str(), "malformed", Some("/name")),
        (r#"{"id":"u1","age":5}"#, "field_unknown", Some("/age")),
        ("{}", "field_missing", Some("/id")),
        (r#"{"id":"u1"} {}"#, "malformed_json", Some("")),
        (r#"{"id":"u1""#, "malformed_json", Some("")),
        ("", "malformed_json", Some("")),
    ];
    for (body, code, pointer) in cases {
        let ask = Ask::post("/v1/users").text("application/json", body);
        let answer = world.send(ask).await;
        assert_eq!(answer.problem(), is(400, code, pointer), "{body}");
    }
    let limit = Ask::post("/v1/users").text("application/json", &long);
    let detail = world.send(limit).await.json()["detail"].clone();
    assert_eq!(detail, "id must have at most 64 characters");
    assert_eq!(world.books().await, before);
}

#[tokio::test]
async fn a_sealing_key_that_fails_is_our_fault_and_tells_the_caller_nothing() {
    let world = World::new().await;
    let body = json!({ "id": "u1", "name": "unsealable" });
    let answer = world.post("/v1/users", &body).await;
    assert_eq!(answer.problem(), is(500, "broken", None));
    assert_eq!(answer.json()["outcome"], "not_done");
    assert!(!answer.text.contains("SECRET-DRAWER"));
    assert_eq!(world.books().await.users, (0, 0));
}

#[tokio::test]
async fn a_frozen_user_is_shown_so_and_not_paid() {
    let world = World::new().await;
    world.linked("u1").await;
    let freeze =
        |frozen: Value| Ask::new("PATCH", "/v1/users/u1").json(&json!({ "frozen": frozen }));
    let answer = world.send(freeze(true.into())).await;
    assert_eq!(
        (answer.status, &answer.json()["frozen"]),
        (200, &true.into())
    );
    let payout = world.payout("u1", "r1", 100).await;
    world.pay(Finding::Processing).await;
    let shown = world.get(&format!("/v1/payouts/{payout}")).await.json();
    assert_eq!(shown["state"], "refused");
    assert_eq!(shown["code"], "user_frozen");

    let answer = world.send(freeze(false.into())).await;
    assert_eq!(answer.json()["frozen"], false);
    let answer = world.send(freeze("yes".into())).await;
    assert_eq!(
        (answer.problem().0, answer.problem().1),
        (400, "field_invalid".into())
    );
    let empty = Ask::new("PATCH", "/v1/users/u1").json(&json!({}));
    let answer = world.send(empty).await;
    assert_eq!(answer.problem(), is(400, "field_missing", Some("/frozen")));
    world.audited().await;
}

#[tokio::test]
async fn a_user_who_is_not_there_is_not_found_on_every_route() {
    let world = World::new().await;
    let before = world.books().await;
    for path in ["/v1/users/ghost", "/v1/users/ghost/statement"] {
        let answer = world.get(path).await;
        assert_eq!(answer.problem(), is(404, "not_found", None), "{path}");
    }
    let change = Ask::new("PATCH", "/v1/users/ghost").json(&json!({ "frozen": true }));
    for ask in [change, Ask::post("/v1/users/ghost/link")] {
        let answer = world.send(ask).await;
        assert_eq!(answer.problem(), is(404, "unknown_user", Some("/user")));
    }
    let answer = world.get("/v1/users/a%20b").await;
    assert_eq!(answer.problem(), is(400, "malformed", Some("/id")));
    assert_eq!(world.books().await, before);
}

#[tokio::test]
async fn todays_totals_count_what_was_approved_today() {
    let world = World::new().await;
    world.linked("u1").await;
    world.payout("u1", "r1", 150).await;
    let before = world.get("/v1/users/u1").await.json();
    assert_eq!(
        (&before["held_micros"], &before["today"]["payouts"]),
        (&1_500_000.into(), &0.into())
    );
    world.pay(Finding::Processing).await;
    let after = world.get("/v1/users/u1").await.json();
    assert_eq!(after["today"]["payouts"], 1);
    assert_eq!(after["today"]["amount_fen"], 150);
}

#[tokio::test]
async fn a_statement_pages_from_the_newest_to_the_oldest_entry_without_gap_or_repeat() {
    let world = World::new().await;
    world.user("u1").await;
    world.user("u2").await;
    for number in 1..=5 {
        world
            .earn("u1", &format!("e{number}"), number * 10_000)
            .await;
        world.earn("u2", &format!("f{number}"), 7).await;
    }
    let mut path = "/v1/users/u1/statement?limit=2".to_owned();
    let (mut amounts, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let page = world.get(&path).await.json();
        let data = page["data"].as_array().expect("a list");
        sizes.push(data.len());
        amounts.extend(
            data.iter()
                .map(|line| line["amount_micros"].as_i64().expect("a number")),
        );
        assert_eq!(
            page["has_more"].as_bool(),
            Some(page["next_cursor"].is_string())
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/users/u1/statement?limit=2&cursor={cursor}");
    }
    assert_eq!(sizes, [2, 2, 1]);
    assert_eq!(amounts, [50_000, 40_000, 30_000, 20_000, 10_000]);
}

#[tokio::test]
async fn users_are_listed_in_the_order_in_which_they_came_without_gap_or_repeat() {
    let world = World::new().await;
    let names = ["zoe", "adam", "mia", "bob", "eve"];
    for name in names {
        world.user(name).await;
    }
    let (mut found, mut path) = (Vec::new(), "/v1/users?limit=2".to_owned());
    loop {
        let page = world.get(&path).await.json();
        let data = page["data"].as_array().expect("a list").iter();
        found.extend(data.map(|user| user["id"].as_str().expect("a name").to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/users?limit=2&cursor={cursor}");
    }
    assert_eq!(found, names);
}

#[tokio::test]
async fn a_statement_tells_why_money_moved() {
    let world = World::new().await;
    world.linked("u1").await;
    let payout = world.payout("u1", "r1", 100).await;
    let page = world.get("/v1/users/u1/statement").await.json();
    let (hold, earned) = (&page["data"][0], &page["data"][1]);
    assert_eq!(
        (&hold["cause"], &hold["from"], &hold["to"]),
        (&"hold".into(), &"available".into(), &"held".into())
    );
    assert_eq!(hold["payout"], payout);
    assert_eq!(
        (&earned["cause"], &earned["kind"]),
        (&"earn".into(), &"ad_view".into())
    );
    assert_eq!(
        (&earned["source"], &earned["event_id"]),
        (&"app".into(), &"first-u1".into())
    );
    assert_eq!(earned["payout"], Value::Null);
}

#[tokio::test]
async fn parameters_of_a_list_are_known_or_refused() {
    let world = World::new().await;
    world.user("u1").await;
    let cases = [
        ("limit=0", "parameter_invalid", "limit"),
        ("limit=201", "parameter_invalid", "limit"),
        ("limit=x", "parameter_invalid", "limit"),
        ("limit=-1", "parameter_invalid", "limit"),
        ("limit", "parameter_invalid", "limit"),
        ("cursor=x", "cursor_invalid", "cursor"),
        ("cursor=0", "cursor_invalid", "cursor"),
        ("cursor=99999999999999999999", "cursor_invalid", "cursor"),
        ("limits=5", "parameter_unknown", "limits"),
        ("limit=5&limit=6", "parameter_repeated", "limit"),
    ];
    for path in ["/v1/users", "/v1/users/u1/statement"] {
        for (query, code, pointer) in cases {
            let answer = world.get(&format!("{path}?{query}")).await;
            let expected = is(400, code, Some(pointer));
            assert_eq!(answer.problem(), expected, "{path}?{query}");
        }
        for query in ["limit=1", "limit=200", "", "&"] {
            let answer = world.get(&format!("{path}?{query}")).await;
            assert_eq!(answer.status, 200, "{path}?{query}");
        }
    }
}
