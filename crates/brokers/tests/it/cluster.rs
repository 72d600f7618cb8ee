//! Three RabbitMQ nodes of which one is killed under load.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use lingqian_brokers::load::rabbit;
use lingqian_brokers::rabbitmq::{QueueType, RabbitIn, read};
use tokio::sync::watch;

use crate::rabbitmq::{channel_to, from, left, name};
use crate::world::{World, message, until};

/// The environment variables with the nodes' addresses and the first node's process.
const CLUSTER: &str = "LINGQIAN_TEST_RABBITMQ_CLUSTER";
const MACHINE: &str = "LINGQIAN_TEST_RABBITMQ_MACHINE";
/// So many events are published.
const EVENTS: u64 = 20_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_under_load_loses_and_doubles_nothing() {
    let named = |variable: &str| {
        std::env::var(variable).unwrap_or_else(|_| {
            panic!("{variable} is not set; `cargo xtask test --brokers` starts a cluster")
        })
    };
    let urls: Vec<String> = named(CLUSTER).split(' ').map(str::to_owned).collect();
    let machine = named(MACHINE);
    let (world, desk) = World::working().await;
    let queue = name("cluster");
    // Both sides begin with the node that dies, which leads the queue because it made it.
    let quorum = RabbitIn {
        urls: urls.clone(),
        ..from(&queue, QueueType::Quorum)
    };
    let intake = world.intake(&desk, "rabbitmq:app");
    let (stop, stopped) = watch::channel(false);
    let make = |number| message(&format!("e{number}"), "alice");
    rabbit::publish(&urls, (&queue, "quorum"), 0..100, &make)
        .await
        .expect("published");
    // A node that does not know the queue is none of the cluster's.
    for url in &urls {
        let (_connection, channel) = channel_to(url).await;
        assert_eq!(left(&channel, &queue).await, 100, "{url}");
    }
    let reading = tokio::spawn(read(intake.clone(), quorum, stopped));
    let publishing = tokio::spawn(async move {
        let make = |number| message(&format!("e{number}"), "alice");
        rabbit::publish(&urls, (&queue, "quorum"), 100..EVENTS, &make).await
    });
    let figures = Arc::clone(&intake.figures);
    until("a third is credited", || {
        figures.seen().credited >= EVENTS / 3
    })
    .await;
    let killed = Command::new("kill").args(["-KILL", &machine]).status();
    assert!(killed.expect("runs").success());
    publishing.await.expect("ends").expect("published");
    until("all are credited", || figures.seen().credited >= EVENTS).await;
    // What was in doubt came twice, and late.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.credited().await, EVENTS);
    let seen = figures.seen();
    assert!(seen.connects >= 2, "another node was found: {seen:?}");
    assert_eq!(seen.letters, 0);
    stop.send_replace(true);
    reading.await.expect("it ends");
    println!("{EVENTS} events, {} of them came again", seen.duplicates);
}
