//! Alerts by mail, to a server of other people's making that wants STARTTLS and a login.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::alerts::{bad_line, discard_the_letter};
use crate::process::{Running, ask, json, lingqian};
use crate::webhooks::World;

const USER: &str = "alerts";
const PASSWORD: &str = "a secret of the tests";

/// An authority, and what it signed for `localhost`.
fn certificates(folder: &Path) {
    let key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ];
    let made = |more: &[&str]| {
        let mut command = Command::new("openssl");
        let command = command
            .args(["req", "-x509", "-days", "2"])
            .args(key)
            .args(more);
        let output = command.current_dir(folder).output().expect("openssl runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    for name in ["ca", "other"] {
        let (key, out) = (format!("{name}.key"), format!("{name}.pem"));
        made(&[
            "-subj",
            &format!("/CN={name}"),
            "-keyout",
            &key,
            "-out",
            &out,
        ]);
    }
    made(&[
        "-subj",
        "/CN=localhost",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-keyout",
        "server.key",
        "-out",
        "server.pem",
    ]);
}

/// A server that ends with this.
struct Server {
    child: Child,
    said: BufReader<ChildStdout>,
    port: u16,
    folder: TempDir,
}

impl Server {
    fn start() -> Server {
        let folder = tempfile::tempdir().expect("a folder");
        certificates(folder.path());
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new("python3")
            .arg(here.join("tests/smtp.py"))
            .arg(here.join("../../target/servers"))
            .args([
                folder.path().join("server.pem"),
                folder.path().join("server.key"),
            ])
            .args([USER, PASSWORD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let mut said = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        said.read_line(&mut line).expect("it says its port");
        let port = line.trim().parse();
        let port = port.unwrap_or_else(|_| panic!("`cargo xtask test` installs it; {line:?}"));
        Server {
            child,
            said,
            port,
            folder,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The next mail.
    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("a mail");
        serde_json::from_str(&line).expect("JSON")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn world(server: &Server, authority: &str) -> World {
    let target = format!(
        "[[alerts.targets]]\nname = \"mail\"\nvia = \"email\"\n\
         server = \"smtp://localhost:{}\"\nfrom = \"Lingqian <lingqian@example.com>\"\n\
         to = [\"ops@example.com\", \"duty@example.com\"]\nuser = \"env:LQ_SMTP_USER\"\n\
         password = \"env:LQ_SMTP_PASSWORD\"\nauthority = \"file:{}\"\n\n[webhooks]",
        server.port,
        server.file(authority).display(),
    );
    let allowed = [
        ("allow_private = false", "allow_private = true"),
        ("settle_seconds = 120", "settle_seconds = 0"),
        ("[webhooks]", target.as_str()),
    ];
    World::start(&allowed)
}

fn pass(world: &World, password: &str) -> Value {
    let mut pass = lingqian(&world.data, &["pass", "alert", "--once", "--json"]);
    pass.env("LQ_SMTP_USER", USER)
        .env("LQ_SMTP_PASSWORD", password);
    let done = pass.output().expect("it runs");
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!errors.contains(password), "the password is told");
    serde_json::from_slice(&done.stdout).expect(&errors)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_arrives_encrypted_once_and_says_what_began_and_what_is_over() {
    let mut server = Server::start();
    let world = world(&server, "ca.pem");
    bad_line(&world.data);
    assert_eq!(pass(&world, PASSWORD)["moved"], 1);
    let mail = server.next();
    assert_eq!(
        (&mail["encrypted"], &mail["login"]),
        (&true.into(), &true.into())
    );
    assert_eq!(mail["from"], "lingqian@example.com");
    assert_eq!(
        mail["to"],
        serde_json::json!(["ops@example.com", "duty@example.com"])
    );
    let text = mail["text"].as_str().expect("a text").to_owned();
    assert!(text.contains("dead_letters"), "{text}");
    assert!(text.contains("docs/RUNBOOK.md#dead_letters"), "{text}");
    assert!(
        mail["subject"]
            .as_str()
            .is_some_and(|words| words.contains("Lingqian")),
        "{mail}"
    );
    assert_eq!(pass(&world, PASSWORD)["taken"], 0, "it is told once");
    let numbers = numbers(&world).await;
    for expected in [
        "lingqian_alerts{of=\"dead_letters\",what=\"open\"} 1",
        "lingqian_alerts{of=\"dead_letters\",what=\"told\"} 1",
        "lingqian_alerts{of=\"target:mail\",what=\"told\"} 1",
        "lingqian_alerts{of=\"target:mail\",what=\"failed\"} 0",
    ] {
        assert!(
            numbers.contains(&expected.to_owned()),
            "{expected}: {numbers:#?}"
        );
    }
    discard_the_letter(&world.data);
    world.advance(5).await;
    assert_eq!(pass(&world, PASSWORD)["moved"], 1);
    let over = server.next();
    assert_ne!(over["id"], mail["id"], "another message");
}

/// The numbers of alerts, as a process that serves tells them.
async fn numbers(world: &World) -> Vec<String> {
    let mut serve = lingqian(&world.data, &["serve", "--listen", "127.0.0.1:0"]);
    serve
        .env("LQ_SMTP_USER", USER)
        .env("LQ_SMTP_PASSWORD", PASSWORD);
    let serve = Running::of(serve.stdout(Stdio::piped()).stderr(Stdio::null()));
    let key = std::fs::read_to_string(world.data.join("api-key")).expect("the key");
    let key = format!("Bearer {}", key.trim());
    let url = format!("{}/metrics", serve.url);
    let answer = ask("GET", &url, &[("authorization", &key)], "").await;
    let (status, text, _) = answer.expect("it answers");
    assert_eq!(status, 200);
    let text = text.as_str().expect("a text").to_owned();
    let lines = text
        .lines()
        .filter(|line| line.starts_with("lingqian_alerts{"));
    lines.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_and_a_server_that_is_not_believed_have_codes() {
    let server = Server::start();
    for (authority, password, code) in [
        ("ca.pem", "not the password", "smtp_535"),
        ("other.pem", PASSWORD, "tls_failed"),
    ] {
        let world = world(&server, authority);
        bad_line(&world.data);
        assert_eq!(pass(&world, password)["moved"], 0, "{code}");
        let list = json(&world.data, &["alerts", "list"]);
        let target = &list["targets"][0];
        assert_eq!(
            (&target["failed_with"], &target["failures"]),
            (&code.into(), &1.into())
        );
        assert_eq!(
            list["alerts"][0]["told"],
            serde_json::json!([]),
            "nobody was told"
        );
    }
}
