//! Processes of the executable: started, killed, stopped, continued, told to end.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A process that says nothing for so long after its start is given up.
const START_WAIT: Duration = Duration::from_secs(20);

/// The executable and where it keeps everything.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable.
    pub binary: PathBuf,
    /// The data directory.
    pub data: PathBuf,
    /// Where logs are kept.
    pub logs: PathBuf,
    /// What is logged.
    pub log_filter: String,
}

impl Program {
    fn command(&self, store: Option<&str>, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .arg("--data")
            .arg(&self.data)
            .args(arguments)
            .env_remove("LINGQIAN_STORE")
            .env("LINGQIAN_LOG", &self.log_filter);
        if let Some(store) = store {
            command.env("LINGQIAN_STORE", store);
        }
        command
    }

    /// Runs a command to its end and reads the JSON that it printed, whether it liked what it
    /// found or not. What it says besides is added to its log.
    ///
    /// # Errors
    /// When it prints none.
    pub fn json(&self, store: Option<&str>, arguments: &[&str]) -> anyhow::Result<Value> {
        let output = self
            .command(store, &[arguments, &["--json"]].concat())
            .stderr(self.log("commands")?)
            .output()?;
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{arguments:?} printed no JSON and ended {}", output.status))
    }

    fn log(&self, name: &str) -> anyhow::Result<File> {
        let path = self.logs.join(format!("{name}.log"));
        File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Starts something that prints where it listens.
    ///
    /// # Errors
    /// When it does not within a while.
    pub async fn start(
        &self,
        name: &str,
        store: Option<&str>,
        arguments: &[&str],
    ) -> anyhow::Result<Running> {
        let mut child = self
            .command(store, arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(self.log(name)?)
            .spawn()
            .with_context(|| format!("cannot run {}", self.binary.display()))?;
        let stdout = child.stdout.take().context("its output is piped")?;
        let mut running = Running { child };
        let said = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).map(|_| line)
        });
        let line = match tokio::time::timeout(START_WAIT, said).await {
            Ok(line) => line??,
            Err(_) => {
                // The thread that reads ends with the process.
                running.kill();
                bail!("{name} did not say where it listens within {START_WAIT:?}");
            }
        };
        let addr = line
            .split([' ', '\n'])
            .find_map(|word| word.strip_prefix("http://"));
        // A configured public address may be printed instead of the real one.
        ensure!(addr.is_some(), "{name} said: {line:?}");
        Ok(running)
    }
}

/// A running process. It is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

impl Running {
    /// `kill -9`, and nothing of it is left.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// It stands still until it is continued.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// It goes on where it stood.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to end and waits; nothing if it does not within a while.
    pub async fn end(&mut self, wait: Duration) -> Option<ExitStatus> {
        self.signal(Signal::TERM);
        let began = Instant::now();
        while began.elapsed() < wait {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    }

    /// Whether it ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that is free now.
///
/// # Errors
/// When there is none.
pub fn free_addr() -> anyhow::Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// The text of a file, or nothing.
pub(crate) fn text_of(path: &Path) -> String {
    std::fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}
