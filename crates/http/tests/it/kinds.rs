//! What a kind may ask beyond the amount, as callers see it: caps for a day, cooling-off, money
//! taken back, money between users.

use lingqian_core::Command;
use lingqian_core::earning::{Kind, Terms};
use lingqian_core::id::{KindCode, KindNo};
use lingqian_core::money::Micros;
use lingqian_io::Ports as _;
use serde_json::{Value, json};

use crate::world::{Ask, World, event_of};

const DAY_MS: i64 = 86_400_000;

/// Alice, bob, and the kinds `capped`, `cooling` (two days) and `gift`.
async fn world() -> World {
    let world = World::new().await;
    for name in ["alice", "bob"] {
        world.user(name).await;
    }
    let capped = Terms {
        user_day_amount_max: Some(Micros(1_000)),
        user_day_count_max: Some(3),
        ..Terms::default()
    };
    let cooling = Terms {
        cooling_days: 2,
        ..Terms::default()
    };
    let gift = Terms {
        between_users: true,
        ..Terms::default()
    };
    for (no, code, terms) in [
        (5, "capped", capped),
        (6, "cooling", cooling),
        (7, "gift", gift),
    ] {
        let kind = Kind {
            no: KindNo(no),
            code: KindCode::parse(code).expect("an id"),
            price: None,
            amount_max: Micros(10_000_000),
            tax_class: "incidental".into(),
            terms,
        };
        world.submit(Command::DefineKind(kind)).await;
    }
    world
}

/// An event of `kind` with more fields laid over it.
fn event(user: &str, id: &str, kind: &str, more: Value) -> Value {
    let mut event = event_of(user, id, 0);
    event["kind"] = json!(kind);
    let fields = event.as_object_mut().expect("an object");
    fields.remove("amount_micros");
    fields.extend(more.as_object().expect("an object").clone());
    event
}

/// What came of one event: how much was credited, or the code and the field.
async fn sent(world: &World, event: &Value) -> Result<i64, (String, String)> {
    let answer = world.post("/v1/events", event).await;
    let result = &answer.json()["data"][0];
    let text = |name: &str| result[name].as_str().unwrap_or_default().to_owned();
    match text("status").as_str() {
        "credited" => Ok(result["amount_micros"].as_i64().expect("an amount")),
        "rejected" => Err((text("code"), text("field"))),
        other => panic!("{other}: {}", answer.text),
    }
}

fn refused<T>(code: &str, field: &str) -> Result<T, (String, String)> {
    Err((code.to_owned(), field.to_owned()))
}

/// Available, cooling, owed, spendable, and what can be withdrawn in fen.
async fn purse(world: &World, user: &str) -> [i64; 5] {
    let shown = world.get(&format!("/v1/users/{user}")).await.json();
    let number = |name: &str| shown[name].as_i64().expect("a number");
    [
        number("available_micros"),
        number("cooling_micros"),
        number("owed_micros"),
        number("spendable_micros"),
        number("withdrawable_fen"),
    ]
}

/// Cause, side that gives, side that receives and amount of the newest lines.
async fn statement(world: &World, user: &str, lines: usize) -> Vec<(String, String, String, i64)> {
    let path = format!("/v1/users/{user}/statement?limit={lines}");
    let shown = world.get(&path).await.json();
    let data = shown["data"].as_array().expect("lines").clone();
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let line = |line: &Value| {
        let amount = line["amount_micros"].as_i64().expect("an amount");
        (
            text(line, "cause"),
            text(line, "from"),
            text(line, "to"),
            amount,
        )
    };
    data.iter().map(line).collect()
}

fn line(cause: &str, from: &str, to: &str, micros: i64) -> (String, String, String, i64) {
    (cause.into(), from.into(), to.into(), micros)
}

#[tokio::test]
async fn a_cap_stops_the_day_and_not_the_next_one() {
    let world = world().await;
    let capped =
        |id: &str, micros| event("alice", id, "capped", json!({ "amount_micros": micros }));
    assert_eq!(sent(&world, &capped("1", 600)).await, Ok(600));
    let reached = || refused("day_cap_reached", "kind");
    assert_eq!(sent(&world, &capped("2", 401)).await, reached());
    assert_eq!(sent(&world, &capped("3", 1)).await, Ok(1));
    assert_eq!(sent(&world, &capped("4", 1)).await, Ok(1));
    assert_eq!(
        sent(&world, &capped("5", 1)).await,
        reached(),
        "three events a day"
    );
    let of_bob = event("bob", "6", "capped", json!({ "amount_micros": 1_000 }));
    assert_eq!(
        sent(&world, &of_bob).await,
        Ok(1_000),
        "everybody has a cap of their own"
    );
    assert_eq!(
        sent(&world, &event_of("alice", "7", 5_000)).await,
        Ok(5_000)
    );
    world.ports.clock().advance_ms(DAY_MS);
    assert_eq!(
        sent(&world, &capped("2", 401)).await,
        Ok(401),
        "refused is not used up"
    );
    world.audited().await;
}

