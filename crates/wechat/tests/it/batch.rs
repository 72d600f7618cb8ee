//! Batches against the sandbox: accepted, under way, finished or closed; and items that fail.

use lingqian_core::money::Fen;
use lingqian_core::transfer::{Cure, Finding, Origin};
use lingqian_core::user::Sealed;
use lingqian_io::Rail as _;
use lingqian_io::rail::{FetchedBill, Opened};
use lingqian_wechat::settings::RailKind;
use serde_json::json;

use crate::enterprise::code;
use crate::real::{Real, alice, notification, number, today};

const KIND: RailKind = RailKind::Batch;

fn failed(code: &str, cure: Cure) -> Finding {
    let code = code.to_owned();
    Finding::Failed { code, cure }
}

#[tokio::test]
async fn a_batch_is_accepted_then_under_way_then_paid_once() {
    let real = Real::with(|settings| {
        settings.batch.lock_ms = 60_000;
        settings.batch.finish_ms = 60_000;
    })
    .await;
    let (real, listener) = real.hooked().await;
    let merchant = real.merchant(&[KIND]);
    let order = real.order(1, KIND, 150, &alice()).await;
    assert_eq!(order.scene, "batch:1000");
    let sent = merchant.send(&order).await;
    assert_eq!(
        (sent.finding, sent.origin),
        (Finding::Processing, Origin::Answer)
    );
    assert_eq!(merchant.send(&order).await.finding, Finding::Processing);
    for _ in 0..2 {
        assert_eq!(real.ask(&merchant, 1).await.finding, Finding::Processing);
        real.later(61).await;
    }
    let asked = real.ask(&merchant, 1).await;
    assert_eq!(asked.finding, Finding::Paid, "{asked:?}");
    assert_eq!(asked.claims.amount, Some(Fen(150)));
    assert_eq!(asked.claims.openid.as_ref(), Some(&order.openid));
    assert!(asked.bill_no.is_some() && asked.at.is_some());
    assert!(!asked.evidence.body.contains(order.openid.expose()));
    assert_eq!(merchant.send(&order).await.finding, Finding::Processing);
    assert_eq!(real.paid_fen().await, 150);
    let opened = merchant.open(&notification(&listener).await).await;
    let Ok(Opened::Transfer(heard)) = opened else {
        panic!("{opened:?}")
    };
    assert_eq!((heard.finding, heard.number), (Finding::Paid, number(1)));
    assert_eq!(heard.origin, Origin::Notification);
    assert_eq!(heard.claims.amount, Some(Fen(150)));
}

#[tokio::test]
async fn a_batch_survives_a_kill_and_a_bill_names_our_number() {
    let real = Real::with(|settings| settings.batch.finish_ms = 3_600_000).await;
    let merchant = real.merchant(&[KIND]);
    let order = real.order(1, KIND, 150, &alice()).await;
    let day = today();
    merchant.send(&order).await;
    real.later(10).await;
    let Real { sandbox, dir, .. } = real;
    sandbox.stop().await;
    let real = Real::open(dir, |_| {}).await;
    let merchant = real.merchant(&[KIND]);
    assert_eq!(real.ask(&merchant, 1).await.finding, Finding::Processing);
    real.later(3_600).await;
    assert_eq!(real.ask(&merchant, 1).await.finding, Finding::Paid);
    real.later(36 * 3_600).await;
    let mut lines = Vec::new();
    for date in [day, day.next()] {
        if let Ok(FetchedBill::Ready(bill)) = merchant.bill(&order.mchid, date).await {
            lines.extend(bill.lines.map(|line| line.expect("reads")));
        }
    }
    let number = order.number.to_string();
    let found: Vec<_> = lines.iter().filter(|line| line.voucher == number).collect();
    assert_eq!(found.len(), 1, "{lines:?}");
    assert_eq!(found[0].amount, Fen(150));
}

#[tokio::test]
async fn items_fail_for_reasons_of_the_table() {
    let real = Real::new().await;
    let merchant = real.merchant(&[KIND]);
    let zhang = json!({ "name": "zhang", "real_name": "张三" });
    let frozen = json!({ "name": "frozen", "frozen": true });
    let mut named = real.order(1, KIND, 150, &zhang).await;
    named.name = Some(Sealed("李四".into()));
    let small = real.order(2, KIND, 9, &alice()).await;
    let cold = real.order(3, KIND, 150, &frozen).await;
    for order in [&named, &small, &cold] {
        assert_eq!(merchant.send(order).await.finding, Finding::Processing);
    }
    real.later(5).await;
    let table = [
        (1, failed("NAME_NOT_CORRECT", Cure::Never)),
        (2, failed("TRANSFER_QUOTA_EXCEED", Cure::Never)),
        (3, failed("ACCOUNT_FROZEN", Cure::Never)),
    ];
    for (no, expected) in table {
        assert_eq!(real.ask(&merchant, no).await.finding, expected);
    }
    let risky = real.order(4, KIND, 150, &alice()).await;
    real.once("item_risk").await;
    merchant.send(&risky).await;
    real.later(1).await;
    real.later(5).await;
    let finding = real.ask(&merchant, 4).await.finding;
    assert_eq!(finding, failed("TRANSFER_RISK", Cure::Later));
    assert_eq!(real.paid_fen().await, 0);
}

