//! Connections: how they are made, what they are told first, and that none is given back in the
//! middle of a transaction.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError};
use deadpool_postgres::{RecyclingMethod, Runtime, Timeouts};
use futures_util::SinkExt as _;
use lingqian_io::Fault;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, RowStream};

use crate::address::{Address, CONNECT_WAIT, CREATE_WAIT};
use crate::alone::{COPIED, together};
use crate::fault::fault;
use crate::schema;

/// Whoever waits longer for a free connection is told to come again.
const POOL_WAIT: Duration = Duration::from_secs(15);
/// A transaction that does not begin within this has a connection that leads nowhere.
const BEGIN_WAIT: Duration = Duration::from_secs(10);

/// For those who decide and write. Durability is not left to the server's configuration. Plans
/// are made for many rows in big tables, whatever the tables hold when a plan is made. A process
/// that stands still inside a transaction loses it, for others wait behind it.
const WRITER: &str = "
    SET search_path = lingqian;
    SET synchronous_commit = on;
    SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '10s';
    SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
    SET jit = off;";

/// For those who look. An audit may take its time.
const READER: &str = "
    SET search_path = lingqian;
    SET default_transaction_read_only = on;
    SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '60s';
    SET jit = off;";

/// A hook of the pool can pass on nothing but words; these go before those of a schema that is
/// too new.
const NEWER: &str = "newer: ";

/// Any values, by reference.
pub(crate) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// What a pool's connections are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Deciding and writing.
    Write,
    /// Looking.
    Read,
}

/// Some connections. Clones share them.
#[derive(Clone)]
pub(crate) struct Connections {
    pool: Pool,
    silence: Duration,
}

impl Connections {
    /// Whoever asks on them waits for `silence` at most.
    pub(crate) fn new(
        address: Address,
        purpose: Use,
        size: usize,
        silence: Duration,
    ) -> Result<Connections, Fault> {
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_config(address.config, address.tls, recycling);
        let settings = match purpose {
            Use::Write => WRITER,
            Use::Read => READER,
        };
        let prepare = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
            Box::pin(async move {
                client
                    .batch_execute(settings)
                    .await
                    .map_err(HookError::Backend)?;
                if purpose == Use::Write && !together(client).await.map_err(HookError::Backend)? {
                    return Err(HookError::message(COPIED));
                }
                // A newer program may have changed the tables since this one began.
                match schema::refuse_newer(client).await {
                    Ok(()) => Ok(()),
                    Err(Fault::Newer(words)) => Err(HookError::message(format!("{NEWER}{words}"))),
                    Err(fault) => Err(HookError::message(fault.to_string())),
                }
            })
        });
        let timeouts = Timeouts {
            wait: Some(POOL_WAIT),
            create: Some(CREATE_WAIT),
            recycle: Some(CONNECT_WAIT),
        };
        let pool = Pool::builder(manager)
            .max_size(size.max(1))
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .post_create(prepare)
            .build()
            .map_err(|_| Fault::Broken("no pool of connections".into()))?;
        Ok(Connections { pool, silence })
    }

    /// A connection of one's own.
    pub(crate) async fn get(&self) -> Result<Session, Fault> {
        let client = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                fault(error)
            }
            PoolError::PostCreateHook(HookError::Message(words)) => match words {
                words if words == COPIED => Fault::Held(words.into_owned()),
                words => match words.strip_prefix(NEWER) {
                    Some(words) => Fault::Newer(words.to_owned()),
                    None => Fault::Broken(words.into_owned()),
                },
            },
            PoolError::Timeout(_) => Fault::Retry("no connection to PostgreSQL is free".into()),
            PoolError::Closed | PoolError::NoRuntimeSpecified => {
                Fault::Broken("the pool of connections is gone".into())
            }
        })?;
        Ok(Session {
            client: Some(client),
            begun: false,
            silence: self.silence,
            silent: AtomicBool::new(false),
        })
    }
}

