//! A small merchant's client, and an address that notifications are sent to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use lingqian_sandbox::{Credentials, Sandbox, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Status and WeChat's code.
    pub(crate) fn error(&self) -> (u16, String) {
        (
            self.status,
            self.json()["code"].as_str().unwrap_or_default().to_owned(),
        )
    }
}

/// One request as it is; nothing when no whole answer came.
pub(crate) async fn call(
    method: &str,
    url: &str,
    headers: &[(&str, String)],
    body: &str,
) -> Option<Answer> {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in [("accept", "application/json"), ("user-agent", "a test")] {
        if !headers.iter().any(|(given, _)| *given == name) {
            request = request.header(name, value);
        }
    }
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request
        .body(Full::new(Bytes::from(body.to_owned())))
        .expect("a request");
    let answer = client.request(request).await.ok()?;
    let status = answer.status().as_u16();
    let text = |value: &http::HeaderValue| value.to_str().expect("text").to_owned();
    let headers = answer
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().into(), text(value)))
        .collect();
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    Some(Answer {
        status,
        headers,
        body,
    })
}

/// The machine's time in Unix seconds.
pub(crate) fn seconds() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(since.as_secs()).expect("in range")
}

/// The public key of a certificate or a public key in PEM.
pub(crate) fn spki(text: &str) -> Vec<u8> {
    let block = pem::parse(text).expect("PEM");
    if block.tag() == "PUBLIC KEY" {
        return block.into_contents();
    }
    let (_, certificate) = x509_parser::parse_x509_certificate(block.contents()).expect("X.509");
    certificate.public_key().raw.to_vec()
}

/// Whether headers prove a body with the key that they name.
pub(crate) fn proves(
    credentials: &Credentials,
    headers: &BTreeMap<String, String>,
    body: &[u8],
) -> bool {
    let header = |name: &str| headers.get(name).map_or("", String::as_str);
    let key = match header("wechatpay-serial") {
        serial if serial == credentials.public_key_id => spki(&credentials.public_key_pem),
        serial if serial == credentials.platform_serial => spki(&credentials.platform_cert_pem),
        _ => return false,
    };
    let (time, nonce) = (header("wechatpay-timestamp"), header("wechatpay-nonce"));
    let message = [format!("{time}\n{nonce}\n").as_bytes(), body, b"\n"].concat();
    let Ok(signature) = STANDARD.decode(header("wechatpay-signature")) else {
        return false;
    };
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
        .verify(&message, &signature)
        .is_ok()
}

/// `Authorization` of a merchant for a request, as of `time`.
fn authorization(
    credentials: &Credentials,
    (method, path, body): (&str, &str, &str),
    time: i64,
) -> String {
    let block = pem::parse(&credentials.merchant_key_pem).expect("PEM");
    let pair = RsaKeyPair::from_pkcs8(block.contents()).expect("a key");
    let message = format!("{method}\n{path}\n{time}\nNONCE\n{body}\n");
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message.as_bytes(),
        &mut signature,
    )
    .expect("signed");
    format!(
        "WECHATPAY2-SHA256-RSA2048 mchid=\"{}\",nonce_str=\"NONCE\",timestamp=\"{time}\",\
         serial_no=\"{}\",signature=\"{}\"",
        credentials.mchid,
        credentials.merchant_serial,
        STANDARD.encode(signature)
    )
}

/// A sandbox in a directory of its own, and its merchant.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) dir: TempDir,
    pub(crate) credentials: Credentials,
    pub(crate) url: String,
}

impl World {
    pub(crate) async fn new() -> World {
        World::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> World {
        let dir = tempfile::tempdir().expect("a directory");
        let mut settings = Settings {
            data: dir.path().to_owned(),
            ..Settings::default()
        };
        change(&mut settings);
        World::open(dir, settings).await
    }

    pub(crate) async fn open(dir: TempDir, settings: Settings) -> World {
        let sandbox = Sandbox::start(settings).await.expect("it starts");
        let (credentials, url) = (sandbox.credentials().clone(), sandbox.url());
        World {
            sandbox,
            dir,
            credentials,
            url,
        }
    }

    /// `Authorization` for a request, as of `time`.
    pub(crate) fn authorization(&self, method: &str, path: &str, body: &str, time: i64) -> String {
        authorization(&self.credentials, (method, path, body), time)
    }

    /// A signed request; the answer is to be signed by the public key.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> Option<Answer> {
        self.ask_as(&self.credentials, (method, path), body).await
    }

