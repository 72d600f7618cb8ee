//! The books, fed to the auditor.

use std::collections::BTreeMap;

use lingqian_core::audit::Audit;
use lingqian_core::changes::Posting;
use lingqian_core::id::{EventId, Source};
use lingqian_core::ledger::{Cause, Entry};
use lingqian_core::money::Micros;
use lingqian_core::reconcile::Direction;

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
        let mut taken: BTreeMap<(&Source, &EventId), i64> = BTreeMap::new();
        for (earning, seq) in self.earnings.values() {
            let booked = self.posting(*seq).filter(|booked| booked.fits(earning));
            let subject = format!("{}/{}", earning.source, earning.event_id);
            audit.earning(
                &subject,
                earning.amount,
                booked.map(|booked| booked.booked()),
            );
            if let Some(original) = &earning.reverses {
                *taken.entry((&earning.source, original)).or_default() += earning.amount.0;
            }
        }
        for ((source, event), (earning, _)) in &self.earnings {
            let taken = taken.get(&(source, event)).copied().unwrap_or(0);
            let subject = format!("{source}/{event}");
            audit.clawed(&subject, (earning.amount, earning.clawed), Micros(taken));
        }
        for (id, payout) in &self.payouts {
            audit.payout(payout, u32::from(self.work.contains_key(id)));
        }
        for ((user, day), totals) in &self.day_totals {
            audit.day(*user, *day, *totals);
        }
        for (state, total) in &self.states {
            audit.state_total(state, *total);
        }
        for booked in self.bill_lines.values() {
            let amount = i128::from(booked.line.amount.0);
            let out = match booked.line.direction {
                Direction::Out => amount,
                Direction::In => -amount,
            };
            audit.bill_day((booked.merchant, booked.date), out);
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

    /// The entries of an event, from the number of its first.
    fn posting(&self, seq: i64) -> Option<Posting> {
        let first = self.entry(seq)?.clone();
        let next = self.entry(seq.checked_add(1)?);
        let second = next.filter(|next| matches!(next.cause(), Cause::Owe | Cause::Repay));
        let second = second.cloned();
        Some(Posting { first, second })
    }

    pub(crate) fn entry(&self, seq: i64) -> Option<&Entry> {
        let place = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.entries.get(place)
    }
}
