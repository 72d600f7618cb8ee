//! The fast gates, in the order of how fast they answer.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{bail, ensure};

use crate::{call, has, test, tidy};

/// Runs all of them and says how long each took.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    stage("tidy", || tidy::run(root))?;
    stage("format", || {
        call(root, "cargo", &["fmt", "--all", "--check"])
    })?;
    stage("clippy", || {
        let fixed = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            test::FEATURES[0],
            test::FEATURES[1],
            "--",
            "-D",
            "warnings",
        ];
        call(root, "cargo", &fixed)
    })?;
    stage("documents", || {
        let status = Command::new("cargo")
            .args(["doc", "--workspace", "--no-deps", "--locked", "--quiet"])
            .env("RUSTDOCFLAGS", "-D warnings")
            .current_dir(root)
            .status()?;
        ensure!(status.success(), "`cargo doc` has warnings");
        Ok(())
    })
}

fn stage(name: &str, run: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let began = Instant::now();
    run()?;
    eprintln!("{name}: good after {} s", began.elapsed().as_secs());
    Ok(())
}

/// Licences and advisories.
pub(crate) fn deny(root: &Path) -> anyhow::Result<()> {
    if !has("cargo-deny", "--version") {
        bail!("cargo-deny is not installed; `cargo install cargo-deny --locked` installs it");
    }
    call(root, "cargo", &["deny", "check"])
}
