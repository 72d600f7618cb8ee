//! What is asked of storage before a decision, and what comes back.
//!
//! Facts know what was asked for: looking at something that was not prefetched is our mistake
//! and panics, so that "not there" never means "not looked". A batch of commands shares one
//! set of facts; the changes of each are applied before the next is decided.

use std::collections::{BTreeMap, BTreeSet};

use crate::changes::Changes;
use crate::command::{Command, IdempotencyKey};
use crate::control::Stops;
use crate::earning::{Earning, Kind, KindDay, Purse};
use crate::id::{
    AppId, EventId, KindCode, KindNo, MchId, MerchantNo, OpenId, OutBillNo, PayoutId, Reference,
    Source, UserId, UserNo,
};
use crate::ledger::{Account, Entry};
use crate::letter::LetterId;
use crate::link::{Identity, Link, LinkCommand, LinkState, Standing, StateDigest};
use crate::money::{BALANCE_MAX, Fen, Micros};
use crate::payout::Payout;
use crate::reconcile::Break;
use crate::time::{BusinessDate, Timestamp};
use crate::transfer::Merchant;
use crate::user::{DayTotals, User};

/// What a batch of commands needs to know. Plain data, so that a store may fetch it in sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Users by the app's name.
    pub users: BTreeSet<UserId>,
    /// Users whose link, balances, day totals, what cools off after the day and the totals per
    /// kind of the day (or a later one) are needed as well.
    pub wallets: BTreeSet<UserId>,
    /// Earning events.
    pub earnings: BTreeSet<(Source, EventId)>,
    /// Started links, with their user and that user's wallet.
    pub link_states: BTreeSet<StateDigest>,
    /// Who else holds these wallets: openids, and unionids, too.
    pub openids: BTreeSet<OpenId>,
    /// Withdrawals by the caller's name.
    pub references: BTreeSet<Reference>,
    /// Remembered answers.
    pub idempotency: BTreeSet<IdempotencyKey>,
    /// Payouts, each with its user's wallet (and in it the day that the payout counts towards)
    /// and its open break.
    pub payouts: BTreeSet<PayoutId>,
    /// Lines of bills.
    pub bill_lines: BTreeSet<(MchId, String)>,
    /// Whether it must be known which days of bills are closed.
    pub closed_bills: bool,
    /// The business day whose totals count; that of now.
    pub day: BusinessDate,
}

impl Keys {
    /// Everything that these commands need at the moment `now`.
    #[must_use]
    pub fn of<'a>(commands: impl Iterator<Item = &'a Command>, now: Timestamp) -> Keys {
        let mut keys = Keys {
            day: now.business_date(),
            ..Keys::default()
        };
        commands.for_each(|command| keys.add(command));
        keys
    }

    fn add(&mut self, command: &Command) {
        match command {
            Command::DefineKind(_)
            | Command::DefineMerchant(_)
            | Command::AddApiKey(_)
            | Command::SetEndpoint { .. }
            | Command::SetStop { .. }
            | Command::DiscardLetter { .. }
            | Command::CloseBill { .. } => {}
            Command::RegisterUser { user, .. } | Command::SetFrozen { user, .. } => {
                self.users.insert(user.clone());
            }
            // A later command of the batch may redeem the state, and that needs the wallet.
            Command::StartLink { user, .. } => {
                self.wallets.insert(user.clone());
            }
            Command::RedeemState { state } => {
                self.link_states.insert(*state);
            }
            Command::CompleteLink { state, identity } => {
                self.link_states.insert(*state);
                self.add_person(identity);
            }
            Command::Link(command) => self.add_link(command),
            Command::Earn(event) | Command::ReplayLetter { event, .. } => {
                if !self.wallets.contains(&event.user) {
                    self.wallets.insert(event.user.clone());
                }
                self.wallets.extend(event.from.clone());
                let name = |id: &EventId| (event.source.clone(), id.clone());
                self.earnings.insert(name(&event.event_id));
                self.earnings.extend(event.reverses.as_ref().map(name));
            }
            Command::Withdraw(request) => {
                self.wallets.insert(request.user.clone());
                self.references.insert(request.reference.clone());
                self.idempotency
                    .extend(request.key.iter().map(|(key, _)| key.clone()));
            }
            Command::Manual { payout, .. } => {
                self.payouts.insert(*payout);
                self.closed_bills = true;
            }
            Command::Assess(payout)
            | Command::ExpireReview(payout)
            | Command::BeginTransfer(payout)
            | Command::Rouse(payout)
            | Command::CancelPayout(payout)
            | Command::CheckEnded { payout, .. } => {
                self.payouts.insert(*payout);
            }
            Command::BeginTransfers { payouts, .. }
            | Command::ResendBatch {
                members: payouts, ..
            } => {
                self.payouts.extend(payouts);
            }
            Command::ReportTransfer(report) => {
                self.payouts.insert(report.number.payout());
            }
            Command::RecordBillLine { mchid, line, .. } => {
                self.bill_lines
                    .insert((mchid.clone(), line.flow_no.clone()));
                if let Ok(number) = OutBillNo::parse(&line.voucher) {
                    self.payouts.insert(number.payout());
                }
            }
        }
    }
}

