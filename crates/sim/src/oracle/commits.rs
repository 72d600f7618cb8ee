//! Every commit, looked at as it becomes durable.

use std::collections::BTreeSet;

use lingqian_core::Changes;
use lingqian_core::changes::Work;
use lingqian_core::control::StopCause;
use lingqian_core::id::{OutBillNo, PayoutId, UserNo};
use lingqian_core::ledger::{Account, Cause, Entry};
use lingqian_core::link::Sharing;
use lingqian_core::money::Fen;
use lingqian_core::payout::{Payout, State};
use lingqian_core::risk::Reason;
use lingqian_core::time::BusinessDate;

use super::route::merchant;
use super::{Known, Oracle, WINDOW_MS, Watched};
use crate::wechat::{Stand, Wechat};

/// A transfer of fewer fen must not say whom it is for; WeChat compares a name that it is told.
const NAMED_FROM: i64 = 30;

/// How far a payout has come: it never goes back.
fn stage(state: &State) -> u8 {
    if state.is_final() {
        return 3;
    }
    match (state, state.attempt()) {
        (_, Some(_)) => 2,
        (State::Approved, None) => 1,
        _ => 0,
    }
}

impl Oracle {
    /// A commit became durable.
    pub(crate) fn committed(&mut self, changes: &Changes, wechat: &Wechat) {
        self.commits += 1;
        self.earlier.clear();
        let changed = changes.users.iter().map(|user| user.no);
        for user in changed.chain(changes.links.iter().map(|link| link.user)) {
            let known = self.users.get(&user).cloned().unwrap_or_default();
            self.earlier.entry(user).or_insert(known);
        }
        self.tells_the_rest(changes);
        self.controls(changes);
        self.accounts_run_dry(changes);
        self.people(changes);
        let mut moves: Vec<(PayoutId, [u32; 3])> = Vec::new();
        for (earning, posting) in &changes.earnings {
            self.earned(earning, posting);
            for entry in posting.entries() {
                self.entry(entry, &mut moves);
            }
        }
        let billed = changes.bill_lines.iter().map(|(_, entry)| entry);
        for entry in changes.entries.iter().chain(billed) {
            self.entry(entry, &mut moves);
        }
        for (earning, posting) in &changes.earnings {
            let key = format!("{}/{}", earning.source, earning.event_id);
            let owed = posting
                .entries()
                .flat_map(|entry| self.effect(entry))
                .collect();
            let known = self.booked.insert(key.clone(), owed).is_some();
            self.check(!known, "earned_once", || format!("{key} was booked again"));
        }
        for (place, (payout, work)) in changes.payouts.iter().enumerate() {
            // What several changes of a batch moved is counted with the last of them.
            let later = &changes.payouts[place + 1..];
            let last = !later.iter().any(|(other, _)| other.id == payout.id);
            let new = moves.iter().find(|(id, _)| *id == payout.id && last);
            let new = new.map(|(_, moves)| *moves);
            self.payout((payout, work.as_ref()), new, last, wechat);
        }
        self.notices(changes);
        for found in &changes.breaks {
            if found.closed_at.is_some() {
                self.open_breaks.remove(&found.subject);
            } else {
                self.open_breaks
                    .insert(found.subject.clone(), found.kind.code());
            }
        }
        for attempt in &changes.attempts {
            let number = attempt.number();
            let dead = wechat
                .stands(number)
                .map(|stand| matches!(stand, Stand::Fail | Stand::Cancelled));
            // A batch that was refused left no record, and nothing of it is under way.
            let seated = attempt.order.seat.is_some();
            let dead = dead.unwrap_or(seated && !wechat.is_under_way(number));
            self.check(dead, "one_number_at_a_time", || {
                format!("{number} is given up for a new number, at WeChat it lives")
            });
        }
        self.days_add_up(changes);
        self.bills_are_true(changes, wechat);
        for bill in &changes.bills {
            self.closed(&merchant(bill.merchant), bill.date, wechat);
        }
    }

