//! `lingqian reconcile`: one day's bill against the books.

use std::process::ExitCode;

use anyhow::Context as _;
use lingqian_core::time::BusinessDate;
use lingqian_engine::Limits;
use lingqian_engine::reconcile::{Reconciled, reconcile};
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
    let found = reconcile(&wire, &desk, &Limits::default(), wire.mchid(), date).await?;
    anyhow::ensure!(
        found.ready,
        "WeChat has not made the bill of {date} yet; bills of a day come the next day after 10:00 \
         Beijing time"
    );
    show(json, &value(date, &found), |out| {
        writeln!(
            out,
            "{date}: {} lines ({} new payouts for {}, {} returned, {} top-ups, {} unexplained, {} \
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
    })?;
    Ok(if found.open == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NEEDS_A_PERSON)
    })
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
