#![doc = include_str!("../README.md")]

mod accounts;
mod alerts;
mod audit;
mod browse;
mod checkpoint;
mod codec;
mod commit;
mod control;
mod ids;
mod inbox;
mod ledger;
mod letters;
mod lines;
mod links;
mod lock;
mod names;
mod near;
mod numbers;
mod options;
mod outbox;
mod page;
mod payouts;
mod prefetch;
mod proof;
mod read_out;
mod reading;
mod record;
mod relations;
mod schema;
mod scribe;
mod teller;
mod usher;
mod verify;
mod wal;
mod worker;

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};

use lingqian_core::command::{ApiKey, DeadLetter};
use lingqian_core::control::{Deed, Stop};
use lingqian_core::endpoint::{Endpoint, EndpointId};
use lingqian_core::facts::Wallet;
use lingqian_core::id::{MerchantNo, OutBillNo, PayoutId, UserId, UserNo};
use lingqian_core::letter::{LetterId, Mark};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::notice::Told as Notice;
use lingqian_core::reconcile::{Bill, Break};
use lingqian_core::risk::Policy;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::Merchant;
use lingqian_core::withdrawal::Withdrawal;
use lingqian_core::{Changes, EventBatch, Facts, Keys, Notes};
use lingqian_io::Fault;
use lingqian_io::links::{LinkClaim, LinkFilter, LinkRow, Links};
use lingqian_io::outbox::{Delivery, DeliveryLine, Health, Outbox, Report, SinkLease, Wish};
use lingqian_io::read_out::{Cursor, Part, Piece, ReadOut};
use lingqian_io::store::{
    Audited, Browse, Claim, Committed, EventAnswer, LetterRow, LetterWish, PayoutFilter, PayoutRow,
    PayoutStory, Standing, StatementLine, Store, Summary, WithdrawalAnswer,
};
use rusqlite::{Connection, params};
use tokio::sync::oneshot;

use crate::checkpoint::Log;
use crate::codec::{fault, get, payout_id, rows};
use crate::ids::Board;
use crate::ledger::Ledger;
use crate::lock::Lock;
pub use crate::options::Options;
use crate::prefetch::cached;
use crate::proof::Damage;
pub use crate::reading::Reading;
pub use crate::relations::entry::{Cell, Column, ENTRY_COLUMNS, Holds};
pub use crate::relations::export::{Exported, Stopped, Take, Wanted};
pub use crate::relations::shell::{Answer as SqlAnswer, Datum, Refused, Shell};
use crate::scribe::{Order, Scribe};
use crate::teller::{Answer, Requests, Teller, Told, fill, rich};
use crate::usher::Usher;
pub use crate::verify::{Misfit, Verified, Wrong};
use crate::worker::{Reader, Workers};

/// A query of the `queries` folder.
macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/queries/",
            $name,
            ".sql"
        ))
    };
}
use sql;

/// The books in one SQLite file. Clones share its threads.
#[derive(Clone)]
pub struct SqliteStore {
    usher: Usher,
    orders: mpsc::Sender<Order>,
    readers: Workers<Reader>,
    damage: Arc<Damage>,
}

impl SqliteStore {
    /// Opens the file with the ordinary [`Options`], makes it on first use, and brings its
    /// schema up to date.
    ///
    /// # Errors
    /// [`Fault::Held`] when another process has it open for writing; [`Fault::Broken`] when the
    /// file cannot be opened, is none of ours, has a newer schema, or when a page among
    /// those that are proved at the start is damaged.
    pub fn open(path: &Path) -> Result<SqliteStore, Fault> {
        SqliteStore::open_with(path, &Options::default())
    }

    /// The same with other options.
    ///
    /// # Errors
    /// As for [`SqliteStore::open`].
    pub fn open_with(path: &Path, options: &Options) -> Result<SqliteStore, Fault> {
        SqliteStore::start(path, options, Ok(Lock::take(path)?), true)
    }

    /// Opens the file for somebody who looks at it: beside another process that writes to it, if
    /// need be. What would change something is answered [`Fault::Held`] then. Of the pages only
    /// those are proved that must be read again.
    ///
    /// # Errors
    /// As for [`SqliteStore::open`].
    pub fn open_to_look(path: &Path) -> Result<SqliteStore, Fault> {
        let lock = match Lock::take(path) {
            Err(fault @ Fault::Held(_)) => Err(fault),
            other => Ok(other?),
        };
        SqliteStore::start(path, &Options::default(), lock, false)
    }

