//! TLS with a server of the test's own, and everything that must not be taken for it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lingqian_io::Fault;
use lingqian_io::read_out::ReadOut as _;
use lingqian_postgres::PostgresStore;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new([]).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Authority::self_signed(params, KeyPair::generate().expect("a key")).expect("signed")
}

fn run(command: &mut Command) {
    let output = command.output().expect("it runs");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {words}");
}

/// A server that speaks TLS as `localhost` and refuses clear text from everybody, or one that
/// knows no TLS.
struct Server {
    child: Child,
    port: u16,
    dir: TempDir,
}

impl Server {
    fn start(tls: bool) -> Server {
        let dir = tempfile::tempdir().expect("a directory");
        let (own, other) = (authority(), authority());
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let signed = params.signed_by(&key, &own).expect("signed");
        for (name, text) in [
            ("server.pem", signed.pem()),
            ("server.key", key.serialize_pem()),
            ("own.pem", own.as_ref().pem()),
            ("other.pem", other.as_ref().pem()),
            (
                "hba",
                format!("host{} all all all trust\n", if tls { "ssl" } else { "" }),
            ),
        ] {
            fs::write(dir.path().join(name), text).expect("written");
        }
        run(Command::new("chmod")
            .arg("600")
            .arg(dir.path().join("server.key")));
        let programs = programs();
        own_by_nobody(dir.path());
        let data = dir.path().join("data");
        let made = [
            "-U",
            "lingqian",
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ];
        run(as_nobody(&programs.join("initdb"))
            .arg("-D")
            .arg(&data)
            .args(made));
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = free.expect("a free port").port();
        let named = |what: &str, name: &str| format!("{what}={}", dir.path().join(name).display());
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "fsync=off".to_owned(),
            format!("ssl={}", if tls { "on" } else { "off" }),
            named("ssl_cert_file", "server.pem"),
            named("ssl_key_file", "server.key"),
            named("hba_file", "hba"),
        ];
        let mut postgres = as_nobody(&programs.join("postgres"));
        postgres
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string()]);
        for setting in &settings {
            postgres.args(["-c", setting]);
        }
        let quiet = postgres.stdin(Stdio::null()).stdout(Stdio::null());
        let child = quiet.stderr(Stdio::null()).spawn().expect("it starts");
        let server = Server { child, port, dir };
        server.wait(&programs);
        server
    }

    fn wait(&self, programs: &Path) {
        let (began, port) = (Instant::now(), self.port.to_string());
        let ready = || {
            let mut asked = Command::new(programs.join("pg_isready"));
            let asked = asked.args(["-q", "-h", "127.0.0.1", "-p", &port]).status();
            asked.expect("pg_isready runs").success()
        };
        while !ready() {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "it does not answer"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn url(&self, host: &str, options: &str) -> String {
        format!(
            "postgres://lingqian:hush@{host}:{}/postgres?{options}",
            self.port
        )
    }

    fn trusting(&self, host: &str, roots: &str) -> String {
        let roots = self.dir.path().join(roots);
        let options = format!("sslmode=verify-full&sslrootcert={}", roots.display());
        self.url(host, &options)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .args(["-QUIT", &self.child.id().to_string()])
            .status();
        let _ = self.child.wait();
    }
}

fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let programs = versions.map(|entry| entry.path().join("bin"));
    let newest = programs
        .filter(|path| path.join("initdb").exists())
        .max_by_key(|path| path.parent().map(Path::to_owned).as_ref().and_then(number));
    newest.expect("PostgreSQL's server programs; `cargo xtask test` installs them")
}

/// PostgreSQL refuses to run as root.
fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    id.stdout.starts_with(b"0\n")
}

fn own_by_nobody(dir: &Path) {
    if is_root() {
        run(Command::new("chown").args(["-R", "nobody"]).arg(dir));
    }
}

fn as_nobody(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"])
        .arg(program)
        .current_dir("/");
    command
}

async fn refusal(url: &str) -> String {
    match PostgresStore::open(url).await {
        Ok(_) => panic!("it opened"),
        Err(Fault::Broken(words)) => {
            assert!(!words.contains("hush"), "{words}");
            words
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_proves_who_it_is_is_spoken_to_in_secret_and_no_other_is() {
    let tls = Server::start(true);
    let good = tls.trusting("localhost", "own.pem");
    let store = PostgresStore::open(&good).await.expect("it opens");
    assert_eq!(store.newest_entry().await, Ok(0));
    let refused = refusal(&tls.trusting("127.0.0.1", "own.pem")).await;
    assert!(refused.contains("another name"), "{refused}");
    let refused = refusal(&tls.trusting("localhost", "other.pem")).await;
    assert!(refused.contains("sslrootcert"), "{refused}");
    // What the machine trusts by itself did not sign it either.
    for options in [
        "sslmode=require",
        "sslmode=verify-full",
        "sslrootcert=system",
    ] {
        let refused = refusal(&tls.url("localhost", options)).await;
        assert!(refused.contains("authorit"), "{refused}");
    }
    let refused = refusal(&tls.trusting("localhost", "server.key")).await;
    assert!(refused.contains("no certificate in it"), "{refused}");
    let refused = refusal(&tls.url("localhost", "sslmode=disable")).await;
    assert!(
        refused.contains("28000"),
        "the server refuses clear text: {refused}"
    );
}

#[tokio::test]
async fn a_server_without_tls_is_not_spoken_to_in_clear_text_instead() {
    let server = Server::start(false);
    let refused = refusal(&server.trusting("localhost", "own.pem")).await;
    assert!(refused.contains("ssl = on"), "{refused}");
    let clear = server.url("localhost", "sslmode=disable");
    PostgresStore::open(&clear)
        .await
        .expect("it opens where clear text is asked for");
}
