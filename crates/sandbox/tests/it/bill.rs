//! Fund-flow bills: when they are there, what is in them, and that hash and totals agree.

use std::io::Read as _;
use std::time::Duration;

use lingqian_sandbox::Booking;
use serde_json::Value;

use crate::client::World;

fn today() -> String {
    let now = jiff::Timestamp::now();
    jiff::tz::Offset::constant(8)
        .to_datetime(now)
        .date()
        .to_string()
}

async fn apply(world: &World, date: &str, more: &str) -> (u16, Value) {
    let path = format!("/v3/bill/fundflowbill?bill_date={date}{more}");
    let answer = world.ask("GET", &path, "").await.expect("answers");
    (answer.status, answer.json())
}

/// Paid and unpaid transfers, and the file of their day.
async fn file(booking: Booking, gzip: bool) -> (World, String, Value) {
    let world = World::with(|settings| settings.booking = booking).await;
    let date = today();
    for number in ["B1", "B2", "B3"] {
        world
            .create(&world.transfer(number, 1_250).await)
            .await
            .expect("answers");
    }
    world
        .admin("POST", "transfers/B1/confirm", &Value::Null)
        .await;
    world
        .admin("POST", "transfers/B2/confirm", &Value::Null)
        .await;
    world
        .admin("POST", "transfers/B3/refuse", &Value::Null)
        .await;
    world.sandbox.advance(Duration::from_secs(36 * 3_600)).await;
    let (status, answer) = apply(&world, &date, if gzip { "&tar_type=GZIP" } else { "" }).await;
    assert_eq!(status, 200, "{answer}");
    let url = answer["download_url"].as_str().expect("an address");
    let path = url
        .strip_prefix(&world.url)
        .expect("on this host")
        .to_owned();
    let body = world.ask("GET", &path, "").await.expect("answers").body;
    let raw = if gzip {
        let mut raw = Vec::new();
        flate2::read::GzDecoder::new(&body[..])
            .read_to_end(&mut raw)
            .expect("unpacks");
        raw
    } else {
        body.to_vec()
    };
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &raw);
    let hex: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        answer["hash_value"], hex,
        "the hash is that of the unpacked file"
    );
    (world, String::from_utf8(raw).expect("UTF-8"), answer)
}

#[tokio::test]
async fn a_bill_has_every_movement_with_its_balance_and_its_totals() {
    for gzip in [false, true] {
        let (_world, text, _) = file(Booking::AtSuccess, gzip).await;
        let lines: Vec<&str> = text.trim_start_matches('\u{feff}').split("\r\n").collect();
        assert!(
            lines[0].starts_with("记账时间,微信支付业务单号"),
            "{}",
            lines[0]
        );
        assert!(
            lines[1].contains(",`充值,`充值,`收入,`10000000.00,`10000000.00,"),
            "{}",
            lines[1]
        );
        assert!(
            lines[2].contains(",`支出,`12.50,`9999987.50,"),
            "{}",
            lines[2]
        );
        assert!(lines[3].ends_with(",`B2"), "{}", lines[3]);
        assert!(lines[4].starts_with("资金流水总笔数"), "{}", lines[4]);
        assert_eq!(lines[5], "`3.0,`1.0,`10000000.00,`2.0,`25.00");
    }
}

#[tokio::test]
async fn money_that_is_booked_at_locking_comes_back_on_the_bill_when_it_was_not_paid() {
    let (_world, text, _) = file(Booking::AtLock, false).await;
    let of_b3: Vec<&str> = text
        .split("\r\n")
        .filter(|line| line.ends_with("`B3"))
        .collect();
    assert_eq!(of_b3.len(), 2, "{text}");
    assert!(
        of_b3[0].contains("`支出,`12.50") && of_b3[1].contains("`收入,`12.50"),
        "{of_b3:?}"
    );
    assert!(
        text.ends_with("`5.0,`2.0,`10000012.50,`3.0,`37.50\r\n"),
        "{text}"
    );
}

#[tokio::test]
async fn bills_that_are_not_there_say_why() {
    let world = World::new().await;
    let code = |answer: (u16, Value)| {
        (
            answer.0,
            answer.1["code"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let today = today();
    assert_eq!(
        code(apply(&world, &today, "").await),
        (400, "INVALID_REQUEST".into())
    );
    assert_eq!(
        code(apply(&world, "2026-13-01", "").await),
        (400, "PARAM_ERROR".into())
    );
    world.sandbox.advance(Duration::from_secs(60 * 3_600)).await;
    assert_eq!(apply(&world, &today, "").await.0, 200);
    let fees = apply(&world, &today, "&account_type=FEES").await;
    assert_eq!(code(fees), (400, "NO_STATEMENT_EXIST".into()));
    let gone = world
        .ask("GET", "/v3/billdownload/file?token=1-2-3", "")
        .await
        .expect("answers");
    assert_eq!(gone.error(), (400, "INVALID_REQUEST".into()));
}
