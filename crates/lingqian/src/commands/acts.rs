//! What people do by hand: to a payout, and to everything that leaves.

use std::process::ExitCode;

use anyhow::Context as _;
use lingqian_core::command::Manual;
use lingqian_core::control::{Scope, StopCause};
use lingqian_core::id::{OutBillNo, PayoutId};
use lingqian_io::{Browse as _, Ports as _};
use serde_json::Value;

use crate::cli::{PayoutAct, Resume, Stop};
use crate::door::Door;
use crate::home::Home;
use crate::output::show;
use crate::store::Purpose;
use crate::wire::Wire;

/// A payout by its name or by one of its business numbers.
///
/// # Errors
/// When it is neither.
pub(crate) fn payout_id(text: &str) -> anyhow::Result<PayoutId> {
    PayoutId::parse(text)
        .or_else(|_| OutBillNo::parse(text).map(OutBillNo::payout))
        .with_context(|| format!("{text} is neither a payout (po_…) nor our number (LQ…)"))
}

/// Runs `lingqian payout`.
///
/// # Errors
/// When the rules refuse, or nobody answers.
pub(crate) async fn payout(
    home: &Home,
    command: &PayoutAct,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let (what, on) = match command {
        PayoutAct::Approve(on) => (Manual::Approve, on),
        PayoutAct::Refuse(on) => (Manual::Refuse, on),
        PayoutAct::Cancel(on) => (Manual::Cancel, on),
        PayoutAct::Resend(on) => (Manual::Resend, on),
        PayoutAct::MarkPaid(on) => (Manual::MarkPaid, on),
        PayoutAct::MarkUnpaid(on) => (Manual::MarkUnpaid, on),
    };
    let payout = payout_id(&on.payout)?;
    let door = Door::open(home).await?;
    let told = door.act(payout, what, &on.why).await?;
    let state = told.get("state").and_then(Value::as_str).unwrap_or("");
    show(json, &told, |out| {
        writeln!(out, "{payout}: {} noted, it is {state} now", what.name())?;
        match (what, state) {
            (Manual::Approve, "review") => {
                writeln!(out, "a second person must approve it, too")
            }
            _ => Ok(()),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

fn scope(text: &str) -> anyhow::Result<Scope> {
    Scope::parse(text).with_context(|| {
        format!("{text} is not a scope: `all`, `merchant:MCHID` or `scene:NUMBER`; it")
    })
}

/// Runs `lingqian stop`.
///
/// # Errors
/// When the rules refuse, or nobody answers.
pub(crate) async fn stop(home: &Home, options: &Stop, json: bool) -> anyhow::Result<ExitCode> {
    let scope = scope(&options.scope)?;
    let door = Door::open(home).await?;
    let cause = StopCause::Person;
    let told = door.stop(&scope, cause, true, &options.why).await?;
    show(json, &told, |out| {
        writeln!(
            out,
            "{scope} is stopped: nothing of it is sent until `lingqian resume {scope}`; what was \
             sent is still asked about"
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `lingqian resume`.
///
/// # Errors
/// When the rules refuse, or nobody answers.
pub(crate) async fn resume(home: &Home, options: &Resume, json: bool) -> anyhow::Result<ExitCode> {
    let scope = scope(&options.scope)?;
    let cause = StopCause::from_name(&options.cause)
        .with_context(|| format!("--cause {} is not person, float or audit", options.cause))?;
    let before = causes(home, &scope).await?;
    let door = Door::open(home).await?;
    let told = door.stop(&scope, cause, false, &options.why).await?;
    show(json, &told, |out| {
        if before.contains(&cause) {
            writeln!(out, "{scope} is not stopped any more by {}", cause.name())?;
        } else {
            writeln!(out, "{scope} was not stopped by {}", cause.name())?;
        }
        let others = before.iter().filter(|other| **other != cause);
        others.into_iter().try_for_each(|other| {
            let name = other.name();
            writeln!(
                out,
                "it is still stopped by {name}; `--cause {name}` lifts that"
            )
        })
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Why a scope is stopped.
async fn causes(home: &Home, scope: &Scope) -> anyhow::Result<Vec<StopCause>> {
    let wire = Wire::open_for(home, Purpose::Look).await?;
    let stops = wire.store().stops().await?;
    let own = stops.into_iter().filter(|stop| stop.scope == *scope);
    Ok(own.map(|stop| stop.cause).collect())
}
