//! What is not as it should be: at the door of API v3, at that of the old one, and at the hands of
//! whoever tests. Everything is refused with a code, and nothing is kept.

use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::client::{Answer, World, call, seconds, spki};

const CREATE: &str = "/v3/fund-app/mch-transfer/transfer-bills";

/// A create with headers of its own beside the proof.
async fn create(world: &World, body: &str, more: &[(&str, &str)]) -> Answer {
    let proof = world.authorization("POST", CREATE, body, seconds());
    let mut headers = vec![("authorization", proof)];
    headers.extend(
        more.iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    let url = format!("{}{CREATE}", world.url);
    call("POST", &url, &headers, body)
        .await
        .expect("it answers")
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn bodies_that_are_no_requests_are_refused_and_nothing_is_kept() {
    let world = World::new().await;
    let good = world.transfer("T1", 500).await;
    let with = |place: &str, value: Value| {
        let mut body = good.clone();
        *body.pointer_mut(place).expect("there") = value;
        body.to_string()
    };
    let mut nested = good.clone();
    nested["transfer_scene_report_infos"][0]["more"] = json!(1);
    let mut style = good.clone();
    style["user_recv_style"] = json!({ "type": "BLINKING" });
    let mut perceived = good.clone();
    perceived["user_recv_perception"] = json!("劳务报酬");
    let twice = good.to_string().replacen('{', "{\"appid\":5,\"appid\":", 1);
    let param = (400, "PARAM_ERROR".to_owned());
    for (name, body) in [
        ("a list", "[]".to_owned()),
        ("nothing", "null".to_owned()),
        ("a half", good.to_string()[..40].to_owned()),
        ("two", format!("{good}{good}")),
        ("a field twice", twice),
        ("an unknown field inside", nested.to_string()),
        (
            "null inside",
            with("/transfer_scene_report_infos/0/info_type", Value::Null),
        ),
        ("four bytes", with("/transfer_remark", json!("\u{1f600}"))),
        (
            "four bytes inside",
            with("/transfer_scene_report_infos/1/info_content", json!("𠮷")),
        ),
        ("yuan", with("/transfer_amount", json!(5.0))),
        ("too much", with("/transfer_amount", json!(1e30))),
        ("another style", style.to_string()),
        ("an empty number", with("/out_bill_no", json!(""))),
        ("deep", format!("{}1{}", "[".repeat(500), "]".repeat(500))),
    ] {
        let answer = create(&world, &body, &[JSON]).await;
        assert_eq!(answer.error(), param, "{name}: {:?}", answer.json());
        let proved = crate::client::proves(&world.credentials, &answer.headers, &answer.body);
        assert!(proved, "{name}: errors are signed");
    }
    let other_scene = create(&world, &perceived.to_string(), &[JSON]).await;
    assert_eq!(other_scene.error(), (400, "INVALID_REQUEST".into()));
    let large = with("/transfer_remark", json!("x".repeat(1_100_000)));
    assert_eq!(create(&world, &large, &[JSON]).await.status, 413);
    assert_eq!(world.query("T1").await.error(), (404, "NOT_FOUND".into()));
}

#[tokio::test]
async fn headers_that_are_missing_doubled_or_wrong_are_refused() {
    let world = World::new().await;
    let body = world.transfer("T1", 500).await.to_string();
    for (name, headers) in [
        ("text", vec![("content-type", "text/plain")]),
        (
            "a form",
            vec![("content-type", "application/x-www-form-urlencoded")],
        ),
        ("nothing", vec![]),
        ("no accept", vec![JSON, ("accept", "")]),
        ("nobody", vec![JSON, ("user-agent", "")]),
    ] {
        let answer = create(&world, &body, &headers).await;
        assert_eq!(answer.error(), (400, "PARAM_ERROR".into()), "{name}");
    }
    // A proof twice is none, whether or not both are good.
    let proof = world.authorization("POST", CREATE, &body, seconds());
    let doubled = [
        ("authorization", proof.clone()),
        ("authorization", proof.clone()),
    ];
    let answer = call("POST", &format!("{}{CREATE}", world.url), &doubled, &body).await;
    assert_eq!(answer.expect("answers").error(), (401, "SIGN_ERROR".into()));
    // A serial number is a number: in lower case it is the same one.
    let lower = proof.replace(
        &world.credentials.merchant_serial,
        &world.credentials.merchant_serial.to_ascii_lowercase(),
    );
    let headers = [
        ("authorization", lower),
        ("content-type", "application/json".into()),
    ];
    let answer = call("POST", &format!("{}{CREATE}", world.url), &headers, &body).await;
    assert_eq!(answer.expect("answers").status, 200);
    let fault = create(&world, &body, &[JSON, ("sandbox-fault", "answer_lots")]).await;
    assert_eq!(fault.error(), (400, "SANDBOX_FAULT_UNKNOWN".into()));
    let wrong_method = world.ask("PUT", CREATE, "").await.expect("answers");
    assert_eq!(wrong_method.error(), (404, "RESOURCE_NOT_EXISTS".into()));
}

/// A name sealed for the holder of a key in PEM.
fn sealed(name: &str, pem: &str) -> String {
    let key = PublicEncryptingKey::from_der(&spki(pem)).expect("a key");
    let key = OaepPublicEncryptingKey::new(key).expect("a key");
    let mut bytes = vec![0; key.ciphertext_size()];
    let bytes = key.encrypt(&OAEP_SHA1_MGF1SHA1, name.as_bytes(), &mut bytes, None);
    STANDARD.encode(bytes.expect("sealed"))
}

#[tokio::test]
async fn a_name_is_sealed_for_the_key_that_the_header_names_or_refused() {
    let world = World::new().await;
    let known = world.credentials.clone();
    let mut body = world.transfer("T1", 500).await;
    let (key, certificate) = (known.public_key_id.as_str(), known.platform_serial.as_str());
    let by_key = sealed("王小王", &known.public_key_pem);
    let by_certificate = sealed("王小王", &known.platform_cert_pem);
    for (name, sealed, named, status) in [
        ("nobody", &by_key, None, 400),
        (
            "unknown",
            &by_key,
            Some("PUB_KEY_ID_0000000000000000000000000000"),
            400,
        ),
        (
            "the merchant's own",
            &by_key,
            Some(known.merchant_serial.as_str()),
            400,
        ),
        ("of the other mode", &by_key, Some(certificate), 400),
        ("of the other mode", &by_certificate, Some(key), 400),
        ("no seal", &"AAAA".to_owned(), Some(key), 400),
        ("the certificate", &by_certificate, Some(certificate), 200),
        ("the key", &by_key, Some(key), 200),
    ] {
        body["user_name"] = json!(sealed);
        let mut headers = vec![JSON];
        headers.extend(named.map(|named| ("wechatpay-serial", named)));
        let answer = create(&world, &body.to_string(), &headers).await;
        assert_eq!(answer.status, status, "{name}: {:?}", answer.json());
        if status == 400 {
            assert_eq!(answer.error().1, "PARAM_ERROR", "{name}");
        }
    }
}

async fn old(world: &World, body: &[u8]) -> String {
    use http_body_util::{BodyExt as _, Full};
    let client: hyper_util::client::legacy::Client<_, Full<bytes::Bytes>> =
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
            .build_http();
    let request = http::Request::post(format!(
        "{}/mmpaymkttransfers/promotion/transfers",
        world.url
    ))
    .body(Full::new(bytes::Bytes::from(body.to_vec())))
    .expect("a request");
    let answer = client.request(request).await.expect("it answers");
    let body = answer
        .into_body()
        .collect()
        .await
        .expect("whole")
        .to_bytes();
    String::from_utf8_lossy(&body).into_owned()
}

#[tokio::test]
async fn messages_of_the_old_api_that_are_none_are_refused() {
    let world = World::new().await;
    let laughs: String = (1..10)
        .map(|no| {
            format!(
                "<!ENTITY l{no} \"{}\">",
                format!("&l{};", no - 1).repeat(10)
            )
        })
        .collect();
    let laughs = format!("<!DOCTYPE x [<!ENTITY l0 \"ha\">{laughs}]><xml><desc>&l9;</desc></xml>");
    let fields: String = (0..70).map(|no| format!("<f{no}>1</f{no}>")).collect();
    for (name, body, code) in [
        ("laughs", laughs.into_bytes(), "XML_ERROR"),
        (
            "a file",
            b"<!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><xml><a>&f;</a></xml>"
                .to_vec(),
            "XML_ERROR",
        ),
        (
            "an entity",
            b"<xml><a>&lol;</a></xml>".to_vec(),
            "XML_ERROR",
        ),
        ("a half", b"<xml><a>1".to_vec(), "XML_ERROR"),
        (
            "a field twice",
            b"<xml><a>1</a><a>1</a></xml>".to_vec(),
            "XML_ERROR",
        ),
        (
            "too many",
            format!("<xml>{fields}</xml>").into_bytes(),
            "XML_ERROR",
        ),
        ("nothing", Vec::new(), "XML_ERROR"),
        ("no XML", b"{\"a\":1}".to_vec(), "XML_ERROR"),
        (
            "another charset",
            b"<xml><a>\xc0\xed</a></xml>".to_vec(),
            "PARAM_IS_NOT_UTF8",
        ),
        (
            "little",
            b"<xml><mchid>1</mchid></xml>".to_vec(),
            "PARAM_ERROR",
        ),
    ] {
        let said = old(&world, &body).await;
        assert!(said.contains(code), "{name}: {said}");
        assert!(!said.contains("root:"), "{name}");
    }
    let books = world.admin("GET", "books", &Value::Null).await;
    assert_eq!(books["payments"], json!({}));
}

#[tokio::test]
async fn characters_by_their_numbers_are_read_and_a_signature_in_lower_case_is_wrong() {
    use md5::{Digest as _, Md5};
    let world = World::new().await;
    let known = world.credentials.clone();
    let openid = world.person("alice").await;
    let fields = [
        ("amount", "100"),
        ("check_name", "NO_CHECK"),
        ("desc", "理赔"),
        ("mch_appid", known.appid.as_str()),
        ("mchid", known.mchid.as_str()),
        ("nonce_str", "n"),
        ("openid", openid.as_str()),
        ("partner_trade_no", "V1"),
        ("spbill_create_ip", "127.0.0.1"),
    ];
    let text: String = fields
        .iter()
        .map(|(name, value)| format!("{name}={value}&"))
        .collect();
    let digest = Md5::digest(format!("{text}key={}", known.v2_key).as_bytes());
    let sign: String = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    let message = |sign: &str| {
        let fields: String = fields
            .iter()
            .map(|(name, value)| {
                let value: String = value
                    .chars()
                    .map(|c| format!("&#{};", u32::from(c)))
                    .collect();
                format!("<{name} >{value}</{name}>")
            })
            .collect();
        format!("<xml>{fields}<sign><![CDATA[{sign}]]></sign></xml>").into_bytes()
    };
    let lower = old(&world, &message(&sign.to_ascii_lowercase())).await;
    assert!(lower.contains("签名错误"), "{lower}");
    let paid = old(&world, &message(&sign)).await;
    assert!(paid.contains("payment_no"), "{paid}");
}

#[tokio::test]
async fn the_hands_of_testers_are_told_what_was_wrong() {
    let world = World::new().await;
    for (method, path, body) in [
        ("POST", "clock", "{\"advance_seconds\":-1}"),
        ("POST", "clock", "{\"to\":\"yesterday\"}"),
        ("POST", "clock", "{\"to\":\"2020-01-01T00:00:00Z\"}"),
        ("POST", "faults", "{\"times\":{\"no_such_fault\":1}}"),
        ("POST", "faults", "{\"bill\":[\"burnt\"]}"),
        ("POST", "balance", "{\"balance_fen\":-1}"),
        ("POST", "balance", "{\"balance_fen\":1,\"mchid\":\"1\"}"),
        ("POST", "transfers/NOBODY/confirm", ""),
        ("POST", "notifications/77", ""),
        ("GET", "notifications/77", ""),
        ("GET", "bill?date=2020-01-01", ""),
        ("GET", "orders?limit=-1", ""),
    ] {
        let url = format!("{}/_sandbox/{path}", world.url);
        let headers = [("content-type", "application/json".to_owned())];
        let answer = call(method, &url, &headers, body)
            .await
            .expect("it answers");
        assert!(
            (400..500).contains(&answer.status),
            "{path} {body}: {}",
            answer.status
        );
        assert!(!answer.body.is_empty(), "{path} {body}");
    }
}