impl Keys {
    fn add_link(&mut self, command: &LinkCommand) {
        match command {
            LinkCommand::ByCode { user, identity, .. } => {
                self.wallets.insert(user.clone());
                self.add_person(identity);
            }
            LinkCommand::Refreshed { user, .. } | LinkCommand::Act { user, .. } => {
                self.wallets.insert(user.clone());
            }
        }
    }

    fn add_person(&mut self, identity: &Identity) {
        self.openids.insert(identity.openid.clone());
        self.openids.extend(identity.unionid.clone());
    }
}

/// What is known about one user's money and wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wallet {
    /// Whose.
    pub user: User,
    /// The user's wallet as each app sees it, ended ones too.
    pub links: BTreeMap<AppId, Link>,
    /// What can be withdrawn.
    pub available: Micros,
    /// What is set aside.
    pub held: Micros,
    /// What is owed after claw-backs; never negative.
    pub owed: Micros,
    /// What of the available balance cools off until a day that has not come.
    pub cooling: BTreeMap<BusinessDate, Micros>,
    /// What the user got of each capped kind today.
    pub kinds: BTreeMap<KindNo, KindDay>,
    /// The totals of the days that were asked for.
    pub days: BTreeMap<BusinessDate, DayTotals>,
}

impl Wallet {
    /// A wallet of a user who was registered just now.
    #[must_use]
    pub fn new(user: User) -> Wallet {
        let (available, held) = (Micros::ZERO, Micros::ZERO);
        Wallet {
            user,
            links: BTreeMap::new(),
            available,
            held,
            owed: Micros::ZERO,
            cooling: BTreeMap::new(),
            kinds: BTreeMap::new(),
            days: BTreeMap::new(),
        }
    }

    /// The links that were not ended.
    pub fn held_links(&self) -> impl Iterator<Item = &Link> {
        self.links.values().filter(|link| link.holds())
    }

    /// Whether any wallet is linked that was not ended.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        self.held_links().next().is_some()
    }

    /// The link that was granted last, of those that were not ended.
    #[must_use]
    pub fn newest_link(&self) -> Option<&Link> {
        self.held_links().max_by_key(|link| link.linked_at)
    }

    /// Whether any of these merchants begins payouts under an app that the user is linked with.
    pub fn is_payable<'m>(&self, merchants: impl IntoIterator<Item = &'m Merchant>) -> bool {
        let mut merchants = merchants.into_iter();
        merchants.any(|merchant| {
            let mut held = self.held_links();
            held.any(|link| merchant.begins_under(&link.app))
        })
    }

    /// What the rules of earning and withdrawing look at, on a day.
    #[must_use]
    pub fn purse(&self, today: BusinessDate) -> Purse {
        let cooling = self.cooling.iter().filter(|(day, _)| **day > today);
        let cooling = cooling.fold(Micros::ZERO, |sum, (_, amount)| {
            sum.plus(*amount).unwrap_or(BALANCE_MAX)
        });
        Purse {
            available: self.available,
            cooling,
            owed: self.owed,
        }
    }

    /// The totals of a day; zero when nothing was approved on it.
    #[must_use]
    pub fn day(&self, day: BusinessDate) -> DayTotals {
        self.days.get(&day).copied().unwrap_or_default()
    }
}

