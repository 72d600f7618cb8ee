//! Commits: everything is checked first, so that writing cannot fail half-way.

use std::collections::{BTreeMap, BTreeSet};

use lingqian_core::Changes;
use lingqian_core::changes::Posting;
use lingqian_core::command::DeadLetter;
use lingqian_core::id::{PayoutId, UserNo};
use lingqian_core::ledger::{Account, Entry};
use lingqian_core::letter::LetterEnd;
use lingqian_core::money::{Fen, Micros};
use lingqian_core::payout::{Payout, State};

use super::books::{Books, Waiting};
use crate::Fault;
use crate::store::{Committed, LETTER_ENDED};

pub(crate) fn unless(holds: bool, law: &str) -> Result<(), Fault> {
    if holds {
        Ok(())
    } else {
        Err(Fault::Broken(format!("the store refuses: {law}")))
    }
}

/// The balance after an entry, where it stays within 64 bits.
fn after(balance: Micros, entry: &Entry, credited: bool) -> Option<Micros> {
    if credited {
        balance.plus(entry.amount())
    } else {
        balance.minus(entry.amount())
    }
}

fn sides(entry: &Entry) -> [(Account, bool); 2] {
    [(entry.debit(), false), (entry.credit(), true)]
}

impl Books {
    /// Writes all of it or nothing.
    pub(crate) fn commit(&mut self, basis: u64, changes: Changes) -> Result<Committed, Fault> {
        if basis != self.generation {
            return Ok(Committed::Conflict);
        }
        self.check_names(&changes)?;
        self.check_people(&changes)?;
        self.check_money(&changes)?;
        self.check_payouts(&changes)?;
        self.check_letters(&changes)?;
        self.write(changes);
        Ok(Committed::Done)
    }

    /// Numbers and codes belong together for ever.
    fn check_names(&self, changes: &Changes) -> Result<(), Fault> {
        for kind in &changes.kinds {
            let mut others = self.kinds.values();
            let moved = others.any(|other| (other.no == kind.no) != (other.code == kind.code));
            unless(!moved, "the number of a kind never changes")?;
        }
        for merchant in &changes.merchants {
            let mut others = self.merchants.values();
            let moved =
                others.any(|other| (other.no == merchant.no) != (other.mchid == merchant.mchid));
            unless(!moved, "the number of a merchant never changes")?;
        }
        let mut events: BTreeSet<_> = BTreeSet::new();
        for (earning, booked) in &changes.earnings {
            let law = "an event's entries book its amount between its accounts";
            unless(booked.fits(earning), law)?;
            let key = (earning.source.clone(), earning.event_id.clone());
            let known = self.earnings.contains_key(&key);
            unless(!known && events.insert(key), "an event is credited once")?;
        }
        let mut keys = BTreeSet::new();
        for (key, _) in &changes.answers {
            let known = self.answers.contains_key(key);
            unless(!known && keys.insert(key), "a key has one answer")?;
        }
        let mut flows = BTreeSet::new();
        for (booked, _) in &changes.bill_lines {
            let key = (booked.merchant, booked.line.flow_no.clone());
            let known = self.bill_lines.contains_key(&key);
            unless(!known && flows.insert(key), "a bill's line is booked once")?;
        }
        Ok(())
    }

    fn check_people(&self, changes: &Changes) -> Result<(), Fault> {
        let mut names: BTreeMap<_, UserNo> = BTreeMap::new();
        for user in &changes.users {
            let named = self
                .user_numbers
                .get(&user.id)
                .or_else(|| names.get(&user.id));
            let renamed = self.users.get(&user.no).is_some_and(|u| u.id != user.id);
            let law = "a user has one number and a number one user";
            unless(!renamed && named.is_none_or(|no| *no == user.no), law)?;
            names.insert(&user.id, user.no);
        }
        for (_, _, totals) in &changes.day_totals {
            unless(totals.amount >= Fen::ZERO, "a day's total is not negative")?;
        }
        self.check_links(changes)
    }

    fn check_money(&self, changes: &Changes) -> Result<(), Fault> {
        let mut balances: BTreeMap<Account, Micros> = BTreeMap::new();
        for entry in changes.all_entries() {
            for (account, credited) in sides(entry) {
                let stored = || self.balance(account);
                let balance = balances.get(&account).copied().unwrap_or_else(stored);
                let balance = after(balance, entry, credited);
                let balance = balance.filter(|b| *b >= Micros::ZERO || !account.never_negative());
                let law = "a user account is never below zero";
                unless(balance.is_some(), law)?;
                balances.extend(balance.map(|balance| (account, balance)));
            }
        }
        Ok(())
    }