    /// Users and their wallets.
    fn people(&mut self, changes: &Changes) {
        for user in &changes.users {
            let known = self.users.entry(user.no).or_default();
            known.name = user.id.to_string();
            known.frozen = user.frozen;
            known.called = user.name.as_ref().map(|name| name.0.clone());
        }
        for link in &changes.links {
            let wallet = link.openid.expose().to_owned();
            let mut others = self.users.iter().filter(|(no, _)| **no != link.user);
            let taken = others.any(|(_, known)| known.wallet.as_ref() == Some(&wallet));
            // Whoever shares one must at least be known to.
            let told = !link.holds() || link.sharing != Sharing::Alone;
            self.check(!taken || told, "one_wallet_one_user", || {
                "a wallet that is somebody's is linked to another user".to_owned()
            });
            let known = self.users.entry(link.user).or_default();
            known.wallet = link.holds().then_some(wallet);
        }
    }

    /// What people did, and what is stopped now and was before.
    fn controls(&mut self, changes: &Changes) {
        self.stops_before.clone_from(&self.stops);
        for stop in &changes.stops {
            if stop.cause == StopCause::Float {
                continue;
            }
            let name = format!("{} by {}", stop.scope, stop.cause.name());
            if stop.lifted_at.is_some() {
                self.stops.remove(&name);
            } else {
                self.stops.insert(name);
            }
        }
        for deed in &changes.deeds {
            if deed.what == "approve" {
                let approvers = self.approvers.entry(deed.subject.clone()).or_default();
                approvers.insert(deed.actor.to_string());
            }
        }
    }

    /// As many different people said yes as the amount asks for.
    fn four_eyes(&mut self, payout: &Payout, name: &str) {
        let reaches = |from: Option<Fen>| from.is_some_and(|from| payout.amount >= from);
        let needed = match (
            reaches(self.policy.review_from),
            reaches(self.policy.second_from),
        ) {
            (_, true) => 2,
            (first, false) => usize::from(first),
        };
        let approvers = self.approvers.get(&payout.id.to_string());
        let said = approvers.map_or(0, BTreeSet::len);
        self.check(said >= needed, "four_eyes", || {
            format!("{name} is approved by {said} people, {needed} are needed")
        });
    }

    fn entry(&mut self, entry: &Entry, moves: &mut Vec<(PayoutId, [u32; 3])>) {
        self.entries += 1;
        let amount = entry.amount().0;
        for (account, change) in [(entry.debit(), -amount), (entry.credit(), amount)] {
            let balance = self.accounts.entry(account).or_default();
            *balance += change;
            let (balance, floor) = (*balance, self.sees_all && account.never_negative());
            self.check(!floor || balance >= 0, "never_negative", || {
                format!("{account:?} stands at {balance} micro-yuan")
            });
        }
        self.moved(entry);
        let place = match entry.cause() {
            Cause::Hold => 0,
            Cause::Settle => 1,
            Cause::Release => 2,
            _ => return,
        };
        let Some(payout) = entry.payout() else { return };
        let known = moves.iter().position(|(id, _)| *id == payout);
        let place_of = known.unwrap_or_else(|| {
            moves.push((payout, [0; 3]));
            moves.len() - 1
        });
        moves[place_of].1[place] += 1;
    }

    /// What an entry of an event does to users, net of what they owe.
    fn effect(&self, entry: &Entry) -> Vec<(String, i64)> {
        let amount = entry.amount().0;
        [(entry.debit(), -amount), (entry.credit(), amount)]
            .into_iter()
            .filter_map(|(account, change)| match account {
                Account::Available(user) | Account::Receivable(user) => {
                    Some((self.users.get(&user)?.name.clone(), change))
                }
                _ => None,
            })
            .collect()
    }

