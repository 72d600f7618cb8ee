//! What people and passes look at.

use std::collections::{BTreeMap, BTreeSet};

use lingqian_core::command::{ApiKey, DeadLetter};
use lingqian_core::control::{Deed, Stop};
use lingqian_core::id::{MerchantNo, OutBillNo, PayoutId, UserId, UserNo};
use lingqian_core::ledger::{Account, Entry};
use lingqian_core::letter::{LetterId, Mark};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::payout::{Payout, Queue, State};
use lingqian_core::reconcile::{Bill, Break};
use lingqian_core::time::BusinessDate;
use lingqian_core::transfer::Merchant;

use super::books::Books;
use crate::store::{
    LetterRow, LetterWish, PayoutFilter, PayoutRow, PayoutStory, Standing, StatementLine, Summary,
};

fn at_most(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

impl Books {
    pub(crate) fn statement(
        &self,
        user: UserNo,
        before: Option<i64>,
        limit: u32,
    ) -> Vec<StatementLine> {
        let is_own = |entry: &Entry| {
            entry.debit().user() == Some(user) || entry.credit().user() == Some(user)
        };
        let numbered = (1_i64..).zip(&self.entries);
        let mut lines: Vec<(i64, &Entry)> = numbered
            .filter(|(seq, entry)| before.is_none_or(|before| *seq < before) && is_own(entry))
            .collect();
        lines.reverse();
        lines.truncate(at_most(limit));
        let line = |(seq, entry): (i64, &Entry)| {
            let earning = self.earning_of.get(&seq);
            let earning = earning.and_then(|key| Some(&self.earnings.get(key)?.0));
            let kind = earning.and_then(|earning| {
                let mut kinds = self.kinds.values();
                kinds.find(|kind| kind.no == earning.kind)
            });
            StatementLine {
                seq,
                entry: entry.clone(),
                kind: kind.map(|kind| kind.code.clone()),
                event: earning.map(|e| (e.source.to_string(), e.event_id.to_string())),
                occurred_at: earning.and_then(|earning| earning.occurred_at),
            }
        };
        lines.into_iter().map(line).collect()
    }

    /// A payout is never written for a user who is not there.
    fn row(&self, payout: &Payout) -> Option<PayoutRow> {
        Some(PayoutRow {
            payout: payout.clone(),
            user: self.users.get(&payout.user)?.id.clone(),
        })
    }

    pub(crate) fn list(&self, filter: &PayoutFilter) -> Vec<PayoutRow> {
        let PayoutFilter {
            state,
            user,
            before,
            limit,
        } = filter;
        let wanted = |row: &PayoutRow| {
            state
                .as_ref()
                .is_none_or(|state| row.payout.state.name() == state)
                && user.as_ref().is_none_or(|user| row.user == *user)
                && before.is_none_or(|before| row.payout.id < before)
        };
        let rows = self.payouts.values().rev();
        let rows = rows.filter_map(|payout| self.row(payout));
        rows.filter(wanted).take(at_most(*limit)).collect()
    }

    pub(crate) fn story(&self, id: PayoutId) -> Option<PayoutStory> {
        let row = self.row(self.payouts.get(&id)?)?;
        let numbered = (1_i64..).zip(self.entries.iter().cloned());
        Some(PayoutStory {
            row,
            attempts: self
                .attempts
                .values()
                .filter(|attempt| attempt.number().payout() == id)
                .cloned()
                .collect(),
            history: self.history.get(&id).cloned().unwrap_or_default(),
            entries: numbered
                .filter(|(_, entry)| entry.payout() == Some(id))
                .collect(),
            breaks: self
                .breaks
                .get(&id.to_string())
                .cloned()
                .into_iter()
                .collect(),
        })
    }

    pub(crate) fn seated(&self, batch: OutBillNo) -> Vec<PayoutId> {
        let current = self.payouts.values();
        let current = current.filter_map(|payout| payout.state.attempt());
        let all = current.chain(self.attempts.values());
        let seated = all.filter_map(|attempt| Some((attempt.order.seat?, attempt.number())));
        let own: BTreeSet<_> = seated.filter(|(seat, _)| seat.batch() == batch).collect();
        own.into_iter().map(|(_, number)| number.payout()).collect()
    }

    pub(crate) fn sweepable(
        &self,
        threshold: Micros,
        after: UserNo,
        limit: u32,
    ) -> Vec<(UserNo, UserId)> {
        let beyond = self.users.values().filter(|user| user.no > after);
        beyond
            .filter(|user| self.balance(Account::Available(user.no)) >= threshold)
            .map(|user| (user.no, user.id.clone()))
            .take(at_most(limit))
            .collect()
    }

    pub(crate) fn paid_on(
        &self,
        (merchant, date): (MerchantNo, BusinessDate),
        after: Option<PayoutId>,
        limit: u32,
    ) -> Vec<PayoutId> {
        let paid_then = |payout: &&Payout| match &payout.state {
            State::Paid(_, at) => payout.merchant == merchant && at.business_date() == date,
            _ => false,
        };
        let payouts = self.payouts.values().filter(paid_then);
        payouts
            .map(|payout| payout.id)
            .filter(|id| after.is_none_or(|after| *id > after))
            .take(at_most(limit))
            .collect()
    }

    pub(crate) fn api_keys(&self) -> Vec<ApiKey> {
        let mut keys: Vec<ApiKey> = self.api_keys.values().cloned().collect();
        keys.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        keys
    }

    pub(crate) fn merchants(&self) -> Vec<Merchant> {
        let mut merchants: Vec<Merchant> = self.merchants.values().cloned().collect();
        merchants.sort_by_key(|merchant| merchant.no);
        merchants
    }

    pub(crate) fn stops(&self) -> Vec<Stop> {
        let stops = self.stops.values();
        let in_force = stops.filter(|stop| stop.lifted_at.is_none());
        let mut stops: Vec<Stop> = in_force.cloned().collect();
        stops.sort_by_key(|stop| (stop.scope.to_string(), stop.cause.name()));
        stops
    }

    pub(crate) fn deeds(&self, subject: Option<&str>, limit: u32) -> Vec<Deed> {
        let newest = self.deeds.iter().rev();
        let wanted = |deed: &&Deed| subject.is_none_or(|subject| deed.subject == subject);
        newest
            .filter(wanted)
            .take(at_most(limit))
            .cloned()
            .collect()
    }

    pub(crate) fn merchant_days(
        &self,
        since: BusinessDate,
    ) -> Vec<(MerchantNo, BusinessDate, Fen)> {
        let days = self.merchant_days.iter();
        let days = days.filter(|((_, day), _)| *day >= since);
        days.map(|((no, day), amount)| (*no, *day, *amount))
            .collect()
    }

    pub(crate) fn reconciled(&self) -> (Vec<Bill>, Vec<Break>) {
        let mut bills: Vec<Bill> = self.bills.values().cloned().collect();
        bills.sort_by_key(|bill| (bill.date, bill.merchant));
        let mut breaks: Vec<Break> = self.breaks.values().cloned().collect();
        breaks.sort_by(|a, b| (a.date, &a.subject).cmp(&(b.date, &b.subject)));
        (bills, breaks)
    }

    pub(crate) fn letters(&self, wish: LetterWish) -> Vec<LetterRow> {
        let all = self.dead_letters(u32::MAX).into_iter();
        let rows = all.map(|letter| self.letter_row(letter).without_raw());
        let rows = rows.filter(|row| wish.all || row.fate().is_none());
        rows.take(at_most(wish.limit)).collect()
    }

    pub(crate) fn letter(&self, id: &LetterId) -> Option<LetterRow> {
        let all = self.dead_letters.iter();
        let mut rows = all.map(|letter| self.letter_row(letter.clone()));
        rows.find(|row| row.id == *id)
    }

    fn letter_row(&self, letter: (DeadLetter, u64)) -> LetterRow {
        let mut row = LetterRow::new(letter, None);
        row.end = self.letter_ends.get(&row.id).cloned();
        row
    }

    pub(crate) fn marks(&self, prefix: &str) -> Vec<Mark> {
        let own = |mark: &&Mark| mark.name.starts_with(prefix);
        self.marks.values().filter(own).cloned().collect()
    }

    pub(crate) fn dead_letters(&self, limit: u32) -> Vec<(DeadLetter, u64)> {
        let mut letters = self.dead_letters.clone();
        // What came last is last, also within one moment; a clock may have been set back.
        letters.reverse();
        letters.sort_by_key(|(letter, _)| std::cmp::Reverse(letter.at));
        letters.truncate(at_most(limit));
        letters
    }

    /// States that payouts are in.
    fn states(&self) -> Vec<(String, u64, i64)> {
        let states = self.states.iter().filter(|(_, (count, _))| *count > 0);
        states
            .map(|(name, (count, sum))| ((*name).to_owned(), *count, *sum))
            .collect()
    }

    pub(crate) fn standing(&self) -> Standing {
        let lifted = self.stops.values().filter_map(|stop| stop.lifted_at);
        Standing {
            payouts: self.states(),
            accounts: self.system_accounts(),
            lifted_at: lifted.max(),
        }
    }

    fn system_accounts(&self) -> Vec<(Account, Micros)> {
        let system = self
            .balances
            .iter()
            .filter(|(account, _)| account.user().is_none());
        let mut system: Vec<(Account, Micros)> = system.map(|(a, sum)| (*a, *sum)).collect();
        system.sort_by_key(|(account, _)| account.code());
        system
    }

    pub(crate) fn summary(&self) -> Summary {
        let mut waiting: BTreeMap<Queue, u64> = BTreeMap::new();
        for found in self.work.values() {
            *waiting.entry(found.work.queue).or_default() += 1;
        }
        let earned = self.earnings.values();
        let held = self.all_links().filter(|link| link.holds());
        let linked: BTreeSet<_> = held.map(|link| link.user).collect();
        let mut summary = Summary {
            users: (self.users.len() as u64, linked.len() as u64),
            earned: (
                self.earnings.len() as u64,
                earned
                    .map(|(earning, _)| i128::from(earning.amount.0))
                    .sum(),
            ),
            dead_letters: self.dead_letters.len() as u64,
            payouts: self.states(),
            open_breaks: self
                .breaks
                .values()
                .filter(|b| b.closed_at.is_none())
                .count() as u64,
            waiting: waiting.into_iter().collect(),
            ..Summary::default()
        };
        for (account, balance) in &self.balances {
            match account {
                Account::Available(_) => summary.users_hold.0 += i128::from(balance.0),
                Account::Held(_) => summary.users_hold.1 += i128::from(balance.0),
                Account::Receivable(_) => summary.users_owe -= i128::from(balance.0),
                _ => {}
            }
        }
        summary.accounts = self.system_accounts();
        summary
    }
}
