//! `lingqian bench brokers`: events from a broker into a file of books, and what the broker can
//! carry by itself beside it.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use lingqian_brokers::figures::Figures;
use lingqian_brokers::intake::Intake;
use lingqian_brokers::load;
use lingqian_brokers::mapping::{BYTES_MAX, Reader};
use lingqian_core::command::Command;
use lingqian_core::id::UserId;
use lingqian_engine::Desk;
use lingqian_http::each_event;
use lingqian_io::{Browse as _, Ports as _, Store as _};
use serde_json::json;
use tokio::sync::watch;

use crate::bench::Place;
use crate::bench::options::BrokerOptions;
use crate::bench::slow::Slow;
use crate::home::Home;
use crate::output::show;
use crate::platform::open;
use crate::progress::grouped;
use crate::wire::Wire;

/// How long nothing may be credited before it is a failure.
const SILENCE: Duration = Duration::from_secs(60);
/// Each event is worth so much, in micro-yuan.
const MICROS: u64 = 2_500;

fn message(number: u64, users: u64) -> String {
    // Ids of events come in no order, as other people's do.
    let id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let user = number.wrapping_mul(0x2545_f491_4f6c_dd1d) % users;
    format!(
        "{{\"source\":\"bench\",\"event_id\":\"{id:016x}\",\"user\":\"user-{user}\",\
         \"kind\":\"ad_view\",\"amount_micros\":{MICROS}}}"
    )
}

/// What came of a run.
struct Ran {
    broker: &'static str,
    published: Duration,
    drained: Duration,
    booked: Duration,
    /// The memory when reading began, in MiB.
    before: Option<u64>,
    figures: lingqian_brokers::figures::Seen,
}

/// Runs the command.
///
/// # Errors
/// When the broker fails, or an event is lost or doubled.
pub(crate) async fn run(options: &BrokerOptions, json: bool) -> anyhow::Result<ExitCode> {
    let place = Place::make(None, "brokers")?;
    let home = Home::open(&place.path)?;
    let (wire, desk) = open(&home).await?;
    register(&desk, options.users).await?;
    let slow = Slow {
        store: wire.store().clone(),
        times: options.slow,
    };
    let intake = Intake {
        ports: wire.clone(),
        desk: wire.open_desk_over(slow),
        reader: Reader::new(each_event, None, Vec::new(), BYTES_MAX),
        figures: Arc::new(Figures::default()),
        door: "bench".into(),
    };
    let ran = measure(options, &intake).await?;
    // The audit has its own.
    let peak = peak_mib();
    let summary = wire.store().summary().await?;
    let audited = wire.store().audit().await?;
    let lost = options.events.abs_diff(summary.earned.0);
    let value = json!({
        "broker": ran.broker,
        "events": options.events,
        "published_per_second": rate(options.events, ran.published),
        "broker_alone_per_second": (!ran.drained.is_zero()).then(|| rate(options.events, ran.drained)),
        "booked_per_second": rate(options.events, ran.booked),
        "credited": summary.earned.0,
        "redelivered": ran.figures.duplicates,
        "letters": ran.figures.letters,
        "connections": ran.figures.connects,
        "pauses": ran.figures.pauses,
        "lost_or_doubled": lost,
        "findings": audited.findings.len(),
        "memory_before_mib": ran.before,
        "memory_peak_mib": peak,
    });
    show(json, &value, |out| {
        for (name, value) in value.as_object().into_iter().flatten() {
            let shown = value.as_u64().map_or_else(|| value.to_string(), grouped);
            writeln!(out, "{:<26}{shown:>14}", name.replace('_', " "))?;
        }
        Ok(())
    })?;
    let whole = lost == 0 && audited.findings.is_empty();
    ensure!(whole, "events were lost or doubled");
    Ok(ExitCode::SUCCESS)
}

fn rate(events: u64, took: Duration) -> u64 {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
    events.saturating_mul(1_000_000) / micros
}

/// Has the system forget how much memory this process once had, and tells what it has, in MiB.
fn forget_peak() -> Option<u64> {
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    peak_mib()
}

/// The most memory that this process had since, in MiB, where the system tells.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1_024)
}

async fn register(desk: &Desk, users: u64) -> anyhow::Result<()> {
    let all: Vec<u64> = (0..users).collect();
    for some in all.chunks(4_096) {
        let register = |no: &u64| {
            let user = UserId::parse(&format!("user-{no}"))?;
            Ok(Command::RegisterUser { user, name: None })
        };
        let commands: Result<Vec<Command>, lingqian_core::id::IdFault> =
            some.iter().map(register).collect();
        let commands = commands.map_err(|fault| anyhow::anyhow!("a user {fault}"))?;
        for answer in desk.submit_all(commands).await? {
            answer.context("a user is refused")?;
        }
    }
    Ok(())
}

async fn measure(options: &BrokerOptions, intake: &Intake<Wire>) -> anyhow::Result<Ran> {
    #[cfg(feature = "kafka")]
    if let Some(servers) = &options.kafka {
        return kafka(options, servers, intake).await;
    }
    #[cfg(feature = "rabbitmq")]
    if !options.rabbitmq.is_empty() {
        return rabbitmq(options, intake).await;
    }
    anyhow::bail!("no broker is named")
}

