#![doc = include_str!("../README.md")]

use std::sync::LazyLock;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lingqian_core::time::Timestamp;
use lingqian_http::wire::event::parse_event;
use lingqian_http::wire::lines::Lines;
use lingqian_io::rail::Opened;
use lingqian_wechat::bill::{BillReader, Unpacked};
use lingqian_wechat::cipher::{self, Resource};
use lingqian_wechat::v2::xml;
use lingqian_wechat::{Trust, notify};
use serde_json::{Value, json};

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 9] = [
    ("wechat_xml", wechat_xml),
    ("wechat_bill", wechat_bill),
    ("wechat_notification", wechat_notification),
    ("wechat_resource", wechat_resource),
    ("wechat_signature", wechat_signature),
    ("http_event", http_event),
    ("http_lines", http_lines),
    ("sandbox_xml", sandbox_xml),
    ("sandbox_request", sandbox_request),
];

const KEY: &[u8; 32] = b"0123456789abcdef0123456789ABCDEF";
const NONCE: &[u8; 12] = b"fdasflkja484";
const SERIAL: &str = "PUB_KEY_ID_0100000000000000000000000001";
const NOW: Timestamp = Timestamp(1_772_424_000_000);

/// A message of the old API: what reads is within the limits, and no field is lost once it was
/// written anew.
pub fn wechat_xml(data: &[u8]) {
    let Ok(fields) = xml::read(data) else {
        return;
    };
    assert!(data.len() <= xml::MESSAGE_MAX && fields.len() <= xml::FIELDS_MAX);
    assert!(fields.values().all(|value| value.len() <= xml::VALUE_MAX));
    let told: Vec<(&str, String)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    if let Ok(again) = xml::read(&xml::write(&told)) {
        assert_eq!(again.len(), fields.len(), "no field is lost or made up");
    }
}

/// A bill, packed or not: what reads to its end adds up to its own totals.
pub fn wechat_bill(data: &[u8]) {
    use lingqian_core::reconcile::Direction;
    let unpacked = Unpacked::of(data);
    let Ok(mut bill) = unpacked.and_then(BillReader::open) else {
        return;
    };
    let (mut out, mut came_in, mut count) = (0, 0, 0_u64);
    while let Ok(row) = bill.next_row() {
        let Some(row) = row else {
            let sums = bill.sums();
            assert_eq!(
                (sums.out.0, sums.came_in.0, sums.count),
                (out, came_in, count)
            );
            return;
        };
        assert!(row.amount.0 > 0);
        let sum = match row.direction {
            Direction::Out => &mut out,
            Direction::In => &mut came_in,
        };
        *sum += row.amount.0;
        count += 1;
    }
}

/// An envelope whose signature was proved: without the seal nothing in it is a report.
pub fn wechat_notification(data: &[u8]) {
    if let Ok(Opened::Transfer(_)) = notify::read(KEY, data) {
        panic!("nobody has the key, and yet it opened");
    }
}

/// What is inside an envelope that opens: whatever it says, evidence shows no openid.
pub fn wechat_resource(data: &[u8]) {
    let key = UnboundKey::new(&AES_256_GCM, KEY).expect("32 bytes");
    let mut sealed = data.to_vec();
    LessSafeKey::new(key)
        .seal_in_place_append_tag(
            Nonce::try_assume_unique_for_key(NONCE).expect("twelve bytes"),
            Aad::from(b"mch_payment"),
            &mut sealed,
        )
        .expect("small messages are sealed");
    let resource = json!({
        "algorithm": "AEAD_AES_256_GCM",
        "associated_data": "mch_payment",
        "nonce": std::str::from_utf8(NONCE).expect("letters"),
        "ciphertext": STANDARD.encode(sealed),
    });
    let opened = serde_json::from_value::<Resource>(resource.clone()).expect("complete");
    assert_eq!(cipher::open(KEY, &opened).as_deref(), Ok(data));
    for event in [
        "MCHTRANSFER.BILL.FINISHED",
        "MCHTRANSFER.BATCH.FINISHED",
        "MCHTRANSFER.BATCH.CLOSED",
        "MCHTRANSFER.AUTHORIZATION.CLOSED",
    ] {
        let envelope = json!({ "id": "EV-1", "event_type": event, "resource": resource });
        if let Ok(Opened::Transfer(report)) = notify::read(KEY, envelope.to_string().as_bytes()) {
            let shown = &report.evidence.body;
            let value = serde_json::from_str(shown).unwrap_or_default();
            assert!(nobody_is_named(&value), "{shown}");
        }
    }
}

/// Whether no field that identifies a person shows what it held.
fn nobody_is_named(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().all(|(name, value)| match name.as_str() {
            "openid" | "user_name" => value.as_str().is_some_and(|text| text.len() < 10),
            _ => nobody_is_named(value),
        }),
        Value::Array(items) => items.iter().all(nobody_is_named),
        _ => true,
    }
}

/// Headers, one a line, a blank line, and a body: nothing is WeChat's that it did not sign.
pub fn wechat_signature(data: &[u8]) {
    static TRUST: LazyLock<Trust> = LazyLock::new(|| {
        let trust = Trust::default();
        let known = trust.add_public_key(SERIAL, include_str!("public.pem"));
        known.expect("a public key");
        trust
    });
    let text = String::from_utf8_lossy(data);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let headers: Vec<(String, String)> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let proved = TRUST.verify(&headers, body.as_bytes(), NOW);
    assert!(proved.is_err(), "nobody has the private key");
}

/// An event: what reads has a name, and no more than one amount.
pub fn http_event(data: &[u8]) {
    if let Ok(event) = parse_event(data) {
        let _ = event.view();
    }
}

/// A stream of lines: however it is cut into pieces, the same lines come out.
pub fn http_lines(data: &[u8]) {
    let (cut, text) = data
        .split_first()
        .map_or((1, data), |(first, rest)| (usize::from(*first), rest));
    let whole = lines(text, text.len().max(1));
    assert_eq!(whole, lines(text, cut.max(1)));
    assert_eq!(whole, lines(text, 1));
}

/// How many lines, and bytes of them, come out of pieces of that length.
fn lines(text: &[u8], length: usize) -> (u64, usize) {
    let mut lines = Lines::new(256);
    let mut bytes = 0;
    for piece in text.chunks(length) {
        let mut rest = piece;
        while !rest.is_empty() {
            let taken = lines.take(rest);
            rest = rest.get(taken..).unwrap_or_default();
            if taken == 0 || lines.is_full() {
                bytes += lines.batch().text.len();
            }
        }
    }
    lines.end();
    bytes += lines.batch().text.len();
    (lines.next_line(), bytes)
}

/// A message of the old API at the sandbox's door: what it reads, our client reads, too.
pub fn sandbox_xml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Some(fields) = lingqian_sandbox::probe::xml(text) else {
        return;
    };
    assert!(fields.len() <= 64);
    if let Ok(ours) = xml::read(data) {
        assert_eq!(ours.len(), fields.len(), "both read the same fields");
    }
}

/// Proof and body of a request to the sandbox: `Authorization` in the first line, the body after it.
pub fn sandbox_request(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (proof, body) = text.split_once('\n').unwrap_or(("", &text));
    lingqian_sandbox::probe::request(proof, body.as_bytes());
}