    fn payout(
        &mut self,
        (payout, work): (&Payout, Option<&Work>),
        new_moves: Option<[u32; 3]>,
        last: bool,
        wechat: &Wechat,
    ) {
        let new_moves = new_moves.unwrap_or_default();
        let before = self.payouts.get(&payout.id).cloned();
        let name = payout.reference.to_string();
        let is_final = payout.state.is_final();
        match &before {
            None => self.born(payout),
            Some(before) => {
                self.tells_of(&before.payout, payout);
                self.changed(before, payout);
            }
        }
        let same = before
            .as_ref()
            .is_some_and(|b| b.payout.state == payout.state);
        let waits = work.is_some() != is_final || (same && work.is_none());
        self.check(waits, "final_waits_for_nothing", || {
            format!("{name} is {} and waits for {work:?}", payout.state.name())
        });
        let mut moves = before.as_ref().map_or([0; 3], |before| before.moves);
        for (all, new) in moves.iter_mut().zip(new_moves) {
            *all += new;
        }
        let approved_on = self.approved(before.as_ref(), payout);
        let ends = match (&payout.state, is_final) {
            (State::Paid(..), _) => [1, 1, 0],
            (_, true) => [1, 0, 1],
            (_, false) => [1, 0, 0],
        };
        self.check(moves[0] == 1 || !last, "one_hold", || {
            format!("{name}: {moves:?}")
        });
        self.check(moves == ends || !last, "hold_ends_once", || {
            format!(
                "{name} is {}: held, settled, released {moves:?}",
                payout.state.name()
            )
        });
        let cancels = matches!(payout.state, State::Cancelling(_));
        let watched = Watched {
            payout: payout.clone(),
            moves,
            approved_on,
            lease: before
                .as_ref()
                .and_then(|b| b.lease)
                .filter(|_| work.is_none() && !is_final),
            unwanted: cancels || before.as_ref().is_some_and(|before| before.unwanted),
        };
        self.payouts.insert(payout.id, watched);
        if is_final && !same {
            self.ended(payout, wechat);
        }
    }

    fn born(&mut self, payout: &Payout) {
        let name = payout.reference.to_string();
        let fresh = payout.version == 1 && stage(&payout.state) == 0;
        self.check(fresh, "graph_is_monotone", || {
            format!(
                "{name} is born {} in version {}",
                payout.state.name(),
                payout.version
            )
        });
        let known = self.by_reference.insert(name.clone(), payout.id);
        self.check(known.is_none(), "reference_once", || {
            format!("{name} names two payouts")
        });
    }

    fn changed(&mut self, before: &Watched, payout: &Payout) {
        let (old, name) = (&before.payout, payout.reference.to_string());
        let (from, to) = (old.state.name(), payout.state.name());
        // What only waits for something else is written as it was.
        let rises = payout.version == old.version + 1 || payout == old;
        self.check(rises, "version_rises", || {
            format!(
                "{name} goes from version {} to {}",
                old.version, payout.version
            )
        });
        let make = |p: &Payout| (p.user, p.amount, p.reference.clone(), p.created_at);
        self.check(make(old) == make(payout), "payout_keeps_its_make", || {
            name.clone()
        });
        let stays = !old.state.is_final() || old.state == payout.state;
        self.check(stays, "final_stays", || {
            format!("{name} was {from} and becomes {to}")
        });
        let (was, is) = (stage(&old.state), stage(&payout.state));
        let again = payout.tries == old.tries + 1 && is == 1 && was == 2;
        let onward = is == 3 || again || (was <= is && is - was <= 1);
        self.check(onward, "graph_is_monotone", || {
            format!("{name} goes from {from} to {to}")
        });
        // What was in a batch that was refused goes on, however often it may be tried.
        let numbers = (1..=payout.tries).map(|attempt| OutBillNo::new(payout.id, attempt));
        let orders = numbers.filter_map(|number| self.orders.get(&number));
        let parted = orders.filter(|order| order.seat.is_some()).count();
        let allowed = usize::from(self.policy.attempts_max.max(1)) + parted;
        let tries = usize::from(payout.tries) < allowed;
        self.check(tries, "no_try_too_many", || {
            format!("{name} is tried again after {} tries", payout.tries)
        });
        let given_up = matches!(&payout.state, State::Refused(reasons)
            if reasons.contains(&Reason::ReviewExpired));
        let waited = payout.updated_at.since_ms(payout.created_at);
        let early = given_up && old.state != payout.state && waited < self.policy.review_ms;
        self.check(!early, "people_have_their_time", || {
            format!("{name} is given up after {waited} ms")
        });
        let people = matches!(old.state, State::Requested | State::Review(_));
        if people && payout.state == State::Approved {
            self.four_eyes(payout, &name);
        }
        let Some(attempt) = payout.state.attempt() else {
            return;
        };
        match old.state.attempt() {
            Some(first) => {
                self.check(first.order == attempt.order, "order_never_changes", || {
                    name.clone()
                });
                let again = attempt.sends > first.sends && matches!(old.state, State::Unknown(..));
                let first_sent = self.first_sent.get(&attempt.number());
                let late = first_sent
                    .is_none_or(|first| attempt.last_sent_at.since_ms(*first) >= WINDOW_MS);
                self.check(!(again && late), "no_late_resend", || {
                    format!("{name} is in doubt and sent again after three days")
                });
                if attempt.sends > first.sends {
                    self.goes_out(payout, &attempt.order, attempt.last_sent_at);
                }
            }
            None => self.first_send(payout, &name),
        }
    }

