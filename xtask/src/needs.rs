//! What the tests need from the system, and how it is installed where that can be done.

use std::path::Path;

use anyhow::bail;

use crate::{call, has, postgres};

/// A program that tests call, how to ask whether it is there, and its Debian package.
const NEEDS: [(&str, &str, &str); 4] = [
    ("openssl", "version", "openssl"),
    ("sqlite3", "--version", "sqlite3"),
    ("python3", "--version", "python3"),
    ("softhsm2-util", "--version", "softhsm2"),
];

/// Installs what is missing through apt when root, otherwise says what to install.
pub(crate) fn ensure(root: &Path) -> anyhow::Result<()> {
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
