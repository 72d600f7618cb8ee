//! What happened, to be read or to be sent: the feed, and endpoints of webhooks.

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use lingqian_core::command::Command;
use lingqian_core::endpoint::{self, Endpoint, EndpointId, Scheme, Unfit};
use lingqian_core::time::Timestamp;
use lingqian_engine::notify::message;
use lingqian_io::keys::KeyFault;
use lingqian_io::outbox::Health;
use lingqian_io::{Clock as _, Fault, Outbox as _, Ports};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::acts::{Body, act};
use crate::auth::Caller;
use crate::request::{self, Query, id};
use crate::wire::webhook::{self, OVERLAP_SECONDS, OVERLAP_SECONDS_MAX, REPLAY_MAX};
use crate::{Doors, Problem};

/// The most notices that one page of the feed holds.
const FEED_MAX: u32 = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    url: String,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    note: String,
    #[serde(default)]
    scheme: Option<String>,
    #[serde(default)]
    after: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookChange {
    url: Option<String>,
    events: Option<Vec<String>>,
    note: Option<String>,
    enabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    #[serde(default)]
    scheme: Option<String>,
    #[serde(default)]
    overlap_seconds: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replay {
    first: i64,
    last: Option<i64>,
}

/// A number that is zero or more.
fn number(query: &Query, name: &'static str) -> Result<i64, Problem> {
    let Some(text) = query.get(name) else {
        return Ok(0);
    };
    let number = text.parse().ok().filter(|number: &i64| *number >= 0);
    number.ok_or_else(|| {
        let detail = format!("{name} must be a number from 0");
        Problem::field(name, "parameter_invalid", detail)
    })
}

/// What happened after a number, oldest first.
pub(crate) async fn feed<P: Ports>(
    State(doors): State<Doors<P>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["after", "limit"])?;
    let after = number(&query, "after")?;
    let limit = query.limit_of(100, FEED_MAX)?;
    let told = doors.ports.store().notices(after, limit + 1).await?;
    let has_more = told.len() > limit as usize;
    let page = &told[..told.len().min(limit as usize)];
    let next = page.last().map_or(after, |told| told.number);
    // Notices are kept as JSON, so there is no tree to build.
    let data: Vec<String> = page.iter().map(message).collect();
    let data = data.join(",");
    let body = format!(r#"{{"data":[{data}],"has_more":{has_more},"next_after":{next}}}"#);
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

fn unfit(pointer: &'static str) -> impl Fn(Unfit) -> Problem {
    move |unfit| {
        let name = pointer.trim_start_matches('/');
        let code = match unfit {
            Unfit::Address | Unfit::TooLong => "url_malformed",
            Unfit::Filter => "event_unknown",
            Unfit::TooMany => "too_many",
        };
        Problem::field(pointer, code, format!("{name} {unfit}"))
    }
}

fn note(note: &str) -> Result<(), Problem> {
    if note.len() <= 400 && !note.chars().any(char::is_control) {
        return Ok(());
    }
    let detail = "note must be one line of at most 400 bytes";
    Err(Problem::field("/note", "note_malformed", detail))
}

fn scheme(name: Option<&str>) -> Result<Scheme, Problem> {
    let scheme = name.map_or(Some(Scheme::Hmac), Scheme::from_name);
    scheme.ok_or_else(|| {
        let detail = "scheme is `v1` (HMAC-SHA256) or `v1a` (ed25519)";
        Problem::field("/scheme", "scheme_unknown", detail)
    })
}

fn unsealed(fault: KeyFault) -> Problem {
    match fault {
        KeyFault::Away(words) => Fault::Retry(words).into(),
        other => Fault::Broken(other.to_string()).into(),
    }
}

pub(crate) async fn known<P: Ports>(
    doors: &Doors<P>,
    name: &str,
) -> Result<(Endpoint, Health), Problem> {
    let name = id("/id", name, EndpointId::parse)?;
    let all = doors.ports.store().endpoints().await?;
    let found = all.into_iter().find(|(endpoint, _)| endpoint.id == name);
    found.ok_or_else(|| Problem::not_found("webhook"))
}

async fn set<P: Ports>(
    doors: &Doors<P>,
    caller: &Caller,
    endpoint: Endpoint,
    (what, reason): (&'static str, &str),
) -> Result<(), Problem> {
    let act = act(caller, reason)?;
    let endpoint = Box::new(endpoint);
    let command = Command::SetEndpoint {
        endpoint,
        what,
        act,
    };
    doors.desk.submit(command).await??;
    Ok(())
}

/// Makes an endpoint; its secret is in this answer and in no other.
pub(crate) async fn create<P: Ports>(
    State(doors): State<Doors<P>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let body: NewWebhook = request::json(&headers, &request::body(body)?)?;
    endpoint::check_url(&body.url).map_err(unfit("/url"))?;
    endpoint::check_events(&body.events).map_err(unfit("/events"))?;
    note(&body.note)?;
    let scheme = scheme(body.scheme.as_deref())?;
    let newest = doors.ports.store().newest_notice().await?;
    if body
        .after
        .is_some_and(|after| !(0..=newest).contains(&after))
    {
        let detail = format!("after must be a number from 0 to {newest}, the newest notice");
        return Err(Problem::field("/after", "field_invalid", detail));
    }
    let (secret, text) = webhook::mint_secret(&doors.ports, scheme)
        .await
        .map_err(unsealed)?;
    let endpoint = Endpoint {
        id: webhook::new_id(&doors.ports),
        url: body.url,
        events: body.events,
        note: body.note,
        secrets: vec![secret],
        created_at: doors.ports.clock().business(),
        off: None,
        deleted: false,
        after: body.after,
    };
    let name = endpoint.id.clone();
    set(&doors, &caller, endpoint, ("create", "asked for")).await?;
    let (endpoint, health) = known(&doors, name.as_str()).await?;
    let mut value = webhook::endpoint(&endpoint, &health);
    value["secret"] = json!(text);
    Ok((StatusCode::CREATED, Json(value)))
}

/// Lists endpoints with their health.
pub(crate) async fn list<P: Ports>(State(doors): State<Doors<P>>) -> Result<Json<Value>, Problem> {
    let all = doors.ports.store().endpoints().await?;
    let shown = all
        .iter()
        .map(|(endpoint, health)| webhook::endpoint(endpoint, health));
    Ok(Json(json!({ "data": shown.collect::<Vec<_>>() })))
}

/// Shows an endpoint with its health.
pub(crate) async fn show<P: Ports>(
    State(doors): State<Doors<P>>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let (endpoint, health) = known(&doors, &name).await?;
    Ok(Json(webhook::endpoint(&endpoint, &health)))
}

/// Changes an endpoint. One that is enabled again goes on where it was.
pub(crate) async fn change<P: Ports>(
    State(doors): State<Doors<P>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let body: WebhookChange = request::json(&headers, &request::body(body)?)?;
    let (mut endpoint, _) = known(&doors, &name).await?;
    if let Some(url) = body.url {
        endpoint::check_url(&url).map_err(unfit("/url"))?;
        endpoint.url = url;
    }
    if let Some(events) = body.events {
        endpoint::check_events(&events).map_err(unfit("/events"))?;
        endpoint.events = events;
    }
    if let Some(words) = body.note {
        note(&words)?;
        endpoint.note = words;
    }
    let now = doors.ports.clock().business();
    match body.enabled {
        Some(true) => endpoint.off = None,
        Some(false) if endpoint.off.is_none() => endpoint.off = Some((now, "asked".to_owned())),
        Some(false) | None => {}
    }
    set(&doors, &caller, endpoint, ("change", "asked for")).await?;
    show(State(doors), Path(name)).await
}

/// Deletes an endpoint with its secrets and whatever waited for it.
pub(crate) async fn delete<P: Ports>(
    State(doors): State<Doors<P>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let (endpoint, _) = known(&doors, &name).await?;
    let gone = Endpoint {
        secrets: Vec::new(),
        deleted: true,
        ..endpoint
    };
    set(&doors, &caller, gone, ("delete", "asked for")).await?;
    Ok(Json(json!({ "id": name, "deleted": true })))
}

/// Gives an endpoint a new secret; the one before it signs beside it for a while.
pub(crate) async fn rotate<P: Ports>(
    State(doors): State<Doors<P>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let body: Rotation = request::json(&headers, &request::body(body)?)?;
    let seconds = body.overlap_seconds.unwrap_or(OVERLAP_SECONDS);
    if !(0..=OVERLAP_SECONDS_MAX).contains(&seconds) {
        let detail = format!("overlap_seconds must be from 0 to {OVERLAP_SECONDS_MAX}");
        return Err(Problem::field("/overlap_seconds", "field_invalid", detail));
    }
    let (mut endpoint, _) = known(&doors, &name).await?;
    let scheme = match (&body.scheme, endpoint.secrets.first()) {
        (None, Some(secret)) => secret.scheme,
        (given, _) => scheme(given.as_deref())?,
    };
    let (secret, text) = webhook::mint_secret(&doors.ports, scheme)
        .await
        .map_err(unsealed)?;
    let now: Timestamp = doors.ports.clock().business();
    let until = now.after_ms(seconds * 1_000);
    endpoint.secrets = webhook::rotated(&endpoint.secrets, secret, until);
    set(&doors, &caller, endpoint, ("rotate", "asked for")).await?;
    let (endpoint, health) = known(&doors, &name).await?;
    let mut value = webhook::endpoint(&endpoint, &health);
    value["secret"] = json!(text);
    Ok(Json(value))
}

/// Lists what an endpoint did not take yet.
pub(crate) async fn deliveries<P: Ports>(
    State(doors): State<Doors<P>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::parse(query.as_deref(), &["after", "limit"])?;
    let (after, limit) = (number(&query, "after")?, query.limit()?);
    let (endpoint, _) = known(&doors, &name).await?;
    let store = doors.ports.store();
    let lines = store.deliveries(&endpoint.id, after, limit).await?;
    let next = lines.last().map_or(after, |line| line.number);
    let data: Vec<Value> = lines.iter().map(webhook::delivery).collect();
    Ok(Json(json!({ "data": data, "next_after": next })))
}

/// Has notices delivered again: one, or all from the first to the last.
pub(crate) async fn replay<P: Ports>(
    State(doors): State<Doors<P>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let Replay { first, last } = request::json(&headers, &request::body(body)?)?;
    let last = last.unwrap_or(first);
    if first < 1 || last < first || last - first >= REPLAY_MAX {
        let detail = format!("first must be 1 or more, and last at most {REPLAY_MAX} numbers on");
        return Err(Problem::field("/last", "range_invalid", detail));
    }
    let (endpoint, _) = known(&doors, &name).await?;
    let now = doors.ports.clock().business();
    let store = doors.ports.store();
    let replayed = store.replay(&endpoint.id, (first, last), now).await?;
    Ok(Json(json!({ "id": name, "replayed": replayed })))
}
