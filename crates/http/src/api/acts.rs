//! What people do by hand: to payouts, and to everything that leaves. Who acts is the API key.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use lingqian_core::command::{Command, Manual};
use lingqian_core::control::{Act, Actor, Scope, StopCause};
use lingqian_core::id::{IdFault, PayoutId};
use lingqian_engine::cases::{Case, cases};
use lingqian_io::{Browse as _, Fault, Ports};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth::Caller;
use crate::request::{self, Query, id};
use crate::wire::{control, rfc3339};
use crate::{Doors, Problem};

/// A body that may say why.
pub(crate) type Body = Result<Bytes, BytesRejection>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StopBody {
    scope: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LiftBody {
    scope: String,
    #[serde(default)]
    cause: Option<String>,
    reason: String,
}

/// Who acts, and why.
pub(crate) fn act(caller: &Caller, reason: &str) -> Result<Act, Problem> {
    let actor = Actor::parse(&format!("key:{}", caller.0));
    let actor = actor.map_err(|fault| Fault::Broken(format!("the name of a key {fault}")))?;
    Act::new(actor, reason).map_err(|fault| {
        let detail = match fault {
            IdFault::TooLong(max) => format!("reason must have at most {max} bytes"),
            _ => "reason must say why, in one line".to_owned(),
        };
        Problem::field("/reason", "reason_malformed", detail)
    })
}

/// Does something to a payout by hand.
pub(crate) async fn manual<P: Ports>(
    doors: Doors<P>,
    what: Manual,
    (caller, payout): (Caller, String),
    (headers, body): (HeaderMap, Body),
) -> Result<Json<Value>, Problem> {
    let payout = id("/id", &payout, PayoutId::parse)?;
    let Why { reason } = request::json(&headers, &request::body(body)?)?;
    let act = act(&caller, &reason)?;
    let command = Command::Manual { payout, what, act };
    let state = doors.desk.submit(command).await??.state_by_hand();
    Ok(Json(json!({ "id": payout.to_string(), "state": state })))
}

macro_rules! acts {
    ($($(#[$words:meta])* $name:ident => $what:expr;)*) => {
        $($(#[$words])*
        pub(crate) async fn $name<P: Ports>(
            State(doors): State<Doors<P>>,
            Extension(caller): Extension<Caller>,
            Path(payout): Path<String>,
            headers: HeaderMap,
            body: Body,
        ) -> Result<Json<Value>, Problem> {
            manual(doors, $what, (caller, payout), (headers, body)).await
        })*
    };
}

acts! {
    /// Says yes to what risk wants looked at.
    approve => Manual::Approve;
    /// Ends a payout before anything is sent.
    refuse => Manual::Refuse;
    /// Sends the same order again now.
    resend => Manual::Resend;
    /// A bill shows it.
    mark_paid => Manual::MarkPaid;
    /// No bill shows it, and none can any more.
    mark_unpaid => Manual::MarkUnpaid;
}

fn scope(text: &str) -> Result<Scope, Problem> {
    Scope::parse(text).map_err(|_| {
        let detail = "scope is `all`, `merchant:MCHID` or `scene:NUMBER`";
        Problem::field("/scope", "scope_malformed", detail)
    })
}

async fn set<P: Ports>(
    doors: &Doors<P>,
    (scope, cause): (Scope, StopCause),
    on: bool,
    act: Act,
) -> Result<Json<Value>, Problem> {
    let command = Command::SetStop {
        scope,
        cause,
        on,
        act,
    };
    doors.desk.submit(command).await??;
    listed(doors).await
}

async fn listed<P: Ports>(doors: &Doors<P>) -> Result<Json<Value>, Problem> {
    let stops = doors.ports.store().stops().await?;
    let data: Vec<Value> = stops.iter().map(control::stop).collect();
    Ok(Json(json!({ "data": data })))
}

/// Lists what is stopped.
pub(crate) async fn stops<P: Ports>(State(doors): State<Doors<P>>) -> Result<Json<Value>, Problem> {
    listed(&doors).await
}

/// Stops payouts.
pub(crate) async fn stop<P: Ports>(
    State(doors): State<Doors<P>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let body: StopBody = request::json(&headers, &request::body(body)?)?;
    let what = (scope(&body.scope)?, StopCause::Person);
    set(&doors, what, true, act(&caller, &body.reason)?).await
}

/// Lifts a stop.
pub(crate) async fn lift<P: Ports>(
    State(doors): State<Doors<P>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let body: LiftBody = request::json(&headers, &request::body(body)?)?;
    let cause = match body.cause.as_deref() {
        None => StopCause::Person,
        Some(name) => StopCause::from_name(name).ok_or_else(|| {
            let detail = "cause is `person`, `float` or `audit`";
            Problem::field("/cause", "cause_unknown", detail)
        })?,
    };
    let what = (scope(&body.scope)?, cause);
    set(&doors, what, false, act(&caller, &body.reason)?).await
}

/// Lists what was done by hand, newest first.
pub(crate) async fn deeds<P: Ports>(
    State(doors): State<Doors<P>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::parse(query.as_deref(), &["subject", "limit"])?;
    let subject = query.get("subject").map(str::to_owned);
    let deeds = doors.ports.store().deeds(subject, query.limit()?).await?;
    let data: Vec<Value> = deeds.iter().map(control::deed).collect();
    Ok(Json(json!({ "data": data })))
}

/// Lists what needs a person, the gravest first.
pub(crate) async fn needs<P: Ports>(State(doors): State<Doors<P>>) -> Result<Json<Value>, Problem> {
    let case = |case: &Case| {
        json!({
            "kind": case.kind.name(),
            "subject": case.subject,
            "since": rfc3339(case.since),
            "amount_fen": case.amount.map(|amount| amount.0),
            "words": case.words,
            "ways": case.ways(),
        })
    };
    let found = cases(&doors.ports).await?;
    let data: Vec<Value> = found.iter().map(case).collect();
    Ok(Json(json!({ "data": data })))
}
