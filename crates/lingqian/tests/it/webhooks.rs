//! Webhooks as their receivers have them: real processes, a real receiver, and `kill -9` between
//! a send and its record.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Running, ask, json, lingqian, run};

/// A request that came, and the way to answer it.
pub(crate) struct Came {
    headers: Vec<(String, String)>,
    pub(crate) body: String,
    stream: TcpStream,
}

impl Came {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    pub(crate) fn answer(mut self, head: &str) {
        let answer = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let _ = self.stream.write_all(answer.as_bytes());
    }
}

/// Listens; what comes is handed over unanswered.
pub(crate) fn receiver() -> (String, Receiver<Came>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let (sender, came) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().expect("a clone"));
            let mut headers = Vec::new();
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some((name, value)) = line.split_once(':') {
                    headers.push((name.to_owned(), value.trim().to_owned()));
                }
                line.clear();
            }
            let length = headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length = length
                .and_then(|(_, length)| length.parse().ok())
                .unwrap_or(0);
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_ok() {
                let body = String::from_utf8(body).expect("text");
                let came = Came {
                    headers,
                    body,
                    stream,
                };
                if sender.send(came).is_err() {
                    return;
                }
            }
        }
    });
    (url, came)
}

pub(crate) fn next(came: &Receiver<Came>) -> Came {
    came.recv_timeout(Duration::from_secs(30))
        .expect("a message")
}

/// A data directory that may send to this machine, with a sandbox whose day can be moved.
pub(crate) struct World {
    pub(crate) data: PathBuf,
    sandbox: Running,
    _dir: TempDir,
}

impl World {
    pub(crate) fn start(extra: &[(&str, &str)]) -> World {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        let made = run(&data, &["keys", "new", "--scope", "*"]);
        assert!(made.status.success(), "{made:?}");
        let config = data.join("lingqian.toml");
        let mut text = std::fs::read_to_string(&config).expect("a configuration");
        for (before, after) in extra {
            assert!(text.contains(before), "{before}");
            text = text.replace(before, after);
        }
        std::fs::write(config, text).expect("written");
        let sandbox = Running::start(&data, &["sandbox", "--listen", "127.0.0.1:0"]);
        World {
            data,
            sandbox,
            _dir: dir,
        }
    }

    fn allowed() -> World {
        World::start(&[("allow_private = false", "allow_private = true")])
    }