    fn check_payouts(&self, changes: &Changes) -> Result<(), Fault> {
        let mut latest: BTreeMap<PayoutId, &Payout> = BTreeMap::new();
        let mut references: BTreeMap<_, PayoutId> = BTreeMap::new();
        let new_users: BTreeSet<UserNo> = changes.users.iter().map(|user| user.no).collect();
        for (payout, _) in &changes.payouts {
            let known = self.users.contains_key(&payout.user) || new_users.contains(&payout.user);
            unless(known, "a payout belongs to a user who is registered")?;
            let used = references.get(&payout.reference);
            let used = used.or_else(|| self.references.get(&payout.reference));
            let own = used.is_none_or(|other| *other == payout.id);
            unless(own, "a reference names one payout")?;
            references.insert(&payout.reference, payout.id);
            let before = latest.get(&payout.id).copied();
            if let Some(before) = before.or_else(|| self.payouts.get(&payout.id)) {
                check_successor(before, payout)?;
            }
            latest.insert(payout.id, payout);
        }
        for line in &changes.history {
            let known =
                self.payouts.contains_key(&line.payout) || latest.contains_key(&line.payout);
            unless(known, "history is about a payout that exists")?;
        }
        Ok(())
    }

    /// A letter that is open ends once; whoever comes second looks again.
    fn check_letters(&self, changes: &Changes) -> Result<(), Fault> {
        let ended = |end: &&LetterEnd| {
            let known = self.letter_ends.get(&end.letter);
            known.is_some_and(|known| known.times >= end.times && known != *end)
        };
        match changes.letter_ends.iter().find(ended) {
            Some(_) => Err(Fault::Retry(LETTER_ENDED.into())),
            None => Ok(()),
        }
    }

    fn write(&mut self, mut changes: Changes) {
        self.generation += 1;
        self.write_catalogue(&mut changes);
        self.write_people(&mut changes);
        self.write_money(&mut changes);
        self.write_payouts(&mut changes);
        for letter in changes.dead_letters {
            let same = |(known, _): &(DeadLetter, u64)| {
                (&known.code, &known.raw) == (&letter.code, &letter.raw)
            };
            let place = self.dead_letters.iter().position(same);
            let times = place.map_or(0, |place| self.dead_letters.remove(place).1);
            self.dead_letters.push((letter, times + 1));
        }
        for end in changes.letter_ends {
            self.letter_ends.insert(end.letter.clone(), end);
        }
        for mark in changes.marks {
            self.marks.insert(mark.name.clone(), mark);
        }
        for found in changes.breaks {
            self.breaks.insert(found.subject.clone(), found);
        }
        for bill in changes.bills {
            self.bills.insert((bill.merchant, bill.date), bill);
        }
        self.outbox.write(changes.endpoints, changes.notices);
    }

    fn write_catalogue(&mut self, changes: &mut Changes) {
        for kind in changes.kinds.drain(..) {
            self.kinds.insert(kind.code.clone(), kind);
        }
        for merchant in changes.merchants.drain(..) {
            self.merchants.insert(merchant.mchid.clone(), merchant);
        }
        for stop in changes.stops.drain(..) {
            self.stops.insert((stop.scope.clone(), stop.cause), stop);
        }
        self.deeds.append(&mut changes.deeds);
        for (merchant, day, amount) in changes.merchant_days.drain(..) {
            self.merchant_days.insert((merchant, day), amount);
        }
        for mut key in changes.api_keys.drain(..) {
            // A key that was withdrawn stays withdrawn, since when it was.
            let known = self.api_keys.get(&key.id);
            key.revoked_at = known.and_then(|known| known.revoked_at).or(key.revoked_at);
            self.api_keys.insert(key.id.clone(), key);
        }
    }

    fn write_people(&mut self, changes: &mut Changes) {
        for user in changes.users.drain(..) {
            self.user_numbers.insert(user.id.clone(), user.no);
            self.users.insert(user.no, user);
        }
        for state in changes.link_states.drain(..) {
            self.link_states.insert(state.digest, state);
        }
        for link in changes.links.drain(..) {
            let key = (link.user, link.app.clone());
            self.link_leases.remove(&key);
            let own = self.links.entry(link.user).or_default();
            own.insert(key.1, link);
        }
    }

