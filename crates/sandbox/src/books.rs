//! The sandbox's own books: people, transfers, the merchant's account, notifications. Every
//! change is a record of the journal; reading the journal again gives the same books.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::authorization::Authorization;
use crate::batch::Batch;
use crate::crypto::{base64, sha256};
use crate::journal::{Journal, Promise, Record};
use crate::old::{Packet, Payment};
use crate::settings::Booking;

/// Milliseconds that Beijing is ahead of UTC.
const BEIJING_MS: i64 = 8 * 3_600_000;
/// Milliseconds in a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// One transfer as it was asked for and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Transfer {
    pub(crate) out_bill_no: String,
    pub(crate) transfer_bill_no: String,
    pub(crate) appid: String,
    pub(crate) openid: String,
    pub(crate) amount: i64,
    pub(crate) scene: String,
    pub(crate) infos: Vec<(String, String)>,
    pub(crate) remark: String,
    pub(crate) user_name: Option<String>,
    pub(crate) notify_url: Option<String>,
    pub(crate) package: String,
    pub(crate) created_at: i64,
    pub(crate) outcome: Outcome,
    pub(crate) updated_at: i64,
    /// Whether money is locked for it.
    pub(crate) locked: bool,
    /// The authorization that it asks for, or that it rests on.
    #[serde(default)]
    pub(crate) authorization: Option<String>,
    /// Whether nobody confirms it.
    #[serde(default)]
    pub(crate) direct: bool,
}

/// Where a transfer stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "state", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Outcome {
    /// No money was locked yet.
    Accepted,
    /// The user must confirm.
    WaitUserConfirm,
    /// The user confirmed.
    Transfering,
    /// In the wallet.
    Success,
    /// Ended unpaid.
    Fail {
        /// WeChat's reason.
        reason: String,
    },
    /// A cancel was accepted.
    Canceling,
    /// Cancelled.
    Cancelled,
}

impl Outcome {
    /// WeChat's word for it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Outcome::Accepted => "ACCEPTED",
            Outcome::WaitUserConfirm => "WAIT_USER_CONFIRM",
            Outcome::Transfering => "TRANSFERING",
            Outcome::Success => "SUCCESS",
            Outcome::Fail { .. } => "FAIL",
            Outcome::Canceling => "CANCELING",
            Outcome::Cancelled => "CANCELLED",
        }
    }

    /// Whether nothing changes any more.
    pub(crate) fn is_final(&self) -> bool {
        matches!(
            self,
            Outcome::Success | Outcome::Fail { .. } | Outcome::Cancelled
        )
    }
}

/// One movement on the merchant's account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct FlowLine {
    pub(crate) flow_no: String,
    pub(crate) at: i64,
    pub(crate) business_no: String,
    pub(crate) words: String,
    pub(crate) income: bool,
    pub(crate) amount: i64,
    pub(crate) balance: i64,
    pub(crate) voucher: String,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) openid: String,
    pub(crate) real_name: Option<String>,
    pub(crate) frozen: bool,
}

/// A code that was handed out.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) user: String,
    pub(crate) scope: String,
    pub(crate) snapshot: bool,
    pub(crate) at: i64,
    pub(crate) used: bool,
}

/// Tokens that were handed out.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) openid: String,
    pub(crate) scope: String,
    pub(crate) at: i64,
}

