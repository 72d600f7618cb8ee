#![doc = include_str!("../README.md")]

mod accounts;
mod address;
mod ahead;
mod alerts;
mod alone;
mod basis;
mod bills;
mod books;
mod browse;
mod chain;
mod codec;
mod commit;
mod control;
mod copy;
mod desk;
mod earn;
mod events;
mod fault;
mod inbox;
mod journal;
mod lane;
mod letters;
mod links;
mod names;
mod outbox;
mod payouts;
mod people;
mod pool;
mod prefetch;
mod read_out;
pub mod reading;
mod rows;
mod schema;
mod settle;
mod tid;
mod tls;
mod turns;
mod withdraw;

use std::sync::Arc;
use std::time::Duration;

use lingqian_core::command::{ApiKey, DeadLetter};
use lingqian_core::control::{Deed, Stop};
use lingqian_core::endpoint::{Endpoint, EndpointId};
use lingqian_core::facts::Wallet;
use lingqian_core::id::{MerchantNo, OutBillNo, PayoutId, UserId, UserNo};
use lingqian_core::letter::{LetterId, Mark};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::notice::Told;
use lingqian_core::reconcile::{Bill, Break};
use lingqian_core::risk::Policy;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::Merchant;
use lingqian_core::withdrawal::Withdrawal;
use lingqian_core::{Changes, EventBatch, Facts, Keys, Notes};
use lingqian_io::Fault;
use lingqian_io::links::{LinkClaim, LinkFilter, LinkRow, Links};
use lingqian_io::outbox::{Delivery, DeliveryLine, Health, Outbox, Report, SinkLease, Wish};
use lingqian_io::read_out::{Cursor, Piece, ReadOut};
use lingqian_io::store::{
    Audited, Browse, Claim, Committed, EventAnswer, LetterRow, LetterWish, PayoutFilter, PayoutRow,
    PayoutStory, Standing, StatementLine, Store, Summary, WithdrawalAnswer,
};

use crate::address::Address;
pub use crate::alone::Alone;
use crate::basis::Basis;
use crate::codec::{payout_id, text};
use crate::earn::Asked;
use crate::pool::{Connections, Session, Use};
use crate::settle::{Books, apart};
use crate::withdraw::Requests;

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

/// One moment for all reads, and nothing written.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// How many connections a process may open, and how long it waits for a server that went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// For deciding and writing.
    pub writers: usize,
    /// For looking.
    pub readers: usize,
    /// So long it is asked what became of a commit whose answer was lost, before the outcome is
    /// said to be unknown.
    pub patience: Duration,
    /// A question of somebody who decides or writes that is not answered for so long is given up,
    /// with its connection. Whoever looks waits longer, for an audit may take its time.
    pub silence: Duration,
}

/// Whoever looks waits so many times longer than whoever writes.
const LOOK_LONGER: u32 = 20;

impl Default for Options {
    /// Eight and four connections, twenty seconds, and one minute.
    fn default() -> Self {
        Options {
            writers: 8,
            readers: 4,
            patience: Duration::from_secs(20),
            silence: Duration::from_secs(60),
        }
    }
}

/// The books in a PostgreSQL database that several processes share. Clones share connections.
#[derive(Clone)]
pub struct PostgresStore {
    books: Arc<Books>,
    readers: Connections,
}

impl PostgresStore {
    /// Connects to `postgres://USER:PASSWORD@HOST:PORT/DATABASE` with the ordinary [`Options`],
    /// makes the tables on first use, and brings them up to date. With `?sslmode=verify-full` it
    /// speaks TLS, trusting the platform's authorities or those in the file `sslrootcert`; a
    /// server on another machine is not spoken to without, unless `sslmode=disable` says so.
    ///
    /// # Errors
    /// [`Fault::Retry`] when nobody answers; [`Fault::Broken`] when the address does not read or
    /// the server refuses us; [`Fault::Newer`] when the tables need a newer program.
    pub async fn open(url: &str) -> Result<PostgresStore, Fault> {
        PostgresStore::open_with(url, Options::default()).await
    }

