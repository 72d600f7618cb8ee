//! A PostgreSQL server of one's own for the tests: in a temporary directory, on a free port,
//! gone afterwards whatever happened.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// The environment variable that tells the tests where the server is.
pub(crate) const VARIABLE: &str = "LINGQIAN_TEST_POSTGRES";

/// PostgreSQL refuses to run as root; then this user runs it.
pub(crate) const NOBODY: &str = "nobody";

/// How long a server may take to begin.
const START_WAIT: Duration = Duration::from_secs(60);

/// A running server. It ends when this is dropped.
pub(crate) struct Server {
    child: Child,
    dir: PathBuf,
    /// `postgres://USER@HOST:PORT`.
    pub(crate) url: String,
}

/// Where the newest server's programs are.
pub(crate) fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("bin/initdb").exists() && path.join("bin/postgres").exists())
        .max_by_key(|path| number(path));
    newest.map(|path| path.join("bin"))
}

impl Server {
    /// Makes a cluster and starts it.
    pub(crate) fn start() -> anyhow::Result<Server> {
        let programs = programs().context("PostgreSQL's server programs are not installed")?;
        let dir = std::env::temp_dir().join(format!("lingqian-postgres-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)?;
        let owner = is_root().then_some(NOBODY);
        if let Some(owner) = owner {
            run(Command::new("chown").arg(owner).arg(&dir))?;
        }
        let data = dir.join("data");
        let mut made = as_user(owner, &programs.join("initdb"));
        run(made
            .arg("-D")
            .arg(&data)
            .args([
                "-U",
                "lingqian",
                "--auth=trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ])
            .current_dir(&dir))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = fs::File::create(dir.join("log"))?;
        let mut server = as_user(owner, &programs.join("postgres"));
        let settings = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=300",
            "shared_buffers=256MB",
            // Processes are killed here, the machine is not: what was written stays written.
            "fsync=off",
            "full_page_writes=off",
        ];
        server
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string()])
            .current_dir(&dir);
        for setting in settings {
            server.args(["-c", setting]);
        }
        let child = server
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("PostgreSQL does not start")?;
        let url = format!("postgres://lingqian@127.0.0.1:{port}");
        let mut server = Server { child, dir, url };
        server.wait_until_ready(&programs, port)?;
        Ok(server)
    }

    fn wait_until_ready(&mut self, programs: &Path, port: u16) -> anyhow::Result<()> {
        let began = Instant::now();
        let port = port.to_string();
        loop {
            let ready = Command::new(programs.join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &port])
                .status()?;
            if ready.success() {
                return Ok(());
            }
            if self.child.try_wait()?.is_some() || began.elapsed() > START_WAIT {
                let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                bail!("PostgreSQL did not start:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What it held is thrown away, so it need not tidy up: SIGQUIT ends it at once, and the
        // processes of its connections with it.
        let child = self.child.id().to_string();
        let _ = Command::new("kill").args(["-QUIT", &child]).status();
        let began = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && began.elapsed() < START_WAIT {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A program, as another user where one is given. `setpriv` becomes the program, so that a
/// signal reaches it.
pub(crate) fn as_user(user: Option<&str>, program: &Path) -> Command {
    let Some(user) = user else {
        return Command::new(program);
    };
    let mut command = Command::new("setpriv");
    command
        .args([
            &format!("--reuid={user}"),
            "--regid=nogroup",
            "--clear-groups",
            "--",
        ])
        .arg(program);
    command
}

pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Whether we are root.
pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}
