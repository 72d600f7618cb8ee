//! Whether it lives, whether it can work, and numbers for Prometheus. No number names a person.

mod alerts;

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use lingqian_core::endpoint::Endpoint;
use lingqian_core::ledger::Account;
use lingqian_core::money::Fen;
use lingqian_core::time::Timestamp;
use lingqian_engine::board::Seen;
use lingqian_io::Fault;
use lingqian_io::outbox::Health;
use lingqian_io::{Alerts, Browse as _, Dice as _, Outbox as _, Ports};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tracing::Instrument as _;

use crate::wire::result::Counts;
use crate::{Doors, Problem, routes};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    method: &'static str,
    route: &'static str,
    status: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Timed {
    name: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stopped {
    scope: String,
    cause: &'static str,
}

/// A number of an endpoint of webhooks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AtEndpoint {
    endpoint: String,
    what: &'static str,
}

/// A number of a source or a sink.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AtBroker {
    of: String,
    what: &'static str,
}

fn waits() -> Histogram {
    Histogram::new([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0])
}

/// The method, or that it is none of ours: whoever invents methods makes no numbers.
fn known(method: &str) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PATCH"];
    known
        .into_iter()
        .find(|name| *name == method)
        .unwrap_or("other")
}

/// What is counted.
pub(crate) struct Metrics {
    registry: Registry,
    calls: Family<Call, Counter<u64, AtomicU64>>,
    seconds: Family<Timed, Histogram, fn() -> Histogram>,
    /// Credited, duplicates, rejected.
    events: [Counter<u64, AtomicU64>; 3],
    notifications: Family<Named, Counter<u64, AtomicU64>>,
    payouts: Family<Named, Gauge>,
    waiting: Family<Named, Gauge>,
    balances: Family<Named, Gauge>,
    stops: Family<Stopped, Gauge>,
    open_breaks: Gauge,
    dead_letters: Gauge,
    passes: Family<Named, Gauge>,
    brokers: Family<AtBroker, Gauge>,
    webhooks: Family<AtEndpoint, Gauge>,
    alerts: alerts::Alerts,
}

impl Metrics {
    /// Nothing counted yet.
    pub(crate) fn new() -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("lingqian"),
            calls: Family::default(),
            seconds: Family::new_with_constructor(waits),
            events: Default::default(),
            notifications: Family::default(),
            payouts: Family::default(),
            waiting: Family::default(),
            balances: Family::default(),
            stops: Family::default(),
            open_breaks: Gauge::default(),
            dead_letters: Gauge::default(),
            passes: Family::default(),
            brokers: Family::default(),
            webhooks: Family::default(),
            alerts: Family::default(),
        };
        let Metrics {
            registry,
            calls,
            seconds,
            events,
            notifications,
            ..
        } = &mut metrics;
        registry.register(
            "http_requests",
            "Requests by route and status",
            calls.clone(),
        );
        registry.register("http_seconds", "How long requests took", seconds.clone());
        let family: Family<Named, Counter<u64, AtomicU64>> = Family::default();
        *events = ["credited", "duplicate", "rejected"].map(|name| {
            let name = name.into();
            family.get_or_create(&Named { name }).clone()
        });
        registry.register("events", "Earning events by result", family);
        registry.register(
            "notifications",
            "Notifications by result",
            notifications.clone(),
        );
        let Metrics {
            registry,
            payouts,
            waiting,
            balances,
            open_breaks,
            dead_letters,
            ..
        } = &mut metrics;
        registry.register("payouts", "Payouts by state", payouts.clone());
        registry.register("waiting", "Payouts that wait, by queue", waiting.clone());
        registry.register(
            "balance_micros",
            "Balances of system accounts",
            balances.clone(),
        );
        registry.register(
            "open_breaks",
            "Breaks that a person must look at",
            open_breaks.clone(),
        );
        registry.register(
            "dead_letters",
            "Inputs that were not credited",
            dead_letters.clone(),
        );
        metrics.register_rest();
        metrics
    }

    fn register_rest(&mut self) {
        let help = "Stops in force, by scope and cause; each since so many seconds of Unix time";
        self.registry
            .register("stop_since_seconds", help, self.stops.clone());
        let help = "What the auditor saw, and how the money at WeChat stands";
        self.registry.register("passes", help, self.passes.clone());
        let help = "What sources read and sinks published since the start, and how they stand";
        self.registry
            .register("brokers", help, self.brokers.clone());
        let help = "How endpoints of webhooks are doing";
        self.registry
            .register("webhooks", help, self.webhooks.clone());
        self.registry
            .register("alerts", alerts::HELP, self.alerts.clone());
    }

    /// Events came in.
    pub(crate) fn ingested(&self, counts: Counts) {
        let Counts {
            credited,
            duplicates,
            rejected,
        } = counts;
        let counted = [credited, duplicates, rejected];
        for (counter, count) in self.events.iter().zip(counted) {
            counter.inc_by(count);
        }
    }

    /// A notification came in.
    pub(crate) fn notification(&self, result: &str) {
        self.notifications
            .get_or_create(&Named {
                name: result.into(),
            })
            .inc();
    }
}

