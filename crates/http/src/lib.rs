#![doc = include_str!("../README.md")]

mod api;
mod auth;
mod confirm;
mod hook;
mod link;
mod metrics;
mod openapi;
mod problem;
mod request;
mod routes;
pub mod wire;

pub use api::letters::{LetterReader, each_event, whole_event};
pub use api::live::Lives;
pub use api::trial::Trials;
pub use auth::{Minted, mint};
pub use problem::Problem;
pub use routes::{ROUTES, Route, SCOPES};

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use lingqian_core::command::IdempotencyKey;
use lingqian_engine::Desk;
use lingqian_engine::board::Board;
use lingqian_io::{Alerts, Ports};
use tokio::sync::Semaphore;

/// What the doors need to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How browsers and WeChat reach the doors from outside, without a slash at the end.
    pub public_url: String,
    /// The largest body but for streams, in bytes.
    pub body_max: usize,
    /// The longest line of a stream, in bytes.
    pub line_max: usize,
    /// Batches of all streams that may be under way beside the first of each, so that many
    /// streams do not hold as much memory as a few fast ones.
    pub overlaps_max: usize,
    /// Streams of users.
    pub lives: Lives,
    /// Who sends trials to endpoints.
    pub trials: Trials,
    /// What the passes saw last.
    pub board: Arc<Board>,
    /// How dead letters are read when they are given again.
    pub letters: LetterReader,
}

impl Settings {
    /// Settings for a public address.
    #[must_use]
    pub fn new(public_url: &str) -> Settings {
        let public_url = public_url.trim_end_matches('/').to_owned();
        Settings {
            public_url,
            body_max: 1_048_576,
            line_max: 65_536,
            overlaps_max: 64,
            lives: Lives::default(),
            trials: Trials::default(),
            board: Arc::default(),
            letters: LetterReader::default(),
        }
    }

    /// Where WeChat sends notifications.
    #[must_use]
    pub fn notify_url(public_url: &str) -> String {
        format!("{}/hooks/wechat/transfer", public_url.trim_end_matches('/'))
    }
}

/// Everything that requests share. A request clones it a few times on its way, so a clone is one
/// counter.
struct Doors<P>(Arc<Shared<P>>);

impl<P> Clone for Doors<P> {
    fn clone(&self) -> Self {
        Doors(Arc::clone(&self.0))
    }
}

impl<P> Deref for Doors<P> {
    type Target = Shared<P>;

    fn deref(&self) -> &Shared<P> {
        &self.0
    }
}

struct Shared<P> {
    ports: P,
    desk: Desk,
    settings: Settings,
    keys: auth::KeyCache,
    metrics: metrics::Metrics,
    in_flight: Arc<Mutex<BTreeSet<IdempotencyKey>>>,
    /// Places for batches of streams beside the first of each.
    overlaps: Arc<Semaphore>,
    /// Places for streams of users.
    lives: Arc<Semaphore>,
}

/// All doors of a platform.
pub fn router<P: Ports>(ports: P, desk: Desk, settings: Settings) -> Router
where
    P::Store: Alerts,
{
    let body_max = settings.body_max;
    let overlaps = Arc::new(Semaphore::new(settings.overlaps_max));
    let lives = Arc::new(Semaphore::new(settings.lives.open_max));
    let doors = Doors(Arc::new(Shared {
        ports,
        desk,
        settings,
        keys: auth::KeyCache::default(),
        metrics: metrics::Metrics::new(),
        in_flight: Arc::default(),
        overlaps,
        lives,
    }));
    Router::new()
        .route(
            "/v1/users",
            get(api::users::list::<P>).post(api::users::register::<P>),
        )
        .route(
            "/v1/users/{id}",
            get(api::users::show::<P>).patch(api::users::change::<P>),
        )
        .route("/v1/users/{id}/statement", get(api::users::statement::<P>))
        .merge(linking::<P>())
        .route("/oauth/wechat/callback", get(link::finish::<P>))
        .route("/v1/events", post(api::events::post::<P>))
        .route("/v1/withdrawals", post(api::withdrawals::post::<P>))
        .route("/v1/payouts", get(api::payouts::list::<P>))
        .route("/v1/payouts/{id}", get(api::payouts::show::<P>))
        .route("/v1/payouts/{id}/receipt", get(api::payouts::receipt::<P>))
        .route("/v1/payouts/{id}/cancel", post(api::payouts::cancel::<P>))
        .route("/v1/payouts/{id}/approve", post(api::acts::approve::<P>))
        .route("/v1/payouts/{id}/refuse", post(api::acts::refuse::<P>))
        .route("/v1/payouts/{id}/resend", post(api::acts::resend::<P>))
        .route(
            "/v1/payouts/{id}/mark-paid",
            post(api::acts::mark_paid::<P>),
        )
        .route(
            "/v1/payouts/{id}/mark-unpaid",
            post(api::acts::mark_unpaid::<P>),
        )
        .route(
            "/v1/stops",
            get(api::acts::stops::<P>).post(api::acts::stop::<P>),
        )
        .route("/v1/stops/lift", post(api::acts::lift::<P>))
        .route("/v1/cases", get(api::acts::needs::<P>))
        .route("/v1/deeds", get(api::acts::deeds::<P>))
        .route("/hooks/wechat/transfer", post(hook::transfer::<P>))
        .route("/v1/bills", get(api::books::bills::<P>))
        .route("/v1/breaks", get(api::books::breaks::<P>))
        .merge(confirming::<P>())
        .merge(letters::<P>())
        .route("/v1/summary", get(api::books::summary::<P>))
        .merge(told::<P>())
        .merge(about::<P>())
        .method_not_allowed_fallback(problem::wrong_method)
        .fallback(problem::no_route)
        // Runs only for routes that exist, after the route is known.
        .route_layer(axum::middleware::from_fn_with_state(
            doors.clone(),
            auth::guard::<P>,
        ))
        .layer(DefaultBodyLimit::max(body_max))
        .layer(axum::middleware::from_fn_with_state(
            doors.clone(),
            metrics::observe::<P>,
        ))
        .with_state(doors)
}

