//! Databases of one's own on the server that `cargo xtask test` starts.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use lingqian_postgres::PostgresStore;
use tokio_postgres::{Client, NoTls};

/// The environment variable that names the server.
const SERVER: &str = "LINGQIAN_TEST_POSTGRES";

/// The address of a server that tests may do everything to.
pub(crate) fn server() -> String {
    std::env::var(SERVER).unwrap_or_else(|_| {
        panic!(
            "{SERVER} names no PostgreSQL server; `cargo xtask test` starts one and sets it, or \
             set it to postgres://USER@HOST:PORT of a server where databases may be made"
        )
    })
}

/// A new and empty database; tells its address.
pub(crate) async fn database() -> String {
    made("template0").await
}

/// A copy of a database to which nobody may stay connected; tells its address.
pub(crate) async fn copy(url: &str) -> String {
    let name = url.rsplit('/').next().expect("a name");
    let end =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    let client = connect(&format!("{}/postgres", server())).await;
    client.batch_execute(&end).await.expect("connections end");
    made(name).await
}

async fn made(template: &str) -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let server = server();
    let name = format!(
        "t{}_{}",
        process::id(),
        MADE.fetch_add(1, Ordering::Relaxed)
    );
    let client = connect(&format!("{server}/postgres")).await;
    for statement in [
        format!("DROP DATABASE IF EXISTS {name}"),
        format!(
            "CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8' LC_COLLATE 'C' \
                 LC_CTYPE 'C'"
        ),
    ] {
        client.batch_execute(&statement).await.expect(&statement);
    }
    format!("{server}/{name}")
}

/// A connection past the store, which sees its tables.
pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connects");
    tokio::spawn(connection);
    client
        .batch_execute("SET search_path = lingqian")
        .await
        .expect("a setting");
    client
}

/// A store on a new database.
pub(crate) async fn store() -> (PostgresStore, String) {
    let url = database().await;
    let store = PostgresStore::open(&url).await.expect("it opens");
    (store, url)
}

/// A database with a whole life in it.
pub(crate) async fn lived() -> (PostgresStore, String) {
    let (store, url) = store().await;
    lingqian_io::conformance::whole_flow(&store).await;
    (store, url)
}
