//! The client against the sandbox, over sockets: neither side knows the other's code.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use lingqian_core::id::{AppId, MchId, OpenId, OutBillNo, PayoutId};
use lingqian_core::money::Fen;
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::{TransferOrder, TransferReport};
use lingqian_core::user::Sealed;
use lingqian_io::keys::KeyFault;
use lingqian_io::rail::Notification;
use lingqian_io::twin::SeededDice;
use lingqian_io::{Clock, Rail as _, Sealer, Signer};
use lingqian_sandbox::{Credentials, Sandbox, Settings};
use lingqian_wechat::bill::BillDesk;
use lingqian_wechat::pay::Stand;
use lingqian_wechat::settings::{RailKind, Rates};
use lingqian_wechat::socket::Identity;
use lingqian_wechat::v2::door::{Door, DoorSettings};
use lingqian_wechat::v2::sign::Method;
use lingqian_wechat::{PaySettings, Rails, Trust, WechatPay};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::{Listener, Say};

/// The holder of the merchant's key; seals nothing.
#[derive(Clone)]
pub(crate) struct Holder {
    serial: String,
    pair: Arc<RsaKeyPair>,
}

impl Signer for Holder {
    fn serial(&self) -> &str {
        &self.serial
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyFault> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .expect("signed");
        Ok(signature)
    }

    async fn decrypt(&self, sealed: &[u8]) -> Result<Vec<u8>, KeyFault> {
        Ok(sealed.to_vec())
    }
}

impl Sealer for Holder {
    async fn seal(&self, _purpose: &str, plain: &[u8]) -> Result<Sealed, KeyFault> {
        Ok(Sealed(plain.to_vec()))
    }

    async fn open(&self, _purpose: &str, sealed: &Sealed) -> Result<Vec<u8>, KeyFault> {
        Ok(sealed.0.clone())
    }
}

/// The machine's clock.
#[derive(Clone, Debug)]
pub(crate) struct Machine;

impl Clock for Machine {
    fn business(&self) -> Timestamp {
        self.wire()
    }

    fn wire(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let ms = since.expect("after 1970").as_millis();
        Timestamp(i64::try_from(ms).expect("in range"))
    }
}

pub(crate) type Merchant = Rails<Holder, Holder, Machine, SeededDice>;

/// A sandbox with its merchant.
pub(crate) struct Real {
    pub(crate) sandbox: Sandbox,
    pub(crate) dir: TempDir,
    pub(crate) credentials: Credentials,
    /// Where notifications go.
    pub(crate) hook: String,
    orders: Mutex<BTreeMap<u128, TransferOrder>>,
}

