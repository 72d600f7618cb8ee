//! `lingqian alerts`: what stands and who was told, and a trial.

use std::process::ExitCode;

use anyhow::Context as _;
use lingqian_io::alerts::{Alert, AlertBoard, Alerts as _, Herald as _, TargetHealth, Telling};
use lingqian_io::courier::Receipt;
use lingqian_io::{Clock as _, Dice as _, Ports as _};
use serde_json::{Value, json};

use crate::cli::Alerts;
use crate::home::Home;
use crate::output::{beijing, rfc3339, show};
use crate::store::Purpose;
use crate::wire::Wire;

/// Runs the command.
///
/// # Errors
/// When the books or the configuration cannot be read.
pub(crate) async fn run(home: &Home, command: &Alerts, json: bool) -> anyhow::Result<ExitCode> {
    let wire = Wire::open_for(home, Purpose::Look).await?;
    match command {
        Alerts::List => list(&wire, json).await,
        Alerts::Test { target } => test(home, &wire, target.as_deref(), json).await,
    }
}

async fn list(wire: &Wire, json: bool) -> anyhow::Result<ExitCode> {
    let board = wire.store().alerts().await?;
    let alerts: Vec<Value> = board.alerts.iter().map(|one| value(&board, one)).collect();
    let targets: Vec<Value> = board.targets.iter().map(health).collect();
    show(
        json,
        &json!({ "alerts": alerts, "targets": targets }),
        |out| {
            for alert in &board.alerts {
                let over = match alert.ended_at {
                    Some(at) => format!("over since {}", beijing(at)),
                    None => format!("since {}", beijing(alert.since)),
                };
                let (kind, subject) = (&alert.key.kind, &alert.key.subject);
                writeln!(out, "{kind:<15} {subject}  {over}  {}", alert.words)?;
                for tell in board.tells.iter().filter(|tell| tell.key == alert.key) {
                    let (target, times) = (&tell.target, tell.times);
                    let at = beijing(tell.told_at);
                    writeln!(
                        out,
                        "                told {target} {times} times, last {at}"
                    )?;
                }
            }
            if board.alerts.is_empty() {
                writeln!(out, "nothing stands")?;
            }
            for one in board.targets.iter().filter(|one| one.failures > 0) {
                let code = one.failed_with.as_deref().unwrap_or("unknown");
                let (target, failures) = (&one.target, one.failures);
                writeln!(
                    out,
                    "{target} did not take {failures} messages in a row: {code}"
                )?;
            }
            Ok(())
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

fn value(board: &AlertBoard, alert: &Alert) -> Value {
    let told = board.tells.iter().filter(|tell| tell.key == alert.key);
    let told = told.map(|tell| {
        let at = rfc3339(tell.told_at);
        json!({ "target": tell.target, "told_at": at, "times": tell.times })
    });
    json!({
        "kind": alert.key.kind,
        "subject": alert.key.subject,
        "since": rfc3339(alert.since),
        "noticed_at": rfc3339(alert.noticed_at),
        "ended_at": alert.ended_at.map(rfc3339),
        "words": alert.words,
        "told": told.collect::<Vec<Value>>(),
    })
}

fn health(one: &TargetHealth) -> Value {
    json!({
        "target": one.target,
        "failures": one.failures,
        "told_at": one.told_at.map(rfc3339),
        "failed_at": one.failed_at.map(rfc3339),
        "failed_with": one.failed_with,
    })
}

async fn test(
    home: &Home,
    wire: &Wire,
    only: Option<&str>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let herald = wire.config().alerts.herald(home)?;
    let targets = herald.targets().into_iter().map(|target| target.name);
    let targets: Vec<String> = targets
        .filter(|name| only.is_none_or(|only| only == name))
        .collect();
    (!targets.is_empty()).then_some(()).with_context(|| {
        let named = only.map_or(String::new(), |only| format!(" of the name {only:?}"));
        format!("lingqian.toml has no [[alerts.targets]]{named}")
    })?;
    let mut results = Vec::new();
    for target in targets {
        let telling = Telling {
            target: target.clone(),
            id: format!("al_trial_{:032x}", wire.dice().roll()),
            at: wire.clock().wire(),
            items: Vec::new(),
        };
        let code = match herald.tell(telling).await {
            Receipt::Taken => None,
            Receipt::NotTaken { code, .. } => Some(code),
        };
        results.push((target, code));
    }
    let values: Vec<Value> = results
        .iter()
        .map(|(target, code)| json!({ "target": target, "taken": code.is_none(), "code": code }))
        .collect();
    show(json, &values, |out| {
        results.iter().try_for_each(|(target, code)| match code {
            None => writeln!(out, "{target}: taken"),
            Some(code) => writeln!(out, "{target}: not taken ({code})"),
        })
    })?;
    let all = results.iter().all(|(_, code)| code.is_none());
    Ok(if all {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
