//! Authorizations against the sandbox: granted with the first transfer, used, revoked, closed.

use lingqian_core::transfer::Finding;
use lingqian_io::Rail as _;
use lingqian_io::rail::Opened;
use lingqian_wechat::authorized::number as authorization;
use lingqian_wechat::settings::RailKind;
use serde_json::{Value, json};

use crate::enterprise::code;
use crate::real::{Real, alice, notification, number};

const KIND: RailKind = RailKind::Authorized;

fn waits(finding: &Finding) -> bool {
    let package = |package: &Option<String>| package.as_ref().is_some_and(|text| !text.is_empty());
    matches!(finding, Finding::AwaitingUser { package: found } if package(found))
}

/// Lets the user of the first transfer confirm it, and with it the authorization.
async fn granted(real: &Real) {
    real.hands(&format!("transfers/{}/confirm", number(1)), &json!({}))
        .await;
}

#[tokio::test]
async fn who_confirmed_once_is_paid_from_then_on_without_a_page() {
    let real = Real::new().await;
    let merchant = real.merchant(&[KIND]);
    let first = real.order(1, KIND, 150, &alice()).await;
    assert_eq!(first.scene, "authorized:1000");
    let sent = merchant.send(&first).await;
    assert!(waits(&sent.finding), "{sent:?}");
    let again = merchant.send(&first).await;
    assert_eq!(again.finding, sent.finding, "the same page");
    granted(&real).await;
    assert_eq!(real.ask(&merchant, 1).await.finding, Finding::Paid);
    let second = real.order(2, KIND, 150, &alice()).await;
    let sent = merchant.send(&second).await;
    assert_eq!(sent.finding, Finding::Paid, "{sent:?}");
    assert!(!sent.evidence.body.contains(second.openid.expose()));
    assert_eq!(merchant.send(&second).await.finding, Finding::Paid);
    assert_eq!(real.ask(&merchant, 2).await.finding, Finding::Paid);
    // Somebody else confirms for themselves.
    let bob = real.order(3, KIND, 150, &json!({ "name": "bob" })).await;
    assert!(waits(&merchant.send(&bob).await.finding));
    assert_eq!(real.paid_fen().await, 300);
}

#[tokio::test]
async fn a_second_transfer_while_the_first_page_waits_is_one_more_page() {
    let real = Real::new().await;
    let merchant = real.merchant(&[KIND]);
    for no in [1, 2] {
        let order = real.order(no, KIND, 150, &alice()).await;
        let sent = merchant.send(&order).await;
        assert!(waits(&sent.finding), "{sent:?}");
        assert_eq!(merchant.send(&order).await.finding, sent.finding);
    }
    granted(&real).await;
    let order = real.order(3, KIND, 150, &alice()).await;
    assert_eq!(merchant.send(&order).await.finding, Finding::Paid);
    assert_eq!(real.paid_fen().await, 300);
}

#[tokio::test]
async fn a_revoked_authorization_falls_back_to_the_page_and_asks_for_another() {
    let (real, listener) = Real::new().await.hooked().await;
    let merchant = real.merchant(&[KIND]);
    let first = real.order(1, KIND, 150, &alice()).await;
    merchant.send(&first).await;
    granted(&real).await;
    let old = authorization(&first, 1);
    real.hands(&format!("authorizations/{old}/revoke"), &json!({}))
        .await;
    let second = real.order(2, KIND, 150, &alice()).await;
    let sent = merchant.send(&second).await;
    assert!(waits(&sent.finding), "{sent:?}");
    let closed = merchant.pay().ask_authorization(&old).await.expect("told");
    assert_eq!(closed.state, "CLOSED");
    real.hands(&format!("transfers/{}/confirm", number(2)), &json!({}))
        .await;
    let third = real.order(3, KIND, 150, &alice()).await;
    assert_eq!(merchant.send(&third).await.finding, Finding::Paid);
    let new = authorization(&first, 2);
    let new = merchant.pay().ask_authorization(&new).await.expect("told");
    assert_eq!(new.state, "TAKING_EFFECT");
    assert_eq!(real.paid_fen().await, 450);
    // What was announced of all this opens, and nothing of it moves a payout but the bills.
    let opened = merchant.open(&notification(&listener).await).await;
    let fine = match &opened {
        Ok(Opened::Other { event }) => event.starts_with("MCHTRANSFER.AUTHORIZATION."),
        Ok(Opened::Transfer(report)) => report.finding == Finding::Paid,
        Err(_) => false,
    };
    assert!(fine, "{opened:?}");
}

