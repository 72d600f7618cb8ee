//! What is kept, and how facts are read from it.

use std::collections::BTreeMap;

use lingqian_core::changes::{HistoryLine, Work};
use lingqian_core::command::{ApiKey, DeadLetter, IdempotencyKey};
use lingqian_core::control::{Deed, Scope, Stop, StopCause};
use lingqian_core::earning::{Earning, Kind, KindDay};
use lingqian_core::facts::{RememberedAnswer, Wallet};
use lingqian_core::id::OutBillNo;
use lingqian_core::id::{
    AppId, EventId, KindCode, KindNo, MchId, MerchantNo, PayoutId, Reference, Source, UserId,
    UserNo,
};
use lingqian_core::ledger::{Account, Entry};
use lingqian_core::letter::{LetterEnd, LetterId, Mark};
use lingqian_core::link::{Link, LinkState, StateDigest};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::payout::{Attempt, Payout};
use lingqian_core::reconcile::{Bill, BookedLine, Break};
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::Merchant;
use lingqian_core::user::{DayTotals, User};
use lingqian_core::{Facts, Keys};

use super::alerts::Told;
use super::outbox::Outgoing;
use crate::store::Claim;

/// What a payout waits for, and who has taken it on until when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) work: Work,
    pub(crate) lease_until: Option<Timestamp>,
}

/// Everything that is stored. One entry's number is its place in `entries`, from 1.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// Rises with every commit; it is the basis of facts.
    pub(crate) generation: u64,
    pub(crate) kinds: BTreeMap<KindCode, Kind>,
    pub(crate) merchants: BTreeMap<MchId, Merchant>,
    pub(crate) api_keys: BTreeMap<String, ApiKey>,
    pub(crate) users: BTreeMap<UserNo, User>,
    pub(crate) user_numbers: BTreeMap<UserId, UserNo>,
    pub(crate) links: BTreeMap<UserNo, BTreeMap<AppId, Link>>,
    pub(crate) link_leases: BTreeMap<(UserNo, AppId), Timestamp>,
    pub(crate) link_states: BTreeMap<StateDigest, LinkState>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) balances: BTreeMap<Account, Micros>,
    /// Each with the number of its entry.
    pub(crate) earnings: BTreeMap<(Source, EventId), (Earning, i64)>,
    pub(crate) kind_days: BTreeMap<(UserNo, KindNo), KindDay>,
    pub(crate) cooling: BTreeMap<(UserNo, BusinessDate), Micros>,
    pub(crate) earning_of: BTreeMap<i64, (Source, EventId)>,
    /// In the order in which they came last, each with how often it came.
    pub(crate) dead_letters: Vec<(DeadLetter, u64)>,
    pub(crate) letter_ends: BTreeMap<LetterId, LetterEnd>,
    pub(crate) marks: BTreeMap<String, Mark>,
    pub(crate) payouts: BTreeMap<PayoutId, Payout>,
    /// How many payouts are in each state, and their sum in fen; kept, not counted.
    pub(crate) states: BTreeMap<&'static str, (u64, i64)>,
    pub(crate) references: BTreeMap<Reference, PayoutId>,
    pub(crate) work: BTreeMap<PayoutId, Waiting>,
    /// Attempts that ended while their payouts went on.
    pub(crate) attempts: BTreeMap<OutBillNo, Attempt>,
    pub(crate) history: BTreeMap<PayoutId, Vec<HistoryLine>>,
    pub(crate) stops: BTreeMap<(Scope, StopCause), Stop>,
    pub(crate) deeds: Vec<Deed>,
    pub(crate) merchant_days: BTreeMap<(MerchantNo, BusinessDate), Fen>,
    pub(crate) day_totals: BTreeMap<(UserNo, BusinessDate), DayTotals>,
    pub(crate) answers: BTreeMap<IdempotencyKey, RememberedAnswer>,
    pub(crate) bill_lines: BTreeMap<(MerchantNo, String), BookedLine>,
    /// By the number of its entry.
    pub(crate) bill_line_of: BTreeMap<i64, (MerchantNo, String)>,
    pub(crate) breaks: BTreeMap<String, Break>,
    pub(crate) bills: BTreeMap<(MerchantNo, BusinessDate), Bill>,
    pub(crate) outbox: Outgoing,
    pub(crate) told: Told,
    /// Up to which notice users read their messages.
    pub(crate) read_to: BTreeMap<UserId, i64>,
}

impl Books {
    pub(crate) fn user_by_id(&self, id: &UserId) -> Option<&User> {
        self.users.get(self.user_numbers.get(id)?)
    }

    pub(crate) fn balance(&self, account: Account) -> Micros {
        self.balances.get(&account).copied().unwrap_or(Micros::ZERO)
    }

