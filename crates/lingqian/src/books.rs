//! The books for commands that only look: whichever store holds them, without opening the store.
//!
//! A command asks [`Books`] and nobody else; another store is another variant here.

mod shared;

use lingqian_io::store::Audited;
use lingqian_sqlite::{
    Exported, Reading, Refused, Shell, SqlAnswer, Stopped, Take, Verified, Wanted,
};

use crate::books::shared::Shared;
use crate::home::Home;
use crate::store::Place;

/// Books that are read and never written.
pub(crate) enum Books {
    /// In one file.
    Sqlite(Reading),
    /// In a database that several processes share.
    Postgres(Shared),
}

/// What a walk along the chain showed, in the words of either store.
pub(crate) struct Proved {
    /// Entries that are proved.
    pub(crate) entries: u64,
    /// Links of the chain that are proved: pages of a file, batches of a database.
    pub(crate) links: u64,
    /// What a link is called.
    pub(crate) link: &'static str,
    /// The hash of the last of them.
    pub(crate) head: [u8; 32],
    /// The last entry of the link that had the noted head.
    pub(crate) noted_at: Option<u64>,
    /// The first link that does not fit.
    pub(crate) misfit: Option<Misfit>,
}

/// A link that does not fit.
pub(crate) struct Misfit {
    pub(crate) first: u64,
    pub(crate) last: Option<u64>,
    pub(crate) words: String,
}

impl From<Verified> for Proved {
    fn from(verified: Verified) -> Proved {
        Proved {
            entries: verified.entries,
            links: verified.pages,
            link: "pages",
            head: verified.head,
            noted_at: verified.noted_at,
            misfit: verified.misfit.map(|misfit| Misfit {
                first: misfit.first,
                last: misfit.last,
                words: misfit.to_string(),
            }),
        }
    }
}

impl Books {
    /// The books of a data directory.
    ///
    /// # Errors
    /// When there are none, or they are none of ours.
    pub(crate) fn open(home: &Home) -> anyhow::Result<Books> {
        if let Some(url) = home.shared_store()? {
            return Ok(Books::Postgres(Shared::open(&url)?));
        }
        let file = home.database();
        anyhow::ensure!(
            file.exists(),
            "there are no books at {} yet; `lingqian quickstart` or `lingqian serve` makes them",
            file.display()
        );
        Ok(Books::Sqlite(Reading::open(&file)?))
    }

    /// The books of a store that is named by itself.
    ///
    /// # Errors
    /// When there are none, or they are none of ours.
    pub(crate) fn at(place: &Place) -> anyhow::Result<Books> {
        Ok(match place {
            Place::File(file) => Books::Sqlite(Reading::open(file)?),
            Place::Postgres(url) => Books::Postgres(Shared::open(url)?),
        })
    }

    /// Proves the chain; `each` is told how many entries were read.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn verify(
        &mut self,
        noted: Option<[u8; 32]>,
        each: impl FnMut(u64),
    ) -> anyhow::Result<Proved> {
        match self {
            Books::Sqlite(books) => Ok(books.verify(noted, each)?.into()),
            Books::Postgres(books) => books.verify(noted, each),
        }
    }

    /// Derives every balance anew.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn audit(&mut self) -> anyhow::Result<Audited> {
        match self {
            Books::Sqlite(books) => Ok(books.audit()?),
            Books::Postgres(books) => books.audit(),
        }
    }

    /// Hands over the wanted entries in their order.
    ///
    /// # Errors
    /// When they cannot be read, a link of the chain does not fit, or an entry cannot be taken.
    pub(crate) fn export<T: Take<Error = anyhow::Error>>(
        &mut self,
        wanted: &Wanted,
        taker: &mut T,
    ) -> anyhow::Result<Exported> {
        let books = match self {
            Books::Sqlite(books) => books,
            Books::Postgres(books) => return books.export(wanted, taker),
        };
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
    pub(crate) fn shell(self) -> anyhow::Result<Asked> {
        Ok(match self {
            Books::Sqlite(books) => Asked::Sqlite(books.shell()?),
            Books::Postgres(books) => Asked::Postgres(books),
        })
    }
}

/// The books in the SQL of whichever store it is.
pub(crate) enum Asked {
    /// SQLite's.
    Sqlite(Shell),
    /// PostgreSQL's.
    Postgres(Shared),
}

impl Asked {
    /// Answers one statement, as of one moment.
    ///
    /// # Errors
    /// When it is no statement, would change something, or asks for a secret.
    pub(crate) fn ask(&self, statement: &str, answer: &mut dyn SqlAnswer) -> Result<(), Refused> {
        match self {
            Asked::Sqlite(shell) => shell.ask(statement, answer),
            Asked::Postgres(books) => books.ask(statement, answer),
        }
    }

    /// Every relation with what it says.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub(crate) fn tables(&self) -> anyhow::Result<Vec<(String, String)>> {
        match self {
            Asked::Sqlite(shell) => {
                let tables = shell.tables().into_iter();
                Ok(tables
                    .map(|(name, words)| (name.into(), words.into()))
                    .collect())
            }
            Asked::Postgres(books) => books.tables(),
        }
    }

    /// What a relation's columns are, or nothing where there is no such relation.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub(crate) fn schema(&self, name: &str) -> anyhow::Result<Option<String>> {
        match self {
            Asked::Sqlite(shell) => Ok(shell.schema(name)),
            Asked::Postgres(books) => books.schema(name),
        }
    }
}