impl Real {
    pub(crate) async fn new() -> Real {
        Real::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Real {
        let dir = tempfile::tempdir().expect("a directory");
        Real::open(dir, change).await
    }

    pub(crate) async fn open(dir: TempDir, change: impl FnOnce(&mut Settings)) -> Real {
        let mut settings = Settings {
            tls: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            data: dir.path().to_owned(),
            ..Settings::default()
        };
        change(&mut settings);
        let sandbox = Sandbox::start(settings).await.expect("it starts");
        let credentials = sandbox.credentials().clone();
        Real {
            sandbox,
            dir,
            credentials,
            hook: "http://127.0.0.1:9/hook".into(),
            orders: Mutex::default(),
        }
    }

    /// Another address for notifications, and everybody who comes there.
    pub(crate) async fn hooked(mut self) -> (Real, Listener) {
        let listener = Listener::open(Say::Answer(204, Vec::new(), Vec::new())).await;
        self.hook = format!("{}/hook", listener.url);
        (self, listener)
    }

    fn mchid(&self) -> MchId {
        MchId::parse(&self.credentials.mchid).expect("valid")
    }

    pub(crate) fn app(&self) -> AppId {
        AppId::parse(&self.credentials.appid).expect("valid")
    }

    /// The merchant's certificate, and the authority of the sandbox's.
    pub(crate) fn identity(&self) -> Identity {
        let (_, authority) = self.sandbox.tls().expect("it was asked for");
        Identity {
            certificate: self.credentials.merchant_cert_pem.clone(),
            key: self.credentials.merchant_key_pem.clone(),
            roots: Some(authority.to_owned()),
        }
    }

    pub(crate) fn door_settings(&self, identity: Option<Identity>) -> DoorSettings {
        let (url, _) = self.sandbox.tls().expect("it was asked for");
        DoorSettings {
            base_url: url,
            mchid: self.mchid(),
            key: self.credentials.v2_key.clone(),
            method: Method::Md5,
            app: self.credentials.appid.clone(),
            ip: "192.0.2.7".into(),
            sender: "零钱".into(),
            timeout: Duration::from_secs(5),
            rate: 100,
            identity,
        }
    }

    /// A client over TLS with the merchant's certificate.
    pub(crate) fn merchant(&self, kinds: &[RailKind]) -> Merchant {
        let door = Door::open(self.door_settings(Some(self.identity()))).expect("it opens");
        self.merchant_through(door, kinds)
    }

    pub(crate) fn merchant_through(&self, door: Door, kinds: &[RailKind]) -> Merchant {
        self.merchant_with(Some(door), kinds, BillDesk::default())
    }

    pub(crate) fn merchant_with(
        &self,
        door: Option<Door>,
        kinds: &[RailKind],
        bills: BillDesk,
    ) -> Merchant {
        let credentials = &self.credentials;
        let trust = Trust::default();
        trust
            .add_public_key(&credentials.public_key_id, &credentials.public_key_pem)
            .expect("a key");
        let settings = PaySettings {
            base_url: self.sandbox.url(),
            backup_url: None,
            mchid: self.mchid(),
            notify_url: self.hook.clone(),
            apiv3_key: credentials.apiv3_key.clone().into_bytes(),
            timeout: Duration::from_secs(5),
            rates: Rates::default(),
        };
        let block = pem::parse(&credentials.merchant_key_pem).expect("PEM");
        let pair = RsaKeyPair::from_pkcs8(block.contents()).expect("a key");
        let holder = Holder {
            serial: credentials.merchant_serial.clone(),
            pair: Arc::new(pair),
        };
        let stand = Stand {
            signer: holder.clone(),
            sealer: holder,
            clock: Machine,
            dice: SeededDice::new(7),
        };
        let pay = WechatPay::new(settings, Arc::new(trust), stand).with_bills(bills);
        let rails = Rails::new(pay).on(kinds.to_vec());
        match door {
            Some(door) => rails.through(door),
            None => rails,
        }
    }

    /// Uses the sandbox's hands.
    pub(crate) async fn hands(&self, path: &str, body: &Value) -> Value {
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let method = if body.is_null() { "GET" } else { "POST" };
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/_sandbox/{path}", self.sandbox.url()))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .expect("a request");
        let answer = client.request(request).await.expect("it answers");
        let status = answer.status();
        let bytes = answer
            .into_body()
            .collect()
            .await
            .expect("whole")
            .to_bytes();
        let text = String::from_utf8_lossy(&bytes);
        assert!(status.is_success(), "{path}: {text}");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    /// The answer over TLS to somebody who shows no certificate.
    pub(crate) async fn bare(&self, path: &str, body: &[u8]) -> (u16, String) {
        let (url, authority) = self.sandbox.tls().expect("it was asked for");
        let mut roots = rustls::RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(authority.as_bytes()).expect("PEM");
        roots.add(authority).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only()
            .enable_http1()
            .build();
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
        let request = Request::post(format!("{url}{path}"))
            .body(Full::new(Bytes::copy_from_slice(body)))
            .expect("a request");
        let answer = client.request(request).await.expect("it answers");
        let status = answer.status().as_u16();
        let bytes = answer
            .into_body()
            .collect()
            .await
            .expect("whole")
            .to_bytes();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What goes wrong the next time.
    pub(crate) async fn once(&self, fault: &str) {
        let faults = json!({ "times": { fault: 1 } });
        self.hands("faults", &faults).await;
    }

    pub(crate) async fn later(&self, seconds: u64) {
        self.sandbox.advance(Duration::from_secs(seconds)).await;
    }

    /// What an openid was paid, by the sandbox's books.
    pub(crate) async fn paid_fen(&self) -> i64 {
        let books = self.hands("books", &Value::Null).await;
        books["paid_fen"].as_i64().expect("a sum")
    }

    /// An order of a rail to a person, the real name with it where there is one.
    pub(crate) async fn order(
        &self,
        no: u128,
        kind: RailKind,
        fen: i64,
        person: &Value,
    ) -> TransferOrder {
        let shown = self.hands("users", person).await;
        let order = TransferOrder {
            number: number(no),
            mchid: self.mchid(),
            app: self.app(),
            openid: OpenId::parse(shown["openid"].as_str().expect("text")).expect("valid"),
            amount: Fen(fen),
            scene: kind.scene("1000"),
            scene_report: vec![
                ("活动名称".into(), "a".into()),
                ("奖励说明".into(), "b".into()),
            ],
            remark: "奖励 & <谢谢>".into(),
            name: None,
            seat: None,
        };
        self.orders
            .lock()
            .expect("no panic")
            .insert(no, order.clone());
        order
    }

    /// Asks about the order of that number, or about one that was never made.
    pub(crate) async fn ask(&self, merchant: &Merchant, no: u128) -> TransferReport {
        let known = self.orders.lock().expect("no panic").get(&no).cloned();
        let order = known.unwrap_or_else(|| TransferOrder {
            number: number(no),
            mchid: self.mchid(),
            app: self.app(),
            scene: merchant.new_orders().scene("1000"),
            ..crate::world::order(None)
        });
        merchant.ask(&order).await
    }
}

pub(crate) fn number(no: u128) -> OutBillNo {
    OutBillNo::new(PayoutId::new(Timestamp(1_772_424_000_000), no), 1)
}

/// The next notification that came to a listener.
pub(crate) async fn notification(listener: &Listener) -> Notification {
    for _ in 0..200 {
        let text = listener.last_request();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = |line: &str| {
                let (name, value) = line.split_once(": ")?;
                Some((name.to_lowercase(), value.to_owned()))
            };
            return Notification {
                headers: head.lines().skip(1).filter_map(header).collect(),
                body: body.as_bytes().to_vec(),
            };
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no notification came within ten seconds");
}

/// Somebody without a name.
pub(crate) fn alice() -> Value {
    json!({ "name": "alice" })
}

/// Today in Beijing.
pub(crate) fn today() -> lingqian_core::time::BusinessDate {
    Machine.business().business_date()
}
