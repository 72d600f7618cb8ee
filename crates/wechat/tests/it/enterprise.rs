//! Enterprise payments against the sandbox: over TLS on which both sides prove themselves.

use lingqian_core::transfer::{Cure, Finding, Origin};
use lingqian_io::rail::FetchedBill;
use lingqian_io::{Fault, Rail as _};
use lingqian_wechat::bill::{BillDesk, Place};
use lingqian_wechat::settings::RailKind;
use lingqian_wechat::socket::Identity;
use lingqian_wechat::v2::door::{Door, DoorSettings};
use lingqian_wechat::v2::{enterprise, xml};
use serde_json::json;

use crate::real::{Real, alice, number, today};
use crate::world::{Key, Listener, Say};

const KIND: RailKind = RailKind::Enterprise;

pub(crate) fn code(finding: &Finding) -> (&'static str, String) {
    let word = match finding {
        Finding::Paid => "paid",
        Finding::Processing => "processing",
        Finding::Failed { .. } => "failed",
        Finding::Refused { .. } => "refused",
        Finding::NotFound => "not_found",
        Finding::Unknown { .. } => "unknown",
        _ => "other",
    };
    (word, finding.code().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_payment_is_paid_once_however_often_it_is_sent() {
    let real = Real::new().await;
    let merchant = real.merchant(&[KIND]);
    let order = real.order(1, KIND, 150, &alice()).await;
    let sent = merchant.send(&order).await;
    assert_eq!(sent.finding, Finding::Paid, "{sent:?}");
    assert_eq!((sent.origin, sent.number), (Origin::Answer, number(1)));
    assert!(sent.bill_no.is_some() && sent.at.is_some());
    let again = merchant.send(&order).await;
    assert_eq!((again.bill_no, again.at), (sent.bill_no.clone(), sent.at));
    let asked = real.ask(&merchant, 1).await;
    assert_eq!(asked.finding, Finding::Paid);
    assert_eq!(asked.bill_no, sent.bill_no);
    assert_eq!(asked.claims.amount, Some(order.amount));
    assert_eq!(asked.claims.openid.as_ref(), Some(&order.openid));
    assert_eq!(asked.claims.mchid.as_deref(), Some(order.mchid.as_str()));
    let body = &asked.evidence.body;
    assert!(!body.contains(order.openid.expose()), "{body}");
    assert!(body.contains("status=SUCCESS"), "{body}");
    assert_eq!(real.paid_fen().await, 150);
    // The sandbox is killed and comes back: its books say the same.
    let Real { sandbox, dir, .. } = real;
    sandbox.stop().await;
    let real = Real::open(dir, |_| {}).await;
    let merchant = real.merchant(&[KIND]);
    assert_eq!(real.ask(&merchant, 1).await.finding, Finding::Paid);
    assert_eq!(merchant.send(&order).await.finding, Finding::Paid);
    assert_eq!(real.paid_fen().await, 150);
}

#[tokio::test]
async fn one_number_with_other_parameters_is_unknown() {
    let real = Real::new().await;
    let merchant = real.merchant(&[KIND]);
    let order = real.order(1, KIND, 150, &alice()).await;
    merchant.send(&order).await;
    let mut other = order.clone();
    other.amount = lingqian_core::money::Fen(151);
    let finding = merchant.send(&other).await.finding;
    assert_eq!(code(&finding), ("unknown", "FATAL_ERROR".into()));
    let mut words = order.clone();
    words.remark = "other".into();
    let finding = merchant.send(&words).await.finding;
    assert_eq!(code(&finding), ("unknown", "FATAL_ERROR".into()));
    assert_eq!(real.paid_fen().await, 150);
}

#[tokio::test]
async fn what_goes_wrong_is_what_the_table_says_and_a_question_tells_the_truth() {
    let real = Real::new().await;
    let merchant = real.merchant(&[KIND]);
    // The fault, what the send reports, what a question reports then, and whether it is paid.
    let table = [
        ("answer_lost", "unknown", "connection_lost", "paid"),
        ("error_after", "unknown", "SYSTEMERROR", "paid"),
        ("error_before", "unknown", "SYSTEMERROR", "not_found"),
        ("too_fast", "refused", "FREQ_LIMIT", "not_found"),
        ("not_enough", "refused", "NOTENOUGH", "not_found"),
        ("quota_spent", "refused", "MONEY_LIMIT", "not_found"),
        ("unknown_code", "unknown", "CODE_OF_TOMORROW", "paid"),
        ("other_data", "unknown", "FATAL_ERROR", "paid"),
        ("send_failed", "unknown", "SEND_FAILED", "paid"),
        ("html_answer", "unknown", "status_502", "paid"),
        ("paid_late", "unknown", "SYSTEMERROR", "processing"),
        ("failed_late", "unknown", "SYSTEMERROR", "processing"),
    ];
    for (no, (fault, word, expected, truth)) in (1..).zip(table) {
        real.once(fault).await;
        let person = json!({ "name": format!("person{no}") });
        let order = real.order(no, KIND, 100, &person).await;
        let sent = merchant.send(&order).await;
        let (found, told) = code(&sent.finding);
        // A connection may break before or within the answer.
        let lost = fault == "answer_lost" && told == "body_lost";
        assert!(
            found == word && (told == expected || lost),
            "{fault}: {sent:?}"
        );
        let asked = real.ask(&merchant, no).await;
        assert_eq!(code(&asked.finding).0, truth, "{fault}: {asked:?}");
    }
    real.later(601).await;
    assert_eq!(real.ask(&merchant, 11).await.finding, Finding::Paid);
    let failed = real.ask(&merchant, 12).await.finding;
    let cure = Cure::Never;
    let code = "FAILED".to_owned();
    assert_eq!(failed, Finding::Failed { code, cure });
}

#[tokio::test]
async fn a_refusal_is_believed_only_when_there_is_no_record_either() {
    let real = Real::new().await;
    let merchant = real.merchant(&[KIND]);
    let mut order = real.order(1, KIND, 100, &alice()).await;
    real.once("false_refusal").await;
    assert_eq!(merchant.send(&order).await.finding, Finding::Paid);
    // A real one: nothing is there.
    order.number = number(2);
    order.remark = "\u{1f600}".into();
    let refused = |code: &str, cure| Finding::Refused {
        code: code.to_owned(),
        cure,
    };
    let sent = merchant.send(&order).await;
    assert_eq!(sent.finding, refused("PARAM_ERROR", Cure::Never));
    // Nobody can say whether there is a record, so nothing is concluded.
    real.once("query_error").await;
    let sent = merchant.send(&order).await;
    let code = "PARAM_ERROR".to_owned();
    assert_eq!(sent.finding, Finding::Unknown { code });
}

#[tokio::test]
async fn names_are_compared_where_they_are_known() {
    let real = Real::new().await;
    let merchant = real.merchant(&[KIND]);
    let person = json!({ "name": "zhang", "real_name": "张三" });
    let mut order = real.order(1, KIND, 100, &person).await;
    order.name = Some(lingqian_core::user::Sealed("李四".into()));
    let finding = merchant.send(&order).await.finding;
    assert_eq!(code(&finding), ("refused", "NAME_MISMATCH".into()));
    order.name = Some(lingqian_core::user::Sealed("张三".into()));
    let sent = merchant.send(&order).await;
    assert_eq!(sent.finding, Finding::Paid, "the number was free");
    let asked = real.ask(&merchant, 1).await.evidence.body;
    assert!(!asked.contains("张三"), "{asked}");
}

#[tokio::test]
async fn limits_and_people_are_refused_and_leave_no_record() {
    let real = Real::with(|settings| {
        settings.first_top_up_fen = 1_000;
        settings.old.user_day_count = 2;
        settings.old.user_day_fen = 500;
    })
    .await;
    let merchant = real.merchant(&[KIND]);
    let frozen = json!({ "name": "frozen", "frozen": true });
    let bob = json!({ "name": "bob" });
    let table = [
        (99, alice(), "AMOUNT_LIMIT", Some(Cure::Never)),
        (20_001, alice(), "AMOUNT_LIMIT", Some(Cure::Never)),
        (501, alice(), "MONEY_LIMIT", Some(Cure::Tomorrow)),
        (100, frozen, "PAYEE_ACCOUNT_ABNORMAL", Some(Cure::Never)),
        (100, alice(), "", None),
        (100, alice(), "", None),
        (100, alice(), "SENDNUM_LIMIT", Some(Cure::Tomorrow)),
        (500, bob.clone(), "", None),
        (400, bob, "MONEY_LIMIT", Some(Cure::Tomorrow)),
    ];
    for (no, (fen, person, expected, cure)) in (1..).zip(table) {
        let order = real.order(no, KIND, fen, &person).await;
        let finding = merchant.send(&order).await.finding;
        match cure {
            None => assert_eq!(finding, Finding::Paid, "{no}"),
            Some(cure) => {
                let code = expected.to_owned();
                assert_eq!(finding, Finding::Refused { code, cure }, "{no}");
                assert_eq!(real.ask(&merchant, no).await.finding, Finding::NotFound);
            }
        }
    }
    let carol = json!({ "name": "carol" });
    let order = real.order(20, KIND, 400, &carol).await;
    let finding = merchant.send(&order).await.finding;
    assert_eq!(code(&finding), ("refused", "NOTENOUGH".into()));
    real.hands("top-up", &json!({ "amount_fen": 100 })).await;
    assert_eq!(merchant.send(&order).await.finding, Finding::Paid);
}

#[tokio::test]
async fn after_three_days_a_number_is_not_sent_again_and_after_thirty_not_found() {
    let real = Real::new().await;
    let merchant = real.merchant(&[KIND]);
    let order = real.order(1, KIND, 100, &alice()).await;
    merchant.send(&order).await;
    real.later(3 * 86_400 + 60).await;
    let finding = merchant.send(&order).await.finding;
    assert_eq!(code(&finding), ("unknown", "SEND_FAILED".into()));
    assert_eq!(real.ask(&merchant, 1).await.finding, Finding::Paid);
    real.later(28 * 86_400).await;
    assert_eq!(real.ask(&merchant, 1).await.finding, Finding::NotFound);
    assert_eq!(real.paid_fen().await, 100);
}

#[tokio::test]
async fn only_the_merchants_certificate_pays_and_only_to_a_server_that_is_trusted() {
    let real = Real::new().await;
    let order = real.order(1, KIND, 100, &alice()).await;
    let stranger = rcgen::generate_simple_self_signed(vec!["x".into()]).expect("a certificate");
    let wrong = Identity {
        certificate: stranger.cert.pem(),
        key: stranger.signing_key.serialize_pem(),
        roots: real.identity().roots,
    };
    let door = Door::open(real.door_settings(Some(wrong))).expect("it opens");
    let sent = real.merchant_through(door, &[KIND]).send(&order).await;
    // Whoever may not pay may not ask either, so nothing is concluded.
    assert_eq!(code(&sent.finding), ("unknown", "CA_ERROR".into()));
    // Another authority than that of the server.
    let distrusting = Identity {
        roots: Some(stranger.cert.pem()),
        ..real.identity()
    };
    let door = Door::open(real.door_settings(Some(distrusting))).expect("it opens");
    let sent = real.merchant_through(door, &[KIND]).send(&order).await;
    assert_eq!(code(&sent.finding), ("unknown", "connect_failed".into()));
    // No certificate at all.
    let fields = enterprise::payment(&order, None, &real.door_settings(None));
    let (status, page) = real.bare(enterprise::SEND_PATH, &xml::write(&fields)).await;
    assert_eq!(status, 400);
    assert_eq!(xml::read(page.as_bytes()), Err(xml::XmlFault::NotXml));
    assert_eq!(real.paid_fen().await, 0);
    // A wrong key of the old API.
    let mut settings = real.door_settings(Some(real.identity()));
    settings.key = "0".repeat(32);
    let door = Door::open(settings).expect("it opens");
    let sent = real.merchant_through(door, &[KIND]).send(&order).await;
    assert_eq!(code(&sent.finding), ("unknown", "message_refused".into()));
    // In clear text to this machine, for tests.
    let settings = DoorSettings {
        base_url: real.sandbox.url(),
        ..real.door_settings(None)
    };
    let door = Door::open(settings).expect("it opens");
    let sent = real.merchant_through(door, &[KIND]).send(&order).await;
    assert_eq!(sent.finding, Finding::Paid);
}

#[tokio::test]
async fn a_door_that_would_not_be_safe_does_not_open() {
    let real = Real::new().await;
    let good = || real.door_settings(Some(real.identity()));
    let other = Key::new();
    let cases: [(&str, DoorSettings); 5] = [
        (
            "32 letters",
            DoorSettings {
                key: "short".into(),
                ..good()
            },
        ),
        (
            "wants the merchant's certificate",
            DoorSettings {
                identity: None,
                ..good()
            },
        ),
        (
            "https only",
            DoorSettings {
                base_url: "http://api.mch.weixin.qq.com".into(),
                ..good()
            },
        ),
        (
            "https only",
            DoorSettings {
                base_url: "http://127.0.0.1.example.com".into(),
                ..good()
            },
        ),
        (
            "not one in PEM",
            DoorSettings {
                identity: Some(Identity {
                    key: other.public_pem.clone(),
                    ..real.identity()
                }),
                ..good()
            },
        ),
    ];
    for (words, settings) in cases {
        let error = Door::open(settings).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_unknown() {
    let real = Real::new().await;
    let order = real.order(1, KIND, 100, &alice()).await;
    let number = order.number;
    let good = format!(
        "<xml><return_code>SUCCESS</return_code><result_code>SUCCESS</result_code>\
         <partner_trade_no>{number}</partner_trade_no><payment_no>1</payment_no></xml>"
    );
    let fail = |more: &str| format!("<xml><return_code>FAIL</return_code>{more}</xml>");
    let table = [
        (
            200,
            good.replace(&number.to_string(), "LQ0"),
            "number_mismatch",
        ),
        (
            200,
            good.replace("<payment_no>1</payment_no>", ""),
            "payment_no_missing",
        ),
        (200, good.replace("</xml>", ""), "xml_malformed"),
        (
            200,
            good.replace("<xml>", "<!DOCTYPE a><xml>"),
            "xml_forbidden",
        ),
        (500, good.clone(), "status_500"),
        (200, "<html></html>".into(), "xml_other"),
        (200, String::new(), "xml_other"),
        (200, "{\"return_code\":\"SUCCESS\"}".into(), "xml_other"),
        (200, "<xml></xml>".into(), "answer_unreadable"),
        (200, fail(""), "message_refused"),
        (
            200,
            fail("<result_code>FAIL</result_code>"),
            "answer_unreadable",
        ),
        (
            200,
            fail("<result_code>SUCCESS</result_code>"),
            "answer_unreadable",
        ),
        (
            200,
            good.replace("</xml>", "<err_code>NOTENOUGH</err_code></xml>"),
            "answer_unreadable",
        ),
    ];
    for (status, body, expected) in table {
        let say = Say::Answer(status, Vec::new(), body.clone().into_bytes());
        let listener = Listener::open(say).await;
        let settings = DoorSettings {
            base_url: listener.url.clone(),
            ..real.door_settings(None)
        };
        let door = Door::open(settings).expect("it opens");
        let sent = real.merchant_through(door, &[KIND]).send(&order).await;
        assert_eq!(code(&sent.finding), ("unknown", expected.into()), "{body}");
    }
    // The right answer is right whatever its content type is.
    let headers = vec![("content-type".into(), "text/html".into())];
    let listener = Listener::open(Say::Answer(200, headers, good.into_bytes())).await;
    let settings = DoorSettings {
        base_url: listener.url.clone(),
        ..real.door_settings(None)
    };
    let door = Door::open(settings).expect("it opens");
    let sent = real.merchant_through(door, &[KIND]).send(&order).await;
    assert_eq!(sent.finding, Finding::Paid);
}

#[tokio::test]
async fn an_order_never_goes_over_another_rail_and_a_number_is_found_on_its_own() {
    let real = Real::new().await;
    let order = real.order(1, KIND, 100, &alice()).await;
    let before = real.merchant(&[KIND]);
    real.once("error_after").await;
    before.send(&order).await;
    let gone = real.merchant(&[RailKind::Transfer]).send(&order).await;
    assert_eq!(code(&gone.finding), ("refused", "rail_absent".into()));
    // The merchant has moved to the transfer of 2025; the old rail is asked, too.
    let after = real.merchant(&[RailKind::Transfer, KIND]);
    assert_eq!(real.ask(&after, 1).await.finding, Finding::Paid);
    assert_eq!(after.send(&order).await.finding, Finding::Paid);
    assert_eq!(real.ask(&after, 2).await.finding, Finding::NotFound);
    real.once("query_error").await;
    assert_eq!(code(&real.ask(&after, 2).await.finding).0, "unknown");
    let new = real.order(3, RailKind::Transfer, 100, &alice()).await;
    let sent = after.send(&new).await.finding;
    assert!(matches!(sent, Finding::AwaitingUser { .. }), "{sent:?}");
    assert_eq!(real.paid_fen().await, 100);
}

#[tokio::test]
async fn the_bill_names_a_payment_by_our_number() {
    let real = Real::new().await;
    let merchant = real.merchant(&[KIND]);
    let order = real.order(1, KIND, 150, &alice()).await;
    let day = today();
    let sent = merchant.send(&order).await;
    real.later(36 * 3_600).await;
    let bill = merchant.bill(&order.mchid, day).await.expect("a bill");
    let FetchedBill::Ready(bill) = bill else {
        panic!("{bill:?}")
    };
    let number = order.number.to_string();
    let mut lines = bill.lines.map(|line| line.expect("reads"));
    let line = lines.find(|line| line.voucher == number);
    let line = line.expect("a line of the payment");
    assert_eq!(
        (line.amount, line.words.as_str()),
        (order.amount, "企业付款")
    );
    assert_eq!(Some(&line.business_no), sent.bill_no.as_ref());
}

#[tokio::test]
async fn the_old_api_brings_the_same_bill() {
    let real = Real::new().await;
    let by_old = || BillDesk {
        place: Place::OldApi,
        ..BillDesk::default()
    };
    let door = Door::open(real.door_settings(Some(real.identity()))).expect("it opens");
    let merchant = real.merchant_with(Some(door), &[KIND], by_old());
    let order = real.order(1, KIND, 150, &alice()).await;
    let day = today();
    merchant.send(&order).await;
    real.later(8 * 3_600).await;
    let early = merchant.bill(&order.mchid, day).await;
    assert!(
        matches!(early, Ok(FetchedBill::NotYet) | Err(Fault::Retry(_))),
        "{early:?}"
    );
    real.later(40 * 3_600).await;
    let mut shas = Vec::new();
    for merchant in [&merchant, &real.merchant(&[KIND])] {
        let bill = merchant.bill(&order.mchid, day).await.expect("a bill");
        let FetchedBill::Ready(bill) = bill else {
            panic!("{bill:?}")
        };
        shas.push((bill.sha1.clone(), bill.count, bill.out));
    }
    assert_eq!(shas[0], shas[1]);
    let next = merchant.bill(&order.mchid, day.next()).await;
    assert!(
        matches!(next, Ok(FetchedBill::Empty | FetchedBill::NotYet)),
        "{next:?}"
    );
    let without = real.merchant_with(None, &[RailKind::Transfer], by_old());
    let fault = without.bill(&order.mchid, day).await.expect_err("no key");
    assert!(fault.to_string().contains("v2 API"), "{fault}");
}
