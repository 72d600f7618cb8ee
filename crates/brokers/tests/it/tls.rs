//! RabbitMQ over TLS: an authority of one's own, certificates instead of passwords, and a code for
//! each way in which it cannot work.

use std::path::PathBuf;
use std::sync::Arc;

use lingqian_brokers::figures::Figures;
use lingqian_brokers::rabbitmq::{
    Identity, QueueType, RabbitIn, RabbitOut, RabbitPublisher, Tls, Topology, read,
};
use lingqian_brokers::sink::Publisher as _;
use tokio::sync::watch;

use crate::rabbitmq::{broker, channel, from, left, name, publish, read_all};
use crate::world::{World, message, until};

/// The environment variables that tell where a broker speaks TLS, and the folder of its authority.
const TLS: &str = "LINGQIAN_TEST_RABBITMQ_TLS";
const AUTHORITY: &str = "LINGQIAN_TEST_RABBITMQ_AUTHORITY";
/// What the client's PKCS#12 file is closed with.
const PASSWORD: &str = "lingqian-tests";

fn named(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set; `cargo xtask test` starts a broker"))
}

fn file(name: &str) -> Vec<u8> {
    let path = PathBuf::from(named(AUTHORITY)).join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text(name: &str) -> String {
    String::from_utf8(file(name)).expect("a text")
}

/// The address of the door for TLS; `login` is what stands before the host.
fn address(login: &str, more: &str) -> String {
    format!("amqps://{login}{}/%2f{more}", named(TLS))
}

fn believes(authority: &str) -> Tls {
    Tls {
        authority: Some(text(authority)),
        identity: None,
    }
}

fn with(identity: Identity) -> Tls {
    Tls {
        identity: Some(identity),
        ..believes("ca.pem")
    }
}

fn by_pem() -> Identity {
    Identity::Pem {
        certificate: text("client.pem"),
        key: text("client.key"),
    }
}

fn by_pkcs12(password: &str) -> Identity {
    Identity::Pkcs12 {
        der: file("client.p12"),
        password: password.to_owned(),
    }
}

/// Where a certificate says who we are.
const EXTERNAL: &str = "?auth_mechanism=external";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_and_notices_go_over_tls_by_password_and_by_certificate() {
    let (world, desk) = World::working().await;
    let (queue, (_connection, plain)) = (name("tls"), channel().await);
    let ways = [
        (address("guest:guest@", ""), believes("ca.pem")),
        (address("", EXTERNAL), with(by_pem())),
        (address("", EXTERNAL), with(by_pkcs12(PASSWORD))),
    ];
    for (no, (url, tls)) in ways.into_iter().enumerate() {
        publish(
            &plain,
            &queue,
            "quorum",
            &[message(&format!("e{no}"), "alice")],
        )
        .await;
        let intake = world.intake(&desk, "rabbitmq:app");
        let through = RabbitIn {
            urls: vec![url.clone()],
            tls: tls.clone(),
            ..from(&queue, QueueType::Quorum)
        };
        read_all(&intake, through, 1).await;
        assert_eq!(intake.figures.faults(), [].into(), "way {no}");
        assert_eq!(world.credited().await, no as u64 + 1);
        let mut publisher = RabbitPublisher::new(RabbitOut {
            urls: vec![url],
            tls,
            exchange: name("tls-feed"),
            topology: Topology::Declare,
        });
        assert_eq!(publisher.publish(&[]).await, Ok(()), "way {no}");
    }
    assert_eq!(left(&plain, &queue).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_cannot_work_has_a_code_and_changes_nothing() {
    let (queue, (_connection, plain)) = (name("refused"), channel().await);
    publish(&plain, &queue, "quorum", &[message("e1", "alice")]).await;
    let (guest, tls_port) = ("guest:guest@", named(TLS));
    let clear = broker();
    let clear_host = clear.split('@').nth(1).expect("a host");
    let wrong = [
        // Nothing that the system believes has signed it, and neither has this one.
        (
            address(guest, ""),
            Tls::default(),
            "tls_certificate_refused",
        ),
        (
            address(guest, ""),
            believes("other.pem"),
            "tls_certificate_refused",
        ),
        (
            address(guest, "").replace("localhost", "127.0.0.2"),
            believes("ca.pem"),
            "connection_refused",
        ),
        (
            address("guest:wrong@", ""),
            believes("ca.pem"),
            "access_refused",
        ),
        (
            address("nobody:guest@", ""),
            believes("ca.pem"),
            "access_refused",
        ),
        (address("", EXTERNAL), believes("ca.pem"), "access_refused"),
        (
            address("", EXTERNAL),
            with(by_pkcs12("wrong")),
            "tls_identity_unreadable",
        ),
        // TLS where clear text is spoken.
        (
            format!("amqps://{guest}{clear_host}"),
            believes("ca.pem"),
            "tls_failed",
        ),
        (
            broker().replace("guest:guest", "guest:wrong"),
            Tls::default(),
            "access_refused",
        ),
        (
            format!("{}absent", address(guest, "")),
            believes("ca.pem"),
            "not_allowed",
        ),
    ];
    for (url, tls, code) in wrong {
        assert_eq!(refused(&queue, &url, tls).await, code, "{url}");
    }
    // Clear text where TLS is spoken: the server says so in its own words or hangs up, by chance.
    let url = format!("amqp://{guest}{tls_port}/%2f");
    let code = refused(&queue, &url, Tls::default()).await;
    assert!(["no_greeting", "not_amqp"].contains(&code), "{code}");
    assert_eq!(left(&plain, &queue).await, 1, "the message waits");
}

/// The code of the first failure.
async fn refused(queue: &str, url: &str, tls: Tls) -> &'static str {
    let (world, desk) = World::working().await;
    let intake = world.intake(&desk, "rabbitmq:app");
    let through = RabbitIn {
        urls: vec![url.to_owned()],
        tls,
        ..from(queue, QueueType::Quorum)
    };
    let (stop, stopped) = watch::channel(false);
    let reading = tokio::spawn(read(intake.clone(), through, stopped));
    let figures: Arc<Figures> = Arc::clone(&intake.figures);
    until("it is refused", || !figures.faults().is_empty()).await;
    stop.send_replace(true);
    reading.await.expect("it ends");
    assert_eq!(world.credited().await, 0);
    let faults = figures.faults().into_keys();
    faults.last().expect("there is one")
}

#[test]
fn secrets_are_in_no_words() {
    let tls = Tls {
        authority: Some("geheim".to_owned()),
        identity: Some(Identity::Pkcs12 {
            der: b"geheim".to_vec(),
            password: "geheim".to_owned(),
        }),
    };
    assert!(!format!("{tls:?}").contains("geheim"));
    for wrong in ["amqp://u:geheim@", "http://u:geheim@h", "geheim"] {
        let words = lingqian_brokers::rabbitmq::check(wrong).expect_err(wrong);
        assert!(!words.contains("geheim"), "{words}");
    }
}
