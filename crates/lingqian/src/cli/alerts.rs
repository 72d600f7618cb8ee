//! Commands about what operators are told.

use clap::Subcommand;

/// What can be done with alerts.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Alerts {
    /// List what stands, since when, and who was told; and how those who are told have been doing.
    List,
    /// Send everybody in the configuration a trial message.
    Test {
        /// Only to this target.
        #[arg(long, value_name = "NAME")]
        target: Option<String>,
    },
}
