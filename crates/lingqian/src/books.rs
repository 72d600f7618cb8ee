//! The books for commands that only look: whichever store holds them, without opening the store.
//!
//! A command asks [`Books`] and nobody else; another store is another variant here.

use lingqian_io::store::Audited;
use lingqian_sqlite::{Exported, Reading, Shell, Stopped, Take, Verified, Wanted};

use crate::home::Home;

/// Books that are read and never written.
pub(crate) enum Books {
    /// In one file.
    Sqlite(Reading),
}

impl Books {
    /// The books of a data directory.
    ///
    /// # Errors
    /// When there are none, or they are none of ours.
    pub(crate) fn open(home: &Home) -> anyhow::Result<Books> {
        anyhow::ensure!(
            home.shared_store()?.is_none(),
            "these books are in PostgreSQL, where `psql` reads them as plain tables; this command \
             reads the file of a data directory"
        );
        let file = home.database();
        anyhow::ensure!(
            file.exists(),
            "there are no books at {} yet; `lingqian quickstart` or `lingqian serve` makes them",
            file.display()
        );
        Ok(Books::Sqlite(Reading::open(&file)?))
    }

    /// Proves the chain of pages; `each` is told how many entries were read.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn verify(
        &mut self,
        noted: Option<[u8; 32]>,
        each: impl FnMut(u64),
    ) -> anyhow::Result<Verified> {
        match self {
            Books::Sqlite(books) => Ok(books.verify(noted, each)?),
        }
    }

    /// Derives every balance anew.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn audit(&mut self) -> anyhow::Result<Audited> {
        match self {
            Books::Sqlite(books) => Ok(books.audit()?),
        }
    }

    /// Hands over the wanted entries in their order.
    ///
    /// # Errors
    /// When they cannot be read, a page does not fit, or an entry cannot be taken.
    pub(crate) fn export<T: Take<Error = anyhow::Error>>(
        &mut self,
        wanted: &Wanted,
        taker: &mut T,
    ) -> anyhow::Result<Exported> {
        let Books::Sqlite(books) = self;
        books
            .export(wanted, taker)
            .map_err(|stopped| match stopped {
                Stopped::Books(fault) => fault.into(),
                Stopped::Taker(error) => error,
            })
    }

    /// The books in SQL.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn shell(self) -> anyhow::Result<Shell> {
        let Books::Sqlite(books) = self;
        Ok(books.shell()?)
    }
}
