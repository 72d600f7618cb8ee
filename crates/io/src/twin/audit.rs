//! The books, fed to the auditor.

use lingqian_core::audit::Audit;
use lingqian_core::ledger::{Account, Entry};

use super::books::Books;
use crate::store::Audited;

impl Books {
    pub(crate) fn audit(&self) -> Audited {
        let mut audit = Audit::default();
        for (seq, entry) in (1..).zip(&self.entries) {
            audit.entry(seq, entry);
        }
        let mut total = 0_i128;
        for (account, balance) in &self.balances {
            total += i128::from(balance.0);
            audit.account(*account, *balance);
        }
        audit.total(total);
        let earned = self.earnings.values();
        let earned = earned
            .map(|(earning, _)| i128::from(earning.amount.0))
            .sum();
        audit.earnings(self.earnings.len() as u64, earned);
        for (earning, seq) in self.earnings.values() {
            let sides = (
                Account::Funding(earning.kind),
                Account::Available(earning.user),
            );
            let booked = self.entry(*seq);
            let booked = booked.filter(|entry| (entry.debit(), entry.credit()) == sides);
            let subject = format!("{}/{}", earning.source, earning.event_id);
            audit.earning(&subject, earning.amount, booked);
        }
        for (id, payout) in &self.payouts {
            audit.payout(payout, u32::from(self.work.contains_key(id)));
        }
        for ((user, day), totals) in &self.day_totals {
            audit.day(*user, *day, *totals);
        }
        for bill in self.bills.values() {
            audit.bill(bill);
        }
        Audited {
            entries: self.entries.len() as u64,
            accounts: self.balances.len() as u64,
            earnings: self.earnings.len() as u64,
            payouts: self.payouts.len() as u64,
            bills: self.bills.len() as u64,
            findings: audit.finish(),
        }
    }

    pub(crate) fn entry(&self, seq: i64) -> Option<&Entry> {
        let place = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.entries.get(place)
    }
}