    pub(crate) async fn advance(&self, seconds: i64) {
        let url = format!("{}/_sandbox/clock", self.sandbox.url);
        let headers = [("content-type", "application/json")];
        let body = format!(r#"{{"advance_seconds":{seconds}}}"#);
        assert_eq!(
            ask("POST", &url, &headers, &body)
                .await
                .expect("it answers")
                .0,
            200
        );
    }

    fn create(&self, url: &str) -> Value {
        json(
            &self.data,
            &["webhooks", "create", "--url", url, "--event", "stop.*"],
        )
    }
}

/// What the published library says of a message.
fn verified(secret: &str, came: &Came) -> bool {
    let script = "import json, sys\nfrom standardwebhooks.webhooks import Webhook\n\
                  s, b, h = json.load(sys.stdin)\nWebhook(s).verify(b, h)\n";
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers = names.map(|name| (name.to_owned(), Value::from(came.header(name))));
    let headers: Value = headers
        .into_iter()
        .collect::<serde_json::Map<_, _>>()
        .into();
    let input = serde_json::json!([secret, came.body, headers]).to_string();
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python");
    let mut python = Command::new("python3")
        .args(["-c", script])
        .env("PYTHONPATH", library)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("python3 runs");
    let mut stdin = python.stdin.take().expect("an input");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    python.wait().expect("it ends").success()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_between_send_and_record_sends_again_under_the_same_name() {
    let world = World::allowed();
    let (url, came) = receiver();
    let endpoint = world.create(&url);
    let secret = endpoint["secret"].as_str().expect("a secret").to_owned();
    json(&world.data, &["stop", "--reason", "a test"]);
    let mut pass = lingqian(&world.data, &["pass", "notify", "--once"])
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let first = next(&came);
    // It arrived, and nobody will ever know.
    pass.kill().expect("it is killed");
    pass.wait().expect("it is gone");
    assert!(verified(&secret, &first), "other people's code verifies it");
    let said: Value = serde_json::from_str(&first.body).expect("JSON");
    assert_eq!(
        (&said["type"], &said["number"]),
        (&"stop.set".into(), &1.into())
    );
    assert_eq!(said["data"]["scope"], "all");
    let id = first.header("webhook-id").to_owned();
    let waits = json(&world.data, &["pass", "notify", "--once"]);
    assert_eq!(waits["taken"], 0, "it is leased to the dead one");
    world.advance(200).await;
    let pass = lingqian(&world.data, &["pass", "notify", "--once", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let again = next(&came);
    assert_eq!(again.header("webhook-id"), id, "the same name");
    assert_eq!(again.body, first.body, "the same message");
    again.answer("204 No Content");
    let done = pass.wait_with_output().expect("it ends");
    let done: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(done["moved"], 1);
    let list = json(&world.data, &["webhooks", "list"]);
    assert_eq!(list["data"][0]["health"]["pending"], 0, "{list:#}");
}

#[test]
fn a_server_delivers_by_itself_and_its_endpoints_are_managed_beside_it() {
    let world = World::allowed();
    let server = Running::start(&world.data, &["serve", "--listen", "127.0.0.1:0"]);
    let (url, came) = receiver();
    let endpoint = world.create(&url);
    let id = endpoint["id"].as_str().expect("a name").to_owned();
    json(&world.data, &["stop", "--reason", "a test"]);
    let first = next(&came);
    assert!(verified(
        endpoint["secret"].as_str().expect("a secret"),
        &first
    ));
    first.answer("200 OK");
    // While a receiver changes to the new secret both sign.
    let rotated = json(&world.data, &["webhooks", "rotate", &id]);
    json(&world.data, &["resume", "--reason", "a test"]);
    let second = next(&came);
    for holder in [&endpoint, &rotated] {
        assert!(verified(
            holder["secret"].as_str().expect("a secret"),
            &second
        ));
    }
    second.answer("410 Gone");
    let off = || json(&world.data, &["webhooks", "show", &id]);
    for _ in 0..100 {
        if off()["enabled"] == false {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(off()["off_why"], "http_410");
    json(&world.data, &["webhooks", "change", &id, "--on"]);
    json(
        &world.data,
        &["webhooks", "replay", &id, "--first", "1", "--last", "2"],
    );
    for number in [1, 2] {
        let again = next(&came);
        let said: Value = serde_json::from_str(&again.body).expect("JSON");
        assert_eq!(said["number"], number, "from the first on");
        again.answer("200 OK");
    }
    let feed = json(&world.data, &["feed"]);
    let events = feed["data"].as_array().expect("a list").iter();
    let events: Vec<&str> = events.filter_map(|one| one["type"].as_str()).collect();
    assert_eq!(events, ["stop.set", "stop.lifted"]);
    assert_eq!(
        json(&world.data, &["webhooks", "delete", &id])["deleted"],
        true
    );
    server.kill();
}

#[test]
fn nothing_is_sent_to_this_machine_unless_it_is_allowed() {
    let world = World::start(&[]);
    let (url, came) = receiver();
    let url = url.replace("http://", "https://");
    let endpoint = world.create(&url);
    json(&world.data, &["stop", "--reason", "a test"]);
    json(&world.data, &["pass", "notify", "--once"]);
    let id = endpoint["id"].as_str().expect("a name");
    let health = json(&world.data, &["webhooks", "show", id])["health"].clone();
    assert_eq!(health["failed_with"], "private_address", "{health:#}");
    assert!(came.try_recv().is_err(), "not a byte came");
}

#[test]
fn who_writes_a_receiver_gets_samples_and_what_happens_at_the_server() {
    let world = World::allowed();
    let (url, came) = receiver();
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let given = ["--forward-to", &url, "--secret", secret];
    let trigger = lingqian(
        &world.data,
        &[&["trigger", "payout.paid"], &given[..]].concat(),
    )
    .stdout(Stdio::null())
    .spawn();
    let sample = next(&came);
    let said: Value = serde_json::from_str(&sample.body).expect("JSON");
    assert_eq!(
        (&said["type"], &said["sample"]),
        (&"payout.paid".into(), &true.into())
    );
    assert!(verified(secret, &sample));
    sample.answer("200 OK");
    assert!(
        trigger
            .expect("it starts")
            .wait()
            .expect("it ends")
            .success()
    );
    let server = Running::start(&world.data, &["serve", "--listen", "127.0.0.1:0"]);
    json(&world.data, &["stop", "--reason", "a test"]);
    let all = [&["listen", "--after", "0"], &given[..]].concat();
    let mut listen = lingqian(&world.data, &all)
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let forwarded = next(&came);
    let said: Value = serde_json::from_str(&forwarded.body).expect("JSON");
    assert_eq!(said["type"], "stop.set");
    assert!(verified(secret, &forwarded));
    forwarded.answer("200 OK");
    listen.kill().expect("it is killed");
    listen.wait().expect("it is gone");
    server.kill();
}
