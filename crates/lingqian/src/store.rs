//! Where the books are: in one file of the data directory, or in a PostgreSQL database that
//! several processes share.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
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
use lingqian_engine::copy::is_unfinished;
use lingqian_io::Fault;
use lingqian_io::alerts::{AlertBoard, AlertChanges, AlertLease, Alerts};
use lingqian_io::inbox::{Inbox, InboxWish, Messages};
use lingqian_io::links::{LinkClaim, LinkFilter, LinkRow, Links};
use lingqian_io::outbox::{Delivery, DeliveryLine, Health, Outbox, Report, SinkLease, Wish};
use lingqian_io::read_out::{Cursor, Piece, ReadOut};
use lingqian_io::store::{
    Audited, Browse, Claim, Committed, EventAnswer, LetterRow, LetterWish, PayoutFilter, PayoutRow,
    PayoutStory, Standing, StatementLine, Store, Summary, WithdrawalAnswer,
};
use lingqian_postgres::{Alone, PostgresStore};
use lingqian_sqlite::SqliteStore;
use serde::Deserialize;

use crate::home::{Home, database_in};

/// The address of a store. There may be a password in it, so it never prints itself.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct StoreUrl(String);

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "…" })
    }
}

impl StoreUrl {
    /// Whether it means the file of the data directory.
    pub(crate) fn is_file(&self) -> bool {
        self.0.is_empty()
    }

    /// The address of a database.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn shared(&self) -> anyhow::Result<&str> {
        match self.place()? {
            Place::Postgres(_) => Ok(&self.0),
            Place::File(_) => anyhow::bail!(
                "the store must be postgres://USER@HOST/DATABASE, or left out for a file in the \
                 data directory"
            ),
        }
    }

    /// As a value of a configuration, which is the one place where it is written.
    pub(crate) fn quoted(&self) -> toml::Value {
        toml::Value::String(self.0.clone())
    }
}

impl From<String> for StoreUrl {
    fn from(url: String) -> Self {
        StoreUrl(url)
    }
}

/// Where a store is that was named by itself, without a data directory around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The file of the books.
    File(PathBuf),
    /// A PostgreSQL database.
    Postgres(StoreUrl),
}

impl StoreUrl {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What it names: a database, a file, or a data directory and so the file in it. A path where
    /// nothing is yet names a file if it ends like one.
    ///
    /// # Errors
    /// When it is the address of something else.
    pub(crate) fn place(&self) -> anyhow::Result<Place> {
        match self.0.split_once("://").map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => return Ok(Place::Postgres(self.clone())),
            None if !self.is_empty() => {}
            _ => anyhow::bail!(
                "a store is a data directory, a file, or postgres://USER@HOST/DATABASE"
            ),
        }
        let path = Path::new(&self.0);
        let ends = path.extension().and_then(|ends| ends.to_str());
        let is_file = path.is_file() || (!path.exists() && matches!(ends, Some("db" | "sqlite")));
        Ok(Place::File(if is_file {
            path.to_owned()
        } else {
            database_in(path)
        }))
    }
}

impl fmt::Display for Place {
    /// Without who may log in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => path.display().fmt(f),
            Place::Postgres(url) => {
                let (_, rest) = url.0.split_once("://").unwrap_or_default();
                let host = rest.rsplit('@').next().unwrap_or_default();
                let host = host.split(['?', '#']).next().unwrap_or_default();
                write!(f, "postgres://{host}")
            }
        }
    }
}

impl Place {
    /// Opens the store.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) async fn open(&self) -> anyhow::Result<AnyStore> {
        let opened = match self {
            Place::File(path) => SqliteStore::open(path).map(AnyStore::Sqlite),
            Place::Postgres(url) => PostgresStore::open(&url.0).await.map(AnyStore::Postgres),
        };
        opened.with_context(|| format!("the store {self}"))
    }
}

/// What a store is opened for. One process at a time may write to a file; any number may share a
/// database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To change the books.
    Write,
    /// To look at them, beside whoever writes.
    Look,
}

