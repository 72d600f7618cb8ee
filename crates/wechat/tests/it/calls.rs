//! Calls whose answers come, come wrong, or never come.

use lingqian_core::id::MchId;
use lingqian_core::money::Fen;
use lingqian_core::transfer::{Cure, Finding, Origin, TransferReport};
use lingqian_io::Rail as _;
use serde_json::json;

use crate::world::{Key, Listener, NOW, SERIAL, Say, client, number, order};

fn told(state: &str) -> Vec<u8> {
    let body = json!({
        "out_bill_no": number().to_string(),
        "transfer_bill_no": "1330",
        "create_time": "2026-03-02T12:00:00+08:00",
        "state": state,
        "package_info": "PACKAGE",
        "openid": "oAlice",
        "a_field_of_tomorrow": { "x": 1 },
    });
    body.to_string().into_bytes()
}

async fn sent(key: &Key, say: Say) -> TransferReport {
    let listener = Listener::open(say).await;
    client(&listener.url, key).send(&order(None)).await
}

fn unknown(report: &TransferReport) -> &str {
    match &report.finding {
        Finding::Unknown { code } => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_good_answer_is_read_with_all_that_it_claims() {
    let key = Key::new();
    let body = told("WAIT_USER_CONFIRM");
    let mut headers = key.proof(SERIAL, NOW, &body);
    headers.push(("request-id".into(), "R1".into()));
    let report = sent(&key, Say::Answer(200, headers, body)).await;
    assert_eq!(
        report.finding,
        Finding::AwaitingUser {
            package: Some("PACKAGE".into())
        }
    );
    assert_eq!((report.origin, report.number), (Origin::Answer, number()));
    assert_eq!(report.bill_no.as_deref(), Some("1330"));
    assert_eq!(
        report.claims.openid.as_ref().map(|openid| openid.expose()),
        Some("oAlice")
    );
    assert_eq!(report.evidence.request_id.as_deref(), Some("R1"));
    let text = &report.evidence.body;
    assert!(
        !text.contains("oAlice") && !text.contains("PACKAGE"),
        "{text}"
    );
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_unknown() {
    let key = Key::new();
    assert_eq!(unknown(&sent(&key, Say::Nothing).await), "connection_lost");
    assert_eq!(unknown(&sent(&key, Say::Half).await), "body_lost");
    assert_eq!(unknown(&sent(&key, Say::Silence).await), "timeout");
    let nobody = client("http://127.0.0.1:9", &key).send(&order(None)).await;
    assert_eq!(unknown(&nobody), "connect_failed");
}

#[tokio::test]
async fn an_answer_that_does_not_prove_itself_is_unknown_whatever_it_says() {
    let (key, stranger) = (Key::new(), Key::new());
    for state in ["SUCCESS", "FAIL", "CANCELLED"] {
        let body = told(state);
        let good = key.proof(SERIAL, NOW, &body);
        let mut changed = body.clone();
        changed.push(b' ');
        let stale = key.proof(SERIAL, NOW.after_ms(-301_000), &body);
        let cases = [
            (Vec::new(), body.clone(), "signature_header_missing"),
            (
                stranger.proof(SERIAL, NOW, &body),
                body.clone(),
                "signature_wrong",
            ),
            (good, changed, "signature_wrong"),
            (
                key.proof("PUB_KEY_ID_2", NOW, &body),
                body.clone(),
                "signing_key_unknown",
            ),
            (stale, body, "timestamp_stale"),
        ];
        for (headers, body, code) in cases {
            let report = sent(&key, Say::Answer(200, headers, body)).await;
            assert_eq!(unknown(&report), code, "{state}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_unknown() {
    let key = Key::new();
    let other = told("SUCCESS");
    let other = String::from_utf8(other)
        .expect("text")
        .replace(&number().to_string(), "LQ0");
    for (body, code) in [
        (b"<html>".to_vec(), "answer_unreadable"),
        (b"{}".to_vec(), "answer_unreadable"),
        (told("A_STATE_OF_TOMORROW"), "state_unknown"),
        (other.into_bytes(), "number_mismatch"),
    ] {
        let headers = key.proof(SERIAL, NOW, &body);
        let report = sent(&key, Say::Answer(200, headers, body)).await;
        assert_eq!(unknown(&report), code);
    }
    let error = b"{\"code\":\"SYSTEM_ERROR\",\"message\":\"\"}".to_vec();
    let headers = key.proof(SERIAL, NOW, &error);
    assert_eq!(
        unknown(&sent(&key, Say::Answer(500, headers, error)).await),
        "SYSTEM_ERROR"
    );
    assert_eq!(
        unknown(&sent(&key, Say::Answer(502, Vec::new(), b"x".to_vec())).await),
        "status_502"
    );
}

#[tokio::test]
async fn a_refusal_is_for_good_only_when_it_is_signed() {
    let key = Key::new();
    let body =
        b"{\"code\":\"PARAM_ERROR\",\"message\":\"x\",\"detail\":{\"value\":\"oAlice\"}}".to_vec();
    let headers = key.proof(SERIAL, NOW, &body);
    let cure = |report: TransferReport| match report.finding {
        Finding::Refused { cure, .. } => (cure, report.evidence.body),
        other => panic!("{other:?}"),
    };
    let (signed, text) = cure(sent(&key, Say::Answer(400, headers, body.clone())).await);
    assert_eq!(signed, Cure::Never);
    assert!(!text.contains("oAlice"), "{text}");
    assert_eq!(
        cure(sent(&key, Say::Answer(400, Vec::new(), body)).await).0,
        Cure::Person
    );
}

#[tokio::test]
async fn a_request_says_what_the_order_says_and_seals_the_name() {
    let key = Key::new();
    let listener = Listener::open(Say::Nothing).await;
    client(&listener.url, &key).send(&order(Some("张三"))).await;
    let text = listener.last_request();
    let (head, body) = text.split_once("\r\n\r\n").expect("head and body");
    assert!(
        head.starts_with("POST /v3/fund-app/mch-transfer/transfer-bills HTTP/1.1"),
        "{head}"
    );
    assert!(
        head.contains("WECHATPAY2-SHA256-RSA2048 mchid=\"1900000109\""),
        "{head}"
    );
    assert!(
        head.to_lowercase()
            .contains(&format!("wechatpay-serial: {}", SERIAL.to_lowercase()))
    );
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["out_bill_no"], number().to_string());
    assert_eq!(
        (&body["transfer_amount"], &body["openid"]),
        (&json!(500), &json!("oAlice"))
    );
    assert_eq!(
        body["notify_url"],
        "https://pay.example.test/hooks/wechat/transfer"
    );
    let name = body["user_name"].as_str().expect("sealed");
    assert!(!name.contains("张三") && name.len() > 300, "{name}");
}

#[tokio::test]
async fn questions_and_cancels_go_to_their_paths_and_only_no_record_is_certain() {
    let key = Key::new();
    let body = b"{\"code\":\"NOT_FOUND\",\"message\":\"\"}".to_vec();
    let listener = Listener::open(Say::Answer(404, key.proof(SERIAL, NOW, &body), body)).await;
    let pay = client(&listener.url, &key);
    let report = pay.ask(&order(None)).await;
    assert_eq!(
        (report.finding, report.origin),
        (Finding::NotFound, Origin::Query)
    );
    let path = format!("/transfer-bills/out-bill-no/{}", number());
    assert!(listener.last_request().contains(&format!("{path} HTTP")));
    let report = pay.cancel(&order(None)).await;
    assert!(
        matches!(report.finding, Finding::Unknown { .. }),
        "{report:?}"
    );
    assert!(
        listener
            .last_request()
            .contains(&format!("{path}/cancel HTTP"))
    );
}

#[tokio::test]
async fn another_merchants_orders_and_numbers_are_left_alone() {
    let key = Key::new();
    let listener = Listener::open(Say::Nothing).await;
    let pay = client(&listener.url, &key);
    let other = MchId::parse("1900000110").expect("valid");
    let mut wrong = order(None);
    wrong.mchid = other;
    wrong.amount = Fen(1);
    assert!(matches!(
        pay.send(&wrong).await.finding,
        Finding::Refused {
            cure: Cure::Person,
            ..
        }
    ));
    assert_eq!(unknown(&pay.ask(&wrong).await), "wrong_merchant");
    assert_eq!(listener.last_request(), "", "nothing was sent");
}