    fn first_send(&mut self, payout: &Payout, name: &str) {
        let Some(attempt) = payout.state.attempt() else {
            return;
        };
        let user = self.users.get(&payout.user).cloned().unwrap_or_default();
        // One batch may send and then freeze: what held before it counts as well.
        let earlier = self.earlier.get(&payout.user).cloned();
        let may = |user: &Known| {
            !user.frozen && user.wallet.as_deref() == Some(attempt.order.openid.expose())
        };
        let allowed = may(&user) || earlier.as_ref().is_some_and(may);
        self.check(allowed, "sent_only_while_allowed", || {
            format!("{name} goes out to {}, frozen {}", user.name, user.frozen)
        });
        let fits = attempt.order.amount == payout.amount && attempt.number().payout() == payout.id;
        self.check(fits, "order_never_changes", || {
            format!(
                "{name} of {} is ordered as {}",
                payout.amount.0, attempt.order.amount.0
            )
        });
        let number = attempt.number();
        let named = attempt.order.name.as_ref().map(|name| &name.0);
        let says = attempt.order.amount.0 >= NAMED_FROM;
        let fits = if says {
            named == user.called.as_ref()
                || earlier.as_ref().is_some_and(|e| named == e.called.as_ref())
        } else {
            named.is_none()
        };
        self.check(fits, "name_goes_along", || {
            format!("{name} goes out and says wrongly whom it is for")
        });
        let (order, at) = (attempt.order.clone(), attempt.last_sent_at);
        self.goes_out(payout, &order, at);
        self.is_told(&order, at);
        self.first_sent.insert(number, at);
        let new = self.orders.insert(number, attempt.order.clone()).is_none();
        self.check(new, "one_number_at_a_time", || {
            format!("{name} takes another's number")
        });
    }

    /// How many fen were approved for a user on a day, less what ended unpaid.
    pub(crate) fn approved_on(&self, user: UserNo, day: BusinessDate) -> i64 {
        self.days.get(&(user, day)).map_or(0, |(_, sum)| *sum)
    }

    /// Counts what is approved by the day of the approval, until it ends unpaid.
    fn approved(&mut self, before: Option<&Watched>, payout: &Payout) -> Option<BusinessDate> {
        let known = before.and_then(|before| before.approved_on);
        let unpaid = payout.state.is_final() && !matches!(payout.state, State::Paid(..));
        let amount = payout.amount.0;
        if let (Some(day), true) = (known, unpaid) {
            let totals = self.days.entry((payout.user, day)).or_default();
            *totals = (totals.0 - 1, totals.1 - amount);
            return None;
        }
        if known.is_some() || payout.state != State::Approved {
            return known;
        }
        let day = payout.updated_at.business_date();
        let totals = self.days.entry((payout.user, day)).or_default();
        *totals = (totals.0 + 1, totals.1 + amount);
        let (count, sum) = *totals;
        let policy = &self.policy;
        let within = count <= policy.user_day_count_max && sum <= policy.user_day_amount_max.0;
        self.check(within, "limits_hold", || {
            format!("{count} payouts of {sum} fen together are approved on {day}")
        });
        Some(day)
    }
}
