//! A store that takes so many times as long for every batch of events: what an overload does to
//! whoever feeds it is measured with it.

use std::time::Instant;

use lingqian_core::id::PayoutId;
use lingqian_core::time::Timestamp;
use lingqian_core::{Changes, EventBatch, Facts, Keys, Notes};
use lingqian_io::Fault;
use lingqian_io::store::{Audited, Claim, Committed, EventAnswer, Store};

/// A store and how many times as long it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slow<S> {
    /// The store itself.
    pub(crate) store: S,
    /// Once is the store as it is.
    pub(crate) times: u32,
}

impl<S: Store> Store for Slow<S> {
    async fn prefetch(&self, keys: Keys) -> Result<Facts, Fault> {
        self.store.prefetch(keys).await
    }

    async fn commit(&self, basis: u64, changes: Changes) -> Result<Committed, Fault> {
        self.store.commit(basis, changes).await
    }

    async fn earn(&self, now: Timestamp, events: EventBatch) -> Result<Vec<EventAnswer>, Fault> {
        let began = Instant::now();
        let answers = self.store.earn(now, events).await?;
        let more = began.elapsed() * self.times.saturating_sub(1);
        tokio::time::sleep(more).await;
        Ok(answers)
    }

    async fn note(&self, notes: Notes) -> Result<(), Fault> {
        self.store.note(notes).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<PayoutId>, Fault> {
        self.store.claim(claim).await
    }

    async fn audit(&self) -> Result<Audited, Fault> {
        self.store.audit().await
    }
}
