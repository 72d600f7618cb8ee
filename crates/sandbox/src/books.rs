//! The sandbox's own books: people, transfers, merchants' accounts, notifications. Every
//! change is a record of the journal; reading the journal again gives the same books.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::authorization::Authorization;
use crate::batch::Batch;
use crate::crypto::{base64, sha256};
use crate::identity::{App, Voided};
use crate::journal::{Journal, Promise, Record};
use crate::kept::{Account, FlowLine, Id, Outcome, Transfer};
use crate::old::{Packet, Payment};
use crate::settings::{Booking, Lag};

/// Milliseconds that Beijing is ahead of UTC.
const BEIJING_MS: i64 = 8 * 3_600_000;
/// Milliseconds in a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) real_name: Option<String>,
    pub(crate) frozen: bool,
}

/// A code that was handed out.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) appid: String,
    pub(crate) user: String,
    pub(crate) scope: String,
    pub(crate) snapshot: bool,
    pub(crate) at: i64,
    pub(crate) used: bool,
}

/// Tokens that were handed out.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) appid: String,
    pub(crate) openid: String,
    pub(crate) scope: String,
    pub(crate) at: i64,
}

/// A notification.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) id: Id,
    pub(crate) tries: usize,
    pub(crate) delivered: u32,
    pub(crate) due_at: Option<i64>,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Books {
    /// Apps; the first is that of journals of earlier versions.
    pub(crate) apps: Vec<String>,
    /// The merchant of journals of earlier versions.
    pub(crate) first: String,
    pub(crate) booking: Booking,
    pub(crate) lag: Lag,
    pub(crate) offset_ms: i64,
    pub(crate) people: BTreeMap<String, Person>,
    /// Under which app an openid is known, and whose it is.
    pub(crate) openids: BTreeMap<String, (String, String)>,
    pub(crate) codes: BTreeMap<String, Code>,
    /// Apps beside the merchants' own.
    pub(crate) more_apps: BTreeMap<String, App>,
    /// Tokens that users took away, by app and openid.
    pub(crate) voided: BTreeMap<(String, String), Voided>,
    /// When a person's last codes of mini programs were exchanged; not worth a record.
    pub(crate) sessions: BTreeMap<String, Vec<i64>>,
    pub(crate) access: BTreeMap<String, Grant>,
    pub(crate) refresh: BTreeMap<String, Grant>,
    pub(crate) transfers: BTreeMap<Id, Transfer>,
    /// The merchant's number of WeChat's, which is one merchant's own as well.
    pub(crate) by_bill_no: BTreeMap<Id, String>,
    /// Transfers that wait for their user, by the time of their making.
    pub(crate) waiting: BTreeSet<(i64, Id)>,
    /// Transfers that go on by themselves.
    pub(crate) moving: BTreeSet<Id>,
    /// Authorizations by their numbers.
    pub(crate) authorizations: BTreeMap<Id, Authorization>,
    /// Batches, and those that move on by themselves, by the time when they do.
    pub(crate) batches: BTreeMap<Id, Batch>,
    pub(crate) batches_due: BTreeSet<(i64, Id)>,
    /// Payments of the old API, and how often and how much each openid was paid by it on a day.
    pub(crate) payments: BTreeMap<Id, Payment>,
    pub(crate) paid_days: BTreeMap<(String, i64), (u32, i64)>,
    /// Red packets, and those that nobody opened yet, by the time when they come back.
    pub(crate) packets: BTreeMap<Id, Packet>,
    pub(crate) packets_due: BTreeSet<(i64, Id)>,
    /// Merchants, by number.
    pub(crate) accounts: BTreeMap<String, Account>,
    /// Which app is bound to which merchant.
    pub(crate) bindings: BTreeSet<(String, String)>,
    pub(crate) notices: BTreeMap<u64, Notice>,
    pub(crate) due: BTreeSet<(i64, u64)>,
    journal: Option<Journal>,
}

/// The machine's time in Unix milliseconds: what signatures carry.
pub(crate) fn wire_now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The days since 1970-01-01 in Beijing.
pub(crate) fn beijing_day(at: i64) -> i64 {
    (at + BEIJING_MS).div_euclid(DAY_MS)
}

/// The first moment of a day in Beijing.
pub(crate) fn day_start(day: i64) -> i64 {
    day * DAY_MS - BEIJING_MS
}

/// A moment as WeChat writes it: `2026-03-02T10:15:07+08:00`.
pub(crate) fn rfc3339(at: i64) -> String {
    let text = jiff::tz::Offset::constant(8)
        .to_datetime(jiff::Timestamp::from_millisecond(at).unwrap_or_default())
        .strftime("%Y-%m-%dT%H:%M:%S")
        .to_string();
    format!("{text}+08:00")
}

