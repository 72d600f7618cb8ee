//! Certificates that change, expire or are somebody else's; keys that are away or refused.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lingqian_core::id::MchId;
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::{Cure, Finding};
use lingqian_io::keys::KeyFault;
use lingqian_io::twin::{ManualClock, SeededDice};
use lingqian_io::{Rail as _, Signer};
use lingqian_wechat::certificates::{LOOK_EVERY_MS, Looked};
use lingqian_wechat::pay::Stand;
use lingqian_wechat::settings::Rates;
use lingqian_wechat::turnover::SET_ASIDE_MS;
use lingqian_wechat::{PaySettings, Trust, WechatPay};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256, RsaKeySize, SerialNumber};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::world::{APIV3_KEY, Key, NOW, Plain, SERIAL, Time, order};

/// A key with a certificate; the last byte of its serial number tells it apart.
struct Certified {
    key: Key,
    serial: String,
    pem: String,
}

fn certified(subject: &str, last: u8, (from, until): (i32, i32)) -> Certified {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, subject);
    let mut number = [0x11; 20];
    number[19] = last;
    params.serial_number = Some(SerialNumber::from_slice(&number));
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let certificate = params.self_signed(&key).expect("signed");
    let serial = number.iter().map(|byte| format!("{byte:02X}")).collect();
    Certified {
        key: Key::of(&key),
        serial,
        pem: certificate.pem(),
    }
}

fn wechats(last: u8) -> Certified {
    certified("Tenpay.com sign", last, (2025, 2030))
}

/// The list of some certificates, sealed with an APIv3 key.
fn list(apiv3_key: &[u8], certificates: &[&Certified]) -> Vec<u8> {
    let item = |one: &&Certified| {
        let mut bytes = one.pem.clone().into_bytes();
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, apiv3_key).expect("32 bytes"))
            .seal_in_place_append_tag(
                Nonce::try_assume_unique_for_key(b"fdasflkja484").expect("twelve"),
                Aad::from(b"certificate"),
                &mut bytes,
            )
            .expect("sealed");
        json!({ "serial_no": one.serial, "encrypt_certificate": {
            "algorithm": "AEAD_AES_256_GCM", "associated_data": "certificate",
            "nonce": "fdasflkja484", "ciphertext": STANDARD.encode(bytes),
        }})
    };
    let data: Vec<Value> = certificates.iter().map(item).collect();
    json!({ "data": data }).to_string().into_bytes()
}

type Answer = (u16, Vec<(String, String)>, Vec<u8>);

/// A listener that answers by what it was asked; answers its address.
async fn listen(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut buffer = vec![0; 16_384];
                let length = socket.read(&mut buffer).await.unwrap_or(0);
                let (status, headers, body) = answer(&String::from_utf8_lossy(&buffer[..length]));
                let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
                let _ = socket.write_all(head.as_bytes()).await;
                let _ = socket.write_all(&body).await;
            });
        }
    });
    url
}

/// A merchant's key that does what it is told.
#[derive(Clone, Debug)]
struct Hand(&'static str, Option<KeyFault>);

impl Signer for Hand {
    fn serial(&self) -> &str {
        self.0
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyFault> {
        self.1.clone().map_or(Ok(message.to_vec()), Err)
    }

    async fn decrypt(&self, sealed: &[u8]) -> Result<Vec<u8>, KeyFault> {
        Ok(sealed.to_vec())
    }
}

type Pay = WechatPay<Hand, Plain, Time, SeededDice>;

fn client(url: &str, trust: Trust, hand: Hand) -> (Pay, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(NOW));
    let settings = PaySettings {
        base_url: url.to_owned(),
        backup_url: None,
        mchid: MchId::parse("1900000109").expect("valid"),
        notify_url: "https://pay.example.test/hooks/wechat/transfer".into(),
        apiv3_key: APIV3_KEY.to_vec(),
        timeout: Duration::from_secs(2),
        rates: Rates::default(),
    };
    let stand = Stand {
        signer: hand,
        sealer: Plain,
        clock: Time(Arc::clone(&clock)),
        dice: SeededDice::new(1),
    };
    (WechatPay::new(settings, Arc::new(trust), stand), clock)
}

fn hand() -> Hand {
    Hand("OLD", None)
}

fn holding(certificates: &[&Certified]) -> Trust {
    let trust = Trust::default();
    for one in certificates {
        trust.add_certificate(&one.pem).expect("a certificate");
    }
    trust
}

/// A WeChat that signs everything with one certificate and whose list is this; and how often the
/// list was asked for.
async fn wechat(signs: Certified, status: u16, body: Vec<u8>) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let url = listen(move |request| {
        let answer = if request.starts_with("GET /v3/certificates ") {
            count.fetch_add(1, Ordering::Relaxed);
            (status, body.clone())
        } else {
            (400, b"{\"code\":\"PARAM_ERROR\",\"message\":\"\"}".to_vec())
        };
        let proof = signs.key.proof(&signs.serial, NOW, &answer.1);
        (answer.0, proof, answer.1)
    })
    .await;
    (url, asked)
}

