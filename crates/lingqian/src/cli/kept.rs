//! What can be said about bills and kept files.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Where bills come from.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct BillSource {
    /// Take bills from here instead of where the configuration says: `wechat`, `wechat-v2`, or
    /// where somebody puts them: a folder, `sftp://USER@HOST/FOLDER`, `ftps://…` or `ftp://…`.
    #[arg(long = "bill-source", value_name = "SOURCE")]
    #[arg(env = "LINGQIAN_BILL_SOURCE", hide_env_values = true)]
    pub(crate) source: Option<String>,
}

/// Options of `receipt`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Receipt {
    /// The payout, such as `po_01J…`, or a business number.
    pub(crate) payout: String,
    /// Where the PDF goes; a new file named after the payout if not given.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// What can be done with kept files.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Kept {
    /// List them with their hashes.
    List,
    /// Unseal one and check its hash.
    Get {
        /// Its name, as `kept list` shows it.
        name: String,
        /// Where it goes; a new file that only its owner reads.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Unseal all of them and check their hashes; nothing is written.
    Verify,
}