#[tokio::test]
async fn money_that_cools_off_is_shown_and_cannot_be_withdrawn_before_its_day() {
    let world = world().await;
    world.linked("carol").await;
    let cooling = event("carol", "1", "cooling", json!({ "amount_fen": 300 }));
    assert_eq!(sent(&world, &cooling).await, Ok(3_000_000));
    let before = [13_000_000, 3_000_000, 0, 10_000_000, 1_000];
    assert_eq!(purse(&world, "carol").await, before);
    let body = json!({ "user": "carol", "amount_fen": 1_001, "reference": "r1" });
    let answer = world.withdraw("k1", &body).await;
    assert_eq!(answer.problem().1, "insufficient_funds");
    world.ports.clock().advance_ms(2 * DAY_MS);
    assert_eq!(
        purse(&world, "carol").await,
        [13_000_000, 0, 0, 13_000_000, 1_300]
    );
    assert_eq!(world.withdraw("k1", &body).await.status, 201);
    world.audited().await;
}

#[tokio::test]
async fn what_is_taken_back_beyond_the_balance_is_a_debt_that_earnings_pay_first() {
    let world = world().await;
    let spend = json!({ "amount_micros": 700, "from": "alice" });
    assert_eq!(
        sent(&world, &event_of("alice", "e", 1_000)).await,
        Ok(1_000)
    );
    assert_eq!(
        sent(&world, &event("bob", "g", "gift", spend)).await,
        Ok(700)
    );
    let back = |id: &str, more: Value| event("alice", id, "ad_view", more);
    let part = back("b1", json!({ "reverses": "e", "amount_micros": 100 }));
    assert_eq!(sent(&world, &part).await, Ok(100));
    assert_eq!(purse(&world, "alice").await, [200, 0, 0, 200, 0]);
    let rest = back("b2", json!({ "reverses": "e" }));
    assert_eq!(sent(&world, &rest).await, Ok(900), "all that is left");
    assert_eq!(purse(&world, "alice").await, [0, 0, 700, 0, 0]);
    let summary = world.get("/v1/summary").await.json();
    assert_eq!(summary["users_owe_micros"], "700");
    assert_eq!(
        sent(&world, &event_of("alice", "later", 1_000)).await,
        Ok(1_000)
    );
    assert_eq!(purse(&world, "alice").await, [300, 0, 0, 300, 0]);
    let expected = [
        line("repay", "available", "receivable", 700),
        line("earn", "funding", "available", 1_000),
        line("owe", "receivable", "funding", 700),
        line("claw_back", "available", "funding", 200),
        line("claw_back", "available", "funding", 100),
        line("transfer", "available", "another_user", 700),
        line("earn", "funding", "available", 1_000),
    ];
    assert_eq!(statement(&world, "alice", 7).await, expected);
    world.audited().await;
}

#[tokio::test]
async fn a_claw_back_that_fits_nothing_is_named() {
    let world = world().await;
    assert_eq!(sent(&world, &event_of("alice", "e", 500)).await, Ok(500));
    let gift = event(
        "bob",
        "g",
        "gift",
        json!({ "amount_micros": 100, "from": "alice" }),
    );
    assert_eq!(sent(&world, &gift).await, Ok(100));
    let back = |user: &str, kind: &str, more: Value| event(user, "back", kind, more);
    let cases = [
        (
            back("alice", "ad_view", json!({ "reverses": "x" })),
            "unknown_event",
            "reverses",
        ),
        (
            back("bob", "ad_view", json!({ "reverses": "e" })),
            "original_differs",
            "reverses",
        ),
        (
            back("alice", "capped", json!({ "reverses": "e" })),
            "original_differs",
            "reverses",
        ),
        (
            back("bob", "gift", json!({ "reverses": "g" })),
            "not_reversible",
            "reverses",
        ),
        (
            back(
                "alice",
                "ad_view",
                json!({ "reverses": "e", "amount_micros": 501 }),
            ),
            "amount_out_of_range",
            "amount",
        ),
        (
            back(
                "alice",
                "ad_view",
                json!({ "reverses": "e", "from": "bob" }),
            ),
            "sender_not_allowed",
            "from",
        ),
        (
            back("alice", "ad_view", json!({ "reverses": "a b" })),
            "malformed",
            "reverses",
        ),
        (
            back("alice", "ad_view", json!({ "reverses": 7 })),
            "field_invalid",
            "reverses",
        ),
    ];
    for (event, code, field) in cases {
        assert_eq!(sent(&world, &event).await, refused(code, field), "{event}");
    }
    world.audited().await;
}

