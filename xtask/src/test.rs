//! Every test of the workspace, with nextest where it is installed.

use std::path::Path;

use crate::{call, has, needs};

/// Runs the documents' examples first, so that the runner's summary ends the output.
pub(crate) fn run(root: &Path, arguments: &[String]) -> anyhow::Result<()> {
    needs::ensure(root)?;
    let extra: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if !has("cargo", "nextest") && !has("cargo-nextest", "--version") {
        return call(
            root,
            "cargo",
            &[&["test", "--workspace", "--locked"], &extra[..]].concat(),
        );
    }
    let profile = if std::env::var_os("CI").is_some() {
        "ci"
    } else {
        "default"
    };
    call(
        root,
        "cargo",
        &["test", "--workspace", "--locked", "--doc", "--quiet"],
    )?;
    let fixed = [
        "nextest",
        "run",
        "--workspace",
        "--locked",
        "--profile",
        profile,
    ];
    call(root, "cargo", &[&fixed[..], &extra[..]].concat())
}
