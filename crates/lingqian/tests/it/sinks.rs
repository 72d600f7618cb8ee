//! The feed at a real RabbitMQ, published by real processes that share one PostgreSQL database:
//! one of them publishes, and whatever happens to it the other goes on.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lingqian_brokers::load::rabbit::Receiver;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Running, ask, lingqian, until};
use crate::server::Server;

/// The environment variable that names the broker.
const BROKER: &str = "LINGQIAN_TEST_RABBITMQ";
/// How long the lease of the sink is here, in seconds.
const LEASE_SECONDS: u64 = 3;
/// Notices that a sink publishes together: so many may come twice when it dies.
const BATCH: usize = 500;

struct World {
    server: Server,
    data: PathBuf,
    key: String,
    receiver: Receiver,
    made: i64,
    _dir: TempDir,
}

impl World {
    async fn new() -> World {
        let broker = std::env::var(BROKER).unwrap_or_else(|_| {
            panic!("{BROKER} names no RabbitMQ; `cargo xtask test` starts one and sets it")
        });
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        let server = Server::start();
        let exchange = format!("feed-{}", std::process::id());
        let receiver = Receiver::bind(std::slice::from_ref(&broker), &exchange).await;
        let receiver = receiver.expect("a queue that hears of everything");
        let made = lingqian(&data, &["keys", "list"])
            .output()
            .expect("it runs");
        assert!(made.status.success());
        std::fs::write(data.join("amqp-url"), &broker).expect("written");
        let file = data.join("lingqian.toml");
        let mut text = std::fs::read_to_string(&file).expect("the configuration");
        text.push_str(&format!(
            "\n[[sinks]]\nname = \"app\"\nbroker = \"rabbitmq\"\nurls = [\"file:amqp-url\"]\n\
             exchange = \"{exchange}\"\nlease_seconds = {LEASE_SECONDS}\n"
        ));
        std::fs::write(&file, text).expect("written");
        World {
            server,
            data,
            key: String::new(),
            receiver,
            made: 0,
            _dir: dir,
        }
    }

    fn serve(&mut self) -> Running {
        let url = self.server.url();
        let arguments = ["serve", "--store", &url, "--listen", "127.0.0.1:0"];
        let running = Running::start(&self.data, &arguments);
        let key = std::fs::read_to_string(self.data.join("api-key")).expect("the key");
        self.key = format!("Bearer {}", key.trim());
        running
    }

    async fn call(&self, to: &Running, method: &str, path: &str, body: &Value) -> Value {
        let headers = [
            ("authorization", self.key.as_str()),
            ("content-type", "application/json"),
        ];
        let url = format!("{}{path}", to.url);
        let answer = ask(method, &url, &headers, &body.to_string()).await;
        let (status, value, _) = answer.expect("it answers");
        assert!(status < 300, "{method} {path}: {status} {value}");
        value
    }

    /// So many notices, each of which is one commit.
    async fn happen(&mut self, through: &Running, count: i64) {
        for _ in 0..count {
            self.made += 1;
            let frozen = json!({ "frozen": self.made % 2 == 1 });
            self.call(through, "PATCH", "/v1/users/alice", &frozen)
                .await;
        }
    }

    /// Whether a process publishes, by its own numbers.
    async fn publishes(&self, process: &Running) -> bool {
        let metrics = self.call(process, "GET", "/metrics", &Value::Null).await;
        let text = metrics.as_str().expect("a text").to_owned();
        text.lines().any(|line| {
            line.contains("sink:app") && line.contains("\"connected\"") && line.ends_with(" 1")
        })
    }

