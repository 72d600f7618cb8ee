//! Kafka: librdkafka's own cluster inside the test, and, where the environment names one, a server
//! of other people's making.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lingqian_brokers::intake::{Intake, MESSAGES_MAX};
use lingqian_brokers::kafka::{KafkaIn, read};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::world::{World, message, poison, until};

/// The environment variable that names a server of other people's making.
const OTHER: &str = "LINGQIAN_TEST_KAFKA";
/// The one that names a server that knows the newer way to share partitions.
const COOPERATIVE: &str = "LINGQIAN_TEST_KAFKA_COOPERATIVE";
/// Partitions of every topic here.
const PARTITIONS: i32 = 4;

type Mock = MockCluster<'static, DefaultProducerContext>;

fn mock(topic: &str) -> (Mock, String) {
    let cluster = MockCluster::new(3).expect("a cluster");
    cluster.create_topic(topic, PARTITIONS, 3).expect("a topic");
    let servers = cluster.bootstrap_servers();
    (cluster, servers)
}

pub(crate) fn name(what: &str) -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    format!("{what}-{}-{number}", std::process::id())
}

fn from(servers: &str, name: &str, topic: &str) -> KafkaIn {
    let quick = [
        ("session.timeout.ms", "6000"),
        ("heartbeat.interval.ms", "500"),
        ("statistics.interval.ms", "200"),
    ];
    KafkaIn {
        name: name.to_owned(),
        brokers: servers.to_owned(),
        topics: vec![topic.to_owned()],
        group: format!("group-{topic}"),
        settings: quick
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    }
}

async fn publish(servers: &str, topic: &str, messages: &[String], version: Option<&str>) {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", "20000")
        .create()
        .expect("a producer");
    let mut sent = Vec::new();
    for (place, message) in messages.iter().enumerate() {
        let key = place.to_string();
        let record = FutureRecord::to(topic).key(&key).payload(message);
        let header = Header {
            key: "lingqian-schema",
            value: version,
        };
        let record = record.headers(OwnedHeaders::new().insert(header));
        let queued = producer.send_result(record);
        sent.push(queued.map_err(|(error, _)| error).expect("queued"));
    }
    for delivery in sent {
        let delivered = delivery.await.expect("answered");
        delivered.map_err(|(error, _)| error).expect("delivered");
    }
}

