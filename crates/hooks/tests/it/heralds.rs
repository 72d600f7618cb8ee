//! Alerts to robots, webhooks and mail: their forms, their codes, and targets that misbehave.

use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lingqian_core::time::Timestamp;
use lingqian_hooks::{Mail, NetHerald, Reach, Way, sign};
use lingqian_io::alerts::{Alert, AlertKey, Herald as _, Item, Target, Telling, What};
use lingqian_io::courier::Receipt;
use serde_json::Value;

use crate::mailbox;
use crate::receiver::{Manner, Seen, header, start};

const TIMEOUT: Duration = Duration::from_millis(700);
const AT: Timestamp = Timestamp(1_772_424_000_123);
const RUNBOOK: &str = "https://ops.example/runbook";

fn item(what: What, subject: &str) -> Item {
    Item {
        what,
        alert: Alert {
            key: AlertKey {
                kind: "float_empty".into(),
                subject: subject.into(),
            },
            since: AT,
            noticed_at: AT,
            ended_at: (what == What::Ended).then_some(AT),
            words: "the account\nis empty".into(),
        },
        title: "商户余额不足",
        grave: true,
    }
}

fn telling(items: Vec<Item>) -> Telling {
    Telling {
        target: "ops".into(),
        id: "al_1".into(),
        at: AT,
        items,
    }
}

fn herald(way: Way, reach: Reach) -> NetHerald {
    let target = Target {
        name: "ops".into(),
        kinds: Vec::new(),
    };
    NetHerald::new(vec![(target, way)], RUNBOOK, (reach, TIMEOUT))
}

async fn told(way: Way, items: Vec<Item>) -> Receipt {
    herald(way, Reach::Anywhere).tell(telling(items)).await
}

fn refused(code: &str, retry_after_ms: Option<i64>) -> Receipt {
    Receipt::NotTaken {
        code: code.into(),
        retry_after_ms,
        gone: false,
    }
}

fn says(body: &str) -> Manner {
    let length = body.len();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
    Manner::Says(format!("{head} {length}\r\n\r\n{body}").leak())
}

const FINE: &str = r#"{"errcode":0,"errmsg":"ok"}"#;

fn only(seen: &Seen) -> (String, Value) {
    let mut seen = seen.lock().expect("no panic");
    assert_eq!(seen.len(), 1, "it was sent once");
    let request = seen.remove(0);
    let (_, body) = request.split_once("\r\n\r\n").expect("a body");
    let body = serde_json::from_str(body).expect("JSON");
    (request, body)
}

#[tokio::test]
async fn wecom_gets_markdown_that_fits_and_says_how_many_are_left_out() {
    let (address, seen) = start(says(FINE)).await;
    let url = format!("http://{address}/cgi-bin/webhook/send?key=k");
    let way = || Way::Wecom { url: url.clone() };
    assert_eq!(
        told(way(), vec![item(What::Began, "merchant:1")]).await,
        Receipt::Taken
    );
    let (request, body) = only(&seen);
    assert!(request.starts_with("POST /cgi-bin/webhook/send?key=k HTTP/1.1\r\n"));
    assert_eq!(body["msgtype"], "markdown");
    let text = body["markdown"]["content"].as_str().expect("a text");
    for words in [
        "Lingqian 零钱",
        "商户余额不足",
        "merchant:1",
        "2026-03-02 12:00:00",
        "the account is empty",
        "(https://ops.example/runbook#float_empty)",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let many: Vec<Item> = (0..500)
        .map(|no| item(What::Began, &format!("merchant:{no}")))
        .collect();
    assert_eq!(told(way(), many).await, Receipt::Taken);
    let (_, body) = only(&seen);
    let text = body["markdown"]["content"].as_str().expect("a text");
    assert!(text.len() <= 4_096, "{} bytes", text.len());
    assert!(text.contains("500 新增 new"), "{text}");
    assert!(text.contains("more: `lingqian alerts list`"), "{text}");
    // A trial.
    assert_eq!(told(way(), Vec::new()).await, Receipt::Taken);
    assert!(only(&seen).0.contains("试发 trial"));
}

#[tokio::test]
async fn dingtalk_gets_a_signed_address() {
    let (address, seen) = start(says(FINE)).await;
    let way = Way::Dingtalk {
        url: format!("http://{address}/robot/send?access_token=t"),
        secret: Some("SECgeheim".into()),
    };
    assert_eq!(
        told(way, vec![item(What::Ended, "x")]).await,
        Receipt::Taken
    );
    let (request, body) = only(&seen);
    assert_eq!(body["msgtype"], "markdown");
    assert_eq!(body["markdown"]["title"], "[Lingqian 零钱] 1 恢复 over");
    let line = request.lines().next().expect("a line");
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"SECgeheim");
    let sign = STANDARD.encode(hmac::sign(&key, b"1772424000123\nSECgeheim"));
    let sign = sign
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    let target = format!("/robot/send?access_token=t&timestamp=1772424000123&sign={sign} ");
    assert!(line.contains(&target), "{line}");
    assert!(!request.contains("SECgeheim"));
}

