//! The page on which a user confirms a transfer: in WeChat it opens WeChat's own page, elsewhere it
//! shows a code to scan. What that page says to its opener is never believed; the books are asked.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lingqian_core::id::PayoutId;
use lingqian_core::payout::State as PayoutState;
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::TransferOrder;
use lingqian_core::user::Sealed;
use lingqian_io::keys::KeyFault;
use lingqian_io::rail::AppKind;
use lingqian_io::store::PayoutRow;
use lingqian_io::{Browse as _, Clock as _, Fault, IdentityProvider as _, Ports, Sealer as _};
use qrcode::render::svg;
use serde_json::{Value, json};

use crate::api::payouts::story;
use crate::wire::rfc3339;
use crate::{Doors, Problem};

/// What the addresses of pages are sealed for.
const PURPOSE: &str = "confirm";
/// How long WeChat waits for the user.
const WAITS_MS: i64 = 86_400_000;
/// How long an address shows what became of the payout.
const SHOWN_MS: i64 = 7 * 86_400_000;
/// The longest address that is looked at.
const TOKEN_MAX: usize = 1_024;

const PAGE: &str = include_str!("confirm.html");

/// Gives the address of a payout's page, and what a mini program opens WeChat's own page with.
pub(crate) async fn start<P: Ports>(
    State(doors): State<Doors<P>>,
    Path(payout): Path<String>,
) -> Result<Json<Value>, Problem> {
    let story = story(&doors, &payout).await?;
    let Some((order, package, until)) = awaited(&story.row) else {
        let state = story.row.payout.state.name();
        let detail = format!("the payout is {state}: there is nothing to confirm now");
        return Err(Problem::new(409, "nothing_to_confirm", detail));
    };
    let now = doors.ports.clock().business();
    let plain = format!("{} {}", story.row.payout.id, now.0);
    let sealed = doors.ports.sealer().seal(PURPOSE, plain.as_bytes()).await;
    let sealed = sealed.map_err(|fault| Problem::from(Fault::Broken(fault.to_string())))?;
    let url = address(
        &doors.settings.public_url,
        &URL_SAFE_NO_PAD.encode(sealed.0),
    );
    Ok(Json(json!({
        "url": url,
        "mch_id": order.mchid.as_str(),
        "app_id": order.app.as_str(),
        "package": package,
        "expires_at": rfc3339(until),
    })))
}

fn address(public_url: &str, token: &str) -> String {
    format!("{public_url}/confirm/{token}")
}

/// What is to be confirmed, where the user is waited for and WeChat's page can be opened.
fn awaited(row: &PayoutRow) -> Option<(&TransferOrder, &str, Timestamp)> {
    match &row.payout.state {
        PayoutState::AwaitingUser(attempt, Some(package)) => {
            let until = attempt.first_sent_at.after_ms(WAITS_MS);
            Some((&attempt.order, package, until))
        }
        _ => None,
    }
}

/// The payout of an address that we gave.
async fn found<P: Ports>(doors: &Doors<P>, token: &str) -> Result<PayoutRow, Problem> {
    let wrong = || {
        Problem::new(
            404,
            "confirm_link_wrong",
            "this address was not given by us",
        )
    };
    if token.len() > TOKEN_MAX {
        return Err(wrong());
    }
    let sealed = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
    let opened = doors.ports.sealer().open(PURPOSE, &Sealed(sealed)).await;
    let plain = match opened {
        Ok(plain) => plain,
        Err(KeyFault::Tampered | KeyFault::Unknown(_)) => return Err(wrong()),
        Err(fault) => return Err(Problem::from(Fault::Retry(fault.to_string()))),
    };
    let text = String::from_utf8(plain).map_err(|_| wrong())?;
    let (payout, at) = text.split_once(' ').ok_or_else(wrong)?;
    let payout = PayoutId::parse(payout).map_err(|_| wrong())?;
    let at: i64 = at.parse().map_err(|_| wrong())?;
    if doors.ports.clock().business().since_ms(Timestamp(at)) > SHOWN_MS {
        let detail = "this address is older than a week; ask for another one";
        return Err(Problem::new(410, "confirm_link_old", detail));
    }
    let story = doors.ports.store().payout(payout).await?;
    story.map(|story| story.row).ok_or_else(wrong)
}

