//! A PostgreSQL server of a test's own, because it is killed.

use std::process::Command;
use std::time::Duration;

use lingqian_chaos::postgres;
use tokio_postgres::Client;

/// A server with one empty database. It ends with this.
pub(crate) struct Server(postgres::Server);

impl Server {
    /// Makes a cluster and starts it.
    pub(crate) fn start() -> Server {
        Server(postgres::Server::start().expect("PostgreSQL starts"))
    }

    /// The address of its database.
    pub(crate) fn url(&self) -> String {
        format!("postgres://lingqian@{}/postgres", self.0.addr())
    }

    /// Starts it on the same data, at the same address.
    pub(crate) fn start_again(&mut self) {
        self.0.start_again().expect("PostgreSQL starts");
    }

    /// Ends it at once, in the middle of whatever it does.
    pub(crate) fn stop_at_once(&mut self) {
        self.0.stop_at_once();
    }

    /// `kill -9` of one process that serves a connection of ours. The server ends all the others
    /// then and recovers.
    pub(crate) async fn kill_a_backend(&self) {
        let busiest = "SELECT pid FROM pg_stat_activity WHERE application_name = 'lingqian' \
                       ORDER BY (state = 'active') DESC, state_change DESC LIMIT 1";
        let row = self.connect().await.query_one(busiest, &[]).await;
        let pid: i32 = row.expect("somebody is connected").get(0);
        let killed = Command::new("kill")
            .args(["-KILL", &pid.to_string()])
            .status();
        assert!(killed.expect("kill runs").success(), "it was there");
        // It takes a moment until the others are ended.
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.0.wait_until_ready().expect("PostgreSQL answers");
    }

    /// A connection past the store, which sees its tables.
    pub(crate) async fn connect(&self) -> Client {
        self.0.connect().await.expect("it connects")
    }
}
