//! What the tests need from the system, and how it is installed where that can be done.

use std::path::Path;

use anyhow::bail;

use crate::{call, has, postgres};

/// A program that tests call, how to ask whether it is there, and its Debian package.
const NEEDS: [(&str, &str, &str); 5] = [
    ("openssl", "version", "openssl"),
    ("sqlite3", "--version", "sqlite3"),
    ("python3", "--version", "python3"),
    ("pip3", "--version", "python3-pip"),
    ("softhsm2-util", "--version", "softhsm2"),
];

/// What other people's code our messages are shown to, and the folder below `target` where it is.
const PYTHON: (&str, &str) = ("standardwebhooks==1.1.0", "target/python");

/// Installs what is missing: through apt when root, otherwise says what to install.
pub(crate) fn ensure(root: &Path) -> anyhow::Result<()> {
    packages(root)?;
    python(root)
}

/// A folder of its own: nothing of the system's Python is changed.
fn python(root: &Path) -> anyhow::Result<()> {
    let (library, folder) = PYTHON;
    if root.join(folder).join("standardwebhooks").is_dir() {
        return Ok(());
    }
    let fixed = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    let what = ["--root-user-action", "ignore", "--target", folder, library];
    let install = || call(root, "python3", &[&fixed[..], &what[..]].concat());
    install().or_else(|_| install())
}

fn packages(root: &Path) -> anyhow::Result<()> {
    let mut missing: Vec<&str> = NEEDS
        .iter()
        .filter(|(program, argument, _)| !has(program, argument))
        .map(|(_, _, package)| *package)
        .collect();
    // Its programs are not where programs are looked for, because several versions may be there.
    if postgres::programs().is_none() && std::env::var_os(postgres::VARIABLE).is_none() {
        missing.push("postgresql");
    }
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
            "apt-get",
            "-qq",
            "-y",
            "install",
        ];
        call(root, "env", &[&fixed[..], &missing[..]].concat())
    };
    // Mirrors fail now and then.
    install().or_else(|_| install())
}
