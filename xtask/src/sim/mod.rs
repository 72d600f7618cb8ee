//! The simulator: run it, plant mistakes that it must catch, and write down what it saw.

mod mutations;
mod planting;
mod report;

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use clap::Args;

use crate::call;

/// What to do with the simulator.
#[derive(Args)]
pub(crate) struct Sim {
    /// Plant every mistake of `crates/sim/mutations.toml`; each must be caught. When all were, the
    /// table goes into `docs/SAFETY.md`.
    #[arg(long)]
    mutations: bool,
    /// Plant only mistakes whose name holds one of these, with commas between.
    #[arg(long, requires = "mutations", value_delimiter = ',')]
    only: Vec<String>,
    /// Look for each mistake for so long.
    #[arg(long, default_value = "60s", requires = "mutations")]
    budget: String,
    /// Write what the simulator saw into `docs/SAFETY.md`.
    #[arg(long, conflicts_with = "mutations")]
    report: bool,
    /// Passed on to the simulator: `--seed N --seeds N --steps N --until SPAN --trace`.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// The profile that the simulator is built with.
const PROFILE: &str = "sim";

pub(crate) fn run(root: &Path, options: &Sim) -> anyhow::Result<()> {
    if options.mutations {
        return mutations::run(root, &options.only, &options.budget);
    }
    if options.report {
        return report::run(root);
    }
    let fixed = [
        "run",
        "--profile",
        PROFILE,
        "--locked",
        "-p",
        "lingqian-sim",
        "--",
    ];
    let extra: Vec<&str> = options.arguments.iter().map(String::as_str).collect();
    call(root, "cargo", &[&fixed[..], &extra[..]].concat())
}

/// What a program prints, and its exit code.
fn output(command: &mut Command) -> anyhow::Result<(String, Option<i32>)> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    Ok((
        String::from_utf8_lossy(&output.stdout).into_owned(),
        output.status.code(),
    ))
}

/// Builds the simulator of a workspace into a folder of one's own; tells where it is.
fn build(workspace: &Path, target: &Path, quickly: bool) -> anyhow::Result<std::path::PathBuf> {
    let mut command = Command::new("cargo");
    command
        .args([
            "build",
            "--quiet",
            "--profile",
            PROFILE,
            "--locked",
            "-p",
            "lingqian-sim",
        ])
        .arg("--target-dir")
        .arg(target)
        .current_dir(workspace);
    if quickly {
        // It is built for one look at each mistake.
        command.env("CARGO_PROFILE_SIM_OPT_LEVEL", "1");
        command.env("CARGO_PROFILE_SIM_DEBUG_ASSERTIONS", "false");
    }
    let built = command.output().context("cargo does not run")?;
    let words = String::from_utf8_lossy(&built.stderr);
    ensure!(
        built.status.success(),
        "the simulator does not build:\n{words}"
    );
    Ok(target.join(PROFILE).join("lingqian-sim"))
}
