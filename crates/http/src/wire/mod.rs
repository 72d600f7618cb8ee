//! Texts that cross the wire, in both directions.

pub mod control;
pub mod event;
pub mod lines;
pub mod link;
pub(crate) mod message;
pub(crate) mod result;
pub mod webhook;

pub use message::title;

use lingqian_core::time::Timestamp;

/// A moment in RFC 3339, in UTC.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .unwrap_or_default()
        .to_string()
}
