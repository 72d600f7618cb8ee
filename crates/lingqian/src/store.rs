//! Where the books are: in one file of the data directory, or in a PostgreSQL database that
//! several processes share.

use std::fmt;

use anyhow::Context as _;
use lingqian_core::command::{ApiKey, DeadLetter};
use lingqian_core::facts::Wallet;
use lingqian_core::id::{PayoutId, UserId, UserNo};
use lingqian_core::money::Micros;
use lingqian_core::reconcile::{Bill, Break};
use lingqian_core::risk::Policy;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::Merchant;
use lingqian_core::withdrawal::Withdrawal;
use lingqian_core::{Changes, EventBatch, Facts, Keys};
use lingqian_io::Fault;
use lingqian_io::store::{
    Audited, Browse, Claim, Committed, EventAnswer, PayoutFilter, PayoutRow, PayoutStory,
    StatementLine, Store, Summary, WithdrawalAnswer,
};
use lingqian_postgres::PostgresStore;
use lingqian_sqlite::SqliteStore;
use serde::Deserialize;

use crate::home::Home;

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
    pub(crate) async fn open(home: &Home, url: &StoreUrl) -> anyhow::Result<AnyStore> {
        let scheme = url.0.split_once("://").map(|(scheme, _)| scheme);
        match scheme {
            Some("postgres" | "postgresql") => {
                let store = PostgresStore::open(&url.0).await;
                store
                    .map(AnyStore::Postgres)
                    .context("the store in PostgreSQL")
            }
            None if url.0.is_empty() => Ok(AnyStore::Sqlite(SqliteStore::open(&home.database())?)),
            _ => anyhow::bail!(
                "the store must be postgres://USER@HOST/DATABASE, or left out for a file in the \
                 data directory"
            ),
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
        date: BusinessDate,
        after: Option<PayoutId>,
        limit: u32,
    ) -> Result<Vec<PayoutId>, Fault> {
        ask!(self, store => store.paid_on(date, after, limit))
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, Fault> {
        ask!(self, store => store.api_keys())
    }

    async fn merchants(&self) -> Result<Vec<Merchant>, Fault> {
        ask!(self, store => store.merchants())
    }

    async fn reconciled(&self) -> Result<(Vec<Bill>, Vec<Break>), Fault> {
        ask!(self, store => store.reconciled())
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<(DeadLetter, u64)>, Fault> {
        ask!(self, store => store.dead_letters(limit))
    }

    async fn summary(&self) -> Result<Summary, Fault> {
        ask!(self, store => store.summary())
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
            let refused = AnyStore::open(&home, &url).await.map(drop);
            let words = format!("{:#} {url:?}", refused.expect_err("refused"));
            assert!(!words.contains("hush"), "{words}");
        }
        let file = AnyStore::open(&home, &StoreUrl::default())
            .await
            .expect("it opens");
        assert!(matches!(file, AnyStore::Sqlite(_)));
    }
}