#[tokio::test]
async fn an_event_is_taken_back_once() {
    let world = world().await;
    assert_eq!(sent(&world, &event_of("alice", "e", 500)).await, Ok(500));
    let back = |id: &str| event("alice", id, "ad_view", json!({ "reverses": "e" }));
    assert_eq!(sent(&world, &back("back")).await, Ok(500));
    let refusal = refused("already_taken_back", "reverses");
    assert_eq!(sent(&world, &back("back2")).await, refusal);
    let twice = world.post("/v1/events", &back("back")).await.json();
    assert_eq!(twice["data"][0]["status"], "duplicate");
    world.audited().await;
}

#[tokio::test]
async fn money_goes_from_one_user_to_another_and_both_can_read_it() {
    let world = world().await;
    assert_eq!(sent(&world, &event_of("alice", "e", 500)).await, Ok(500));
    let gift = |id: &str, more: Value| event("bob", id, "gift", more);
    let good = gift("g", json!({ "amount_micros": 400, "from": "alice" }));
    assert_eq!(sent(&world, &good).await, Ok(400));
    assert_eq!(purse(&world, "alice").await[0], 100);
    assert_eq!(purse(&world, "bob").await[0], 400);
    let given = line("transfer", "available", "another_user", 400);
    let got = line("transfer", "another_user", "available", 400);
    assert_eq!(statement(&world, "alice", 1).await, [given]);
    assert_eq!(statement(&world, "bob", 1).await, [got]);
    let earned = |more: Value| event("bob", "w", "ad_view", more);
    let cases = [
        (
            json!({ "amount_micros": 101, "from": "alice" }),
            "insufficient_funds",
            "amount",
        ),
        (json!({ "amount_micros": 1 }), "sender_missing", "from"),
        (
            json!({ "amount_micros": 1, "from": "ghost" }),
            "unknown_sender",
            "from",
        ),
        (
            json!({ "amount_micros": 1, "from": "bob" }),
            "sender_is_receiver",
            "from",
        ),
        (
            json!({ "amount_micros": 1, "from": "" }),
            "malformed",
            "from",
        ),
        (
            json!({ "amount_micros": 1, "from": ["alice"] }),
            "field_invalid",
            "from",
        ),
    ];
    for (more, code, field) in cases {
        let event = gift("w", more);
        assert_eq!(sent(&world, &event).await, refused(code, field), "{event}");
    }
    let paid = earned(json!({ "amount_micros": 1, "from": "alice" }));
    assert_eq!(
        sent(&world, &paid).await,
        refused("sender_not_allowed", "from")
    );
    let other = gift("g", json!({ "amount_micros": 400, "from": "carol" }));
    world.user("carol").await;
    assert_eq!(
        sent(&world, &other).await,
        refused("event_conflict", "event_id")
    );
    world.audited().await;
}

#[tokio::test]
async fn a_stream_may_mix_all_kinds_and_each_line_sees_those_before_it() {
    let world = world().await;
    let lines = [
        event_of("alice", "e", 500),
        event(
            "bob",
            "g",
            "gift",
            json!({ "amount_micros": 500, "from": "alice" }),
        ),
        event("alice", "back", "ad_view", json!({ "reverses": "e" })),
        event(
            "alice",
            "g2",
            "gift",
            json!({ "amount_micros": 200, "from": "bob" }),
        ),
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let ask = Ask::post("/v1/events").text("application/x-ndjson", &text);
    let answers = world.send(ask).await.lines();
    assert_eq!(answers[4]["summary"]["credited"], 4, "{answers:?}");
    assert_eq!(purse(&world, "alice").await, [0, 0, 300, 0, 0]);
    assert_eq!(purse(&world, "bob").await, [300, 0, 0, 300, 0]);
    world.audited().await;
}
