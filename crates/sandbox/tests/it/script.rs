//! Faults that are asked for: by the header of a request, by number, word for word, from a file.

use std::time::Duration;

use lingqian_sandbox::Settings;
use serde_json::{Value, json};

use crate::client::{Address, World, proves, seconds};

const BILLS: &str = "/v3/fund-app/mch-transfer/transfer-bills";

async fn faults(world: &World, faults: Value) {
    world.admin("POST", "faults", &faults).await;
}

/// A create that is told apart by what came back.
async fn sent(world: &World, number: &str) -> (u16, String) {
    let body = world.transfer(number, 100).await;
    let answer = world.create(&body).await;
    answer.map_or((0, String::new()), |answer| answer.error())
}

#[tokio::test]
async fn a_request_asks_for_its_own_fault() {
    let world = World::new().await;
    let asked = async |number: &str, fault: &str| {
        let body = world.transfer(number, 100).await.to_string();
        let headers = [
            (
                "authorization",
                world.authorization("POST", BILLS, &body, seconds()),
            ),
            ("content-type", "application/json".to_owned()),
            ("sandbox-fault", fault.to_owned()),
        ];
        let url = format!("{}{BILLS}", world.url);
        crate::client::call("POST", &url, &headers, &body).await
    };
    assert!(asked("H1", "answer_lost").await.is_none());
    assert_eq!(world.state("H1").await, "WAIT_USER_CONFIRM");
    let refused = asked("H2", "address_refused").await.expect("answers");
    assert_eq!(refused.error(), (403, "NO_AUTH".into()));
    let refused = asked("H3", "no_right").await.expect("answers");
    assert_eq!(refused.error(), (403, "NO_AUTH".into()));
    let late = asked("H4", "retry_late").await.expect("answers");
    assert!(
        late.json()["message"]
            .as_str()
            .is_some_and(|text| text.contains("超出重试期"))
    );
    for (number, fault) in [("H5", "stale_answer"), ("H6", "unsigned_answer")] {
        let answer = asked(number, fault).await.expect("answers");
        assert_eq!(answer.status, 200);
        let time = answer.headers.get("wechatpay-timestamp");
        match fault {
            "stale_answer" => {
                let time: i64 = time.expect("signed").parse().expect("a number");
                assert!(
                    seconds() - time > 500
                        && proves(&world.credentials, &answer.headers, &answer.body)
                );
            }
            _ => assert!(time.is_none(), "not signed"),
        }
    }
    let page = asked("H7", "html_answer").await.expect("answers");
    assert_eq!((page.status, page.json()), (502, Value::Null));
    let more = asked("H8", "extra_fields").await.expect("answers");
    assert!(more.json()["field_of_tomorrow"].is_object());
    // Nobody else is struck by what one request asked for.
    assert_eq!(sent(&world, "H9").await, (200, String::new()));
}

#[tokio::test]
async fn answers_are_scripted_word_for_word_and_errors_can_be_unsigned() {
    let world = World::new().await;
    let script = json!({ "errors_unsigned": true, "answers": [
        { "status": 403, "code": "NO_AUTH", "message": "本商户号未配置API发起能力", "number": "S2" },
        { "status": 400, "code": "ACCOUNTERROR", "message": "账户异常", "accepted": true, "times": 2 },
    ] });
    faults(&world, script).await;
    let answer = world
        .create(&world.transfer("S1", 100).await)
        .await
        .expect("answers");
    assert_eq!(answer.error(), (400, "ACCOUNTERROR".into()));
    assert!(!answer.headers.contains_key("wechatpay-signature"));
    assert_eq!(
        world.query("S1").await.status,
        200,
        "and yet it was accepted"
    );
    assert_eq!(sent(&world, "S2").await, (403, "NO_AUTH".into()));
    assert_eq!(world.query("S2").await.status, 404);
    assert_eq!(sent(&world, "S3").await, (400, "ACCOUNTERROR".into()));
    assert_eq!(
        sent(&world, "S4").await,
        (200, String::new()),
        "both are used up"
    );
}

