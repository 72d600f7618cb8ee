//! What all futures of the pretend world share: the moment, WeChat, the onlooker, and how each
//! process is doing. One thread looks at it at a time, so the lock never waits.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use lingqian_core::time::Timestamp;

use crate::fault::{HookFault, StoreFault};
use crate::faults::Pending;
use crate::model::Model;
use crate::oracle::Oracle;
use crate::tasks::Label;
use crate::wechat::Wechat;

/// How a process is doing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Life {
    /// Side effects before and after which it could have died.
    pub(crate) moments: u64,
    /// At which of them it dies.
    pub(crate) fuse: Option<u64>,
    /// Whether it has reached it.
    pub(crate) dying: bool,
}

/// What is shared.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The true moment, which no process sees.
    pub(crate) now: Timestamp,
    pub(crate) wechat: Wechat,
    pub(crate) oracle: Oracle,
    pub(crate) model: Model,
    pub(crate) store_faults: Pending<StoreFault>,
    pub(crate) hook_faults: Pending<HookFault>,
    pub(crate) lives: Vec<Life>,
    /// What happened, one line each; nothing is written unless somebody wants to read it.
    pub(crate) trace: Option<Vec<String>>,
    pub(crate) moments: u64,
    /// Requests and notifications that came to an end, and whether they must come again.
    pub(crate) inbox: Vec<(Label, bool)>,
}

impl Shared {
    /// Writes a line, if anybody reads.
    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }

    /// Lets the onlooker hear what WeChat just did.
    pub(crate) fn hear(&mut self) {
        for news in std::mem::take(&mut self.wechat.news) {
            if let crate::wechat::News::Moved(number, stand) = &news {
                let (number, stand) = (*number, *stand);
                if self.trace.is_some() {
                    let mut line =
                        format!("  wechat: {} is ", self.oracle.name_of(number.payout()));
                    let _ = write!(line, "{}", stand.word());
                    self.tell(|| line);
                }
            }
            let Shared { oracle, wechat, .. } = self;
            oracle.hears(&news, wechat);
        }
    }
}

/// A handle to what is shared.
#[derive(Clone, Debug)]
pub(crate) struct Scene(Arc<Mutex<Shared>>);

impl Scene {
    pub(crate) fn new(shared: Shared) -> Scene {
        Scene(Arc::new(Mutex::new(shared)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A moment at which a process may die: just before or after something happens outside of
    /// it. Whoever dies here never goes on.
    pub(crate) async fn moment(&self, process: usize) {
        let mut counted = false;
        std::future::poll_fn(|context| {
            if counted {
                return Poll::Ready(());
            }
            counted = true;
            let mut shared = self.lock();
            shared.moments += 1;
            let Some(life) = shared.lives.get_mut(process) else {
                return Poll::Ready(());
            };
            life.moments += 1;
            if life.fuse.is_some_and(|fuse| life.moments >= fuse) {
                life.dying = true;
            } else {
                context.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await;
    }
}

/// Lets others run, without a moment of one's own.
pub(crate) async fn give_way() {
    let mut gave_way = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
