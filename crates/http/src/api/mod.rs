//! One file per resource, in the order in which money moves.

pub(crate) mod acts;
pub(crate) mod books;
pub(crate) mod events;
pub(crate) mod letters;
pub(crate) mod links;
pub(crate) mod live;
pub(crate) mod messages;
pub(crate) mod payouts;
pub(crate) mod stream;
pub(crate) mod trial;
pub(crate) mod users;
pub(crate) mod webhooks;
pub(crate) mod withdrawals;
