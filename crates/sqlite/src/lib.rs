#![doc = include_str!("../README.md")]

mod books;
mod browse;
mod codec;
mod commit;
mod journal;
mod options;
mod payouts;
mod prefetch;
mod schema;
mod worker;

use std::path::Path;

use lingqian_core::command::{ApiKey, DeadLetter};
use lingqian_core::facts::Wallet;
use lingqian_core::id::{PayoutId, UserId, UserNo};
use lingqian_core::money::Micros;
use lingqian_core::reconcile::{Bill, Break};
use lingqian_core::time::BusinessDate;
use lingqian_core::transfer::Merchant;
use lingqian_core::user::DayTotals;
use lingqian_core::{Changes, Facts, Keys};
use lingqian_io::Fault;
use lingqian_io::store::{
    Audited, Browse, Claim, Committed, PayoutFilter, PayoutRow, PayoutStory, StatementLine, Store,
    Summary,
};
use rusqlite::{Connection, TransactionBehavior, params};

use crate::codec::{fault, fen, first, get, in_doubt, payout_id, rows};
pub use crate::options::Options;
use crate::prefetch::{Catalogue, cached};
use crate::worker::{Reader, Workers};

/// A query of the `queries` folder.
macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../queries/", $name, ".sql"))
    };
}
use sql;

/// The books in one SQLite file. Clones share its threads.
#[derive(Clone)]
pub struct SqliteStore {
    writer: Workers<Writer>,
    readers: Workers<Reader>,
}

/// The one connection that writes. Its generation rises with every commit of its own;
/// together with SQLite's `data_version`, which changes with every commit of somebody else, it
/// tells whether facts are still true.
struct Writer {
    connection: Connection,
    generation: u32,
    catalogue: Option<Catalogue>,
}

impl SqliteStore {
    /// Opens the file with the ordinary [`Options`], makes it on first use, and brings its
    /// schema up to date.
    ///
    /// # Errors
    /// [`Fault::Broken`] when the file cannot be opened, is none of ours, or has a newer schema.
    pub fn open(path: &Path) -> Result<SqliteStore, Fault> {
        SqliteStore::open_with(path, &Options::default())
    }

    /// The same with other options.
    ///
    /// # Errors
    /// As for [`SqliteStore::open`].
    pub fn open_with(path: &Path, options: &Options) -> Result<SqliteStore, Fault> {
        let connection = schema::open_writer(path, options)?;
        let readers: Result<Vec<Reader>, Fault> = (0..options.readers.max(1))
            .map(|_| schema::open_reader(path, options).map(Reader))
            .collect();
        Ok(SqliteStore {
            writer: Workers::start(
                "writer",
                vec![Writer {
                    connection,
                    generation: 0,
                    catalogue: None,
                }],
            )?,
            readers: Workers::start("reader", readers?)?,
        })
    }

    async fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Fault> {
        self.readers
            .run(move |reader| {
                let snapshot = reader.0.transaction().map_err(fault)?;
                read(&snapshot)
            })
            .await
    }
}

impl Writer {
    fn data_version(connection: &Connection) -> Result<u32, Fault> {
        let mut query = cached(connection, "PRAGMA data_version")?;
        let version = first(&mut query, [], |row| get(row, 0))?;
        Ok(version.unwrap_or(0))
    }

    fn basis(generation: u32, data_version: u32) -> u64 {
        (u64::from(generation) << 32) | u64::from(data_version)
    }

    fn prefetch(&mut self, keys: &Keys) -> Result<Facts, Fault> {
        let snapshot = self.connection.transaction().map_err(fault)?;
        // The first read of a transaction fixes what it sees; the version is read after it.
        let next_user = prefetch::next_user(&snapshot)?;
        let version = Writer::data_version(&snapshot)?;
        let known = self.catalogue.take();
        let catalogue = match known.filter(|known| known.data_version == version) {
            Some(known) => known,
            None => Catalogue::read(&snapshot, version)?,
        };
        let mut facts = prefetch::prefetch(&snapshot, keys, &catalogue)?;
        facts.next_user = next_user;
        facts.basis = Writer::basis(self.generation, version);
        self.catalogue = Some(catalogue);
        Ok(facts)
    }