#[tokio::test]
async fn one_is_applied_for_and_closed_without_a_transfer() {
    let (real, listener) = Real::new().await.hooked().await;
    let merchant = real.merchant(&[KIND]);
    let order = real.order(1, KIND, 150, &alice()).await;
    let pay = merchant.pay();
    let applied = pay
        .apply_for_authorization(&order, 1)
        .await
        .expect("accepted");
    assert_eq!(applied.state, "WAIT_USER_CONFIRM");
    assert!(
        applied
            .package_info
            .is_some_and(|text| text.starts_with("0002-"))
    );
    let no = applied.out_authorization_no;
    assert_eq!(no, authorization(&order, 1));
    let other = pay.apply_for_authorization(&order, 2).await;
    assert!(other.is_err(), "one of a person and a scene at a time");
    real.hands(&format!("authorizations/{no}/confirm"), &json!({}))
        .await;
    let opened = merchant.open(&notification(&listener).await).await;
    let event = "MCHTRANSFER.AUTHORIZATION.CONFIRMED".to_owned();
    assert_eq!(opened, Ok(Opened::Other { event }));
    assert_eq!(merchant.send(&order).await.finding, Finding::Paid);
    let closed = pay.close_authorization(&no).await.expect("closed");
    assert_eq!(closed.state, "CLOSED");
    let second = real.order(2, KIND, 150, &alice()).await;
    assert!(waits(&merchant.send(&second).await.finding));
    // What nobody grants within a day ends, and the next page asks anew.
    real.later(24 * 3_600 + 1).await;
    let waiting = pay.ask_authorization(&authorization(&order, 2)).await;
    assert_eq!(waiting.expect("told").state, "CLOSED");
    assert_eq!(real.ask(&merchant, 2).await.finding, Finding::Expired);
    let third = real.order(3, KIND, 150, &alice()).await;
    assert!(waits(&merchant.send(&third).await.finding));
}

#[tokio::test]
async fn what_goes_wrong_on_the_way_pays_once_at_most() {
    let real = Real::new().await;
    let merchant = real.merchant(&[KIND]);
    let first = real.order(1, KIND, 100, &alice()).await;
    merchant.send(&first).await;
    granted(&real).await;
    let table = [
        ("answer_lost", "unknown", "paid"),
        ("error_after", "unknown", "paid"),
        ("error_before", "unknown", "not_found"),
        ("too_fast", "refused", "not_found"),
        ("not_enough", "refused", "not_found"),
        ("unknown_code", "unknown", "paid"),
        ("other_data", "unknown", "paid"),
        ("wrong_signature", "unknown", "paid"),
    ];
    let mut paid = 100;
    for (no, (fault, word, truth)) in (2..).zip(table) {
        let order = real.order(no, KIND, 100, &alice()).await;
        real.once(fault).await;
        let sent = merchant.send(&order).await;
        assert_eq!(code(&sent.finding).0, word, "{fault}: {sent:?}");
        let asked = real.ask(&merchant, no).await;
        assert_eq!(code(&asked.finding).0, truth, "{fault}: {asked:?}");
        assert_eq!(
            merchant.send(&order).await.finding,
            Finding::Paid,
            "{fault}"
        );
        paid += 100;
        assert_eq!(real.paid_fen().await, paid, "{fault}");
    }
    // Nobody can say what there is: nothing goes out.
    real.once("query_error").await;
    let order = real.order(20, KIND, 100, &alice()).await;
    assert_eq!(code(&merchant.send(&order).await.finding).0, "refused");
    assert_eq!(real.ask(&merchant, 20).await.finding, Finding::NotFound);
    let books = real.hands("books", &Value::Null).await;
    assert_eq!(books["paid_fen"], paid);
}