#[tokio::test]
async fn a_batch_without_money_is_closed_after_a_day_and_says_so() {
    let (real, listener) = Real::new().await.hooked().await;
    let merchant = real.merchant(&[KIND]);
    real.once("batch_unfunded").await;
    let order = real.order(1, KIND, 150, &alice()).await;
    merchant.send(&order).await;
    real.later(23 * 3_600).await;
    assert_eq!(real.ask(&merchant, 1).await.finding, Finding::Processing);
    real.later(3_700).await;
    let closed = failed("OVERDUE_CLOSE", Cure::Person);
    assert_eq!(real.ask(&merchant, 1).await.finding, closed);
    let opened = merchant.open(&notification(&listener).await).await;
    let Ok(Opened::Transfer(heard)) = opened else {
        panic!("{opened:?}")
    };
    assert_eq!(heard.finding, closed);
    assert_eq!(real.paid_fen().await, 0);
}

#[tokio::test]
async fn a_failed_item_is_not_told_by_the_notification_but_asked_about() {
    let (real, listener) = Real::new().await.hooked().await;
    let merchant = real.merchant(&[KIND]);
    let order = real.order(1, KIND, 9, &alice()).await;
    merchant.send(&order).await;
    real.later(5).await;
    real.later(5).await;
    let opened = merchant.open(&notification(&listener).await).await;
    let event = "MCHTRANSFER.BATCH.FINISHED".to_owned();
    assert_eq!(opened, Ok(Opened::Other { event }));
}

#[tokio::test]
async fn what_goes_wrong_is_unknown_or_refused_and_a_question_tells_the_truth() {
    let real = Real::with(|settings| settings.batch.lock_ms = 60_000).await;
    let merchant = real.merchant(&[KIND]);
    let table = [
        ("answer_lost", "unknown", "", "processing"),
        ("error_after", "unknown", "SYSTEM_ERROR", "processing"),
        ("error_before", "unknown", "SYSTEM_ERROR", "not_found"),
        ("too_fast", "refused", "FREQUENCY_LIMITED", "not_found"),
        ("not_enough", "refused", "NOT_ENOUGH", "not_found"),
        ("quota_spent", "refused", "INVALID_REQUEST", "not_found"),
        ("unknown_code", "unknown", "CODE_OF_TOMORROW", "processing"),
        ("other_data", "unknown", "INVALID_REQUEST", "processing"),
        (
            "unknown_key",
            "unknown",
            "signing_key_unknown",
            "processing",
        ),
        (
            "wrong_signature",
            "unknown",
            "signature_wrong",
            "processing",
        ),
        ("query_blind", "processing", "", "not_found"),
        ("query_error", "processing", "", "unknown"),
    ];
    for (no, (fault, word, expected, truth)) in (1..).zip(table) {
        real.once(fault).await;
        let order = real.order(no, KIND, 100, &alice()).await;
        let sent = merchant.send(&order).await;
        let (found, told) = code(&sent.finding);
        let same = expected.is_empty() || told == expected;
        assert!(found == word && same, "{fault}: {sent:?}");
        let asked = real.ask(&merchant, no).await;
        assert_eq!(code(&asked.finding).0, truth, "{fault}: {asked:?}");
    }
}

#[tokio::test]
async fn one_number_with_other_content_or_after_three_days_is_unknown() {
    let real = Real::new().await;
    let merchant = real.merchant(&[KIND]);
    let order = real.order(1, KIND, 150, &alice()).await;
    merchant.send(&order).await;
    let mut other = order.clone();
    other.amount = Fen(151);
    let finding = merchant.send(&other).await.finding;
    assert_eq!(code(&finding), ("unknown", "INVALID_REQUEST".into()));
    real.later(3 * 86_400 + 60).await;
    let finding = merchant.send(&order).await.finding;
    assert_eq!(code(&finding), ("unknown", "INVALID_REQUEST".into()));
    assert_eq!(real.ask(&merchant, 1).await.finding, Finding::Paid);
    assert_eq!(real.paid_fen().await, 150);
}

#[tokio::test]
async fn wrong_fields_are_refused_and_nothing_is_kept() {
    let real = Real::with(|settings| settings.first_top_up_fen = 1_000).await;
    let merchant = real.merchant(&[KIND]);
    let good = real.order(1, KIND, 150, &alice()).await;
    let mut emoji = good.clone();
    emoji.remark = "\u{1f600}".into();
    let mut long = good.clone();
    long.remark = "字".repeat(33);
    let mut stranger = good.clone();
    stranger.openid = lingqian_core::id::OpenId::parse("oNobody").expect("valid");
    let mut app = good.clone();
    app.app = lingqian_core::id::AppId::parse("wx0").expect("valid");
    let mut much = good.clone();
    much.amount = Fen(1_001);
    for (order, expected, cure) in [
        (emoji, "PARAM_ERROR", Cure::Never),
        (long, "PARAM_ERROR", Cure::Never),
        (stranger, "INVALID_REQUEST", Cure::Never),
        (app, "APPID_MCHID_NOT_MATCH", Cure::Person),
        (much, "NOT_ENOUGH", Cure::Float),
    ] {
        let code = expected.to_owned();
        let finding = merchant.send(&order).await.finding;
        assert_eq!(finding, Finding::Refused { code, cure });
        assert_eq!(real.ask(&merchant, 1).await.finding, Finding::NotFound);
    }
    assert_eq!(merchant.send(&good).await.finding, Finding::Processing);
}
