//! A PostgreSQL server of a test's own, because it is killed.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// PostgreSQL refuses to run as root; then this user runs it.
const NOBODY: &str = "nobody";

/// A server with one empty database. It ends with this.
pub(crate) struct Server {
    programs: PathBuf,
    dir: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Server {
    /// Makes a cluster and starts it.
    pub(crate) fn start() -> Server {
        let programs = programs();
        let dir = tempfile::tempdir().expect("a directory");
        if is_root() {
            run(Command::new("chown").arg(NOBODY).arg(dir.path()));
        }
        let mut make = as_nobody(&programs.join("initdb"));
        let settings = [
            "-U",
            "lingqian",
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ];
        run(make
            .arg("-D")
            .arg(dir.path().join("data"))
            .args(settings)
            .current_dir(dir.path()));
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let mut server = Server {
            programs,
            dir,
            port: port.expect("a free port").port(),
            child: None,
        };
        server.start_again();
        server
    }

    /// The address of its database.
    pub(crate) fn url(&self) -> String {
        format!("postgres://lingqian@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts it on the same data, at the same address.
    pub(crate) fn start_again(&mut self) {
        let mut postgres = as_nobody(&self.programs.join("postgres"));
        let port = self.port.to_string();
        let child = postgres
            .arg("-D")
            .arg(self.dir.path().join("data"))
            .args(["-p", &port, "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories=", "-c", "fsync=off"])
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.expect("PostgreSQL starts"));
        self.wait_until_ready();
    }

    fn wait_until_ready(&self) {
        let (began, port) = (Instant::now(), self.port.to_string());
        loop {
            let mut ready = Command::new(self.programs.join("pg_isready"));
            let ready = ready.args(["-q", "-h", "127.0.0.1", "-p", &port]).status();
            if ready.expect("pg_isready runs").success() {
                return;
            }
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "PostgreSQL does not answer"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it at once, in the middle of whatever it does.
    pub(crate) fn stop_at_once(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal("-QUIT", &child.id().to_string());
            let _ = child.wait();
        }
    }

    /// `kill -9` of one process that serves a connection of ours. The server ends all the others
    /// then and recovers.
    pub(crate) async fn kill_a_backend(&self) {
        let busiest = "SELECT pid FROM pg_stat_activity WHERE application_name = 'lingqian' \
                       ORDER BY (state = 'active') DESC, state_change DESC LIMIT 1";
        let row = self.connect().await.query_one(busiest, &[]).await;
        let pid: i32 = row.expect("somebody is connected").get(0);
        signal("-KILL", &pid.to_string());
        // It takes a moment until the others are ended.
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.wait_until_ready();
    }

    /// A connection past the store, which sees its tables.
    pub(crate) async fn connect(&self) -> Client {
        let connected = tokio_postgres::connect(&self.url(), NoTls).await;
        let (client, connection) = connected.expect("it connects");
        tokio::spawn(connection);
        client
            .batch_execute("SET search_path = lingqian")
            .await
            .expect("a setting");
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop_at_once();
    }
}

fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/initdb").exists())
        .max_by_key(number);
    newest
        .expect("PostgreSQL's server programs; `cargo xtask test` installs them")
        .join("bin")
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    id.stdout.starts_with(b"0\n")
}

/// `setpriv` becomes the program, so that a signal reaches it.
fn as_nobody(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let user = format!("--reuid={NOBODY}");
    command
        .args([&user, "--regid=nogroup", "--clear-groups", "--"])
        .arg(program);
    command
}

fn run(command: &mut Command) {
    let output = command.output().expect("it runs");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {words}");
}

fn signal(name: &str, pid: &str) {
    run(Command::new("kill").args([name, pid]));
}
