//! Calls of one process, one behind the other, though the next begins before the last has ended.

use std::sync::Arc;

use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use crate::ahead::After;

/// Whose turn it is, and what is still to be heard of whoever had it last.
#[derive(Default)]
pub(crate) struct Turns {
    last: Arc<Mutex<Option<Before>>>,
}

/// What is to be heard of a call: whether its first try succeeded, and that it is over.
pub(crate) struct Before {
    /// Nothing once it is known that it did not.
    succeeded: Option<oneshot::Receiver<bool>>,
    ended: oneshot::Receiver<()>,
    /// How the books are once it is over, if it succeeds.
    after: Option<Arc<After>>,
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
        succeeded: Some(succeeded),
        ended,
        after: None,
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
    /// How the call before is about to leave the books, if it is not over.
    pub(crate) fn before(&mut self) -> Option<Arc<After>> {
        let before = self.last.as_mut()?;
        match before.succeeded.as_mut()?.try_recv() {
            Ok(true) => {
                *self.last = None;
                None
            }
            Ok(false) | Err(TryRecvError::Closed) => {
                before.succeeded = None;
                None
            }
            Err(TryRecvError::Empty) => before.after.clone(),
        }
    }

    /// Whether nothing is to be feared of the call before: it is written.
    pub(crate) async fn before_succeeded(&mut self) -> bool {
        let Some(before) = self.last.as_mut() else {
            return true;
        };
        if let Some(succeeded) = before.succeeded.take()
            && succeeded.await == Ok(true)
        {
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

    /// Lets the next call begin, which will hear of this one and of how it leaves the books.
    pub(crate) fn pass(mut self, this: Before, after: After) {
        let after = Some(Arc::new(after));
        *self.last = Some(Before { after, ..this });
    }
}
