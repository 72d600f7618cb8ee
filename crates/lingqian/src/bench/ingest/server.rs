//! A server of its own: users in its books, then a process of the same executable.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lingqian_core::command;
use lingqian_io::{Browse as _, Ports as _};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::bench::ledger::open::closed;
use crate::bench::load::user_id;
use crate::home::Home;
use crate::progress::{Rate, Stage};
use crate::store::StoreUrl;
use crate::wire::Wire;

/// Users that are registered together.
const PAGE: u32 = 10_000;
/// How long a server may take to end.
const END_MAX: Duration = Duration::from_secs(60);

/// Makes a data directory with the ordinary settings (but for the store, where one is given), a
/// sandbox's credentials and these users.
///
/// # Errors
/// When it cannot be used.
pub(crate) async fn prepare(
    dir: &Path,
    store: Option<&StoreUrl>,
    users: u32,
) -> anyhow::Result<Rate> {
    let home = Home::open(dir)?;
    if let Some(url) = store {
        home.keep_books_at(url)?;
    }
    let wire = Wire::open(&home).await?;
    let known = wire.store().summary().await?.users.0;
    anyhow::ensure!(known == 0, "the books are in use: a bench needs empty ones");
    let desk = wire.open_desk();
    let stage = Stage::begin("register", "users", Some(u64::from(users)));
    let mut first = 0;
    while first < users {
        let end = users.min(first.saturating_add(PAGE));
        let register = |user| command::Command::RegisterUser {
            user: user_id(user),
            name: None,
        };
        let commands = (first..end).map(register).collect();
        for answer in desk.submit_all(commands).await? {
            answer?;
        }
        stage.advance(u64::from(end - first));
        first = end;
    }
    let rate = stage.end();
    drop((wire, desk));
    closed(dir).await?;
    Ok(rate)
}

/// A server that ends when this goes away.
pub(crate) struct Server {
    child: Child,
    /// Where it listens, as `host:port`.
    pub(crate) address: String,
    /// A key for everything.
    pub(crate) key: String,
}

fn lingqian(dir: &Path) -> anyhow::Result<Command> {
    let path = std::env::current_exe().context("this executable has no path")?;
    let mut command = Command::new(path);
    // Its books are in its own directory, wherever those of the environment are.
    command.arg("--data").arg(dir).env_remove("LINGQIAN_STORE");
    Ok(command)
}

impl Server {
    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) fn start(dir: &Path) -> anyhow::Result<Server> {
        let mut child = lingqian(dir)?
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("LINGQIAN_LOG", "off")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("the server does not start")?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let mut words = line.split_whitespace();
        let address = words.find_map(|word| word.strip_prefix("http://"));
        // From here on it ends with its guard.
        let mut server = Server {
            child,
            address: address.unwrap_or_default().to_owned(),
            key: String::new(),
        };
        anyhow::ensure!(!server.address.is_empty(), "the server said: {line}");
        let home = Home::existing(dir)?;
        let key = std::fs::read_to_string(home.api_key()).context("the server made no key")?;
        key.trim().clone_into(&mut server.key);
        Ok(server)
    }

    /// Its number.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let process = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let process = process.context("the server has no number")?;
        kill_process(process, Signal::TERM)?;
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            anyhow::ensure!(began.elapsed() < END_MAX, "the server does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// What `lingqian audit` says about a directory.
    ///
    /// # Errors
    /// When it says nothing that can be read.
    pub(crate) fn audit(dir: &Path) -> anyhow::Result<Value> {
        let output = lingqian(dir)?.args(["audit", "--json"]).output()?;
        serde_json::from_slice(&output.stdout).with_context(|| {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            format!("the audit failed: {said}")
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