    /// How many bytes of memory tell of ids of events and of withdrawals: the newest ones, and
    /// what says whether an older one is worth looking for in the file. What a merge of runs is
    /// making is not counted before it tells of any.
    ///
    /// # Errors
    /// [`Fault`] when the books cannot be read.
    pub async fn memory_of_ids(&self) -> Result<u64, Fault> {
        self.look(|ledger, _| Ok(ledger.ids.bytes() as u64)).await
    }

    fn start(
        path: &Path,
        options: &Options,
        lock: Result<Lock, Fault>,
        proves: bool,
    ) -> Result<SqliteStore, Fault> {
        let connection = match &lock {
            Ok(lock) => {
                wal::check(path, lock)?;
                schema::open_writer(path, options)?
            }
            Err(_) => schema::open_beside(path, options)?,
        };
        let damage = Arc::new(Damage::new());
        if proves {
            proof::begin(schema::open_reader(path, options)?, options, &damage)?;
        }
        let readers: Result<Vec<Reader>, Fault> = (0..options.readers.max(1))
            .map(|_| schema::open_reader(path, options).map(Reader))
            .collect();
        let (orders, taken) = mpsc::channel();
        let (told, notes) = mpsc::channel();
        let carrier = schema::open_carrier(path)?;
        let log = Log::start(carrier, options.checkpoint_pages)?;
        let foreign = Arc::new(AtomicBool::new(false));
        let books = (connection, lock, Arc::clone(&damage));
        let scribe = Scribe::new(books, log, told, Arc::clone(&foreign), options.recent_ids);
        let thread = std::thread::Builder::new().name("sqlite-scribe".into());
        thread
            .spawn(move || scribe.work(&taken))
            .map_err(|error| Fault::Broken(format!("no thread: {error}")))?;
        let reader = schema::open_reader(path, options)?;
        let board = Board::default();
        let mut teller = Teller::new(reader, orders.clone(), notes, (foreign, board.clone()));
        teller.open()?;
        let scout = Reader(schema::open_reader(path, options)?);
        Ok(SqliteStore {
            usher: Usher::start(teller, scout, board)?,
            orders,
            readers: Workers::start("reader", readers?)?,
            damage,
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

    /// Has the teller answer something, then or later.
    async fn tell<R: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Teller, Answer<R>) + Send + 'static,
    ) -> Result<R, Fault> {
        let give = |answer| self.usher.give(move |teller| task(teller, answer));
        answered(give).await
    }

    /// Looks at the books in memory until what is seen is durable and true.
    async fn look<R: Send + 'static>(
        &self,
        look: impl Fn(&mut Ledger, &Connection) -> Result<R, Fault> + Clone + Send + 'static,
    ) -> Result<R, Fault> {
        loop {
            let look = look.clone();
            let seen = self.tell(move |teller, answer| teller.look(answer, look));
            if let Some(seen) = seen.await? {
                return Ok(seen);
            }
        }
    }

    /// Has the scribe change something that is not in the books in memory.
    async fn change<R: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Fault> {
        let order = |answer: Answer<R>| {
            let run = move |scribe: &mut Scribe| {
                let _ = answer.send(scribe.change(change));
            };
            let order = Order::Run(Box::new(run));
            self.orders.send(order).map_err(gone)
        };
        answered(order).await
    }
}

/// Asks, and waits for what is answered. Whoever is asked for the first time first is asked first.
async fn answered<R>(ask: impl FnOnce(Answer<R>) -> Result<(), Fault>) -> Result<R, Fault> {
    let (answer, answered) = oneshot::channel();
    ask(answer)?;
    answered.await.map_err(gone)?
}

fn gone<E>(_: E) -> Fault {
    Fault::Unknown("the threads of the store went down".into())
}

