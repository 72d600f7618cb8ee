//! Keys that are tried, and what there was at the end of a day.

use std::time::Duration;

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lingqian_sandbox::Booking;
use serde_json::{Value, json};

use crate::client::{Address, World, proves, spki};

const ECHO: &str = "/v3/security/echo";

/// Seals a text for WeChat's public key.
fn sealed(world: &World, text: &str) -> String {
    let key = PublicEncryptingKey::from_der(&spki(&world.credentials.public_key_pem));
    let key = OaepPublicEncryptingKey::new(key.expect("a key")).expect("a key");
    let mut sealed = vec![0; key.ciphertext_size()];
    let sealed = key.encrypt(&OAEP_SHA1_MGF1SHA1, text.as_bytes(), &mut sealed, None);
    STANDARD.encode(sealed.expect("sealed"))
}

/// Opens what is sealed for the merchant.
fn opened(world: &World, sealed: &str) -> String {
    let block = pem::parse(&world.credentials.merchant_key_pem).expect("PEM");
    let key = PrivateDecryptingKey::from_pkcs8(block.contents()).expect("a key");
    let key = OaepPrivateDecryptingKey::new(key).expect("a key");
    let sealed = STANDARD.decode(sealed).expect("base64");
    let mut plain = vec![0; key.min_output_size()];
    let plain = key.decrypt(&OAEP_SHA1_MGF1SHA1, &sealed, &mut plain, None);
    String::from_utf8(plain.expect("opens").to_vec()).expect("text")
}

#[tokio::test]
async fn what_is_echoed_comes_back_sealed_for_the_merchant_and_is_announced() {
    let world = World::new().await;
    let address = Address::open(0).await;
    let body = json!({
        "echo_message": "hello",
        "encrypted_echo_message": sealed(&world, "王小王"),
        "notify_url": address.url,
    });
    let answer = world.ask("POST", ECHO, &body.to_string()).await;
    let answer = answer.expect("answers");
    assert_eq!(answer.status, 200, "{}", answer.json());
    assert!(proves(&world.credentials, &answer.headers, &answer.body));
    let told = answer.json();
    assert_eq!(told["echo_message"], "hello");
    let again = told["encrypted_echo_message"].as_str().expect("text");
    assert_eq!(opened(&world, again), "王小王");
    let received = address.received(1).await;
    let (headers, body) = &received[0];
    assert!(proves(&world.credentials, headers, body));
    let envelope: Value = serde_json::from_slice(body).expect("JSON");
    assert_eq!(envelope["event_type"], "SECURITY_ECHO.SUCCESS");
    assert_eq!(envelope["resource"]["original_type"], "security");
    assert_eq!(world.opened(&envelope["resource"])["echo_message"], "hello");
}

#[tokio::test]
async fn a_bad_try_of_the_keys_says_what_was_wrong() {
    let world = World::new().await;
    let ask = async |body: Value| {
        let answer = world.ask("POST", ECHO, &body.to_string()).await;
        let answer = answer.expect("answers").json();
        let field = answer["detail"]["field"].as_str().unwrap_or_default();
        (answer["code"].clone(), field.to_owned())
    };
    for (body, field) in [
        (json!({}), "echo_message"),
        (json!({ "echo_message": "" }), "echo_message"),
        (json!({ "echo_message": "a", "more": 1 }), "more"),
        (
            json!({ "echo_message": "a", "notify_url": "ftp://x" }),
            "notify_url",
        ),
        (
            json!({ "echo_message": "a", "encrypted_echo_message": "bm90IHNlYWxlZA==" }),
            "encrypted_echo_message",
        ),
    ] {
        let (code, named) = ask(body.clone()).await;
        assert_eq!(code, "PARAM_ERROR", "{body}");
        assert!(named.ends_with(field), "{body}: {named}");
    }
}

