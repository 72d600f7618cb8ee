//! `lingqian serve`: the platform, until it is told to stop.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::Serve;
use crate::home::Home;
use crate::output::show;
use crate::platform::Platform;

/// Runs the command.
///
/// # Errors
/// When the address or the data directory cannot be used.
pub(crate) async fn run(home: &Home, options: &Serve, json: bool) -> anyhow::Result<ExitCode> {
    // Whoever reads where it listens may end it from then on.
    let mut end = Ending::new()?;
    let config = home.config()?;
    let listen = options.listen.unwrap_or(config.server.listen);
    let platform = tokio::select! {
        started = Platform::start(home, config, listen) => started?,
        // Somebody that it waits for may never answer.
        () = end.told() => return Ok(ExitCode::SUCCESS),
    };
    let path = home.api_key();
    let value = json!({ "url": platform.url, "api_key_file": path });
    show(json, &value, |out| {
        writeln!(
            out,
            "Lingqian at {} (API key in {})",
            platform.url,
            path.display()
        )
    })?;
    end.told().await;
    platform.brokers.end().await;
    Ok(ExitCode::SUCCESS)
}

/// An interrupt or a termination, heard from the moment that this is made.
pub(crate) struct Ending {
    interrupt: Signal,
    terminate: Signal,
    /// A file that may grow no further: it is told where it is written to, and ends nobody.
    _file_size: Signal,
}

impl Ending {
    /// Listens for it.
    ///
    /// # Errors
    /// When the operating system does not let it listen.
    pub(crate) fn new() -> anyhow::Result<Ending> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Ending {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            _file_size: listen(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// Waits for it.
    pub(crate) async fn told(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