#[cfg(feature = "rabbitmq")]
async fn rabbitmq(options: &BrokerOptions, intake: &Intake<Wire>) -> anyhow::Result<Ran> {
    use lingqian_brokers::rabbitmq::{QueueType, RabbitIn, Tls, Topology, read};

    let (users, urls) = (options.users, &options.rabbitmq);
    let make = move |number| message(number, users);
    let kind = options.queue_type.as_str();
    let queue = format!("lingqian-bench-{}", std::process::id());
    let alone = format!("{queue}-alone");
    let drained = if options.kill.is_some() {
        Duration::ZERO
    } else {
        load::rabbit::publish(urls, (&alone, kind), 0..options.events, &make).await?;
        load::rabbit::drain(urls, (&alone, 16_384), options.events).await?
    };
    let from = RabbitIn {
        name: "bench".into(),
        urls: urls.clone(),
        tls: Tls::default(),
        queue: queue.clone(),
        exchange: None,
        routing_key: String::new(),
        topology: Topology::Declare,
        queue_type: match kind {
            "classic" => QueueType::Classic,
            _ => QueueType::Quorum,
        },
        prefetch: 16_384,
        dead_letters: None,
    };
    let (stop, stopped) = watch::channel(false);
    let began = Instant::now();
    // Under a kill, messages come while they are read; otherwise all of them wait.
    let publishing = load::rabbit::publish(urls, (&queue, kind), 0..options.events, &make);
    let mut before = forget_peak();
    let (published, reading, since) = if let Some(process) = options.kill {
        let reading = tokio::spawn(read(intake.clone(), from, stopped));
        let (published, killed) = tokio::join!(publishing, kill(process, options, intake));
        published?;
        killed?;
        (began.elapsed(), reading, began)
    } else {
        publishing.await?;
        let published = began.elapsed();
        before = forget_peak();
        let since = Instant::now();
        (
            published,
            tokio::spawn(read(intake.clone(), from, stopped)),
            since,
        )
    };
    until_all(intake, options.events).await?;
    let booked = since.elapsed();
    stop.send_replace(true);
    reading.await?;
    if options.kill.is_none() {
        load::rabbit::drain(urls, (&queue, 1), 0).await?;
    }
    Ok(Ran {
        broker: "rabbitmq",
        published,
        drained,
        booked,
        before,
        figures: intake.figures.seen(),
    })
}

/// Kills a node when a third of the events is in the books.
#[cfg(feature = "rabbitmq")]
async fn kill(process: u32, options: &BrokerOptions, intake: &Intake<Wire>) -> anyhow::Result<()> {
    while intake.figures.seen().credited < options.events / 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let kill = std::process::Command::new("kill")
        .args(["-KILL", &process.to_string()])
        .status()?;
    ensure!(kill.success(), "process {process} cannot be killed");
    Ok(())
}

#[cfg(feature = "kafka")]
async fn kafka(
    options: &BrokerOptions,
    servers: &str,
    intake: &Intake<Wire>,
) -> anyhow::Result<Ran> {
    use lingqian_brokers::kafka::{KafkaIn, read};

    let (users, events) = (options.users, options.events);
    let topic = format!("lingqian-bench-{}", std::process::id());
    let (to, name) = (servers.to_owned(), topic.clone());
    let (published, drained) = tokio::task::spawn_blocking(move || {
        let make = move |number| message(number, users);
        let began = Instant::now();
        load::stream::publish(&to, &name, 0..events, &make)?;
        let published = began.elapsed();
        anyhow::Ok((published, load::stream::drain(&to, &name, events)?))
    })
    .await??;
    let from = KafkaIn {
        name: "bench".into(),
        brokers: servers.to_owned(),
        topics: vec![topic.clone()],
        group: topic,
        settings: std::collections::BTreeMap::new(),
    };
    let (stop, stopped) = watch::channel(false);
    let before = forget_peak();
    let reading = tokio::spawn(read(intake.clone(), from, stopped));
    while intake.figures.seen().messages == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // From the first round on: joining a group takes its time, whoever joins.
    let (begun, since) = (intake.figures.seen().messages, Instant::now());
    until_all(intake, events).await?;
    let whole = since.elapsed().as_secs_f64() * events as f64 / (events - begun).max(1) as f64;
    stop.send_replace(true);
    reading.await?;
    Ok(Ran {
        broker: "kafka",
        published,
        drained,
        booked: Duration::from_secs_f64(whole),
        before,
        figures: intake.figures.seen(),
    })
}

async fn until_all(intake: &Intake<Wire>, events: u64) -> anyhow::Result<()> {
    let (mut before, mut since) = (0, Instant::now());
    loop {
        let credited = intake.figures.seen().credited;
        if credited >= events {
            return Ok(());
        }
        if credited > before {
            (before, since) = (credited, Instant::now());
        }
        ensure!(
            since.elapsed() < SILENCE,
            "only {} of {} events came",
            grouped(credited),
            grouped(events)
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