/// Counts, names and traces every request.
pub(crate) async fn observe<P: Ports>(
    State(doors): State<Doors<P>>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let method = known(request.method().as_str());
    let uri = request.uri().clone();
    let path = request.extensions().get::<MatchedPath>();
    let route = path.and_then(|path| routes::known(path.as_str()));
    let given = request
        .headers()
        .get("request-id")
        .and_then(|id| id.to_str().ok());
    let sane = |id: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (1..=64).contains(&id.len()) && id.bytes().all(plain)
    };
    let id = given.filter(sane).map(str::to_owned);
    let id = id.unwrap_or_else(|| format!("rq_{:026x}", doors.ports.dice().roll() >> 24));
    let span = tracing::info_span!("request", request_id = id);
    let response = next.run(request).instrument(span).await;
    let mut response = Problem::name(response, uri.path(), &id);
    let status = response.status().as_u16();
    if let Ok(value) = HeaderValue::from_str(&id) {
        response
            .headers_mut()
            .insert(HeaderName::from_static("request-id"), value);
    }
    let took = began.elapsed();
    let route = route.unwrap_or("none");
    tracing::debug!(
        request_id = id,
        method,
        route,
        status,
        ms = took.as_millis(),
        "answered"
    );
    let timed = Timed { name: route };
    let seconds = doors.metrics.seconds.get_or_create(&timed);
    seconds.observe(took.as_secs_f64());
    let call = Call {
        method,
        route,
        status: status.into(),
    };
    doors.metrics.calls.get_or_create(&call).inc();
    response
}

/// What is known of the auditor's work and of the money at WeChat.
fn passes(seen: &Seen) -> Vec<(String, i64)> {
    let counts = [
        ("audited_payouts", seen.audited_payouts.cast_signed()),
        ("audited_users", seen.audited_users.cast_signed()),
        ("audit_rounds", seen.audit_rounds.cast_signed()),
        ("audit_findings", seen.audit_findings.cast_signed()),
    ];
    let mut all: Vec<(String, i64)> = Vec::new();
    let mut add = |name: &str, value: i64| all.push((name.to_owned(), value));
    counts.iter().for_each(|(name, count)| add(name, *count));
    let ages = [
        ("oldest_unknown_seconds", seen.ages.unknown_ms),
        ("oldest_review_seconds", seen.ages.review_ms),
        ("clearing_age_seconds", seen.ages.clearing_ms),
    ];
    for (name, ms) in ages {
        add(name, ms.unwrap_or(0) / 1_000);
    }
    if let Some(float) = &seen.float {
        add("float_in_flight_fen", float.in_flight.0);
        add("float_hourly_fen", float.hourly.0);
        let mut left = |of: &str, left: Option<Fen>, lasts_ms: Option<i64>| {
            if let Some(left) = left {
                add(&format!("float_left_fen{of}"), left.0);
            }
            if let Some(ms) = lasts_ms {
                add(&format!("float_lasts_seconds{of}"), ms / 1_000);
            }
        };
        left("", float.left, float.lasts_ms());
        for merchant in &float.merchants {
            let of = format!(":{}", merchant.mchid);
            left(&of, merchant.left(), merchant.lasts_ms());
        }
    }
    for (mchid, way) in &seen.ways {
        if let Some(ms) = way.skew_ms {
            all.push((format!("clock_skew_ms:{mchid}"), ms));
        }
        all.push((format!("too_fast:{mchid}"), way.slowed.cast_signed()));
    }
    all
}

