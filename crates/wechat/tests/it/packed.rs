//! Batches of many against the sandbox: one request, one number, and what is made of each answer.

use lingqian_core::money::Fen;
use lingqian_core::seat::Seat;
use lingqian_core::transfer::{Cure, Finding, Origin, TransferOrder, TransferReport};
use lingqian_io::Rail as _;
use lingqian_io::rail::{FetchedBill, Opened};
use lingqian_wechat::settings::RailKind;
use serde_json::json;

use crate::real::{Merchant, Real, notification, today};

const KIND: RailKind = RailKind::Batch;

/// So many orders of one batch, each to somebody else; every hundredth person is frozen.
async fn packed(real: &Real, of: u16) -> Vec<TransferOrder> {
    let mut orders = Vec::with_capacity(of.into());
    for place in 1..=of {
        let person = json!({ "name": format!("person-{place}"), "frozen": place % 100 == 0 });
        let mut order = real.order(place.into(), KIND, 100, &person).await;
        order.amount = Fen(100 + i64::from(place));
        orders.push(order);
    }
    let batch = orders[0].number;
    for (place, order) in (1..).zip(&mut orders) {
        order.seat = Seat::new(batch, place, of);
    }
    orders
}

/// The findings, each once, in the order in which they come first.
fn findings(reports: &[TransferReport]) -> Vec<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    for report in reports {
        if !all.contains(&report.finding) {
            all.push(report.finding.clone());
        }
    }
    all
}

fn unknown(code: &str) -> Vec<Finding> {
    let code = code.to_owned();
    vec![Finding::Unknown { code }]
}

fn refused(code: &str, cure: Cure) -> Vec<Finding> {
    let code = code.to_owned();
    vec![Finding::Refused { code, cure }]
}

async fn sent(merchant: &Merchant, orders: &[TransferOrder]) -> Vec<Finding> {
    let reports = merchant.send_all(orders).await;
    let told: Vec<_> = reports.iter().map(|report| report.number).collect();
    let own: Vec<_> = orders.iter().map(|order| order.number).collect();
    assert_eq!(told, own, "each is told of, in its place");
    assert!(reports.iter().all(|one| one.origin == Origin::Answer));
    findings(&reports)
}

/// After a while each of three is paid, and once.
async fn all_three_are_paid(real: &Real, merchant: &Merchant, orders: &[TransferOrder]) {
    real.later(5).await;
    real.later(5).await;
    let asked = findings(&merchant.ask_all(orders).await);
    assert_eq!(asked, [Finding::Paid]);
    assert_eq!(real.paid_fen().await, 101 + 102 + 103);
}

#[tokio::test]
async fn three_hundred_go_out_in_one_request_and_each_ends_by_itself() {
    let (real, listener) = Real::new().await.hooked().await;
    let merchant = real.merchant(&[KIND]);
    let orders = packed(&real, 300).await;
    let day = today();
    assert_eq!(sent(&merchant, &orders).await, [Finding::Processing]);
    // The same again is the same; a part, or other content, never goes out or is not taken.
    assert_eq!(sent(&merchant, &orders).await, [Finding::Processing]);
    let parted = refused("batch_not_whole", Cure::Person);
    assert_eq!(sent(&merchant, &orders[..299]).await, parted);
    let alone = merchant.send(&orders[7]).await;
    assert_eq!(vec![alone.finding], parted, "nor one of it by itself");
    let mut other = orders.clone();
    other[299].amount = Fen(1_000);
    assert_eq!(sent(&merchant, &other).await, unknown("INVALID_REQUEST"));

    real.later(5).await;
    real.later(5).await;
    let asked = merchant.ask_all(&orders).await;
    let mut fen = 0;
    for (order, report) in orders.iter().zip(&asked) {
        let expected = if order.seat.is_some_and(|seat| seat.place() % 100 == 0) {
            Finding::Failed {
                code: "ACCOUNT_FROZEN".into(),
                cure: Cure::Never,
            }
        } else {
            fen += order.amount.0;
            Finding::Paid
        };
        assert_eq!((report.number, &report.finding), (order.number, &expected));
        assert_eq!(report.claims.amount, Some(order.amount));
        assert_eq!(report.claims.openid.as_ref(), Some(&order.openid));
        assert!(report.bill_no.is_some());
    }
    assert_eq!(real.paid_fen().await, fen);
    let one = merchant.ask(&orders[1]).await;
    assert_eq!(one.finding, Finding::Paid, "one may be asked about alone");
    // What a notification says of many says nothing of one.
    let opened = merchant.open(&notification(&listener).await).await;
    let event = "MCHTRANSFER.BATCH.FINISHED".to_owned();
    assert_eq!(opened, Ok(Opened::Other { event }));

    real.later(36 * 3_600).await;
    let mut lines = Vec::new();
    for date in [day, day.next()] {
        if let Ok(FetchedBill::Ready(bill)) = merchant.bill(&orders[0].mchid, date).await {
            lines.extend(bill.lines.map(|line| line.expect("reads")));
        }
    }
    for (order, report) in orders.iter().zip(&asked) {
        let number = order.number.to_string();
        let mut own = lines.iter().filter(|line| line.voucher == number);
        let amount = (report.finding == Finding::Paid).then_some(order.amount);
        assert_eq!(own.next().map(|line| line.amount), amount, "{number}");
        assert_eq!(own.next(), None, "{number} is on it once");
    }
}

