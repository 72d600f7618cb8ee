//! By which words the user is told what the money is, against the sandbox.

use lingqian_core::transfer::{Finding, TransferOrder};
use lingqian_io::Rail as _;
use lingqian_wechat::settings::RailKind;
use lingqian_wechat::transfer::PERCEPTION;
use serde_json::json;

use crate::real::{Real, alice, number};

fn told(order: TransferOrder, words: &str) -> TransferOrder {
    let mut order = order;
    let words = (PERCEPTION.to_owned(), words.to_owned());
    order.scene_report.push(words);
    order
}

#[tokio::test]
async fn words_of_the_scene_are_taken_and_others_refused_on_each_way_to_send() {
    let real = Real::new().await;
    for (kind, no) in [(RailKind::Transfer, 1), (RailKind::Authorized, 3)] {
        let merchant = real.merchant(&[kind]);
        let good = told(real.order(no, kind, 150, &alice()).await, "现金奖励");
        let sent = merchant.send(&good).await;
        let waits = matches!(sent.finding, Finding::AwaitingUser { .. });
        assert!(waits, "{kind:?}: {sent:?}");
        let again = merchant.send(&good).await;
        assert_eq!(again.finding, sent.finding, "the same order: {kind:?}");
        let wrong = told(real.order(no + 1, kind, 150, &alice()).await, "劳务报酬");
        let sent = merchant.send(&wrong).await;
        let accepted = matches!(
            sent.finding,
            Finding::AwaitingUser { .. } | Finding::Processing | Finding::Paid
        );
        assert!(!accepted, "{kind:?}: {sent:?}");
        assert!(sent.evidence.body.contains("用户收款感知"), "{sent:?}");
    }
    // Once it is granted there is no page, and the words go along all the same.
    real.hands(&format!("transfers/{}/confirm", number(3)), &json!({}))
        .await;
    let merchant = real.merchant(&[RailKind::Authorized]);
    let third = real.order(5, RailKind::Authorized, 150, &alice()).await;
    let sent = merchant.send(&told(third, "活动奖励")).await;
    assert_eq!(sent.finding, Finding::Paid, "{sent:?}");
    let fourth = real.order(6, RailKind::Authorized, 150, &alice()).await;
    let sent = merchant.send(&told(fourth, "劳务报酬")).await;
    assert_ne!(sent.finding, Finding::Paid);
}