    fn commit(&mut self, basis: u64, changes: &Changes) -> Result<Committed, Fault> {
        let change = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fault)?;
        if Writer::basis(self.generation, Writer::data_version(&change)?) != basis {
            return Ok(Committed::Conflict);
        }
        commit::write(&change, changes)?;
        self.generation = self.generation.wrapping_add(1);
        if !(changes.kinds.is_empty() && changes.merchants.is_empty()) {
            self.catalogue = None;
        }
        // From here on it may be durable even when SQLite reports an error.
        change.commit().map_err(in_doubt)?;
        Ok(Committed::Done)
    }

    fn claim(&mut self, claim: Claim) -> Result<Vec<PayoutId>, Fault> {
        let Claim {
            queue,
            now,
            lease_until,
            limit,
        } = claim;
        let values = params![queue.name(), now.0, limit];
        let change = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fault)?;
        let due = rows(&mut *cached(&change, sql!("due_work"))?, values, |row| {
            payout_id(&get::<String>(row, 0)?)
        })?;
        if due.is_empty() {
            return Ok(due);
        }
        let mut lease = cached(&change, sql!("lease_work"))?;
        for payout in &due {
            lease
                .execute(params![payout.to_string(), lease_until.0])
                .map_err(fault)?;
        }
        drop(lease);
        change.commit().map_err(fault)?;
        Ok(due)
    }
}

impl Store for SqliteStore {
    async fn prefetch(&self, keys: Keys) -> Result<Facts, Fault> {
        self.writer.run(move |writer| writer.prefetch(&keys)).await
    }

    async fn commit(&self, basis: u64, changes: Changes) -> Result<Committed, Fault> {
        self.writer
            .run(move |writer| writer.commit(basis, &changes))
            .await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<PayoutId>, Fault> {
        self.writer.run(move |writer| writer.claim(claim)).await
    }

    async fn audit(&self) -> Result<Audited, Fault> {
        self.readers.run(|reader| books::audit(&mut reader.0)).await
    }
}

impl Browse for SqliteStore {
    async fn user(&self, id: &UserId, day: BusinessDate) -> Result<Option<Wallet>, Fault> {
        let id = id.clone();
        self.read(move |connection| {
            let mut query = cached(connection, sql!("user_by_id"))?;
            let Some(user) = first(&mut query, [id.as_str()], prefetch::user)? else {
                return Ok(None);
            };
            let mut wallet = prefetch::wallet(connection, user)?;
            let mut query = cached(connection, sql!("day_totals"))?;
            let totals = first(&mut query, params![wallet.user.no.0, day.0], |row| {
                Ok(DayTotals {
                    count: get(row, 0)?,
                    amount: fen(row, 1)?,
                })
            })?;
            wallet.days.extend(totals.map(|totals| (day, totals)));
            Ok(Some(wallet))
        })
        .await
    }

    async fn statement(
        &self,
        user: UserNo,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<StatementLine>, Fault> {
        self.read(move |connection| browse::statement(connection, user, before, limit))
            .await
    }

    async fn payouts(&self, filter: PayoutFilter) -> Result<Vec<PayoutRow>, Fault> {
        self.read(move |connection| browse::list(connection, &filter))
            .await
    }

    async fn payout(&self, id: PayoutId) -> Result<Option<PayoutStory>, Fault> {
        self.read(move |connection| browse::story(connection, id))
            .await
    }

    async fn sweepable(
        &self,
        threshold: Micros,
        after: UserNo,
        limit: u32,
    ) -> Result<Vec<(UserNo, UserId)>, Fault> {
        self.read(move |connection| browse::sweepable(connection, threshold, after, limit))
            .await
    }

    async fn paid_on(
        &self,
        date: BusinessDate,
        after: Option<PayoutId>,
        limit: u32,
    ) -> Result<Vec<PayoutId>, Fault> {
        self.read(move |connection| browse::paid_on(connection, date.0, after, limit))
            .await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, Fault> {
        self.read(browse::api_keys).await
    }

    async fn merchants(&self) -> Result<Vec<Merchant>, Fault> {
        self.read(prefetch::merchants).await
    }

    async fn reconciled(&self) -> Result<(Vec<Bill>, Vec<Break>), Fault> {
        self.read(|connection| {
            let breaks = rows(
                &mut *cached(connection, sql!("breaks"))?,
                [],
                prefetch::broken,
            )?;
            Ok((browse::bills(connection)?, breaks))
        })
        .await
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<(DeadLetter, u64)>, Fault> {
        self.read(move |connection| browse::dead_letters(connection, limit))
            .await
    }

    async fn summary(&self) -> Result<Summary, Fault> {
        self.read(browse::summary).await
    }
}
