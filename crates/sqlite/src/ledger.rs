//! The books in memory: balances, names, ids, and the pages that are being filled.
//!
//! What is here runs ahead of the file by the batches that are being written; when one of them
//! cannot be written, all of it is thrown away and read anew. Opening replays the pages that the
//! stored accounts do not have yet.

mod batch;
mod event;
mod load;
mod system;
mod taken_back;
mod withdrawal;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use lingqian_core::earning::Kind;
use lingqian_core::id::{KindNo, MerchantNo, PayoutId, UserNo};
use lingqian_core::ledger::{Account, Cause, Entry};
use lingqian_core::money::Micros;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_io::Fault;
use rusqlite::Connection;

use crate::accounts::Accounts;
use crate::ids::Ids;
use crate::names::{Key, Names};
use crate::page::{self, Draft, Line, Page};
use crate::record::{self, Record};

pub(crate) use batch::{Batch, State};
pub(crate) use event::{Found, Marks, Seen, found};
pub(crate) use load::{sources, state, system};
use system::System;
pub(crate) use withdrawal::{Prints, Rows, answer_in, answer_row, asked};

/// Pages that are kept in memory after they were written, for those who ask again.
const PAGES_KEPT: usize = 64;

/// What users have and owe, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) available: i64,
    pub(crate) held: i64,
    pub(crate) owed: i64,
    pub(crate) events: u64,
    pub(crate) events_sum: i64,
}

/// What an entry bears beside its movement.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About<'a> {
    pub(crate) names: record::Names<'a>,
    pub(crate) occurred_at: Option<Timestamp>,
    pub(crate) matures_on: Option<BusinessDate>,
    pub(crate) counted: bool,
}

/// The books in memory.
pub(crate) struct Ledger {
    pub(crate) key: Key,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) names: Names,
    pub(crate) accounts: Accounts,
    pub(crate) ids: Ids,
    sources: HashMap<String, u32>,
    source_names: Vec<String>,
    new_sources: Vec<u32>,
    system: System,
    totals: Totals,
    clawed: HashMap<u64, i64>,
    new_clawed: Vec<u64>,
    last: u64,
    batch_began: u64,
    draft: Draft,
    finished: Vec<Arc<Page>>,
    kept: VecDeque<Arc<Page>>,
    /// Entries up to this one are in the file.
    durable: u64,
    state: State,
    /// The merchant that pays.
    pub(crate) merchant: Option<MerchantNo>,
    /// What rows say about withdrawals.
    pub(crate) rows: Rows,
    /// Withdrawals that were made since the books were read.
    pub(crate) withdrawals: u64,
    /// Whether a change of it was given up half-way.
    pub(crate) broken: bool,
}

fn out_of_range() -> Fault {
    Fault::Broken("the store refuses: a balance would leave its range".into())
}

impl Ledger {
    /// The number of the newest entry.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Entries up to this one are in the file, so that their pages need not be kept.
    pub(crate) fn is_durable(&mut self, last: u64) {
        self.durable = self.durable.max(last);
        while self.kept.len() > PAGES_KEPT
            && self
                .kept
                .front()
                .is_some_and(|page| page.last() <= self.durable)
        {
            self.kept.pop_front();
        }
    }

    /// Writes one entry to the page that is being filled, and moves its balances. The chunks of
    /// its users must be loaded.
    ///
    /// # Errors
    /// [`Fault::Broken`] when a user's account would go below zero or a balance leave its range.
    /// The books in memory are worthless then.
    pub(crate) fn append(&mut self, entry: &Leg, about: &About<'_>) -> Result<u64, Fault> {
        let seq = self.last + 1;
        let debit_prev = self.link(entry.debit, seq);
        let credit_prev = match (entry.debit.user(), entry.credit.user()) {
            (Some(debit), Some(credit)) if debit == credit => debit_prev,
            _ => self.link(entry.credit, seq),
        };
        self.move_balance(entry.debit, -entry.amount.0)?;
        self.move_balance(entry.credit, entry.amount.0)?;
        let subject = entry.debit.user().or(entry.credit.user());
        let balance = subject.map_or(0, |user| self.accounts.get(user).available);
        let record = Record {
            debit: entry.debit,
            credit: entry.credit,
            amount: entry.amount,
            cause: entry.cause,
            at: entry.at,
            occurred_at: about.occurred_at,
            matures_on: about.matures_on,
            counted: about.counted,
            balance: Micros(balance),
            debit_prev,
            credit_prev,
        };
        self.draft.push(&record, &about.names)?;
        self.last = seq;
        if self.draft.is_full() {
            self.turn_page();
        }
        Ok(seq)
    }

    fn turn_page(&mut self) {
        self.finished.extend(self.draft.finish().map(Arc::new));
    }

    /// Makes an entry the newest of the account's user; tells the one before.
    fn link(&mut self, account: Account, seq: u64) -> u64 {
        let own = account.user().and_then(|user| self.accounts.get_mut(user));
        own.map_or(0, |own| std::mem::replace(&mut own.newest, seq))
    }

