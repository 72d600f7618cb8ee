//! A store that answers at once and keeps nothing: what is measured with it is the bench itself.

use lingqian_core::earning::Credited;
use lingqian_core::id::PayoutId;
use lingqian_core::money::Micros;
use lingqian_core::time::Timestamp;
use lingqian_core::{Changes, EventBatch, Facts, Keys};
use lingqian_io::Fault;
use lingqian_io::store::{Audited, Claim, Committed, EventAnswer, Store};

/// Says yes to every event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nothing;

impl Store for Nothing {
    async fn prefetch(&self, _keys: Keys) -> Result<Facts, Fault> {
        Ok(Facts::default())
    }

    async fn commit(&self, _basis: u64, _changes: Changes) -> Result<Committed, Fault> {
        Ok(Committed::Done)
    }

    async fn earn(&self, _now: Timestamp, events: EventBatch) -> Result<Vec<EventAnswer>, Fault> {
        let amount = |amount: Option<Micros>| amount.unwrap_or(Micros::ZERO);
        let answers = events
            .iter()
            .map(|event| Ok(Credited::Now(amount(event.amount))));
        Ok(answers.collect())
    }

    async fn claim(&self, _claim: Claim) -> Result<Vec<PayoutId>, Fault> {
        Ok(Vec::new())
    }

    async fn audit(&self) -> Result<Audited, Fault> {
        Ok(Audited::default())
    }
}
