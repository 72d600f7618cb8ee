//! Kafka behind TLS and SASL. librdkafka's own cluster speaks neither, and of the servers of other
//! people's making none does in a way that can be used; so one of them stands behind a door
//! (`tests/kafka_door.py`) that does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use lingqian_brokers::kafka::{KafkaIn, KafkaOut, KafkaPublisher, read};
use lingqian_brokers::sink::Publisher as _;
use lingqian_core::notice::{Event, Notice, Told};
use lingqian_core::time::Timestamp;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::sync::watch;

use crate::kafka::{make_topics_at, name};
use crate::world::{World, message, until};

/// The environment variables that tell where the door is, and the folder of its authority.
const SECURED: &str = "LINGQIAN_TEST_KAFKA_SECURED";
const AUTHORITY: &str = "LINGQIAN_TEST_KAFKA_AUTHORITY";
/// What the door's user says.
const PASSWORD: &str = "lingqian-tests";

type Settings = BTreeMap<String, String>;

fn named(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set; `cargo xtask test --brokers` starts a server")
    })
}

fn authority(file: &str) -> String {
    let path = PathBuf::from(named(AUTHORITY)).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn settings(mechanism: &str, password: &str, file: &str) -> Settings {
    let all = [
        ("security.protocol", "sasl_ssl"),
        ("sasl.mechanism", mechanism),
        ("sasl.username", "lingqian"),
        ("sasl.password", password),
        ("ssl.ca.pem", &authority(file)),
        ("session.timeout.ms", "6000"),
    ];
    all.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn client(settings: &Settings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", named(SECURED));
    for (name, value) in settings {
        if name != "session.timeout.ms" {
            config.set(name, value);
        }
    }
    config
}

fn from(topic: &str, settings: Settings) -> KafkaIn {
    KafkaIn {
        name: "app".to_owned(),
        brokers: named(SECURED),
        topics: vec![topic.to_owned()],
        group: format!("group-{topic}-{}", settings["sasl.mechanism"]),
        settings,
    }
}

fn told() -> Told {
    let notice = Notice {
        at: Timestamp(1_772_424_000_000),
        event: Event::from_name("payout.paid").expect("an event"),
        subject: "po_1".to_owned(),
        user: None,
        version: Some(1),
        data: "{}".into(),
    };
    Told { number: 1, notice }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_and_notices_go_over_tls_with_plain_and_with_scram() {
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let (topic, settings) = (name("secured"), settings(mechanism, PASSWORD, "ca.pem"));
        make_topics_at(&client(&settings), &[&topic]).await;
        let producer: FutureProducer = client(&settings).create().expect("a producer");
        let (key, body) = ("k", message("e1", "alice"));
        let sent = producer.send(FutureRecord::to(&topic).key(key).payload(&body), None);
        sent.await.map_err(|(error, _)| error).expect("delivered");
        let (world, desk) = World::working().await;
        let intake = world.intake(&desk, "kafka:app");
        let (stop, stopped) = watch::channel(false);
        let through = from(&topic, settings.clone());
        let reading = tokio::spawn(read(intake.clone(), through, stopped));
        let figures = Arc::clone(&intake.figures);
        until("it is credited", || figures.seen().credited == 1).await;
        stop.send_replace(true);
        reading.await.expect("it ends");
        assert_eq!(world.credited().await, 1, "{mechanism}");
        let out = KafkaOut {
            brokers: named(SECURED),
            topic,
            settings: Settings::from_iter(
                settings
                    .into_iter()
                    .filter(|(name, _)| name != "session.timeout.ms"),
            ),
        };
        let mut publisher = KafkaPublisher::new(out).expect("settings");
        assert_eq!(publisher.publish(&[told()]).await, Ok(()), "{mechanism}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_cannot_work_has_a_code_and_changes_nothing() {
    let good = settings("PLAIN", PASSWORD, "ca.pem");
    let topic = name("refused");
    make_topics_at(&client(&good), &[&topic]).await;
    let mut clear = good.clone();
    clear.insert("security.protocol".into(), "plaintext".into());
    let mut no_login = good.clone();
    no_login.insert("security.protocol".into(), "ssl".into());
    // What nobody answers librdkafka tells in more than one way.
    let lost = ["connection_lost", "brokers_down", "timeout"];
    let (tls, login) = (["tls_failed"], ["login_refused"]);
    let scram = settings("SCRAM-SHA-256", "wrong", "ca.pem");
    let wrong = [
        (
            "another authority",
            settings("PLAIN", PASSWORD, "other.pem"),
            &tls[..],
        ),
        (
            "another password",
            settings("PLAIN", "wrong", "ca.pem"),
            &login[..],
        ),
        ("and by SCRAM", scram, &login[..]),
        ("in clear", clear, &lost[..]),
        ("without a login", no_login, &lost[..]),
    ];
    for (what, settings, codes) in wrong {
        let (world, desk) = World::working().await;
        let intake = world.intake(&desk, "kafka:app");
        let (stop, stopped) = watch::channel(false);
        let reading = tokio::spawn(read(intake.clone(), from(&topic, settings), stopped));
        let figures = Arc::clone(&intake.figures);
        until(what, || {
            let faults = figures.faults();
            codes.iter().any(|code| faults.contains_key(code))
        })
        .await;
        assert!(!figures.seen().connected, "{what}");
        stop.send_replace(true);
        reading.await.expect("it ends");
        assert_eq!(
            (world.credited().await, world.letters().await.len()),
            (0, 0)
        );
    }
}
