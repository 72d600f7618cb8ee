//! RabbitMQ nodes of one's own for the tests: in a temporary directory, on free ports, gone
//! afterwards whatever happened. Debian's service is neither used nor touched.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::authority;
use crate::postgres::{NOBODY, as_user, is_root, run};

/// The environment variable that tells the tests where the broker is.
pub(crate) const VARIABLE: &str = "LINGQIAN_TEST_RABBITMQ";
/// The one that tells them where the nodes of a cluster are, and the one with the process of the
/// first node, which they kill.
pub(crate) const CLUSTER: &str = "LINGQIAN_TEST_RABBITMQ_CLUSTER";
pub(crate) const MACHINE: &str = "LINGQIAN_TEST_RABBITMQ_MACHINE";
/// The one that tells them where the first node speaks TLS, and the one with the folder of the
/// authority that it believes (`authority.rs` says what is in it).
pub(crate) const TLS: &str = "LINGQIAN_TEST_RABBITMQ_TLS";
pub(crate) const AUTHORITY: &str = "LINGQIAN_TEST_RABBITMQ_AUTHORITY";
/// How long a node may take to begin.
const START_WAIT: Duration = Duration::from_secs(300);

/// A folder with nodes in it. They end when this is dropped.
pub(crate) struct Nodes {
    dir: PathBuf,
    epmd: Child,
    epmd_port: u16,
    nodes: Vec<Node>,
}

struct Node {
    name: String,
    port: u16,
    tls_port: u16,
    child: Child,
}

