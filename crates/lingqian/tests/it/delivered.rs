//! Bills that lie on a server of somebody else's: pyftpdlib, and OpenSSH where SFTP was built in.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bills::{DATE, Home, told};
use crate::process::lingqian;

/// A server that ends with the test.
struct Server {
    process: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts a server on a port of its own, which the command is told.
fn serve(command: impl FnOnce(u16) -> Command) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let mut command = command(port);
    let command = command.stdin(Stdio::null()).stderr(Stdio::null());
    let mut process = command.spawn().expect("cargo xtask test installs it");
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it does not listen"
        );
        let ended = process.try_wait().expect("it can be asked");
        assert!(
            ended.is_none(),
            "it ended; cargo xtask test installs what it needs"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    Server { process, port }
}

/// Writes settings of `[bills]` and looks at the day.
fn reconcile(home: &Home, settings: &[(&str, &str)]) -> Result<Value, String> {
    let path = home.data.join("lingqian.toml");
    let good = fs::read_to_string(&path).expect("a configuration");
    let mut text = good.clone();
    for (old, new) in settings {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    fs::write(&path, text).expect("written");
    let done = told(lingqian(
        &home.data,
        &["reconcile", "--date", DATE, "--json"],
    ));
    fs::write(&path, good).expect("written");
    done
}

#[test]
fn a_bill_comes_from_an_ftp_server_once_it_is_whole_and_right() {
    let home = Home::new();
    let server = serve(|port| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new("python3");
        command
            .env("PYTHONPATH", root.join("../../target/servers"))
            .arg(root.join("../pickup/tests/servers/ftp.py"))
            .args([&port.to_string(), &home.folder(), "pw-77-secret"]);
        command
    });
    fs::write(home.data.join("password"), "pw-77-secret\n").expect("written");
    fs::write(home.data.join("wrong"), "pw-78-secret\n").expect("written");
    let source = format!("source = \"ftp://lq@localhost:{}/\"\n", server.port);
    let with = |password: &str| {
        let secret = format!("host_keys = []\npassword = \"file:{password}\"\n");
        let settings = [
            ("source = \"wechat\"\n", source.as_str()),
            ("host_keys = []\n", &secret),
        ];
        reconcile(&home, &settings)
    };
    let words = with("password").expect_err("nothing was delivered");
    assert!(words.contains("has not made the bill"), "{words}");
    let words = with("wrong").expect_err("refused");
    assert!(
        words.contains("source_login_refused: ") && !words.contains("pw-78"),
        "{words}"
    );
    let good = home.bill();
    let half = good.len() / 2;
    let half = (half..)
        .find(|at| good.is_char_boundary(*at))
        .expect("an end");
    for (text, hash, code) in [
        (&good[..half], "", "bill_"),
        (
            &good,
            "0000000000000000000000000000000000000000",
            "bill_hash_wrong",
        ),
        (&good.replace(DATE, "2026-03-03"), "", "bill_other_day"),
    ] {
        fs::write(home.file(""), text).expect("written");
        let beside = home.file(".sha1");
        match hash {
            "" => drop(fs::remove_file(&beside)),
            hash => fs::write(&beside, format!("{hash}  bill.csv\n")).expect("written"),
        }
        let words = with("password").expect_err("not a bill");
        assert!(words.contains(code), "{code}: {words}");
        assert!(!words.contains("pw-77"), "{words}");
    }
    let _ = fs::remove_file(home.file(".sha1"));
    fs::write(home.file(""), &good).expect("written");
    let done = with("password").expect("booked");
    assert_eq!(
        (&done["lines"], &done["known_before"]),
        (&2.into(), &0.into()),
        "{done}"
    );
    let again = with("password").expect("booked before");
    assert_eq!(again["known_before"], 2, "{again}");
}

#[cfg(feature = "sftp")]
#[test]
fn a_bill_comes_from_an_sftp_server_that_the_configuration_pins() {
    let home = Home::new();
    let at = |name: &str| home.data.join(name).display().to_string();
    for key in ["host", "user"] {
        words(
            "ssh-keygen",
            &["-q", "-t", "ed25519", "-N", "", "-f", &at(key)],
        );
    }
    let user = words("id", &["-un"]);
    if user == "root" {
        fs::create_dir_all("/run/sshd").expect("OpenSSH wants this folder");
    }
    let server = serve(|port| {
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\n\
             StrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\n\
             Subsystem sftp internal-sftp\n",
            at("host"),
            at("user.pub")
        );
        fs::write(at("sshd_config"), config).expect("written");
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f", &at("sshd_config")]);
        command
    });
    fs::write(home.file(""), home.bill()).expect("written");
    let (port, folder) = (server.port, home.folder());
    let source = format!("source = \"sftp://{user}@127.0.0.1:{port}{folder}\"\n");
    let with = |settings: &str| {
        let settings = format!("key = \"file:user\"\n{settings}");
        let wechat = ("source = \"wechat\"\n", source.as_str());
        reconcile(
            &home,
            &[wechat, ("host_keys = []\nknown_hosts = \"\"\n", &settings)],
        )
    };
    let print = |key: &str| {
        let print = words("ssh-keygen", &["-lf", &at(&format!("{key}.pub"))]);
        print
            .split_whitespace()
            .nth(1)
            .expect("a fingerprint")
            .to_owned()
    };
    let refused = with("").expect_err("nobody says whose server it is");
    assert!(refused.contains("host_key_unknown: "), "{refused}");
    let refused = with(&format!("host_keys = [\"{}\"]\n", print("user"))).expect_err("another key");
    assert!(
        refused.contains("host_key_changed: ") && refused.contains(&print("host")),
        "{refused}"
    );
    let public = fs::read_to_string(at("host.pub")).expect("a key");
    fs::write(at("known"), format!("[127.0.0.1]:{port} {public}")).expect("written");
    let done = with("known_hosts = \"known\"\n").expect("booked");
    assert_eq!(done["lines"], 2, "{done}");
    let again = with(&format!("host_keys = [\"{}\"]\n", print("host"))).expect("booked before");
    assert_eq!(again["known_before"], 2, "{again}");
}

/// What a program prints.
#[cfg(feature = "sftp")]
fn words(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.expect("cargo xtask test installs it");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
