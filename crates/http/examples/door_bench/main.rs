//! What the door for events costs by itself, and how fast a whole platform answers.
//!
//! `cargo run --release -p lingqian-http --example door_bench -- inside|lines|single [EVENTS]
//! [ADDRESS KEY]`. `inside` feeds a stream to the router without a socket; `lines` sends one
//! stream over a socket; `single` sends one event a request over 64 connections. Without an
//! address the doors are here, before a store that answers at once; with one they are those of
//! a running `lingqian serve`, whose users are registered first.

mod stub;

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::Request;
use axum::serve::ListenerExt as _;
use futures_util::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower::ServiceExt as _;

/// How many users earn.
const USERS: u64 = 1_000;
/// Requests of one event that are under way at a time.
const CONNECTIONS: u64 = 64;
/// The door's threads have this name, so that their processor time can be told from others'.
const THREADS: &str = "door";

/// Random-looking and the same in every run (splitmix64).
fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// An event as apps send it, of about 160 bytes. The salt keeps runs apart.
fn event(number: u64, salt: u64) -> String {
    let (high, low) = (mix(number ^ salt), mix(number.wrapping_add(salt)));
    let (user, amount) = (low % USERS, 1_000 + high % 9_000);
    let (minute, second) = (high % 60, low % 60);
    format!(
        r#"{{"source":"bench","event_id":"{high:016x}{low:016x}","user":"user-{user}","kind":"ad_view","amount_micros":{amount},"occurred_at":"2026-03-02T01:{minute:02}:{second:02}Z"}}"#
    )
}

fn text(events: u64, salt: u64) -> Vec<u8> {
    let mut text = String::new();
    for number in 0..events {
        let _ = writeln!(text, "{}", event(number, salt));
    }
    text.into_bytes()
}

/// Processor time of the door's threads.
fn door_time() -> Duration {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten()
    {
        let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        if read("comm").trim() == THREADS {
            let nanos = read("schedstat");
            let nanos = nanos.split(' ').next().and_then(|text| text.parse().ok());
            sum += nanos.unwrap_or(0_u64);
        }
    }
    Duration::from_nanos(sum)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn report(what: &str, events: u64, wall: Duration, door: Duration) {
    let each = |part: Duration| part.as_secs_f64() * 1e6 / events as f64;
    let rate = events as f64 / wall.as_secs_f64();
    let (wall, door) = (each(wall), each(door));
    println!("{what}: {rate:.0} events/s, {wall:.2} µs each, the doors' threads {door:.2} µs each");
}

/// The doors alone: a stream goes in and its answers come out, on one thread.
async fn inside(events: u64) {
    let (router, key) = stub::router().await;
    let text = Bytes::from(text(events, 0));
    let pieces: Vec<Bytes> = (0..text.len())
        .step_by(256 << 10)
        .map(|start| text.slice(start..text.len().min(start + (256 << 10))))
        .collect();
    for round in 0..3 {
        let chunks = stream::iter(pieces.clone()).map(Ok::<_, std::io::Error>);
        let request = Request::post("/v1/events")
            .header("content-type", "application/x-ndjson")
            .header("authorization", format!("Bearer {key}"))
            .body(Body::from_stream(chunks))
            .expect("a request");
        let begun = Instant::now();
        let response = router.clone().oneshot(request).await.expect("an answer");
        let mut answers = response.into_body().into_data_stream();
        let (mut bytes, mut last) = (0, Bytes::new());
        while let Some(piece) = answers.next().await {
            last = piece.expect("a piece");
            bytes += last.len();
        }
        let wall = begun.elapsed();
        report(&format!("inside, round {round}"), events, wall, wall);
        let tail = String::from_utf8_lossy(&last);
        println!(
            "  {bytes} bytes of answers; {}",
            tail.lines().last().unwrap_or("")
        );
    }
}

/// One stream over a socket, written and read at the same time.
fn lines(address: SocketAddr, key: &str, events: u64, salt: u64) -> (Duration, String) {
    let text = text(events, salt);
    let begun = Instant::now();
    let mut socket = TcpStream::connect(address).expect("a connection");
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/x-ndjson\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    let mut reader = socket.try_clone().expect("a second handle");
    let writer = std::thread::spawn(move || {
        socket.write_all(head.as_bytes()).expect("a head");
        socket.write_all(&text).expect("a body");
    });
    let (mut piece, mut tail) = (vec![0; 1 << 18], Vec::new());
    loop {
        let length = reader.read(&mut piece).expect("answers");
        if length == 0 {
            break;
        }
        tail.extend_from_slice(&piece[..length]);
        let cut = tail.len().saturating_sub(400);
        tail.drain(..cut);
    }
    writer.join().expect("the writer");
    let tail = String::from_utf8_lossy(&tail).into_owned();
    let sum = tail.lines().find(|line| line.contains("summary"));
    (begun.elapsed(), sum.unwrap_or("no summary").to_owned())
}

/// One request after the other on one connection; how long each took.
async fn one_by_one(address: SocketAddr, key: &str, bodies: Vec<String>) -> Vec<Duration> {
    let socket = tokio::net::TcpStream::connect(address).await;
    let mut socket = socket.expect("a connection");
    socket.set_nodelay(true).expect("a socket");
    let (mut buffer, mut took) = (vec![0; 4_096], Vec::with_capacity(bodies.len()));
    for body in bodies {
        let request = format!(
            "POST /v1/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let begun = Instant::now();
        socket.write_all(request.as_bytes()).await.expect("sent");
        let mut length = 0;
        while !buffer[..length].ends_with(b"}}") {
            let read = socket.read(&mut buffer[length..]).await.expect("an answer");
            assert!(read > 0, "{}", String::from_utf8_lossy(&buffer[..length]));
            length += read;
        }
        took.push(begun.elapsed());
        let credited = buffer[..length]
            .windows(12)
            .any(|part| part == b"\"credited\":1");
        assert!(credited, "{}", String::from_utf8_lossy(&buffer[..length]));
    }
    took
}

fn single(address: SocketAddr, key: &str, events: u64, salt: u64) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let bodies = |connection: u64| {
            let own = (0..events).filter(move |number| number % CONNECTIONS == connection);
            own.map(|number| event(number, salt)).collect::<Vec<_>>()
        };
        let all: Vec<Vec<String>> = (0..CONNECTIONS).map(bodies).collect();
        let begun = Instant::now();
        let clients = all.into_iter().map(|own| one_by_one(address, key, own));
        let took = futures_util::future::join_all(clients).await;
        let wall = begun.elapsed();
        let mut took: Vec<Duration> = took.into_iter().flatten().collect();
        took.sort();
        let at = |part: usize| took[(took.len() - 1) * part / 1_000];
        println!(
            "  p50 {:?}, p99 {:?}, p99.9 {:?}",
            at(500),
            at(990),
            at(999)
        );
        wall
    })
}

