//! How the client behaves: the other host, clocks that are apart, and 429.

use lingqian_core::transfer::Finding;
use lingqian_io::Rail as _;
use lingqian_wechat::skew::WARN_MS;
use tokio::time::Instant;

use crate::world::{APIV3_KEY, Key, Listener, NOW, Pay, SERIAL, Say, client, order, with_backup};

/// Nobody listens there.
const CLOSED: &str = "http://127.0.0.1:1";

fn two(main: &str, backup: &str, key: &Key) -> Pay {
    with_backup((main, Some(backup)), "1900000109", APIV3_KEY, (SERIAL, key))
}

fn not_found(key: &Key) -> Say {
    let body = b"{\"code\":\"NOT_FOUND\",\"message\":\"\"}".to_vec();
    Say::Answer(404, key.proof(SERIAL, NOW, &body), body)
}

fn refused(key: &Key, status: u16, code: &str) -> Say {
    let body = format!("{{\"code\":\"{code}\",\"message\":\"\"}}").into_bytes();
    Say::Answer(status, key.proof(SERIAL, NOW, &body), body)
}

#[tokio::test]
async fn what_did_not_go_out_goes_to_the_other_host_under_the_same_signature() {
    let key = Key::new();
    let backup = Listener::open(refused(&key, 403, "NOT_ENOUGH")).await;
    let pay = two(CLOSED, &backup.url, &key);
    let sent = pay.send(&order(None)).await.finding;
    assert!(matches!(sent, Finding::Refused { .. }), "{sent:?}");
    assert_eq!(backup.requests(), 1);
    assert!(backup.last_request().starts_with("POST /v3/fund-app/"));
    // For a while it is asked first, and the main one is not waited for.
    let begun = Instant::now();
    pay.send(&order(None)).await;
    assert!(begun.elapsed().as_millis() < 300 && backup.requests() == 2);
}

#[tokio::test]
async fn what_may_have_arrived_is_sent_to_no_other_host_and_a_question_is() {
    let key = Key::new();
    let backup = Listener::open(not_found(&key)).await;
    for lost in [Say::Nothing, Say::Half, Say::Silence] {
        let main = Listener::open(lost.clone()).await;
        let pay = two(&main.url, &backup.url, &key);
        let before = backup.requests();
        let sent = pay.send(&order(None)).await.finding;
        assert!(
            matches!(sent, Finding::Unknown { .. }),
            "{lost:?}: {sent:?}"
        );
        assert_eq!(backup.requests(), before, "{lost:?}: it may have arrived");
        let pay = two(&main.url, &backup.url, &key);
        assert_eq!(
            pay.ask(&order(None)).await.finding,
            Finding::NotFound,
            "{lost:?}"
        );
        assert_eq!(backup.requests(), before + 1);
    }
}

#[tokio::test]
async fn both_hosts_away_is_no_answer() {
    let key = Key::new();
    let pay = two(CLOSED, "http://127.0.0.1:2", &key);
    for _ in 0..3 {
        let sent = pay.send(&order(None)).await.finding;
        let unknown = Finding::Unknown {
            code: "connect_failed".into(),
        };
        assert_eq!(sent, unknown);
    }
}

#[tokio::test]
async fn clocks_that_are_apart_are_seen_long_before_signatures_are_refused() {
    let key = Key::new();
    for (ahead, far) in [
        (0, false),
        (-20_000, false),
        (90_000, true),
        (-90_000, true),
    ] {
        let body = b"{\"code\":\"NOT_FOUND\",\"message\":\"\"}".to_vec();
        let proof = key.proof(SERIAL, NOW.after_ms(ahead), &body);
        let listener = Listener::open(Say::Answer(404, proof, body)).await;
        let pay = client(&listener.url, &key);
        assert_eq!(pay.skew_ms(), None);
        // Within five minutes it is still believed.
        assert_eq!(pay.ask(&order(None)).await.finding, Finding::NotFound);
        let skew = pay.skew_ms().expect("an answer came");
        assert!((skew - ahead).abs() < 2_000, "{ahead}: {skew}");
        assert_eq!(skew.abs() >= WARN_MS, far);
    }
    // Servers that do not sign say what time it is, too.
    let date = vec![(
        "date".to_owned(),
        "Mon, 02 Mar 2026 04:02:00 GMT".to_owned(),
    )];
    let listener = Listener::open(Say::Answer(502, date, b"<html>".to_vec())).await;
    let pay = client(&listener.url, &key);
    pay.ask(&order(None)).await;
    assert_eq!(pay.skew_ms(), Some(120_000));
}

#[tokio::test]
async fn after_429_everybody_who_calls_the_same_waits() {
    let key = Key::new();
    let listener = Listener::open(refused(&key, 429, "FREQUENCY_LIMITED")).await;
    let pay = client(&listener.url, &key);
    pay.send(&order(None)).await;
    assert_eq!((pay.slowed(), listener.requests()), (1, 1));
    let begun = Instant::now();
    // Questions have a pace of their own.
    pay.ask(&order(None)).await;
    assert!(begun.elapsed().as_millis() < 500);
    let (one, other) = (order(None), order(None));
    tokio::join!(pay.send(&one), pay.send(&other));
    assert!(begun.elapsed().as_millis() >= 700, "{:?}", begun.elapsed());
}
