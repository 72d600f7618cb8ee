//! Withdrawals: the one call that moves money by request, once per idempotency key.

use std::sync::PoisonError;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use lingqian_core::Outcome;
use lingqian_core::command::{Command, IdempotencyKey};
use lingqian_core::id::{PayoutId, Reference, UserId};
use lingqian_core::money::Fen;
use lingqian_core::payout::Asked;
use lingqian_core::withdrawal::{Wanted, Withdrawal};
use lingqian_io::{Clock as _, Dice as _, Fault, Ports};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth::sha256;
use crate::request::{self, id};
use crate::wire::rfc3339;
use crate::{Doors, Problem};

/// The scope of idempotency keys here.
const SCOPE: &str = "POST /v1/withdrawals";
/// The longest key, in characters.
const KEY_MAX: usize = 255;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    user: String,
    amount_fen: Value,
    reference: String,
}

/// A key that is being answered. Nobody else gets in until it is dropped.
struct InFlight<P: Ports> {
    doors: Doors<P>,
    key: IdempotencyKey,
}

impl<P: Ports> InFlight<P> {
    fn enter(doors: &Doors<P>, key: &IdempotencyKey) -> Result<InFlight<P>, Problem> {
        let mut keys = doors
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if keys.insert(key.clone()) {
            return Ok(InFlight {
                doors: doors.clone(),
                key: key.clone(),
            });
        }
        let detail = "a request with this idempotency key is being answered; wait for it";
        Err(Problem::new(409, "idempotency_key_in_use", detail))
    }
}

impl<P: Ports> Drop for InFlight<P> {
    fn drop(&mut self) {
        let mut keys = self
            .doors
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        keys.remove(&self.key);
    }
}

/// Sets money aside for a payout.
pub(crate) async fn post<P: Ports>(
    State(doors): State<Doors<P>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let key = IdempotencyKey {
        scope: SCOPE.to_owned(),
        key: idempotency_key(&headers)?,
    };
    let body: Body = request::json(&headers, &request::body(body)?)?;
    let withdrawal = withdrawal(&doors, body, &key)?;
    let _turn = InFlight::enter(&doors, &key)?;
    let outcome = doors
        .desk
        .submit(Command::Withdraw(Box::new(withdrawal)))
        .await??;
    let Outcome::Withdrawn {
        payout,
        amount,
        created_at,
        replayed,
    } = outcome
    else {
        return Err(Fault::Broken("a withdrawal was answered with something else".into()).into());
    };
    // Only what never changes is answered, so that a replay says the same.
    let body = json!({
        "outcome": "done",
        "id": payout.to_string(),
        "amount_fen": amount.0,
        "currency": "CNY",
        "created_at": rfc3339(created_at),
    });
    let location = format!("/v1/payouts/{payout}");
    let mut response = (StatusCode::CREATED, [("location", location)], Json(body)).into_response();
    if replayed {
        let replayed = axum::http::HeaderValue::from_static("true");
        response
            .headers_mut()
            .insert("idempotent-replayed", replayed);
    }
    Ok(response)
}

fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let name = "Idempotency-Key";
    let value = headers.get("idempotency-key").ok_or_else(|| {
        let detail = "send a unique Idempotency-Key, the same one when you repeat the request";
        Problem::field(name, "idempotency_key_missing", detail)
    })?;
    let text = value
        .to_str()
        .ok()
        .filter(|text| (1..=KEY_MAX).contains(&text.len()));
    text.map(str::to_owned).ok_or_else(|| {
        let detail = "Idempotency-Key must have 1 to 255 visible ASCII characters";
        Problem::field(name, "idempotency_key_malformed", detail)
    })
}

fn withdrawal<P: Ports>(
    doors: &Doors<P>,
    body: Body,
    key: &IdempotencyKey,
) -> Result<Withdrawal, Problem> {
    let wanted = match &body.amount_fen {
        Value::String(all) if all == "all" => Wanted::All,
        value => Wanted::Exactly(Fen(value.as_i64().ok_or_else(|| {
            let detail = "amount_fen must be an integer number of fen, or \"all\"";
            Problem::field("/amount_fen", "amount_not_integer", detail)
        })?)),
    };
    // The request in one canonical form: spaces and the order of fields do not count.
    let canonical = format!("{}\n{}\n{}\n", body.user, body.amount_fen, body.reference);
    Ok(Withdrawal {
        payout: PayoutId::new(doors.ports.clock().business(), doors.ports.dice().roll()),
        user: id("/user", &body.user, UserId::parse)?,
        wanted,
        reference: id("/reference", &body.reference, Reference::parse)?,
        asked: Asked::ByRequest,
        key: Some((key.clone(), sha256(canonical.as_bytes()))),
    })
}
