//! The feed at RabbitMQ: in order, at least once, and by one process of several.

use std::sync::Arc;
use std::time::Duration;

use lapin::Channel;
use lapin::options::BasicGetOptions;
use lingqian_brokers::figures::Figures;
use lingqian_brokers::rabbitmq::{RabbitOut, RabbitPublisher, Tls, Topology};
use lingqian_brokers::sink::{Publisher as _, Sink};
use lingqian_core::Changes;
use lingqian_core::notice::{Event, Notice};
use lingqian_core::time::Timestamp;
use lingqian_io::{Browse as _, Outbox as _, Store as _};
use tokio::sync::watch;

use crate::rabbitmq::{bind, broker, channel, left, name};
use crate::world::{World, until};

/// So many notices in the books.
async fn notices(world: &World, count: i64) {
    let notices = (0..count).map(|no| Notice {
        at: Timestamp(1_772_424_000_000 + no),
        event: Event::from_name("payout.paid").expect("an event"),
        subject: format!("po_{no}"),
        user: None,
        version: Some(1),
        data: "{}".into(),
    });
    let changes = Changes {
        notices: notices.collect(),
        ..Changes::default()
    };
    let basis = world.store.prefetch(lingqian_core::Keys::default()).await;
    let basis = basis.expect("reads").basis;
    world.store.commit(basis, changes).await.expect("writes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_is_published_in_order_at_least_once() {
    let (world, _) = World::working().await;
    notices(&world, 700).await;
    let (exchange, queue) = (name("feed"), name("receiver"));
    let to = RabbitOut {
        urls: vec![broker()],
        tls: Tls::default(),
        exchange: exchange.clone(),
        topology: Topology::Declare,
    };
    let sink = Sink::new(world.clone(), "app", Arc::new(Figures::default()));
    let mut publisher = RabbitPublisher::new(to.clone());
    // Nobody is bound: nothing is lost, the mark stays.
    let refused = sink.once(&mut publisher).await;
    assert!(refused.is_err_and(|words| words.words.contains("no queue is bound")));
    assert_eq!(world.marks().await.get("sink/app"), None);
    let (_connection, channel) = channel().await;
    bind(&channel, &queue, (&exchange, "payout.*")).await;
    assert_eq!(sink.once(&mut publisher).await, Ok(Some(500)));
    assert_eq!(world.marks().await["sink/app"], 500);
    // A process that dies between the confirms and the mark publishes them again.
    let again = world.store.notices(500, 100).await.expect("reads");
    publisher.publish(&again).await.expect("published");
    let mut publisher = RabbitPublisher::new(to);
    assert_eq!(sink.once(&mut publisher).await, Ok(Some(200)));
    assert_eq!(sink.once(&mut publisher).await, Ok(Some(0)));
    let numbers = numbers(&channel, &queue).await;
    let expected: Vec<i64> = (1..=600).chain(501..=700).collect();
    assert_eq!(numbers, expected);
    assert_eq!(world.store.summary().await.expect("reads").dead_letters, 0);
}

/// The numbers of the notices in a queue, in their order; they are taken out of it.
async fn numbers(channel: &Channel, queue: &str) -> Vec<i64> {
    let mut numbers = Vec::new();
    let at_once = BasicGetOptions { no_ack: true };
    while let Some(got) = channel
        .basic_get(queue.into(), at_once)
        .await
        .expect("reads")
    {
        let id = got.properties.message_id().clone().expect("a number");
        numbers.push(id.as_str().parse::<i64>().expect("a number"));
    }
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_one_publishes_and_the_other_takes_over_when_it_dies() {
    let (world, _) = World::working().await;
    let (exchange, queue) = (name("leased"), name("leased"));
    let to = RabbitOut {
        urls: vec![broker()],
        tls: Tls::default(),
        exchange: exchange.clone(),
        topology: Topology::Declare,
    };
    let (_connection, channel) = channel().await;
    let first = Sink::new(world.clone(), "app", Arc::default());
    let second = Sink::new(world.clone(), "app", Arc::default());
    // Declares the exchange.
    let mut publisher = RabbitPublisher::new(to.clone());
    publisher.publish(&[]).await.expect("connects");
    bind(&channel, &queue, (&exchange, "#")).await;
    notices(&world, 1_200).await;
    let (_alive, stopped) = watch::channel(false);
    let begin = |sink: Sink<World>| {
        let (to, stopped) = (RabbitPublisher::new(to.clone()), stopped.clone());
        tokio::spawn(async move { sink.run(to, stopped).await })
    };
    let first = begin(first);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let second = begin(second);
    let told = async |mark: i64| {
        while world.marks().await.get("sink/app") != Some(&mark) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    told(1_200).await;
    // Long enough for the other to have asked and published, if it could.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(
        numbers(&channel, &queue).await,
        (1..=1_200).collect::<Vec<i64>>()
    );
    // It dies without a word; the other waits for its lease to end.
    first.abort();
    notices(&world, 300).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(left(&channel, &queue).await, 0, "the lease has not ended");
    world.pass(Duration::from_secs(31));
    told(1_500).await;
    let expected: Vec<i64> = (1_201..=1_500).collect();
    assert_eq!(numbers(&channel, &queue).await, expected);
    second.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_ends_in_peace_gives_its_lease_back() {
    let (world, _) = World::working().await;
    let to = RabbitOut {
        urls: vec![broker()],
        tls: Tls::default(),
        exchange: name("given-back"),
        topology: Topology::Declare,
    };
    let first = Sink::new(world.clone(), "app", Arc::default());
    let second = Sink::new(world.clone(), "app", Arc::default());
    let figures = Arc::new(Figures::default());
    let third = Sink::new(world.clone(), "app", Arc::clone(&figures));
    let mut publisher = RabbitPublisher::new(to.clone());
    assert_eq!(first.once(&mut publisher).await, Ok(Some(0)));
    assert_eq!(second.once(&mut publisher).await, Ok(None));
    let (stop, stopped) = watch::channel(true);
    first.run(RabbitPublisher::new(to.clone()), stopped).await;
    assert_eq!(second.once(&mut publisher).await, Ok(Some(0)));
    // Its lease ends while nothing is heard of it, and a third takes over.
    world.pass(Duration::from_secs(31));
    stop.send_replace(false);
    let running = tokio::spawn(third.run(RabbitPublisher::new(to), stop.subscribe()));
    until("the third took over", || figures.seen().connected).await;
    assert_eq!(second.once(&mut publisher).await, Ok(None));
    stop.send_replace(true);
    running.await.expect("it ends");
    assert_eq!(second.once(&mut publisher).await, Ok(Some(0)));
}
