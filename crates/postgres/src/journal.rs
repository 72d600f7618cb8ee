//! Entries in their order: their numbers, each user's chain of them, what they add to each
//! account, and the hash of the batch.

use std::collections::BTreeMap;

use lingqian_core::earning::Earning;
use lingqian_core::id::EventId;
use lingqian_core::ledger::{Account, Entry};
use tokio_postgres::Row;

use crate::chain::{EventKey, Hasher};
use crate::codec::{code, damaged, get};
use crate::commit::{Refused, unless};
use crate::pool::{Session, Values};
use crate::sql;

/// The locked end of the chain.
pub(crate) struct End {
    pub(crate) batch_no: i64,
    pub(crate) seq: i64,
    pub(crate) hash: [u8; 32],
    /// The first number for which there is no room.
    pub(crate) room: i64,
    /// The batch that last changed a kind.
    pub(crate) catalogue: i64,
}

/// A user's accounts; one that never moved has no balance.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Accounts {
    pub(crate) available: Option<i64>,
    pub(crate) held: Option<i64>,
    pub(crate) receivable: Option<i64>,
    pub(crate) newest: Option<i64>,
}

impl Accounts {
    /// A row of the query `accounts`, with the user's number.
    pub(crate) fn read(row: &Row) -> Result<(i64, Accounts), lingqian_io::Fault> {
        let accounts = Accounts {
            available: get(row, 1)?,
            held: get(row, 2)?,
            receivable: get(row, 3)?,
            newest: get(row, 4)?,
        };
        Ok((get(row, 0)?, accounts))
    }

    fn of(&mut self, account: Account) -> Option<&mut Option<i64>> {
        match account {
            Account::Available(_) => Some(&mut self.available),
            Account::Held(_) => Some(&mut self.held),
            Account::Receivable(_) => Some(&mut self.receivable),
            Account::Funding(_)
            | Account::Clearing(_)
            | Account::Float(_)
            | Account::TaxWithheld(_)
            | Account::Fees
            | Account::Suspense => None,
        }
    }
}

/// The user whose account it is.
pub(crate) fn owner(account: Account) -> Option<i64> {
    account.user().map(|user| user.0)
}

/// The columns of new entries.
#[derive(Default)]
struct Columns<'c> {
    debits: (Vec<i16>, Vec<i64>),
    credits: (Vec<i16>, Vec<i64>),
    amounts: Vec<i64>,
    moments: Vec<i64>,
    prevs: (Vec<Option<i64>>, Vec<Option<i64>>),
    causes: Vec<&'static str>,
    payouts: Vec<Option<String>>,
    events: (Vec<Option<&'c str>>, Vec<Option<&'c str>>),
    occurred: Vec<Option<i64>>,
    event_kinds: Vec<Option<i64>>,
    event_amounts: Vec<Option<i64>>,
    reverses: Vec<Option<&'c str>>,
    matures: Vec<Option<i32>>,
}

/// An event, as its entry bears it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'c> {
    pub(crate) key: EventKey,
    pub(crate) source: &'c str,
    pub(crate) event_id: &'c str,
    pub(crate) kind: i64,
    pub(crate) amount: i64,
    pub(crate) occurred_at: Option<i64>,
    /// Whether the money is another user's.
    pub(crate) from_user: bool,
    pub(crate) reverses: Option<&'c str>,
    pub(crate) matures_on: Option<i32>,
}

impl<'c> From<&'c Earning> for Event<'c> {
    fn from(earning: &'c Earning) -> Event<'c> {
        let (source, event_id) = (earning.source.as_str(), earning.event_id.as_str());
        Event {
            key: EventKey::of(source, event_id),
            source,
            event_id,
            kind: earning.kind.0,
            amount: earning.amount.0,
            occurred_at: earning.occurred_at.map(|at| at.0),
            from_user: earning.from.is_some(),
            reverses: earning.reverses.as_ref().map(EventId::as_str),
            matures_on: earning.matures_on.map(|day| day.0),
        }
    }
}

