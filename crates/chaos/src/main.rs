//! `lingqian-chaos`: one run by command, or the check of one that was kept.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use lingqian_chaos::run::run;
use lingqian_chaos::settings::{Fault, Settings, Store};

/// Runs real processes under real faults and proves that they lose and double nothing.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask system")]
struct Cli {
    /// For how long things are broken.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// What is broken when, and what clients do, follow from it; random if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Where the books are.
    #[arg(long, value_enum, default_value = "sqlite")]
    store: Store,
    /// How many processes share a database.
    #[arg(long, default_value_t = 2)]
    processes: usize,
    /// What may be broken; everything if not given.
    #[arg(long, value_enum, value_delimiter = ',')]
    faults: Vec<Fault>,
    /// So many runs, each with the next seed; it ends with the first that finds something.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Where everything of a run is kept; a run that finds nothing is thrown away.
    #[arg(long, default_value = "target/system")]
    dir: PathBuf,
    /// Keep runs that find nothing, too.
    #[arg(long)]
    keep: bool,
    /// What the processes log.
    #[arg(long, default_value = "debug")]
    log: String,
    /// The executable.
    #[arg(long, default_value = "target/debug/lingqian")]
    binary: PathBuf,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done = runtime
        .context("no runtime")
        .and_then(|runtime| runtime.block_on(all(Cli::parse())));
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was found.
async fn all(cli: Cli) -> anyhow::Result<bool> {
    let first = cli.seed.unwrap_or_else(|| fastrand::u64(0..1_000_000));
    for seed in first..first.saturating_add(cli.runs.max(1)) {
        let name = format!("{:?}-{seed}", cli.store).to_lowercase();
        let dir = cli.dir.join(name);
        let _ = std::fs::remove_dir_all(&dir);
        let mut settings = Settings::new(cli.binary.clone(), dir.clone(), cli.store);
        (settings.seed, settings.seconds) = (seed, cli.seconds);
        (settings.processes, settings.log) = (cli.processes, cli.log.clone());
        if !cli.faults.is_empty() {
            settings.faults.clone_from(&cli.faults);
        }
        let outcome = run(&settings)
            .await
            .with_context(|| format!("seed {seed}, kept in {}", dir.display()))?;
        print!("{}", outcome.report.account(&outcome.findings));
        if !outcome.findings.is_empty() {
            return Ok(false);
        }
        if !cli.keep {
            let _ = std::fs::remove_dir_all(&dir);
        }
    }
    Ok(true)
}
