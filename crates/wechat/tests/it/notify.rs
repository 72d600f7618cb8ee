//! Notifications: forged, stale, sealed wrongly, about something else.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lingqian_core::money::Fen;
use lingqian_core::transfer::{Finding, Origin};
use lingqian_io::Rail as _;
use lingqian_io::rail::{Notification, Opened, Refusal};
use serde_json::{Value, json};

use crate::world::{APIV3_KEY, Key, NOW, SERIAL, client, number};

pub(crate) fn sealed(key: &[u8], plain: &Value) -> Value {
    let mut bytes = plain.to_string().into_bytes();
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes"))
        .seal_in_place_append_tag(
            Nonce::try_assume_unique_for_key(b"fdasflkja484").expect("twelve"),
            Aad::from(b"mch_payment"),
            &mut bytes,
        )
        .expect("sealed");
    json!({
        "algorithm": "AEAD_AES_256_GCM",
        "original_type": "mch_payment",
        "associated_data": "mch_payment",
        "nonce": "fdasflkja484",
        "ciphertext": STANDARD.encode(bytes),
    })
}

pub(crate) fn envelope(event: &str, resource: &Value) -> Vec<u8> {
    json!({ "id": "EV-1", "event_type": event, "resource": resource })
        .to_string()
        .into_bytes()
}

pub(crate) const FINISHED: &str = "MCHTRANSFER.BILL.FINISHED";

pub(crate) fn paid() -> Value {
    json!({
        "out_bill_no": number().to_string(),
        "transfer_bill_no": "1330",
        "state": "SUCCESS",
        "mchid": "1900000109",
        "transfer_amount": 500,
        "openid": "oAlice",
        "update_time": "2026-03-02T12:00:05+08:00",
    })
}

async fn open(key: &Key, headers: Vec<(String, String)>, body: Vec<u8>) -> Result<Opened, Refusal> {
    client("http://127.0.0.1:9", key)
        .open(&Notification { headers, body })
        .await
}

#[tokio::test]
async fn a_true_notification_is_a_report_with_its_claims() {
    let key = Key::new();
    let body = envelope(FINISHED, &sealed(APIV3_KEY, &paid()));
    let opened = open(&key, key.proof(SERIAL, NOW, &body), body)
        .await
        .expect("true");
    let Opened::Transfer(report) = opened else {
        panic!("{opened:?}")
    };
    assert_eq!(
        (&report.finding, report.origin),
        (&Finding::Paid, Origin::Notification)
    );
    assert_eq!(report.number, number());
    assert_eq!(report.claims.mchid.as_deref(), Some("1900000109"));
    assert_eq!(report.claims.amount, Some(Fen(500)));
    assert_eq!(report.at, Some(NOW.after_ms(5_000)));
    assert!(
        !report.evidence.body.contains("oAlice"),
        "{}",
        report.evidence.body
    );
}

#[tokio::test]
async fn what_is_not_wechats_is_refused_before_it_is_read() {
    let (key, stranger) = (Key::new(), Key::new());
    let body = envelope(FINISHED, &sealed(APIV3_KEY, &paid()));
    let good = key.proof(SERIAL, NOW, &body);
    let without = |name: &str| {
        let left = good.iter().filter(|(key, _)| key != name).cloned();
        left.collect::<Vec<_>>()
    };
    let mut probe = good.clone();
    probe[3].1 = format!("WECHATPAY/SIGNTEST/{}", probe[3].1);
    let mut longer = body.clone();
    longer.push(b'\n');
    let cases = [
        (
            without("wechatpay-serial"),
            body.clone(),
            "signature_header_missing",
        ),
        (
            without("wechatpay-signature"),
            body.clone(),
            "signature_header_missing",
        ),
        (
            key.proof("7777", NOW, &body),
            body.clone(),
            "signing_key_unknown",
        ),
        (
            key.proof(SERIAL, NOW.after_ms(-301_000), &body),
            body.clone(),
            "timestamp_stale",
        ),
        (
            key.proof(SERIAL, NOW.after_ms(301_000), &body),
            body.clone(),
            "timestamp_stale",
        ),
        (
            stranger.proof(SERIAL, NOW, &body),
            body.clone(),
            "signature_wrong",
        ),
        (probe, body.clone(), "signature_wrong"),
        (good.clone(), longer, "signature_wrong"),
    ];
    for (headers, body, code) in cases {
        let refusal = open(&key, headers, body).await.expect_err(code);
        assert_eq!(refusal.code(), code);
    }
}

#[tokio::test]
async fn what_is_signed_and_does_not_open_or_read_is_refused() {
    let key = Key::new();
    let wrong_key = sealed(b"ffffffffffffffffffffffffffffffff", &paid());
    let mut changed = sealed(APIV3_KEY, &paid());
    changed["associated_data"] = json!("other");
    let mut algorithm = sealed(APIV3_KEY, &paid());
    algorithm["algorithm"] = json!("NONE");
    for (resource, code) in [
        (wrong_key, "seal_wrong"),
        (changed, "seal_wrong"),
        (algorithm, "message_malformed"),
        (
            sealed(APIV3_KEY, &json!({ "state": "SUCCESS" })),
            "message_malformed",
        ),
        (json!({}), "message_malformed"),
    ] {
        let body = envelope(FINISHED, &resource);
        let refusal = open(&key, key.proof(SERIAL, NOW, &body), body)
            .await
            .expect_err(code);
        assert_eq!(refusal.code(), code);
    }
}

#[tokio::test]
async fn what_is_about_something_else_is_told_apart() {
    let key = Key::new();
    let mut foreign = paid();
    foreign["out_bill_no"] = json!("PAY20260302000001");
    for (event, resource) in [("SECURITY_ECHO.SUCCESS", paid()), (FINISHED, foreign)] {
        let body = envelope(event, &sealed(APIV3_KEY, &resource));
        let opened = open(&key, key.proof(SERIAL, NOW, &body), body)
            .await
            .expect("true");
        assert_eq!(
            opened,
            Opened::Other {
                event: event.into()
            }
        );
    }
}