#[tokio::test]
async fn a_webhook_is_signed_and_tells_everything_to_programs() {
    let (address, seen) = start(Manner::Says("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let key = sign::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let url = format!("http://{address}/alerts");
    let way = |key| Way::Webhook {
        url: url.clone(),
        key,
    };
    let items = || vec![item(What::Ended, "merchant:1")];
    assert_eq!(told(way(key), items()).await, Receipt::Taken);
    let (request, body) = only(&seen);
    assert_eq!(header(&request, "webhook-id").as_deref(), Some("al_1"));
    let signature = header(&request, "webhook-signature").expect("a signature");
    assert!(signature.starts_with("v1,"), "{signature}");
    assert_eq!(body["type"], "alert");
    let alert = &body["alerts"][0];
    assert_eq!(alert["what"], "ended");
    assert_eq!(alert["severity"], "critical");
    assert_eq!(alert["runbook"], "https://ops.example/runbook#float_empty");
    assert_eq!(told(way(None), items()).await, Receipt::Taken);
    assert_eq!(header(&only(&seen).0, "webhook-signature"), None);
}

#[tokio::test]
async fn a_robots_code_decides_and_its_limits_are_respected() {
    let asked = async |body: &str, dingtalk: bool| {
        let (address, _) = start(says(body)).await;
        let url = format!("http://{address}/");
        let way = match dingtalk {
            true => Way::Dingtalk { url, secret: None },
            false => Way::Wecom { url },
        };
        told(way, vec![item(What::Began, "x")]).await
    };
    let wecom = asked(
        r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#,
        false,
    )
    .await;
    assert_eq!(wecom, refused("errcode_45009", Some(60_000)));
    let dingtalk = asked(r#"{"errcode":130101,"errmsg":"send too fast"}"#, true).await;
    assert_eq!(dingtalk, refused("errcode_130101", Some(600_000)));
    let unsigned = asked(r#"{"errcode":310000,"errmsg":"sign not match"}"#, true).await;
    assert_eq!(unsigned, refused("errcode_310000", None));
    for unreadable in ["", "<html>", r#"{"errmsg":"ok"}"#, r#"{"errcode":"0"}"#] {
        let said = asked(unreadable, false).await;
        assert_eq!(said, refused("answer_unreadable", None), "{unreadable}");
    }
}

#[tokio::test]
async fn targets_that_misbehave_are_left_in_time_and_take_nothing() {
    let begun = Instant::now();
    for (manner, code) in [
        (Manner::Hangs, "timeout"),
        (Manner::Closes, "connection_lost"),
        (Manner::Drips, "answer_unreadable"),
        (Manner::Floods(10 * 1024 * 1024), "answer_unreadable"),
        (
            Manner::Says(
                "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
            ),
            "http_302",
        ),
    ] {
        let (address, _) = start(manner).await;
        let url = format!("http://{address}/");
        let said = told(Way::Wecom { url }, vec![item(What::Began, "x")]).await;
        assert_eq!(said, refused(code, None), "{manner:?}");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn nothing_private_is_told_unless_it_is_allowed() {
    let (address, seen) = start(says(FINE)).await;
    let (port, to) = (address.port(), vec!["ops@example.com".to_owned()]);
    let mail = |server: String| {
        let mail = Mail::new(&server, "lingqian@example.com", &to).expect("a server");
        Way::Email(Box::new(mail))
    };
    for (way, code) in [
        (
            Way::Wecom {
                url: format!("http://127.0.0.1:{port}/"),
            },
            "clear_text",
        ),
        (
            Way::Wecom {
                url: format!("https://localhost:{port}/"),
            },
            "private_address",
        ),
        (
            Way::Dingtalk {
                url: format!("https://127.0.0.1:{port}/"),
                secret: None,
            },
            "private_address",
        ),
        (
            Way::Webhook {
                url: format!("https://[::1]:{port}/"),
                key: None,
            },
            "private_address",
        ),
        (mail(format!("smtps://localhost:{port}")), "private_address"),
        (mail(format!("smtp://127.0.0.1:{port}")), "private_address"),
        (mail(format!("smtp+clear://localhost:{port}")), "clear_text"),
    ] {
        let herald = herald(way, Reach::Public);
        let said = herald.tell(telling(Vec::new())).await;
        assert_eq!(said, refused(code, None));
    }
    assert_eq!(
        seen.lock().expect("no panic").len(),
        0,
        "not a byte was sent"
    );
}

#[tokio::test]
async fn mail_arrives_encrypted_with_its_login_and_its_words() {
    for (scheme, safety) in [
        ("smtps", mailbox::Safety::Tls),
        ("smtp", mailbox::Safety::StartTls),
        ("smtp+clear", mailbox::Safety::Clear),
    ] {
        let server = mailbox::start(safety).await;
        let to = [
            "Ops 运维 <ops@example.com>".to_owned(),
            "duty@example.com".to_owned(),
        ];
        let address = format!("{scheme}://localhost:{}", server.port);
        let mail = Mail::new(&address, "lingqian@example.com", &to).expect("a server");
        let mail = mail.with_login("robot".into(), "geheim".into());
        let mail = mail
            .with_authority(server.authority.as_bytes())
            .expect("PEM");
        let said = told(
            Way::Email(Box::new(mail)),
            vec![item(What::Began, "merchant:1")],
        )
        .await;
        assert_eq!(said, Receipt::Taken, "{scheme}");
        let got = server.got.lock().expect("no panic").clone();
        let lines = got.join("\n");
        assert!(
            lines.contains("MAIL FROM:<lingqian@example.com>"),
            "{lines}"
        );
        assert!(lines.contains("RCPT TO:<ops@example.com>"), "{lines}");
        assert!(lines.contains("RCPT TO:<duty@example.com>"), "{lines}");
        let login = STANDARD.encode("\0robot\0geheim");
        assert!(lines.contains(&format!("AUTH PLAIN {login}")), "{lines}");
        assert!(
            lines.contains("Message-ID: <al_1@lingqian.invalid>"),
            "{lines}"
        );
        assert!(lines.contains("Subject: [Lingqian =?utf-8?b?"), "{lines}");
        if safety != mailbox::Safety::Clear {
            let clear = server.clear.lock().expect("no panic").join("\n");
            assert!(!clear.contains("AUTH"), "in clear text: {clear}");
        }
    }
}

#[tokio::test]
async fn mail_servers_that_misbehave_are_left_in_time() {
    let begun = Instant::now();
    for (manner, code) in [
        (mailbox::Safety::Hangs, "timeout"),
        (mailbox::Safety::Refuses, "smtp_550"),
        (mailbox::Safety::Floods, "connection_lost"),
        (mailbox::Safety::NoTls, "starttls_missing"),
    ] {
        let server = mailbox::start(manner).await;
        let scheme = match manner {
            mailbox::Safety::NoTls => "smtp",
            _ => "smtp+clear",
        };
        let address = format!("{scheme}://localhost:{}", server.port);
        let to = ["ops@example.com".to_owned()];
        let mail = Mail::new(&address, "lingqian@example.com", &to).expect("a server");
        let said = told(Way::Email(Box::new(mail)), Vec::new()).await;
        assert_eq!(said, refused(code, None), "{manner:?}");
    }
    // A certificate that nobody vouches for.
    let server = mailbox::start(mailbox::Safety::Tls).await;
    let address = format!("smtps://localhost:{}", server.port);
    let to = ["ops@example.com".to_owned()];
    let mail = Mail::new(&address, "lingqian@example.com", &to).expect("a server");
    let said = told(Way::Email(Box::new(mail)), Vec::new()).await;
    assert_eq!(said, refused("tls_failed", None));
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}
