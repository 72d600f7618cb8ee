//! Books earning events over a PostgreSQL server, and says how fast that went.
//!
//! `LINGQIAN_TEST_POSTGRES=postgres://… cargo run --release -p lingqian-postgres --example
//! earn_bench -- [events] [batch] [users] [lanes]`. It makes a database of its own and drops it
//! afterwards. So many lanes hand in batches at once; every answer is durable. The last lines
//! say what was lost: nothing, by the auditor's word.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lingqian_core::earning::{Credited, Kind, Terms};
use lingqian_core::id::{KindCode, KindNo, UserId, UserNo};
use lingqian_core::money::Micros;
use lingqian_core::time::Timestamp;
use lingqian_core::user::User;
use lingqian_core::{Changes, EventBatch, EventView, Keys};
use lingqian_io::Store as _;
use lingqian_io::store::Committed;
use lingqian_postgres::PostgresStore;
use tokio_postgres::{Client, NoTls};

const NOW: Timestamp = Timestamp(1_772_424_000_000);

/// What is asked of the store.
#[derive(Clone, Copy)]
struct Load {
    events: u64,
    batch: u64,
    users: u64,
    lanes: u64,
}

impl Load {
    fn from_arguments() -> Load {
        let given: Vec<String> = std::env::args().skip(1).collect();
        let number = |place: usize, default: u64| {
            given
                .get(place)
                .map_or(default, |text| text.parse().expect("a number"))
        };
        Load {
            events: number(0, 20_000),
            batch: number(1, 8_000).max(1),
            users: number(2, 1_000).max(1),
            lanes: number(3, 2).max(1),
        }
    }

    /// The same events in every run, with ids and users in no order.
    fn batch(self, first: u64, end: u64) -> EventBatch {
        let mut batch = EventBatch::with_capacity(usize::try_from(end - first).expect("small"));
        for number in first..end {
            let (high, low) = (mix(number), mix(number ^ 0x5bd1_e995_97f4_a7c5));
            let event = EventView {
                source: "bench",
                event_id: &format!("{high:016x}{low:016x}"),
                user: &format!("user-{}", low % self.users),
                kind: "ad_view",
                amount: Some(Micros(1_000 + i64::try_from(high % 9_000).expect("small"))),
                occurred_at: None,
                from: None,
                reverses: None,
            };
            batch.push(&event).expect("well formed");
        }
        batch
    }
}

/// A bijection that looks random (splitmix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

async fn commit(store: &PostgresStore, changes: Changes) {
    let basis = store.prefetch(Keys::default()).await.expect("facts").basis;
    assert_eq!(store.commit(basis, changes).await, Ok(Committed::Done));
}

async fn open_books(store: &PostgresStore, load: Load) {
    let kind = Kind {
        no: KindNo(1),
        code: KindCode::parse("ad_view").expect("a kind"),
        price: None,
        amount_max: Micros(1_000_000),
        tax_class: "incidental".into(),
        terms: Terms::default(),
    };
    let kinds = Changes {
        kinds: vec![kind],
        ..Changes::default()
    };
    commit(store, kinds).await;
    for first in (0..load.users).step_by(50_000) {
        let users = first..load.users.min(first + 50_000);
        let user = |number: u64| User {
            no: UserNo(i64::try_from(number).expect("small") + 1),
            id: UserId::parse(&format!("user-{number}")).expect("an id"),
            created_at: NOW,
            frozen: false,
            name: None,
        };
        let users = Changes {
            users: users.map(user).collect(),
            ..Changes::default()
        };
        commit(store, users).await;
    }
}