#[tokio::test]
async fn a_file_says_what_goes_wrong_from_the_beginning() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("faults.json");
    std::fs::write(&file, r#"{"times":{"error_before":1}}"#).expect("written");
    let settings = Settings {
        data: dir.path().to_owned(),
        faults: Some(file.clone()),
        ..Settings::default()
    };
    let world = World::open(dir, settings.clone()).await;
    assert_eq!(sent(&world, "F1").await, (500, "SYSTEM_ERROR".into()));
    assert_eq!(sent(&world, "F1").await, (200, String::new()));
    std::fs::write(&file, r#"{"times":{"no_such_fault":1}}"#).expect("written");
    let error = lingqian_sandbox::Sandbox::start(settings).await;
    let words = format!("{:#}", error.expect_err("it does not start"));
    assert!(
        words.contains("faults.json") && words.contains("no_such_fault"),
        "{words}"
    );
}

#[tokio::test]
async fn a_user_who_is_first_wins_over_a_cancel_and_reasons_may_be_unknown() {
    let world = World::new().await;
    faults(
        &world,
        json!({ "numbers": { "C1": { "confirm_first": 1 }, "C2": { "unknown_reason": 1 } } }),
    )
    .await;
    sent(&world, "C1").await;
    let path = format!("{BILLS}/out-bill-no/C1/cancel");
    let answer = world.ask("POST", &path, "").await.expect("answers");
    assert_eq!(answer.error(), (400, "INVALID_REQUEST".into()));
    assert_eq!(world.state("C1").await, "SUCCESS");
    sent(&world, "C2").await;
    world
        .admin("POST", "transfers/C2/confirm", &Value::Null)
        .await;
    assert_eq!(
        world.query("C2").await.json()["fail_reason"],
        "REASON_OF_TOMORROW"
    );
}

#[tokio::test]
async fn what_nobody_confirms_may_be_closed_late_and_money_may_run_out() {
    let world = World::new().await;
    faults(&world, json!({ "close_lag_max_s": 5_400 })).await;
    for number in 0..12 {
        sent(&world, &format!("L{number}")).await;
    }
    let waiting = async || {
        let mut waiting = 0;
        for number in 0..12 {
            waiting += usize::from(world.state(&format!("L{number}")).await == "WAIT_USER_CONFIRM");
        }
        waiting
    };
    world
        .sandbox
        .advance(Duration::from_secs(86_400 + 2_700))
        .await;
    let after = waiting().await;
    assert!((1..12).contains(&after), "some are late: {after}");
    world.sandbox.advance(Duration::from_secs(2_700)).await;
    assert_eq!(waiting().await, 0);
    world
        .admin("POST", "balance", &json!({ "balance_fen": 99 }))
        .await;
    assert_eq!(sent(&world, "M1").await, (403, "NOT_ENOUGH".into()));
    world
        .admin("POST", "balance", &json!({ "balance_fen": 100 }))
        .await;
    assert_eq!(sent(&world, "M1").await, (200, String::new()));
}

#[tokio::test]
async fn calls_are_counted_where_that_is_asked_for() {
    let world = World::new().await;
    faults(&world, json!({ "throttle": true })).await;
    let path = "/v3/bill/fundflowbill?bill_date=2020-01-01";
    let mut slow = 0;
    for _ in 0..8 {
        let answer = world.ask("GET", path, "").await.expect("answers");
        slow += usize::from(answer.error() == (429, "FREQUENCY_LIMITED".into()));
    }
    // Three in a second; the second may have changed in between once or twice.
    assert!((1..=5).contains(&slow), "{slow}");
    faults(&world, json!({})).await;
    let answer = world.ask("GET", path, "").await.expect("answers");
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn notifications_are_forged_and_held_until_another_one_went_out() {
    let world = World::new().await;
    let address = Address::open(0).await;
    let confirmed = async |number: &str| {
        let mut body = world.transfer(number, 100).await;
        body["notify_url"] = json!(address.url);
        world.create(&body).await.expect("answers");
        let path = format!("transfers/{number}/confirm");
        world.admin("POST", &path, &Value::Null).await;
    };
    let numbers = json!({ "N1": { "notice_forged": 1 }, "N2": { "notice_held": 1 } });
    faults(&world, json!({ "numbers": numbers })).await;
    let told = |(headers, body): &(std::collections::BTreeMap<String, String>, bytes::Bytes)| {
        let envelope: Value = serde_json::from_slice(body).expect("JSON");
        let resource = world.opened(&envelope["resource"]);
        let text = |name: &str| resource[name].as_str().unwrap_or_default().to_owned();
        (
            proves(&world.credentials, headers, body),
            text("out_bill_no"),
            text("state"),
        )
    };
    confirmed("N1").await;
    let seen: Vec<_> = address.received(2).await.iter().map(told).collect();
    assert_eq!(seen[0], (false, "N1".into(), "FAIL".into()), "forged");
    assert_eq!(seen[1], (true, "N1".into(), "SUCCESS".into()));
    confirmed("N2").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(address.count(), 2, "it is held");
    confirmed("N3").await;
    let seen: Vec<_> = address.received(4).await.iter().map(told).collect();
    let order = [seen[2].1.as_str(), seen[3].1.as_str()];
    assert_eq!(order, ["N3", "N2"]);
}

#[tokio::test]
async fn bills_come_damaged() {
    let world = World::new().await;
    for number in ["B1", "B2", "B3"] {
        sent(&world, number).await;
        world
            .admin("POST", &format!("transfers/{number}/confirm"), &Value::Null)
            .await;
    }
    let clock = world.admin("GET", "clock", &Value::Null).await;
    let day = clock["business_time"].as_str().expect("a time")[..10].to_owned();
    world.sandbox.advance(Duration::from_secs(2 * 86_400)).await;
    let path = format!("/v3/bill/fundflowbill?bill_date={day}");
    let fetched = async |damage: Value| {
        faults(&world, json!({ "bill": damage })).await;
        let applied = world.ask("GET", &path, "").await.expect("answers").json();
        let url = applied["download_url"].as_str().expect("an address");
        let token = &url[url.find("/v3/").expect("a path")..];
        let file = world.ask("GET", token, "").await.expect("answers").body;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &file);
        let hash: String = digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let right = applied["hash_value"] == json!(hash);
        (right, String::from_utf8_lossy(&file).into_owned())
    };
    let (right, whole) = fetched(json!([])).await;
    assert!(right && whole.starts_with("\u{feff}记账时间") && whole.ends_with("\r\n"));
    let (right, file) = fetched(json!(["truncated"])).await;
    assert!(!right && whole.starts_with(&file) && file.len() < whole.len());
    let (right, file) = fetched(json!(["wrong_hash"])).await;
    assert!(!right && file == whole);
    let (right, file) = fetched(json!(["lost_tail"])).await;
    assert!(right && !file.contains("资金流水总笔数"));
    let (right, file) = fetched(json!(["line_twice"])).await;
    assert!(right && file.lines().nth(1) == file.lines().nth(2));
    let (right, file) = fetched(json!(["missing_column"])).await;
    assert!(right && !file.contains("业务凭证号"));
    let (right, file) = fetched(json!(["extra_column", "line_feeds", "no_mark"])).await;
    assert!(right && file.starts_with("新列,记账时间") && !file.contains('\r'));
    assert_eq!(file.matches("`新,`").count(), 4, "{file}");
    let (right, file) = fetched(json!(["midnight"])).await;
    assert!(right && file.contains(" 00:00:00,") && file.contains(" 23:59:59,"));
    faults(&world, json!({ "bill": ["late"] })).await;
    let answer = world.ask("GET", &path, "").await.expect("answers");
    assert_eq!(answer.error(), (400, "STATEMENT_CREATING".into()));
}

#[tokio::test]
async fn robot_and_faults_hold_after_a_restart_until_something_else_is_said() {
    let world = World::new().await;
    let robot = json!({
        "confirm_per_mille": 7, "refuse_per_mille": 5, "delay_ms": 1, "seed": 3,
    });
    world.admin("POST", "robot", &robot).await;
    faults(&world, json!({ "per_mille": { "error_before": 1_000 } })).await;
    assert_eq!(sent(&world, "R1").await, (500, "SYSTEM_ERROR".into()));
    let again = async |world: World, file: Option<std::path::PathBuf>| {
        let World { dir, sandbox, .. } = world;
        sandbox.stop().await;
        let settings = Settings {
            data: dir.path().to_owned(),
            faults: file,
            ..Settings::default()
        };
        World::open(dir, settings).await
    };
    let world = again(world, None).await;
    assert_eq!(world.admin("GET", "robot", &Value::Null).await, robot);
    assert_eq!(sent(&world, "R2").await, (500, "SYSTEM_ERROR".into()));
    // A file that is named counts more.
    let file = world.dir.path().join("none.json");
    std::fs::write(&file, "{}").expect("written");
    let world = again(world, Some(file)).await;
    assert_eq!(sent(&world, "R3").await, (200, String::new()));
    faults(&world, json!({})).await;
    let world = again(world, None).await;
    assert_eq!(sent(&world, "R4").await, (200, String::new()));
    let data = world.dir.path().to_owned();
    std::fs::write(data.join("said.json"), "not JSON").expect("written");
    let settings = Settings {
        data,
        ..Settings::default()
    };
    let error = lingqian_sandbox::Sandbox::start(settings).await;
    let words = format!("{:#}", error.expect_err("it does not start"));
    assert!(words.contains("said.json"), "{words}");
}

#[tokio::test]
async fn what_struck_does_not_strike_again_after_a_kill() {
    let world = World::new().await;
    let word = |times: u64| {
        json!({ "status": 403, "code": "OWN", "message": "words",
        "accepted": false, "times": times, "number": "K3" })
    };
    let script = json!({ "times": { "error_before": 2 },
        "numbers": { "K2": { "error_after": 2 } },
        "answers": [word(2)],
        "errcodes": { "cgi-bin/token": [40013, 40125] } });
    faults(&world, script).await;
    let failed = (500, "SYSTEM_ERROR".to_owned());
    assert_eq!(sent(&world, "K3").await, (403, "OWN".into()));
    assert_eq!(sent(&world, "K1").await, failed);
    faults_left(&world, 1, 2, 1).await;
    assert_eq!(sent(&world, "K1").await, failed);
    assert_eq!(sent(&world, "K2").await, failed);
    let token = format!("{}/cgi-bin/token", world.url);
    let told = crate::client::call("GET", &token, &[], "").await;
    assert_eq!(told.expect("answers").json()["errcode"], 40013);
    // Nobody stops it.
    let World { dir, sandbox, .. } = world;
    std::mem::forget(sandbox);
    let settings = Settings {
        data: dir.path().to_owned(),
        ..Settings::default()
    };
    let world = World::open(dir, settings).await;
    faults_left(&world, 0, 1, 1).await;
    let token = format!("{}/cgi-bin/token", world.url);
    let told = crate::client::call("GET", &token, &[], "").await;
    assert_eq!(told.expect("answers").json()["errcode"], 40125);
    assert_eq!(sent(&world, "K1").await, (200, String::new()));
    assert_eq!(sent(&world, "K2").await, failed);
    assert_eq!(sent(&world, "K2").await, (200, String::new()));
    assert_eq!(sent(&world, "K3").await, (403, "OWN".into()));
    assert_eq!(sent(&world, "K3").await, (200, String::new()));
}

/// How often each of the faults above may still strike.
async fn faults_left(world: &World, times: u64, numbers: u64, answers: u64) {
    let told = world.admin("GET", "faults", &Value::Null).await;
    let left = [
        &told["times"]["error_before"],
        &told["numbers"]["K2"]["error_after"],
        &told["answers"][0]["times"],
    ];
    assert_eq!(left, [&json!(times), &json!(numbers), &json!(answers)]);
}

#[tokio::test]
async fn a_bill_that_is_not_there_says_why_on_the_page_too() {
    let world = World::new().await;
    let now = jiff::Timestamp::now();
    let today = jiff::tz::Offset::constant(8).to_datetime(now).date();
    for (day, code) in [
        (today, "INVALID_REQUEST"),
        (today - jiff::Span::new().days(3), "NO_STATEMENT_EXIST"),
    ] {
        let url = format!("{}/_sandbox/bill?date={day}", world.url);
        let answer = crate::client::call("GET", &url, &[], "")
            .await
            .expect("answers");
        let words = answer.json()["error"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert_eq!(answer.status, 400, "{words}");
        assert!(words.starts_with(code), "{day}: {words}");
    }
}
