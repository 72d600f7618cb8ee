//! Several merchants behind one rail: each with its own keys, and none for another.

use lingqian_core::id::MchId;
use lingqian_core::time::BusinessDate;
use lingqian_core::transfer::{Cure, Finding};
use lingqian_io::rail::{Notification, Opened, Refusal};
use lingqian_io::twin::SeededDice;
use lingqian_io::{Fault, Rail as _};
use lingqian_wechat::{Rails, WechatMerchants};
use serde_json::{Value, json};

use crate::notify::{FINISHED, envelope, paid, sealed};
use crate::world::{APIV3_KEY, Key, Listener, NOW, Plain, SERIAL, Say, Time, merchant, order};

type Merchants = WechatMerchants<Plain, Plain, Time, SeededDice>;

const A: &str = "1900000109";
const B: &str = "1900000110";
const SERIAL_B: &str = "PUB_KEY_ID_0100000000000000000000000002";
const APIV3_B: &[u8; 32] = b"ffffffffffffffffffffffffffffffff";

fn two(url: &str, (a, b): (&Key, &Key), serial_of_b: &str) -> Merchants {
    let both = [
        merchant(url, A, APIV3_KEY, (SERIAL, a)),
        merchant(url, B, APIV3_B, (serial_of_b, b)),
    ];
    WechatMerchants::new(both.map(Rails::new))
}

/// A notification that one of them signs, sealed with somebody's APIv3 key.
fn notice(key: &Key, serial: &str, apiv3: &[u8], body: &Value) -> Notification {
    let body = envelope(FINISHED, &sealed(apiv3, body));
    Notification {
        headers: key.proof(serial, NOW, &body),
        body,
    }
}

fn of(mchid: Option<&str>) -> Value {
    let mut body = paid();
    match mchid {
        Some(mchid) => body["mchid"] = json!(mchid),
        None => drop(body.as_object_mut().map(|body| body.remove("mchid"))),
    }
    body
}

/// Whose word a notification is, or why it is nobody's.
async fn vouches(merchants: &Merchants, notice: &Notification) -> Result<String, Refusal> {
    match merchants.open(notice).await? {
        Opened::Transfer(report) => Ok(report.claims.mchid.expect("somebody vouches")),
        Opened::Other { event } => panic!("{event}"),
    }
}

#[tokio::test]
async fn a_notification_is_the_word_of_the_merchant_whose_key_signed_it() {
    let (a, b) = (Key::new(), Key::new());
    let merchants = two("http://127.0.0.1:9", (&a, &b), SERIAL_B);
    for named in [Some(B), None] {
        let told = vouches(&merchants, &notice(&b, SERIAL_B, APIV3_B, &of(named))).await;
        assert_eq!(told.as_deref(), Ok(B), "{named:?}");
    }
    // The second merchant's WeChat speaks about a payout of the first.
    let forged = notice(&b, SERIAL_B, APIV3_B, &of(Some(A)));
    assert_eq!(
        vouches(&merchants, &forged).await,
        Err(Refusal::OtherMerchant)
    );
    // Signed by the second under the first one's name.
    let forged = notice(&b, SERIAL, APIV3_KEY, &of(Some(A)));
    assert_eq!(
        vouches(&merchants, &forged).await,
        Err(Refusal::SignatureWrong)
    );
    // Signed rightly, sealed with a key that the signer does not have.
    let forged = notice(&b, SERIAL_B, APIV3_KEY, &of(Some(A)));
    assert_eq!(vouches(&merchants, &forged).await, Err(Refusal::SealWrong));
    let strange = notice(&b, "PUB_KEY_ID_03", APIV3_B, &of(None));
    assert_eq!(
        vouches(&merchants, &strange).await,
        Err(Refusal::SerialUnknown)
    );
}

#[tokio::test]
async fn merchants_that_share_a_key_of_wechats_are_told_apart_by_the_seal() {
    let key = Key::new();
    let merchants = two("http://127.0.0.1:9", (&key, &key), SERIAL);
    for (apiv3, mchid) in [(APIV3_KEY, A), (APIV3_B, B)] {
        let told = vouches(&merchants, &notice(&key, SERIAL, apiv3, &of(None))).await;
        assert_eq!(told.as_deref(), Ok(mchid));
    }
    let forged = notice(&key, SERIAL, APIV3_B, &of(Some(A)));
    assert_eq!(
        vouches(&merchants, &forged).await,
        Err(Refusal::OtherMerchant)
    );
}

#[tokio::test]
async fn what_no_merchant_here_can_do_is_done_by_none_and_ends_no_payout() {
    let (a, b) = (Key::new(), Key::new());
    let listener = Listener::open(Say::Nothing).await;
    let merchants = two(&listener.url, (&a, &b), SERIAL_B);
    let stranger = MchId::parse("1900000999").expect("valid");
    let mut order = order(None);
    order.mchid = stranger.clone();
    let refused = Finding::Refused {
        code: "merchant_not_configured".into(),
        cure: Cure::Person,
    };
    assert_eq!(merchants.send(&order).await.finding, refused);
    let unknown = Finding::Unknown {
        code: "merchant_not_configured".into(),
    };
    assert_eq!(merchants.ask(&order).await.finding, unknown);
    assert_eq!(merchants.cancel(&order).await.finding, unknown);
    let bill = merchants.bill(&stranger, BusinessDate(20_000)).await;
    assert!(matches!(bill, Err(Fault::Broken(words)) if words.contains("1900000999")));
    assert_eq!(listener.last_request(), "", "no byte went out");
    // The second one's order goes out under its own name.
    order.mchid = MchId::parse(B).expect("valid");
    let sent = merchants.send(&order).await.finding;
    assert!(matches!(sent, Finding::Unknown { .. }), "{sent:?}");
    assert!(listener.last_request().contains("mchid=\"1900000110\""));
}