#[tokio::main]
async fn main() {
    let load = Load::from_arguments();
    let server = std::env::var("LINGQIAN_TEST_POSTGRES").expect("LINGQIAN_TEST_POSTGRES is set");
    let admin = format!("{server}/postgres");
    let (client, connection) = tokio_postgres::connect(&admin, NoTls)
        .await
        .expect("connects");
    tokio::spawn(connection);
    let name = format!("earn_bench_{}", std::process::id());
    client
        .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0"))
        .await
        .expect("made");
    {
        let store = PostgresStore::open(&format!("{server}/{name}"))
            .await
            .expect("it opens");
        open_books(&store, load).await;
        run(&store, load, &client).await;
    }
    let drop = format!("DROP DATABASE {name} WITH (FORCE)");
    client.batch_execute(&drop).await.expect("dropped");
}

/// Processor time in ticks of ten milliseconds: of the server's processes, where they are on this
/// machine, and of ourselves. It is steadier than the wall on a machine with other work.
async fn ticks(server: &Client) -> (u64, u64) {
    let rows = server.query("SELECT pid FROM pg_stat_activity", &[]).await;
    let pids = rows
        .expect("a list")
        .into_iter()
        .map(|row| row.get::<_, i32>(0));
    let of = |pid: String| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let times = fields
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok());
        times.sum::<u64>()
    };
    (pids.map(|pid| of(pid.to_string())).sum(), of("self".into()))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures for people, not for books"
)]
async fn run(store: &PostgresStore, load: Load, server: &Client) {
    // Every connection is there before the time is taken.
    let warm =
        (0..load.lanes).map(|lane| store.earn(NOW, load.batch(lane << 40, (lane << 40) + 1)));
    futures_util::future::join_all(warm).await;
    let ticks_before = ticks(server).await;
    let (next, booked) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let mut lanes = Vec::new();
    for _ in 0..load.lanes {
        let (store, next, booked) = (store.clone(), Arc::clone(&next), Arc::clone(&booked));
        lanes.push(tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            loop {
                let first = next.fetch_add(load.batch, Ordering::Relaxed);
                if first >= load.events {
                    return longest;
                }
                let batch = load.batch(first, load.events.min(first + load.batch));
                let handed_in = Instant::now();
                let answers = store.earn(NOW, batch).await.expect("it is answered");
                longest = longest.max(handed_in.elapsed());
                let now = |answer: &&_| matches!(answer, Ok(Credited::Now(_)));
                let now = answers.iter().filter(now).count();
                booked.fetch_add(now as u64, Ordering::Relaxed);
            }
        }));
    }
    let mut seen = (Instant::now(), 0);
    while lanes.iter().any(|lane| !lane.is_finished()) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = booked.load(Ordering::Relaxed);
        if now - seen.1 >= (load.events / 10).max(1) {
            let rate = (now - seen.1) as f64 / seen.0.elapsed().as_secs_f64();
            println!("  {now:>9} events; {rate:.0}/s since the last line");
            seen = (Instant::now(), now);
        }
    }
    let mut longest = Duration::ZERO;
    for lane in lanes {
        longest = longest.max(lane.await.expect("no panic"));
    }
    let whole = begun.elapsed();
    let booked = booked.load(Ordering::Relaxed);
    let ticks_after = ticks(server).await;
    let each = |before: u64, after: u64| (after - before) as f64 * 10_000.0 / booked as f64;
    println!(
        "processor µs per event: server {:.2}, we {:.2}",
        each(ticks_before.0, ticks_after.0),
        each(ticks_before.1, ticks_after.1)
    );
    println!(
        "{booked} events in batches of {} by {} lanes for {} users: {:.0} events/s, longest wait {} ms",
        load.batch,
        load.lanes,
        load.users,
        booked as f64 / whole.as_secs_f64(),
        longest.as_millis()
    );
    let audited = store.audit().await.expect("the books are read");
    assert_eq!(audited.findings, [], "the books are wrong");
    let all = (load.events + load.lanes - 1, load.events - 1);
    assert_eq!((audited.earnings, booked), all, "events were lost");
    println!(
        "audit green: {} entries, {} events, {} accounts",
        audited.entries, audited.earnings, audited.accounts
    );
}