/// What a remembered withdrawal was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberedAnswer {
    /// SHA-256 of the request.
    pub digest: [u8; 32],
    /// The payout that it made.
    pub payout: PayoutId,
    /// Its amount.
    pub amount: Fen,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a batch of commands was told, kept up to date with what they decided so far.
///
/// Stores fill the fields; rules use the methods.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Dead letters that earlier commands of the batch ended.
    pub letters_ended: BTreeSet<LetterId>,
    /// The whole catalogue; it is small.
    pub kinds: BTreeMap<KindCode, Kind>,
    /// All merchants; they are few.
    pub merchants: BTreeMap<MchId, Merchant>,
    /// What is stopped.
    pub stops: Stops,
    /// What each merchant was told to pay on the day.
    pub merchant_days: BTreeMap<MerchantNo, Fen>,
    /// Closed days of bills, where they were asked for.
    pub closed_bills: BTreeSet<(MerchantNo, BusinessDate)>,
    /// The day whose totals are here; that of now.
    pub day: BusinessDate,
    /// Registered users, or that there is none.
    pub users: BTreeMap<UserId, Option<User>>,
    /// The number that the next new user gets.
    pub next_user: i64,
    /// Wallets of the users that were asked for.
    pub wallets: BTreeMap<UserNo, Wallet>,
    /// Credited events, or that there is none.
    pub earnings: BTreeMap<(Source, EventId), Option<Earning>>,
    /// Started links, or that there is none.
    pub link_states: BTreeMap<StateDigest, Option<LinkState>>,
    /// The users that hold a wallet, by openid and by unionid.
    pub holders: BTreeMap<OpenId, BTreeSet<UserNo>>,
    /// Whether a reference was used.
    pub references: BTreeMap<Reference, bool>,
    /// Remembered answers, or that there is none.
    pub answers: BTreeMap<IdempotencyKey, Option<RememberedAnswer>>,
    /// Payouts, or that there is none.
    pub payouts: BTreeMap<PayoutId, Option<Payout>>,
    /// Open breaks of the payouts that were asked for.
    pub open_breaks: BTreeMap<String, Break>,
    /// Whether a line was booked.
    pub bill_lines: BTreeMap<(MchId, String), bool>,
    /// What the store needs in order to notice that somebody else committed since.
    pub basis: u64,
}

impl Facts {
    /// The user of that name.
    #[must_use]
    pub fn user(&self, id: &UserId) -> Option<&User> {
        self.users
            .get(id)
            .expect("the user was prefetched")
            .as_ref()
    }

    /// The user's wallet.
    #[must_use]
    pub fn wallet(&self, user: UserNo) -> &Wallet {
        self.wallets.get(&user).expect("the wallet was prefetched")
    }

    /// The kind of that code.
    #[must_use]
    pub fn kind(&self, code: &KindCode) -> Option<&Kind> {
        self.kinds.get(code)
    }

    /// The merchant of that number.
    #[must_use]
    pub fn merchant(&self, mchid: &MchId) -> Option<&Merchant> {
        self.merchants.get(mchid)
    }

    /// The merchant of our number.
    #[must_use]
    pub fn merchant_of(&self, no: MerchantNo) -> Option<&Merchant> {
        self.merchants.values().find(|merchant| merchant.no == no)
    }

    /// What the merchant was told to pay on the day.
    #[must_use]
    pub fn merchant_day(&self, no: MerchantNo) -> Fen {
        self.merchant_days.get(&no).copied().unwrap_or(Fen::ZERO)
    }

