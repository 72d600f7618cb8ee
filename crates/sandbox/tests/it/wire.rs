//! Requests are proved in WeChat's order, answers are signed.

use std::process::Command;

use crate::client::{World, call, proves, seconds};

const PATH: &str = "/v3/certificates";

async fn refused(world: &World, authorization: Option<String>) -> (u16, String) {
    let headers: Vec<(&str, String)> = authorization
        .into_iter()
        .map(|value| ("authorization", value))
        .collect();
    let answer = call("GET", &format!("{}{PATH}", world.url), &headers, "").await;
    answer.expect("it answers").error()
}

#[tokio::test]
async fn a_request_that_is_not_the_merchants_is_refused() {
    let world = World::new().await;
    let sign_error = (401, "SIGN_ERROR".to_owned());
    let good = world.authorization("GET", PATH, "", seconds());
    assert_eq!(
        refused(&world, Some(good.clone())).await,
        (200, String::new())
    );
    assert_eq!(refused(&world, None).await, sign_error);
    let wrong = [
        good.replace("WECHATPAY2-SHA256-RSA2048", "WECHATPAY2-SM2-WITH-SM3"),
        good.replace(&world.credentials.mchid, "1900000000"),
        good.replace(&world.credentials.merchant_serial, "00"),
        good.replace("NONCE", "OTHER"),
        good.replace("signature=\"", "signature=\"A"),
        world.authorization("GET", PATH, "", seconds() - 400),
        world.authorization("GET", PATH, "", seconds() + 400),
        world.authorization("POST", PATH, "", seconds()),
        world.authorization("GET", PATH, "{}", seconds()),
    ];
    for authorization in wrong {
        assert_eq!(
            refused(&world, Some(authorization.clone())).await,
            sign_error,
            "{authorization}"
        );
    }
}

#[tokio::test]
async fn every_answer_is_signed_by_the_key_that_was_asked_for() {
    let world = World::new().await;
    let by_key = world.ask("GET", PATH, "").await.expect("answers");
    assert_eq!(
        by_key.headers["wechatpay-serial"],
        world.credentials.public_key_id
    );
    assert!(proves(&world.credentials, &by_key.headers, &by_key.body));
    let headers = [(
        "authorization",
        world.authorization("GET", PATH, "", seconds()),
    )];
    let by_cert = call("GET", &format!("{}{PATH}", world.url), &headers, "").await;
    let by_cert = by_cert.expect("answers");
    assert_eq!(
        by_cert.headers["wechatpay-serial"],
        world.credentials.platform_serial
    );
    assert!(proves(&world.credentials, &by_cert.headers, &by_cert.body));
    let error = world.ask("GET", "/v3/nothing", "").await.expect("answers");
    assert_eq!(error.error(), (404, "RESOURCE_NOT_EXISTS".into()));
    assert!(
        proves(&world.credentials, &error.headers, &error.body),
        "errors are signed, too"
    );
    assert!(!proves(
        &world.credentials,
        &error.headers,
        b"something else"
    ));
}

#[tokio::test]
async fn the_sealed_certificate_is_the_one_that_was_handed_out() {
    let world = World::new().await;
    let answer = world.ask("GET", PATH, "").await.expect("answers").json();
    let sealed = &answer["data"][0];
    assert_eq!(sealed["serial_no"], world.credentials.platform_serial);
    assert_eq!(
        sealed["encrypt_certificate"]["associated_data"],
        "certificate"
    );
    assert_eq!(world.credentials.platform_serial.len(), 40);
}

#[tokio::test]
async fn openssl_reads_the_files_and_agrees_on_the_serials() {
    let world = World::new().await;
    let out = world.dir.path().join("out");
    world.credentials.write_files(&out).expect("written");
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(&out)
            .output();
        let output = output.expect("openssl is installed");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let serial = openssl(&["x509", "-in", "apiclient_cert.pem", "-noout", "-serial"]);
    assert_eq!(
        serial.trim(),
        format!("serial={}", world.credentials.merchant_serial)
    );
    let serial = openssl(&["x509", "-in", "platform_cert.pem", "-noout", "-serial"]);
    assert_eq!(
        serial.trim(),
        format!("serial={}", world.credentials.platform_serial)
    );
    let of_key = openssl(&["pkey", "-in", "apiclient_key.pem", "-pubout"]);
    let of_cert = openssl(&["x509", "-in", "apiclient_cert.pem", "-noout", "-pubkey"]);
    assert_eq!(of_key, of_cert, "key and certificate belong together");
    openssl(&["pkey", "-pubin", "-in", "pub_key.pem", "-noout"]);
}
