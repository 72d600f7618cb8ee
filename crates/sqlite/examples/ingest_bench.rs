//! Credits earning events through prefetch, the rules and commit, and says how fast that went.
//!
//! `cargo run --release -p lingqian-sqlite --example ingest_bench -- [events] [batch] [users]
//! [random|rising]`. Every batch is durable before the next begins. The last lines say what was
//! lost: nothing, by the auditor's word.

use std::time::{Duration, Instant};

use lingqian_core::command::Command;
use lingqian_core::earning::{EarningEvent, Kind, Terms};
use lingqian_core::id::{EventId, KindCode, KindNo, Source, UserId};
use lingqian_core::money::Micros;
use lingqian_core::risk::Policy;
use lingqian_core::time::Timestamp;
use lingqian_core::{Changes, Keys, Moment, execute};
use lingqian_io::Store;
use lingqian_io::store::Committed;
use lingqian_sqlite::SqliteStore;

/// How long each part took, all batches together.
#[derive(Default)]
struct Times {
    prefetch: Duration,
    rules: Duration,
    commit: Duration,
}

/// What is asked of the store.
struct Load {
    events: u64,
    batch: u64,
    users: u64,
    random: bool,
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
            batch: number(1, 2_000).max(1),
            users: number(2, 1_000).max(1),
            random: given.get(3).is_none_or(|order| order != "rising"),
        }
    }

    /// The same events in every run: users and, where wished, ids without any order.
    fn event(&self, number: u64) -> Command {
        let (high, low) = (mix(number), mix(number ^ 0x5bd1_e995_97f4_a7c5));
        let name = if self.random {
            format!("{high:016x}{low:016x}")
        } else {
            format!("{number:016x}{low:016x}")
        };
        Command::Earn(EarningEvent {
            source: Source::parse("bench").expect("a source"),
            event_id: EventId::parse(&name).expect("an event id"),
            user: user(low % self.users),
            kind: KindCode::parse("ad_view").expect("a kind"),
            amount: Some(Micros(1_000 + i64::try_from(high % 9_000).expect("small"))),
            occurred_at: None,
            from: None,
            reverses: None,
        })
    }
}

/// A bijection that looks random (splitmix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn user(number: u64) -> UserId {
    UserId::parse(&format!("user-{number}")).expect("a user id")
}

/// Decides a batch and makes it durable.
async fn run(store: &SqliteStore, commands: &[Command], now: Timestamp, times: &mut Times) {
    let policy = Policy::default();
    let moment = Moment {
        now,
        policy: &policy,
    };
    let begun = Instant::now();
    let keys = Keys::of(commands.iter(), now);
    let mut facts = store.prefetch(keys).await.expect("a prefetch");
    let read = Instant::now();
    let (basis, mut changes) = (facts.basis, Changes::default());
    for command in commands {
        let (decided, _) = execute(&moment, command, &facts).expect("an accepted command");
        facts.apply(&decided);
        changes.append(decided);
    }
    let decided = Instant::now();
    let committed = store.commit(basis, changes).await;
    assert_eq!(committed, Ok(Committed::Done));
    times.prefetch += read - begun;
    times.rules += decided - read;
    times.commit += decided.elapsed();
}

async fn open_books(store: &SqliteStore, load: &Load, now: Timestamp) {
    let kind = Command::DefineKind(Kind {
        no: KindNo(1),
        code: KindCode::parse("ad_view").expect("a kind"),
        price: None,
        amount_max: Micros(1_000_000),
        tax_class: "incidental".into(),
        terms: Terms::default(),
    });
    let register = |number| Command::RegisterUser {
        user: user(number),
        name: None,
    };
    let commands: Vec<Command> = std::iter::once(kind)
        .chain((0..load.users).map(register))
        .collect();
    for batch in commands.chunks(10_000) {
        run(store, batch, now, &mut Times::default()).await;
    }
}

#[tokio::main]
async fn main() {
    let load = Load::from_arguments();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bench.sqlite");
    let store = SqliteStore::open(&path).expect("the store opens");
    let now = Timestamp(1_772_424_000_000);
    open_books(&store, &load, now).await;

    let (mut times, mut begun, mut fsyncs) = (Times::default(), Duration::ZERO, 0_u64);
    let mut next = 0;
    while next < load.events {
        let end = load.events.min(next + load.batch);
        let commands: Vec<Command> = (next..end).map(|number| load.event(number)).collect();
        let started = Instant::now();
        run(&store, &commands, now, &mut times).await;
        begun += started.elapsed();
        fsyncs += 1;
        next = end;
        if next % (load.events / 5).max(load.batch) < load.batch {
            println!("  {next:>9} events after {:.2} s", begun.as_secs_f64());
        }
    }
    report(&store, &load, &times, begun, fsyncs).await;
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures for people, not for books"
)]
async fn report(store: &SqliteStore, load: &Load, times: &Times, whole: Duration, fsyncs: u64) {
    let each = |part: Duration| part.as_secs_f64() * 1e6 / load.events as f64;
    println!(
        "{} events in batches of {} for {} users, ids {}",
        load.events,
        load.batch,
        load.users,
        if load.random { "random" } else { "rising" }
    );
    println!(
        "{:.0} events/s, {fsyncs} commits, each with its fsync",
        load.events as f64 / whole.as_secs_f64()
    );
    println!(
        "per event: prefetch {:.2} µs, rules {:.2} µs, commit {:.2} µs",
        each(times.prefetch),
        each(times.rules),
        each(times.commit)
    );
    let audited = store.audit().await.expect("the books are read");
    assert_eq!(audited.findings, [], "the books are wrong");
    assert_eq!(audited.earnings, load.events, "events were lost");
    println!(
        "audit green: {} entries, {} events, {} accounts",
        audited.entries, audited.earnings, audited.accounts
    );
}
