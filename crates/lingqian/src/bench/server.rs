//! A PostgreSQL server that a bench works with: a connection past the store, how big a database
//! is, and which processes of this machine serve it.

use std::fs;

use anyhow::Context as _;
use tokio_postgres::{Client, Config, NoTls};

use crate::bench::machine::parent_of;

/// Connects without TLS: a bench is for a server of its own on the same machine.
///
/// # Errors
/// When the address does not read or nobody answers; the words do not quote the address.
pub(crate) async fn connect(url: &str) -> anyhow::Result<Client> {
    let config: Config = url
        .parse()
        .map_err(|_| anyhow::anyhow!("the address of the PostgreSQL server does not read"))?;
    let connected = config.connect(NoTls).await;
    let (client, connection) = connected.context("the PostgreSQL server does not answer")?;
    tokio::spawn(connection);
    Ok(client)
}

/// The process that started whatever serves this connection, where that is on this machine.
pub(crate) async fn process(client: &Client) -> Option<u32> {
    let query = include_str!("sql/own_process.sql");
    let row = client.query_one(query, &[]).await.ok()?;
    let own = u32::try_from(row.get::<_, i32>(0)).ok()?;
    let name = fs::read_to_string(format!("/proc/{own}/comm")).ok()?;
    if name.starts_with("postgres") {
        parent_of(own)
    } else {
        None
    }
}

/// Bytes of the database, its indexes and everything.
///
/// # Errors
/// When the server fails.
pub(crate) async fn bytes(client: &Client) -> anyhow::Result<u64> {
    let row = client
        .query_one(include_str!("sql/size_of_database.sql"), &[])
        .await?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}
