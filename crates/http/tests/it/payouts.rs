//! Payouts: list, story, cancel.

use lingqian_core::payout::State;
use lingqian_core::transfer::{Cure, Finding};
use lingqian_io::Ports as _;
use serde_json::{Value, json};

use crate::world::{Ask, World, is};

fn waiting() -> Finding {
    let package = Some("package-of-the-confirm-page".to_owned());
    Finding::AwaitingUser { package }
}

async fn shown(world: &World, id: &str) -> Value {
    let answer = world.get(&format!("/v1/payouts/{id}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

async fn cancel(world: &World, id: &str) -> crate::world::Answer {
    world
        .send(Ask::post(&format!("/v1/payouts/{id}/cancel")))
        .await
}

#[tokio::test]
async fn a_story_tells_every_step_with_its_evidence() {
    let world = World::new().await;
    world.linked("u1").await;
    let id = world.payout("u1", "r1", 150).await;
    world.pay(waiting()).await;
    let story = shown(&world, &id).await;
    let expected = [
        ("user", json!("u1")),
        ("state", json!("awaiting_user")),
        ("final", json!(false)),
        ("amount_fen", json!(150)),
        ("currency", json!("CNY")),
        ("billed_fen", json!(0)),
        ("reference", json!("r1")),
        ("asked_by", json!("request")),
        ("out_bill_no", json!(format!("LQ{}01", &id[3..]))),
        (
            "transfer_bill_no",
            json!("1330000071100999991182020050700019480001"),
        ),
        ("package_info", json!("package-of-the-confirm-page")),
        ("paid_at", Value::Null),
        ("code", Value::Null),
    ];
    for (field, value) in expected {
        assert_eq!(story[field], value, "{field}");
    }
    let history = story["history"].as_array().expect("a list");
    let steps: Vec<(&str, &str)> = history
        .iter()
        .map(|line| {
            (
                line["event"].as_str().expect("text"),
                line["state"].as_str().expect("text"),
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            ("held", "requested"),
            ("assessed", "approved"),
            ("begun", "sending"),
            ("answer", "awaiting_user")
        ]
    );
    let evidence =
        json!({ "status": 200, "request_id": "wx-request-1", "body": "{\"seen\":true}" });
    assert_eq!(history[3]["evidence"], evidence);
    assert_eq!(history[0]["evidence"], Value::Null);
}

#[tokio::test]
async fn the_confirm_page_is_offered_only_while_the_user_is_awaited() {
    let world = World::new().await;
    world.linked("u1").await;
    let id = world.payout("u1", "r1", 150).await;
    assert_eq!(shown(&world, &id).await["package_info"], Value::Null);
    world.pay(waiting()).await;
    assert!(shown(&world, &id).await["package_info"].is_string());
    assert_eq!(cancel(&world, &id).await.status, 202);
    let text = shown(&world, &id).await;
    assert_eq!(
        (&text["state"], &text["package_info"]),
        (&json!("cancelling"), &Value::Null)
    );
    let listed = world.get("/v1/payouts").await;
    assert!(!listed.text.contains("package-of-the-confirm-page"));
}

#[tokio::test]
async fn each_end_is_shown_with_its_reason() {
    let world = World::new().await;
    world.linked("u1").await;
    let never = Finding::Refused {
        code: "INVALID_REQUEST".into(),
        cure: Cure::Never,
    };
    let unknown = Finding::Unknown {
        code: "timeout".into(),
    };
    let failed = Finding::Failed {
        code: "ACCOUNT_FROZEN".into(),
        cure: Cure::Never,
    };
    let cases = [
        (Finding::Paid, "paid", Value::Null, true),
        (failed, "failed", json!("ACCOUNT_FROZEN"), true),
        (never, "failed", json!("INVALID_REQUEST"), true),
        (unknown, "unknown", json!("timeout"), false),
        (Finding::Processing, "processing", Value::Null, false),
    ];
    for (number, (finding, state, code, is_final)) in cases.into_iter().enumerate() {
        let id = world.payout("u1", &format!("r{number}"), 20).await;
        world.pay(finding).await;
        let payout = shown(&world, &id).await;
        assert_eq!(
            (&payout["state"], &payout["code"], &payout["final"]),
            (&json!(state), &code, &json!(is_final))
        );
        assert_eq!(payout["paid_at"].is_string(), state == "paid");
    }
    world.audited().await;
}

#[tokio::test]
async fn a_refused_payout_names_every_reason() {
    let world = World::new().await;
    world.user("u1").await;
    world.earn("u1", "e1", 5_000_000).await;
    let id = world.payout("u1", "r1", 5).await;
    world.pay(Finding::Processing).await;
    let payout = shown(&world, &id).await;
    assert_eq!(payout["state"], "refused");
    assert_eq!(payout["code"], "below_minimum,not_linked");
    assert_eq!(
        world.get("/v1/users/u1").await.json()["available_micros"],
        5_000_000
    );
}

#[tokio::test]
async fn a_payout_that_was_not_sent_is_cancelled_at_once() {
    let world = World::new().await;
    world.linked("u1").await;
    let id = world.payout("u1", "r1", 150).await;
    let answer = cancel(&world, &id).await;
    assert_eq!(
        (answer.status, answer.json()),
        (202, json!({ "id": id, "state": "cancelled" }))
    );
    assert_eq!(world.get("/v1/users/u1").await.json()["held_micros"], 0);
    let again = cancel(&world, &id).await;
    assert_eq!(again.problem(), is(409, "wrong_state", None));
    assert_eq!(again.json()["retryable"], false);
    world.audited().await;
}

#[tokio::test]
async fn a_payout_that_waits_for_the_user_is_cancelled_by_wechats_word() {
    let world = World::new().await;
    world.linked("u1").await;
    let id = world.payout("u1", "r1", 150).await;
    world.pay(waiting()).await;
    let answer = cancel(&world, &id).await;
    assert_eq!(answer.json()["state"], "cancelling");
    assert_eq!(
        world.get("/v1/users/u1").await.json()["held_micros"],
        1_500_000
    );
    world.pay(Finding::Cancelled).await;
    assert_eq!(shown(&world, &id).await["state"], "cancelled");
    assert_eq!(world.get("/v1/users/u1").await.json()["held_micros"], 0);
    world.audited().await;
}

#[tokio::test]
async fn a_payout_on_its_way_or_unknown_is_not_cancelled() {
    let world = World::new().await;
    world.linked("u1").await;
    let unknown = Finding::Unknown {
        code: "timeout".into(),
    };
    for (reference, finding) in [
        ("r1", Finding::Processing),
        ("r2", unknown),
        ("r3", Finding::Paid),
    ] {
        let id = world.payout("u1", reference, 20).await;
        world.pay(finding).await;
        let before = shown(&world, &id).await;
        assert_eq!(
            cancel(&world, &id).await.problem(),
            is(409, "wrong_state", None)
        );
        assert_eq!(shown(&world, &id).await, before);
    }
}

#[tokio::test]
async fn a_payout_that_is_not_there_is_not_found() {
    let world = World::new().await;
    let nobody = format!("po_{}", "0".repeat(26));
    let answer = world.get(&format!("/v1/payouts/{nobody}")).await;
    assert_eq!(answer.problem(), is(404, "not_found", None));
    assert_eq!(
        cancel(&world, &nobody).await.problem(),
        is(404, "unknown_payout", None)
    );
    for id in ["x", "po_", "po_ILOU", &nobody[3..]] {
        let answer = world.get(&format!("/v1/payouts/{id}")).await;
        assert_eq!(answer.problem(), is(400, "malformed", Some("/id")), "{id}");
        assert_eq!(
            cancel(&world, id).await.problem(),
            is(400, "malformed", Some("/id"))
        );
    }
}

#[tokio::test]
async fn a_list_pages_from_the_newest_to_the_oldest_without_gap_or_repeat() {
    let world = World::new().await;
    world.linked("u1").await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(world.payout("u1", &format!("r{number}"), 20).await);
        world.ports.clock().advance_ms(1);
    }
    made.reverse();
    let (mut seen, mut sizes, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = world
            .get(&format!("/v1/payouts?limit=2{cursor}"))
            .await
            .json();
        let data = page["data"].as_array().expect("a list");
        sizes.push(data.len());
        seen.extend(
            data.iter()
                .map(|row| row["id"].as_str().expect("an id").to_owned()),
        );
        assert_eq!(
            page["has_more"].as_bool(),
            Some(page["next_cursor"].is_string())
        );
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!((sizes, seen), (vec![2, 2, 1], made));
}

#[tokio::test]
async fn a_list_can_be_narrowed_by_state_and_user() {
    let world = World::new().await;
    world.linked("u1").await;
    world.linked("u:2").await;
    world.payout("u1", "paid", 20).await;
    world.pay(Finding::Paid).await;
    world.payout("u1", "new", 20).await;
    world.payout("u:2", "other", 20).await;
    let cases = [
        ("", vec!["other", "new", "paid"]),
        ("?state=paid", vec!["paid"]),
        ("?state=requested", vec!["other", "new"]),
        ("?user=u1", vec!["new", "paid"]),
        ("?user=u%3A2", vec!["other"]),
        ("?user=u1&state=requested", vec!["new"]),
        ("?user=ghost", vec![]),
    ];
    for (query, expected) in cases {
        let page = world.get(&format!("/v1/payouts{query}")).await.json();
        let data = page["data"].as_array().expect("a list");
        let mut found: Vec<&str> = data
            .iter()
            .filter_map(|row| row["reference"].as_str())
            .collect();
        let mut expected = expected;
        // Those of one millisecond have no order of their own.
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{query}");
    }
}

#[tokio::test]
async fn a_filter_that_is_not_known_is_an_error() {
    let world = World::new().await;
    let cases = [
        ("state=finished", "parameter_invalid", "state"),
        ("state=", "parameter_invalid", "state"),
        ("user=a%20b", "malformed", "user"),
        ("cursor=x", "malformed", "cursor"),
        ("limit=0", "parameter_invalid", "limit"),
        ("status=paid", "parameter_unknown", "status"),
        ("state=paid&state=failed", "parameter_repeated", "state"),
    ];
    for (query, code, pointer) in cases {
        let answer = world.get(&format!("/v1/payouts?{query}")).await;
        assert_eq!(answer.problem(), is(400, code, Some(pointer)), "{query}");
    }
    let detail = world.get("/v1/payouts?state=finished").await.json()["detail"].clone();
    let detail = detail.as_str().expect("text");
    assert!(
        State::NAMES.iter().all(|name| detail.contains(name)),
        "{detail}"
    );
}
