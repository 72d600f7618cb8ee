//! `lingqian reconcile`: one day's bill against the books.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context as _;
use lingqian_core::id::MchId;
use lingqian_core::time::BusinessDate;
use lingqian_engine::Limits;
use lingqian_engine::reconcile::{Reconciled, reconcile};
use lingqian_io::{Clock as _, Ports as _};
use serde_json::{Value, json};

use crate::NEEDS_A_PERSON;
use crate::cli::Reconcile;
use crate::home::Home;
use crate::output::show;
use crate::platform::open;

/// Runs the command.
///
/// # Errors
/// When the date is none, the bill cannot be had, or the store fails.
pub(crate) async fn run(home: &Home, options: &Reconcile, json: bool) -> anyhow::Result<ExitCode> {
    let date = BusinessDate::parse(&options.date)
        .with_context(|| format!("--date {} is not a day as yyyy-mm-dd", options.date))?;
    let (wire, desk) = open(home).await?;
    let today = wire.clock().business().business_date();
    anyhow::ensure!(
        date < today,
        "{date} is not over: today is {today} in Beijing, and bills of a day \
         come the next day after 10:00"
    );
    let all = wire.merchants().iter().map(|merchant| &merchant.mchid);
    let wanted = |mchid: &&MchId| {
        let only = options.merchant.as_deref();
        only.is_none_or(|only| only == mchid.as_str())
    };
    let mchids: Vec<&MchId> = all.filter(wanted).collect();
    anyhow::ensure!(
        !mchids.is_empty(),
        "--merchant {} is not a merchant of the configuration",
        options.merchant.as_deref().unwrap_or_default()
    );
    let mut bills = Vec::new();
    for mchid in mchids {
        let found = reconcile(&wire, &desk, &Limits::default(), mchid, date).await?;
        anyhow::ensure!(
            found.ready,
            "WeChat has not made the bill of {date} for merchant {mchid} yet; bills of a day come \
             the next day after 10:00 Beijing time"
        );
        bills.push((mchid, found));
    }
    let open: u64 = bills.iter().map(|(_, found)| found.open).sum();
    show(json, &told(date, &bills), |out| {
        bills
            .iter()
            .try_for_each(|(mchid, found)| line(out, date, mchid, found))
    })?;
    Ok(if open == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NEEDS_A_PERSON)
    })
}

/// All bills of the day as JSON: together, and each merchant's.
fn told(date: BusinessDate, bills: &[(&MchId, Reconciled)]) -> Value {
    let mut all = Reconciled::default();
    for (_, found) in bills {
        all.add(found);
    }
    let each = bills.iter().map(|(mchid, found)| {
        let mut each = value(date, found);
        each["mchid"] = json!(mchid.as_str());
        each
    });
    let mut told = value(date, &all);
    told["merchants"] = each.collect();
    told
}

fn line(
    out: &mut dyn Write,
    date: BusinessDate,
    mchid: &MchId,
    found: &Reconciled,
) -> std::io::Result<()> {
    writeln!(
        out,
        "{date} {mchid}: {} lines ({} new payouts for {}, {} returned, {} top-ups, {} unexplained, {} \
             known before), {} paid payouts looked for, {} open breaks",
        found.lines,
        found.paid.0,
        found.paid.1,
        found.returned,
        found.top_ups,
        found.unexplained,
        found.known,
        found.checked,
        found.open
    )
}

/// What was found, as JSON.
pub(crate) fn value(date: BusinessDate, found: &Reconciled) -> Value {
    json!({
        "date": date.to_string(),
        "lines": found.lines,
        "known_before": found.known,
        "paid": found.paid.0,
        "paid_fen": found.paid.1.0,
        "returned": found.returned,
        "top_ups": found.top_ups,
        "unexplained": found.unexplained,
        "checked": found.checked,
        "open_breaks": found.open,
    })
}