/// Either store, behind the one port.
#[derive(Clone)]
pub(crate) enum AnyStore {
    /// One file, one machine.
    Sqlite(SqliteStore),
    /// A database that several processes share.
    Postgres(PostgresStore),
}

impl AnyStore {
    /// Opens the store of that address, or the file of the data directory where there is none.
    ///
    /// # Errors
    /// When the address is of no store that is known, or the store cannot be opened.
    pub(crate) async fn open(
        home: &Home,
        url: &StoreUrl,
        purpose: Purpose,
    ) -> anyhow::Result<AnyStore> {
        let store = AnyStore::open_any(home, url, purpose).await?;
        if purpose == Purpose::Write {
            anyhow::ensure!(
                !is_unfinished(&store).await?,
                "copy_unfinished: the books are a copy that is not whole; run the same `lingqian copy` again, \
                 and nothing else until it has ended"
            );
        }
        Ok(store)
    }

    async fn open_any(home: &Home, url: &StoreUrl, purpose: Purpose) -> anyhow::Result<AnyStore> {
        let scheme = url.0.split_once("://").map(|(scheme, _)| scheme);
        match scheme {
            Some("postgres" | "postgresql") => {
                let open = async {
                    let store = PostgresStore::open(&url.0).await?;
                    if purpose == Purpose::Write {
                        store.ready().await?;
                    }
                    Ok::<_, Fault>(AnyStore::Postgres(store))
                };
                open.await.context("the store in PostgreSQL")
            }
            None if url.is_empty() => {
                let file = home.database();
                check_there(home, &file)?;
                let opened = match purpose {
                    Purpose::Write => SqliteStore::open(&file)?,
                    Purpose::Look => SqliteStore::open_to_look(&file)?,
                };
                Ok(AnyStore::Sqlite(opened))
            }
            _ => anyhow::bail!(
                "the store must be postgres://USER@HOST/DATABASE, or left out for a file in the \
                 data directory"
            ),
        }
    }
}

/// Where there is the key of books there are books: new ones would not know it, and would credit every
/// event again.
fn check_there(home: &Home, file: &Path) -> anyhow::Result<()> {
    let key = home.api_key();
    let is_empty = file.metadata().map_or(true, |file| file.len() == 0);
    anyhow::ensure!(
        !(is_empty && key.is_file()),
        "books_missing: {} are gone or empty, and {} is a key of theirs; bring the books back from a copy, or \
         remove that file to begin new ones",
        file.display(),
        key.display()
    );
    Ok(())
}

impl AnyStore {
    /// Keeps everybody from writing until what is told is dropped. A file needs nothing of the
    /// kind: whoever opened it is alone already.
    ///
    /// # Errors
    /// When somebody writes.
    pub(crate) async fn alone(&self) -> Result<Option<Alone>, Fault> {
        match self {
            AnyStore::Sqlite(_) => Ok(None),
            AnyStore::Postgres(store) => store.alone().await.map(Some),
        }
    }
}

/// Asks whichever store it is.
macro_rules! ask {
    ($any:ident, $store:ident => $asked:expr) => {
        match $any {
            AnyStore::Sqlite($store) => $asked.await,
            AnyStore::Postgres($store) => $asked.await,
        }
    };
}

impl Store for AnyStore {
    async fn prefetch(&self, keys: Keys) -> Result<Facts, Fault> {
        ask!(self, store => store.prefetch(keys))
    }

    async fn commit(&self, basis: u64, changes: Changes) -> Result<Committed, Fault> {
        ask!(self, store => store.commit(basis, changes))
    }

    async fn earn(&self, now: Timestamp, events: EventBatch) -> Result<Vec<EventAnswer>, Fault> {
        ask!(self, store => store.earn(now, events))
    }

    async fn withdraw(
        &self,
        now: Timestamp,
        policy: &Policy,
        requests: Vec<Withdrawal>,
    ) -> Result<Vec<WithdrawalAnswer>, Fault> {
        ask!(self, store => store.withdraw(now, policy, requests))
    }

