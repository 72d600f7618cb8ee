//! A PostgreSQL server of one's own, because it is killed: in a directory that goes with it, on a
//! free port.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio_postgres::{Client, NoTls};

/// PostgreSQL refuses to run as root; then this user runs it.
const NOBODY: &str = "nobody";
/// How long it may take to begin.
const START_WAIT: Duration = Duration::from_secs(60);
/// The database that the books are in.
const DATABASE: &str = "postgres";

/// A server with one empty database. It ends with this.
#[derive(Debug)]
pub struct Server {
    programs: PathBuf,
    dir: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Server {
    /// Makes a cluster in the system's directory for temporary files and starts it.
    ///
    /// # Errors
    /// When the server's programs are missing or do not start.
    pub fn start() -> anyhow::Result<Server> {
        let programs = programs().context(
            "PostgreSQL's server programs are not installed; `cargo xtask test` installs them",
        )?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let name = format!("lingqian-chaos-{}-{port}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir)?;
        if is_root() {
            run(Command::new("chown").arg(NOBODY).arg(&dir))?;
        }
        let mut make = as_nobody(&programs.join("initdb"));
        let settings = "-U lingqian --auth=trust -E UTF8 --locale=C --no-sync";
        run(make
            .arg("-D")
            .arg(dir.join("data"))
            .args(settings.split(' '))
            .current_dir(&dir))?;
        let mut server = Server {
            programs,
            dir,
            port,
            child: None,
        };
        server.start_again()?;
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The address of the books when they are reached through `addr`. The password is not needed
    /// and must not be told.
    #[must_use]
    pub fn url(&self, addr: SocketAddr, password: &str) -> String {
        format!("postgres://lingqian:{password}@{addr}/{DATABASE}")
    }

    /// Starts it on the same data, at the same address.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.join("log"))?;
        let port = self.port.to_string();
        let mut postgres = as_nobody(&self.programs.join("postgres"));
        postgres
            .arg("-D")
            .arg(self.dir.join("data"))
            .args(["-p", &port])
            .current_dir(&self.dir);
        // Processes are killed here, the machine is not: what was written stays written.
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=200",
            "fsync=off",
        ] {
            postgres.args(["-c", setting]);
        }
        let child = postgres
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("PostgreSQL does not start")?;
        self.child = Some(child);
        self.wait_until_ready()
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub fn wait_until_ready(&self) -> anyhow::Result<()> {
        let (began, port) = (Instant::now(), self.port.to_string());
        loop {
            let ready = Command::new(self.programs.join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &port])
                .status()?;
            if ready.success() {
                return Ok(());
            }
            if began.elapsed() > START_WAIT {
                let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                bail!("PostgreSQL did not start:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it at once, in the middle of whatever it does.
    pub fn stop_at_once(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = child.id().to_string();
            let _ = Command::new("kill").args(["-QUIT", &pid]).status();
            let began = Instant::now();
            while matches!(child.try_wait(), Ok(None)) && began.elapsed() < START_WAIT {
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// A connection past the store and past every proxy, which sees its tables.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn connect(&self) -> anyhow::Result<Client> {
        let url = self.url(self.addr(), "none");
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute("SET search_path = lingqian").await?;
        Ok(client)
    }

    /// Ends every connection of the platform, in the middle of whatever it does.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn end_backends(&self) -> anyhow::Result<u64> {
        let query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE application_name = 'lingqian'";
        Ok(self.connect().await?.execute(query, &[]).await?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop_at_once();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Where the newest server's programs are.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/initdb").exists())
        .max_by_key(number);
    Some(newest?.join("bin"))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
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

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {words}");
    Ok(())
}