/// The programs of the newest server that is installed.
pub(crate) fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/rabbitmq/lib").ok()?;
    let found = versions.filter_map(|entry| Some(entry.ok()?.path().join("sbin")));
    found
        .filter(|path| path.join("rabbitmq-server").exists())
        .max()
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Nodes {
    /// Starts so many nodes; several become one cluster.
    pub(crate) fn start(count: usize) -> anyhow::Result<Nodes> {
        let programs = programs().context("RabbitMQ's server is not installed")?;
        let name = format!("lingqian-rabbitmq-{count}-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join(".erlang.cookie"), "lingqian-tests")?;
        let only_ours = fs::Permissions::from_mode(0o400);
        fs::set_permissions(dir.join(".erlang.cookie"), only_ours)?;
        // Whoever shows a certificate is the user that it names.
        fs::write(dir.join("plugins"), "[rabbitmq_auth_mechanism_ssl].\n")?;
        authority::make(&dir.join("authority"))?;
        let owner = is_root().then_some(NOBODY);
        if let Some(owner) = owner {
            run(Command::new("chown").args(["-R", owner]).arg(&dir))?;
        }
        let epmd_port = free_port()?;
        let epmd = as_user(owner, Path::new("/usr/bin/epmd"))
            .args(["-port", &epmd_port.to_string(), "-address", "127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("Erlang's epmd does not start")?;
        let mut nodes = Nodes {
            dir,
            epmd,
            epmd_port,
            nodes: Vec::new(),
        };
        // The first is there before the others, which look for it and join it.
        for number in 1..=count {
            let node = nodes.begin(&programs, number)?;
            nodes.nodes.push(node);
            if number == 1 {
                nodes.wait(0)?;
            }
        }
        for place in 1..count {
            nodes.wait(place)?;
        }
        Ok(nodes)
    }

    fn environment(&self, name: &str) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.dir.join(name).display().to_string();
        vec![
            ("HOME", path("")),
            ("RABBITMQ_NODENAME", name.to_owned()),
            ("RABBITMQ_MNESIA_BASE", path("mnesia")),
            ("RABBITMQ_LOG_BASE", path("log")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins")),
            ("ERL_EPMD_PORT", self.epmd_port.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
        ]
    }

    fn begin(&self, programs: &Path, number: usize) -> anyhow::Result<Node> {
        let name = format!("lq{number}-{}@localhost", std::process::id());
        let (port, tls_port) = (free_port()?, free_port()?);
        let config = self.dir.join(format!("{number}.conf"));
        let text = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\nvm_memory_high_watermark.absolute = 1GB\n\
             disk_free_limit.absolute = 50MB\nlog.console = false\n{}{}",
            secured(tls_port, &self.dir.join("authority")),
            self.nodes
                .first()
                .map_or(String::new(), |first| joining(&first.name)),
        );
        fs::write(&config, text)?;
        let owner = is_root().then_some(NOBODY);
        let log = fs::File::create(self.dir.join(format!("{number}.out")))?;
        let child = as_user(owner, &programs.join("rabbitmq-server"))
            .envs(self.environment(&name))
            .env("RABBITMQ_CONFIG_FILE", config.with_extension(""))
            .env("RABBITMQ_NODE_PORT", port.to_string())
            .env("RABBITMQ_DIST_PORT", free_port()?.to_string())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2 +sbwt none")
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("RabbitMQ does not start")?;
        Ok(Node {
            name,
            port,
            tls_port,
            child,
        })
    }

    /// A node is there when it speaks AMQP.
    fn wait(&mut self, place: usize) -> anyhow::Result<()> {
        use std::io::{Read as _, Write as _};
        let began = Instant::now();
        let dir = self.dir.clone();
        let node = &mut self.nodes[place];
        loop {
            let asked = std::net::TcpStream::connect(("127.0.0.1", node.port));
            let answered = asked.and_then(|mut socket| {
                socket.set_read_timeout(Some(Duration::from_secs(5)))?;
                socket.write_all(b"AMQP\x00\x00\x09\x01")?;
                socket.read(&mut [0; 8])
            });
            if answered.is_ok_and(|bytes| bytes > 0) {
                return Ok(());
            }
            if node.child.try_wait()?.is_some() || began.elapsed() > START_WAIT {
                let out = dir.join(format!("{}.out", place + 1));
                let log = fs::read_to_string(out).unwrap_or_default();
                bail!("RabbitMQ did not start:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// `amqp://…` of each node, with spaces between them.
    pub(crate) fn urls(&self) -> String {
        let url = |node: &Node| format!("amqp://guest:guest@127.0.0.1:{}/%2f", node.port);
        let urls: Vec<String> = self.nodes.iter().map(url).collect();
        urls.join(" ")
    }

    /// `HOST:PORT` where the first node speaks TLS, and the folder of its authority.
    pub(crate) fn tls(&self) -> Option<(String, String)> {
        let port = self.nodes.first()?.tls_port;
        let folder = self.dir.join("authority").display().to_string();
        Some((format!("localhost:{port}"), folder))
    }

    /// The process of the Erlang machine of a node, by its place.
    pub(crate) fn machine(&self, place: usize) -> Option<String> {
        let shell = self.nodes.get(place)?.child.id();
        family(shell).pop()
    }
}

/// What a node's configuration says so that it speaks TLS, too.
fn secured(port: u16, authority: &Path) -> String {
    let file = |name: &str| authority.join(name).display().to_string();
    format!(
        "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {}\n\
         ssl_options.certfile = {}\nssl_options.keyfile = {}\n\
         ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = false\n\
         ssl_cert_login_from = common_name\nauth_mechanisms.1 = PLAIN\n\
         auth_mechanisms.2 = AMQPLAIN\nauth_mechanisms.3 = EXTERNAL\n",
        file("ca.pem"),
        file("server.pem"),
        file("server.key"),
    )
}

/// What a node's configuration says so that it joins the first one.
fn joining(first: &str) -> String {
    format!(
        "cluster_formation.peer_discovery_backend = classic_config\n\
         cluster_formation.classic_config.nodes.1 = {first}\n\
         cluster_formation.randomized_startup_delay_range.min = 0\n\
         cluster_formation.randomized_startup_delay_range.max = 1\n"
    )
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            end(&mut node.child);
        }
        let _ = self.epmd.kill();
        let _ = self.epmd.wait();
        // A machine that was killed a moment ago may still write.
        for _ in 0..50 {
            let _ = fs::remove_dir_all(&self.dir);
            if !self.dir.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// What it held is thrown away, so it need not tidy up.
fn end(child: &mut Child) {
    let family = family(child.id());
    let _ = child.kill();
    let _ = child.wait();
    for id in family {
        let _ = Command::new("kill")
            .args(["-KILL", &id])
            .stderr(Stdio::null())
            .status();
    }
}

/// The Erlang machine that a shell started, if it is not the process itself, and what it started:
/// the machine is the last.
fn family(of: u32) -> Vec<String> {
    let list = Command::new("ps")
        .args(["-eo", "pid=,ppid=,comm="])
        .output();
    let list = list.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    let list = list.unwrap_or_default();
    let lines: Vec<Vec<&str>> = list
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let (mut found, mut machine, mut at) = (vec![of.to_string()], None, 0);
    while let Some(parent) = found.get(at).cloned() {
        for line in &lines {
            if let [id, above, name, ..] = line.as_slice() {
                if *above == parent {
                    found.push((*id).to_owned());
                }
                if *id == parent && name.starts_with("beam") {
                    machine = Some(parent.clone());
                }
            }
        }
        at += 1;
    }
    found.extend(machine);
    found
}
