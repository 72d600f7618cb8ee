//! Electronic receipts of the rails that have them, against the sandbox, and files that are not right.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lingqian_core::transfer::TransferOrder;
use lingqian_io::files::{Archive, Label, Waiting};
use lingqian_io::rail::Receipt;
use lingqian_io::{Fault, Rail as _};
use lingqian_wechat::bill::BillDesk;
use lingqian_wechat::settings::RailKind;
use lingqian_wechat::v2::door::Door;
use serde_json::json;

use crate::real::{Merchant, Real, alice};
use crate::world::{Key, Listener, NOW, SERIAL, Say, client, order};

/// Keeps files in memory.
#[derive(Debug, Default)]
struct Shelf(Mutex<BTreeMap<String, Vec<u8>>>);

fn name(label: &Label) -> String {
    format!("{}/{}/{}", label.kind, label.owner, label.about)
}

impl Archive for Shelf {
    fn keep<'a>(&'a self, label: &'a Label, file: &'a mut File) -> Waiting<'a, String> {
        Box::pin(async move {
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(0)).expect("a file");
            file.read_to_end(&mut bytes).expect("a file");
            self.0.lock().expect("no panic").insert(name(label), bytes);
            Ok(String::new())
        })
    }

    fn recall<'a>(&'a self, label: &'a Label, _most: u64) -> Waiting<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let kept = self.0.lock().expect("no panic");
            Ok(kept.get(&name(label)).cloned())
        })
    }
}

async fn ready(merchant: &Merchant, order: &TransferOrder) -> Vec<u8> {
    assert_eq!(
        merchant.receipt(order).await,
        Ok(Receipt::Making),
        "applied for"
    );
    for _ in 0..100 {
        match merchant.receipt(order).await.expect("an answer") {
            Receipt::Ready(bytes) => return bytes,
            Receipt::Making => tokio::time::sleep(Duration::from_millis(50)).await,
            Receipt::None(code) => panic!("{code}"),
        }
    }
    panic!("no receipt within five seconds");
}

#[tokio::test]
async fn what_was_paid_has_a_receipt_that_is_kept() {
    let real = Real::new().await;
    let robot =
        json!({ "confirm_per_mille": 1000, "refuse_per_mille": 0, "delay_ms": 0, "seed": 1 });
    real.hands("robot", &robot).await;
    let shelf = Arc::new(Shelf::default());
    let bills = BillDesk {
        archive: Some(Arc::clone(&shelf) as Arc<dyn Archive>),
        ..BillDesk::default()
    };
    let kinds = [RailKind::Transfer, RailKind::Batch, RailKind::Enterprise];
    let door = Door::open(real.door_settings(Some(real.identity()))).expect("it opens");
    let merchant = real.merchant_with(Some(door), &kinds, bills);
    for (no, kind) in (1..).zip(kinds) {
        let order = real.order(no, kind, 150, &alice()).await;
        let early = merchant.receipt(&order).await;
        assert!(matches!(early, Ok(Receipt::None(_))), "{kind:?}: {early:?}");
        merchant.send(&order).await;
        if kind == RailKind::Batch {
            real.later(3_600).await;
        }
        for _ in 0..100 {
            if real.ask(&merchant, no).await.finding == lingqian_core::transfer::Finding::Paid {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let bytes = ready(&merchant, &order).await;
        assert!(bytes.starts_with(b"%PDF-"), "{kind:?}");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(
            text.contains(&order.number.to_string()) && text.contains("1.50"),
            "{text}"
        );
        let label = format!("receipts/{}/{}", order.mchid, order.number);
        assert_eq!(shelf.0.lock().expect("no panic").get(&label), Some(&bytes));
    }
    let packet = real.order(9, RailKind::RedPacket, 150, &alice()).await;
    let none = Receipt::None("receipt_not_offered".into());
    assert_eq!(merchant.receipt(&packet).await, Ok(none));
    // What is kept needs no WeChat.
    let first = real.order(1, RailKind::Transfer, 150, &alice()).await;
    real.sandbox.stop().await;
    assert!(matches!(
        merchant.receipt(&first).await,
        Ok(Receipt::Ready(_))
    ));
}

#[tokio::test]
async fn a_file_with_another_hash_is_not_kept() {
    let key = Key::new();
    let told = |hash: &str, kind: &str| {
        let value = json!({
            "state": "FINISHED", "hash_type": kind, "hash_value": hash,
            "download_url": "https://api.mch.weixin.qq.com/v3/transferbilldownload/file?token=1",
        });
        value.to_string().into_bytes()
    };
    // This listener says the same to everything, so the file is the answer itself.
    for (hash, kind, code) in [
        (&"0".repeat(64), "SHA256", "receipt_hash_wrong"),
        (&"0".repeat(64), "SM3", "receipt_hash_unknown"),
    ] {
        let body = told(hash, kind);
        let listener = Listener::open(Say::Answer(200, key.proof(SERIAL, NOW, &body), body)).await;
        let pay = client(&listener.url, &key);
        let merchant = lingqian_wechat::Rails::new(pay);
        let fault = merchant.receipt(&order(None)).await.expect_err("refused");
        assert!(
            matches!(&fault, Fault::Broken(words) if words.starts_with(code)),
            "{fault}"
        );
    }
    let listener = Listener::open(Say::Nothing).await;
    let merchant = lingqian_wechat::Rails::new(client(&listener.url, &key));
    assert!(matches!(
        merchant.receipt(&order(None)).await,
        Err(Fault::Retry(_))
    ));
}
