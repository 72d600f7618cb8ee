//! How long the oldest of what should not grow old has waited.

use lingqian_core::id::PayoutId;
use lingqian_core::money::Fen;
use lingqian_core::payout::State;
use lingqian_core::time::Timestamp;
use lingqian_io::store::{PayoutFilter, PayoutRow};
use lingqian_io::{Browse, Clock, Fault, Ports};

use crate::Limits;
use crate::float::Float;

/// So many pages of a state are looked at; more of them is a figure that is too low, and a number
/// of payouts in that state that says enough.
const PAGES_MAX: u32 = 20;

/// Ages in milliseconds; none where there is nothing of the sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ages {
    /// Since the first send of the oldest payout that is unknown.
    pub unknown_ms: Option<i64>,
    /// Since the request of the oldest payout that people should look at.
    pub review_ms: Option<i64>,
    /// Since the end of the last day whose bill was closed: what was paid later is on no bill yet.
    /// Of several merchants the one counts whose money has waited longest.
    pub clearing_ms: Option<i64>,
}

/// Looks for the oldest; how far bills are closed is known from the money at WeChat.
///
/// # Errors
/// A fault when the books could not be read.
pub async fn ages<P: Ports>(ports: &P, limits: &Limits, float: &Float) -> Result<Ages, Fault> {
    let now = ports.clock().business();
    let sent = |row: &PayoutRow| match &row.payout.state {
        State::Unknown(attempt, _) => attempt.first_sent_at,
        _ => row.payout.created_at,
    };
    let waits = float.merchants.iter().filter(|m| m.unbilled > Fen::ZERO);
    let longest = waits.filter_map(|m| m.billed_on).min();
    let closed = longest.or_else(|| float.merchants.iter().filter_map(|m| m.billed_on).max());
    let age = |since: Option<Timestamp>| since.map(|since| now.since_ms(since).max(0));
    Ok(Ages {
        unknown_ms: age(oldest(ports, limits, "unknown", sent).await?),
        review_ms: age(oldest(ports, limits, "review", sent).await?),
        clearing_ms: age(closed.map(|date| date.next().start())),
    })
}

async fn oldest<P: Ports>(
    ports: &P,
    limits: &Limits,
    state: &str,
    since: impl Fn(&PayoutRow) -> Timestamp + Send,
) -> Result<Option<Timestamp>, Fault> {
    let mut oldest: Option<Timestamp> = None;
    let mut before: Option<PayoutId> = None;
    for _ in 0..PAGES_MAX {
        let filter = PayoutFilter {
            state: Some(state.to_owned()),
            before,
            limit: limits.page_max,
            ..PayoutFilter::default()
        };
        let rows = ports.store().payouts(filter).await?;
        for row in &rows {
            let at = since(row);
            oldest = Some(oldest.map_or(at, |known| known.min(at)));
        }
        if rows.len() < limits.page_max as usize {
            break;
        }
        before = rows.last().map(|row| row.payout.id);
    }
    Ok(oldest)
}