    /// The same with other options.
    ///
    /// # Errors
    /// As for [`PostgresStore::open`].
    pub async fn open_with(url: &str, options: Options) -> Result<PostgresStore, Fault> {
        let address = Address::read(url)?;
        schema::migrate(&address).await?;
        let longer = options.silence.saturating_mul(LOOK_LONGER);
        let readers = Connections::new(address.clone(), Use::Read, options.readers, longer)?;
        let writers = Connections::new(address, Use::Write, options.writers, options.silence)?;
        Ok(PostgresStore {
            books: Arc::new(Books::new(writers, options.patience)),
            readers,
        })
    }

    /// Makes sure that this process may write, and goes on being one that does.
    ///
    /// # Errors
    /// [`Fault::Held`] while another process copies the books.
    pub async fn ready(&self) -> Result<(), Fault> {
        self.books.writers.get().await.map(drop)
    }

    /// Keeps everybody from writing until it is dropped.
    ///
    /// # Errors
    /// [`Fault::Held`] when another process, or this one, has a connection that may write.
    pub async fn alone(&self) -> Result<Alone, Fault> {
        Alone::take(&self.readers).await
    }

    /// Folds the deltas of system accounts into their balances. Every process does it by itself
    /// now and then; doing it twice, or in two processes at once, changes nothing.
    ///
    /// # Errors
    /// A fault; nothing was folded.
    pub async fn fold(&self) -> Result<(), Fault> {
        let books = Arc::clone(&self.books);
        apart(async move { books.fold().await }).await
    }

    /// A connection with everything of one moment.
    async fn look(&self) -> Result<Session, Fault> {
        let mut session = self.readers.get().await?;
        session.begin(SNAPSHOT).await?;
        Ok(session)
    }

    /// Gives a connection back.
    async fn seen<T>(mut session: Session, found: T) -> Result<T, Fault> {
        session.end().await?;
        Ok(found)
    }
}

impl Store for PostgresStore {
    async fn prefetch(&self, keys: Keys) -> Result<Facts, Fault> {
        let mut session = self.books.writers.get().await?;
        session.begin(SNAPSHOT).await?;
        // The first read fixes what all others see.
        let head = prefetch::head(&session).await?;
        // On the heap: so many questions at once are a large future.
        let mut facts = Box::pin(prefetch::facts(&session, &keys)).await?;
        session.end().await?;
        facts.basis = self.books.remembered.keep(Basis {
            head,
            keys,
            facts: facts.clone(),
        });
        Ok(facts)
    }

    async fn commit(&self, basis: u64, changes: Changes) -> Result<Committed, Fault> {
        let books = Arc::clone(&self.books);
        apart(async move { books.commit(basis, &changes).await }).await
    }

    async fn earn(&self, now: Timestamp, events: EventBatch) -> Result<Vec<EventAnswer>, Fault> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let asked = Asked { now, batch: events };
        let books = Arc::clone(&self.books);
        let turn = books.turns.take().await;
        apart(async move { lane::settle(&books, turn, &asked).await }).await
    }

    async fn withdraw(
        &self,
        now: Timestamp,
        policy: &Policy,
        requests: Vec<Withdrawal>,
    ) -> Result<Vec<WithdrawalAnswer>, Fault> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let asked = Requests {
            now,
            policy: policy.clone(),
            all: requests,
        };
        let books = Arc::clone(&self.books);
        let turn = books.turns.take().await;
        apart(async move { lane::settle(&books, turn, &asked).await }).await
    }

    async fn note(&self, notes: Notes) -> Result<(), Fault> {
        let books = Arc::clone(&self.books);
        apart(async move { books.note(&notes).await }).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<PayoutId>, Fault> {
        let Claim {
            queue,
            now,
            lease_until,
            limit,
        } = claim;
        let session = self.books.writers.get().await?;
        let limit = i64::from(limit);
        let values: pool::Values<'_> = &[&queue.name(), &now.0, &limit, &lease_until.0];
        let due = session.rows(sql!("claim"), values).await?;
        due.iter().map(|row| payout_id(text(row, 0)?)).collect()
    }

    async fn audit(&self) -> Result<Audited, Fault> {
        let session = self.look().await?;
        let audited = books::audit(&session).await?;
        Self::seen(session, audited).await
    }
}

