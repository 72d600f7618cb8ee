//! Payouts: list, story, cancel.

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use lingqian_core::Outcome;
use lingqian_core::changes::HistoryLine;
use lingqian_core::command::{Command, Manual};
use lingqian_core::id::{PayoutId, UserId};
use lingqian_core::payout::{Attempt, Review as PayoutReview, State as PayoutState};
use lingqian_engine::receipt::{Sought, receipt as seek};
use lingqian_io::rail::Receipt;
use lingqian_io::store::{PayoutFilter, PayoutRow, PayoutStory};
use lingqian_io::{Browse as _, Ports};
use serde_json::{Value, json};

use crate::api::acts::{self, Body};
use crate::auth::Caller;
use crate::request::{Query, id};
use crate::wire::{control, rfc3339};
use crate::{Doors, Problem};

/// Lists payouts, newest first.
pub(crate) async fn list<P: Ports>(
    State(doors): State<Doors<P>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::parse(query.as_deref(), &["state", "user", "limit", "cursor"])?;
    let limit = query.limit()?;
    if let Some(state) = query
        .get("state")
        .filter(|state| !PayoutState::NAMES.contains(state))
    {
        let states = PayoutState::NAMES.join(", ");
        let state: String = state.chars().take(32).collect();
        let detail = format!("{state} is not a state; the states are {states}");
        return Err(Problem::field("state", "parameter_invalid", detail));
    }
    let user = query
        .get("user")
        .map(|user| id("user", user, UserId::parse))
        .transpose()?;
    let before = query
        .get("cursor")
        .map(|cursor| id("cursor", cursor, PayoutId::parse))
        .transpose()?;
    let filter = PayoutFilter {
        state: query.get("state").map(str::to_owned),
        user,
        before,
        limit: limit + 1,
    };
    let mut rows = doors.ports.store().payouts(filter).await?;
    let has_more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows
        .last()
        .filter(|_| has_more)
        .map(|row| row.payout.id.to_string());
    let data: Vec<Value> = rows.iter().map(shown).collect();
    Ok(Json(
        json!({ "data": data, "has_more": has_more, "next_cursor": next }),
    ))
}

fn shown(row: &PayoutRow) -> Value {
    let payout = &row.payout;
    let attempt = payout.state.attempt();
    let code = match &payout.state {
        PayoutState::Deferred(_, code)
        | PayoutState::Unknown(_, code)
        | PayoutState::Failed(_, code) => Some(code.clone()),
        PayoutState::Review(PayoutReview { reasons, .. }) | PayoutState::Refused(reasons) => {
            let codes: Vec<&str> = reasons.iter().map(|reason| reason.code()).collect();
            Some(codes.join(","))
        }
        _ => None,
    };
    let paid_at = match &payout.state {
        PayoutState::Paid(_, at) => Some(rfc3339(*at)),
        _ => None,
    };
    let package = match &payout.state {
        PayoutState::AwaitingUser(_, package) => package.clone(),
        _ => None,
    };
    json!({
        "id": payout.id.to_string(),
        "user": row.user.as_str(),
        "state": payout.state.name(),
        "final": payout.state.is_final(),
        "code": code,
        "amount_fen": payout.amount.0,
        "currency": "CNY",
        "billed_fen": payout.billed.0,
        "reference": payout.reference.as_str(),
        "asked_by": payout.asked.name(),
        "out_bill_no": attempt.map(|attempt| attempt.number().to_string()),
        "transfer_bill_no": attempt.and_then(|attempt| attempt.bill_no.clone()),
        "package_info": package,
        "created_at": rfc3339(payout.created_at),
        "updated_at": rfc3339(payout.updated_at),
        "paid_at": paid_at,
        "version": payout.version,
        "tries": payout.tries,
        "approved_by": approved_by(&payout.state),
    })
}

/// The story of the payout that an address names.
pub(crate) async fn story<P: Ports>(
    doors: &Doors<P>,
    payout: &str,
) -> Result<PayoutStory, Problem> {
    let payout = id("/id", payout, PayoutId::parse)?;
    let story = doors.ports.store().payout(payout).await?;
    story.ok_or_else(|| Problem::not_found("payout"))
}

