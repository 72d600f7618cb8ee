//! What lies at WeChat for payouts, as far as bills and payouts tell, and how long it lasts.
//!
//! The last closed bill says what was there; what was paid or is on its way since is subtracted.
//! Money that somebody topped up since that bill is not seen until the next one, so the figure is
//! a floor. What WeChat itself answers decides: an empty account stops its merchant, and the
//! first transfer that is accepted lifts the stop (`core::control`).

use lingqian_core::id::{MchId, MerchantNo};
use lingqian_core::ledger::Account;
use lingqian_core::money::Fen;
use lingqian_core::payout::State;
use lingqian_core::time::BusinessDate;
use lingqian_io::store::Standing;
use lingqian_io::{Browse, Clock, Fault, Ports};

/// Days that the rate is taken from, beside today.
const RATE_DAYS: i32 = 7;
const HOUR_MS: i64 = 3_600_000;

/// One merchant's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerchantFloat {
    /// Whose.
    pub mchid: MchId,
    /// The day of the last closed bill; none while there is no bill.
    pub billed_on: Option<BusinessDate>,
    /// What was there at its end.
    pub closing: Fen,
    /// What was paid since and is on no bill yet.
    pub unbilled: Fen,
    /// Told to pay today.
    pub today: Fen,
}

/// All accounts together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Float {
    /// Each merchant's.
    pub merchants: Vec<MerchantFloat>,
    /// On its way to users and not ended.
    pub in_flight: Fen,
    /// What is left at least: closing, less unbilled, less in flight. None without any bill.
    pub left: Option<Fen>,
    /// What leaves in an hour: today's rate or that of the last days, whichever is higher.
    pub hourly: Fen,
}

impl Float {
    /// How long it lasts at that rate, in milliseconds; none when nothing leaves or nothing is
    /// known.
    #[must_use]
    pub fn lasts_ms(&self) -> Option<i64> {
        let left = self.left?.0.max(0);
        let ms = i128::from(left).saturating_mul(i128::from(HOUR_MS));
        let ms = ms.checked_div(i128::from(self.hourly.0))?;
        Some(i64::try_from(ms).unwrap_or(i64::MAX))
    }
}

/// Adds up what is known.
///
/// # Errors
/// A fault when the books could not be read.
pub async fn float<P: Ports>(ports: &P) -> Result<Float, Fault> {
    let now = ports.clock().business();
    let (today, store) = (now.business_date(), ports.store());
    let since = BusinessDate(today.0.saturating_sub(RATE_DAYS));
    let standing = store.standing().await?;
    let (bills, _) = store.reconciled().await?;
    let days = store.merchant_days(since).await?;
    let mut float = Float {
        in_flight: in_flight(&standing),
        ..Float::default()
    };
    for merchant in store.merchants().await? {
        let own = bills.iter().filter(|bill| bill.merchant == merchant.no);
        let last = own.max_by_key(|bill| bill.date);
        let told = days
            .iter()
            .find(|(no, day, _)| *no == merchant.no && *day == today);
        float.merchants.push(MerchantFloat {
            mchid: merchant.mchid,
            billed_on: last.map(|bill| bill.date),
            closing: last.map_or(Fen::ZERO, |bill| bill.closing),
            unbilled: unbilled(&standing, merchant.no),
            today: told.map_or(Fen::ZERO, |(.., amount)| *amount),
        });
    }
    let known = float.merchants.iter().any(|m| m.billed_on.is_some());
    let held = float.merchants.iter().fold(0_i64, |sum, merchant| {
        let left = merchant.closing.0.saturating_sub(merchant.unbilled.0);
        sum.saturating_add(left)
    });
    float.left = known.then_some(Fen(held.saturating_sub(float.in_flight.0)));
    let sum = |wanted: &dyn Fn(BusinessDate) -> bool| {
        let found = days.iter().filter(|(_, day, _)| wanted(*day));
        found.fold(0_i64, |sum, (.., amount)| sum.saturating_add(amount.0))
    };
    let before = sum(&|day| day < today) / (i64::from(RATE_DAYS) * 24);
    // The first hour of a day says little about it.
    let hours = (now.since_ms(today.start()) / HOUR_MS).max(1);
    float.hourly = Fen(before.max(sum(&|day| day == today) / hours));
    Ok(float)
}

/// Payouts of which WeChat has or may have the order.
fn in_flight(standing: &Standing) -> Fen {
    let away = [
        "sending",
        "unknown",
        "processing",
        "awaiting_user",
        "cancelling",
    ];
    debug_assert!(away.iter().all(|name| State::NAMES.contains(name)));
    let sums = standing.payouts.iter();
    let sums = sums.filter(|(name, ..)| away.contains(&name.as_str()));
    Fen(sums.fold(0, |sum: i64, (.., amount)| sum.saturating_add(*amount)))
}

/// What is on the clearing account: paid by WeChat's word and on no bill.
fn unbilled(standing: &Standing, merchant: MerchantNo) -> Fen {
    let clearing = |account: &Account| *account == Account::Clearing(merchant);
    let found = standing
        .accounts
        .iter()
        .find(|(account, _)| clearing(account));
    found.map_or(Fen::ZERO, |(_, balance)| balance.whole_fen())
}