/// The end of the journal during one commit.
pub(crate) struct Journal<'c> {
    end: End,
    first: i64,
    accounts: BTreeMap<i64, Accounts>,
    deltas: BTreeMap<(i16, i64), i64>,
    columns: Columns<'c>,
    credited: Vec<(EventKey, i64)>,
    earned_micros: i128,
    hasher: Hasher,
}

impl<'c> Journal<'c> {
    /// Begins the next batch, of so many entries, with the accounts that they touch.
    pub(crate) fn begin(end: End, accounts: BTreeMap<i64, Accounts>, entries: i64) -> Journal<'c> {
        let hasher = Hasher::new(&end.hash, end.batch_no + 1, entries);
        Journal {
            first: end.seq + 1,
            end,
            accounts,
            deltas: BTreeMap::new(),
            columns: Columns::default(),
            credited: Vec::new(),
            earned_micros: 0,
            hasher,
        }
    }

    /// Adds an entry and tells its number.
    pub(crate) fn append(
        &mut self,
        entry: &Entry,
        event: Option<&Event<'c>>,
    ) -> Result<i64, Refused> {
        let seq = self.end.seq + 1;
        self.end.seq = seq;
        let (debit, credit) = (entry.debit(), entry.credit());
        let prevs = (self.newest(debit)?, self.newest(credit)?);
        for account in [debit, credit] {
            self.touch(account, seq);
        }
        let amount = entry.amount().0;
        self.post(debit, -amount)?;
        self.post(credit, amount)?;
        self.hasher.entry(seq, entry);
        let (debit, credit) = (code(debit)?, code(credit)?);
        let columns = &mut self.columns;
        columns.debits.0.push(debit.0);
        columns.debits.1.push(debit.1);
        columns.credits.0.push(credit.0);
        columns.credits.1.push(credit.1);
        columns.amounts.push(amount);
        columns.moments.push(entry.at().0);
        columns.prevs.0.push(prevs.0);
        columns.prevs.1.push(prevs.1);
        columns.causes.push(entry.cause().name());
        columns
            .payouts
            .push(entry.payout().map(|payout| payout.to_string()));
        columns.event(amount, event);
        if let Some(event) = event {
            self.credited.push((event.key, seq));
            self.earned_micros += i128::from(event.amount);
        }
        Ok(seq)
    }

    /// The newest entry of the user whose account this is.
    fn newest(&self, account: Account) -> Result<Option<i64>, Refused> {
        let Some(user) = owner(account) else {
            return Ok(None);
        };
        let known = self.accounts.get(&user);
        unless(
            known.is_some(),
            "an account belongs to a user who is registered",
        )?;
        Ok(known.and_then(|accounts| accounts.newest))
    }

    fn touch(&mut self, account: Account, seq: i64) {
        if let Some(accounts) = owner(account).and_then(|user| self.accounts.get_mut(&user)) {
            accounts.newest = Some(seq);
        }
    }

    fn post(&mut self, account: Account, amount: i64) -> Result<(), Refused> {
        let beyond = || damaged("a balance that leaves 64 bits");
        if let Some(balance) = owner(account)
            .and_then(|user| self.accounts.get_mut(&user))
            .and_then(|accounts| accounts.of(account))
        {
            let after = balance
                .unwrap_or(0)
                .checked_add(amount)
                .ok_or_else(beyond)?;
            let sound = after >= 0 || !account.never_negative();
            unless(sound, "a user account is never below zero")?;
            *balance = Some(after);
        } else {
            let delta = self.deltas.entry(code(account)?).or_default();
            *delta = delta.checked_add(amount).ok_or_else(beyond)?;
        }
        Ok(())
    }

    /// Leaves accounts alone that no entry touched.
    pub(crate) fn forget_untouched(&mut self) {
        let first = self.first;
        let touched = |accounts: &Accounts| accounts.newest.is_some_and(|seq| seq >= first);
        self.accounts.retain(|_, accounts| touched(accounts));
    }

    /// Writes everything and moves the end of the chain.
    pub(crate) async fn close(
        mut self,
        session: &Session,
        catalogue_changed: bool,
    ) -> Result<Sealed, Refused> {
        let batch_no = self.end.batch_no + 1;
        let entries = self.end.seq - self.first + 1;
        let hash = self.hasher.finish();
        if entries > 0 {
            self.columns.insert(session, self.first).await?;
            self.close_accounts(session, batch_no).await?;
        }
        if !self.credited.is_empty() {
            // In the order of the tree, so that neighbours find their page warm.
            self.credited.sort_unstable();
            let (keys, seqs): (Vec<EventKey>, Vec<i64>) = self.credited.iter().copied().unzip();
            session
                .run(sql!("insert_credited"), &[&keys, &seqs])
                .await?;
        }
        let count = i64::try_from(self.credited.len()).unwrap_or(i64::MAX);
        let earned = i64::try_from(self.earned_micros).map_err(|_| damaged("a batch of events"))?;
        let hash_bytes = hash.as_slice();
        let values: Values<'_> = &[&batch_no, &self.first, &entries, &hash_bytes];
        session.run(sql!("insert_batch"), values).await?;
        let values: Values<'_> = &[
            &batch_no,
            &self.end.seq,
            &hash_bytes,
            &count,
            &earned,
            &catalogue_changed,
        ];
        session.run(sql!("move_head"), values).await?;
        Ok(Sealed {
            batch_no,
            hash,
            seq: self.end.seq,
            room: self.end.room,
        })
    }

    async fn close_accounts(&self, session: &Session, batch_no: i64) -> Result<(), Refused> {
        let (users, accounts): (Vec<i64>, Vec<Accounts>) = self
            .accounts
            .iter()
            .map(|(user, accounts)| (*user, *accounts))
            .unzip();
        let column = |read: fn(&Accounts) -> Option<i64>| -> Vec<Option<i64>> {
            accounts.iter().map(read).collect()
        };
        let values: Values<'_> = &[
            &users,
            &column(|accounts| accounts.available),
            &column(|accounts| accounts.held),
            &column(|accounts| accounts.receivable),
            &column(|accounts| accounts.newest),
        ];
        let moved = session.run(sql!("move_accounts"), values).await?;
        let all = u64::try_from(users.len()).ok() == Some(moved);
        unless(all, "an account belongs to a user who is registered")?;
        let codes = self.deltas.keys();
        let (classes, owners): (Vec<i16>, Vec<i64>) = codes.copied().unzip();
        let deltas: Vec<i64> = self.deltas.values().copied().collect();
        let values: Values<'_> = &[&batch_no, &classes, &owners, &deltas];
        session.run(sql!("insert_deltas"), values).await?;
        Ok(())
    }
}

