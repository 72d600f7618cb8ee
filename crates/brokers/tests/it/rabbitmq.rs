//! RabbitMQ as it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use lingqian_brokers::intake::{Intake, Parcel};
use lingqian_brokers::rabbitmq::{QueueType, RabbitIn, Tls, Topology, read};
use lingqian_io::twin::FaultPoint;
use tokio::sync::watch;

use crate::proxy::Proxy;
use crate::world::{World, message, poison, until};

/// The environment variable that names the broker.
const BROKER: &str = "LINGQIAN_TEST_RABBITMQ";

pub(crate) fn broker() -> String {
    std::env::var(BROKER).unwrap_or_else(|_| {
        panic!("{BROKER} names no RabbitMQ; `cargo xtask test` starts one and sets it")
    })
}

pub(crate) fn name(what: &str) -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    format!("{what}-{}-{number}", std::process::id())
}

pub(crate) async fn channel() -> (Connection, Channel) {
    channel_to(&broker()).await
}

pub(crate) async fn channel_to(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await;
    let connection = connection.expect("connects");
    let channel = connection.create_channel().await.expect("a channel");
    (connection, channel)
}

pub(crate) fn from(queue: &str, queue_type: QueueType) -> RabbitIn {
    RabbitIn {
        name: "app".to_owned(),
        urls: vec![broker()],
        tls: Tls::default(),
        queue: queue.to_owned(),
        exchange: None,
        routing_key: String::new(),
        topology: Topology::Declare,
        queue_type,
        prefetch: 500,
        dead_letters: None,
    }
}

/// Messages in a queue that is made where it is not there.
pub(crate) async fn publish(channel: &Channel, queue: &str, kind: &str, messages: &[String]) {
    let mut arguments = FieldTable::default();
    let value = lapin::types::AMQPValue::LongString(kind.into());
    arguments.insert("x-queue-type".into(), value);
    let declared = channel
        .queue_declare(queue.into(), durable(), arguments)
        .await;
    declared.expect("declared");
    let confirms = channel
        .confirm_select(ConfirmSelectOptions::default())
        .await;
    confirms.expect("confirms");
    let mut sent = Vec::new();
    for message in messages {
        let published = channel.basic_publish(
            "".into(),
            queue.into(),
            BasicPublishOptions::default(),
            message.as_bytes(),
            BasicProperties::default().with_delivery_mode(2),
        );
        sent.push(published.await.expect("published"));
    }
    for confirm in sent {
        confirm.await.expect("confirmed");
    }
}

pub(crate) fn durable() -> QueueDeclareOptions {
    QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    }
}

pub(crate) async fn left(channel: &Channel, queue: &str) -> u32 {
    let passive = QueueDeclareOptions {
        passive: true,
        ..durable()
    };
    let declared = channel.queue_declare(queue.into(), passive, FieldTable::default());
    declared.await.expect("it is there").message_count()
}

