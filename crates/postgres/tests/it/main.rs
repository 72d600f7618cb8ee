//! The PostgreSQL store: the suite of every store, and what only a server can show.

mod ahead;
mod given;
mod guards;
mod lost;
mod recorded;
mod room;
mod schema;
mod shared;
mod tls;
mod withdrawals;
mod world;

use lingqian_io::conformance;

use crate::world::store;

#[tokio::test]
async fn the_postgres_store_passes_the_conformance_suite() {
    conformance::exercise(async || store().await.0).await;
}

#[tokio::test]
async fn the_postgres_store_can_be_moved() {
    conformance::reading_out(async || store().await.0).await;
}
