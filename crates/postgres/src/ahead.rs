//! Deciding ahead: what a batch may rest on while the one before it is still being written.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lingqian_core::earning::KindDay;

use crate::accounts::Accounts;
use crate::chain::EventKey;
use crate::events::Known;
use crate::journal::End;

/// How a batch leaves the books, told before it is durable: it counts once the chain ends with it.
pub(crate) struct After {
    pub(crate) end: End,
    /// The accounts that it moves.
    pub(crate) accounts: BTreeMap<i64, Accounts>,
    /// The events that it books, and those of which it takes something back.
    pub(crate) known: HashMap<EventKey, Known>,
    /// By user and kind.
    pub(crate) kind_days: BTreeMap<(i64, i64), KindDay>,
    /// By user and day, in micro-yuan.
    pub(crate) cooling: BTreeMap<(i64, i32), i64>,
}

/// What a try to book a batch rests on.
pub(crate) enum Stand {
    /// On what is read before the end of the chain is in hand, and on what the batch before leaves,
    /// where there is one under way. If the chain ends otherwise than was thought it is read again.
    Ahead(Option<Arc<After>>),
    /// On what is read with the end of the chain in hand: somebody came in between before.
    Held,
}
