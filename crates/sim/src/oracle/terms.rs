//! What kinds promise, told once more by somebody who does not know the rules' own totals: no
//! more than a cap in a day, and money that cools off does not leave.

use lingqian_core::changes::Posting;
use lingqian_core::earning::Earning;
use lingqian_core::id::UserNo;
use lingqian_core::ledger::{Account, Cause, Entry};
use lingqian_core::time::BusinessDate;

use super::Oracle;
use crate::world::{CAP, COOLING_DAYS, GIFTS};

/// Numbers of the kinds that the world defines.
const CAPPED: i64 = 3;
const COOLING: i64 = 4;

/// The cap of a day: micro-yuan, and how often.
fn most(gift: bool) -> (i64, u32) {
    if gift { (i64::MAX, GIFTS) } else { CAP }
}

/// What is left of an earning that cools off.
#[derive(Clone, Debug)]
pub(super) struct Cool {
    user: UserNo,
    until: BusinessDate,
    left: i64,
}

impl Oracle {
    /// An event is booked.
    pub(super) fn earned(&mut self, earning: &Earning, posting: &Posting) {
        let (day, amount) = (earning.recorded_at.business_date(), earning.amount.0);
        if let Some(original) = &earning.reverses {
            let key = format!("{}/{original}", earning.source);
            let (brought, taken) = self.brought.entry(key.clone()).or_default();
            *taken += amount;
            let within = taken <= brought;
            self.check(within || !self.sees_all, "earned_once", || {
                format!("more is taken back of {key} than it brought")
            });
            // What has cooled off already cools no longer, whatever is taken back of it.
            let cool = self.cooling.get_mut(&key);
            if let Some(cool) = cool.filter(|cool| cool.until > day) {
                cool.left = (cool.left - amount).max(0);
            }
            return;
        }
        let key = format!("{}/{}", earning.source, earning.event_id);
        self.brought.insert(key, (amount, 0));
        if earning.kind.0 == COOLING {
            let until = BusinessDate(day.0 + i32::from(COOLING_DAYS));
            // What pays a debt is nobody's to cool any more.
            let paid = posting
                .entries()
                .filter(|entry| entry.cause() == Cause::Repay);
            let paid: i64 = paid.map(|entry| entry.amount().0).sum();
            let cool = Cool {
                user: earning.user,
                until,
                left: amount - paid,
            };
            let key = format!("{}/{}", earning.source, earning.event_id);
            self.cooling.insert(key, cool);
        }
        let capped = match (earning.kind.0, earning.from) {
            (CAPPED, _) => Some((earning.user, false)),
            (_, Some(from)) => Some((from, true)),
            _ => None,
        };
        if let Some((user, gift)) = capped {
            let totals = self.capped.entry((user, day, gift)).or_default();
            *totals = (totals.0 + amount, totals.1 + 1);
            let (sum, count) = *totals;
            let most = most(gift);
            let within = sum <= most.0 && count <= most.1;
            self.check(within, "day_cap_holds", || {
                format!("{count} events of {sum} micro-yuan are booked on {day}")
            });
        }
    }

    /// An event was refused because of a cap: it must have been reached.
    pub(crate) fn capped(&mut self, user: &str, gift: bool, day: BusinessDate, amount: i64) {
        if !self.sees_all {
            return;
        }
        let no = self.users.iter().find(|(_, known)| known.name == user);
        let most = most(gift);
        // Where clocks differ about midnight, what one books counts for another's later day.
        let near = |on: &BusinessDate| on.0 >= day.0 - 1;
        let own = self.capped.iter().filter(|((whose, on, gifts), _)| {
            no.is_some_and(|(no, _)| whose == no) && near(on) && *gifts == gift
        });
        let (sum, count) = own.fold((0, 0), |all, (_, totals)| {
            (all.0 + totals.0, all.1 + totals.1)
        });
        let reached = amount > most.0 - sum || count + 1 > most.1;
        self.check(reached, "day_cap_holds", || {
            format!("{count} events of {sum} micro-yuan on {day}, and {amount} are refused")
        });
    }

    /// What of a user's money cools off on a day.
    pub(crate) fn cools(&self, user: UserNo, today: BusinessDate) -> i64 {
        let own = self.cooling.values().filter(|cool| cool.user == user);
        own.filter(|cool| cool.until > today)
            .map(|cool| cool.left)
            .sum()
    }

    /// Money moved, and balances with it.
    pub(super) fn moved(&mut self, entry: &Entry) {
        let Account::Available(user) = entry.debit() else {
            return;
        };
        if !matches!(entry.cause(), Cause::Hold | Cause::Transfer) || !self.sees_all {
            return;
        }
        let cools = self.cools(user, entry.at().business_date());
        let left = self.accounts.get(&entry.debit()).copied().unwrap_or(0);
        self.check(left >= cools, "cooling_is_kept", || {
            format!("{left} micro-yuan are left and {cools} still cool off")
        });
    }
}
