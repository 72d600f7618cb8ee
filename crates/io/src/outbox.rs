//! The outbox: what was told, who is to hear of it, and what is still to be delivered to whom.
//!
//! Notices are written by [`crate::Store::commit`], in the commit of what they tell. Everything
//! here reads them, or keeps the state of their delivery. What is absent: sending.

use std::future::Future;

use lingqian_core::endpoint::{Endpoint, EndpointId};
use lingqian_core::notice::Told;
use lingqian_core::time::Timestamp;

use crate::Fault;

/// How an endpoint has been doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The notice up to which deliveries were planned.
    pub planned_to: i64,
    /// Deliveries that wait or are under way.
    pub pending: u64,
    /// Deliveries that were given up.
    pub given_up: u64,
    /// Failures in a row.
    pub failures: u32,
    /// Nothing is sent before this moment.
    pub paused_until: Option<Timestamp>,
    /// When a message was last taken.
    pub delivered_at: Option<Timestamp>,
    /// When one last was not.
    pub failed_at: Option<Timestamp>,
    /// What happened then, as a code.
    pub failed_with: Option<String>,
}

impl Health {
    /// What of the notices `first` to `last` can be delivered again: after which number, and how
    /// many. What was not planned yet comes by itself.
    #[must_use]
    pub fn replayed(&self, (first, last): (i64, i64)) -> (i64, u32) {
        let (first, last) = (first.max(1), last.min(self.planned_to));
        let count = last.saturating_sub(first).saturating_add(1).max(0);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        (first.saturating_sub(1), count)
    }

    /// An endpoint as another store commits it: it begins with what it did not take, the first of
    /// which has the number `open`.
    #[must_use]
    pub fn copied(&self, endpoint: Endpoint, open: Option<i64>) -> Endpoint {
        let taken = open.map(|open| open.saturating_sub(1));
        Endpoint {
            after: Some(taken.unwrap_or(self.planned_to)),
            ..endpoint
        }
    }
}

/// A wish for messages that are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What is due at this moment.
    pub now: Timestamp,
    /// Nobody else gets the same messages before this moment.
    pub lease_until: Timestamp,
    /// At most so many.
    pub limit: u32,
}

/// A wish to be the one process that publishes to a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkLease {
    /// The sink.
    pub sink: String,
    /// Who asks: a name that no other process has.
    pub holder: String,
    /// When.
    pub now: Timestamp,
    /// Nobody else gets it before this moment. Where that is not after `now`, it is given back.
    pub until: Timestamp,
}

/// A message that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// To whom.
    pub endpoint: EndpointId,
    /// What.
    pub told: Told,
    /// How often it was tried.
    pub tries: u32,
    /// When it was first tried.
    pub first_at: Option<Timestamp>,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was taken.
    Delivered,
    /// It was not; it is tried again at this moment.
    Again(Timestamp),
    /// It was not, and is not tried again unless somebody asks for it.
    GivenUp,
}

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// To whom.
    pub endpoint: EndpointId,
    /// Which notice.
    pub number: i64,
    /// When it was tried.
    pub at: Timestamp,
    /// How it ended.
    pub ended: Ended,
    /// A code for people: a status such as `http_503`, or a word such as `timeout`.
    pub code: String,
    /// Nothing else is sent there before this moment.
    pub pause_until: Option<Timestamp>,
    /// The endpoint wants nothing any more.
    pub turns_off: bool,
}

/// A delivery as people look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryLine {
    /// Which notice.
    pub number: i64,
    /// How often it was tried.
    pub tries: u32,
    /// When it was first tried.
    pub first_at: Option<Timestamp>,
    /// When it is tried next; nothing when it was given up.
    pub due_at: Option<Timestamp>,
    /// What the last try ended with.
    pub code: Option<String>,
}

/// Where notices and their deliveries are.
pub trait Outbox: Send + Sync + 'static {
    /// Notices by rising number after `after`. Whoever has seen a number will never find a new
    /// one below it.
    ///
    /// # Errors
    /// A fault when it could not be read; so for all that only look.
    fn notices(
        &self,
        after: i64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Told>, Fault>> + Send;

    /// The number of the newest notice; zero where there is none.
    fn newest_notice(&self) -> impl Future<Output = Result<i64, Fault>> + Send;

    /// The endpoints that were not deleted, by name.
    fn endpoints(&self) -> impl Future<Output = Result<Vec<(Endpoint, Health)>, Fault>> + Send;

    /// Deliveries to an endpoint that wait or were given up, by rising number after `after`.
    fn deliveries(
        &self,
        endpoint: &EndpointId,
        after: i64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<DeliveryLine>, Fault>> + Send;

    /// Goes on through the notices for each endpoint that is on, and makes a delivery of each
    /// that it wants; looks at `limit` notices for each at most. Tells how many it looked at.
    ///
    /// # Errors
    /// A fault; doing it again changes nothing that was done.
    fn plan(&self, now: Timestamp, limit: u32) -> impl Future<Output = Result<u64, Fault>> + Send;

    /// Leases messages that are due, the oldest first: none to an endpoint that is off or pauses,
    /// and none while an earlier one of the same lane waits for the same endpoint.
    ///
    /// # Errors
    /// A fault; nothing was leased.
    fn claim_deliveries(
        &self,
        wish: Wish,
    ) -> impl Future<Output = Result<Vec<Delivery>, Fault>> + Send;

    /// Keeps what came of tries. One that nobody knows any more changes nothing.
    ///
    /// # Errors
    /// A fault; the same may be given again.
    fn report_deliveries(
        &self,
        reports: Vec<Report>,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Leases a sink to whoever holds it already, or to anybody if nobody does or its lease has
    /// ended. Tells whether it is the holder's now.
    ///
    /// # Errors
    /// A fault; it may or may not be leased.
    fn lease_sink(&self, lease: SinkLease) -> impl Future<Output = Result<bool, Fault>> + Send;

    /// Has the notices from `first` to `last` delivered to an endpoint again, as far as it wants
    /// such events and they were told before: those that wait become due. Tells how many.
    ///
    /// # Errors
    /// A fault; doing it again does not deliver more than once what still waits.
    fn replay(
        &self,
        endpoint: &EndpointId,
        numbers: (i64, i64),
        now: Timestamp,
    ) -> impl Future<Output = Result<u64, Fault>> + Send;
}
