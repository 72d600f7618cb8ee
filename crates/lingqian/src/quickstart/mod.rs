//! `lingqian quickstart`: the whole flow, from nothing to a reconciled bill, in one process.
//!
//! Nothing in it is a short cut: users are linked by redirects over HTTP, payouts are signed
//! calls to the sandbox, ends come back as signed notifications, the bill is downloaded and
//! parsed. Run again in the same directory it goes on where the last run ended.

mod link;
mod report;
mod stages;
mod workload;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use lingqian_io::{Browse as _, Clock as _, Ports as _};
use lingqian_sandbox::{Robot, Sandbox, Settings};

use crate::NEEDS_A_PERSON;
use crate::cli::Quickstart;
use crate::commands::serve::Ending;
use crate::home::{Home, announce_sandbox, write_whole};
use crate::output::show;
use crate::platform::Platform;
use crate::quickstart::report::Report;
use crate::quickstart::stages::Events;
use crate::quickstart::workload::user_name;

/// What users of the sandbox do: 970 of a thousand confirm, 10 cannot receive, 20 never answer.
const ROBOT: Robot = Robot {
    confirm_per_mille: 970,
    refuse_per_mille: 10,
    delay_ms: 20,
    seed: 1,
};

/// Days that pass until every payout was seen on a bill, at most.
const DAYS_MAX: u32 = 3;

/// Runs the command.
///
/// # Errors
/// When an input, an address or the data directory cannot be used, or the world fails.
pub(crate) async fn run(home: &Home, options: &Quickstart, json: bool) -> anyhow::Result<ExitCode> {
    let sandbox = Sandbox::start(Settings {
        listen: options.sandbox_listen,
        data: home.sandbox(),
        robot: ROBOT,
        ..Settings::default()
    })
    .await
    .context("the sandbox does not start")?;
    announce_sandbox(&home.sandbox(), &sandbox.url())?;
    let config = home.config()?;
    anyhow::ensure!(
        config.wechat.mode == crate::config::Mode::Sandbox,
        "the configuration says wechat.mode = \"live\"; a quickstart never touches real money"
    );
    sandbox
        .credentials()
        .write_files(&home.credentials(&config))?;
    let platform = Platform::start(home, config, options.listen).await?;
    eprintln!("sandbox  {}", sandbox.url());
    eprintln!("platform {}", platform.url);

    let report = flow(&platform, &sandbox, options, &platform.owner_key).await?;
    let text = serde_json::to_vec_pretty(&report)?;
    if let Some(path) = &options.report {
        write_whole(path, &text)?;
    }
    show(json, &report, |out| report.tell(out))?;
    let verdict = if report.sound() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NEEDS_A_PERSON)
    };
    if options.exit {
        sandbox.stop().await;
        return Ok(verdict);
    }
    serve_on(&platform, &sandbox, &home.api_key()).await?;
    sandbox.stop().await;
    Ok(verdict)
}

async fn serve_on(platform: &Platform, sandbox: &Sandbox, key: &Path) -> anyhow::Result<()> {
    let mut end = Ending::new()?;
    eprintln!("\nserving on; interrupt to end");
    eprintln!(
        "  API       {}/v1/summary (key in {})",
        platform.url,
        key.display()
    );
    eprintln!("  document  {}/openapi.json", platform.url);
    eprintln!("  numbers   {}/metrics", platform.url);
    eprintln!("  sandbox   {}/_sandbox/books", sandbox.url());
    end.told().await;
    Ok(())
}

/// The flow itself, stage by stage.
async fn flow(
    platform: &Platform,
    sandbox: &Sandbox,
    options: &Quickstart,
    key: &str,
) -> anyhow::Result<Report> {
    let Platform {
        wire, desk, url, ..
    } = platform;
    let began_on = wire.clock().business().business_date();
    let mut report = Report::default();
    let (events, users) = match &options.events {
        Some(path) => stages::spool(path).await?,
        None => {
            let fresh = wire.store().summary().await?.earned.0 == 0;
            let now_ms = wire.clock().business().0;
            let seed = options
                .seed
                .unwrap_or(if fresh { 1 } else { now_ms.unsigned_abs() });
            let (users, count) = (options.users, options.events_count);
            (
                Events::Made { seed, users, count },
                (0..users).map(user_name).collect(),
            )
        }
    };
    report.register = stages::register(desk, &users).await?;
    report.link = link::link_all(wire, (url, key), users).await?;
    (report.events, report.credit) = stages::credit(wire, desk, &events).await?;
    report.sweep = stages::sweep_all(wire, desk).await?;
    report.payout = stages::pay(wire).await?;
    // What an earlier run left behind may be paid on the second day; its bill comes on the third.
    for _ in 0..DAYS_MAX {
        stages::next_day(wire, sandbox).await;
        report.expire.add(stages::wait_for_ends(wire).await?);
        let (days, rate) = stages::reconcile_all(wire, desk, began_on).await?;
        report.days.extend(days);
        report.reconcile.add(rate);
        if stages::is_clear(wire).await? {
            break;
        }
    }
    report.finish(wire, &sandbox.url()).await?;
    Ok(report)
}
