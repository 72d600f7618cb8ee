//! A WeChat of one function: it signs with keys of its own and answers what it is told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lingqian_core::id::{AppId, MchId, OpenId, OutBillNo, PayoutId};
use lingqian_core::money::Fen;
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::TransferOrder;
use lingqian_core::user::Sealed;
use lingqian_io::keys::KeyFault;
use lingqian_io::twin::{ManualClock, SeededDice};
use lingqian_io::{Clock, Sealer, Signer};
use lingqian_wechat::pay::Stand;
use lingqian_wechat::settings::Rates;
use lingqian_wechat::{PaySettings, Trust, WechatPay};
use rcgen::{KeyPair, PKCS_RSA_SHA256, PublicKeyData as _, RsaKeySize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

pub(crate) const NOW: Timestamp = Timestamp(1_772_424_000_000);
pub(crate) const SERIAL: &str = "PUB_KEY_ID_0100000000000000000000000001";
pub(crate) const APIV3_KEY: &[u8; 32] = b"0123456789abcdef0123456789ABCDEF";

/// A key whose holder signs.
pub(crate) struct Key {
    pair: RsaKeyPair,
    pub(crate) public_pem: String,
}

impl Key {
    pub(crate) fn new() -> Key {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key");
        Key::of(&key)
    }

    pub(crate) fn of(key: &KeyPair) -> Key {
        let public = pem::Pem::new("PUBLIC KEY", key.subject_public_key_info());
        let pair = RsaKeyPair::from_pkcs8(key.serialized_der()).expect("RSA");
        Key {
            pair,
            public_pem: pem::encode(&public),
        }
    }

    pub(crate) fn signature(&self, message: &[u8]) -> String {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .expect("signed");
        STANDARD.encode(signature)
    }

    /// The headers that prove a body, made at a moment.
    pub(crate) fn proof(&self, serial: &str, at: Timestamp, body: &[u8]) -> Vec<(String, String)> {
        let seconds = at.0 / 1_000;
        let message = [format!("{seconds}\nN\n").as_bytes(), body, b"\n"].concat();
        vec![
            ("wechatpay-serial".into(), serial.into()),
            ("wechatpay-timestamp".into(), seconds.to_string()),
            ("wechatpay-nonce".into(), "N".into()),
            ("wechatpay-signature".into(), self.signature(&message)),
        ]
    }
}

/// The merchant's side: signs with nothing anybody checks, seals nothing.
#[derive(Clone, Debug)]
pub(crate) struct Plain;

impl Signer for Plain {
    fn serial(&self) -> &str {
        "ABCD"
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyFault> {
        Ok(message.to_vec())
    }

    async fn decrypt(&self, sealed: &[u8]) -> Result<Vec<u8>, KeyFault> {
        Ok(sealed.to_vec())
    }
}

impl Sealer for Plain {
    async fn seal(&self, _purpose: &str, plain: &[u8]) -> Result<Sealed, KeyFault> {
        Ok(Sealed(plain.to_vec()))
    }

    async fn open(&self, _purpose: &str, sealed: &Sealed) -> Result<Vec<u8>, KeyFault> {
        Ok(sealed.0.clone())
    }
}

/// A clock that can be shared.
#[derive(Clone, Debug)]
pub(crate) struct Time(pub(crate) Arc<ManualClock>);

impl Clock for Time {
    fn business(&self) -> Timestamp {
        self.0.business()
    }

    fn wire(&self) -> Timestamp {
        self.0.wire()
    }
}

/// What is answered to the next request.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// A whole answer with these headers.
    Answer(u16, Vec<(String, String)>, Vec<u8>),
    /// The connection is closed without a word.
    Nothing,
    /// Only the beginning of an answer.
    Half,
    /// No answer while anybody waits.
    Silence,
}

/// A listener that answers every request with the same, and keeps what it was sent.
pub(crate) struct Listener {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    pub(crate) async fn open(say: Say) -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let Ok((mut socket, _)) = listener.accept().await else {
                    return;
                };
                let (say, kept) = (say.clone(), Arc::clone(&kept));
                tokio::spawn(async move {
                    let mut buffer = vec![0; 16_384];
                    let length = socket.read(&mut buffer).await.unwrap_or(0);
                    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    kept.lock().expect("no panic").push(text);
                    match say {
                        Say::Nothing => {}
                        Say::Silence => tokio::time::sleep(Duration::from_secs(60)).await,
                        Say::Half => {
                            let half = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"out";
                            let _ = socket.write_all(half).await;
                        }
                        Say::Answer(status, headers, body) => {
                            let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
                            for (name, value) in headers {
                                head.push_str(&format!("{name}: {value}\r\n"));
                            }
                            head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
                            let _ = socket.write_all(head.as_bytes()).await;
                            let _ = socket.write_all(&body).await;
                        }
                    }
                });
            }
        });
        Listener { url, requests }
    }

    /// How many requests came.
    pub(crate) fn requests(&self) -> usize {
        self.requests.lock().expect("no panic").len()
    }

    pub(crate) fn last_request(&self) -> String {
        self.requests
            .lock()
            .expect("no panic")
            .last()
            .cloned()
            .unwrap_or_default()
    }
}

pub(crate) type Pay = WechatPay<Plain, Plain, Time, SeededDice>;

/// A client of that address that trusts that key.
pub(crate) fn client(url: &str, key: &Key) -> Pay {
    merchant(url, "1900000109", APIV3_KEY, (SERIAL, key))
}

/// The same for any merchant with keys of its own.
pub(crate) fn merchant(url: &str, mchid: &str, apiv3: &[u8], (serial, key): (&str, &Key)) -> Pay {
    with_backup((url, None), mchid, apiv3, (serial, key))
}

/// The same with a second way to WeChat.
pub(crate) fn with_backup(
    (url, backup): (&str, Option<&str>),
    mchid: &str,
    apiv3: &[u8],
    (serial, key): (&str, &Key),
) -> Pay {
    let trust = Trust::default();
    trust
        .add_public_key(serial, &key.public_pem)
        .expect("a key");
    let settings = PaySettings {
        base_url: url.to_owned(),
        backup_url: backup.map(str::to_owned),
        mchid: MchId::parse(mchid).expect("valid"),
        notify_url: "https://pay.example.test/hooks/wechat/transfer".into(),
        apiv3_key: apiv3.to_vec(),
        timeout: Duration::from_millis(400),
        rates: Rates::default(),
    };
    let clock = Time(Arc::new(ManualClock::new(NOW)));
    let stand = Stand {
        signer: Plain,
        sealer: Plain,
        clock,
        dice: SeededDice::new(1),
    };
    WechatPay::new(settings, Arc::new(trust), stand)
}

pub(crate) fn number() -> OutBillNo {
    OutBillNo::new(PayoutId::new(NOW, 7), 1)
}

pub(crate) fn order(name: Option<&str>) -> TransferOrder {
    TransferOrder {
        number: number(),
        mchid: MchId::parse("1900000109").expect("valid"),
        app: AppId::parse("wx1").expect("valid"),
        openid: OpenId::parse("oAlice").expect("valid"),
        amount: Fen(500),
        scene: "1000".into(),
        scene_report: vec![("活动名称".into(), "a".into())],
        remark: "奖励".into(),
        name: name.map(|name| Sealed(name.as_bytes().to_vec())),
        seat: None,
    }
}