    /// The first of the days is that of now.
    pub(crate) fn wallet(&self, user: &User, days: &[BusinessDate]) -> Wallet {
        let no = user.no;
        let today = days.first().copied().unwrap_or_default();
        let kinds = self
            .kind_days
            .range((no, KindNo(i64::MIN))..=(no, KindNo(i64::MAX)));
        let kinds = kinds.filter(|(_, totals)| totals.day >= today);
        let days_to_come = (no, today.next())..=(no, BusinessDate(i32::MAX));
        let cooling = self.cooling.range(days_to_come);
        let cooling = cooling.filter(|(_, amount)| **amount > Micros::ZERO);
        let totals = |day: &BusinessDate| Some((*day, *self.day_totals.get(&(no, *day))?));
        Wallet {
            user: user.clone(),
            links: self.links_of(no),
            available: self.balance(Account::Available(no)),
            held: self.balance(Account::Held(no)),
            owed: Micros(self.balance(Account::Receivable(no)).0.saturating_neg()),
            cooling: cooling.map(|((_, day), amount)| (*day, *amount)).collect(),
            kinds: kinds.map(|((_, kind), totals)| (*kind, *totals)).collect(),
            days: days.iter().filter_map(totals).collect(),
        }
    }

    pub(crate) fn open_break(&self, subject: &str) -> Option<&Break> {
        let found = self.breaks.get(subject);
        found.filter(|found| found.closed_at.is_none())
    }

    /// Everything that the keys name.
    pub(crate) fn facts(&self, keys: &Keys) -> Facts {
        let mut facts = Facts {
            kinds: self.kinds.clone(),
            merchants: self.merchants.clone(),
            next_user: self.users.last_key_value().map_or(1, |(no, _)| no.0 + 1),
            basis: self.generation,
            stops: self.stops().into_iter().collect(),
            merchant_days: self
                .merchant_days(keys.day)
                .into_iter()
                .filter(|(_, day, _)| *day == keys.day)
                .map(|(no, _, amount)| (no, amount))
                .collect(),
            day: keys.day,
            ..Facts::default()
        };
        if keys.closed_bills {
            facts.closed_bills = self.bills.keys().copied().collect();
        }
        for id in keys.users.iter().chain(&keys.wallets) {
            facts.users.insert(id.clone(), self.user_by_id(id).cloned());
        }
        for user in keys.wallets.iter().filter_map(|id| self.user_by_id(id)) {
            self.add_wallet(&mut facts, user.no, &[keys.day]);
        }
        for key in &keys.earnings {
            let found = self.earnings.get(key).map(|(earning, _)| earning.clone());
            facts.earnings.insert(key.clone(), found);
        }
        for digest in &keys.link_states {
            let found = self.link_states.get(digest).cloned();
            if let Some(state) = &found {
                self.add_wallet(&mut facts, state.user, &[keys.day]);
            }
            facts.link_states.insert(*digest, found);
        }
        for openid in &keys.openids {
            let holders = self.holders_of(openid).collect();
            facts.holders.insert(openid.clone(), holders);
        }
        for reference in &keys.references {
            let used = self.references.contains_key(reference);
            facts.references.insert(reference.clone(), used);
        }
        for key in &keys.idempotency {
            facts
                .answers
                .insert(key.clone(), self.answers.get(key).cloned());
        }
        self.add_payouts(&mut facts, keys);
        self.add_bill_lines(&mut facts, keys);
        facts
    }

    /// Adds a user's wallet, or more days to one that is there.
    fn add_wallet(&self, facts: &mut Facts, user: UserNo, days: &[BusinessDate]) {
        let Some(user) = self.users.get(&user) else {
            return;
        };
        facts.users.insert(user.id.clone(), Some(user.clone()));
        let found = self.wallet(user, days);
        match facts.wallets.get_mut(&user.no) {
            Some(wallet) => wallet.days.extend(found.days),
            None => {
                facts.wallets.insert(user.no, found);
            }
        }
    }

    fn add_payouts(&self, facts: &mut Facts, keys: &Keys) {
        for id in &keys.payouts {
            let found = self.payouts.get(id).cloned();
            if let Some(payout) = &found {
                let mut days = vec![keys.day];
                days.extend(payout.counted_on);
                self.add_wallet(facts, payout.user, &days);
            }
            let subject = id.to_string();
            if let Some(open) = self.open_break(&subject) {
                facts.open_breaks.insert(subject, open.clone());
            }
            facts.payouts.insert(*id, found);
        }
    }

    fn add_bill_lines(&self, facts: &mut Facts, keys: &Keys) {
        for (mchid, flow_no) in &keys.bill_lines {
            let merchant = self.merchants.get(mchid);
            let known =
                merchant.is_some_and(|m| self.bill_lines.contains_key(&(m.no, flow_no.clone())));
            facts
                .bill_lines
                .insert((mchid.clone(), flow_no.clone()), known);
            if let Some(open) = self.open_break(flow_no) {
                facts.open_breaks.insert(flow_no.clone(), open.clone());
            }
        }
    }

    /// Leases due work, oldest first.
    pub(crate) fn claim(&mut self, claim: &Claim) -> Vec<PayoutId> {
        let Claim {
            queue,
            now,
            lease_until,
            limit,
        } = *claim;
        let is_due = |waiting: &Waiting| {
            waiting.work.queue == queue
                && waiting.work.due_at <= now
                && waiting.lease_until.is_none_or(|until| until <= now)
        };
        let mut due: Vec<(Timestamp, PayoutId)> = self
            .work
            .iter()
            .filter(|(_, waiting)| is_due(waiting))
            .map(|(id, waiting)| (waiting.work.due_at, *id))
            .collect();
        due.sort_unstable();
        due.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        for (_, id) in &due {
            if let Some(waiting) = self.work.get_mut(id) {
                waiting.lease_until = Some(lease_until);
            }
        }
        due.into_iter().map(|(_, id)| id).collect()
    }
}