    fn move_balance(&mut self, account: Account, amount: i64) -> Result<(), Fault> {
        let user = match account {
            Account::Available(user) | Account::Held(user) | Account::Receivable(user) => user,
            Account::Funding(_)
            | Account::Clearing(_)
            | Account::Float(_)
            | Account::TaxWithheld(_)
            | Account::Fees
            | Account::Suspense => return self.move_system(account, amount),
        };
        let own = self.accounts.get_mut(user).ok_or_else(out_of_range)?;
        let (balance, total, amount) = match account {
            Account::Available(_) => (&mut own.available, &mut self.totals.available, amount),
            Account::Held(_) => (&mut own.held, &mut self.totals.held, amount),
            // A debt is what the receivable account is below zero.
            _ => (&mut own.owed, &mut self.totals.owed, -amount),
        };
        *balance = balance.checked_add(amount).ok_or_else(out_of_range)?;
        *total = total.checked_add(amount).ok_or_else(out_of_range)?;
        if *balance < 0 && account.never_negative() {
            let law = "the store refuses: a user account is never below zero";
            return Err(Fault::Broken(law.into()));
        }
        Ok(())
    }

    fn move_system(&mut self, account: Account, amount: i64) -> Result<(), Fault> {
        self.system.add(account, amount).ok_or_else(out_of_range)
    }

    /// Lets somebody look at an entry, wherever it is.
    pub(crate) fn with_line<R>(
        &self,
        connection: &Connection,
        seq: u64,
        look: impl FnOnce(&Line<'_>) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        if let Some(line) = self.draft.line(seq) {
            return look(&line);
        }
        let holds = |page: &&Arc<Page>| (page.first..=page.last()).contains(&seq);
        let near = self.finished.iter().rev().chain(self.kept.iter().rev());
        if let Some(page) = near.into_iter().find(holds) {
            return look(&page.line(seq)?);
        }
        page::with_line(connection, seq, look)
    }

    /// Where the kind of that code is.
    pub(crate) fn kind_place(&self, code: &str) -> Option<usize> {
        let mut kinds = self.kinds.iter();
        kinds.position(|kind| kind.code.as_str() == code)
    }

    /// Puts a kind into the catalogue, in place of the one of its number.
    pub(crate) fn set_kind(&mut self, kind: &Kind) {
        match self.kinds.iter_mut().find(|known| known.no == kind.no) {
            Some(known) => known.clone_from(kind),
            None => self.kinds.push(kind.clone()),
        }
    }

    /// The number of a source; a new one gets the next.
    pub(crate) fn source_no(&mut self, source: &str) -> Result<u32, Fault> {
        if let Some(known) = self.sources.get(source) {
            return Ok(*known);
        }
        let number = u32::try_from(self.source_names.len()).ok();
        let number = number.filter(|number| *number < 1 << 24);
        let number = number.ok_or_else(|| {
            Fault::Broken("there are more than 16 million sources of events".into())
        })?;
        self.sources.insert(source.to_owned(), number);
        self.source_names.push(source.to_owned());
        self.new_sources.push(number);
        Ok(number)
    }

    /// The number of a source that events came from before.
    pub(crate) fn known_source(&self, source: &str) -> Option<u32> {
        self.sources.get(source).copied()
    }

    /// The name of a source.
    pub(crate) fn source_name(&self, number: u32) -> Option<&str> {
        self.source_names.get(number as usize).map(String::as_str)
    }
}

/// A movement at a moment, as [`Ledger::append`] takes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leg {
    pub(crate) debit: Account,
    pub(crate) credit: Account,
    pub(crate) amount: Micros,
    pub(crate) cause: Cause,
    pub(crate) at: Timestamp,
}

impl Leg {
    /// The movement of an entry.
    pub(crate) fn of(entry: &Entry) -> Leg {
        Leg {
            debit: entry.debit(),
            credit: entry.credit(),
            amount: entry.amount(),
            cause: entry.cause(),
            at: entry.at(),
        }
    }

    /// A leg of a booking at a moment.
    pub(crate) fn at(leg: &lingqian_core::earning::Leg, at: Timestamp) -> Leg {
        Leg {
            debit: leg.debit,
            credit: leg.credit,
            amount: leg.amount,
            cause: leg.cause,
            at,
        }
    }
}

/// What an entry of a payout bears.
pub(crate) fn about_payout<'a>(payout: Option<PayoutId>) -> About<'a> {
    About {
        names: record::Names {
            payout,
            ..record::Names::default()
        },
        ..About::default()
    }
}

/// The users whose accounts an entry touches.
pub(crate) fn users(debit: Account, credit: Account) -> impl Iterator<Item = UserNo> {
    [debit.user(), credit.user()].into_iter().flatten()
}

/// The kind of an event, by its entry.
pub(crate) fn kind_of(record: &Record, names: &record::Names<'_>) -> Option<KindNo> {
    match (names.kind, record.debit, record.credit) {
        (Some(kind), _, _)
        | (None, Account::Funding(kind), _)
        | (None, _, Account::Funding(kind)) => Some(kind),
        _ => None,
    }
}
