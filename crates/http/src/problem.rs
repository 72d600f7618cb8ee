//! Errors for callers, after RFC 9457. The only file that knows status codes.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use lingqian_core::Rejection;
use lingqian_io::Fault;
use serde::Serialize;

/// What is wrong, for programs by `code`, for people by `detail`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problem(Box<Members>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Members {
    /// `/problems/` and the code.
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    /// Stable; branch on this.
    code: &'static str,
    /// For calls that move money: `not_done`, or `unknown` when it must be asked about.
    outcome: &'static str,
    /// Whether the same request may work later.
    retryable: bool,
    /// The path that was asked for, and the id that the answer carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// Which field is to blame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct FieldError {
    /// A JSON pointer, a query parameter or a header.
    pointer: String,
    code: &'static str,
    detail: String,
}

fn title(status: u16) -> &'static str {
    StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("")
}

impl Problem {
    /// A problem of that status and stable code.
    pub(crate) fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem(Box::new(Members {
            kind: format!("/problems/{code}"),
            title: title(status),
            status,
            detail: detail.into(),
            code,
            outcome: "not_done",
            retryable: matches!(status, 409 | 429 | 503),
            instance: None,
            request_id: None,
            errors: Vec::new(),
        }))
    }

    /// A field of the request that is not as agreed.
    pub(crate) fn field(pointer: &str, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem::new(400, code, detail).at(pointer)
    }

    pub(crate) fn at(mut self, pointer: &str) -> Problem {
        let (code, detail) = (self.0.code, self.0.detail.clone());
        self.0.errors.push(FieldError {
            pointer: pointer.to_owned(),
            code,
            detail,
        });
        self
    }

    /// Names the request; the rest of the answer stays as it is.
    pub(crate) fn name(response: Response, instance: &str, request_id: &str) -> Response {
        let (mut parts, body) = response.into_parts();
        let Some(mut problem) = parts.extensions.remove::<Problem>() else {
            return Response::from_parts(parts, body);
        };
        problem.0.instance = Some(instance.to_owned());
        problem.0.request_id = Some(request_id.to_owned());
        parts.headers.remove(header::CONTENT_LENGTH);
        Response::from_parts(parts, Json(&problem).into_response().into_body())
    }

    /// There is nothing of that name.
    pub(crate) fn not_found(what: &str) -> Problem {
        Problem::new(404, "not_found", format!("there is no such {what}"))
    }

    /// Its stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// Its HTTP status.
    pub(crate) fn status_code(&self) -> u16 {
        self.0.status
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let status = match &rejection {
            Rejection::Malformed { .. } => 400,
            Rejection::UnknownUser | Rejection::UnknownPayout | Rejection::NotLinked => 404,
            Rejection::ReferenceUsed
            | Rejection::EventConflict
            | Rejection::AlreadyTakenBack
            | Rejection::LetterEnded
            | Rejection::WalletLinkedElsewhere
            | Rejection::UnionidMismatch
            | Rejection::NoTokens
            | Rejection::NotShared
            | Rejection::SamePerson
            | Rejection::ResendTooLate
            | Rejection::WrongState { .. } => 409,
            Rejection::StateUnknown | Rejection::StateExpired | Rejection::StateUsed => 410,
            Rejection::UnknownMerchant => 503,
            Rejection::UnknownApp
            | Rejection::OtherMerchant
            | Rejection::UnknownKind
            | Rejection::AmountMissing
            | Rejection::AmountNotPositive
            | Rejection::AmountOutOfRange { .. }
            | Rejection::AmountNotThePrice { .. }
            | Rejection::OccurredInFuture
            | Rejection::SenderNotAllowed
            | Rejection::SenderMissing
            | Rejection::UnknownSender
            | Rejection::SenderIsReceiver
            | Rejection::BalanceOutOfRange
            | Rejection::DayCapReached
            | Rejection::UnknownEvent
            | Rejection::NotReversible
            | Rejection::OriginalDiffers
            | Rejection::CoolingTooLong
            | Rejection::SnapshotUser
            | Rejection::AppNotConfigured
            | Rejection::ScopeNotOfApp { .. }
            | Rejection::KeyReused
            | Rejection::InsufficientFunds
            | Rejection::BelowMinimum { .. }
            | Rejection::NoProof { .. }
            | Rejection::ForeignNumber
            | Rejection::ClaimMismatch { .. }
            | Rejection::Immutable { .. } => 422,
        };
        let mut problem = Problem::new(status, rejection.code(), rejection.to_string());
        problem.0.retryable = status == 503;
        match rejection.field() {
            // The only bodies with an amount that are answered by a problem name it so.
            Some("amount") => problem.at("/amount_fen"),
            Some(field) => problem.at(&format!("/{field}")),
            None => problem,
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        // What failed inside is for our log, not for callers.
        tracing::error!(%fault, "a request failed");
        let (status, detail) = match &fault {
            Fault::Retry(_) => (503, "temporarily unavailable; try again"),
            Fault::Unknown(_) => (
                500,
                "it may or may not have been done; repeat it with the same idempotency key or id",
            ),
            Fault::Damaged(_) => (
                500,
                "the books are damaged: nothing is written until a person has looked at what the log says",
            ),
            Fault::Broken(_) | Fault::Held(_) | Fault::Newer(_) => {
                (500, "the service cannot do this now; nothing was changed")
            }
        };
        let outcome = if matches!(fault, Fault::Unknown(_)) {
            "unknown"
        } else {
            "not_done"
        };
        let mut problem = Problem::new(status, fault.code(), detail);
        problem.0.outcome = outcome;
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        response.extensions_mut().insert(self.clone());
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if matches!(self.0.status, 429 | 503) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.0.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// No such path.
pub(crate) async fn no_route() -> Problem {
    Problem::new(
        404,
        "no_such_route",
        "no such path; /openapi.json lists them",
    )
}

/// The path exists, not with this method.
pub(crate) async fn wrong_method() -> Problem {
    Problem::new(
        405,
        "method_not_allowed",
        "this path does not take this method",
    )
}