/// How the platform is, and what it can be asked.
fn about<P: Ports>() -> Router<Doors<P>>
where
    P::Store: Alerts,
{
    Router::new()
        .route("/healthz", get(metrics::healthz))
        .route("/readyz", get(metrics::readyz::<P>))
        .route("/metrics", get(metrics::show::<P>))
        .route("/openapi.json", get(openapi::show))
}

/// Where a user confirms.
fn confirming<P: Ports>() -> Router<Doors<P>> {
    Router::new()
        .route("/v1/payouts/{id}/confirm-page", get(confirm::start::<P>))
        .route("/confirm/{id}", get(confirm::page::<P>))
        .route("/confirm/{id}/state", get(confirm::state::<P>))
}

/// What could not be credited.
fn letters<P: Ports>() -> Router<Doors<P>> {
    Router::new()
        .route("/v1/dead-letters", get(api::letters::list::<P>))
        .route("/v1/dead-letters/{id}", get(api::letters::show::<P>))
        .route(
            "/v1/dead-letters/{id}/replay",
            post(api::letters::replay::<P>),
        )
        .route(
            "/v1/dead-letters/{id}/discard",
            post(api::letters::discard::<P>),
        )
}

/// Whose wallet is whose.
fn linking<P: Ports>() -> Router<Doors<P>> {
    Router::new()
        .route("/v1/links", get(api::links::list::<P>))
        .route("/v1/users/{id}/link", post(link::start::<P>))
        .route("/v1/users/{id}/link/code", post(api::links::code::<P>))
        .route("/v1/users/{id}/link/unlink", post(api::links::unlink::<P>))
        .route("/v1/users/{id}/link/revoke", post(api::links::revoke::<P>))
        .route("/v1/users/{id}/link/allow", post(api::links::allow::<P>))
        .route(
            "/v1/users/{id}/link/refresh",
            post(api::links::refresh::<P>),
        )
        .route(
            "/v1/users/{id}/link/apply-authorization",
            post(api::links::apply_authorization::<P>),
        )
        .route(
            "/v1/users/{id}/link/close-authorization",
            post(api::links::close_authorization::<P>),
        )
}

/// What happened, and who is to hear of it.
fn told<P: Ports>() -> Router<Doors<P>> {
    Router::new()
        .route("/v1/feed", get(api::webhooks::feed::<P>))
        .route("/v1/users/{id}/messages", get(api::messages::list::<P>))
        .route(
            "/v1/users/{id}/messages/read",
            post(api::messages::read::<P>),
        )
        .route("/v1/users/{id}/stream", get(api::live::stream::<P>))
        .route(
            "/v1/webhooks",
            get(api::webhooks::list::<P>).post(api::webhooks::create::<P>),
        )
        .route(
            "/v1/webhooks/{id}",
            get(api::webhooks::show::<P>)
                .patch(api::webhooks::change::<P>)
                .delete(api::webhooks::delete::<P>),
        )
        .route("/v1/webhooks/{id}/rotate", post(api::webhooks::rotate::<P>))
        .route(
            "/v1/webhooks/{id}/deliveries",
            get(api::webhooks::deliveries::<P>),
        )
        .route("/v1/webhooks/{id}/replay", post(api::webhooks::replay::<P>))
        .route("/v1/webhooks/{id}/test", post(api::trial::send::<P>))
}
