//! `lingqian letters`: what could not be credited, through the same doors as the API's.

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::Context as _;
use http::Method;
use serde_json::{Value, json};

use crate::cli::Letters;
use crate::commands::import::input;
use crate::door::Api;
use crate::home::Home;
use crate::output::show;

/// The largest event that is read from a file, in bytes.
const EVENT_MAX: u64 = 65_536;

/// Runs the command.
///
/// # Errors
/// When the doors refuse, or nobody answers.
pub(crate) async fn run(home: &Home, command: &Letters, json: bool) -> anyhow::Result<ExitCode> {
    let (method, path, body) = request(command)?;
    let api = Api::open(home).await?;
    let told = api.call(method, &path, body.as_ref()).await?;
    show(json, &told, |out| match command {
        Letters::List { .. } => {
            let lines = told["data"].as_array().map(Vec::as_slice);
            let mut lines = lines.unwrap_or_default().iter();
            lines.try_for_each(|one| line(out, one))
        }
        Letters::Show { .. } => {
            line(out, &told)?;
            if told["cut"] == json!(true) {
                writeln!(out, "only its beginning was kept; mend it to replay it")?;
            }
            writeln!(out, "{}", text(&told, "raw"))
        }
        Letters::Replay { id, .. } => writeln!(out, "{id} {}", text(&told, "status")),
        Letters::Discard { id, .. } => writeln!(out, "{id} discarded"),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn request(command: &Letters) -> anyhow::Result<(Method, String, Option<Value>)> {
    let path = |id: &str, rest: &str| format!("/v1/dead-letters/{id}{rest}");
    Ok(match command {
        Letters::List { all, limit } => {
            let state = if *all { "all" } else { "open" };
            let path = format!("/v1/dead-letters?state={state}&limit={limit}");
            (Method::GET, path, None)
        }
        Letters::Show { id } => (Method::GET, path(id, ""), None),
        Letters::Replay { id, event, reason } => {
            let mut body = json!({ "reason": reason });
            if let Some(file) = event {
                let mut words = Vec::new();
                input(file)?.take(EVENT_MAX).read_to_end(&mut words)?;
                let event: Value = serde_json::from_slice(&words)
                    .with_context(|| format!("{} is not JSON", file.display()))?;
                body["event"] = event;
            }
            (Method::POST, path(id, "/replay"), Some(body))
        }
        Letters::Discard { id, reason } => {
            let body = json!({ "reason": reason });
            (Method::POST, path(id, "/discard"), Some(body))
        }
    })
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

fn line(out: &mut dyn std::io::Write, one: &Value) -> std::io::Result<()> {
    let (id, state, times) = (text(one, "id"), text(one, "state"), &one["times"]);
    let (at, door, position) = (text(one, "at"), text(one, "door"), text(one, "position"));
    writeln!(
        out,
        "{id}  {state:<9} {times:>6} times  {at}  {door} {position}"
    )
}
