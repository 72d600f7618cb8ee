//! The app's receivers of messages: they take what they are told, or fail, or take it and do not
//! say so, or want nothing any more.

use lingqian_io::courier::{Courier, Parcel, Receipt};

use crate::dice::Dice;
use crate::fault::HookFault;
use crate::scene::{Scene, Shared, give_way};

/// Polls for which an answer is held back, so that others go on meanwhile.
const HELD_BACK: usize = 80;
/// Nobody asks to be left in peace for longer.
const PEACE_MS: i64 = 3 * 3_600_000;

/// One process's way to the receivers.
#[derive(Clone, Debug)]
pub(crate) struct SimCourier {
    pub(crate) scene: Scene,
    pub(crate) process: usize,
}

/// An answer that is not 2xx.
fn refused(code: &str, retry_after_ms: Option<i64>, gone: bool) -> Receipt {
    Receipt::NotTaken {
        code: code.to_owned(),
        retry_after_ms,
        gone,
    }
}

impl Shared {
    /// A message reaches its receiver, or not; what its sender hears, and after how many polls.
    fn receives(&mut self, parcel: &Parcel) -> (Receipt, usize) {
        let now = self.now;
        self.oracle.tried(parcel, now);
        let faults = &mut self.hook_faults;
        if faults.take(HookFault::NeverHears) {
            return (Receipt::unanswered("connect_failed"), 0);
        }
        if faults.take(HookFault::Fails) {
            return (refused("http_503", None, false), 0);
        }
        if faults.take(HookFault::WantsPeace) {
            let peace = Dice::of(11, &parcel.id).within(1_000, PEACE_MS);
            return (refused("http_429", Some(peace), false), 0);
        }
        if faults.take(HookFault::IsGone) {
            return (refused("http_410", None, true), 0);
        }
        let silent = faults.take(HookFault::TakesInSilence);
        let late = faults.take(HookFault::AnswersLate);
        self.oracle.taken(&parcel.id);
        self.tell(|| format!("  a receiver takes {}", parcel.id));
        let receipt = if silent {
            Receipt::unanswered("timeout")
        } else {
            Receipt::Taken
        };
        (receipt, if late { HELD_BACK } else { 0 })
    }
}

impl Courier for SimCourier {
    async fn deliver(&self, parcel: Parcel) -> Receipt {
        self.scene.moment(self.process).await;
        let (receipt, polls) = self.scene.lock().receives(&parcel);
        for _ in 0..polls {
            give_way().await;
        }
        self.scene.moment(self.process).await;
        receipt
    }
}
