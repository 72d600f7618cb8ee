//! Sets money aside over a PostgreSQL server, by commands and in sets, alone and beside batches of
//! earnings, and says how fast each went.
//!
//! `LINGQIAN_TEST_POSTGRES=postgres://… cargo run --release -p lingqian-postgres --example
//! withdraw_bench -- [withdrawals] [batch] [users]`. It makes a database of its own and drops it
//! afterwards. Every answer is durable; the last line is the auditor's word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use lingqian_core::earning::{Kind, Terms};
use lingqian_core::id::{
    AppId, KindCode, KindNo, MchId, MerchantNo, PayoutId, Reference, UserId, UserNo,
};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::payout::Asked;
use lingqian_core::risk::Policy;
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::Merchant;
use lingqian_core::user::User;
use lingqian_core::withdrawal::{Wanted, Withdrawal};
use lingqian_core::{Changes, EventBatch, EventView, Keys};
use lingqian_io::Store as _;
use lingqian_io::store::{Committed, withdraw_by_commands};
use lingqian_postgres::PostgresStore;
use tokio_postgres::{Client, NoTls};

const NOW: Timestamp = Timestamp(1_772_424_000_000);

/// Events of a batch that is booked beside.
const EVENTS: u64 = 4_000;

fn earnings(first: u64, count: u64, users: u64) -> EventBatch {
    let mut batch = EventBatch::default();
    for number in first..first + count {
        let event = EventView {
            source: "bench",
            event_id: &format!("{number:032x}"),
            user: &format!("user-{}", number.wrapping_mul(7_919) % users),
            kind: "ad_view",
            amount: Some(Micros(1_000_000)),
            occurred_at: None,
            from: None,
            reverses: None,
        };
        batch.push(&event).expect("well formed");
    }
    batch
}

async fn open_books(store: &PostgresStore, users: u64) {
    let user = |number: u64| User {
        no: UserNo(i64::try_from(number).expect("small") + 1),
        id: UserId::parse(&format!("user-{number}")).expect("an id"),
        created_at: NOW,
        frozen: false,
        name: None,
    };
    let changes = Changes {
        kinds: vec![Kind {
            no: KindNo(1),
            code: KindCode::parse("ad_view").expect("a kind"),
            price: None,
            amount_max: Micros(1_000_000),
            tax_class: "incidental".into(),
            terms: Terms::default(),
        }],
        merchants: vec![Merchant {
            no: MerchantNo(1),
            mchid: MchId::parse("1900000001").expect("an id"),
            apps: vec![AppId::parse("wx0000000000000001").expect("an id")],
            scene: "1000".into(),
            scene_report: Vec::new(),
            remark: "small change".into(),
            weight: 1,
            day_quota: None,
        }],
        users: (0..users).map(user).collect(),
        ..Changes::default()
    };
    let basis = store.prefetch(Keys::default()).await.expect("facts").basis;
    assert_eq!(store.commit(basis, changes).await, Ok(Committed::Done));
    for first in (0..users * 4).step_by(10_000) {
        let batch = earnings(first, 10_000.min(users * 4 - first), users);
        store.earn(NOW, batch).await.expect("it is answered");
    }
}

/// Requests with names of their own, of users in no order.
fn requests(first: u64, count: u64, users: u64) -> Vec<Withdrawal> {
    let request = |number: u64| Withdrawal {
        payout: PayoutId::new(NOW, u128::from(number)),
        user: UserId::parse(&format!("user-{}", number.wrapping_mul(7_919) % users))
            .expect("an id"),
        wanted: Wanted::Exactly(Fen(1)),
        reference: Reference::parse(&format!("order-{number}")).expect("an id"),
        asked: Asked::ByRequest,
        key: None,
    };
    (first..first + count).map(request).collect()
}

/// How it is done.
#[derive(Clone, Copy)]
struct Way {
    beside: bool,
    in_sets: bool,
}

/// So many withdrawals, and how many travel together.
#[derive(Clone, Copy)]
struct Load {
    all: u64,
    batch: u64,
    users: u64,
}

