//! What one user was told, and up to where the user read it. It is read out of the outbox: a
//! message is a notice, and nothing has to be delivered for it to be there.

use std::future::Future;

use lingqian_core::id::UserId;
use lingqian_core::notice::Told;

use crate::Fault;

/// So many unread messages are counted at most.
pub const UNREAD_MAX: u32 = 1_000;

/// Which messages of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxWish {
    /// Whose.
    pub user: UserId,
    /// Only these events.
    pub events: Vec<&'static str>,
    /// Only with numbers below this one.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

impl InboxWish {
    /// The events between blanks, as stores compare them.
    #[must_use]
    pub fn names(&self) -> String {
        format!(" {} ", self.events.join(" "))
    }
}

/// Messages of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// The newest first.
    pub page: Vec<Told>,
    /// The number up to which the user read them.
    pub read_to: i64,
    /// How many of those events the user did not read, counted up to [`UNREAD_MAX`].
    pub unread: u32,
}

/// Where messages are.
pub trait Inbox: Send + Sync + 'static {
    /// A page of messages.
    ///
    /// # Errors
    /// A fault when it could not be read; so for the other that only looks.
    fn inbox(&self, wish: InboxWish) -> impl Future<Output = Result<Messages, Fault>> + Send;

    /// All notices of a user after a number, the oldest first.
    fn notices_of(
        &self,
        user: UserId,
        after: i64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Told>, Fault>> + Send;

    /// The user read the messages up to a number. What was read stays read.
    ///
    /// # Errors
    /// A fault; the same may be given again.
    fn read_inbox(&self, user: UserId, to: i64) -> impl Future<Output = Result<(), Fault>> + Send;
}