    /// Appends the entries in the order of [`Changes::all_entries`].
    fn write_money(&mut self, changes: &mut Changes) {
        for (earning, Posting { first, second }) in changes.earnings.drain(..) {
            let seq = self.append(first);
            second.map(|entry| self.append(entry));
            let key = (earning.source.clone(), earning.event_id.clone());
            self.earning_of.insert(seq, key.clone());
            self.earnings.insert(key, (earning, seq));
        }
        for (user, kind, totals) in changes.kind_days.drain(..) {
            self.kind_days.insert((user, kind), totals);
        }
        for (user, day, amount) in changes.cooling.drain(..) {
            self.cooling.insert((user, day), amount);
        }
        for (source, event, clawed) in changes.clawed.drain(..) {
            if let Some((earning, _)) = self.earnings.get_mut(&(source, event)) {
                earning.clawed = clawed;
            }
        }
        for entry in changes.entries.drain(..) {
            self.append(entry);
        }
        for (booked, entry) in changes.bill_lines.drain(..) {
            let seq = self.append(entry);
            let key = (booked.merchant, booked.line.flow_no.clone());
            self.bill_line_of.insert(seq, key.clone());
            self.bill_lines.insert(key, booked);
        }
    }

    fn write_payouts(&mut self, changes: &mut Changes) {
        for (payout, work) in changes.payouts.drain(..) {
            match work {
                Some(work) => {
                    let lease_until = None;
                    self.work.insert(payout.id, Waiting { work, lease_until });
                }
                None if payout.state.is_final() => {
                    self.work.remove(&payout.id);
                }
                None => {}
            }
            self.references.insert(payout.reference.clone(), payout.id);
            self.count(&payout);
            self.payouts.insert(payout.id, payout);
        }
        for attempt in changes.attempts.drain(..) {
            self.attempts.insert(attempt.number(), attempt);
        }
        for line in changes.history.drain(..) {
            self.history.entry(line.payout).or_default().push(line);
        }
        for (user, day, totals) in changes.day_totals.drain(..) {
            self.day_totals.insert((user, day), totals);
        }
        self.answers.extend(changes.answers.drain(..));
    }

    /// A payout leaves the totals of the state that it was in and joins those of its new one.
    fn count(&mut self, payout: &Payout) {
        if let Some(before) = self.payouts.get(&payout.id) {
            let left = self.states.entry(before.state.name()).or_default();
            *left = (
                left.0.saturating_sub(1),
                left.1.saturating_sub(before.amount.0),
            );
        }
        let joined = self.states.entry(payout.state.name()).or_default();
        *joined = (joined.0 + 1, joined.1.saturating_add(payout.amount.0));
    }

    /// Adds an entry to the end and to its two balances; tells its number.
    fn append(&mut self, entry: Entry) -> i64 {
        for (account, credited) in sides(&entry) {
            let balance = self.balances.entry(account).or_default();
            // It was checked that no balance leaves the range.
            *balance = after(*balance, &entry, credited).unwrap_or(*balance);
        }
        self.entries.push(entry);
        i64::try_from(self.entries.len()).unwrap_or(i64::MAX)
    }
}

/// What a payout may become.
fn check_successor(before: &Payout, after: &Payout) -> Result<(), Fault> {
    let of = |payout: &Payout| {
        let Payout {
            id,
            user,
            amount,
            reference,
            asked,
            created_at,
            ..
        } = payout.clone();
        (id, user, amount, reference, asked, created_at)
    };
    unless(
        of(before) == of(after),
        "a payout keeps what it was made of",
    )?;
    // Who pays is decided when the order is made.
    let kept = before.merchant == after.merchant || before.state == State::Approved;
    unless(kept, "a payout keeps what it was made of")?;
    let of = |payout: &Payout| (payout.state.clone(), payout.tries);
    let stays = !before.state.is_final() || of(before) == of(after);
    unless(stays, "a final payout never changes its state")?;
    let more = after.tries.checked_sub(before.tries);
    let counted = more == Some(0) || (more == Some(1) && after.state == State::Approved);
    unless(counted, "one attempt of a payout ends at a time")?;
    if let Some(attempt) = before.state.attempt().filter(|_| more == Some(0)) {
        let kept = after.state.attempt().map(|after| &after.order) == Some(&attempt.order);
        unless(kept, "an order never changes once it may have been sent")?;
    }
    Ok(())
}