    /// The same as another merchant.
    pub(crate) async fn ask_as(
        &self,
        merchant: &Credentials,
        (method, path): (&str, &str),
        body: &str,
    ) -> Option<Answer> {
        let headers = [
            (
                "authorization",
                authorization(merchant, (method, path, body), seconds()),
            ),
            ("wechatpay-serial", merchant.public_key_id.clone()),
            ("content-type", "application/json".into()),
        ];
        call(method, &format!("{}{path}", self.url), &headers, body).await
    }

    pub(crate) async fn admin(&self, method: &str, path: &str, body: &Value) -> Value {
        let url = format!("{}/_sandbox/{path}", self.url);
        let headers = [("content-type", "application/json".to_owned())];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = call(method, &url, &headers, &body)
            .await
            .expect("it answers");
        assert_eq!(answer.status, 200, "{path}: {:?}", answer.json());
        answer.json()
    }

    /// A person's openid.
    pub(crate) async fn person(&self, name: &str) -> String {
        let person = self.admin("POST", "users", &json!({ "name": name })).await;
        person["openid"].as_str().expect("an openid").to_owned()
    }

    /// The body of a transfer to alice.
    pub(crate) async fn transfer(&self, number: &str, fen: i64) -> Value {
        json!({
            "appid": self.credentials.appid,
            "out_bill_no": number,
            "transfer_scene_id": "1000",
            "openid": self.person("alice").await,
            "transfer_amount": fen,
            "transfer_remark": "奖励",
            "transfer_scene_report_infos": [
                { "info_type": "活动名称", "info_content": "a" },
                { "info_type": "奖励说明", "info_content": "b" },
            ],
        })
    }

    pub(crate) async fn create(&self, body: &Value) -> Option<Answer> {
        self.ask(
            "POST",
            "/v3/fund-app/mch-transfer/transfer-bills",
            &body.to_string(),
        )
        .await
    }

    pub(crate) async fn query(&self, number: &str) -> Answer {
        let path = format!("/v3/fund-app/mch-transfer/transfer-bills/out-bill-no/{number}");
        self.ask("GET", &path, "").await.expect("it answers")
    }

    pub(crate) async fn state(&self, number: &str) -> String {
        self.query(number).await.json()["state"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Opens a sealed resource.
    pub(crate) fn opened(&self, resource: &Value) -> Value {
        let text = |name: &str| resource[name].as_str().expect("text");
        let key = UnboundKey::new(&AES_256_GCM, self.credentials.apiv3_key.as_bytes());
        let mut bytes = STANDARD.decode(text("ciphertext")).expect("base64");
        let nonce = Nonce::try_assume_unique_for_key(text("nonce").as_bytes()).expect("twelve");
        let opened = LessSafeKey::new(key.expect("32 bytes"))
            .open_in_place(
                nonce,
                Aad::from(text("associated_data").as_bytes()),
                &mut bytes,
            )
            .expect("it opens");
        serde_json::from_slice(opened).expect("JSON")
    }
}

type Received = Arc<Mutex<Vec<(BTreeMap<String, String>, Bytes)>>>;

/// A merchant's address; answers the first so many notifications with 500.
pub(crate) struct Address {
    pub(crate) url: String,
    received: Received,
}

impl Address {
    pub(crate) async fn open(failures: usize) -> Address {
        let received = Received::default();
        let kept = Arc::clone(&received);
        let receive = move |headers: HeaderMap, body: Bytes| async move {
            let text = |value: &axum::http::HeaderValue| value.to_str().unwrap_or("").to_owned();
            let headers = headers
                .iter()
                .map(|(name, value)| (name.as_str().into(), text(value)))
                .collect();
            let mut kept = kept.lock().expect("no panic");
            kept.push((headers, body));
            if kept.len() <= failures {
                StatusCode::INTERNAL_SERVER_ERROR
            } else {
                StatusCode::NO_CONTENT
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let router = Router::new().route("/hook", post(receive));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Address { url, received }
    }

    /// What came, once that many are there.
    pub(crate) async fn received(&self, count: usize) -> Vec<(BTreeMap<String, String>, Bytes)> {
        for _ in 0..100 {
            let received = self.received.lock().expect("no panic").clone();
            if received.len() >= count {
                return received;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{count} notifications did not come within five seconds");
    }

    pub(crate) fn count(&self) -> usize {
        self.received.lock().expect("no panic").len()
    }
}
