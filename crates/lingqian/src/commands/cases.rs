//! What needs a person, what is stopped, and what people did.

use std::process::ExitCode;

use lingqian_core::control::Deed;
use lingqian_core::payout::RESEND_WINDOW_MS;
use lingqian_core::time::DAY_MS;
use lingqian_engine::cases::{Case, cases};
use lingqian_http::wire::control;
use lingqian_io::{Browse as _, Ports as _};
use serde_json::{Value, json};

use crate::NEEDS_A_PERSON;
use crate::cli::Deeds;
use crate::home::Home;
use crate::output::{beijing, rfc3339, show};
use crate::store::Purpose;
use crate::wire::Wire;

/// Runs `lingqian stops`.
///
/// # Errors
/// When the books cannot be read.
pub(crate) async fn stops(home: &Home, json: bool) -> anyhow::Result<ExitCode> {
    let wire = Wire::open_for(home, Purpose::Look).await?;
    let stops = wire.store().stops().await?;
    let values: Vec<Value> = stops.iter().map(control::stop).collect();
    show(json, &values, |out| {
        for stop in &stops {
            writeln!(
                out,
                "{}  {:<6}  since {}  by {}: {}",
                stop.scope,
                stop.cause.name(),
                beijing(stop.since),
                stop.act.actor,
                stop.act.reason
            )?;
        }
        if stops.is_empty() {
            writeln!(out, "nothing is stopped")?;
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `lingqian deeds`.
///
/// # Errors
/// When the books cannot be read.
pub(crate) async fn deeds(home: &Home, options: &Deeds, json: bool) -> anyhow::Result<ExitCode> {
    let wire = Wire::open_for(home, Purpose::Look).await?;
    let subject = options.subject.clone();
    let deeds = wire.store().deeds(subject, options.limit).await?;
    let values: Vec<Value> = deeds.iter().map(control::deed).collect();
    show(json, &values, |out| {
        for deed in &deeds {
            writeln!(out, "{}", deed_line(deed))?;
        }
        if deeds.is_empty() {
            writeln!(out, "nothing was done by hand")?;
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A deed in one line.
pub(crate) fn deed_line(deed: &Deed) -> String {
    format!(
        "{}  {}  {} {}: {} -> {} ({})",
        beijing(deed.at),
        deed.actor,
        deed.what,
        deed.subject,
        deed.before,
        deed.after,
        deed.reason
    )
}

/// Runs `lingqian cases`.
///
/// # Errors
/// When the books cannot be read.
pub(crate) async fn run(home: &Home, json: bool) -> anyhow::Result<ExitCode> {
    let wire = Wire::open_for(home, Purpose::Look).await?;
    // How long something has been in doubt is a question to the business clock.
    wire.follow_sandbox_clock().await;
    let found = cases(&wire).await?;
    let values: Vec<Value> = found.iter().map(case_value).collect();
    show(json, &values, |out| {
        for case in &found {
            writeln!(
                out,
                "{:<13} {}  since {}  {}",
                case.kind.name(),
                case.subject,
                beijing(case.since),
                case.words
            )?;
            for way in case.ways() {
                writeln!(out, "              {way}")?;
            }
        }
        if found.is_empty() {
            let days = RESEND_WINDOW_MS / DAY_MS;
            writeln!(
                out,
                "nothing needs a person: no review, no break, no stop of the engine's own, and no \
                 payout in doubt for more than {days} days"
            )?;
        }
        Ok(())
    })?;
    Ok(if found.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NEEDS_A_PERSON)
    })
}

fn case_value(case: &Case) -> Value {
    json!({
        "kind": case.kind.name(),
        "subject": case.subject,
        "since": rfc3339(case.since),
        "amount_fen": case.amount.map(|amount| amount.0),
        "words": case.words,
        "ways": case.ways(),
    })
}
