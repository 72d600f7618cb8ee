//! Several processes over one PostgreSQL database: they, its connections and the server itself
//! are killed, and what was acknowledged is there once.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::process::{Running, ask, lingqian};
use crate::server::Server;

/// How many users share the events.
const USERS: usize = 40;
/// Events of one request.
const BATCH: usize = 60;

/// A server, and two processes of the platform that share its books and their directory.
struct World {
    server: Server,
    platforms: [Option<Running>; 2],
    addresses: [String; 2],
    data: PathBuf,
    key: String,
    _dir: TempDir,
}

impl World {
    async fn start() -> World {
        let server = Server::start();
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        let first = serve(&data, &server.url(), "127.0.0.1:0");
        let key = std::fs::read_to_string(data.join("api-key")).expect("the key is there");
        let second = serve(&data, &server.url(), "127.0.0.1:0");
        let address = |running: &Running| running.url.trim_start_matches("http://").to_owned();
        let world = World {
            addresses: [address(&first), address(&second)],
            platforms: [Some(first), Some(second)],
            server,
            data,
            key: format!("Bearer {}", key.trim()),
            _dir: dir,
        };
        for user in 0..USERS {
            let body = json!({ "id": format!("u{user}") }).to_string();
            let made = post(&world.addresses[user % 2], &world.key, "/v1/users", &body).await;
            assert_eq!(made.expect("it answers").0, 201);
        }
        world
    }

    fn kill(&mut self, which: usize) {
        self.platforms[which].take().expect("it runs").kill();
    }

    fn restart(&mut self, which: usize) {
        let address = self.addresses[which].clone();
        self.platforms[which] = Some(serve(&self.data, &self.server.url(), &address));
    }

    /// Feeds every event through both processes, each in another order, until all were
    /// acknowledged by each.
    fn feed(&self, batches: usize) -> [Feeder; 2] {
        [0, 1].map(|which| {
            let acknowledged: Arc<Mutex<Vec<usize>>> = Arc::default();
            let (address, key) = (self.addresses[which].clone(), self.key.clone());
            let seen = Arc::clone(&acknowledged);
            let work = tokio::spawn(async move {
                let began = Instant::now();
                for step in 0..batches {
                    let batch = if which == 0 { step } else { batches - 1 - step };
                    // Whatever was not acknowledged is sent again.
                    while !send(&address, &key, batch).await {
                        assert!(began.elapsed() < Duration::from_secs(60), "nobody answers");
                        tokio::time::sleep(Duration::from_millis(30)).await;
                    }
                    seen.lock().expect("no panic").push(batch);
                }
            });
            Feeder { acknowledged, work }
        })
    }

    /// What was acknowledged is there once; every balance is what was sent; the audit is green.
    async fn check(&mut self, batches: usize) {
        let events = batches * BATCH;
        for batch in 0..batches {
            let body = events_of(batch);
            let answer = post(&self.addresses[batch % 2], &self.key, "/v1/events", &body).await;
            let (status, answer) = answer.expect("it answers");
            assert_eq!(
                (status, &answer["summary"]["duplicates"]),
                (200, &json!(BATCH))
            );
        }
        let audit = self.command(&["audit"]);
        assert_eq!(audit["sound"], true, "{audit:#}");
        assert_eq!(audit["earnings"], events);
        // Somebody else's sums: plain SQL over the entries.
        let books = self.server.connect().await;
        let sums = "SELECT count(*), count(DISTINCT (source, event_id)), \
                    sum(amount_micros)::bigint, (SELECT sum(available_micros)::bigint \
                    FROM user_accounts), max(seq) FROM entries";
        let row = books.query_one(sums, &[]).await.expect("sums");
        let expected = i64::try_from(events).expect("small");
        let all: Vec<i64> = (0..5).map(|column| row.get(column)).collect();
        let micros = expected * 100_000;
        assert_eq!(all, [expected, expected, micros, micros, expected]);
    }