async fn create(pay: &Pay) -> Finding {
    pay.send(&order(None)).await.finding
}

/// What a refusal is for good only if its signature was proved.
fn cure(finding: &Finding) -> Cure {
    match finding {
        Finding::Refused { cure, .. } => *cure,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_new_certificate_in_the_middle_of_a_run_is_fetched_once_and_believed() {
    let (old, new) = (wechats(1), wechats(2));
    let body = list(APIV3_KEY, &[&old, &new]);
    let trust = holding(&[&old]);
    let (url, asked) = wechat(new, 200, body).await;
    let (pay, _) = client(&url, trust, hand());
    assert_eq!(pay.keep_certificates().await, Ok(Looked::Came(1)));
    assert_eq!(pay.keep_certificates().await, Ok(Looked::TooSoon));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let (old, new) = (wechats(3), wechats(4));
    let serial = new.serial.clone();
    let body = list(APIV3_KEY, &[&old, &new]);
    let error = b"{\"code\":\"PARAM_ERROR\",\"message\":\"x\"}";
    let trust = holding(&[&old]);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let url = listen(move |request| {
        let (status, body) = if request.starts_with("GET /v3/certificates ") {
            count.fetch_add(1, Ordering::Relaxed);
            (200, body.clone())
        } else {
            (400, error.to_vec())
        };
        (status, new.key.proof(&serial, NOW, &body), body)
    })
    .await;
    let (pay, _) = client(&url, trust, hand());
    for _ in 0..2 {
        // Only a signed refusal is for good, so this shows that the signature was proved.
        let finding = create(&pay).await;
        assert!(
            matches!(
                &finding,
                Finding::Refused {
                    cure: Cure::Never,
                    ..
                }
            ),
            "{finding:?}"
        );
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn answers_under_a_key_that_nobody_lists_are_unknown_and_make_no_storm() {
    let (held, stranger) = (wechats(1), wechats(9));
    let body = list(APIV3_KEY, &[&held]);
    let trust = holding(&[&held]);
    let success = br#"{"out_bill_no":"x","transfer_bill_no":"1","state":"SUCCESS"}"#;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let url = listen(move |request| {
        if request.starts_with("GET /v3/certificates ") {
            count.fetch_add(1, Ordering::Relaxed);
            return (200, held.key.proof(&held.serial, NOW, &body), body.clone());
        }
        (
            200,
            stranger.key.proof(&stranger.serial, NOW, success),
            success.to_vec(),
        )
    })
    .await;
    let (pay, clock) = client(&url, trust, hand());
    let pay = Arc::new(pay);
    let mut tasks = Vec::new();
    for _ in 0..20 {
        let pay = Arc::clone(&pay);
        tasks.push(tokio::spawn(async move { create(&pay).await }));
    }
    for task in tasks {
        let finding = task.await.expect("no panic");
        assert_eq!(
            finding,
            Finding::Unknown {
                code: "signing_key_unknown".into()
            }
        );
    }
    assert_eq!(
        asked.load(Ordering::Relaxed),
        1,
        "one look for twenty answers"
    );
    clock.advance_ms(LOOK_EVERY_MS - 1);
    create(&pay).await;
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_expired_certificate_proves_nothing_and_the_list_proves_itself() {
    let expired = certified("Tenpay.com sign", 1, (2020, 2026));
    let body = list(APIV3_KEY, &[&expired]);
    let trust = holding(&[&expired]);
    let (url, asked) = wechat(expired, 200, body).await;
    let (pay, _) = client(&url, trust, hand());
    assert_eq!(cure(&create(&pay).await), Cure::Person, "not proved");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let (expired, fresh) = (certified("Tenpay.com sign", 1, (2020, 2026)), wechats(2));
    let body = list(APIV3_KEY, &[&fresh]);
    let trust = holding(&[&expired]);
    let (url, _) = wechat(fresh, 200, body).await;
    let (pay, _) = client(&url, trust, hand());
    assert_eq!(pay.keep_certificates().await, Ok(Looked::Came(1)));
    assert_eq!(cure(&create(&pay).await), Cure::Never, "proved");
}

#[tokio::test]
async fn certificates_of_another_platform_are_not_taken() {
    let cases = [
        (
            certified("Another sign", 5, (2025, 2030)),
            APIV3_KEY,
            "another platform's",
        ),
        (
            wechats(5),
            b"ffffffffffffffffffffffffffffffff",
            "another APIv3 key",
        ),
    ];
    for (theirs, apiv3_key, words) in cases {
        let held = wechats(1);
        let body = list(apiv3_key, &[&theirs]);
        let trust = holding(&[&held]);
        let (url, _) = wechat(theirs, 200, body).await;
        let (pay, _) = client(&url, trust, hand());
        let fault = pay.keep_certificates().await.expect_err(words).to_string();
        assert!(fault.contains(words), "{fault}");
        assert_eq!(cure(&create(&pay).await), Cure::Person, "not proved");
    }
    // A list that is sealed rightly and signed by nobody whose key is in it or held.
    let (held, listed, stranger) = (wechats(1), wechats(2), wechats(3));
    let body = list(APIV3_KEY, &[&listed]);
    let trust = holding(&[&held]);
    let (url, _) = wechat(stranger, 200, body).await;
    let (pay, _) = client(&url, trust, hand());
    let fault = pay
        .keep_certificates()
        .await
        .expect_err("forged")
        .to_string();
    assert!(fault.contains("is not WeChat's"), "{fault}");
}

#[tokio::test]
async fn a_merchant_of_the_public_key_has_no_list_and_needs_none() {
    let key = Key::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let trust = Trust::default();
    trust
        .add_public_key(SERIAL, &key.public_pem)
        .expect("a key");
    let other = "PUB_KEY_ID_0200000000000000000000000002";
    let signs_as = Arc::new(Mutex::new(SERIAL));
    let name = Arc::clone(&signs_as);
    let url = listen(move |request| {
        let body = b"{\"code\":\"RESOURCE_NOT_EXISTS\",\"message\":\"\"}".to_vec();
        if request.starts_with("GET /v3/certificates ") {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let serial = *name.lock().expect("no panic");
        (404, key.proof(serial, NOW, &body), body)
    })
    .await;
    let (pay, _) = client(&url, trust, hand());
    assert_eq!(pay.keep_certificates().await, Ok(Looked::None));
    assert_eq!(pay.ask(&order(None)).await.finding, Finding::NotFound);
    *signs_as.lock().expect("no panic") = other;
    let before = asked.load(Ordering::Relaxed);
    create(&pay).await;
    assert_eq!(
        asked.load(Ordering::Relaxed),
        before,
        "public keys are on no list"
    );
}

/// While a merchant moves from certificates to the public key, WeChat signs by either, at random.
#[tokio::test]
async fn during_the_migration_both_are_believed_and_the_public_key_is_asked_for() {
    let (certificate, public) = (wechats(1), Key::new());
    let trust = holding(&[&certificate]);
    trust
        .add_public_key(SERIAL, &public.public_pem)
        .expect("a key");
    let turn = Arc::new(AtomicUsize::new(0));
    let requests = Arc::new(Mutex::new(Vec::new()));
    let (count, kept, serial) = (
        Arc::clone(&turn),
        Arc::clone(&requests),
        certificate.serial.clone(),
    );
    let url = listen(move |request| {
        kept.lock().expect("no panic").push(request.to_lowercase());
        let body = b"{\"code\":\"PARAM_ERROR\",\"message\":\"\"}".to_vec();
        let proof = match count.fetch_add(1, Ordering::Relaxed) {
            0 => certificate.key.proof(&serial, NOW, &body),
            1 => public.proof(SERIAL, NOW, &body),
            // The key of one under the number of the other is neither.
            _ => public.proof(&serial, NOW, &body),
        };
        (400, proof, body)
    })
    .await;
    let (pay, _) = client(&url, trust, hand());
    for _ in 0..2 {
        assert_eq!(cure(&create(&pay).await), Cure::Never, "it was proved");
    }
    assert_eq!(cure(&create(&pay).await), Cure::Person, "it was not");
    let wanted = format!("wechatpay-serial: {}", SERIAL.to_lowercase());
    let requests = requests.lock().expect("no panic");
    assert!(
        requests.len() >= 3 && requests.iter().all(|text| text.contains(&wanted)),
        "{requests:?}"
    );
}

#[tokio::test]
async fn after_a_failure_the_next_look_waits_longer_each_time() {
    let held = wechats(1);
    let trust = holding(&[&held]);
    let (url, asked) = wechat(held, 500, b"{}".to_vec()).await;
    let (pay, clock) = client(&url, trust, hand());
    for (wait_ms, asks) in [(0, 1), (14_999, 1), (1, 2), (29_999, 2), (1, 3)] {
        clock.advance_ms(wait_ms);
        let _ = pay.keep_certificates().await;
        assert_eq!(asked.load(Ordering::Relaxed), asks, "after {wait_ms}");
    }
}

#[tokio::test]
async fn a_key_that_is_refused_makes_way_for_the_other_under_the_same_number() {
    let seen: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let url = listen(move |request| {
        let part = |begin: &str, end: &str| {
            let rest = request.split(begin).nth(1).unwrap_or_default();
            rest.split(end).next().unwrap_or_default().to_owned()
        };
        let serial = part("serial_no=\"", "\"");
        let body = part("\r\n\r\n", "\0");
        kept.lock().expect("no panic").push((serial.clone(), body));
        if serial == "NEW" || request.contains("CLOCK") {
            return (401, Vec::new(), b"{\"code\":\"SIGN_ERROR\"}".to_vec());
        }
        (403, Vec::new(), b"{\"code\":\"NOT_ENOUGH\"}".to_vec())
    })
    .await;
    let (pay, clock) = client(&url, Trust::default(), hand());
    let pay = pay.followed_by(Hand("NEW", None), NOW.after_ms(1_000));
    let serials = || {
        let mut seen = seen.lock().expect("no panic");
        let calls = std::mem::take(&mut *seen);
        assert!(
            calls.windows(2).all(|two| two[0].1 == two[1].1),
            "the same order"
        );
        calls.into_iter().map(|call| call.0).collect::<Vec<_>>()
    };
    create(&pay).await;
    assert_eq!(
        serials(),
        ["OLD"],
        "before its moment the new key is not used"
    );
    clock.advance_ms(1_000);
    let finding = create(&pay).await;
    assert!(
        matches!(
            finding,
            Finding::Refused {
                cure: Cure::Float,
                ..
            }
        ),
        "{finding:?}"
    );
    assert_eq!(serials(), ["NEW", "OLD"]);
    create(&pay).await;
    assert_eq!(serials(), ["OLD"], "the refused key is set aside");
    clock.advance_ms(SET_ASIDE_MS);
    create(&pay).await;
    assert_eq!(serials(), ["NEW", "OLD"], "and tried again");
}

#[tokio::test]
async fn when_both_keys_are_refused_it_is_not_the_keys_and_the_payout_waits() {
    let url = listen(|_| (401, Vec::new(), b"{\"code\":\"SIGN_ERROR\"}".to_vec())).await;
    let (pay, _) = client(&url, Trust::default(), hand());
    let pay = pay.followed_by(Hand("NEW", None), Timestamp(0));
    for _ in 0..2 {
        let finding = create(&pay).await;
        assert!(
            matches!(
                finding,
                Finding::Refused {
                    cure: Cure::Person,
                    ..
                }
            ),
            "{finding:?}"
        );
    }
}

#[tokio::test]
async fn what_a_key_that_is_away_cannot_sign_waits_and_nothing_goes_out() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let url = listen(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        (200, Vec::new(), Vec::new())
    })
    .await;
    for (fault, code, cure) in [
        (KeyFault::Away("x".into()), "key_away", Cure::Later),
        (KeyFault::Broken("x".into()), "key_broken", Cure::Person),
        (KeyFault::Unknown("x".into()), "key_broken", Cure::Person),
    ] {
        let (pay, _) = client(&url, Trust::default(), Hand("OLD", Some(fault)));
        let code = code.to_owned();
        let expected = Finding::Refused {
            code: code.clone(),
            cure,
        };
        assert_eq!(create(&pay).await, expected);
        assert_eq!(
            pay.ask(&order(None)).await.finding,
            Finding::Unknown { code }
        );
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}
