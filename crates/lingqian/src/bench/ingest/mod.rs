//! `lingqian bench ingest`: events over HTTP into a server of its own, durable results back, from
//! one lean client in this process.

mod body;
mod connection;
mod results;
mod server;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::bench::Place;
use crate::bench::figures::{Latencies, micros_each, per_second};
use crate::bench::ingest::body::{Sender, Sums};
use crate::bench::ingest::connection::Connection;
use crate::bench::ingest::server::Server;
use crate::bench::ledger::check::Verdict;
use crate::bench::ledger::open::settle;
use crate::bench::load::Load;
use crate::bench::machine::{Meter, bytes_in, resident};
use crate::bench::mix::Mix;
use crate::bench::options::{IngestOptions, Mode};
use crate::bench::sheet::Sheet;
use crate::client::Client;
use crate::home::Home;
use crate::output::show;
use crate::progress::Stage;
use crate::store::StoreUrl;

/// Users where nobody says how many.
const USERS: u64 = 100_000;

/// Events that are made up ahead at a time, in bulk and for single requests.
const SLICE: u64 = 1_000_000;
const SLICE_SINGLE: u64 = 200_000;

/// Runs the command.
///
/// # Errors
/// When the directory cannot be used, the server fails, or an answer is not what it must be.
pub(super) async fn run(
    options: &IngestOptions,
    store: Option<&StoreUrl>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut sheet = Sheet::default();
    let users = match options.users {
        Some(users) => users,
        None => u32::try_from(options.events.min(USERS))?,
    };
    let connections = options.connections.unwrap_or(match options.mode {
        Mode::Ndjson => 2,
        Mode::Single => 64,
        Mode::Array => 8,
    });
    describe(&mut sheet, options, (users, connections));
    let place = Place::make(options.dir.as_deref(), "ingest")?;
    let rate = server::prepare(&place.path, store, users).await?;
    sheet
        .section("register")
        .put("users_per_second", rate.per_second);
    let load = Load::new(options.seed, users, options.spread, options.ids);
    let server = Server::start(&place.path)?;
    let mut verdict = Verdict::default();
    let sums = send(&mut sheet, &server, options, (&load, connections)).await?;
    compare(&mut verdict, &server, &sums).await?;
    server.stop().await?;
    // What a database of its own takes, its server knows.
    if store.is_none() {
        settle(&Home::existing(&place.path)?.database())?;
        let bytes = bytes_in(&place.path) as f64;
        sheet
            .section("disk")
            .put("bytes_per_entry", bytes / sums.credited.max(1) as f64);
    }
    sheet
        .section("check")
        .put("results_compared", sums.events())
        .put("credited", sums.credited)
        .put("duplicates", sums.duplicates)
        .put("refused", sums.refused);
    if options.no_audit {
        sheet.put("audit", "left out, as was wished");
    } else {
        audit(
            &mut sheet,
            &mut verdict,
            &Server::audit(&place.path)?,
            &sums,
        );
    }
    verdict.put(&mut sheet);
    show(json, &sheet, |out| sheet.tell(out))?;
    Ok(verdict.exit_code())
}

fn describe(sheet: &mut Sheet, options: &IngestOptions, (users, connections): (u32, u32)) {
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    let name = |text: String| text.to_ascii_lowercase();
    sheet
        .section("load")
        .put("events", options.events)
        .put("users", users)
        .put("mode", name(format!("{:?}", options.mode)))
        .put("connections", connections);
    if options.mode == Mode::Array {
        sheet.put("events_per_array", options.batch);
    }
    sheet
        .put("spread", name(format!("{:?}", options.spread)))
        .put("ids", name(format!("{:?}", options.ids)))
        .put("duplicates_percent", options.duplicates.percent())
        .put("seed", options.seed)
        .put("processors", cores);
}