fn claim(connection: &Connection, claim: Claim) -> Result<Vec<PayoutId>, Fault> {
    let Claim {
        queue,
        now,
        lease_until,
        limit,
    } = claim;
    let values = params![queue.name(), now.0, limit];
    let due = rows(&mut *cached(connection, sql!("due_work"))?, values, |row| {
        payout_id(&get::<String>(row, 0)?)
    })?;
    let mut lease = cached(connection, sql!("lease_work"))?;
    for payout in &due {
        let values = params![payout.to_string(), lease_until.0];
        lease.execute(values).map_err(fault)?;
    }
    Ok(due)
}

impl Store for SqliteStore {
    async fn prefetch(&self, keys: Keys) -> Result<Facts, Fault> {
        self.tell(move |teller, answer| {
            let _ = answer.send(teller.prefetch(keys));
        })
        .await
    }

    async fn commit(&self, basis: u64, changes: Changes) -> Result<Committed, Fault> {
        self.tell(move |teller, answer| teller.commit(basis, changes, answer))
            .await
    }

    async fn earn(&self, now: Timestamp, events: EventBatch) -> Result<Vec<EventAnswer>, Fault> {
        let mut events = events;
        loop {
            let told = answered(|answer| self.usher.earn(now, events, answer));
            match told.await? {
                Told::Answers(answers) => return Ok(answers),
                Told::Again(again) => events = again,
            }
        }
    }

    async fn withdraw(
        &self,
        now: Timestamp,
        policy: &Policy,
        requests: Vec<Withdrawal>,
    ) -> Result<Vec<WithdrawalAnswer>, Fault> {
        let asked = Requests {
            now,
            policy: Arc::new(policy.clone()),
            requests: Arc::new(requests),
        };
        loop {
            let asked = asked.clone();
            let decided = answered(|answer| self.usher.withdraw(asked, answer));
            if let Some(answers) = decided.await? {
                return Ok(answers);
            }
        }
    }

    async fn note(&self, notes: Notes) -> Result<(), Fault> {
        self.change(move |connection| letters::note(connection, &notes))
            .await
    }

    async fn claim(&self, wish: Claim) -> Result<Vec<PayoutId>, Fault> {
        self.change(move |connection| claim(connection, wish)).await
    }

    async fn audit(&self) -> Result<Audited, Fault> {
        self.read(audit::audit).await
    }
}

impl Browse for SqliteStore {
    async fn user(&self, id: &UserId, day: BusinessDate) -> Result<Option<Wallet>, Fault> {
        let id = id.clone();
        // All of it on one thread: a look at one user costs less than another thread's waking.
        self.look(move |ledger, connection| {
            let Some(mut wallet) = browse::wallet(connection, &id, day)? else {
                return Ok(None);
            };
            fill(ledger, connection, &mut wallet, day).map(|()| Some(wallet))
        })
        .await
    }

