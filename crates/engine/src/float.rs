//! What lies at WeChat for payouts, as far as bills and payouts tell, and how long it lasts.
//!
//! The last closed bill says what was there; what was paid or is on its way since is subtracted.
//! Money that somebody topped up since that bill is not seen until the next one, so the figure is
//! a floor. Where WeChat tells a merchant its balance, that is taken instead. What WeChat itself
//! answers decides: an empty account stops its merchant, and the first transfer that is accepted
//! lifts the stop (`core::control`).

use lingqian_core::id::{MchId, MerchantNo};
use lingqian_core::ledger::Account;
use lingqian_core::money::Fen;
use lingqian_core::payout::State;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_io::store::Standing;
use lingqian_io::{Browse, Clock, Fault, Ports, Rail};

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
    /// Its share of what is on its way, by what each was told to pay yesterday and today: the
    /// books add up states over all merchants.
    pub in_flight: Fen,
    /// What leaves it in an hour.
    pub hourly: Fen,
    /// What WeChat says that it can spend, where it tells this merchant.
    pub told: Option<Fen>,
}

impl MerchantFloat {
    /// What is left at least; none while nobody knows.
    #[must_use]
    pub fn left(&self) -> Option<Fen> {
        let reckoned = self.billed_on.map(|_| self.floor());
        self.told.or(reckoned)
    }

    /// How long it lasts, in milliseconds; none when nothing leaves or nothing is known.
    #[must_use]
    pub fn lasts_ms(&self) -> Option<i64> {
        lasts(self.left()?, self.hourly)
    }

    fn floor(&self) -> Fen {
        let left = self.closing.0.saturating_sub(self.unbilled.0);
        Fen(left.saturating_sub(self.in_flight.0))
    }
}

/// All accounts together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Float {
    /// Each merchant's.
    pub merchants: Vec<MerchantFloat>,
    /// On its way to users and not ended.
    pub in_flight: Fen,
    /// What is left at least, over all: closing, less unbilled, less in flight; or what WeChat
    /// tells. None without any bill or word.
    pub left: Option<Fen>,
    /// What leaves in an hour: today's rate or that of the last days, whichever is higher.
    pub hourly: Fen,
}

impl Float {
    /// How long it lasts at that rate, in milliseconds; none when nothing leaves or nothing is
    /// known.
    #[must_use]
    pub fn lasts_ms(&self) -> Option<i64> {
        lasts(self.left?, self.hourly)
    }
}

fn lasts(left: Fen, hourly: Fen) -> Option<i64> {
    let ms = i128::from(left.0.max(0)).saturating_mul(i128::from(HOUR_MS));
    let ms = ms.checked_div(i128::from(hourly.0))?;
    Some(i64::try_from(ms).unwrap_or(i64::MAX))
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
    let mut recent = Vec::new();
    for merchant in store.merchants().await? {
        let own = bills.iter().filter(|bill| bill.merchant == merchant.no);
        let last = own.max_by_key(|bill| bill.date);
        let own: Days = days
            .iter()
            .filter(|(no, ..)| *no == merchant.no)
            .map(|(_, day, amount)| (*day, *amount))
            .collect();
        // Nobody needs the answer badly enough to wait for the next look.
        let told = ports.rail().balance(&merchant.mchid).await;
        float.merchants.push(MerchantFloat {
            told: told.ok().flatten(),
            hourly: hourly(&own, now),
            in_flight: Fen::ZERO,
            mchid: merchant.mchid,
            billed_on: last.map(|bill| bill.date),
            closing: last.map_or(Fen::ZERO, |bill| bill.closing),
            unbilled: unbilled(&standing, merchant.no),
            today: Fen(sum(&own, |day| day == today)),
        });
        recent.push(sum(&own, |day| {
            day >= BusinessDate(today.0.saturating_sub(1))
        }));
    }
    share(float.in_flight, &recent, &mut float.merchants);
    let known = float
        .merchants
        .iter()
        .any(|merchant| merchant.left().is_some());
    let left = float.merchants.iter().fold(0_i64, |sum, merchant| {
        let left = merchant.left().unwrap_or_else(|| merchant.floor());
        sum.saturating_add(left.0)
    });
    float.left = known.then_some(Fen(left));
    let all: Days = days
        .iter()
        .map(|(_, day, amount)| (*day, *amount))
        .collect();
    float.hourly = hourly(&all, now);
    Ok(float)
}

/// What was told to be paid on days.
type Days = Vec<(BusinessDate, Fen)>;

fn sum(days: &Days, wanted: impl Fn(BusinessDate) -> bool) -> i64 {
    let found = days.iter().filter(|(day, _)| wanted(*day));
    found.fold(0_i64, |sum, (_, amount)| sum.saturating_add(amount.0))
}

/// Today's rate or that of the last days, whichever is higher.
fn hourly(days: &Days, now: Timestamp) -> Fen {
    let today = now.business_date();
    let before = sum(days, |day| day < today) / (i64::from(RATE_DAYS) * 24);
    // The first hour of a day says little about it.
    let hours = (now.since_ms(today.start()) / HOUR_MS).max(1);
    Fen(before.max(sum(days, |day| day == today) / hours))
}

/// Gives each merchant its share of what is on its way; what does not divide, and what nobody was
/// told to pay of late, is the first one's.
fn share(in_flight: Fen, recent: &[i64], merchants: &mut [MerchantFloat]) {
    let all: i128 = recent.iter().map(|recent| i128::from(*recent)).sum();
    let mut rest = in_flight.0;
    for (merchant, recent) in merchants.iter_mut().zip(recent) {
        let part = i128::from(in_flight.0).saturating_mul(i128::from(*recent));
        let part = part.checked_div(all).unwrap_or(0);
        merchant.in_flight = Fen(i64::try_from(part).unwrap_or(0));
        rest = rest.saturating_sub(merchant.in_flight.0);
    }
    if let Some(first) = merchants.first_mut() {
        first.in_flight = Fen(first.in_flight.0.saturating_add(rest));
    }
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