    async fn note(&self, notes: Notes) -> Result<(), Fault> {
        ask!(self, store => store.note(notes))
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<PayoutId>, Fault> {
        ask!(self, store => store.claim(claim))
    }

    async fn audit(&self) -> Result<Audited, Fault> {
        ask!(self, store => store.audit())
    }
}

impl Browse for AnyStore {
    async fn user(&self, id: &UserId, day: BusinessDate) -> Result<Option<Wallet>, Fault> {
        ask!(self, store => store.user(id, day))
    }

    async fn statement(
        &self,
        user: UserNo,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<StatementLine>, Fault> {
        ask!(self, store => store.statement(user, before, limit))
    }

    async fn payouts(&self, filter: PayoutFilter) -> Result<Vec<PayoutRow>, Fault> {
        ask!(self, store => store.payouts(filter))
    }

    async fn payout(&self, id: PayoutId) -> Result<Option<PayoutStory>, Fault> {
        ask!(self, store => store.payout(id))
    }

    async fn seated(&self, batch: OutBillNo) -> Result<Vec<PayoutId>, Fault> {
        ask!(self, store => store.seated(batch))
    }

    async fn sweepable(
        &self,
        threshold: Micros,
        after: UserNo,
        limit: u32,
    ) -> Result<Vec<(UserNo, UserId)>, Fault> {
        ask!(self, store => store.sweepable(threshold, after, limit))
    }

    async fn paid_on(
        &self,
        of: (MerchantNo, BusinessDate),
        after: Option<PayoutId>,
        limit: u32,
    ) -> Result<Vec<PayoutId>, Fault> {
        ask!(self, store => store.paid_on(of, after, limit))
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, Fault> {
        ask!(self, store => store.api_keys())
    }

    async fn sound(&self) -> Result<(), Fault> {
        ask!(self, store => store.sound())
    }

    async fn merchants(&self) -> Result<Vec<Merchant>, Fault> {
        ask!(self, store => store.merchants())
    }

    async fn stops(&self) -> Result<Vec<Stop>, Fault> {
        ask!(self, store => store.stops())
    }

    async fn deeds(&self, subject: Option<String>, limit: u32) -> Result<Vec<Deed>, Fault> {
        ask!(self, store => store.deeds(subject, limit))
    }

    async fn merchant_days(
        &self,
        since: BusinessDate,
    ) -> Result<Vec<(MerchantNo, BusinessDate, Fen)>, Fault> {
        ask!(self, store => store.merchant_days(since))
    }

    async fn reconciled(&self) -> Result<(Vec<Bill>, Vec<Break>), Fault> {
        ask!(self, store => store.reconciled())
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<(DeadLetter, u64)>, Fault> {
        ask!(self, store => store.dead_letters(limit))
    }

    async fn letters(&self, wish: LetterWish) -> Result<Vec<LetterRow>, Fault> {
        ask!(self, store => store.letters(wish))
    }

    async fn letter(&self, id: LetterId) -> Result<Option<LetterRow>, Fault> {
        ask!(self, store => store.letter(id))
    }

    async fn marks(&self, prefix: String) -> Result<Vec<Mark>, Fault> {
        ask!(self, store => store.marks(prefix))
    }

    async fn summary(&self) -> Result<Summary, Fault> {
        ask!(self, store => store.summary())
    }

    async fn standing(&self) -> Result<Standing, Fault> {
        ask!(self, store => store.standing())
    }
}

impl Links for AnyStore {
    async fn claim_links(&self, claim: LinkClaim) -> Result<Vec<LinkRow>, Fault> {
        ask!(self, store => store.claim_links(claim))
    }

    async fn links(&self, filter: LinkFilter) -> Result<Vec<LinkRow>, Fault> {
        ask!(self, store => store.links(filter))
    }
}

impl Inbox for AnyStore {
    async fn inbox(&self, wish: InboxWish) -> Result<Messages, Fault> {
        ask!(self, store => store.inbox(wish))
    }

    async fn notices_of(&self, user: UserId, after: i64, limit: u32) -> Result<Vec<Told>, Fault> {
        ask!(self, store => store.notices_of(user, after, limit))
    }

    async fn read_inbox(&self, user: UserId, to: i64) -> Result<(), Fault> {
        ask!(self, store => store.read_inbox(user, to))
    }
}

impl Alerts for AnyStore {
    async fn alerts(&self) -> Result<AlertBoard, Fault> {
        ask!(self, store => store.alerts())
    }

    async fn take_alerts(&self, lease: AlertLease) -> Result<Option<AlertBoard>, Fault> {
        ask!(self, store => store.take_alerts(lease))
    }

    async fn keep_alerts(&self, holder: String, changes: AlertChanges) -> Result<bool, Fault> {
        ask!(self, store => store.keep_alerts(holder, changes))
    }
}

impl Outbox for AnyStore {
    async fn notices(&self, after: i64, limit: u32) -> Result<Vec<Told>, Fault> {
        ask!(self, store => store.notices(after, limit))
    }

    async fn newest_notice(&self) -> Result<i64, Fault> {
        ask!(self, store => store.newest_notice())
    }

    async fn endpoints(&self) -> Result<Vec<(Endpoint, Health)>, Fault> {
        ask!(self, store => store.endpoints())
    }

    async fn deliveries(
        &self,
        endpoint: &EndpointId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DeliveryLine>, Fault> {
        ask!(self, store => store.deliveries(endpoint, after, limit))
    }

    async fn plan(&self, now: Timestamp, limit: u32) -> Result<u64, Fault> {
        ask!(self, store => store.plan(now, limit))
    }

    async fn claim_deliveries(&self, wish: Wish) -> Result<Vec<Delivery>, Fault> {
        ask!(self, store => store.claim_deliveries(wish))
    }

    async fn report_deliveries(&self, reports: Vec<Report>) -> Result<(), Fault> {
        ask!(self, store => store.report_deliveries(reports))
    }

    async fn lease_sink(&self, lease: SinkLease) -> Result<bool, Fault> {
        ask!(self, store => store.lease_sink(lease))
    }

    async fn replay(
        &self,
        endpoint: &EndpointId,
        numbers: (i64, i64),
        now: Timestamp,
    ) -> Result<u64, Fault> {
        ask!(self, store => store.replay(endpoint, numbers, now))
    }
}

impl ReadOut for AnyStore {
    async fn read_out(&self, from: Cursor, limit: u32) -> Result<Piece, Fault> {
        ask!(self, store => store.read_out(from, limit))
    }

    async fn newest_entry(&self) -> Result<i64, Fault> {
        ask!(self, store => store.newest_entry())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_of_no_store_is_refused_and_none_is_ever_printed() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::open(dir.path()).expect("it is made");
        for address in [
            "mysql://u:hush@h/d",
            "u:hush@h",
            "books.db",
            "postgres://u:hush@",
        ] {
            let url = StoreUrl::from(address.to_owned());
            let refused = AnyStore::open(&home, &url, Purpose::Write).await.map(drop);
            let words = format!("{:#} {url:?}", refused.expect_err("refused"));
            assert!(!words.contains("hush"), "{words}");
        }
        let file = AnyStore::open(&home, &StoreUrl::default(), Purpose::Look)
            .await
            .expect("it opens");
        assert!(matches!(file, AnyStore::Sqlite(_)));
    }

    #[test]
    fn a_store_is_named_by_a_directory_a_file_or_an_address_and_shows_no_password() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = |text: &str| StoreUrl::from(text.to_owned()).place();
        let own = dir.path().to_str().expect("a plain path");
        let file = |path: String| Place::File(path.into());
        for (text, expected) in [
            (own.to_owned(), file(format!("{own}/lingqian.db"))),
            (format!("{own}/new"), file(format!("{own}/new/lingqian.db"))),
            (format!("{own}/books.db"), file(format!("{own}/books.db"))),
        ] {
            assert_eq!(place(&text).expect("a place"), expected);
        }
        let shared = place("postgres://u:hu@sh@h:5/d?password=hush#x").expect("a place");
        assert_eq!(shared.to_string(), "postgres://h:5/d");
        for wrong in ["", "mysql://h/d", "http://h"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