/// Tells a payout's story with its evidence.
pub(crate) async fn show<P: Ports>(
    State(doors): State<Doors<P>>,
    Path(payout): Path<String>,
) -> Result<Json<Value>, Problem> {
    let story = story(&doors, &payout).await?;
    let mut value = shown(&story.row);
    let history: Vec<Value> = story.history.iter().map(happened).collect();
    value["history"] = json!(history);
    let ended = story.attempts.iter().map(|ended| tried(ended, true));
    let state = &story.row.payout.state;
    let current = state.attempt();
    let current = current.map(|attempt| tried(attempt, state.is_final()));
    let attempts: Vec<Value> = ended.chain(current).collect();
    value["attempts"] = json!(attempts);
    let subject = Some(payout.to_string());
    let deeds = doors.ports.store().deeds(subject, DEEDS_MAX).await?;
    let deeds: Vec<Value> = deeds.iter().map(control::deed).collect();
    value["deeds"] = json!(deeds);
    Ok(Json(value))
}

/// The electronic receipt: a PDF, or where it stands.
pub(crate) async fn receipt<P: Ports>(
    State(doors): State<Doors<P>>,
    Path(payout): Path<String>,
) -> Result<Response, Problem> {
    let payout = id("/id", &payout, PayoutId::parse)?;
    let told = match seek(&doors.ports, payout).await? {
        Sought::NoPayout => return Err(Problem::not_found("payout")),
        Sought::NotPaid(state) => {
            let detail = format!("the payout is {state}; only what was paid has a receipt");
            return Err(Problem::new(409, "payout_not_paid", detail));
        }
        Sought::Told(told) => told,
    };
    Ok(match told {
        Receipt::Ready(bytes) => {
            let name = format!("attachment; filename=\"{payout}.pdf\"");
            let kind = HeaderValue::from_static("application/pdf");
            let name = HeaderValue::from_str(&name).ok();
            let mut response = bytes.into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, kind);
            headers.extend(name.map(|name| (header::CONTENT_DISPOSITION, name)));
            response
        }
        Receipt::Making => {
            let value = json!({ "id": payout.to_string(), "receipt": "making" });
            (StatusCode::ACCEPTED, Json(value)).into_response()
        }
        Receipt::None(code) => {
            let detail = format!("WeChat has no receipt for this payout: {code}");
            return Err(Problem::new(404, "receipt_absent", detail));
        }
    })
}

/// Deeds that one story tells.
const DEEDS_MAX: u32 = 100;

fn approved_by(state: &PayoutState) -> Vec<String> {
    match state {
        PayoutState::Review(review) => review.approvals.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

/// An attempt as it is shown, without the receiver.
fn tried(attempt: &Attempt, ended: bool) -> Value {
    json!({
        "out_bill_no": attempt.number().to_string(),
        "mchid": attempt.order.mchid.as_str(),
        "sends": attempt.sends,
        "asks": attempt.asks,
        "in_doubt": attempt.doubt,
        "first_sent_at": rfc3339(attempt.first_sent_at),
        "last_sent_at": rfc3339(attempt.last_sent_at),
        "transfer_bill_no": attempt.bill_no,
        "ended": ended,
    })
}

fn happened(line: &HistoryLine) -> Value {
    let evidence = line.evidence.as_ref().map(
        |seen| json!({ "status": seen.status, "request_id": seen.request_id, "body": seen.body }),
    );
    json!({
        "at": rfc3339(line.at),
        "event": line.event,
        "state": line.state,
        "code": line.code,
        "evidence": evidence,
    })
}

/// Asks for a payout to be cancelled; whether it was shows in its state. With a reason it is on
/// record who asked.
pub(crate) async fn cancel<P: Ports>(
    State(doors): State<Doors<P>>,
    Extension(caller): Extension<Caller>,
    Path(payout): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    if body.as_ref().is_ok_and(|body| !body.is_empty()) {
        let (what, by) = (Manual::Cancel, (caller, payout));
        let done = acts::manual(doors, what, by, (headers, body)).await?;
        return Ok((StatusCode::ACCEPTED, done));
    }
    let payout = id("/id", &payout, PayoutId::parse)?;
    let outcome = doors.desk.submit(Command::CancelPayout(payout)).await??;
    let state = match outcome {
        Outcome::Payout { state, .. } => state,
        _ => "cancelling",
    };
    Ok((
        StatusCode::ACCEPTED,
        Json(json!({ "id": payout.to_string(), "state": state })),
    ))
}