/// Reads until so many messages were handled, and stops in peace.
pub(crate) async fn read_all(intake: &Intake<World>, from: RabbitIn, messages: u64) {
    let (stop, stopped) = watch::channel(false);
    let reading = tokio::spawn(read(intake.clone(), from, stopped));
    let figures = Arc::clone(&intake.figures);
    until("all messages are handled", || {
        figures.seen().messages >= messages
    })
    .await;
    // The last acknowledgement is on its way.
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.send_replace(true);
    reading.await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_credited_once_and_poison_is_kept_and_taken_from_the_queue() {
    for (kind, queue_type) in [
        ("quorum", QueueType::Quorum),
        ("classic", QueueType::Classic),
    ] {
        let (world, desk) = World::working().await;
        let (queue, (_connection, channel)) = (name(kind), channel().await);
        let mut messages: Vec<String> = (0..1_000)
            .map(|no| message(&format!("e{no}"), "alice"))
            .collect();
        messages.extend((0..2_000).map(|_| message("same", "bob")));
        let poison = poison();
        messages.extend(poison.iter().map(|(text, _)| text.clone()));
        messages.push(message("last", "alice"));
        publish(&channel, &queue, kind, &messages).await;
        let intake = world.intake(&desk, "rabbitmq:app");
        let count = messages.len() as u64;
        read_all(&intake, from(&queue, queue_type), count).await;
        assert_eq!(world.credited().await, 1_002);
        let seen = intake.figures.seen();
        assert_eq!(
            (seen.messages, seen.duplicates, seen.letters),
            (count, 1_999, 6)
        );
        let letters = world.letters().await;
        for (_, code) in &poison {
            assert_eq!(letters.get(*code), Some(&(1, 1)), "{code}");
        }
        assert_eq!(left(&channel, &queue).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_dies_between_commit_and_acknowledgement_doubles_nothing() {
    let (world, desk) = World::working().await;
    let (queue, (_connection, other)) = (name("killed"), channel().await);
    let messages: Vec<String> = (0..50)
        .map(|no| message(&format!("e{no}"), "alice"))
        .collect();
    publish(&other, &queue, "quorum", &messages).await;
    let intake = world.intake(&desk, "rabbitmq:app");
    // What the consumer does, up to the commit, and then it is gone.
    let (connection, channel) = channel().await;
    let mut parcel = Parcel::default();
    for _ in 0..50 {
        let got = channel.basic_get(queue.as_str().into(), BasicGetOptions::default());
        let got = got.await.expect("reads").expect("a message");
        parcel.push(&intake.reader, got.delivery_tag, None, &got.data);
    }
    intake.take("delivery", parcel, None).await;
    assert_eq!(world.credited().await, 50);
    connection.close(200, "gone".into()).await.expect("closes");
    read_all(&intake, from(&queue, QueueType::Quorum), 100).await;
    assert_eq!(world.credited().await, 50);
    assert_eq!(intake.figures.seen().duplicates, 50);
    assert_eq!(left(&other, &queue).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_fails_no_more_is_fetched_than_the_prefetch() {
    let (world, desk, work) = World::new().await;
    let (queue, (_connection, channel)) = (name("slow"), channel().await);
    let messages: Vec<String> = (0..3_000)
        .map(|no| message(&format!("e{no}"), "alice"))
        .collect();
    publish(&channel, &queue, "classic", &messages).await;
    for _ in 0..3 {
        world.store.fail_next(FaultPoint::Commit);
    }
    let intake = world.intake(&desk, "rabbitmq:app");
    let (stop, stopped) = watch::channel(false);
    let reading = tokio::spawn(read(
        intake.clone(),
        from(&queue, QueueType::Classic),
        stopped,
    ));
    // Nobody is at the desk: what was fetched stays with us, the rest with the broker.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(left(&channel, &queue).await, 2_500);
    assert_eq!(world.credited().await, 0);
    tokio::spawn(work);
    let figures = Arc::clone(&intake.figures);
    until("all are credited", || figures.seen().messages >= 3_000).await;
    assert_eq!(world.credited().await, 3_000);
    assert_eq!(figures.seen().faults, 3, "the store failed three times");
    stop.send_replace(true);
    reading.await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_never_answers_does_not_keep_the_process_from_ending() {
    let (world, desk, _nobody_works) = World::new().await;
    let (queue, (_connection, channel)) = (name("stuck"), channel().await);
    publish(&channel, &queue, "quorum", &[message("e1", "alice")]).await;
    let intake = world.intake(&desk, "rabbitmq:app");
    let (stop, stopped) = watch::channel(false);
    let from = from(&queue, QueueType::Quorum);
    let reading = tokio::spawn(read(intake.clone(), from, stopped));
    let began = std::time::Instant::now();
    while left(&channel, &queue).await > 0 {
        assert!(began.elapsed().as_secs() < 20, "it is never fetched");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.send_replace(true);
    let ended = tokio::time::timeout(Duration::from_secs(20), reading).await;
    ended.expect("in time").expect("it ends");
    while left(&channel, &queue).await == 0 {
        assert!(began.elapsed().as_secs() < 40, "it is lost");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_goes_away_is_found_again() {
    let (world, desk) = World::working().await;
    let (queue, (_connection, channel)) = (name("away"), channel().await);
    let address = broker();
    let address = address
        .split('@')
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    let proxy = Proxy::to(address.expect("a host").to_owned()).await;
    let some = |begin: u32| -> Vec<String> {
        let numbers = begin..begin + 100;
        numbers
            .map(|no| message(&format!("e{no}"), "alice"))
            .collect()
    };
    publish(&channel, &queue, "quorum", &some(0)).await;
    let through = RabbitIn {
        urls: vec![format!("amqp://guest:guest@127.0.0.1:{}/%2f", proxy.port)],
        ..from(&queue, QueueType::Quorum)
    };
    let intake = world.intake(&desk, "rabbitmq:app");
    let (stop, stopped) = watch::channel(false);
    let reading = tokio::spawn(read(intake.clone(), through, stopped));
    let figures = Arc::clone(&intake.figures);
    until("the first are credited", || figures.seen().credited >= 100).await;
    proxy.cut();
    publish(&channel, &queue, "quorum", &some(100)).await;
    until("it is noticed", || figures.seen().faults >= 2).await;
    assert!(!figures.seen().connected);
    proxy.mend();
    until("the rest is credited", || figures.seen().credited >= 200).await;
    assert_eq!(world.credited().await, 200);
    assert!(figures.seen().connects >= 2);
    stop.send_replace(true);
    reading.await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_read_from_its_mark() {
    let (world, desk) = World::working().await;
    let (queue, (_connection, channel)) = (name("stream"), channel().await);
    let some = |begin: u32, end: u32| -> Vec<String> {
        let numbers = begin..end;
        numbers
            .map(|no| message(&format!("e{no}"), "alice"))
            .collect()
    };
    let mut messages = some(0, 300);
    messages.push("not JSON".to_owned());
    publish(&channel, &queue, "stream", &messages).await;
    let intake = world.intake(&desk, "rabbitmq:app");
    read_all(&intake, from(&queue, QueueType::Stream), 301).await;
    let mark = format!("rabbitmq/app/{queue}");
    assert_eq!(world.marks().await.get(&mark), Some(&301));
    assert_eq!(world.credited().await, 300);
    // Begun again, it goes on where it was; nothing was taken out of the stream.
    publish(&channel, &queue, "stream", &some(300, 400)).await;
    let intake = world.intake(&desk, "rabbitmq:app");
    read_all(&intake, from(&queue, QueueType::Stream), 100).await;
    let seen = intake.figures.seen();
    assert_eq!(
        (seen.credited, seen.duplicates),
        (100, 0),
        "nothing was read again"
    );
    assert_eq!(world.marks().await.get(&mark), Some(&401));
    // Under another name it is read from the beginning, and credits nothing again.
    let again = RabbitIn {
        name: "again".to_owned(),
        ..from(&queue, QueueType::Stream)
    };
    let intake = world.intake(&desk, "rabbitmq:again");
    read_all(&intake, again, 401).await;
    assert_eq!(intake.figures.seen().duplicates, 400);
    assert_eq!(world.credited().await, 400);
    assert_eq!(intake.figures.seen().lost, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_must_be_there_and_is_not_is_not_made() {
    let (world, desk) = World::working().await;
    let queue = name("absent");
    let check = RabbitIn {
        topology: Topology::Check,
        ..from(&queue, QueueType::Quorum)
    };
    let intake = world.intake(&desk, "rabbitmq:app");
    let (stop, stopped) = watch::channel(false);
    let reading = tokio::spawn(read(intake.clone(), check, stopped));
    let figures = Arc::clone(&intake.figures);
    until("it is said", || figures.seen().faults >= 1).await;
    stop.send_replace(true);
    reading.await.expect("it ends");
    let (_connection, channel) = channel().await;
    let passive = QueueDeclareOptions {
        passive: true,
        ..durable()
    };
    let there = channel.queue_declare(queue.as_str().into(), passive, FieldTable::default());
    assert!(there.await.is_err(), "nobody made it");
}

/// A queue that is made and bound to an exchange.
pub(crate) async fn bind(channel: &Channel, queue: &str, (exchange, key): (&str, &str)) {
    let declared = channel.queue_declare(queue.into(), durable(), FieldTable::default());
    declared.await.expect("declared");
    let options = QueueBindOptions::default();
    let bound = channel.queue_bind(
        queue.into(),
        exchange.into(),
        key.into(),
        options,
        FieldTable::default(),
    );
    bound.await.expect("bound");
}
