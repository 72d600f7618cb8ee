//! Which merchant pays, and whether anything may leave now.

use crate::control::{self, STOP_WAIT_MS, Stop};
use crate::facts::Facts;
use crate::id::{AppId, MerchantNo, PayoutId};
use crate::money::Fen;
use crate::payout::Payout;
use crate::time::Timestamp;
use crate::transfer::Merchant;

/// Where a payout goes from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route<'f> {
    /// This merchant pays.
    By(&'f Merchant),
    /// Nobody may pay now; to be looked at again then.
    Wait(Timestamp),
}

/// Chooses the merchant of a first send. All that are bound to the user's app form a pool: those
/// that are stopped or have paid their quota of the day are left out, and of the others each has
/// its share by weight. The choice hangs on the payout alone, so that it is the same again.
///
/// An openid belongs to one app, so a merchant that is not bound to it is never chosen: where
/// there is no other, the payout waits for a person to bind one.
pub(crate) fn choose<'f>(
    payout: &Payout,
    app: &AppId,
    facts: &'f Facts,
    now: Timestamp,
) -> Route<'f> {
    let pool = facts
        .merchants
        .values()
        .filter(|merchant| merchant.is_bound_to(app) && merchant.begins());
    let mut open = Vec::new();
    let mut soonest: Option<Timestamp> = None;
    for merchant in pool {
        match until(merchant, payout.amount, facts, now) {
            None => open.push(merchant),
            Some(until) => soonest = Some(soonest.map_or(until, |soonest| soonest.min(until))),
        }
    }
    match (draw(&open, payout.id), soonest) {
        (Some(merchant), _) => Route::By(merchant),
        (None, soonest) => Route::Wait(soonest.unwrap_or(now.after_ms(STOP_WAIT_MS))),
    }
}

/// Until when this merchant may not be told to pay so much more; nothing when it may.
fn until(merchant: &Merchant, amount: Fen, facts: &Facts, now: Timestamp) -> Option<Timestamp> {
    let stopped = facts.stops.until(&merchant.mchid, &merchant.scene, now);
    let paid = facts.merchant_day(merchant.no).plus(amount);
    let over = merchant
        .day_quota
        .is_some_and(|quota| paid.is_none_or(|paid| paid > quota));
    let tomorrow = over.then(|| now.business_date().next().start());
    stopped.max(tomorrow)
}

/// One of them, each as often as its weight says.
fn draw<'f>(open: &[&'f Merchant], payout: PayoutId) -> Option<&'f Merchant> {
    let weight = |merchant: &Merchant| u128::from(merchant.weight.max(1));
    let sum: u128 = open.iter().map(|merchant| weight(merchant)).sum();
    // Neighbours in time are spread: the upper half of a product with an odd constant.
    let folded = payout.to_bits() ^ (payout.to_bits() >> 80);
    let mixed = folded.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    let mut drawn = (mixed >> 64).checked_rem(sum)?;
    for merchant in open {
        match drawn.checked_sub(weight(merchant)) {
            Some(left) => drawn = left,
            None => return Some(merchant),
        }
    }
    None
}

/// What telling a merchant to pay changes beside the payout: its day, and the try of an account
/// that was empty.
pub(crate) fn told(
    merchant: &Merchant,
    counted: Option<Fen>,
    facts: &Facts,
    now: Timestamp,
) -> (Option<(MerchantNo, Fen)>, Option<Stop>) {
    let day = counted.and_then(|amount| facts.merchant_day(merchant.no).plus(amount));
    let probe = control::probed(&facts.stops, &merchant.mchid, now);
    (day.map(|sum| (merchant.no, sum)), probe)
}
