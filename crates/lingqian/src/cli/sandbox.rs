//! What the sandbox can be told.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use lingqian_sandbox::Lag;

/// Options of `sandbox`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Sandbox {
    /// Something other than running it.
    #[command(subcommand)]
    pub(crate) command: Option<SandboxCommand>,
    /// Where to listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7071")]
    pub(crate) listen: SocketAddr,
    /// Where to listen besides with TLS and client certificates, as the old API (v2) has it.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen_tls: Option<SocketAddr>,
    /// How many merchants there are at least, each with an app of its own.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) merchants: usize,
    /// What goes wrong from the beginning: a file of JSON, as `POST /_sandbox/faults` takes it.
    #[arg(long, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,
    /// How many milliseconds a transfer stays ACCEPTED, PROCESSING and TRANSFERING; by itself it
    /// waits for its user at once and arrives at once. `POST /_sandbox/lag` changes it.
    #[arg(long, value_name = "MS,MS,MS", value_parser = lag)]
    pub(crate) lag: Option<Lag>,
    /// What lies in a merchant's account at first, in fen; ten million yuan where nothing is said.
    #[arg(long, value_name = "FEN")]
    pub(crate) top_up_fen: Option<i64>,
}

fn lag(text: &str) -> Result<Lag, String> {
    let parts: Vec<Option<i64>> = text.split(',').map(|part| part.parse().ok()).collect();
    match parts[..] {
        [Some(accepted_ms), Some(processing_ms), Some(transfering_ms)]
            if accepted_ms.min(processing_ms).min(transfering_ms) >= 0 =>
        {
            Ok(Lag {
                accepted_ms,
                processing_ms,
                transfering_ms,
            })
        }
        _ => Err("three numbers of milliseconds, such as 300,500,800".to_owned()),
    }
}

/// What else the sandbox can do.
#[derive(Debug, Subcommand)]
pub(crate) enum SandboxCommand {
    /// Write everything that a client needs as files.
    Credentials {
        /// The directory to write to.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Of which merchant: its place, counted from 1 (it is made if it is not there), or its
        /// number at WeChat.
        #[arg(long, value_name = "NO|MCHID", default_value = "1")]
        merchant: String,
    },
}
