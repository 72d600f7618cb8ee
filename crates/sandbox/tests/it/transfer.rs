//! Transfers: fields, re-use of numbers, states, expiry, and answers that go wrong.

use std::time::Duration;

use lingqian_sandbox::Robot;
use serde_json::{Value, json};

use crate::client::World;

#[tokio::test]
async fn a_transfer_waits_for_its_user_and_succeeds_when_they_confirm() {
    let world = World::new().await;
    let body = world.transfer("T1", 500).await;
    let created = world.create(&body).await.expect("answers");
    assert_eq!(created.status, 200, "{:?}", created.json());
    assert_eq!(created.json()["state"], "WAIT_USER_CONFIRM");
    assert!(
        created.json()["package_info"]
            .as_str()
            .is_some_and(|text| text.len() > 20)
    );
    let again = world.create(&body).await.expect("answers");
    assert_eq!(
        again.json(),
        created.json(),
        "the same order is answered the same"
    );
    world
        .admin("POST", "transfers/T1/confirm", &Value::Null)
        .await;
    assert_eq!(world.state("T1").await, "SUCCESS");
    let books = world.admin("GET", "books", &Value::Null).await;
    assert_eq!(books["paid_fen"], 500);
    assert_eq!(books["balance_fen"], 1_000_000_000 - 500);
    let theirs = created.json()["transfer_bill_no"]
        .as_str()
        .expect("a number")
        .to_owned();
    let path = format!("/v3/fund-app/mch-transfer/transfer-bills/transfer-bill-no/{theirs}");
    let found = world.ask("GET", &path, "").await.expect("answers");
    assert_eq!(found.json()["out_bill_no"], "T1");
}

#[tokio::test]
async fn a_number_is_never_used_for_something_else() {
    let world = World::new().await;
    let body = world.transfer("T1", 500).await;
    assert_eq!(world.create(&body).await.expect("answers").status, 200);
    for (field, value) in [
        ("transfer_amount", json!(501)),
        ("openid", json!(world.person("bob").await)),
        ("transfer_remark", json!("别的")),
    ] {
        let mut other = body.clone();
        other[field] = value;
        let answer = world.create(&other).await.expect("answers");
        assert_eq!(answer.error(), (400, "INVALID_REQUEST".into()), "{field}");
        assert!(
            answer.json()["message"]
                .as_str()
                .is_some_and(|m| m.contains("单号已存在"))
        );
    }
}

#[tokio::test]
async fn wrong_fields_are_refused_and_nothing_is_kept() {
    let world = World::new().await;
    let good = world.transfer("T1", 500).await;
    let cases: [(&str, Value, &str); 12] = [
        ("out_bill_no", json!("a-b"), "PARAM_ERROR"),
        ("out_bill_no", json!("x".repeat(33)), "PARAM_ERROR"),
        ("transfer_remark", json!("x".repeat(33)), "PARAM_ERROR"),
        ("transfer_remark", json!("\u{1f600}"), "PARAM_ERROR"),
        ("transfer_remark", Value::Null, "PARAM_ERROR"),
        ("transfer_amount", json!("5"), "PARAM_ERROR"),
        ("transfer_amount", json!(9), "INVALID_REQUEST"),
        ("transfer_amount", json!(20_001), "INVALID_REQUEST"),
        ("openid", json!("nobody"), "INVALID_REQUEST"),
        ("appid", json!("wx0"), "APPID_MCHID_NOT_MATCH"),
        ("transfer_scene_report_infos", json!([]), "PARAM_ERROR"),
        ("made_up", json!(1), "PARAM_ERROR"),
    ];
    for (field, value, code) in cases {
        let mut body = good.clone();
        body[field] = value.clone();
        let answer = world.create(&body).await.expect("answers");
        assert_eq!(answer.error(), (400, code.into()), "{field} = {value}");
    }
    assert_eq!(world.query("T1").await.error(), (404, "NOT_FOUND".into()));
}

#[tokio::test]
async fn an_empty_account_refuses_and_a_top_up_cures() {
    let world = World::with(|settings| settings.first_top_up_fen = 600).await;
    assert_eq!(
        world
            .create(&world.transfer("T1", 500).await)
            .await
            .expect("answers")
            .status,
        200
    );
    let second = world.transfer("T2", 500).await;
    let answer = world.create(&second).await.expect("answers");
    assert_eq!(
        answer.error(),
        (403, "NOT_ENOUGH".into()),
        "what is locked cannot be sent"
    );
    world
        .admin("POST", "top-up", &json!({ "amount_fen": 400 }))
        .await;
    assert_eq!(world.create(&second).await.expect("answers").status, 200);
}

