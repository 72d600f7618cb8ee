//! Entries in their order: their numbers, each user's chain of them, what they add to each
//! account, and the hash of the batch.

use std::collections::BTreeMap;

use lingqian_core::earning::Earning;
use lingqian_core::id::EventId;
use lingqian_core::ledger::{Account, Entry};

use crate::accounts::{self, Accounts, owner};
use crate::chain::{EventKey, Hasher};
use crate::codec::{code, damaged};
use crate::commit::{Refused, unless};
use crate::copy::Rows;
use crate::pool::{Session, Values};
use crate::sql;

/// The end of the chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) batch_no: i64,
    pub(crate) seq: i64,
    pub(crate) hash: [u8; 32],
    /// The first number for which there is no room.
    pub(crate) room: i64,
    /// The batch that last changed a kind.
    pub(crate) catalogue: i64,
}

impl End {
    /// Whether both are the end of one chain.
    pub(crate) fn is(&self, other: &End) -> bool {
        (self.batch_no, self.hash, self.catalogue) == (other.batch_no, other.hash, other.catalogue)
    }

    /// Refuses what there is no room for.
    pub(crate) fn room_for(&self, entries: i64) -> Result<(), Refused> {
        let after = self.seq.saturating_add(entries);
        if after < self.room {
            return Ok(());
        }
        Err(Refused::NoRoom(after.saturating_add(1)))
    }
}

/// Columns of an entry, in the order of the query `copy_entries`.
const ENTRY_FIELDS: i16 = 18;
/// About so many bytes does an entry take on its way.
const ENTRY_BYTES: usize = 192;

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
pub(crate) struct Journal {
    end: End,
    first: i64,
    accounts: BTreeMap<i64, Accounts>,
    deltas: BTreeMap<(i16, i64), i64>,
    rows: Rows,
    credited: Vec<(EventKey, i64)>,
    earned_micros: i128,
    hasher: Hasher,
}

impl Journal {
    /// Begins the next batch, of so many entries, with the accounts that they touch.
    pub(crate) fn begin(end: End, accounts: BTreeMap<i64, Accounts>, entries: i64) -> Journal {
        let hasher = Hasher::new(&end.hash, end.batch_no + 1, entries);
        Journal {
            first: end.seq + 1,
            end,
            accounts,
            deltas: BTreeMap::new(),
            rows: Rows::with_capacity(usize::try_from(entries).unwrap_or(0) * ENTRY_BYTES),
            credited: Vec::new(),
            earned_micros: 0,
            hasher,
        }
    }

    /// Adds an entry and tells its number.
    pub(crate) fn append(
        &mut self,
        entry: &Entry,
        event: Option<&Event<'_>>,
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
        self.row(seq, entry, prevs, event)?;
        if let Some(event) = event {
            self.credited.push((event.key, seq));
            self.earned_micros += i128::from(event.amount);
        }
        Ok(seq)
    }

    /// What an event says beyond the accounts and the amount of its first entry is written only
    /// where it does.
    fn row(
        &mut self,
        seq: i64,
        entry: &Entry,
        prevs: (Option<i64>, Option<i64>),
        event: Option<&Event<'_>>,
    ) -> Result<(), Refused> {
        let (debit, credit) = (code(entry.debit())?, code(entry.credit())?);
        let amount = entry.amount().0;
        let payout = entry.payout().map(|payout| payout.to_string());
        let transfer = event.filter(|event| event.from_user);
        let divided = event.filter(|event| event.amount != amount);
        let rows = &mut self.rows;
        rows.row(ENTRY_FIELDS);
        rows.big(seq);
        rows.small(debit.0);
        rows.big(debit.1);
        rows.small(credit.0);
        rows.big(credit.1);
        rows.big(amount);
        rows.text(Some(entry.cause().name()));
        rows.text(payout.as_deref());
        rows.big(entry.at().0);
        rows.big_maybe(prevs.0);
        rows.big_maybe(prevs.1);
        rows.text(event.map(|event| event.source));
        rows.text(event.map(|event| event.event_id));
        rows.big_maybe(event.and_then(|event| event.occurred_at));
        rows.big_maybe(transfer.map(|event| event.kind));
        rows.big_maybe(divided.map(|event| event.amount));
        rows.text(event.and_then(|event| event.reverses));
        rows.medium(event.and_then(|event| event.matures_on));
        Ok(())
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

    /// How the chain ends, and how the accounts are that were touched, once this is written. Where
    /// their rows are going to lie nobody knows.
    pub(crate) fn after(&self) -> (End, BTreeMap<i64, Accounts>) {
        let end = End {
            batch_no: self.end.batch_no + 1,
            hash: self.hasher.finish(),
            ..self.end
        };
        let accounts = self.accounts.iter();
        let accounts = accounts.map(|(user, accounts)| (*user, accounts.unplaced()));
        (end, accounts.collect())
    }

    /// The same where there is as much room as behind that end.
    pub(crate) fn with_room_of(mut self, end: &End) -> Journal {
        self.end.room = end.room;
        self
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
            let rows = std::mem::replace(&mut self.rows, Rows::with_capacity(0)).finish();
            session.copy(sql!("copy_entries"), rows).await?;
            accounts::store(session, &self.accounts).await?;
            self.insert_deltas(session, batch_no).await?;
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

    async fn insert_deltas(&self, session: &Session, batch_no: i64) -> Result<(), Refused> {
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
