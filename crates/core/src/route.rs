//! Which merchant pays, and whether anything may leave now.

use crate::control::{self, STOP_WAIT_MS, Stop};
use crate::execute::Moment;
use crate::facts::{Facts, Wallet};
use crate::id::{MerchantNo, PayoutId};
use crate::link::{Link, Sharing, Standing};
use crate::money::Fen;
use crate::payout::Payout;
use crate::time::Timestamp;
use crate::transfer::Merchant;

/// Where a payout goes from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route<'f> {
    /// This merchant pays, to the wallet as its app sees it.
    By(&'f Merchant, &'f Link),
    /// Nobody may pay now; to be looked at again then.
    Wait(Timestamp),
}

/// Chooses the merchant of a first send. All that are bound to an app of the user's form a pool:
/// those that are stopped or have paid their quota of the day are left out, and of the others each
/// has its share by weight. The choice hangs on the payout alone, so that it is the same again.
///
/// An openid belongs to one app, so a merchant that is not bound to it is never chosen: where
/// there is no other, the payout waits for a person to bind one.
pub(crate) fn choose<'f>(payout: &Payout, moment: &Moment<'_>, facts: &'f Facts) -> Route<'f> {
    let (wallet, now) = (facts.wallet(payout.user), moment.now);
    let pool = facts.merchants.values().filter(|one| one.begins());
    let mut open = Vec::new();
    let mut soonest: Option<Timestamp> = None;
    for merchant in pool {
        let way = match way(merchant, wallet, payout, moment) {
            None => continue,
            Some(way) => way,
        };
        match (way, until(merchant, payout.amount, facts, now)) {
            (Ok(link), None) => open.push((merchant, link)),
            (Ok(_), Some(until)) => soonest = sooner(soonest, until),
            (Err(link), until) => {
                soonest = sooner(soonest, until.map_or(link, |until| until.max(link)));
            }
        }
    }
    match (draw(&open, payout.id), soonest) {
        (Some((merchant, link)), _) => Route::By(merchant, link),
        (None, soonest) => Route::Wait(soonest.unwrap_or(now.after_ms(STOP_WAIT_MS))),
    }
}

/// The link that a merchant can pay by, in the order of its apps, or when to look again; nothing
/// where the user is linked with none of its apps.
fn way<'f>(
    merchant: &Merchant,
    wallet: &'f Wallet,
    payout: &Payout,
    moment: &Moment<'_>,
) -> Option<Result<&'f Link, Timestamp>> {
    let links = merchant.apps.iter().filter_map(|app| wallet.links.get(app));
    let mut soonest: Option<Timestamp> = None;
    for link in links.filter(|link| link.holds()) {
        let until = waits_until(link, payout, moment);
        match until {
            None => return Some(Ok(link)),
            Some(until) => soonest = sooner(soonest, until),
        }
    }
    soonest.map(Err)
}

fn sooner(soonest: Option<Timestamp>, until: Timestamp) -> Option<Timestamp> {
    Some(soonest.map_or(until, |soonest| soonest.min(until)))
}

/// Until when nothing goes to a wallet: one that took another's place cools off; one that others
/// have, too, and that came after the payout was passed waits for a person; and where that is
/// wanted, one that WeChat does not let us act for waits for its user.
fn waits_until(link: &Link, payout: &Payout, moment: &Moment<'_>) -> Option<Timestamp> {
    let unseen = link.sharing == Sharing::Flagged && link.linked_at > payout.updated_at;
    let asleep = link.standing != Standing::Active && !moment.policy.links.pays_unauthorized;
    let look_again = moment.now.after_ms(STOP_WAIT_MS);
    let looked = (unseen || asleep).then_some(look_again);
    let cools = link.cools_until.filter(|until| *until > moment.now);
    looked.max(cools)
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
fn draw<'f>(
    open: &[(&'f Merchant, &'f Link)],
    payout: PayoutId,
) -> Option<(&'f Merchant, &'f Link)> {
    let weight = |merchant: &Merchant| u128::from(merchant.weight.max(1));
    let sum: u128 = open.iter().map(|(merchant, _)| weight(merchant)).sum();
    // Neighbours in time are spread: the upper half of a product with an odd constant.
    let folded = payout.to_bits() ^ (payout.to_bits() >> 80);
    let mixed = folded.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    let mut drawn = (mixed >> 64).checked_rem(sum)?;
    for (merchant, link) in open {
        match drawn.checked_sub(weight(merchant)) {
            Some(left) => drawn = left,
            None => return Some((merchant, link)),
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