impl Books {
    /// Books of these apps and merchants, the first ones first, as the records tell them.
    pub(crate) fn new(
        members: &[(String, String)],
        booking: Booking,
        journal: Journal,
        records: Vec<Record>,
    ) -> Books {
        let mut books = Books {
            apps: Vec::new(),
            first: members
                .first()
                .map_or_else(String::new, |(_, mchid)| mchid.clone()),
            booking,
            lag: Lag::default(),
            offset_ms: 0,
            people: BTreeMap::new(),
            openids: BTreeMap::new(),
            codes: BTreeMap::new(),
            more_apps: BTreeMap::new(),
            voided: BTreeMap::new(),
            sessions: BTreeMap::new(),
            access: BTreeMap::new(),
            refresh: BTreeMap::new(),
            transfers: BTreeMap::new(),
            by_bill_no: BTreeMap::new(),
            waiting: BTreeSet::new(),
            moving: BTreeSet::new(),
            authorizations: BTreeMap::new(),
            batches: BTreeMap::new(),
            batches_due: BTreeSet::new(),
            packets: BTreeMap::new(),
            packets_due: BTreeSet::new(),
            payments: BTreeMap::new(),
            paid_days: BTreeMap::new(),
            accounts: BTreeMap::new(),
            bindings: BTreeSet::new(),
            notices: BTreeMap::new(),
            due: BTreeSet::new(),
            journal: None,
        };
        for (appid, mchid) in members {
            books.admit(appid, mchid);
        }
        records.into_iter().for_each(|record| books.apply(record));
        books.journal = Some(journal);
        books
    }

    /// A merchant with an app of its own is known from now on.
    pub(crate) fn admit(&mut self, appid: &str, mchid: &str) {
        self.accounts.entry(mchid.to_owned()).or_default();
        self.bindings.insert((mchid.to_owned(), appid.to_owned()));
        self.admit_app(appid);
    }

    /// An app is known from now on, and everybody has an openid there.
    fn admit_app(&mut self, appid: &str) {
        if !self.apps.iter().any(|app| app == appid) {
            self.apps.push(appid.to_owned());
            let names: Vec<String> = self.people.keys().cloned().collect();
            for name in names {
                let openid = self.openid(appid, &name);
                self.openids.insert(openid, (appid.to_owned(), name));
            }
        }
    }

    /// The merchant that a record names, or the one that there was when none was named.
    fn merchant(&self, mchid: String) -> String {
        if mchid.is_empty() {
            self.first.clone()
        } else {
            mchid
        }
    }

    fn app(&self, appid: String) -> String {
        match self.apps.first() {
            Some(first) if appid.is_empty() => first.clone(),
            _ => appid,
        }
    }

    /// The account of a merchant that is known.
    pub(crate) fn account(&self, mchid: &str) -> &Account {
        const EMPTY: &Account = &Account {
            flow: Vec::new(),
            balance: 0,
            locked: 0,
            paying: 0,
        };
        self.accounts.get(mchid).unwrap_or(EMPTY)
    }

    pub(crate) fn account_mut(&mut self, mchid: &str) -> &mut Account {
        self.accounts.entry(mchid.to_owned()).or_default()
    }

    /// The business time.
    pub(crate) fn now(&self) -> i64 {
        wire_now() + self.offset_ms
    }

    /// Writes a record down and acts on it.
    pub(crate) fn record(&mut self, record: Record) {
        if let Some(journal) = &mut self.journal {
            journal.append(&record);
        }
        self.apply(record);
    }