/// A consumer that goes on until it is told to stop.
struct Reading {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Reading {
    fn begin(intake: &Intake<World>, from: KafkaIn) -> Reading {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(read(intake.clone(), from, stopped));
        Reading { stop, task }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.task.await.expect("it ends");
    }
}

fn events(begin: u32, end: u32) -> Vec<String> {
    let numbers = begin..end;
    numbers
        .map(|no| message(&format!("e{no}"), "alice"))
        .collect()
}

async fn marks(world: &World, source: &str) -> i64 {
    let prefix = format!("kafka/{source}/");
    let marks = world.marks().await.into_iter();
    marks
        .filter(|(name, _)| name.starts_with(&prefix))
        .map(|(_, at)| at)
        .sum()
}

/// Poison, repeats, a restart, and a replay from the beginning.
async fn a_topic_is_credited_once_whatever_is_read_again(servers: &str, topic: &str) {
    let (world, desk) = World::working().await;
    let mut messages = events(0, 2_000);
    messages.extend((0..2_000).map(|_| message("same", "bob")));
    let poison = poison();
    messages.extend(poison.iter().map(|(text, _)| text.clone()));
    publish(servers, topic, &messages, Some("1")).await;
    publish(servers, topic, &[message("old", "alice")], Some("0")).await;
    let intake = world.intake(&desk, "kafka:app");
    let reading = Reading::begin(&intake, from(servers, "app", topic));
    let (figures, count) = (Arc::clone(&intake.figures), messages.len() as u64 + 1);
    until("all are handled", || figures.seen().messages >= count).await;
    assert_eq!(world.credited().await, 2_001);
    let letters = world.letters().await;
    for (_, code) in &poison {
        let times = if *code == "schema_unknown" { 2 } else { 1 };
        assert_eq!(
            letters.get(*code).map(|found| found.1),
            Some(times),
            "{code}"
        );
    }
    assert_eq!(
        marks(&world, "app").await,
        count as i64,
        "every message is counted"
    );
    reading.end().await;
    // Begun again, it goes on where it was.
    publish(servers, topic, &events(2_000, 2_100), Some("1")).await;
    let intake = world.intake(&desk, "kafka:app");
    let reading = Reading::begin(&intake, from(servers, "app", topic));
    let figures = Arc::clone(&intake.figures);
    until("the new ones are handled", || {
        figures.seen().messages >= 100
    })
    .await;
    assert_eq!(figures.seen().credited, 100, "nothing was read again");
    reading.end().await;
    // From the beginning, whatever the group's offsets say: nothing is credited again.
    let intake = world.intake(&desk, "kafka:again");
    let reading = Reading::begin(&intake, from(servers, "again", topic));
    let (figures, count) = (Arc::clone(&intake.figures), count + 100);
    until("all are read again", || figures.seen().messages >= count).await;
    assert_eq!(figures.seen().credited, 0);
    assert_eq!(world.credited().await, 2_101);
    reading.end().await;
}

/// One joins, and leaves again; all the while messages come.
async fn a_rebalance_loses_and_doubles_nothing(from: &KafkaIn) {
    let (servers, topic) = (from.brokers.as_str(), from.topics[0].as_str());
    let (world, desk) = World::working().await;
    let (first, second) = (
        world.intake(&desk, "kafka:app"),
        world.intake(&desk, "kafka:app"),
    );
    let all = || first.figures.seen().messages + second.figures.seen().messages;
    publish(servers, topic, &events(0, 500), None).await;
    let one = Reading::begin(&first, from.clone());
    until("the first reads", || first.figures.seen().messages >= 500).await;
    let two = Reading::begin(&second, from.clone());
    let mut sent = 500;
    while second.figures.seen().messages == 0 {
        publish(servers, topic, &events(sent, sent + 100), None).await;
        sent += 100;
        assert!(sent < 20_000, "the second never got a partition");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    until("both read all", || all() >= u64::from(sent)).await;
    two.end().await;
    publish(servers, topic, &events(sent, sent + 500), None).await;
    sent += 500;
    let store = world.store.clone();
    until("the first took over", || all() >= u64::from(sent)).await;
    drop(store);
    assert_eq!(world.credited().await, u64::from(sent));
    assert_eq!(marks(&world, "app").await, i64::from(sent));
    one.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn librdkafkas_cluster_is_read_once() {
    let topic = name("once");
    let (_cluster, servers) = mock(&topic);
    a_topic_is_credited_once_whatever_is_read_again(&servers, &topic).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn librdkafkas_cluster_rebalances() {
    let topic = name("rebalance");
    let (_cluster, servers) = mock(&topic);
    a_rebalance_loses_and_doubles_nothing(&from(&servers, "app", &topic)).await;
}

fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} names no Kafka; `cargo xtask test --brokers` starts one and sets it")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_other_peoples_making_is_read_once() {
    let (servers, topic) = (server(OTHER), name("once"));
    make_topics(&servers, &[&topic]).await;
    a_topic_is_credited_once_whatever_is_read_again(&servers, &topic).await;
}

/// That server leaves members waiting for each other when they share partitions the newer way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_other_peoples_making_rebalances_the_older_way() {
    let (servers, topic) = (server(OTHER), name("rebalance"));
    make_topics(&servers, &[&topic]).await;
    let mut from = from(&servers, "app", &topic);
    let strategy = "partition.assignment.strategy".to_owned();
    from.settings.insert(strategy, "range".to_owned());
    a_rebalance_loses_and_doubles_nothing(&from).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_of_other_peoples_making_rebalances_by_cooperation() {
    let (servers, topic) = (server(COOPERATIVE), name("rebalance"));
    make_topics(&servers, &[&topic]).await;
    a_rebalance_loses_and_doubles_nothing(&from(&servers, "app", &topic)).await;
}

/// A million deliveries of one event are one credit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_times_the_same_event_is_credited_once() {
    let (servers, topic) = (server(OTHER), name("million"));
    make_topics(&servers, &[&topic]).await;
    let (world, desk) = World::working().await;
    let (to, name) = (servers.clone(), topic.clone());
    let published = tokio::task::spawn_blocking(move || {
        let same = |_| message("same", "alice");
        lingqian_brokers::load::stream::publish(&to, &name, 0..1_000_000, &same)
    });
    published.await.expect("it ends").expect("published");
    let intake = world.intake(&desk, "kafka:app");
    let reading = Reading::begin(&intake, from(&servers, "app", &topic));
    let figures = Arc::clone(&intake.figures);
    until("all are read", || figures.seen().messages >= 1_000_000).await;
    reading.end().await;
    assert_eq!(world.credited().await, 1);
    assert_eq!(intake.figures.seen().duplicates, 999_999);
    assert_eq!(marks(&world, "app").await, 1_000_000);
}

async fn make_topics(servers: &str, topics: &[&str]) {
    make_topics_at(
        ClientConfig::new().set("bootstrap.servers", servers),
        topics,
    )
    .await;
}

pub(crate) async fn make_topics_at(at: &ClientConfig, topics: &[&str]) {
    let admin: AdminClient<DefaultClientContext> = at.create().expect("an admin");
    let topics = topics.iter();
    let topics: Vec<NewTopic<'_>> = topics
        .map(|name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1)))
        .collect();
    let made = admin.create_topics(&topics, &AdminOptions::new()).await;
    for one in made.expect("answered") {
        one.expect("made");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_the_broker_are_outlived() {
    let topic = name("errors");
    let (cluster, servers) = mock(&topic);
    let (world, desk) = World::working().await;
    publish(&servers, &topic, &events(0, 300), None).await;
    use RDKafkaRespErr as Code;
    let fetch = [
        Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        Code::RD_KAFKA_RESP_ERR__TRANSPORT,
        Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
    ];
    cluster.request_errors(RDKafkaApiKey::Fetch, &fetch);
    let join = [
        Code::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
        Code::RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
    ];
    cluster.request_errors(RDKafkaApiKey::JoinGroup, &join);
    let intake = world.intake(&desk, "kafka:app");
    let reading = Reading::begin(&intake, from(&servers, "app", &topic));
    let figures = Arc::clone(&intake.figures);
    until("all are handled", || figures.seen().messages >= 300).await;
    cluster.broker_down(1).expect("down");
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.broker_up(1).expect("up");
    publish(&servers, &topic, &events(300, 600), None).await;
    until("the rest is handled", || figures.seen().credited >= 600).await;
    assert_eq!(world.credited().await, 600);
    reading.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_store_pauses_the_partitions_and_memory_is_bounded() {
    let topic = name("slow");
    let (_cluster, servers) = mock(&topic);
    let (world, desk, work) = World::new().await;
    let many = u32::try_from(MESSAGES_MAX).expect("few") * 4;
    publish(&servers, &topic, &events(0, many), None).await;
    let intake = world.intake(&desk, "kafka:app");
    let reading = Reading::begin(&intake, from(&servers, "app", &topic));
    let figures = Arc::clone(&intake.figures);
    until("it pauses", || figures.seen().pauses >= 1).await;
    assert_eq!(figures.seen().messages, 0);
    assert_eq!(marks(&world, "app").await, 0);
    tokio::spawn(work);
    until("all are credited", || {
        figures.seen().credited >= u64::from(many)
    })
    .await;
    assert_eq!(world.credited().await, u64::from(many));
    until("nothing is left", || figures.seen().lag == 0).await;
    reading.end().await;
}

/// librdkafka's cluster throws the oldest away beyond 5 MiB of a partition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_threw_away_before_it_was_read_is_no_silent_jump() {
    let topic = name("gone");
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic(&topic, 1, 1).expect("a topic");
    let servers = cluster.bootstrap_servers();
    let (world, desk) = World::working().await;
    publish(&servers, &topic, &events(0, 10), None).await;
    let intake = world.intake(&desk, "kafka:app");
    let reading = Reading::begin(&intake, from(&servers, "app", &topic));
    let figures = Arc::clone(&intake.figures);
    until("the first are read", || figures.seen().messages >= 10).await;
    reading.end().await;
    assert_eq!((marks(&world, "app").await, figures.seen().lost), (10, 0));
    // So much that what came first is gone when we come back.
    let filler = |no: u32| {
        let more = format!("\"v\":1,\"more\":\"{}\"", "x".repeat(15_000));
        message(&format!("f{no}"), "alice").replace("\"v\":1", &more)
    };
    for begin in (0..600).step_by(100) {
        let some: Vec<String> = (begin..begin + 100).map(filler).collect();
        publish(&servers, &topic, &some, None).await;
    }
    let intake = world.intake(&desk, "kafka:app");
    let reading = Reading::begin(&intake, from(&servers, "app", &topic));
    let figures = Arc::clone(&intake.figures);
    until("the end is read", || {
        figures.seen().lost + figures.seen().credited >= 600
    })
    .await;
    reading.end().await;
    let seen = figures.seen();
    assert!(seen.lost > 100 && seen.credited > 100, "{seen:?}");
    assert_eq!(seen.lost + seen.credited, 600, "every message is told of");
    assert_eq!(world.credited().await, 10 + seen.credited);
    assert_eq!(marks(&world, "app").await, 610);
    let expected: BTreeMap<String, (usize, u64)> = [("messages_gone".to_owned(), (1, 1))].into();
    assert_eq!(world.letters().await, expected);
    let letter = world.letter("messages_gone").await;
    let told: serde_json::Value = serde_json::from_slice(&letter).expect("JSON");
    assert_eq!(
        (&told["from"], &told["to"]),
        (&10.into(), &(10 + seen.lost).into())
    );
    // A topic that is made anew begins at zero again, and that is said, too.
    let (other, anew) = (MockCluster::new(1).expect("a cluster"), topic.clone());
    other.create_topic(&anew, 1, 1).expect("a topic");
    let servers = other.bootstrap_servers();
    publish(&servers, &anew, &events(100, 105), None).await;
    let intake = world.intake(&desk, "kafka:app");
    let reading = Reading::begin(&intake, from(&servers, "app", &anew));
    let figures = Arc::clone(&intake.figures);
    until("all are read", || figures.seen().credited >= 5).await;
    reading.end().await;
    assert_eq!(world.letters().await["offsets_went_back"], (1, 1));
    drop(cluster);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_waits_for_the_letters_before_it() {
    let (world, desk) = World::working().await;
    let intake = world.intake(&desk, "kafka:app");
    let (topic, good) = (name("letters"), message("e1", "alice"));
    let (_cluster, servers) = mock(&topic);
    publish(&servers, &topic, &[message("e2", "nobody"), good], None).await;
    let reading = Reading::begin(&intake, from(&servers, "app", &topic));
    let figures = Arc::clone(&intake.figures);
    until("both are handled", || figures.seen().messages >= 2).await;
    reading.end().await;
    assert_eq!(marks(&world, "app").await, 2);
    let expected: BTreeMap<String, (usize, u64)> = [("unknown_user".to_owned(), (1, 1))].into();
    assert_eq!(world.letters().await, expected);
}