    /// The merchant that a new payout names: the first, by our number, of those that begin any.
    /// Which one pays in the end is decided when the order is made.
    #[must_use]
    pub fn paying_merchant(&self) -> Option<&Merchant> {
        let first = |merchant: &&Merchant| (!merchant.begins(), merchant.no);
        self.merchants.values().min_by_key(first)
    }

    /// The credited event.
    #[must_use]
    pub fn earning(&self, source: &Source, event: &EventId) -> Option<&Earning> {
        let key = (source.clone(), event.clone());
        self.earnings
            .get(&key)
            .expect("the event was prefetched")
            .as_ref()
    }

    /// The started link.
    #[must_use]
    pub fn link_state(&self, digest: StateDigest) -> Option<&LinkState> {
        self.link_states
            .get(&digest)
            .expect("the link state was prefetched")
            .as_ref()
    }

    /// Who holds the wallet of an openid, or any wallet of a unionid.
    #[must_use]
    pub fn holders(&self, person: &OpenId) -> &BTreeSet<UserNo> {
        self.holders
            .get(person)
            .expect("the holders were prefetched")
    }

    /// Whether a withdrawal of that name exists.
    #[must_use]
    pub fn reference_used(&self, reference: &Reference) -> bool {
        *self
            .references
            .get(reference)
            .expect("the reference was prefetched")
    }

    /// What the key was answered with before.
    #[must_use]
    pub fn answer(&self, key: &IdempotencyKey) -> Option<&RememberedAnswer> {
        self.answers
            .get(key)
            .expect("the idempotency key was prefetched")
            .as_ref()
    }

    /// The payout of that name.
    #[must_use]
    pub fn payout(&self, id: PayoutId) -> Option<&Payout> {
        self.payouts
            .get(&id)
            .expect("the payout was prefetched")
            .as_ref()
    }

    /// The open break about a payout or a flow number.
    #[must_use]
    pub fn open_break(&self, subject: &str) -> Option<&Break> {
        self.open_breaks.get(subject)
    }

    /// Whether the line was booked.
    #[must_use]
    pub fn bill_line_known(&self, merchant: MerchantNo, flow_no: &str) -> bool {
        let mchid = self.merchant_of(merchant).map(|m| m.mchid.clone());
        let key = (mchid.expect("the merchant is known"), flow_no.to_owned());
        *self
            .bill_lines
            .get(&key)
            .expect("the bill line was prefetched")
    }

    /// Makes the facts what they will be once these changes are committed.
    pub fn apply(&mut self, changes: &Changes) {
        for kind in &changes.kinds {
            self.kinds.insert(kind.code.clone(), kind.clone());
        }
        let ended = changes.letter_ends.iter();
        self.letters_ended
            .extend(ended.map(|end| end.letter.clone()));
        for merchant in &changes.merchants {
            self.merchants
                .insert(merchant.mchid.clone(), merchant.clone());
        }
        changes
            .stops
            .iter()
            .for_each(|stop| self.stops.take(stop.clone()));
        for (merchant, day, amount) in &changes.merchant_days {
            if *day == self.day {
                self.merchant_days.insert(*merchant, *amount);
            }
        }
        for user in &changes.users {
            self.next_user = self.next_user.max(user.no.0.saturating_add(1));
            let known = self.users.insert(user.id.clone(), Some(user.clone()));
            if let Some(wallet) = self.wallets.get_mut(&user.no) {
                wallet.user = user.clone();
            } else if known.flatten().is_none() {
                self.wallets.insert(user.no, Wallet::new(user.clone()));
            }
        }
        for state in &changes.link_states {
            self.link_states.insert(state.digest, Some(state.clone()));
        }
        changes.links.iter().for_each(|link| self.take_link(link));
        self.apply_earnings(changes);
        self.apply_payouts(changes);
    }

