//! What the rules are told: kinds of earnings, the limits that risk keeps, and when balances are paid
//! out.

use anyhow::Context as _;
use lingqian_core::earning::{self, COOLING_DAYS_MAX, Terms};
use lingqian_core::id::{KindCode, KindNo};
use lingqian_core::money::{AMOUNT_MAX, Fen, Micros};
use lingqian_core::risk::Policy;
use lingqian_core::time::{DAY_MS, Timestamp};
use lingqian_engine::calendar::Schedule;
use lingqian_engine::sweep::Plan;
use serde::Deserialize;

/// A kind of earning.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kind {
    /// The number of its funding account. It never changes and is never used again.
    pub(crate) no: i64,
    /// What events call it.
    pub(crate) code: String,
    /// The fixed price in micro-yuan; without one every event brings its own amount.
    pub(crate) price_micros: Option<i64>,
    /// The largest amount that one event may bring, in micro-yuan.
    pub(crate) amount_max_micros: i64,
    /// The tax class of this income.
    pub(crate) tax_class: String,
    /// What one user may be credited (or, between users, may send) a day, in micro-yuan.
    pub(crate) user_day_max_micros: Option<i64>,
    /// How many events of one user are credited (or, between users, sent) a day.
    pub(crate) user_day_count_max: Option<u32>,
    /// So many days the money cannot be withdrawn.
    #[serde(default)]
    pub(crate) cooling_days: u16,
    /// The money comes from another user, whom the event names in `from`.
    #[serde(default)]
    pub(crate) between_users: bool,
}

impl Kind {
    /// The kind in the words of the rules.
    ///
    /// # Errors
    /// When its code is not an id.
    pub(crate) fn defined(&self) -> anyhow::Result<earning::Kind> {
        let code = KindCode::parse(&self.code)
            .with_context(|| format!("the kind {:?} in the configuration: its code", self.code))?;
        Ok(earning::Kind {
            no: KindNo(self.no),
            code,
            price: self.price_micros.map(Micros),
            amount_max: Micros(self.amount_max_micros),
            tax_class: self.tax_class.clone(),
            terms: Terms {
                user_day_amount_max: self.user_day_max_micros.map(Micros),
                user_day_count_max: self.user_day_count_max,
                cooling_days: self.cooling_days,
                between_users: self.between_users,
            },
        })
    }

    /// Looks for what could never work, and names it.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let named = |setting: &str| format!("kinds.{setting} of the kind {:?}", self.code);
        let max = self.amount_max_micros;
        anyhow::ensure!(
            (1..=AMOUNT_MAX.0).contains(&max),
            "{} must be at least 1 and at most {}",
            named("amount_max_micros"),
            AMOUNT_MAX.0
        );
        anyhow::ensure!(
            self.price_micros
                .is_none_or(|price| (1..=max).contains(&price)),
            "{} must be at least 1 and at most amount_max_micros",
            named("price_micros")
        );
        let least = self.price_micros.unwrap_or(1);
        anyhow::ensure!(
            self.user_day_max_micros.is_none_or(|most| most >= least),
            "{} must be at least {least}; leave it out for no cap",
            named("user_day_max_micros")
        );
        anyhow::ensure!(
            self.user_day_count_max != Some(0),
            "{} must be at least 1; leave it out for no cap",
            named("user_day_count_max")
        );
        anyhow::ensure!(
            self.cooling_days <= COOLING_DAYS_MAX,
            "{} must be at most {COOLING_DAYS_MAX}",
            named("cooling_days")
        );
        Ok(())
    }
}

/// An amount of the configuration, where zero means none.
pub(crate) fn some_fen(fen: i64) -> Option<Fen> {
    (fen > 0).then_some(Fen(fen))
}

/// The limits that risk keeps; amounts in fen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// The smallest payout.
    pub(crate) payout_min_fen: i64,
    /// The largest payout.
    pub(crate) payout_max_fen: i64,
    /// What one user may be paid a day.
    pub(crate) user_day_max_fen: i64,
    /// How many payouts one user may get a day.
    pub(crate) user_day_count_max: u32,
    /// From this amount on the real name must be known.
    pub(crate) name_required_from_fen: i64,
    /// From this amount on a person must approve; zero: never.
    pub(crate) review_from_fen: i64,
    /// From this amount on two different people must approve; zero: never.
    pub(crate) second_from_fen: i64,
    /// What nobody approved within so many days returns to the balance.
    pub(crate) review_days: i64,
    /// What could not be sent within so many days returns to the balance.
    pub(crate) hold_days: i64,
    /// How many attempts a payout has at most.
    pub(crate) attempts_max: u8,
}

impl Default for Limits {
    fn default() -> Self {
        let policy = Policy::default();
        Limits {
            payout_min_fen: policy.payout_min.0,
            payout_max_fen: policy.payout_max.0,
            user_day_max_fen: policy.user_day_amount_max.0,
            user_day_count_max: policy.user_day_count_max,
            name_required_from_fen: policy.name_required_from.0,
            review_from_fen: 0,
            second_from_fen: 0,
            review_days: policy.review_ms / DAY_MS,
            hold_days: policy.hold_ms / DAY_MS,
            attempts_max: policy.attempts_max,
        }
    }
}

impl Limits {
    /// The limits in the words of the rules.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            payout_min: Fen(self.payout_min_fen),
            payout_max: Fen(self.payout_max_fen),
            user_day_amount_max: Fen(self.user_day_max_fen),
            user_day_count_max: self.user_day_count_max,
            name_required_from: Fen(self.name_required_from_fen),
            review_from: some_fen(self.review_from_fen),
            second_from: some_fen(self.second_from_fen),
            review_ms: self.review_days.saturating_mul(DAY_MS),
            hold_ms: self.hold_days.saturating_mul(DAY_MS),
            attempts_max: self.attempts_max,
            ..Policy::default()
        }
    }
}

/// The sweep that `serve` runs by itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sweep {
    /// Balances of at least so many fen are paid out; zero means no sweep.
    pub(crate) threshold_fen: i64,
    /// How often, in minutes; not looked at where there is a schedule.
    pub(crate) every_minutes: u64,
    /// `daily 10:00`, `weekly 5 10:00` (Friday) or `monthly 1 10:00`, by Beijing's calendar.
    pub(crate) schedule: String,
    /// Whether a balance above the largest payout becomes several of them.
    pub(crate) split: bool,
}

impl Sweep {
    /// The schedule, where there is one.
    pub(crate) fn schedule(&self) -> Option<Schedule> {
        Schedule::parse(&self.schedule)
    }

    /// The sweep that is due now; `most` is the largest payout. Without a schedule it is that of
    /// the day.
    pub(crate) fn plan(&self, now: Timestamp, most: Fen) -> Option<Plan> {
        let run = match self.schedule() {
            Some(schedule) => schedule.due(now)?,
            None => now.business_date(),
        };
        Some(Plan {
            threshold: Fen(self.threshold_fen),
            run,
            split: self.split.then_some(most),
        })
    }
}
