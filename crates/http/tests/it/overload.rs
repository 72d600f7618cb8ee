//! Ten times more events than may wait, at a store that answers nobody: what is taken is bounded, and
//! so is memory.

use std::sync::Arc;

use axum::body::Body;
use lingqian_engine::DeskSettings;

use crate::world::{Ask, World, event_of};

/// Events of one request.
const EVENTS: usize = 8_000;
/// The most that this process may grow by, in MiB.
const MIB_MAX: u64 = 256;

/// The most memory that this process ever had, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.expect("a number").parse::<u64>().expect("a number") / 1_024
}

#[tokio::test]
async fn ten_times_more_than_may_wait_is_refused_in_bounded_memory() {
    let world = World::new().await;
    world.user("u1").await;
    let settings = DeskSettings::default();
    let waiting_max = settings.events_waiting_max;
    let world = Arc::new(world.before_an_idle_desk_of(settings));
    let event = |no: usize| event_of("u1", &format!("e{no}"), 1).to_string();
    let events: Vec<String> = (0..EVENTS).map(event).collect();
    let body = format!("[{}]", events.join(","));
    let (before, requests) = (peak_mib(), 10 * waiting_max / EVENTS);
    let mut sent = Vec::new();
    for _ in 0..requests {
        let (world, body) = (Arc::clone(&world), body.clone());
        sent.push(tokio::spawn(async move {
            let ask = Ask::post("/v1/events").header("content-type", "application/json");
            world.send(ask.body(Body::from(body))).await
        }));
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    let mut refused = 0;
    let mut taken = 0;
    for one in sent {
        if one.is_finished() {
            let answer = one.await.expect("it ends");
            assert_eq!(answer.status, 503);
            assert_eq!(answer.header("retry-after"), Some("1"));
            refused += 1;
        } else {
            one.abort();
            taken += 1;
        }
    }
    let grown = peak_mib() - before;
    println!("{taken} requests wait, {refused} are to come again, {grown} MiB more at the peak");
    assert_eq!(taken, waiting_max.div_ceil(EVENTS));
    assert_eq!(taken + refused, requests);
    assert!(grown < MIB_MAX, "{grown} MiB");
}
