//! Servers that other people wrote, each on a port of its own over a folder of its own.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lingqian_io::Fault;
use lingqian_io::files::{Shelf, Taken};
use tempfile::TempDir;

/// A server that ends with the test.
pub(crate) struct Running {
    process: Child,
    pub(crate) port: u16,
    pub(crate) dir: TempDir,
}

impl Running {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

#[cfg(feature = "sftp")]
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output =
        output.unwrap_or_else(|error| panic!("{program}: {error}; cargo xtask test installs it"));
    assert!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn started(mut command: Command, port: u16, dir: TempDir) -> Running {
    let log = dir.path().join("log");
    let out = fs::File::create(&log).expect("a log");
    let process = command
        .stdin(Stdio::null())
        .stdout(out.try_clone().expect("a log"))
        .stderr(out)
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; cargo xtask test installs it"));
    let mut running = Running { process, port, dir };
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = running.process.try_wait().expect("it can be asked");
        let log = fs::read_to_string(&log).unwrap_or_default();
        assert!(ended.is_none(), "it ended: {log}");
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it does not listen: {log}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    running
}

#[cfg(feature = "sftp")]
fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("permissions");
}

#[cfg(feature = "sftp")]
pub(crate) fn user() -> String {
    run("id", &["-un"]).trim().to_owned()
}

/// OpenSSH with keys of its own; `files` is what is delivered.
#[cfg(feature = "sftp")]
pub(crate) fn sshd() -> Running {
    let dir = tempfile::tempdir().expect("a directory");
    open_to_all(dir.path());
    let at = |name: &str| dir.path().join(name).display().to_string();
    for (kind, name) in [
        ("ed25519", "host"),
        ("ecdsa", "host2"),
        ("ed25519", "other"),
        ("ed25519", "user"),
        ("ecdsa", "user2"),
    ] {
        run("ssh-keygen", &["-q", "-t", kind, "-N", "", "-f", &at(name)]);
    }
    fs::create_dir(dir.path().join("files")).expect("a folder");
    fs::copy(at("user.pub"), at("authorized")).expect("a key");
    let port = port();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nHostKey {}\nAuthorizedKeysFile {}\n\
         StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nPidFile none\n\
         Subsystem sftp internal-sftp\n",
        at("host"),
        at("host2"),
        at("authorized"),
    );
    fs::write(at("config"), config).expect("written");
    if user() == "root" {
        fs::create_dir_all("/run/sshd").expect("OpenSSH wants this folder");
    }
    let mut command = Command::new("/usr/sbin/sshd");
    command.args(["-D", "-e", "-f", &at("config")]);
    started(command, port, dir)
}

/// What opens the servers below.
pub(crate) const PASSWORD: &str = "pw-6f1d-secret";

fn python(script: &str, port: u16, dir: TempDir, more: &[&str]) -> Running {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("python3");
    command
        .env("PYTHONPATH", root.join("../../target/servers"))
        .arg(root.join("tests/servers").join(script))
        .arg(port.to_string())
        .arg(dir.path().join("files"))
        .arg(PASSWORD)
        .args(more);
    started(command, port, dir)
}

fn files() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("files")).expect("a folder");
    fs::write(dir.path().join("files/b.gz"), large()).expect("written");
    dir
}

/// pyftpdlib with one user, `lq`, and one file, `b.gz`; by TLS where there is a certificate.
pub(crate) fn ftp(certificate: Option<&str>, more: &[&str]) -> Running {
    let dir = files();
    let tls = certificate.map(|certificate| {
        let path = dir.path().join("both.pem");
        fs::write(&path, certificate).expect("written");
        format!("tls={}", path.display())
    });
    let words: Vec<&str> = tls
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    python("ftp.py", port(), dir, &words)
}

/// asyncssh with one user, `lq`, one file, `b.gz`, and a host key of its own.
#[cfg(feature = "sftp")]
pub(crate) fn ssh(more: &[&str]) -> Running {
    let dir = files();
    let key = dir.path().join("host").display().to_string();
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &key]);
    let words: Vec<&str> = [key.as_str()]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    python("ssh.py", port(), dir, &words)
}

/// Takes a file, and what is in it.
pub(crate) async fn take(shelf: &dyn Shelf, name: &str) -> Result<(Taken, Vec<u8>), Fault> {
    let mut file = tempfile::tempfile().expect("a file");
    let taken = shelf.take(name, &mut file, 64 << 20).await?;
    let mut bytes = Vec::new();
    std::io::Seek::rewind(&mut file).expect("a file");
    file.read_to_end(&mut bytes).expect("a file");
    Ok((taken, bytes))
}

/// A file larger than any buffer on the way, with every byte in it.
pub(crate) fn large() -> Vec<u8> {
    (0..3_000_017_u32).map(|at| (at % 251) as u8).collect()
}
