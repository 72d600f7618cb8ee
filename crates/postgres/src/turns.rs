//! Calls of one process, one behind the other, though the next begins before the last has ended.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use crate::chain::EventKey;

/// Whose turn it is, and what is still to be heard of whoever had it last.
#[derive(Default)]
pub(crate) struct Turns {
    last: Arc<Mutex<Option<Before>>>,
}

/// What is to be heard of a call: whether its first try succeeded, and that it is over.
pub(crate) struct Before {
    succeeded: oneshot::Receiver<bool>,
    ended: oneshot::Receiver<()>,
    /// The events that it books, in their order.
    booked: Vec<EventKey>,
}

/// Tells the next call about this one. Dropped unsaid it says that the try failed.
pub(crate) struct Told {
    first: Option<oneshot::Sender<bool>>,
    _end: oneshot::Sender<()>,
}

/// Both ends.
pub(crate) fn pair() -> (Told, Before) {
    let (first, succeeded) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let told = Told {
        first: Some(first),
        _end: end,
    };
    let before = Before {
        succeeded,
        ended,
        booked: Vec::new(),
    };
    (told, before)
}

impl Told {
    /// What the first try is to be told with.
    pub(crate) fn take(&mut self) -> Option<oneshot::Sender<bool>> {
        self.first.take()
    }
}

/// A turn that is held; nobody else begins. Given back unsaid, whatever is to be heard of the
/// call before it is left for the next.
pub(crate) struct Turn {
    last: OwnedMutexGuard<Option<Before>>,
}

impl Turns {
    /// Waits for the turn, in the order of asking.
    pub(crate) async fn take(&self) -> Turn {
        Turn {
            last: Arc::clone(&self.last).lock_owned().await,
        }
    }
}

impl Turn {
    /// The events that the call before books, in their order: they may not be there to see yet.
    pub(crate) fn booked_before(&self) -> &[EventKey] {
        self.last.as_ref().map_or(&[], |before| &before.booked)
    }

    /// Whether nothing is to be feared of the call before: it is written.
    pub(crate) async fn before_succeeded(&mut self) -> bool {
        let Some(before) = self.last.as_mut() else {
            return true;
        };
        if (&mut before.succeeded).await == Ok(true) {
            *self.last = None;
            return true;
        }
        false
    }

    /// Waits until the call before is over, whatever came of it.
    pub(crate) async fn before_ended(&mut self) {
        if let Some(before) = self.last.take() {
            // It says so by going away.
            let _ = before.ended.await;
        }
    }

    /// Lets the next call begin, which will hear of this one and of the events that it books.
    pub(crate) fn pass(mut self, this: Before, mut booked: Vec<EventKey>) {
        booked.sort_unstable();
        *self.last = Some(Before { booked, ..this });
    }
}
