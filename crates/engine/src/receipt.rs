//! The electronic receipt of a payout that was paid.

use lingqian_core::id::PayoutId;
use lingqian_core::payout::State;
use lingqian_io::rail::Receipt;
use lingqian_io::{Browse, Fault, Ports, Rail};

/// What came of asking for a payout's receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sought {
    /// There is no such payout.
    NoPayout,
    /// It is in this state: only what was paid has a receipt.
    NotPaid(&'static str),
    /// What WeChat says.
    Told(Receipt),
}

/// Gets it from where it is kept, or from WeChat. The books are only read.
///
/// # Errors
/// A fault of the store, or when WeChat does not answer.
pub async fn receipt<P: Ports>(ports: &P, payout: PayoutId) -> Result<Sought, Fault> {
    let Some(story) = ports.store().payout(payout).await? else {
        return Ok(Sought::NoPayout);
    };
    match &story.row.payout.state {
        State::Paid(attempt, _) => {
            let told = ports.rail().receipt(&attempt.order).await?;
            Ok(Sought::Told(told))
        }
        state => Ok(Sought::NotPaid(state.name())),
    }
}