/// A notification.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) number: String,
    pub(crate) tries: usize,
    pub(crate) delivered: u32,
    pub(crate) due_at: Option<i64>,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) appid: String,
    pub(crate) mchid: String,
    pub(crate) booking: Booking,
    pub(crate) offset_ms: i64,
    pub(crate) people: BTreeMap<String, Person>,
    pub(crate) openids: BTreeMap<String, String>,
    pub(crate) codes: BTreeMap<String, Code>,
    pub(crate) access: BTreeMap<String, Grant>,
    pub(crate) refresh: BTreeMap<String, Grant>,
    pub(crate) transfers: BTreeMap<String, Transfer>,
    pub(crate) by_bill_no: BTreeMap<String, String>,
    /// Transfers that wait for their user, by the time of their making.
    pub(crate) waiting: BTreeSet<(i64, String)>,
    /// Authorizations by their numbers.
    pub(crate) authorizations: BTreeMap<String, Authorization>,
    /// Batches, and those that move on by themselves, by the time when they do.
    pub(crate) batches: BTreeMap<String, Batch>,
    pub(crate) batches_due: BTreeSet<(i64, String)>,
    /// Payments of the old API, how often and how much each openid was paid by them on a day, and
    /// the sum of what is under way, batches among it.
    pub(crate) payments: BTreeMap<String, Payment>,
    pub(crate) paid_days: BTreeMap<(String, i64), (u32, i64)>,
    pub(crate) paying: i64,
    /// Red packets, and those that nobody opened yet, by the time when they come back.
    pub(crate) packets: BTreeMap<String, Packet>,
    pub(crate) packets_due: BTreeSet<(i64, String)>,
    pub(crate) flow: Vec<FlowLine>,
    pub(crate) balance: i64,
    /// The sum of what waits for users.
    pub(crate) locked: i64,
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
    /// Books as the records tell them.
    pub(crate) fn new(
        (appid, mchid): (String, String),
        booking: Booking,
        journal: Journal,
        records: Vec<Record>,
    ) -> Books {
        let mut books = Books {
            appid,
            mchid,
            booking,
            offset_ms: 0,
            people: BTreeMap::new(),
            openids: BTreeMap::new(),
            codes: BTreeMap::new(),
            access: BTreeMap::new(),
            refresh: BTreeMap::new(),
            transfers: BTreeMap::new(),
            by_bill_no: BTreeMap::new(),
            waiting: BTreeSet::new(),
            authorizations: BTreeMap::new(),
            batches: BTreeMap::new(),
            batches_due: BTreeSet::new(),
            packets: BTreeMap::new(),
            packets_due: BTreeSet::new(),
            payments: BTreeMap::new(),
            paid_days: BTreeMap::new(),
            paying: 0,
            flow: Vec::new(),
            balance: 0,
            locked: 0,
            notices: BTreeMap::new(),
            due: BTreeSet::new(),
            journal: None,
        };
        records.into_iter().for_each(|record| books.apply(record));
        books.journal = Some(journal);
        books
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
            Record::User {
                name,
                real_name,
                frozen,
            } => {
                let openid = self.openid(&name);
                self.openids.insert(openid.clone(), name.clone());
                self.people.insert(
                    name,
                    Person {
                        openid,
                        real_name,
                        frozen,
                    },
                );
            }
            Record::Code {
                code,
                user,
                scope,
                snapshot,
                at,
            } => {
                self.codes.insert(
                    code,
                    Code {
                        user,
                        scope,
                        snapshot,
                        at,
                        used: false,
                    },
                );
            }
            Record::Tokens {
                code,
                openid,
                scope,
                access,
                refresh,
                at,
            } => {
                let grant = Grant { openid, scope, at };
                self.granted(code, grant, (access, refresh));
            }
            Record::Created { transfer } => self.created(*transfer),
            Record::Moved {
                number,
                outcome,
                at,
            } => self.moved(number, outcome, at),
            Record::Authorization { authorization } => {
                let number = authorization.number.clone();
                self.authorizations.insert(number, *authorization);
            }
            Record::Batch { batch } => self.batched(*batch),
            Record::Packet { packet } => self.packed(*packet),
            Record::Payment { payment } => self.paid(*payment),
            Record::Flow { line } => {
                self.balance = line.balance;
                self.flow.push(line);
            }
            Record::Notify { id, number, due_at } => self.notify(id, number, due_at),
            Record::Notified {
                id,
                delivered,
                next_due_at,
            } => self.notified(id, delivered, next_due_at),
        }
    }

    fn granted(&mut self, code: Option<String>, grant: Grant, (access, refresh): (String, String)) {
        if let Some(code) = code.and_then(|code| self.codes.get_mut(&code)) {
            code.used = true;
        }
        self.access.insert(access, grant.clone());
        self.refresh.entry(refresh).or_insert(grant);
    }

    fn created(&mut self, transfer: Transfer) {
        let number = transfer.out_bill_no.clone();
        self.by_bill_no
            .insert(transfer.transfer_bill_no.clone(), number.clone());
        self.transfers.insert(number, transfer);
    }

    fn notify(&mut self, id: u64, number: String, due_at: i64) {
        let notice = Notice {
            number,
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

    fn moved(&mut self, number: String, outcome: Outcome, at: i64) {
        let Some(transfer) = self.transfers.get_mut(&number) else {
            return;
        };
        let locks = outcome == Outcome::WaitUserConfirm;
        let key = (transfer.created_at, number);
        if locks {
            self.waiting.insert(key);
        } else {
            self.waiting.remove(&key);
        }
        if locks && !transfer.locked {
            self.locked += transfer.amount;
            transfer.locked = true;
        } else if outcome.is_final() && transfer.locked {
            self.locked -= transfer.amount;
            transfer.locked = false;
        }
        transfer.outcome = outcome;
        transfer.updated_at = at;
    }

    /// A person's openid under the app: always the same, and tells nothing.
    pub(crate) fn openid(&self, name: &str) -> String {
        let digest = sha256(format!("{}/{name}", self.appid).as_bytes());
        let text = base64(&digest).replace(['+', '/', '='], "x");
        format!("o{}", &text[..27])
    }

    /// What can still be locked: the account's balance without what is locked for others.
    pub(crate) fn free_balance(&self) -> i64 {
        let free = match self.booking {
            Booking::AtLock => self.balance,
            Booking::AtSuccess => self.balance - self.locked,
        };
        free - self.paying
    }

    /// Books a movement on the merchant's account, now.
    pub(crate) fn book(&mut self, income: bool, amount: i64, words: &str, bill: (String, String)) {
        let at = self.now();
        let date = rfc3339(at)[..10].replace('-', "");
        let line = FlowLine {
            flow_no: format!("{}{date}{:010}", self.mchid, self.flow.len() + 1),
            at,
            business_no: bill.0,
            words: words.to_owned(),
            income,
            amount,
            balance: if income {
                self.balance + amount
            } else {
                self.balance - amount
            },
            voucher: bill.1,
        };
        self.record(Record::Flow { line });
    }

    /// Moves a transfer, with everything that comes with it: lines on the account, and a
    /// notification at the end. Whoever kills the sandbox finds all of it or nothing.
    pub(crate) fn advance(&mut self, number: &str, outcome: Outcome) {
        self.together(|books| books.advance_gathered(number, outcome));
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

    fn advance_gathered(&mut self, number: &str, outcome: Outcome) {
        let Some(transfer) = self.transfers.get(number) else {
            return;
        };
        let (was_locked, amount) = (transfer.locked, transfer.amount);
        let bill = (transfer.transfer_bill_no.clone(), number.to_owned());
        let notify = transfer.notify_url.is_some() && outcome.is_final();
        let at = self.now();
        match (&outcome, self.booking) {
            (Outcome::WaitUserConfirm, Booking::AtLock)
            | (Outcome::Success, Booking::AtSuccess) => {
                self.book(false, amount, "商家转账", bill);
            }
            (Outcome::Success, Booking::AtLock) if !was_locked => {
                self.book(false, amount, "商家转账", bill);
            }
            (Outcome::Fail { .. } | Outcome::Cancelled, Booking::AtLock) if was_locked => {
                self.book(true, amount, "商家转账回退", bill);
            }
            _ => {}
        }
        self.record(Record::Moved {
            number: number.to_owned(),
            outcome,
            at,
        });
        if notify {
            self.announce(number.to_owned());
        }
    }

    /// Something ended and is to be announced: a transfer by its number, other things by their
    /// kind, a slash and their number.
    pub(crate) fn announce(&mut self, number: String) {
        let id = self.notices.len() as u64 + 1;
        let due_at = self.now();
        self.record(Record::Notify { id, number, due_at });
    }
}