/// A batch that is written and not yet committed.
pub(crate) struct Sealed {
    pub(crate) batch_no: i64,
    pub(crate) hash: [u8; 32],
    pub(crate) seq: i64,
    pub(crate) room: i64,
}

impl<'c> Columns<'c> {
    /// What an event says beyond the accounts and the amount of its first entry.
    fn event(&mut self, amount: i64, event: Option<&Event<'c>>) {
        let kind = event.filter(|event| event.from_user);
        let whole = event.filter(|event| event.amount != amount);
        self.events.0.push(event.map(|event| event.source));
        self.events.1.push(event.map(|event| event.event_id));
        self.occurred
            .push(event.and_then(|event| event.occurred_at));
        self.event_kinds.push(kind.map(|event| event.kind));
        self.event_amounts.push(whole.map(|event| event.amount));
        self.reverses.push(event.and_then(|event| event.reverses));
        self.matures.push(event.and_then(|event| event.matures_on));
    }

    async fn insert(&self, session: &Session, first: i64) -> Result<(), Refused> {
        session
            .run(
                sql!("insert_entries"),
                &[
                    &first,
                    &self.debits.0,
                    &self.debits.1,
                    &self.credits.0,
                    &self.credits.1,
                    &self.amounts,
                    &self.causes,
                    &self.payouts,
                    &self.moments,
                    &self.prevs.0,
                    &self.prevs.1,
                    &self.events.0,
                    &self.events.1,
                    &self.occurred,
                    &self.event_kinds,
                    &self.event_amounts,
                    &self.reverses,
                    &self.matures,
                ],
            )
            .await?;
        Ok(())
    }
}