/// One that was deleted is not there any more.
fn endpoints(metrics: &Metrics, all: &[(Endpoint, Health)]) {
    metrics.webhooks.clear();
    for (endpoint, health) in all {
        for (what, value) in of_endpoint(endpoint, health) {
            let endpoint = endpoint.id.to_string();
            let label = AtEndpoint { endpoint, what };
            metrics.webhooks.get_or_create(&label).set(value);
        }
    }
}

/// How an endpoint is doing; moments in seconds of Unix time, zero where there was none.
fn of_endpoint(endpoint: &Endpoint, health: &Health) -> [(&'static str, i64); 6] {
    let seconds = |at: Option<Timestamp>| at.map_or(0, |at| at.0 / 1_000);
    [
        ("on", i64::from(endpoint.off.is_none())),
        ("pending", health.pending.cast_signed()),
        ("given_up", health.given_up.cast_signed()),
        ("failures", i64::from(health.failures)),
        ("delivered_at_seconds", seconds(health.delivered_at)),
        ("failed_at_seconds", seconds(health.failed_at)),
    ]
}

/// The process lives.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// The store answers, and would write.
pub(crate) async fn readyz<P: Ports>(State(doors): State<Doors<P>>) -> Response {
    let store = doors.ports.store();
    let ready = match store.merchants().await {
        Ok(_) => store.sound().await,
        Err(fault) => Err(fault),
    };
    let Err(fault) = ready else {
        return "ready\n".into_response();
    };
    tracing::error!(%fault, "the store does not answer");
    let words = match fault {
        Fault::Damaged(_) => "the books are damaged: the log says where\n",
        _ => "the store does not answer\n",
    };
    (StatusCode::SERVICE_UNAVAILABLE, words).into_response()
}

/// Everything that is counted, with the books as they are now.
pub(crate) async fn show<P: Ports>(State(doors): State<Doors<P>>) -> Result<Response, Problem>
where
    P::Store: Alerts,
{
    let summary = doors.ports.store().summary().await?;
    let metrics = &doors.metrics;
    let gauge = |family: &Family<Named, Gauge>, name: &str, value: i64| {
        family
            .get_or_create(&Named {
                name: name.to_owned(),
            })
            .set(value);
    };
    for state in lingqian_core::payout::State::NAMES {
        let found = summary.payouts.iter().find(|(name, ..)| name == state);
        gauge(
            &metrics.payouts,
            state,
            found.map_or(0, |(_, count, _)| count.cast_signed()),
        );
    }
    for (name, value) in passes(&doors.settings.board.seen()) {
        gauge(&metrics.passes, &name, value);
    }
    for (of, figures) in doors.settings.board.figures() {
        for (what, value) in figures {
            let label = AtBroker {
                of: of.clone(),
                what,
            };
            metrics.brokers.get_or_create(&label).set(value);
        }
    }
    for queue in lingqian_core::payout::Queue::ALL {
        let found = summary
            .waiting
            .iter()
            .find(|(waiting, _)| *waiting == queue);
        gauge(
            &metrics.waiting,
            queue.name(),
            found.map_or(0, |(_, count)| count.cast_signed()),
        );
    }
    for (account, balance) in &summary.accounts {
        match account {
            Account::Clearing(no) => {
                gauge(&metrics.balances, &format!("clearing:{}", no.0), balance.0);
            }
            Account::Float(no) => gauge(&metrics.balances, &format!("float:{}", no.0), balance.0),
            Account::Suspense => gauge(&metrics.balances, "suspense", balance.0),
            _ => {}
        }
    }
    // One that was lifted is not there any more.
    metrics.stops.clear();
    for stop in doors.ports.store().stops().await? {
        let (scope, cause) = (stop.scope.to_string(), stop.cause.name());
        let stopped = metrics.stops.get_or_create(&Stopped { scope, cause });
        stopped.set(stop.since.0 / 1_000);
    }
    endpoints(metrics, &doors.ports.store().endpoints().await?);
    alerts::show(&metrics.alerts, &doors.ports.store().alerts().await?);
    metrics.open_breaks.set(summary.open_breaks.cast_signed());
    metrics.dead_letters.set(summary.dead_letters.cast_signed());
    let mut text = String::new();
    encode(&mut text, &metrics.registry)
        .map_err(|_| Problem::new(500, "broken", "the numbers could not be written"))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
