//! `lingqian webhooks` and `lingqian feed`: what the API can do, at the command line. They ask the
//! server that has the books; where there is none, the same doors are opened for the moment.

use std::process::ExitCode;

use http::Method;
use serde_json::{Map, Value, json};

use crate::cli::{FeedOptions, Webhooks};
use crate::door::Api;
use crate::home::Home;
use crate::output::show;

/// Runs `lingqian webhooks`.
///
/// # Errors
/// When the doors refuse, or nobody answers.
pub(crate) async fn run(home: &Home, command: &Webhooks, json: bool) -> anyhow::Result<ExitCode> {
    let (method, path, body) = request(command);
    let api = Api::open(home).await?;
    let told = api.call(method, &path, body.as_ref()).await?;
    show(json, &told, |out| match command {
        Webhooks::List => list(&told).iter().try_for_each(|one| line(out, one)),
        Webhooks::Create { .. } | Webhooks::Rotate { .. } => {
            line(out, &told)?;
            writeln!(out, "{}", text(&told, "secret"))?;
            writeln!(
                out,
                "the receiver verifies with it; it cannot be shown again"
            )
        }
        Webhooks::Show { .. } | Webhooks::Change { .. } => line(out, &told),
        Webhooks::Delete { id } => writeln!(out, "{id} deleted"),
        Webhooks::Test { id } => match told["code"].as_str() {
            None => writeln!(out, "{id}: taken"),
            Some(code) => writeln!(out, "{id}: not taken ({code})"),
        },
        Webhooks::Deliveries { .. } => list(&told).iter().try_for_each(|one| {
            let (number, tries) = (&one["number"], &one["tries"]);
            let (state, code) = (text(one, "state"), text(one, "code"));
            let due = text(one, "due_at");
            writeln!(out, "{number:>9}  {state:<8} {tries} tries  {code}  {due}")
        }),
        Webhooks::Replay { .. } => {
            writeln!(out, "{} notices are delivered again", told["replayed"])
        }
    })?;
    let failed = matches!(command, Webhooks::Test { .. }) && told["taken"] != true;
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn request(command: &Webhooks) -> (Method, String, Option<Value>) {
    let path = |id: &str, rest: &str| format!("/v1/webhooks/{id}{rest}");
    match command {
        Webhooks::List => (Method::GET, "/v1/webhooks".into(), None),
        Webhooks::Create {
            url,
            events,
            note,
            scheme,
            after,
        } => {
            let body = json!({
                "url": url,
                "events": events,
                "note": note.as_deref().unwrap_or_default(),
                "scheme": scheme,
                "after": after,
            });
            (Method::POST, "/v1/webhooks".into(), Some(body))
        }
        Webhooks::Show { id } => (Method::GET, path(id, ""), None),
        Webhooks::Change {
            id,
            url,
            events,
            note,
            on,
            off,
        } => {
            let mut body = Map::new();
            body.extend(url.as_ref().map(|url| ("url".into(), json!(url))));
            let events = Some(events).filter(|events| !events.is_empty());
            body.extend(events.map(|events| ("events".into(), json!(events))));
            body.extend(note.as_ref().map(|note| ("note".into(), json!(note))));
            body.extend((*on || *off).then(|| ("enabled".into(), json!(on))));
            (Method::PATCH, path(id, ""), Some(Value::Object(body)))
        }
        Webhooks::Delete { id } => (Method::DELETE, path(id, ""), None),
        Webhooks::Test { id } => (Method::POST, path(id, "/test"), None),
        Webhooks::Rotate {
            id,
            scheme,
            overlap_seconds,
        } => {
            let body = json!({ "scheme": scheme, "overlap_seconds": overlap_seconds });
            (Method::POST, path(id, "/rotate"), Some(body))
        }
        Webhooks::Deliveries { id, after } => {
            let rest = format!("/deliveries?after={after}&limit=200");
            (Method::GET, path(id, &rest), None)
        }
        Webhooks::Replay { id, first, last } => {
            let body = json!({ "first": first, "last": last });
            (Method::POST, path(id, "/replay"), Some(body))
        }
    }
}

/// Runs `lingqian feed`: a page, one notice a line.
///
/// # Errors
/// When the doors refuse, or nobody answers.
pub(crate) async fn feed(
    home: &Home,
    options: &FeedOptions,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let (after, limit) = (options.after, options.limit);
    let api = Api::open(home).await?;
    let path = format!("/v1/feed?after={after}&limit={limit}");
    let told = api.call(Method::GET, &path, None).await?;
    show(json, &told, |out| {
        list(&told)
            .iter()
            .try_for_each(|one| writeln!(out, "{one}"))
    })?;
    Ok(ExitCode::SUCCESS)
}

fn list(told: &Value) -> Vec<Value> {
    told["data"].as_array().cloned().unwrap_or_default()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

fn line(out: &mut dyn std::io::Write, one: &Value) -> std::io::Result<()> {
    let events = one["events"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let events: Vec<&str> = events.iter().filter_map(Value::as_str).collect();
    let events = if events.is_empty() {
        "*".to_owned()
    } else {
        events.join(" ")
    };
    let state = match (one["enabled"].as_bool(), one["off_why"].as_str()) {
        (Some(true), _) => "on".to_owned(),
        (_, why) => format!("off ({})", why.unwrap_or_default()),
    };
    let health = &one["health"];
    let (pending, given_up) = (&health["pending"], &health["given_up"]);
    writeln!(
        out,
        "{}  {state}  {pending} pending, {given_up} given up, last failure {}  {}  {events}",
        text(one, "id"),
        health["failed_with"].as_str().unwrap_or("none"),
        text(one, "url"),
    )
}
