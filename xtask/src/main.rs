//! Automation of the repository: `cargo xtask COMMAND`.

mod authority;
mod brokers;
mod clients;
mod gates;
mod kafka;
mod needs;
mod postgres;
mod profile;
mod rabbitmq;
mod sim;
mod system;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};

/// Automation of the repository.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check the shape of the repository: edges between crates, files, documents.
    Tidy,
    /// Install what the tests need and is missing, then run every test.
    Test {
        /// With Kafka, too, which takes minutes to build, and with a cluster of RabbitMQ.
        #[arg(long)]
        brokers: bool,
        /// Passed on to the test runner.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Run the simulator, plant mistakes that it must catch, or write down what it saw.
    Sim(sim::Sim),
    /// Run real processes under real faults and prove that they lose and double nothing.
    System(system::System),
    /// Measure brokers into the books: RabbitMQ, a Kafka of other people's making, and a cluster of
    /// three RabbitMQ nodes of which one is killed under the load.
    Brokers {
        /// So many events each.
        #[arg(long, value_name = "N", default_value_t = 300_000)]
        events: u64,
    },
    /// Count where the processor's time goes while the books take entries.
    Profile(profile::Profile),
    /// Run the fast gates: tidy, format, clippy with warnings denied, documents.
    Gates,
    /// Check licences and advisories of dependencies with cargo-deny.
    Deny,
}

fn main() -> ExitCode {
    let root = root();
    let done = match Cli::parse().task {
        Task::Tidy => tidy::run(&root),
        Task::Test { brokers, arguments } => test::run(&root, brokers, &arguments),
        Task::Sim(options) => sim::run(&root, &options),
        Task::System(options) => system::run(&root, &options),
        Task::Brokers { events } => brokers::run(&root, events),
        Task::Profile(options) => profile::run(&root, &options),
        Task::Gates => gates::run(&root),
        Task::Deny => gates::deny(&root),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The repository's root: the folder above this crate, where cargo runs it from. A program that was
/// built elsewhere and came here with its `target` would look after that place.
fn root() -> PathBuf {
    let built = || env!("CARGO_MANIFEST_DIR").into();
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(built));
    here.parent().unwrap_or(&here).to_owned()
}

/// Runs a program in the root and waits for it.
fn call(root: &Path, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    call_with(root, program, arguments, &[])
}

/// The same once more where it failed: registries do now and then.
fn twice(root: &Path, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    call(root, program, arguments).or_else(|_| call(root, program, arguments))
}

/// The same with more environment.
fn call_with(
    root: &Path,
    program: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> anyhow::Result<()> {
    let line = format!("{program} {}", arguments.join(" "));
    eprintln!("$ {line}");
    let status = Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(root)
        .status()
        .with_context(|| format!("cannot run `{line}`"))?;
    ensure!(status.success(), "`{line}` failed");
    Ok(())
}

/// Whether a program can be run.
fn has(program: &str, argument: &str) -> bool {
    Command::new(program)
        .arg(argument)
        .output()
        .is_ok_and(|output| output.status.success())
}
