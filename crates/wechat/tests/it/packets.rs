//! Red packets against the sandbox: opened, or back after a day.

use lingqian_core::money::Fen;
use lingqian_core::reconcile::Direction;
use lingqian_core::transfer::{Cure, Finding};
use lingqian_io::Rail as _;
use lingqian_io::rail::FetchedBill;
use lingqian_wechat::settings::RailKind;
use lingqian_wechat::v2::red_packet::{billno, of_billno};
use serde_json::json;

use crate::enterprise::code;
use crate::real::{Real, alice, number, today};

const KIND: RailKind = RailKind::RedPacket;

#[test]
fn a_packets_number_is_ours_without_its_beginning() {
    assert_eq!(billno(number(1)).len(), 28);
    assert_eq!(of_billno(&billno(number(1))), Some(number(1)));
    assert_eq!(of_billno("10000098201411111234567890"), None);
    assert_eq!(RailKind::of_scene(&KIND.scene("1000")), KIND);
    assert_eq!(KIND.scene("PRODUCT_2"), "red_packet:PRODUCT_2");
}

#[tokio::test]
async fn a_packet_is_paid_when_it_is_opened_and_comes_back_when_it_is_not() {
    let real = Real::new().await;
    let merchant = real.merchant(&[KIND]);
    let day = today();
    for no in [1, 2] {
        let order = real.order(no, KIND, 150, &alice()).await;
        let sent = merchant.send(&order).await;
        assert_eq!(sent.finding, Finding::Processing, "{sent:?}");
        let again = merchant.send(&order).await;
        assert_eq!((again.finding, again.bill_no), (sent.finding, sent.bill_no));
        assert_eq!(real.ask(&merchant, no).await.finding, Finding::Processing);
    }
    real.hands(&format!("packets/{}/open", billno(number(1))), &json!({}))
        .await;
    let asked = real.ask(&merchant, 1).await;
    assert_eq!(asked.finding, Finding::Paid);
    assert_eq!(asked.claims.amount, Some(Fen(150)));
    real.later(24 * 3_600 + 1).await;
    assert_eq!(real.ask(&merchant, 2).await.finding, Finding::Expired);
    assert_eq!(real.ask(&merchant, 1).await.finding, Finding::Paid);
    assert_eq!(real.paid_fen().await, 150);
    // The sandbox is killed and comes back; the bills have both packets and what came back.
    let Real { sandbox, dir, .. } = real;
    sandbox.stop().await;
    let real = Real::open(dir, |_| {}).await;
    let merchant = real.merchant(&[KIND]);
    assert_eq!(real.ask(&merchant, 2).await.finding, Finding::Expired);
    real.later(36 * 3_600).await;
    // The merchant pays by another product since; its old packets are still on its bills.
    let merchant = real.merchant(&[RailKind::Transfer]);
    let order = real.order(2, KIND, 150, &alice()).await;
    let mut lines = Vec::new();
    for date in [day, day.next()] {
        if let Ok(FetchedBill::Ready(bill)) = merchant.bill(&order.mchid, date).await {
            lines.extend(bill.lines.map(|line| line.expect("reads")));
        }
    }
    let of = |no| {
        let name = number(no).to_string();
        let lines = lines.iter().filter(move |line| line.voucher == name);
        lines
            .map(|line| (line.direction, line.amount.0))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(1), [(Direction::Out, 150)]);
    assert_eq!(of(2), [(Direction::Out, 150), (Direction::In, 150)]);
}

#[tokio::test]
async fn what_goes_wrong_is_what_the_table_says() {
    let real = Real::with(|settings| settings.first_top_up_fen = 3_000).await;
    let merchant = real.merchant(&[KIND]);
    let table = [
        ("answer_lost", "unknown", "", "processing"),
        ("error_after", "unknown", "SYSTEMERROR", "processing"),
        ("error_before", "unknown", "SYSTEMERROR", "not_found"),
        ("too_fast", "refused", "FREQ_LIMIT", "not_found"),
        ("unknown_code", "unknown", "CODE_OF_TOMORROW", "processing"),
        ("other_data", "unknown", "FATAL_ERROR", "processing"),
        ("send_failed", "unknown", "SEND_FAILED", "processing"),
        ("html_answer", "unknown", "status_502", "processing"),
        ("query_blind", "processing", "", "not_found"),
        ("query_error", "processing", "", "unknown"),
    ];
    for (no, (fault, word, expected, truth)) in (1..).zip(table) {
        real.once(fault).await;
        let person = json!({ "name": format!("person{no}") });
        let order = real.order(no, KIND, 100, &person).await;
        let sent = merchant.send(&order).await;
        let (found, told) = code(&sent.finding);
        let same = expected.is_empty() || told == expected;
        assert!(found == word && same, "{fault}: {sent:?}");
        let asked = real.ask(&merchant, no).await;
        assert_eq!(code(&asked.finding).0, truth, "{fault}: {asked:?}");
    }
    let refused = |code: &str, cure| Finding::Refused {
        code: code.to_owned(),
        cure,
    };
    let small = real.order(20, KIND, 99, &alice()).await;
    let found = merchant.send(&small).await.finding;
    assert_eq!(found, refused("AMOUNT_LIMIT", Cure::Never));
    let large = real.order(21, KIND, 5_000, &alice()).await;
    let found = merchant.send(&large).await.finding;
    assert_eq!(found, refused("NOTENOUGH", Cure::Float));
    let mut other = real
        .order(9, KIND, 101, &json!({ "name": "person9" }))
        .await;
    other.number = number(9);
    assert_eq!(code(&merchant.send(&other).await.finding).1, "FATAL_ERROR");
}
