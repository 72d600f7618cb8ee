//! The one executable of Lingqian. Read on in `cli`, then `wire`, then the command.

mod accounts;
mod archive;
mod bench;
mod books;
mod brokers;
mod cli;
mod client;
mod commands;
mod config;
mod door;
mod export;
mod feed;
mod home;
mod messenger;
mod output;
mod passes;
mod platform;
mod progress;
mod quickstart;
mod rail;
mod store;
mod table;
mod vault;
mod wire;
mod world;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command};
use crate::home::Home;

/// The exit code when the books need a person: they are damaged, an invariant is broken or a break open.
const NEEDS_A_PERSON: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("LINGQIAN_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let json = cli.json;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => {
            let done = runtime.block_on(run(cli));
            // Whoever still reads standard input must not keep the process.
            runtime.shutdown_background();
            done
        }
        Err(error) => Err(error.into()),
    };
    done.unwrap_or_else(|error| {
        if json {
            eprintln!("{}", serde_json::json!({ "error": format!("{error:#}") }));
        } else {
            eprintln!("error: {error:#}");
        }
        let damaged = |cause: &(dyn std::error::Error + 'static)| {
            matches!(cause.downcast_ref(), Some(lingqian_io::Fault::Damaged(_)))
        };
        match error.chain().any(damaged) {
            true => ExitCode::from(NEEDS_A_PERSON),
            false => ExitCode::FAILURE,
        }
    })
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli {
        data,
        store,
        json,
        command,
    } = cli;
    let open = || Home::open(&data).map(|home| home.with_store(store.clone()));
    let existing = || Home::existing(&data).map(|home| home.with_store(store.clone()));
    match command {
        Command::Quickstart(options) => quickstart::run(&open()?, &options, json).await,
        Command::Serve(options) => {
            let home = open()?.with_bills(options.bills.clone());
            commands::serve::run(&home, &options, json).await
        }
        Command::Sandbox(options) => {
            commands::sandbox::run(&home::sandbox_dir(&data), &options, json).await
        }
        Command::Import(options) => commands::import::run(&existing()?, &options, json).await,
        Command::Withdraw(options) => commands::withdraw::run(&existing()?, &options, json).await,
        Command::Payouts(options) => commands::payouts::run(&existing()?, &options, json).await,
        Command::Explain { payout } => commands::explain::run(&existing()?, &payout, json).await,
        Command::Links(options) => commands::links::list(&existing()?, &options, json).await,
        Command::Link(command) => commands::links::link(&existing()?, &command, json).await,
        Command::Authorizations(command) => {
            commands::authorizations::run(&existing()?, &command, json).await
        }
        Command::Payout(act) => commands::acts::payout(&existing()?, &act, json).await,
        Command::Cases => commands::cases::run(&existing()?, json).await,
        Command::Alerts(command) => commands::alerts::run(&existing()?, &command, json).await,
        Command::Stop(options) => commands::acts::stop(&existing()?, &options, json).await,
        Command::Resume(options) => commands::acts::resume(&existing()?, &options, json).await,
        Command::Stops => commands::cases::stops(&existing()?, json).await,
        Command::Deeds(options) => commands::cases::deeds(&existing()?, &options, json).await,
        Command::Pass(options) => commands::pass::run(&existing()?, &options, json).await,
        Command::Reconcile(options) => {
            let home = existing()?.with_bills(options.bills.clone());
            commands::reconcile::run(&home, &options, json).await
        }
        Command::Receipt(options) => commands::receipt::run(&existing()?, &options, json).await,
        Command::Kept(command) => commands::kept::run(&existing()?, &command, json).await,
        Command::Letters(command) => commands::letters::run(&existing()?, &command, json).await,
        Command::Webhooks(command) => commands::webhooks::run(&existing()?, &command, json).await,
        Command::Feed(options) => commands::webhooks::feed(&existing()?, &options, json).await,
        Command::Listen(options) => commands::listen::listen(&existing()?, &options, json).await,
        Command::Trigger(options) => commands::listen::trigger(&options, json).await,
        Command::Audit => commands::audit::run(&existing()?, json),
        Command::Copy(options) => commands::copy::run(&options, json).await,
        Command::Ledger(command) => commands::ledger::run(&existing()?, &command, json),
        Command::Sql(options) => commands::sql::run(&existing()?, &options, json),
        Command::Export(command) => commands::export::run(&existing()?, &command, json),
        Command::Bench(options) => bench::run(&options, store.as_ref(), json).await,
        Command::Sim(options) => commands::sim::run(options).await,
        Command::Keys(options) => commands::keys::run(&open()?, &options, json).await,
    }
}