    async fn statement(
        &self,
        user: UserNo,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<StatementLine>, Fault> {
        let newest = self.look(move |ledger, connection| {
            ledger.accounts.load(connection, user)?;
            Ok(ledger.accounts.get(user).newest)
        });
        let newest = newest.await?;
        self.read(move |connection| browse::statement(connection, (user, newest), before, limit))
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

    async fn seated(&self, batch: OutBillNo) -> Result<Vec<PayoutId>, Fault> {
        self.read(move |connection| payouts::seated(connection, batch))
            .await
    }

    async fn sweepable(
        &self,
        threshold: Micros,
        after: UserNo,
        limit: u32,
    ) -> Result<Vec<(UserNo, UserId)>, Fault> {
        let end = self.read(prefetch::next_user).await?;
        let rich = self.look(move |ledger, connection| {
            let numbers = after.0.max(0).saturating_add(1)..end;
            rich(ledger, connection, threshold, numbers, limit)
        });
        let rich = rich.await?;
        self.read(move |connection| browse::names(connection, &rich))
            .await
    }

    async fn paid_on(
        &self,
        of: (MerchantNo, BusinessDate),
        after: Option<PayoutId>,
        limit: u32,
    ) -> Result<Vec<PayoutId>, Fault> {
        self.read(move |connection| browse::paid_on(connection, of, after, limit))
            .await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, Fault> {
        self.read(browse::api_keys).await
    }

    async fn sound(&self) -> Result<(), Fault> {
        self.damage
            .get()
            .map_or(Ok(()), |damage| Err(damage.clone()))
    }

    async fn merchants(&self) -> Result<Vec<Merchant>, Fault> {
        self.read(prefetch::merchants).await
    }

    async fn stops(&self) -> Result<Vec<Stop>, Fault> {
        self.read(|connection| control::stops(connection, false))
            .await
    }

    async fn deeds(&self, subject: Option<String>, limit: u32) -> Result<Vec<Deed>, Fault> {
        self.read(move |connection| control::deeds(connection, subject.as_deref(), limit))
            .await
    }

    async fn merchant_days(
        &self,
        since: BusinessDate,
    ) -> Result<Vec<(MerchantNo, BusinessDate, Fen)>, Fault> {
        self.read(move |connection| control::merchant_days(connection, since))
            .await
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

    async fn letters(&self, wish: LetterWish) -> Result<Vec<LetterRow>, Fault> {
        self.read(move |connection| letters::letters(connection, wish))
            .await
    }

    async fn letter(&self, id: LetterId) -> Result<Option<LetterRow>, Fault> {
        self.read(move |connection| letters::one(connection, &id))
            .await
    }

    async fn marks(&self, prefix: String) -> Result<Vec<Mark>, Fault> {
        self.read(move |connection| letters::marks(connection, &prefix))
            .await
    }

    async fn summary(&self) -> Result<Summary, Fault> {
        self.read(browse::summary).await
    }

    async fn standing(&self) -> Result<Standing, Fault> {
        self.read(browse::standing).await
    }
}

impl Outbox for SqliteStore {
    async fn notices(&self, after: i64, limit: u32) -> Result<Vec<Notice>, Fault> {
        self.read(move |connection| outbox::notices(connection, after, limit))
            .await
    }

    async fn newest_notice(&self) -> Result<i64, Fault> {
        self.read(outbox::newest).await
    }

    async fn endpoints(&self) -> Result<Vec<(Endpoint, Health)>, Fault> {
        self.read(outbox::endpoints).await
    }

    async fn deliveries(
        &self,
        endpoint: &EndpointId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DeliveryLine>, Fault> {
        let id = endpoint.clone();
        self.read(move |connection| outbox::deliveries(connection, &id, after, limit))
            .await
    }

    async fn plan(&self, now: Timestamp, limit: u32) -> Result<u64, Fault> {
        // Whoever is not behind leaves the one who writes alone.
        if !self.read(outbox::is_behind).await? {
            return Ok(0);
        }
        self.change(move |connection| outbox::plan(connection, now, limit))
            .await
    }

    async fn claim_deliveries(&self, wish: Wish) -> Result<Vec<Delivery>, Fault> {
        self.change(move |connection| outbox::claim(connection, wish))
            .await
    }

    async fn report_deliveries(&self, reports: Vec<Report>) -> Result<(), Fault> {
        self.change(move |connection| outbox::report(connection, &reports))
            .await
    }

    async fn lease_sink(&self, lease: SinkLease) -> Result<bool, Fault> {
        self.change(move |connection| outbox::lease_sink(connection, &lease))
            .await
    }

    async fn replay(
        &self,
        endpoint: &EndpointId,
        numbers: (i64, i64),
        now: Timestamp,
    ) -> Result<u64, Fault> {
        let id = endpoint.clone();
        self.change(move |connection| outbox::replay(connection, &id, numbers, now))
            .await
    }
}

impl Links for SqliteStore {
    async fn claim_links(&self, claim: LinkClaim) -> Result<Vec<LinkRow>, Fault> {
        self.change(move |connection| links::claim(connection, claim))
            .await
    }

    async fn links(&self, filter: LinkFilter) -> Result<Vec<LinkRow>, Fault> {
        self.read(move |connection| links::list(connection, &filter))
            .await
    }
}

impl ReadOut for SqliteStore {
    async fn read_out(&self, from: Cursor, limit: u32) -> Result<Piece, Fault> {
        if from.part == Part::Terms {
            let found = self
                .look(move |ledger, connection| read_out::terms(ledger, connection, &from, limit));
            return found.await;
        }
        self.read(move |connection| read_out::piece(connection, &from, limit))
            .await
    }

    async fn newest_entry(&self) -> Result<i64, Fault> {
        self.read(|connection| Ok(page::last(connection)?.0.cast_signed()))
            .await
    }
}
