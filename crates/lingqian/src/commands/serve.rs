//! `lingqian serve`: the platform, until it is told to stop.

use std::process::ExitCode;

use serde_json::json;

use crate::cli::Serve;
use crate::home::Home;
use crate::output::show;
use crate::platform::{Platform, owner_key};

/// Runs the command.
///
/// # Errors
/// When the address or the data directory cannot be used.
pub(crate) async fn run(home: &Home, options: &Serve, json: bool) -> anyhow::Result<ExitCode> {
    let config = home.config()?;
    let listen = options.listen.unwrap_or(config.server.listen);
    let platform = Platform::start(home, config, listen).await?;
    let path = home.api_key();
    owner_key(&platform.wire, &platform.desk, &path).await?;
    let value = json!({ "url": platform.url, "api_key_file": path });
    show(json, &value, |out| {
        writeln!(
            out,
            "Lingqian at {} (API key in {})",
            platform.url,
            path.display()
        )
    })?;
    until_told().await;
    platform.brokers.end().await;
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
