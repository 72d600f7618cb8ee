//! Where the books of a run are: in a file of the run's directory, or in a PostgreSQL database.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lingqian_io::Fault;
use lingqian_io::store::Browse as _;

use crate::bench::ledger::open;
use crate::bench::machine::bytes_in;
use crate::bench::server;
use crate::books::Books;
use crate::store::{AnyStore, Place, StoreUrl};

/// How long a server may be at what a process asked for that is gone.
const LEAVING_MAX: Duration = Duration::from_secs(60);

/// The books of a run.
pub(crate) struct Target {
    dir: PathBuf,
    place: Place,
    url: Option<String>,
    /// The process that serves the database, where it is on this machine.
    pub(crate) server: Option<u32>,
}

impl Target {
    /// Books in that database, or in a file of the directory where none is given.
    ///
    /// # Errors
    /// When the address is that of no database, or nobody answers there.
    pub(crate) async fn new(dir: &Path, store: Option<&StoreUrl>) -> anyhow::Result<Target> {
        let Some(url) = store else {
            return Ok(Target {
                dir: dir.to_owned(),
                place: Place::File(dir.join("lingqian.db")),
                url: None,
                server: None,
            });
        };
        let address = url.shared()?;
        let client = server::connect(address).await?;
        Ok(Target {
            dir: dir.to_owned(),
            place: Place::Postgres(url.clone()),
            url: Some(address.to_owned()),
            server: server::process(&client).await,
        })
    }

    /// Opens books that nobody used before.
    ///
    /// # Errors
    /// When they cannot be opened, or somebody did.
    pub(crate) async fn open_empty(&self) -> anyhow::Result<AnyStore> {
        let store = self.place.open().await?;
        let summary = store.summary().await?;
        let empty = summary.users.0 == 0 && summary.accounts.is_empty();
        anyhow::ensure!(empty, "the books are in use: a bench needs empty ones");
        Ok(store)
    }

    /// Opens them again; tells since when it is about it.
    ///
    /// # Errors
    /// When they cannot be opened.
    pub(crate) async fn open(&self) -> anyhow::Result<(AnyStore, Instant)> {
        let began = Instant::now();
        Ok((self.place.open().await?, began))
    }

    /// Opens what a process left that was killed; tells since when it is about it. A server may
    /// still be at what that process asked for last, so that is waited for.
    ///
    /// # Errors
    /// When they cannot be opened, or somebody else goes on writing.
    pub(crate) async fn open_left(&self) -> anyhow::Result<(AnyStore, Instant)> {
        let began = Instant::now();
        let store = self.place.open().await?;
        let alone = loop {
            match store.alone().await {
                Err(Fault::Held(_)) if began.elapsed() < LEAVING_MAX => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                alone => break alone?,
            }
        };
        drop(alone);
        Ok((store, began))
    }

    /// Proves the chain of their entries: how many are proved, and what does not fit.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) async fn verify(&self) -> anyhow::Result<(u64, Option<String>)> {
        let place = self.place.clone();
        let verified = tokio::task::spawn_blocking(move || {
            let mut books = Books::at(&place)?;
            books.verify(None, |_| {})
        });
        let proved = verified.await.context("the proof panicked")??;
        Ok((proved.entries, proved.misfit.map(|misfit| misfit.words)))
    }

    /// Waits until they are closed, after the last handle is gone.
    ///
    /// # Errors
    /// When that takes too long.
    pub(crate) async fn closed(&self) -> anyhow::Result<()> {
        match self.place {
            Place::File(_) => open::closed(&self.dir).await,
            Place::Postgres(_) => Ok(()),
        }
    }

    /// How big they are; they must be closed.
    ///
    /// # Errors
    /// When they cannot be measured.
    pub(crate) async fn bytes(&self) -> anyhow::Result<u64> {
        match (&self.place, &self.url) {
            (Place::File(database), _) => {
                open::settle(database)?;
                Ok(bytes_in(&self.dir))
            }
            (Place::Postgres(_), url) => {
                let url = url.as_deref().context("a database has an address")?;
                server::bytes(&server::connect(url).await?).await
            }
        }
    }
}