/// Users that a running platform may not know yet.
fn register(address: SocketAddr, key: &str) {
    let mut socket = TcpStream::connect(address).expect("a connection");
    for number in 0..USERS {
        let body = format!(r#"{{"id":"user-{number}"}}"#);
        let request = format!(
            "POST /v1/users HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(request.as_bytes()).expect("sent");
        let mut answer = [0; 4_096];
        let length = socket.read(&mut answer).expect("an answer");
        assert!(
            answer[..length].starts_with(b"HTTP/1.1 201"),
            "user-{number}"
        );
    }
}

fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let mode = given.first().map_or("inside", String::as_str);
    let events = given
        .get(1)
        .map_or(200_000, |text| text.parse().expect("a number"));
    let salt = Instant::now().elapsed().as_nanos() as u64 ^ u64::from(std::process::id()) << 40;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if mode == "inside" {
        builder = tokio::runtime::Builder::new_current_thread();
    }
    let runtime = builder.enable_all().thread_name(THREADS).build();
    let runtime = runtime.expect("a runtime");
    if mode == "inside" {
        return runtime.block_on(inside(events));
    }
    let (address, key) = if let (Some(address), Some(key)) = (given.get(2), given.get(3)) {
        let address = address.parse().expect("an address");
        register(address, key);
        (address, key.clone())
    } else {
        runtime.block_on(async {
            let (router, key) = stub::router().await;
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
            let listener = listener.expect("a port");
            let address = listener.local_addr().expect("an address");
            let listener = listener.tap_io(|socket| {
                let _ = socket.set_nodelay(true);
            });
            tokio::spawn(async move { axum::serve(listener, router).await });
            (address, key)
        })
    };
    for round in 0..3 {
        let (before, salt) = (door_time(), mix(salt ^ round));
        let wall = if mode == "single" {
            single(address, &key, events, salt)
        } else {
            let (wall, sum) = lines(address, &key, events, salt);
            println!("  {sum}");
            wall
        };
        let what = format!("{mode}, round {round}");
        report(&what, events, wall, door_time() - before);
    }
}