    fn command(&self, arguments: &[&str]) -> Value {
        let mut command = lingqian(&self.data, &[arguments, &["--json"]].concat());
        let output = command.env("LINGQIAN_STORE", self.server.url()).output();
        let output = output.expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

/// Somebody who sends events, and what was acknowledged so far.
struct Feeder {
    acknowledged: Arc<Mutex<Vec<usize>>>,
    work: JoinHandle<()>,
}

/// Waits until so many batches were acknowledged to both together.
async fn until_acknowledged(feeders: &[Feeder; 2], batches: usize) {
    let began = Instant::now();
    let count = |feeder: &Feeder| feeder.acknowledged.lock().expect("no panic").len();
    while feeders.iter().map(count).sum::<usize>() < batches {
        assert!(began.elapsed() < Duration::from_secs(60), "it stands still");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn done(feeders: [Feeder; 2]) {
    for feeder in feeders {
        feeder.work.await.expect("everything was acknowledged");
    }
}

fn serve(data: &Path, store: &str, listen: &str) -> Running {
    Running::start(data, &["serve", "--store", store, "--listen", listen])
}

/// The events of a batch, each of ten fen.
fn events_of(batch: usize) -> String {
    let events = (0..BATCH).map(|place| {
        let number = batch * BATCH + place;
        json!({
            "source": "test", "event_id": format!("e{number}"),
            "user": format!("u{}", number % USERS), "kind": "task_done", "amount_fen": 10,
        })
    });
    Value::Array(events.collect()).to_string()
}

async fn post(address: &str, key: &str, path: &str, body: &str) -> Option<(u16, Value)> {
    let headers = [("authorization", key), ("content-type", "application/json")];
    let answer = ask("POST", &format!("http://{address}{path}"), &headers, body).await;
    answer.map(|(status, value, _)| (status, value))
}

/// Whether all of a batch was acknowledged.
async fn send(address: &str, key: &str, batch: usize) -> bool {
    let Some((200, answer)) = post(address, key, "/v1/events", &events_of(batch)).await else {
        return false;
    };
    let counted = |name: &str| answer["summary"][name].as_u64().unwrap_or(0);
    assert_eq!(counted("rejected"), 0, "{answer:#}");
    counted("credited") + counted("duplicates") == BATCH as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_that_are_killed_in_turn_lose_and_double_nothing() {
    const BATCHES: usize = 60;
    let mut world = World::start().await;
    let feeders = world.feed(BATCHES);
    for (which, acknowledged) in [(0, 15), (1, 40), (0, 70)] {
        until_acknowledged(&feeders, acknowledged).await;
        world.kill(which);
        world.restart(which);
    }
    done(feeders).await;
    world.check(BATCHES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_killed_in_the_middle_of_commits_lose_and_double_nothing() {
    const BATCHES: usize = 60;
    let mut world = World::start().await;
    let feeders = world.feed(BATCHES);
    for acknowledged in [15, 45, 75] {
        until_acknowledged(&feeders, acknowledged).await;
        world.server.kill_a_backend().await;
    }
    done(feeders).await;
    world.check(BATCHES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_in_the_middle_of_commits_loses_and_doubles_nothing() {
    const BATCHES: usize = 60;
    let mut world = World::start().await;
    let feeders = world.feed(BATCHES);
    for acknowledged in [20, 60] {
        until_acknowledged(&feeders, acknowledged).await;
        world.server.stop_at_once();
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.server.start_again();
    }
    done(feeders).await;
    world.check(BATCHES).await;
}

/// What a process says at its start, once that it listens.
fn said_at_start(data: &Path, store: &str) -> String {
    let heard = data.with_extension("log");
    let file = std::fs::File::create(&heard).expect("a file");
    let mut serve = lingqian(
        data,
        &["serve", "--store", store, "--listen", "127.0.0.1:0"],
    );
    let running = Running::of(serve.stdout(Stdio::piped()).stderr(file));
    drop(running);
    std::fs::read_to_string(heard).expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shares_books_and_no_folder_is_warned_at_the_start() {
    let server = Server::start();
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let said = said_at_start(&data, &server.url());
    assert!(said.contains("kept_folder_unset"), "{said}");
    let folder = dir.path().join("kept");
    std::fs::create_dir(&folder).expect("made");
    let path = data.join("lingqian.toml");
    let text = std::fs::read_to_string(&path).expect("text");
    let named = format!("folder = {:?}", folder.to_str().expect("plain"));
    let (head, kept) = text.split_once("[kept]").expect("the setting is there");
    let text = [head, "[kept]", &kept.replacen("folder = \"\"", &named, 1)].concat();
    std::fs::write(&path, text).expect("written");
    let said = said_at_start(&data, &server.url());
    assert!(!said.contains("kept_folder_unset"), "{said}");
    // Books that are one process's own need none.
    let alone = lingqian(
        &dir.path().join("alone"),
        &["serve", "--listen", "127.0.0.1:0"],
    )
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn();
    let mut alone = alone.expect("it starts");
    let mut line = String::new();
    let stdout = alone.stdout.as_mut().expect("piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("a line");
    alone.kill().expect("it is killed");
    let said = alone.wait_with_output().expect("it ends").stderr;
    assert!(!String::from_utf8_lossy(&said).contains("kept_folder_unset"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_in_the_address_is_never_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    for address in [
        "postgres://lingqian:hush@127.0.0.1:1/x",
        "postgres://lingqian:hush@",
        "mysql://lingqian:hush@127.0.0.1/x",
    ] {
        for debug in ["warn", "trace"] {
            let mut command = lingqian(&data, &["keys", "list", "--json"]);
            command
                .env("LINGQIAN_STORE", address)
                .env("LINGQIAN_LOG", debug);
            let output = command.output().expect("it runs");
            assert!(!output.status.success(), "{address} cannot work");
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).into_owned();
            assert!(!said.contains("hush"), "{said}");
        }
    }
    let mut help = lingqian(&data, &["--help"]);
    let help = help.env("LINGQIAN_STORE", "postgres://u:hush@h/d").output();
    let help = String::from_utf8_lossy(&help.expect("it runs").stdout).into_owned();
    assert!(
        help.contains("LINGQIAN_STORE") && !help.contains("hush"),
        "{help}"
    );
}

/// The whole flow, killed on its way and begun again, with the books in the database.
#[test]
fn money_goes_from_events_to_wallets_over_a_shared_database_too() {
    let server = Server::start();
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let made = ["--users", "60", "--events-count", "3000", "--seed", "5"];
    let arguments = [&["quickstart", "--exit", "--json"], &made[..]].concat();
    let quickstart = || {
        let mut command = lingqian(&data, &arguments);
        command.env("LINGQIAN_STORE", server.url());
        command
    };
    for wait in [900, 1_800] {
        let mut child = quickstart()
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("it starts");
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().expect("killed");
        child.wait().expect("gone");
    }
    let output = quickstart().output().expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["audit"]["sound"], true, "{report:#}");
    assert_eq!(report["clearing_micros"], 0, "{report:#}");
    assert_eq!(report["open_breaks"], 0, "{report:#}");
    assert_eq!(report["paid_fen"], report["sandbox_paid_fen"], "{report:#}");
    assert!(report["paid_fen"].as_i64().is_some_and(|fen| fen > 1_000));
    assert!(
        !data.join("lingqian.db").exists(),
        "there is no file beside it"
    );
}
