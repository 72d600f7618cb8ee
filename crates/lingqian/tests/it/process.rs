//! Starting, asking and killing processes.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// The executable with a data directory.
pub(crate) fn lingqian(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lingqian"));
    command
        .arg("--data")
        .arg(data)
        .args(arguments)
        .env_remove("LINGQIAN_LOG")
        .env_remove("LINGQIAN_STORE");
    command
}

/// Runs to the end.
pub(crate) fn run(data: &Path, arguments: &[&str]) -> Output {
    lingqian(data, arguments)
        .output()
        .expect("the executable runs")
}

/// Runs to the end, which must be good, and reads the JSON that it printed.
pub(crate) fn json(data: &Path, arguments: &[&str]) -> Value {
    let output = run(data, &[arguments, &["--json"]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: no JSON"))
}

/// Somebody else's look at the books: plain SQL in Python, and the sandbox's own journal.
pub(crate) fn independent_audit(data: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audit.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(data.join("lingqian.db"));
    let journal = data.join("sandbox/journal.jsonl");
    if journal.exists() {
        command.arg(journal);
    }
    let output = command.output().expect("python3 is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// A process that is killed when the test is over.
pub(crate) struct Running {
    child: Child,
    /// Where it listens.
    pub(crate) url: String,
}

impl Running {
    /// Starts something that prints where it listens, with `http://` before it.
    pub(crate) fn start(data: &Path, arguments: &[&str]) -> Running {
        let mut command = lingqian(data, arguments);
        Running::of(command.stdout(Stdio::piped()).stderr(Stdio::null()))
    }

    /// The same of a command whose output is piped.
    pub(crate) fn of(command: &mut Command) -> Running {
        let mut child = command.spawn().expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says where it listens");
        let word = line.split(' ').find(|word| word.starts_with("http://"));
        let url = word
            .unwrap_or_else(|| panic!("{command:?} said: {line}"))
            .trim()
            .to_owned();
        Running { child, url }
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and nothing of it is left.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it is gone");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request; answers status and JSON (or the text as a JSON string).
pub(crate) async fn ask(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<(u16, Value, Option<String>)> {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request
        .body(Full::new(Bytes::from(body.to_owned())))
        .expect("a request");
    let answer = client.request(request).await.ok()?;
    let status = answer.status().as_u16();
    let location = answer
        .headers()
        .get("location")
        .and_then(|value| value.to_str().ok());
    let location = location.map(str::to_owned);
    let bytes = answer.into_body().collect().await.ok()?.to_bytes();
    let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
    Some((
        status,
        serde_json::from_slice(&bytes).unwrap_or_else(|_| text()),
        location,
    ))
}

/// Looks until nothing is left to wait for, for at most a minute; `left` says what is.
pub(crate) async fn until<F: AsyncFnMut() -> Option<String>>(what: &str, mut left: F) {
    let began = Instant::now();
    while let Some(left) = left().await {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "not within a minute: {what}: {left}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