    /// What was recorded so far, to be waited for before anybody is told.
    pub(crate) fn promise(&self) -> Option<Promise> {
        self.journal.as_ref().map(Journal::promise)
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Clock { offset_ms } => self.offset_ms = offset_ms,
            record @ (Record::User { .. } | Record::App { .. }) => self.apply_person(record),
            record @ (Record::Code { .. }
            | Record::Tokens { .. }
            | Record::CodeUsed { .. }
            | Record::Voided { .. }) => self.apply_grant(record),
            Record::Created { transfer } => self.created(*transfer),
            Record::Moved {
                mchid,
                number,
                outcome,
                at,
            } => self.moved(&Id::new(&self.merchant(mchid), &number), outcome, at),
            Record::Authorization { authorization } => {
                self.authorizations
                    .insert(authorization.id(), *authorization);
            }
            Record::Batch { batch } => self.batched(*batch),
            Record::Packet { packet } => self.packed(*packet),
            Record::Payment { payment } => self.paid(*payment),
            Record::Flow { mut line } => {
                line.mchid = self.merchant(line.mchid);
                let account = self.account_mut(&line.mchid);
                account.balance = line.balance;
                account.flow.push(line);
            }
            Record::Notify {
                id,
                mchid,
                number,
                due_at,
            } => self.notify(id, Id::new(&self.merchant(mchid), &number), due_at),
            Record::Bound {
                mchid,
                appid,
                bound,
            } => {
                let binding = (mchid, appid);
                if bound {
                    self.bindings.insert(binding);
                } else {
                    self.bindings.remove(&binding);
                }
            }
            Record::Notified {
                id,
                delivered,
                next_due_at,
            } => self.notified(id, delivered, next_due_at),
        }
    }

    /// Who there is: people and apps.
    fn apply_person(&mut self, record: Record) {
        match record {
            Record::User {
                name,
                real_name,
                frozen,
            } => {
                for appid in self.apps.clone() {
                    let openid = self.openid(&appid, &name);
                    self.openids.insert(openid, (appid, name.clone()));
                }
                let person = Person { real_name, frozen };
                self.people.insert(name, person);
            }
            Record::App {
                appid,
                secret,
                kind,
            } => {
                self.admit_app(&appid);
                self.more_apps.insert(appid, App { secret, kind });
            }
            _ => {}
        }
    }

    /// What was handed out in somebody's name.
    fn apply_grant(&mut self, record: Record) {
        match record {
            Record::Code {
                appid,
                code,
                user,
                scope,
                snapshot,
                at,
            } => {
                let appid = self.app(appid);
                self.codes.insert(
                    code,
                    Code {
                        appid,
                        user,
                        scope,
                        snapshot,
                        at,
                        used: false,
                    },
                );
            }
            Record::Tokens {
                appid,
                code,
                openid,
                scope,
                access,
                refresh,
                at,
            } => {
                let appid = self.app(appid);
                let grant = Grant {
                    appid,
                    openid,
                    scope,
                    at,
                };
                self.granted(code, grant, (access, refresh));
            }
            Record::CodeUsed { code } => {
                if let Some(code) = self.codes.get_mut(&code) {
                    code.used = true;
                }
            }
            Record::Voided {
                appid,
                openid,
                at,
                errcode,
            } => {
                self.voided.insert((appid, openid), Voided { at, errcode });
            }
            _ => {}
        }
    }

    fn granted(&mut self, code: Option<String>, grant: Grant, (access, refresh): (String, String)) {
        if let Some(code) = code.and_then(|code| self.codes.get_mut(&code)) {
            code.used = true;
        }
        self.access.insert(access, grant.clone());
        self.refresh.entry(refresh).or_insert(grant);
    }

    fn created(&mut self, mut transfer: Transfer) {
        transfer.mchid = self.merchant(transfer.mchid);
        let theirs = Id::new(&transfer.mchid, &transfer.transfer_bill_no);
        self.by_bill_no.insert(theirs, transfer.out_bill_no.clone());
        self.moving.insert(transfer.id());
        self.transfers.insert(transfer.id(), transfer);
    }

    fn notify(&mut self, id: u64, of: Id, due_at: i64) {
        let notice = Notice {
            id: of,
            tries: 0,
            delivered: 0,
            due_at: Some(due_at),
        };
        self.notices.insert(id, notice);
        self.due.insert((due_at, id));
    }

    fn notified(&mut self, id: u64, delivered: bool, next_due_at: Option<i64>) {
        let Some(notice) = self.notices.get_mut(&id) else {
            return;
        };
        if let Some(due) = notice.due_at.take() {
            self.due.remove(&(due, id));
        }
        notice.tries += 1;
        notice.delivered += u32::from(delivered);
        notice.due_at = next_due_at;
        self.due.extend(next_due_at.map(|due| (due, id)));
    }

    fn moved(&mut self, id: &Id, outcome: Outcome, at: i64) {
        let Some(transfer) = self.transfers.get_mut(id) else {
            return;
        };
        let waits = outcome == Outcome::WaitUserConfirm;
        let key = (transfer.created_at, id.clone());
        if waits {
            self.waiting.insert(key);
        } else {
            self.waiting.remove(&key);
        }
        if outcome.moves_on() {
            self.moving.insert(id.clone());
        } else {
            self.moving.remove(id);
        }
        let locks = waits || matches!(outcome, Outcome::Transfering { .. });
        let mut locked = 0;
        if locks && !transfer.locked {
            locked = transfer.amount;
            transfer.locked = true;
        } else if outcome.is_final() && transfer.locked {
            locked = -transfer.amount;
            transfer.locked = false;
        }
        transfer.outcome = outcome;
        transfer.updated_at = at;
        self.account_mut(&id.mchid).locked += locked;
    }

    /// A person's openid under an app: always the same, and tells nothing.
    pub(crate) fn openid(&self, appid: &str, name: &str) -> String {
        let digest = sha256(format!("{appid}/{name}").as_bytes());
        let text = base64(&digest).replace(['+', '/', '='], "x");
        format!("o{}", &text[..27])
    }

    /// What a merchant can still lock: its balance without what is locked for others.
    pub(crate) fn free_balance(&self, mchid: &str) -> i64 {
        let account = self.account(mchid);
        let free = match self.booking {
            Booking::AtLock => account.balance,
            Booking::AtSuccess => account.balance - account.locked,
        };
        free - account.paying
    }

    /// Books money that a merchant paid in.
    pub(crate) fn top_up(&mut self, mchid: &str, amount: i64) {
        let voucher = format!("TOPUP{:08}", self.account(mchid).flow.len() + 1);
        let bill = (voucher.clone(), voucher);
        self.book((mchid, true), amount, "充值", bill);
    }

    /// Makes a person known who was not.
    pub(crate) fn meet(&mut self, name: &str) {
        if !self.people.contains_key(name) {
            self.record(Record::User {
                name: name.to_owned(),
                real_name: None,
                frozen: false,
            });
        }
    }

    /// Whether an app is the merchant's to pay under, and a person known there.
    pub(crate) fn person_of(&self, appid: &str, openid: &str) -> Option<&Person> {
        let (of, name) = self.openids.get(openid)?;
        self.people.get(name).filter(|_| of == appid)
    }

    /// Whether a merchant may use an app.
    pub(crate) fn is_bound(&self, mchid: &str, appid: &str) -> bool {
        self.bindings
            .contains(&(mchid.to_owned(), appid.to_owned()))
    }

    /// Books a movement on a merchant's account, now.
    pub(crate) fn book(
        &mut self,
        (mchid, income): (&str, bool),
        amount: i64,
        words: &str,
        bill: (String, String),
    ) {
        let at = self.now();
        let date = rfc3339(at)[..10].replace('-', "");
        let account = self.account(mchid);
        let balance = account.balance;
        let line = FlowLine {
            mchid: mchid.to_owned(),
            flow_no: format!("{mchid}{date}{:010}", account.flow.len() + 1),
            at,
            business_no: bill.0,
            words: words.to_owned(),
            income,
            amount,
            balance: if income {
                balance + amount
            } else {
                balance - amount
            },
            voucher: bill.1,
        };
        self.record(Record::Flow { line });
    }

    /// Moves a transfer, with everything that comes with it: lines on the account, and a
    /// notification at the end. Whoever kills the sandbox finds all of it or nothing.
    pub(crate) fn advance(&mut self, id: &Id, outcome: Outcome) {
        self.together(|books| books.advance_gathered(id, outcome));
    }

    /// What is recorded meanwhile is written together or not at all.
    pub(crate) fn together(&mut self, change: impl FnOnce(&mut Books)) {
        if let Some(journal) = &mut self.journal {
            journal.begin();
        }
        change(self);
        if let Some(journal) = &mut self.journal {
            journal.end();
        }
    }

    fn advance_gathered(&mut self, id: &Id, outcome: Outcome) {
        let Some(transfer) = self.transfers.get(id) else {
            return;
        };
        let (was_locked, amount) = (transfer.locked, transfer.amount);
        let bill = (transfer.transfer_bill_no.clone(), id.number.clone());
        let notify = transfer.notify_url.is_some() && outcome.is_final();
        let at = self.now();
        match (&outcome, self.booking) {
            (Outcome::Success, Booking::AtSuccess) => {
                self.book((&id.mchid, false), amount, "商家转账", bill);
            }
            (
                Outcome::WaitUserConfirm | Outcome::Transfering { .. } | Outcome::Success,
                Booking::AtLock,
            ) if !was_locked => {
                self.book((&id.mchid, false), amount, "商家转账", bill);
            }
            (Outcome::Fail { .. } | Outcome::Cancelled, Booking::AtLock) if was_locked => {
                self.book((&id.mchid, true), amount, "商家转账回退", bill);
            }
            _ => {}
        }
        self.record(Record::Moved {
            mchid: id.mchid.clone(),
            number: id.number.clone(),
            outcome,
            at,
        });
        if notify {
            self.announce(id);
        }
    }

    /// Something ended and is to be announced: a transfer by its number, other things by their
    /// kind, a slash and their number.
    pub(crate) fn announce(&mut self, id: &Id) {
        let due_at = self.now();
        self.record(Record::Notify {
            id: self.notices.len() as u64 + 1,
            mchid: id.mchid.clone(),
            number: id.number.clone(),
            due_at,
        });
    }
}
