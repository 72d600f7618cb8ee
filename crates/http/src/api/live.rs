//! Server-sent events for one user: what happens to payouts and links as it happens, and the
//! balance whenever it is another one.
//!
//! A stream reads the books once a second; nothing is pushed to it and nothing waits for it, so a
//! reader who is slow or gone costs nothing but its place. It ends after a while, so that a key
//! which was withdrawn is not good for ever, and goes on where it was by `Last-Event-ID`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use lingqian_core::id::UserId;
use lingqian_engine::notify::message;
use lingqian_io::{Browse as _, Clock as _, Fault, Inbox as _, Outbox as _, Ports};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use crate::api::messages::known;
use crate::api::users::balances;
use crate::{Doors, Problem};

/// How streams of users are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lives {
    /// So many may be open.
    pub open_max: usize,
    /// How long apart each reads the books.
    pub rest: Duration,
    /// One that has nothing to say says so after this.
    pub heartbeat: Duration,
    /// For how long one goes on.
    pub life: Duration,
}

impl Default for Lives {
    fn default() -> Self {
        Lives {
            open_max: 256,
            rest: Duration::from_secs(1),
            heartbeat: Duration::from_secs(15),
            life: Duration::from_secs(600),
        }
    }
}

/// After this the other side comes again, when a stream ended.
const COME_AGAIN: Duration = Duration::from_secs(2);
/// So many notices are read at a time.
const PAGE: u32 = 100;

struct Live<P: Ports> {
    doors: Doors<P>,
    user: UserId,
    after: i64,
    balance: String,
    waiting: VecDeque<Event>,
    spoke_at: Instant,
    began_at: Instant,
    rests: bool,
    /// Its place among the streams.
    _place: OwnedSemaphorePermit,
}

/// Tells a user's balance and payouts as they change.
pub(crate) async fn stream<P: Ports>(
    State(doors): State<Doors<P>>,
    Path(user): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let newest = doors.ports.store().newest_notice().await?;
    let after = match headers.get("last-event-id") {
        None => newest,
        Some(value) => {
            let number = value.to_str().ok().and_then(|text| text.parse().ok());
            let number = number.filter(|number| (0..=newest).contains(number));
            let detail = "hand back the id of the last event as it came";
            let wrong = || Problem::field("Last-Event-ID", "last_event_id_invalid", detail);
            number.ok_or_else(wrong)?
        }
    };
    let user = known(&doors, &user).await?;
    let Ok(place) = doors.lives.clone().try_acquire_owned() else {
        let detail = "as many streams are open as there may be; come again later";
        return Err(Problem::new(503, "too_many_streams", detail));
    };
    let now = Instant::now();
    let first = Event::default().retry(COME_AGAIN).comment("hello");
    let live = Live {
        doors,
        user,
        after,
        balance: String::new(),
        waiting: VecDeque::from([first]),
        spoke_at: now,
        began_at: now,
        rests: false,
        _place: place,
    };
    let events = stream::unfold(live, |mut live| async move {
        let event = live.next().await?;
        Some((Ok::<Event, Infallible>(event), live))
    });
    let mut response = Sse::new(events).into_response();
    // Whatever stands between must not gather what is told.
    let quick = HeaderValue::from_static("no");
    response.headers_mut().insert("x-accel-buffering", quick);
    let fresh = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, fresh);
    Ok(response)
}

impl<P: Ports> Live<P> {
    /// The next event, when there is one; nothing at the end.
    async fn next(&mut self) -> Option<Event> {
        let Lives {
            rest,
            heartbeat,
            life,
            ..
        } = self.doors.settings.lives;
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.spoke_at = Instant::now();
                return Some(event);
            }
            if self.began_at.elapsed() >= life {
                return None;
            }
            if std::mem::replace(&mut self.rests, true) {
                tokio::time::sleep(rest).await;
            }
            if let Err(fault) = self.look().await {
                // The other side comes again and goes on where it was.
                tracing::warn!(%fault, "a stream of a user ended");
                return None;
            }
            if self.waiting.is_empty() && self.spoke_at.elapsed() >= heartbeat {
                self.waiting
                    .push_back(Event::default().comment("heartbeat"));
            }
        }
    }

    async fn look(&mut self) -> Result<(), Fault> {
        let (store, today) = (
            self.doors.ports.store(),
            self.doors.ports.clock().business().business_date(),
        );
        let told = store.notices_of(self.user.clone(), self.after, PAGE);
        let told = told.await?;
        // What is told first is in the balance that is told after it.
        let wallet = store.user(&self.user, today).await?;
        self.rests = told.len() < PAGE as usize;
        for told in &told {
            let event = Event::default().event(told.notice.event.name());
            let event = event.id(told.number.to_string()).data(message(told));
            self.waiting.push_back(event);
            self.after = told.number;
        }
        let balance = wallet.map(|wallet| Value::Object(balances(&wallet, today)).to_string());
        if let Some(balance) = balance.filter(|balance| *balance != self.balance) {
            let event = Event::default().event("balance").data(&balance);
            self.waiting.push_back(event);
            self.balance = balance;
        }
        Ok(())
    }
}
