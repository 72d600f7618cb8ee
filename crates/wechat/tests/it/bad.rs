//! Messages of WeChat's that are not as they should be: signed ones with anything inside, and
//! proofs that prove nothing. What is not certain is unknown, and what does not prove itself has no
//! effect.

use lingqian_core::transfer::Finding;
use lingqian_io::Rail as _;
use lingqian_io::rail::{Notification, Opened};
use serde_json::{Value, json};

use crate::notify::{FINISHED, envelope, paid, sealed};
use crate::world::{APIV3_KEY, Key, Listener, NOW, SERIAL, Say, client, number, order};

fn told() -> Value {
    json!({
        "out_bill_no": number().to_string(),
        "transfer_bill_no": "1330",
        "create_time": "2026-03-02T12:00:00+08:00",
        "state": "SUCCESS",
    })
}

/// What is found in an answer with this body, signed, and these headers besides.
async fn found(key: &Key, status: u16, body: &[u8], more: &[(&str, &str)]) -> Finding {
    let mut headers = key.proof(SERIAL, NOW, body);
    let more = more
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    headers.extend(more);
    let listener = Listener::open(Say::Answer(status, headers, body.to_vec())).await;
    client(&listener.url, key).send(&order(None)).await.finding
}

#[tokio::test]
async fn a_signed_answer_may_hold_more_but_what_it_must_hold_is_not_guessed() {
    let key = Key::new();
    let with = |name: &str, value: Value| {
        let mut body = told();
        body[name] = value;
        body.to_string().into_bytes()
    };
    let emoji = json!({ "words": "\u{1f600}𠮷", "list": [null, { "deep": null }] });
    for (name, body) in [
        ("more fields", with("field_of_tomorrow", emoji)),
        (
            "null where nothing is needed",
            with("package_info", Value::Null),
        ),
        (
            "null where a reason would be",
            with("fail_reason", Value::Null),
        ),
    ] {
        assert_eq!(found(&key, 200, &body, &[]).await, Finding::Paid, "{name}");
    }
    // The type is not what proves an answer; the signature over its bytes is.
    let body = told().to_string();
    for kind in ["text/html", "application/json;charset=gbk", "", "???"] {
        let finding = found(&key, 200, body.as_bytes(), &[("content-type", kind)]).await;
        assert_eq!(finding, Finding::Paid, "{kind}");
    }
    let half = body.as_bytes()[..body.len() / 2].to_vec();
    let deep = format!("{}1{}", "[".repeat(400), "]".repeat(400)).into_bytes();
    for (name, body) in [
        ("null as the state", with("state", Value::Null)),
        ("a number as the state", with("state", json!(1))),
        ("null as the number", with("out_bill_no", Value::Null)),
        ("a list", b"[]".to_vec()),
        ("nothing", Vec::new()),
        ("a half", half),
        ("two", format!("{body}{body}").into_bytes()),
        ("no UTF-8", b"{\"state\":\"\xff\xfe\"}".to_vec()),
        ("deep", deep),
    ] {
        let finding = found(&key, 200, &body, &[]).await;
        assert!(
            matches!(finding, Finding::Unknown { .. }),
            "{name}: {finding:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_over_the_limit_is_unknown() {
    let key = Key::new();
    let mut body = told();
    body["padding"] = json!("x".repeat(4 << 20));
    let finding = found(&key, 200, body.to_string().as_bytes(), &[]).await;
    assert!(matches!(finding, Finding::Unknown { .. }), "{finding:?}");
}

#[tokio::test]
async fn a_probe_and_doubled_headers_in_an_answer_prove_nothing() {
    let key = Key::new();
    let body = told().to_string().into_bytes();
    let proof = key.proof(SERIAL, NOW, &body);
    for (name, value) in &proof {
        let finding = found(&key, 200, &body, &[(name, value)]).await;
        let code = "signature_header_missing";
        assert_eq!(
            finding,
            Finding::Unknown { code: code.into() },
            "{name} twice"
        );
    }
    let mut probe = proof;
    probe[3].1 = format!("WECHATPAY/SIGNTEST/{}", probe[3].1);
    let listener = Listener::open(Say::Answer(200, probe, body)).await;
    let finding = client(&listener.url, &key).send(&order(None)).await.finding;
    assert_eq!(
        finding,
        Finding::Unknown {
            code: "signature_wrong".into()
        }
    );
}

type Headers = Vec<(String, String)>;

/// A good notification with one thing about it changed, and the code that it is refused with.
fn tampered(key: &Key) -> Vec<(&'static str, Headers, Vec<u8>, &'static str)> {
    let body = envelope(FINISHED, &sealed(APIV3_KEY, &paid()));
    let good = key.proof(SERIAL, NOW, &body);
    let with = |place: usize, value: &str| {
        let mut headers = good.clone();
        headers[place].1 = value.to_owned();
        headers
    };
    let mut doubled = good.clone();
    doubled.push(good[3].clone());
    let (lower, other) = (SERIAL.to_lowercase(), "77".repeat(20));
    let (missing, wrong) = ("signature_header_missing", "signature_wrong");
    let half = body[..body.len() - 10].to_vec();
    let mut cases = vec![
        ("truncated", good.clone(), half, wrong),
        ("nothing", good.clone(), Vec::new(), wrong),
    ];
    let changed = [
        ("doubled", doubled, missing),
        ("of the other mode", with(0, &other), "signing_key_unknown"),
        ("in lower case", with(0, &lower), "signing_key_unknown"),
        ("no serial", with(0, ""), "signing_key_unknown"),
        ("no time", with(1, "soon"), missing),
        ("a fraction", with(1, "1772424000.5"), missing),
        (
            "the end of time",
            with(1, "9223372036854775807"),
            "timestamp_stale",
        ),
        ("another second", with(1, "1772424001"), wrong),
        ("another nonce", with(2, "M"), wrong),
        ("no base64", with(3, "!"), wrong),
        ("no signature", with(3, ""), wrong),
    ];
    let with_body = |(name, headers, code)| (name, headers, body.clone(), code);
    cases.extend(changed.map(with_body));
    cases
}

#[tokio::test]
async fn notifications_that_were_tampered_with_have_no_effect() {
    let key = Key::new();
    for (name, headers, body, code) in tampered(&key) {
        let message = Notification { headers, body };
        let refused = client("http://127.0.0.1:9", &key).open(&message).await;
        assert_eq!(refused.expect_err(name).code(), code, "{name}");
    }
}

#[tokio::test]
async fn the_same_notification_again_says_the_same() {
    let key = Key::new();
    let body = envelope(FINISHED, &sealed(APIV3_KEY, &paid()));
    let headers = key.proof(SERIAL, NOW, &body);
    let pay = client("http://127.0.0.1:9", &key);
    let message = Notification { headers, body };
    let mut told = Vec::new();
    for _ in 0..2 {
        let Ok(Opened::Transfer(report)) = pay.open(&message).await else {
            panic!("it is true");
        };
        told.push((report.number, report.finding, report.evidence.body));
    }
    // What a second report of a final state does is the rules' to say: nothing.
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn what_is_sealed_may_be_anything() {
    let key = Key::new();
    let pay = client("http://127.0.0.1:9", &key);
    let with = |name: &str, value: Value| {
        let mut resource = paid();
        resource[name] = value;
        resource
    };
    for (name, resource) in [
        ("null", Value::Null),
        ("a list", json!([])),
        ("null as the number", with("out_bill_no", Value::Null)),
        ("yuan", with("transfer_amount", json!(5.01))),
        ("too much", with("transfer_amount", json!(1e30))),
        ("a number as the state", with("state", json!(1))),
    ] {
        let body = envelope(FINISHED, &sealed(APIV3_KEY, &resource));
        let headers = key.proof(SERIAL, NOW, &body);
        let refused = pay.open(&Notification { headers, body }).await;
        assert_eq!(
            refused.expect_err(name).code(),
            "message_malformed",
            "{name}"
        );
    }
    let body = envelope(
        FINISHED,
        &sealed(APIV3_KEY, &with("state", json!("\u{1f600}"))),
    );
    let headers = key.proof(SERIAL, NOW, &body);
    let Ok(Opened::Transfer(report)) = pay.open(&Notification { headers, body }).await else {
        panic!("it is true");
    };
    assert!(
        matches!(report.finding, Finding::Unknown { .. }),
        "{report:?}"
    );
}