    /// A link takes its place, and the wallet that was there before is not the user's any more.
    fn take_link(&mut self, link: &Link) {
        let user = link.user;
        if let Some(wallet) = self.wallets.get_mut(&user) {
            let before = wallet.links.insert(link.app.clone(), link.clone());
            let names = |link: &Link| {
                let openid = std::iter::once(link.openid.clone());
                openid.chain(link.unionid.clone())
            };
            let held: BTreeSet<OpenId> = wallet.held_links().flat_map(names).collect();
            for name in before.iter().flat_map(names) {
                if let Some(holders) = self.holders.get_mut(&name)
                    && !held.contains(&name)
                {
                    holders.remove(&user);
                }
            }
        }
        if link.standing != Standing::Revoked {
            let names = std::iter::once(&link.openid).chain(&link.unionid);
            for name in names {
                self.holders.entry(name.clone()).or_default().insert(user);
            }
        }
    }

    fn apply_earnings(&mut self, changes: &Changes) {
        for (earning, booked) in &changes.earnings {
            let key = (earning.source.clone(), earning.event_id.clone());
            self.earnings.insert(key, Some(earning.clone()));
            booked.entries().for_each(|entry| self.post(entry));
        }
        for (user, kind, totals) in &changes.kind_days {
            if let Some(wallet) = self.wallets.get_mut(user) {
                wallet.kinds.insert(*kind, *totals);
            }
        }
        for (user, day, amount) in &changes.cooling {
            if let Some(wallet) = self.wallets.get_mut(user) {
                wallet.cooling.insert(*day, *amount);
            }
        }
        for (source, event, clawed) in &changes.clawed {
            let key = (source.clone(), event.clone());
            if let Some(Some(earning)) = self.earnings.get_mut(&key) {
                earning.clawed = *clawed;
            }
        }
    }

    fn apply_payouts(&mut self, changes: &Changes) {
        changes.entries.iter().for_each(|entry| self.post(entry));
        for (payout, _) in &changes.payouts {
            self.references.insert(payout.reference.clone(), true);
            self.payouts.insert(payout.id, Some(payout.clone()));
        }
        for (user, day, totals) in &changes.day_totals {
            if let Some(wallet) = self.wallets.get_mut(user) {
                wallet.days.insert(*day, *totals);
            }
        }
        for (key, answer) in &changes.answers {
            self.answers.insert(key.clone(), Some(answer.clone()));
        }
        for (booked, entry) in &changes.bill_lines {
            let mchid = self.merchant_of(booked.merchant);
            if let Some(mchid) = mchid.map(|m| m.mchid.clone()) {
                self.bill_lines
                    .insert((mchid, booked.line.flow_no.clone()), true);
            }
            self.post(entry);
        }
        for found in &changes.breaks {
            if found.closed_at.is_some() {
                self.open_breaks.remove(&found.subject);
            } else {
                self.open_breaks
                    .insert(found.subject.clone(), found.clone());
            }
        }
    }

    fn post(&mut self, entry: &Entry) {
        for (account, credited) in [(entry.debit(), false), (entry.credit(), true)] {
            let wallet = account.user().and_then(|user| self.wallets.get_mut(&user));
            let Some(wallet) = wallet else {
                continue;
            };
            // A debt is what the receivable account is below zero.
            let (balance, gains) = match account {
                Account::Held(_) => (&mut wallet.held, credited),
                Account::Receivable(_) => (&mut wallet.owed, !credited),
                Account::Available(_)
                | Account::Funding(_)
                | Account::Clearing(_)
                | Account::Float(_)
                | Account::TaxWithheld(_)
                | Account::Fees
                | Account::Suspense => (&mut wallet.available, credited),
            };
            let moved = if gains {
                balance.plus(entry.amount())
            } else {
                balance.minus(entry.amount())
            };
            *balance = moved.expect("balances stay within 64 bits");
            assert!(
                *balance >= Micros::ZERO,
                "a rule let a user's balance go below zero"
            );
        }
    }
}