/// A connection on loan. One that is dropped inside a transaction, whatever the reason, is
/// closed and not given back, so that the server ends the transaction and nobody else is in it.
/// So is one that did not answer: what stands between us and the server may acknowledge every
/// byte and pass none on, which no socket notices.
pub(crate) struct Session {
    client: Option<Object>,
    begun: bool,
    silence: Duration,
    silent: AtomicBool,
}

impl Session {
    pub(crate) fn client(&self) -> &Object {
        // It is taken away in `drop` alone.
        self.client.as_ref().expect("the connection is there")
    }

    /// What is answered in time.
    async fn within<T>(
        &self,
        wait: Duration,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if self.silent.load(Ordering::Relaxed) {
            return Err(Error::__private_api_timeout());
        }
        match tokio::time::timeout(wait, answer).await {
            Ok(answered) => answered,
            Err(_) => {
                self.silent.store(true, Ordering::Relaxed);
                Err(Error::__private_api_timeout())
            }
        }
    }

    /// Ends the connection instead of giving it back.
    pub(crate) fn close(mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&mut self, how: &'static str) -> Result<(), Fault> {
        self.begun = true;
        let wait = self.silence.min(BEGIN_WAIT);
        let begun = self.within(wait, self.client().batch_execute(how)).await;
        begun.map_err(fault)
    }

    /// Ends a transaction that only read, or wrote nothing that matters.
    pub(crate) async fn end(&mut self) -> Result<(), Fault> {
        let wait = self.silence.min(BEGIN_WAIT);
        let ended = self.client().batch_execute("ROLLBACK");
        self.within(wait, ended).await.map_err(fault)?;
        self.begun = false;
        Ok(())
    }

    /// Makes a transaction durable. From here on an error may mean either.
    pub(crate) async fn commit(&mut self) -> Result<(), Error> {
        let committed = self.client().batch_execute("COMMIT");
        self.within(self.silence, committed).await?;
        self.begun = false;
        Ok(())
    }

    /// Every row of a query.
    pub(crate) async fn rows(
        &self,
        query: &'static str,
        values: Values<'_>,
    ) -> Result<Vec<Row>, Fault> {
        self.try_rows(query, values).await.map_err(fault)
    }

    /// The same with the error itself.
    pub(crate) async fn try_rows(
        &self,
        query: &'static str,
        values: Values<'_>,
    ) -> Result<Vec<Row>, Error> {
        let rows = async {
            let statement = self.client().prepare_cached(query).await?;
            self.client().query(&statement, values).await
        };
        self.within(self.silence, rows).await
    }

    /// The first row of a query.
    pub(crate) async fn first(
        &self,
        query: &'static str,
        values: Values<'_>,
    ) -> Result<Option<Row>, Fault> {
        Ok(self.rows(query, values).await?.into_iter().next())
    }

    /// The rows of a query as they come.
    pub(crate) async fn stream(
        &self,
        query: &'static str,
        values: &[&i64],
    ) -> Result<RowStream, Fault> {
        let rows = async {
            let statement = self.client().prepare_cached(query).await?;
            let values = values.iter().copied();
            self.client().query_raw(&statement, values).await
        };
        self.within(self.silence, rows).await.map_err(fault)
    }

    /// Hands in rows in the binary form of `COPY`.
    pub(crate) async fn copy(&self, query: &'static str, rows: Bytes) -> Result<u64, Error> {
        let copied = async {
            let statement = self.client().prepare_cached(query).await?;
            let mut sink = pin!(self.client().copy_in(&statement).await?);
            sink.send(rows).await?;
            sink.finish().await
        };
        self.within(self.silence, copied).await
    }

    /// Changes rows and tells how many.
    pub(crate) async fn run(&self, query: &'static str, values: Values<'_>) -> Result<u64, Error> {
        let changed = async {
            let statement = self.client().prepare_cached(query).await?;
            self.client().execute(&statement, values).await
        };
        self.within(self.silence, changed).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if (self.begun || *self.silent.get_mut())
            && let Some(client) = self.client.take()
        {
            drop(Object::take(client));
        }
    }
}