impl Browse for PostgresStore {
    async fn user(&self, id: &UserId, day: BusinessDate) -> Result<Option<Wallet>, Fault> {
        let session = self.look().await?;
        let wallet = prefetch::wallet(&session, id, day).await?;
        Self::seen(session, wallet).await
    }

    async fn statement(
        &self,
        user: UserNo,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<StatementLine>, Fault> {
        let session = self.look().await?;
        let lines = browse::statement(&session, user, before, limit).await?;
        Self::seen(session, lines).await
    }

    async fn payouts(&self, filter: PayoutFilter) -> Result<Vec<PayoutRow>, Fault> {
        let session = self.look().await?;
        let payouts = browse::list(&session, &filter).await?;
        Self::seen(session, payouts).await
    }

    async fn payout(&self, id: PayoutId) -> Result<Option<PayoutStory>, Fault> {
        let session = self.look().await?;
        let story = browse::story(&session, id).await?;
        Self::seen(session, story).await
    }

    async fn seated(&self, batch: OutBillNo) -> Result<Vec<PayoutId>, Fault> {
        let session = self.look().await?;
        let seated = payouts::seated(&session, batch).await?;
        Self::seen(session, seated).await
    }

    async fn sweepable(
        &self,
        threshold: Micros,
        after: UserNo,
        limit: u32,
    ) -> Result<Vec<(UserNo, UserId)>, Fault> {
        let session = self.look().await?;
        let users = browse::sweepable(&session, threshold, after, limit).await?;
        Self::seen(session, users).await
    }

    async fn paid_on(
        &self,
        of: (MerchantNo, BusinessDate),
        after: Option<PayoutId>,
        limit: u32,
    ) -> Result<Vec<PayoutId>, Fault> {
        let session = self.look().await?;
        let payouts = browse::paid_on(&session, of, after, limit).await?;
        Self::seen(session, payouts).await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, Fault> {
        let session = self.look().await?;
        let keys = browse::api_keys(&session).await?;
        Self::seen(session, keys).await
    }

    async fn merchants(&self) -> Result<Vec<Merchant>, Fault> {
        let session = self.look().await?;
        let merchants = rows::merchants(&session).await?;
        Self::seen(session, merchants).await
    }

    async fn stops(&self) -> Result<Vec<Stop>, Fault> {
        let session = self.look().await?;
        let stops = control::stops(&session, false).await?;
        Self::seen(session, stops).await
    }

    async fn deeds(&self, subject: Option<String>, limit: u32) -> Result<Vec<Deed>, Fault> {
        let session = self.look().await?;
        let deeds = control::deeds(&session, subject.as_deref(), limit).await?;
        Self::seen(session, deeds).await
    }

    async fn merchant_days(
        &self,
        since: BusinessDate,
    ) -> Result<Vec<(MerchantNo, BusinessDate, Fen)>, Fault> {
        let session = self.look().await?;
        let days = control::merchant_days(&session, since).await?;
        Self::seen(session, days).await
    }

    async fn reconciled(&self) -> Result<(Vec<Bill>, Vec<Break>), Fault> {
        let session = self.look().await?;
        let both = (
            browse::bills(&session).await?,
            browse::breaks(&session).await?,
        );
        Self::seen(session, both).await
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<(DeadLetter, u64)>, Fault> {
        let session = self.look().await?;
        let letters = browse::dead_letters(&session, limit).await?;
        Self::seen(session, letters).await
    }

    async fn letters(&self, wish: LetterWish) -> Result<Vec<LetterRow>, Fault> {
        let session = self.look().await?;
        let found = letters::letters(&session, wish).await?;
        Self::seen(session, found).await
    }

    async fn letter(&self, id: LetterId) -> Result<Option<LetterRow>, Fault> {
        let session = self.look().await?;
        let found = letters::one(&session, &id).await?;
        Self::seen(session, found).await
    }

    async fn marks(&self, prefix: String) -> Result<Vec<Mark>, Fault> {
        let session = self.look().await?;
        let found = letters::marks(&session, &prefix).await?;
        Self::seen(session, found).await
    }

    async fn standing(&self) -> Result<Standing, Fault> {
        let session = self.look().await?;
        let standing = browse::standing(&session).await?;
        Self::seen(session, standing).await
    }

    async fn summary(&self) -> Result<Summary, Fault> {
        let session = self.look().await?;
        let summary = browse::summary(&session).await?;
        Self::seen(session, summary).await
    }
}

impl Outbox for PostgresStore {
    async fn notices(&self, after: i64, limit: u32) -> Result<Vec<Told>, Fault> {
        let session = self.look().await?;
        let told = outbox::notices(&session, after, limit).await?;
        Self::seen(session, told).await
    }

    async fn newest_notice(&self) -> Result<i64, Fault> {
        let session = self.look().await?;
        let newest = outbox::newest(&session).await?;
        Self::seen(session, newest).await
    }

    async fn endpoints(&self) -> Result<Vec<(Endpoint, Health)>, Fault> {
        let session = self.look().await?;
        let endpoints = outbox::endpoints(&session).await?;
        Self::seen(session, endpoints).await
    }

    async fn deliveries(
        &self,
        endpoint: &EndpointId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DeliveryLine>, Fault> {
        let session = self.look().await?;
        let lines = outbox::deliveries(&session, endpoint, after, limit).await?;
        Self::seen(session, lines).await
    }

    async fn plan(&self, now: Timestamp, limit: u32) -> Result<u64, Fault> {
        let mut session = self.books.writers.get().await?;
        session.begin(settle::BEGIN).await?;
        let looked = outbox::plan(&session, now, limit).await?;
        session.commit().await.map_err(fault::fault)?;
        Ok(looked)
    }

    async fn claim_deliveries(&self, wish: Wish) -> Result<Vec<Delivery>, Fault> {
        let session = self.books.writers.get().await?;
        outbox::claim(&session, wish).await
    }

    async fn report_deliveries(&self, reports: Vec<Report>) -> Result<(), Fault> {
        let mut session = self.books.writers.get().await?;
        session.begin(settle::BEGIN).await?;
        outbox::report(&session, reports).await?;
        session.commit().await.map_err(fault::fault)
    }

    async fn lease_sink(&self, lease: SinkLease) -> Result<bool, Fault> {
        let session = self.books.writers.get().await?;
        outbox::lease_sink(&session, &lease).await
    }

    async fn replay(
        &self,
        endpoint: &EndpointId,
        numbers: (i64, i64),
        now: Timestamp,
    ) -> Result<u64, Fault> {
        let mut session = self.books.writers.get().await?;
        session.begin(settle::BEGIN).await?;
        let made = outbox::replay(&session, endpoint, numbers, now).await?;
        session.commit().await.map_err(fault::fault)?;
        Ok(made)
    }
}

impl Links for PostgresStore {
    async fn claim_links(&self, claim: LinkClaim) -> Result<Vec<LinkRow>, Fault> {
        let session = self.books.writers.get().await?;
        links::claim(&session, claim).await
    }

    async fn links(&self, filter: LinkFilter) -> Result<Vec<LinkRow>, Fault> {
        let session = self.look().await?;
        let found = links::list(&session, &filter).await?;
        Self::seen(session, found).await
    }
}

impl ReadOut for PostgresStore {
    async fn read_out(&self, from: Cursor, limit: u32) -> Result<Piece, Fault> {
        let session = self.look().await?;
        let piece = read_out::piece(&session, &from, limit).await?;
        Self::seen(session, piece).await
    }

    async fn newest_entry(&self) -> Result<i64, Fault> {
        let session = self.look().await?;
        let head = prefetch::head(&session).await?;
        Self::seen(session, head.seq).await
    }
}