/// Processor time in ticks of ten milliseconds: of the server's processes, where they are on this
/// machine, and of ourselves. It is steadier than the wall on a machine with other work.
async fn ticks(server: &Client) -> u64 {
    let pids = server.query("SELECT pid FROM pg_stat_activity", &[]).await;
    let pids = pids.expect("a list").into_iter();
    let all = pids.map(|row| row.get::<_, i32>(0).to_string());
    let of = |pid: String| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let times = fields.skip(11).take(2);
        times
            .filter_map(|field| field.parse::<u64>().ok())
            .sum::<u64>()
    };
    all.chain(["self".to_owned()]).map(of).sum()
}

/// Books earnings until it is told to stop; tells how many.
async fn earn(store: PostgresStore, stop: Arc<AtomicBool>, from: u64, users: u64) -> u64 {
    let mut booked = 0;
    while !stop.load(Ordering::Relaxed) {
        let batch = earnings(from + booked, EVENTS, users);
        store.earn(NOW, batch).await.expect("it is answered");
        booked += EVENTS;
    }
    booked
}

/// Measures one way, with withdrawals and events from these numbers on; tells how many events.
#[expect(
    clippy::cast_precision_loss,
    reason = "figures for people, not for books"
)]
async fn measure(
    (store, server): (&PostgresStore, &Client),
    way: Way,
    load: Load,
    (first, events): (u64, u64),
) -> u64 {
    let stop = Arc::new(AtomicBool::new(!way.beside));
    let earning = tokio::spawn(earn(store.clone(), Arc::clone(&stop), events, load.users));
    let policy = Policy::default();
    let (begun, used) = (Instant::now(), ticks(server).await);
    for number in (first..first + load.all).step_by(load.batch.try_into().expect("small")) {
        let asked = requests(number, load.batch, load.users);
        let answers = if way.in_sets {
            store.withdraw(NOW, &policy, asked).await
        } else {
            withdraw_by_commands(store, NOW, &policy, asked).await
        };
        let answers = answers.expect("they are answered");
        assert!(answers.iter().all(Result::is_ok), "{:?}", answers.first());
    }
    let took = begun.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    let booked = earning.await.expect("no panic");
    let used = (ticks(server).await - used) as f64 * 10_000.0;
    println!(
        "{} {} at a time{}: {:.0} withdrawals/s, {:.0} earnings/s, {:.1} µs of processor time each, \
         server and we",
        if way.in_sets {
            "in sets"
        } else {
            "by commands"
        },
        load.batch,
        if way.beside { ", beside earnings" } else { "" },
        load.all as f64 / took,
        booked as f64 / took,
        used / (load.all + booked) as f64
    );
    booked
}

#[tokio::main]
async fn main() {
    let given: Vec<u64> = std::env::args()
        .skip(1)
        .map(|text| text.parse().expect("a number"))
        .collect();
    let number = |place: usize, default| given.get(place).copied().unwrap_or(default).max(1);
    let (batch, users) = (number(1, 400), number(2, 20_000));
    let all = number(0, 4_000).next_multiple_of(batch);
    let load = Load { all, batch, users };
    let server = std::env::var("LINGQIAN_TEST_POSTGRES").expect("LINGQIAN_TEST_POSTGRES is set");
    let connected = tokio_postgres::connect(&format!("{server}/postgres"), NoTls).await;
    let (client, connection) = connected.expect("connects");
    tokio::spawn(connection);
    let name = format!("withdraw_bench_{}", std::process::id());
    let made = format!("CREATE DATABASE {name} TEMPLATE template0");
    client.batch_execute(&made).await.expect("made");
    let store = PostgresStore::open(&format!("{server}/{name}")).await;
    let store = store.expect("it opens");
    open_books(&store, users).await;
    let (mut first, mut events) = (0, users * 8);
    for beside in [false, true] {
        for in_sets in [false, true] {
            let way = Way { beside, in_sets };
            events += measure((&store, &client), way, load, (first, events)).await;
            first += all;
        }
    }
    let audited = store.audit().await.expect("the books are read");
    assert_eq!(audited.findings, [], "the books are wrong");
    assert_eq!(audited.payouts, first, "withdrawals were lost");
    println!(
        "audit green: {} payouts, {} events",
        audited.payouts, audited.earnings
    );
    drop(store);
    let gone = format!("DROP DATABASE {name} WITH (FORCE)");
    client.batch_execute(&gone).await.expect("dropped");
}
