//! Answers that are lost: before a commit nothing was written; after it, the store finds out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lingqian_core::earning::Credited;
use lingqian_core::money::Micros;
use lingqian_io::{Browse as _, Fault, Store as _};
use lingqian_postgres::{Options, PostgresStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::given::{NOON, batch, pair};
use crate::world::connect;

/// What happens to the next `COMMIT` on its way.
#[derive(Clone, Default)]
struct Wire {
    /// It arrives, and its answer is lost with the connection.
    cut_after: Arc<AtomicBool>,
    /// It does not arrive.
    cut_before: Arc<AtomicBool>,
    /// And nobody gets through after a cut.
    stays_away: Arc<AtomicBool>,
    /// Nobody gets through.
    dead: Arc<AtomicBool>,
    /// Every byte is acknowledged and none arrives.
    swallows: Arc<AtomicBool>,
}

/// Stands between a store and its server; tells the address to use instead.
async fn between(url: &str, wire: Wire) -> String {
    let (front, name) = url.rsplit_once('/').expect("a database");
    let server = front.rsplit_once('@').expect("a host").1.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            if wire.dead.load(Ordering::SeqCst) {
                continue;
            }
            let server = TcpStream::connect(&server)
                .await
                .expect("the server is there");
            tokio::spawn(carry(client, server, wire.clone()));
        }
    });
    format!("postgres://lingqian@{address}/{name}")
}

async fn carry(mut client: TcpStream, mut server: TcpStream, wire: Wire) {
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(length @ 1..) = read else { return };
                if wire.swallows.load(Ordering::SeqCst) {
                    continue;
                }
                let is_commit = up[..length].windows(7).any(|word| word == b"COMMIT\0");
                if is_commit && wire.cut_before.swap(false, Ordering::SeqCst) {
                    return;
                }
                if server.write_all(&up[..length]).await.is_err() {
                    return;
                }
                if is_commit && wire.cut_after.swap(false, Ordering::SeqCst) {
                    // The server has answered, and nobody hears it.
                    let away = wire.stays_away.load(Ordering::SeqCst);
                    wire.dead.store(away, Ordering::SeqCst);
                    let _ = server.read(&mut down).await;
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(length @ 1..) = read else { return };
                if wire.swallows.load(Ordering::SeqCst) {
                    continue;
                }
                if client.write_all(&down[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn beside(url: &str, wire: &Wire) -> PostgresStore {
    let options = Options {
        patience: Duration::from_secs(1),
        silence: Duration::from_secs(1),
        ..Options::default()
    };
    let address = between(url, wire.clone()).await;
    PostgresStore::open_with(&address, options)
        .await
        .expect("it opens")
}

fn one(name: &str) -> lingqian_core::EventBatch {
    batch([(name.to_owned(), 1)].into_iter())
}

const NOW: Result<Credited, lingqian_core::Rejection> = Ok(Credited::Now(Micros(10)));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_arrived_is_found_when_its_answer_was_lost() {
    let (other, _, url) = pair(1).await;
    let wire = Wire::default();
    let store = beside(&url, &wire).await;
    for round in 0..5 {
        wire.cut_after.store(true, Ordering::SeqCst);
        let earned = store.earn(NOON, one(&format!("e{round}"))).await;
        assert_eq!(
            earned,
            Ok(vec![NOW]),
            "it was written, and that was found out"
        );
        assert!(
            !wire.cut_after.load(Ordering::SeqCst),
            "the answer was lost"
        );
    }
    let audited = other.audit().await.expect("audits");
    assert_eq!((audited.earnings, audited.findings), (5, Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_did_not_arrive_is_told_apart() {
    let (other, _, url) = pair(1).await;
    let wire = Wire::default();
    let store = beside(&url, &wire).await;
    for round in 0..5 {
        wire.cut_before.store(true, Ordering::SeqCst);
        let lost = store.earn(NOON, one(&format!("e{round}"))).await;
        assert!(matches!(lost, Err(Fault::Retry(_))), "{lost:?}");
        let again = store.earn(NOON, one(&format!("e{round}"))).await;
        assert_eq!(again, Ok(vec![NOW]), "nothing had been written");
    }
    let audited = other.audit().await.expect("audits");
    assert_eq!((audited.earnings, audited.findings), (5, Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_server_that_stays_away_makes_the_outcome_unknown() {
    let (_other, _, url) = pair(1).await;
    let wire = Wire::default();
    let store = beside(&url, &wire).await;
    wire.cut_after.store(true, Ordering::SeqCst);
    wire.stays_away.store(true, Ordering::SeqCst);
    let lost = store.earn(NOON, one("e")).await;
    assert!(matches!(lost, Err(Fault::Unknown(_))), "{lost:?}");
    wire.dead.store(false, Ordering::SeqCst);
    let again = store.earn(NOON, one("e")).await;
    assert_eq!(again, Ok(vec![Ok(Credited::Before)]), "it had been written");
}

/// No socket notices it: what stands between acknowledges every byte.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_swallows_everything_is_given_up_and_holds_nobody() {
    let (_other, _, url) = pair(1).await;
    let wire = Wire::default();
    let store = beside(&url, &wire).await;
    assert_eq!(store.earn(NOON, one("before")).await, Ok(vec![NOW]));
    wire.swallows.store(true, Ordering::SeqCst);
    let patience = Duration::from_secs(30);
    let earned = tokio::time::timeout(patience, store.earn(NOON, one("e"))).await;
    let earned = earned.expect("it is answered");
    assert!(
        matches!(earned, Err(Fault::Retry(_) | Fault::Unknown(_))),
        "{earned:?}"
    );
    let read = tokio::time::timeout(patience, store.merchants()).await;
    assert!(
        read.expect("it is answered").is_err(),
        "nothing could be read"
    );
    wire.swallows.store(false, Ordering::SeqCst);
    let again = tokio::time::timeout(patience, store.earn(NOON, one("e"))).await;
    assert_eq!(
        again.expect("it is answered"),
        Ok(vec![NOW]),
        "by a new connection"
    );
    let read = tokio::time::timeout(patience, store.merchants()).await;
    assert!(read.expect("it is answered").is_ok(), "by a new connection");
}

/// The server ends the connection while it commits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ends_inside_a_commit_is_told_apart() {
    let (store, _, url) = pair(1).await;
    let books = connect(&url).await;
    let slow = "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS \
                'BEGIN PERFORM pg_sleep(0.6); RETURN NULL; END'; \
                CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON batches DEFERRABLE INITIALLY \
                DEFERRED FOR EACH ROW EXECUTE FUNCTION dawdle()";
    books
        .batch_execute(slow)
        .await
        .expect("commits are slow now");
    let earning = {
        let store = store.clone();
        tokio::spawn(async move { store.earn(NOON, one("e")).await })
    };
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND query = 'COMMIT' AND state = 'active'";
    while books.execute(end, &[]).await.expect("asked") == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let lost = earning.await.expect("no panic");
    assert!(matches!(lost, Err(Fault::Retry(_))), "{lost:?}");
    assert_eq!(store.earn(NOON, one("e")).await, Ok(vec![NOW]));
    assert_eq!(store.audit().await.expect("audits").findings, []);
}
