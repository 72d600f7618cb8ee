//! What a courier makes of receivers that behave, and of those that do not.

use std::time::{Duration, Instant};

use lingqian_hooks::{HttpCourier, Reach};
use lingqian_io::courier::{Courier as _, Receipt};

use crate::receiver::{Manner, header, parcel, start};

const TIMEOUT: Duration = Duration::from_millis(700);

fn courier() -> HttpCourier {
    HttpCourier::new(Reach::Anywhere, TIMEOUT)
}

fn refused(code: &str, retry_after_ms: Option<i64>, gone: bool) -> Receipt {
    Receipt::NotTaken {
        code: code.into(),
        retry_after_ms,
        gone,
    }
}

async fn sent_to(manner: Manner) -> Receipt {
    let (address, seen) = start(manner).await;
    let receipt = courier()
        .deliver(parcel(&format!("http://{address}/hook?a=b")))
        .await;
    assert_eq!(seen.lock().expect("no panic").len(), 1, "it was sent once");
    receipt
}

#[tokio::test]
async fn a_message_arrives_whole_and_signed() {
    let answer = "HTTP/1.1 204 No Content\r\n\r\n";
    let (address, seen) = start(Manner::Says(answer)).await;
    let message = parcel(&format!("http://{address}/hook?a=b"));
    assert_eq!(courier().deliver(message.clone()).await, Receipt::Taken);
    let seen = seen.lock().expect("no panic").remove(0);
    assert!(seen.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{seen}");
    assert!(
        seen.ends_with(&format!("\r\n\r\n{}", message.body)),
        "{seen}"
    );
    assert_eq!(header(&seen, "webhook-id").as_deref(), Some("we_1.7"));
    assert_eq!(
        header(&seen, "webhook-timestamp").as_deref(),
        Some("1772424000")
    );
    assert_eq!(
        header(&seen, "content-type").as_deref(),
        Some("application/json")
    );
    let signature = header(&seen, "webhook-signature").expect("a signature");
    assert!(signature.starts_with("v1,"), "{signature}");
}

#[tokio::test]
async fn refusals_tell_what_the_other_side_wants() {
    let says = |answer| sent_to(Manner::Says(answer));
    let gone = says("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(gone, refused("http_410", None, true));
    let later = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(says(later).await, refused("http_429", Some(120_000), false));
    let dated = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\
                 Retry-After: Mon, 02 Mar 2026 04:01:00 GMT\r\n\r\n";
    assert_eq!(says(dated).await, refused("http_503", Some(59_877), false));
    let words = "HTTP/1.1 500 Oops\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(says(words).await, refused("http_500", None, false));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (aim, seen) = start(Manner::Says("HTTP/1.1 200 OK\r\n\r\n")).await;
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{aim}/\r\nContent-Length: 0\r\n\r\n"
    );
    let receipt = sent_to(Manner::Says(answer.leak())).await;
    assert_eq!(receipt, refused("http_307", None, false));
    assert_eq!(seen.lock().expect("no panic").len(), 0);
}

#[tokio::test]
async fn who_hangs_or_leaves_is_given_up_in_time() {
    let begun = Instant::now();
    assert_eq!(sent_to(Manner::Hangs).await, Receipt::unanswered("timeout"));
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        sent_to(Manner::Closes).await,
        Receipt::unanswered("connection_lost")
    );
    let (address, _) = start(Manner::Hangs).await;
    let closed = format!("http://127.0.0.1:{}", address.port().wrapping_add(1).max(1));
    let receipt = courier().deliver(parcel(&closed)).await;
    assert_eq!(receipt, Receipt::unanswered("connect_failed"));
}

#[tokio::test]
async fn an_endless_or_a_huge_answer_counts_by_its_status_and_is_not_read() {
    let begun = Instant::now();
    assert_eq!(sent_to(Manner::Drips).await, Receipt::Taken);
    assert_eq!(
        sent_to(Manner::Floods(10 * 1024 * 1024)).await,
        Receipt::Taken
    );
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn nothing_private_is_sent_to_whatever_it_is_called() {
    let (address, seen) = start(Manner::Says("HTTP/1.1 200 OK\r\n\r\n")).await;
    let port = address.port();
    let guarded = HttpCourier::new(Reach::Public, TIMEOUT);
    for (host, code) in [
        ("https://127.0.0.1", "private_address"),
        ("https://[::1]", "private_address"),
        ("https://[::ffff:127.0.0.1]", "private_address"),
        ("https://169.254.169.254", "private_address"),
        // It is looked up, and is this machine all the same.
        ("https://localhost", "private_address"),
        // Other spellings of this machine; no certificate could be for such a name.
        ("https://2130706433", "connect_failed"),
        ("https://0x7f.1", "connect_failed"),
        ("http://127.0.0.1", "clear_text"),
        ("http://example.com", "clear_text"),
    ] {
        let receipt = guarded.deliver(parcel(&format!("{host}:{port}/"))).await;
        assert_eq!(receipt, Receipt::unanswered(code), "{host}");
    }
    assert_eq!(
        seen.lock().expect("no panic").len(),
        0,
        "not a byte was sent"
    );
}