fn today() -> String {
    let now = jiff::Timestamp::now();
    let here = jiff::tz::Offset::constant(8).to_datetime(now);
    here.date().to_string()
}

#[tokio::test]
async fn a_day_that_is_over_says_what_was_left_and_what_was_locked() {
    for booking in [Booking::AtLock, Booking::AtSuccess] {
        let world = World::with(|settings| settings.booking = booking).await;
        let ask = async |account: &str, date: &str| {
            let path = format!("/v3/merchant/fund/dayendbalance/{account}?date={date}");
            let answer = world.ask("GET", &path, "").await.expect("answers");
            (answer.status, answer.json())
        };
        let date = today();
        let (status, _) = ask("BASIC", &date).await;
        assert_eq!(status, 400, "the day is not over");
        let path = "/v3/merchant/fund/balance/BASIC";
        let before = world.ask("GET", path, "").await.expect("answers").json();
        let before = before["available_amount"].as_i64().expect("a number");
        for number in ["D1", "D2"] {
            let made = world.create(&world.transfer(number, 1_250).await).await;
            assert_eq!(made.expect("answers").status, 200);
        }
        let confirm = "transfers/D1/confirm";
        world.admin("POST", confirm, &Value::Null).await;
        // The other one ends the next day, when its money comes back.
        world.sandbox.advance(Duration::from_secs(48 * 3_600)).await;
        let (status, told) = ask("BASIC", &date).await;
        assert_eq!(status, 200, "{told}");
        assert_eq!(told["pending_amount"], 1_250, "{booking:?}");
        assert_eq!(told["available_amount"], before - 2_500, "{booking:?}");
        for (account, date, code) in [
            ("FEES", date.as_str(), "INVALID_REQUEST"),
            ("BASE", &date, "PARAM_ERROR"),
            ("BASIC", "2026-13-01", "PARAM_ERROR"),
            ("BASIC", "2020-01-01", "INVALID_REQUEST"),
        ] {
            assert_eq!(ask(account, date).await.1["code"], code, "{account} {date}");
        }
    }
}

#[tokio::test]
async fn a_receipt_is_the_same_by_either_number() {
    let world = World::new().await;
    let body = world.transfer("R1", 500).await;
    let made = world.create(&body).await.expect("answers").json();
    let theirs = made["transfer_bill_no"]
        .as_str()
        .expect("a number")
        .to_owned();
    const PATH: &str = "/v3/fund-app/mch-transfer/elecsign";
    let apply = async |kind: &str, field: &str, number: &str| {
        let body = json!({ field: number }).to_string();
        let path = format!("{PATH}/{kind}");
        world.ask("POST", &path, &body).await.expect("answers")
    };
    let early = apply("transfer-bill-no", "transfer_bill_no", &theirs).await;
    assert_eq!(early.error().1, "INVALID_REQUEST", "it is not paid");
    world
        .admin("POST", "transfers/R1/confirm", &Value::Null)
        .await;
    let wrong = apply("transfer-bill-no", "transfer_bill_no", "1330").await;
    assert_eq!(wrong.error().1, "INVALID_REQUEST", "nobody's number");
    let told = apply("transfer-bill-no", "transfer_bill_no", &theirs)
        .await
        .json();
    assert_eq!(
        (&told["transfer_bill_no"], &told["state"]),
        (&json!(theirs), &json!("GENERATING"))
    );
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let ask = async |kind: &str, number: &str| {
        let path = format!("{PATH}/{kind}/{number}");
        world.ask("GET", &path, "").await.expect("answers").json()
    };
    let (by_theirs, by_ours) = (
        ask("transfer-bill-no", &theirs).await,
        ask("out-bill-no", "R1").await,
    );
    assert_eq!(
        (&by_theirs["state"], &by_ours["out_bill_no"]),
        (&json!("FINISHED"), &json!("R1"))
    );
    assert_eq!(by_theirs["hash_value"], by_ours["hash_value"]);
}
