//! `lingqian serve`: the platform, until it is told to stop.

use std::process::ExitCode;

use crate::cli::Serve;
use crate::home::Home;
use crate::platform::{Platform, owner_key};

/// Runs the command.
///
/// # Errors
/// When the address or the data directory cannot be used.
pub(crate) async fn run(home: &Home, options: &Serve) -> anyhow::Result<ExitCode> {
    let config = home.config()?;
    let listen = options.listen.unwrap_or(config.server.listen);
    let platform = Platform::start(home, config, listen).await?;
    let path = home.api_key();
    owner_key(&platform.wire, &platform.desk, &path).await?;
    println!(
        "Lingqian at {} (API key in {})",
        platform.url,
        path.display()
    );
    until_told().await;
    Ok(ExitCode::SUCCESS)
}

/// Waits for an interrupt or a termination.
pub(crate) async fn until_told() {
    use tokio::signal::unix::{SignalKind, signal};

    let Ok(mut term) = signal(SignalKind::terminate()) else {
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
}
