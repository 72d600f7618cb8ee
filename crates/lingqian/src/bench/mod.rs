//! `lingqian bench`: how fast the books and the doors are on this machine, and that nothing was
//! lost on the way. Anybody can repeat what `docs/PERFORMANCE.md` says with these commands.
//!
//! A load is made up ahead of the timed part from a seed, so its cost is in no figure. What the
//! generator knows is compared with the books afterwards: every count and every balance.

mod bills;
#[cfg(any(feature = "rabbitmq", feature = "kafka"))]
mod brokers;
mod figures;
mod ingest;
mod ledger;
mod load;
mod machine;
mod mix;
pub(crate) mod options;
mod sandbox;
mod server;
mod sheet;
#[cfg(any(feature = "rabbitmq", feature = "kafka"))]
mod slow;
mod zipf;

use std::process::ExitCode;

use crate::bench::options::Bench;
use crate::store::StoreUrl;

/// Runs the command.
///
/// # Errors
/// When a directory cannot be used or the store or the server fails.
pub(crate) async fn run(
    bench: &Bench,
    store: Option<&StoreUrl>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    match bench {
        Bench::Ledger(options) => ledger::run(options, store, json).await,
        Bench::Ingest(options) => ingest::run(options, store, json).await,
        Bench::Bills(options) => bills::run(options, json),
        #[cfg(any(feature = "rabbitmq", feature = "kafka"))]
        Bench::Brokers(options) => brokers::run(options, json).await,
        Bench::Sandbox(options) => sandbox::run(options, json).await,
    }
}

/// The directory of a run: a named one that is kept, or one that goes away with it.
struct Place {
    path: std::path::PathBuf,
    kept: bool,
}

impl Place {
    /// Makes it.
    ///
    /// # Errors
    /// When it cannot be made, or a named one is not empty.
    fn make(named: Option<&std::path::Path>, word: &str) -> anyhow::Result<Place> {
        use anyhow::Context as _;
        use lingqian_io::Dice as _;

        let path = named.map_or_else(
            || {
                let name = format!(
                    "lingqian-bench-{word}-{:016x}",
                    crate::world::RealDice.roll()
                );
                std::env::temp_dir().join(name)
            },
            std::path::Path::to_owned,
        );
        let made = || format!("cannot make {}", path.display());
        std::fs::create_dir_all(&path).with_context(made)?;
        let empty = std::fs::read_dir(&path)
            .with_context(made)?
            .next()
            .is_none();
        anyhow::ensure!(
            empty,
            "{} is not empty; a bench begins with new books",
            path.display()
        );
        Ok(Place {
            // What the system says about open files, it says about whole paths.
            path: path.canonicalize().with_context(made)?,
            kept: named.is_some(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
