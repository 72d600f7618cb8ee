//! Where WeChat Pay announces the end of a transfer. Open to everybody; the signature decides.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use lingqian_engine::receive::{NotReceived, receive};
use lingqian_io::Ports;
use lingqian_io::rail::Notification;
use serde_json::json;

use crate::{Doors, request};

fn fail(status: StatusCode, code: &str) -> Response {
    // WeChat looks at the status alone; the rest is for whoever reads its log.
    (status, Json(json!({ "code": "FAIL", "message": code }))).into_response()
}

/// Acknowledges after the commit, and only then.
pub(crate) async fn transfer<P: Ports>(
    State(doors): State<Doors<P>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match request::body(body) {
        Ok(body) => body,
        Err(problem) => {
            let status = StatusCode::from_u16(problem.status_code());
            return fail(status.unwrap_or(StatusCode::BAD_REQUEST), problem.code());
        }
    };
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)));
    let notification = Notification {
        headers: headers.collect(),
        body: body.to_vec(),
    };
    match receive(&doors.ports, &doors.desk, notification).await {
        Ok(received) => {
            doors
                .metrics
                .notification(&format!("{received:?}").to_lowercase());
            Json(json!({ "code": "SUCCESS", "message": "OK" })).into_response()
        }
        Err(NotReceived::Refusal(refusal)) => {
            doors.metrics.notification(refusal.code());
            tracing::warn!(code = refusal.code(), "a notification was refused");
            fail(StatusCode::UNAUTHORIZED, refusal.code())
        }
        Err(NotReceived::Rejection(rejection)) => {
            fail(StatusCode::UNPROCESSABLE_ENTITY, rejection.code())
        }
        Err(NotReceived::Fault(fault)) => {
            tracing::error!(%fault, "a notification could not be kept");
            fail(StatusCode::SERVICE_UNAVAILABLE, fault.code())
        }
    }
}