/// What the page shows of where the payout stands.
fn stands(row: &PayoutRow) -> &'static str {
    match &row.payout.state {
        PayoutState::AwaitingUser(_, Some(_)) => "waiting",
        PayoutState::Requested
        | PayoutState::Review(..)
        | PayoutState::Approved
        | PayoutState::Sending(..)
        | PayoutState::Deferred(..)
        | PayoutState::Unknown(..)
        | PayoutState::Processing(..)
        | PayoutState::AwaitingUser(_, None)
        // Whether it is cancelled in time is not known yet.
        | PayoutState::Cancelling(..) => "working",
        PayoutState::Paid(..) => "paid",
        PayoutState::Expired(..) => "expired",
        PayoutState::Cancelled(..) => "cancelled",
        PayoutState::Failed(..) | PayoutState::Refused(..) => "failed",
    }
}

/// Where it stands, for the page; and what opens WeChat's page while that can be confirmed.
fn told<P: Ports>(doors: &Doors<P>, row: &PayoutRow) -> Value {
    let kind = |order: &TransferOrder| {
        let apps = doors.ports.identity().apps();
        let known = apps.into_iter().find(|(app, _)| *app == order.app);
        known.map_or(AppKind::OfficialAccount, |(_, kind)| kind)
    };
    let open = awaited(row).map(|(order, package, until)| {
        json!({
            "mch_id": order.mchid.as_str(),
            "app_id": order.app.as_str(),
            "package": package,
            "app": kind(order).name(),
            "expires_at": rfc3339(until),
        })
    });
    json!({ "state": stands(row), "amount_fen": row.payout.amount.0, "open": open })
}

/// Where a payout stands, for whoever has the address of its page.
pub(crate) async fn state<P: Ports>(
    State(doors): State<Doors<P>>,
    Path(token): Path<String>,
) -> Result<Response, Problem> {
    let row = found(&doors, &token).await?;
    let headers = [(header::CACHE_CONTROL, "no-store")];
    Ok((headers, Json(told(&doors, &row))).into_response())
}

/// The page.
pub(crate) async fn page<P: Ports>(
    State(doors): State<Doors<P>>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Response {
    let (status, value) = match found(&doors, &token).await {
        Ok(row) => (200, told(&doors, &row)),
        Err(problem) => {
            let state = match problem.code() {
                "confirm_link_wrong" => "wrong",
                "confirm_link_old" => "old",
                _ => "away",
            };
            (
                problem.status_code(),
                json!({ "state": state, "open": null }),
            )
        }
    };
    let agent = headers.get(header::USER_AGENT);
    let agent = agent.and_then(|value| value.to_str().ok()).unwrap_or("");
    let place = place(agent);
    let code = match place {
        "outside" | "wecom" if status == 200 => code(&address(&doors.settings.public_url, &token)),
        _ => String::new(),
    };
    // A script's text may not end the script.
    let value = value.to_string().replace('<', "\\u003c");
    let html = PAGE
        .replace("{{place}}", place)
        .replace("{{code}}", &code)
        .replace("{{told}}", &value);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                  connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, Html(html)).into_response()
}

/// Where the page is open, by what the browser says of itself.
fn place(agent: &str) -> &'static str {
    let has = |word: &str| agent.to_ascii_lowercase().contains(word);
    if has("wxwork") {
        // WeCom says that it is WeChat, too, and cannot confirm.
        "wecom"
    } else if !has("micromessenger") {
        "outside"
    } else if has("miniprogram") {
        "mini_program"
    } else {
        "wechat"
    }
}

/// A code to scan with WeChat, as SVG; nothing where the address is too long for one.
fn code(address: &str) -> String {
    let Ok(code) = qrcode::QrCode::with_error_correction_level(address, qrcode::EcLevel::L) else {
        return String::new();
    };
    let text = code
        .render::<svg::Color<'_>>()
        .min_dimensions(280, 280)
        .build();
    // What comes before the drawing is for files.
    text.find("<svg")
        .map(|at| text[at..].to_owned())
        .unwrap_or_default()
}