    /// Which of two publishes, as soon as one does; the other one is behind it.
    async fn publisher(&self, two: [Running; 2]) -> [Running; 2] {
        let began = Instant::now();
        loop {
            match (self.publishes(&two[0]).await, self.publishes(&two[1]).await) {
                (true, false) => return two,
                (false, true) => {
                    let [first, second] = two;
                    return [second, first];
                }
                both => assert!(began.elapsed().as_secs() < 30, "{both:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the newest notice is at the broker, and takes along whatever came.
    async fn all_arrive(&mut self, numbers: &mut Vec<i64>) {
        let (receiver, made) = (&mut self.receiver, self.made);
        until("all are at the broker", async || {
            numbers.extend(receiver.take().await.expect("reads"));
            let newest = numbers.iter().copied().max().unwrap_or(0);
            (newest < made).then(|| format!("{newest} of {made}"))
        })
        .await;
    }
}

fn signal(process: &Running, name: &str) {
    let id = process.id().to_string();
    let sent = Command::new("kill").args([name, &id]).status();
    assert!(sent.expect("kill runs").success());
}

/// Nothing is missing, the order is that of the feed once repeats are dropped, and those are
/// few. Tells how many came twice.
fn check(numbers: &[i64], made: i64, handovers: usize) -> usize {
    let (mut first, mut newest) = (Vec::new(), 0);
    for number in numbers {
        if *number > newest {
            newest = *number;
            first.push(newest);
        }
    }
    assert_eq!(first, (1..=made).collect::<Vec<i64>>(), "none is missing");
    let twice = numbers.len() - first.len();
    assert!(twice <= handovers * BATCH, "{twice} came twice");
    twice
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_processes_publishes_and_the_other_goes_on_from_its_mark() {
    let mut world = World::new().await;
    let two = [world.serve(), world.serve()];
    world
        .call(&two[0], "POST", "/v1/users", &json!({ "id": "alice" }))
        .await;
    let mut numbers = Vec::new();
    world.happen(&two[0], 60).await;
    world.happen(&two[1], 60).await;
    world.all_arrive(&mut numbers).await;
    assert_eq!(
        check(&numbers, 120, 0),
        0,
        "while both live nothing comes twice"
    );
    // Whoever publishes stands still for longer than its lease, and then goes on as if nothing
    // had been.
    let [stopped, other] = world.publisher(two).await;
    signal(&stopped, "-STOP");
    world.happen(&other, 150).await;
    world.all_arrive(&mut numbers).await;
    signal(&stopped, "-CONT");
    world.happen(&stopped, 100).await;
    world.all_arrive(&mut numbers).await;
    // Whoever publishes now is killed while notices are made.
    let [killed, other] = world.publisher([stopped, other]).await;
    let process = killed.id();
    let killing = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(150)).await;
        killed.kill();
    });
    world.happen(&other, 200).await;
    killing.await.expect("killed");
    world.all_arrive(&mut numbers).await;
    // Whatever an old one had in flight would have come by now.
    tokio::time::sleep(Duration::from_secs(1)).await;
    numbers.extend(world.receiver.take().await.expect("reads"));
    let twice = check(&numbers, world.made, 2);
    assert!(world.publishes(&other).await, "after {process} was killed");
    println!("{} notices, {twice} of them came twice", world.made);
    let marks = "SELECT position FROM marks WHERE name = 'sink/app'";
    let books = world.server.connect().await;
    let mark: i64 = books.query_one(marks, &[]).await.expect("a mark").get(0);
    assert_eq!(mark, world.made, "the mark is at the end");
}

/// A configuration that could lease nothing is refused.
#[test]
fn a_lease_that_is_too_short_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let data: &Path = dir.path();
    let made = lingqian(data, &["keys", "list"]).output().expect("it runs");
    assert!(made.status.success());
    let file = data.join("lingqian.toml");
    let mut text = std::fs::read_to_string(&file).expect("the configuration");
    text.push_str(
        "\n[[sinks]]\nname = \"app\"\nbroker = \"rabbitmq\"\nurls = [\"env:A\"]\n\
         exchange = \"x\"\nlease_seconds = 1\n",
    );
    std::fs::write(&file, text).expect("written");
    let output = lingqian(data, &["keys", "list"]).output().expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(errors.contains("lease_seconds"), "{errors}");
}