#[tokio::test]
async fn a_lost_answer_is_unknown_of_each_and_the_same_again_pays_once() {
    let real = Real::new().await;
    let merchant = real.merchant(&[KIND]);
    let orders = packed(&real, 3).await;
    real.once("answer_lost").await;
    let lost = sent(&merchant, &orders).await;
    assert!(
        matches!(lost.as_slice(), [Finding::Unknown { .. }]),
        "{lost:?}"
    );
    assert_eq!(sent(&merchant, &orders).await, [Finding::Processing]);
    all_three_are_paid(&real, &merchant, &orders).await;
}

#[tokio::test]
async fn a_refusal_of_many_is_believed_only_if_the_batch_is_not_there() {
    let real = Real::new().await;
    let merchant = real.merchant(&[KIND]);
    let orders = packed(&real, 3).await;
    real.once("too_fast").await;
    let later = refused("FREQUENCY_LIMITED", Cure::Later);
    assert_eq!(sent(&merchant, &orders).await, later);
    // Nobody can say: nothing is concluded, and the same goes out again.
    for faults in [
        json!({ "times": { "too_fast": 1, "query_error": 1 } }),
        json!({ "times": { "too_fast": 1 }, "errors_unsigned": true }),
    ] {
        real.hands("faults", &faults).await;
        let heard = sent(&merchant, &orders).await;
        assert!(
            matches!(heard.as_slice(), [Finding::Unknown { .. }]),
            "{faults}: {heard:?}"
        );
        real.hands("faults", &json!({})).await;
    }
    let absent = findings(&merchant.ask_all(&orders).await);
    assert_eq!(absent, [Finding::NotFound]);
    // Refused by word, and there all the same.
    let lie = json!({ "answers": [{ "accepted": true, "status": 429,
        "code": "FREQUENCY_LIMITED", "message": "…" }] });
    real.hands("faults", &lie).await;
    assert_eq!(sent(&merchant, &orders).await, unknown("FREQUENCY_LIMITED"));
    all_three_are_paid(&real, &merchant, &orders).await;
}

#[tokio::test]
async fn a_batch_that_is_closed_ends_each_and_a_rail_that_has_none_sends_nothing() {
    let real = Real::new().await;
    let merchant = real.merchant(&[KIND]);
    let orders = packed(&real, 3).await;
    let old = real.merchant(&[RailKind::Transfer]);
    let absent = refused("rail_absent", Cure::Person);
    assert_eq!(sent(&old, &orders).await, absent);
    real.once("batch_unfunded").await;
    assert_eq!(sent(&merchant, &orders).await, [Finding::Processing]);
    real.later(23 * 3_600).await;
    let asked = findings(&merchant.ask_all(&orders).await);
    assert_eq!(asked, [Finding::Processing]);
    real.later(3_700).await;
    let closed = Finding::Failed {
        code: "OVERDUE_CLOSE".into(),
        cure: Cure::Person,
    };
    assert_eq!(findings(&merchant.ask_all(&orders).await), [closed]);
    assert_eq!(real.paid_fen().await, 0);
    let packs = real.merchant(&[KIND]).packing(5_000).packs();
    assert_eq!(packs.into_values().collect::<Vec<_>>(), [1_000]);
    assert!(old.packing(5).packs().is_empty());
}