/// Sends everything, slice by slice; only the sending and answering is timed.
async fn send(
    sheet: &mut Sheet,
    server: &Server,
    options: &IngestOptions,
    (load, connections): (&Load, u32),
) -> anyhow::Result<Sums> {
    let target = (server.address.as_str(), server.key.as_str());
    let sender = |place| {
        let mix = Mix::new(options.seed, place, options.duplicates);
        Sender::new(load, mix, (options.mode, options.batch), target)
    };
    let mut senders: Vec<Sender<'_>> = (0..connections).map(sender).collect();
    let mut lines = Vec::new();
    for _ in 0..connections {
        lines.push(Connection::open(&server.address).await?);
    }
    let before = resident(server.process());
    let slice = match options.mode {
        Mode::Single => SLICE_SINGLE,
        Mode::Ndjson | Mode::Array => SLICE,
    };
    let stage = Stage::begin("send", "events", Some(options.events));
    let mut meter = Meter::along(server.process());
    let mut latencies = Latencies::default();
    let mut left = options.events;
    while left > 0 {
        let now = left.min(slice);
        let mut parcels = Vec::new();
        for (place, sender) in (0_u64..).zip(&mut senders) {
            let many = u64::from(connections);
            parcels.push(sender.parcel((now + many - 1 - place) / many));
        }
        let mut sending = JoinSet::new();
        meter.start();
        for (mut line, parcel) in lines.drain(..).zip(parcels) {
            let parcel = Arc::new(parcel);
            sending.spawn(async move {
                let took = line.send(&parcel).await;
                took.map(|took| (line, took))
            });
        }
        while let Some(sent) = sending.join_next().await {
            let (line, took) = sent.context("a connection panicked")??;
            latencies.append(&took);
            lines.push(line);
        }
        meter.stop();
        left -= now;
        stage.at(options.events - left);
    }
    stage.end();
    let after = resident(server.process());
    figures(sheet, options, (&meter, &latencies), (before, after));
    let mut sums = Sums::default();
    for sender in &senders {
        sums.add(&sender.sums);
    }
    Ok(sums)
}

fn figures(
    sheet: &mut Sheet,
    options: &IngestOptions,
    (meter, latencies): (&Meter, &Latencies),
    (before, after): (Option<u64>, Option<u64>),
) {
    let (reading, events) = (meter.read(), options.events);
    let (others, stolen) = meter.others_percent();
    let each = |time: Duration| micros_each(time, events);
    let mib = |bytes: Option<u64>| Value::from(bytes.map(|bytes| bytes / 1_048_576));
    sheet
        .section("send")
        .put("events_per_second", per_second(events, reading.wall))
        .put("timed_seconds", reading.wall.as_secs_f64())
        .put("server_processor_us_per_event", each(meter.along_used()))
        .put("client_processor_us_per_event", each(reading.used))
        .put("others_used_percent_of_machine", others)
        .put("host_took_percent_of_machine", stolen)
        .put("server_resident_before_mib", mib(before))
        .put("server_resident_after_mib", mib(after));
    if options.mode != Mode::Ndjson {
        sheet.section("request").put("count", latencies.len());
        sheet.put_all(latencies.shown());
    }
}

/// Every answer was compared when it came; here the books' own sums are.
async fn compare(verdict: &mut Verdict, server: &Server, sums: &Sums) -> anyhow::Result<()> {
    let url = format!("http://{}/v1/summary", server.address);
    let summary = Client::default().get_json(&url, Some(&server.key)).await?;
    verdict.equal(
        "earnings",
        &summary["earnings"],
        &Value::from(sums.credited),
    );
    for name in ["earned_micros", "users_available_micros"] {
        let expected = Value::from(sums.micros.to_string());
        verdict.equal(name, &summary[name], &expected);
    }
    Ok(())
}

fn audit(sheet: &mut Sheet, verdict: &mut Verdict, audit: &Value, sums: &Sums) {
    let sound = audit["sound"] == true;
    verdict.equal(
        "the audit's findings",
        &audit["findings"],
        &Value::Array(Vec::new()),
    );
    verdict.equal(
        "audited events",
        &audit["earnings"],
        &Value::from(sums.credited),
    );
    sheet.put(
        "audit",
        if sound {
            "all invariants hold"
        } else {
            "BROKEN"
        },
    );
}
