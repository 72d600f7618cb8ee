//! A server that speaks Kafka and is of other people's making, for the tests: from PyPI, in a
//! temporary directory, gone afterwards. It keeps nothing through a crash; ours must.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// The environment variable that tells the tests where it is.
pub(crate) const VARIABLE: &str = "LINGQIAN_TEST_KAFKA";
/// How long it may take to begin.
const START_WAIT: Duration = Duration::from_secs(30);
/// The program, below the folder where other people's code is.
const PROGRAM: &str = "target/python/bin/noida-db";

/// A running server. It ends when this is dropped.
pub(crate) struct Server {
    child: Child,
    dir: PathBuf,
    /// `HOST:PORT`.
    pub(crate) address: String,
}

impl Server {
    /// Starts it.
    pub(crate) fn start(root: &Path) -> anyhow::Result<Server> {
        let dir = std::env::temp_dir().join(format!("lingqian-kafka-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(root.join(PROGRAM))
            .args([
                "start",
                "--only",
                "kafka",
                "--kafka-port",
                &port.to_string(),
            ])
            .arg("--data-dir")
            .arg(&dir)
            .current_dir(&dir)
            .env("PYTHONPATH", root.join("target/python"))
            .stdin(Stdio::null())
            .stdout(fs::File::create(dir.join("out"))?)
            .stderr(fs::File::create(dir.join("err"))?)
            .spawn()
            .context("noida-db does not start")?;
        let address = format!("127.0.0.1:{port}");
        let mut server = Server {
            child,
            dir,
            address,
        };
        let began = Instant::now();
        while TcpStream::connect(&server.address).is_err() {
            if server.child.try_wait()?.is_some() || began.elapsed() > START_WAIT {
                let log = fs::read_to_string(server.dir.join("err")).unwrap_or_default();
                bail!("noida-db did not start:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