#[tokio::test]
async fn what_nobody_confirms_expires_after_a_day_and_what_is_cancelled_ends() {
    let world = World::new().await;
    world
        .create(&world.transfer("T1", 500).await)
        .await
        .expect("answers");
    world
        .create(&world.transfer("T2", 500).await)
        .await
        .expect("answers");
    let path = "/v3/fund-app/mch-transfer/transfer-bills/out-bill-no/T2/cancel";
    let cancelled = world.ask("POST", path, "").await.expect("answers");
    assert_eq!(cancelled.json()["state"], "CANCELING");
    for _ in 0..100 {
        if world.state("T2").await == "CANCELLED" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.state("T2").await, "CANCELLED");
    world.sandbox.advance(Duration::from_secs(23 * 3_600)).await;
    assert_eq!(world.state("T1").await, "WAIT_USER_CONFIRM");
    world.sandbox.advance(Duration::from_secs(3_600)).await;
    let expired = world.query("T1").await.json();
    assert_eq!(
        (&expired["state"], &expired["fail_reason"]),
        (&json!("FAIL"), &json!("OVERDUE_CLOSE"))
    );
    let late = world
        .ask("POST", &path.replace("T2", "T1"), "")
        .await
        .expect("answers");
    assert_eq!(late.error(), (400, "INVALID_REQUEST".into()));
}

#[tokio::test]
async fn a_robot_lets_the_same_users_do_the_same() {
    let robot = Robot {
        confirm_per_mille: 500,
        refuse_per_mille: 300,
        delay_ms: 0,
        seed: 3,
    };
    let world = World::with(|settings| settings.robot = robot).await;
    for number in 0..40 {
        let number = format!("R{number}");
        world
            .create(&world.transfer(&number, 100).await)
            .await
            .expect("answers");
    }
    // Until nobody does anything any more.
    let mut states = Vec::new();
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let mut now = Vec::new();
        for number in 0..40 {
            now.push(world.state(&format!("R{number}")).await);
        }
        let quiet = now == states && now.iter().any(|state| state == "SUCCESS");
        states = now;
        if quiet {
            break;
        }
    }
    let count = |word: &str| states.iter().filter(|state| *state == word).count();
    assert!(count("SUCCESS") > 10 && count("FAIL") > 4 && count("WAIT_USER_CONFIRM") > 2);
}

#[tokio::test]
async fn answers_go_wrong_as_they_are_told_to() {
    let world = World::new().await;
    let once = async |fault: &str, number: &str| {
        world
            .admin("POST", "faults", &json!({ "times": { fault: 1 } }))
            .await;
        let body = world.transfer(number, 100).await;
        (world.create(&body).await, world.query(number).await.status)
    };
    let (answer, after) = once("answer_lost", "F1").await;
    assert!(answer.is_none(), "no whole answer");
    assert_eq!(after, 200, "and yet it was accepted");
    let (answer, after) = once("error_after", "F2").await;
    assert_eq!((answer.expect("answers").error().0, after), (500, 200));
    let (answer, after) = once("error_before", "F3").await;
    assert_eq!((answer.expect("answers").error().0, after), (500, 404));
    let (answer, after) = once("too_fast", "F4").await;
    assert_eq!(
        (answer.expect("answers").error(), after),
        ((429, "FREQUENCY_LIMITED".into()), 404)
    );
    // What was answered, and whether it was accepted all the same.
    for (fault, number, refusal, after) in [
        ("not_enough", "G1", (403, "NOT_ENOUGH"), 404),
        ("quota_spent", "G2", (400, "INVALID_REQUEST"), 404),
        ("unknown_code", "G3", (400, "CODE_OF_TOMORROW"), 200),
        ("other_data", "G4", (400, "INVALID_REQUEST"), 200),
    ] {
        let (answer, status) = once(fault, number).await;
        let (code, word) = answer.expect("answers").error();
        assert_eq!(((code, word.as_str()), status), (refusal, after), "{fault}");
    }
    for (fault, status) in [("query_blind", 404), ("query_error", 500)] {
        let (answer, asked) = once(fault, fault.trim_start_matches("query_")).await;
        assert_eq!(
            (answer.expect("answers").status, asked),
            (200, status),
            "{fault}"
        );
    }
    let faults = json!({ "times": { "cancel_lost": 1 } });
    world.admin("POST", "faults", &faults).await;
    let path = "/v3/fund-app/mch-transfer/transfer-bills/out-bill-no/F1/cancel";
    assert!(
        world.ask("POST", path, "").await.is_none(),
        "no whole answer"
    );
    assert!(
        world.state("F1").await.starts_with("CANCEL"),
        "and yet accepted"
    );
    for (fault, number) in [("unknown_key", "F5"), ("wrong_signature", "F6")] {
        let (answer, after) = once(fault, number).await;
        let answer = answer.expect("answers");
        let proved = crate::client::proves(&world.credentials, &answer.headers, &answer.body);
        assert_eq!((answer.status, proved, after), (200, false, 200), "{fault}");
    }
}
