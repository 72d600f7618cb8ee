//! Changes: written in one transaction, all or nothing.
//!
//! There is one lock, and it is taken before anything is changed: the end of the chain. Whoever has
//! it in hand is the only one who commits; so facts that are read again then and are the same were
//! never wrong in between.

use std::collections::{BTreeMap, BTreeSet};

use lingqian_core::earning::KindDay;
use lingqian_core::{Changes, Facts};
use lingqian_io::Fault;
use tokio_postgres::Error;

use crate::accounts::{self, Accounts, owner};
use crate::basis::{Basis, is_same};
use crate::chain::EventKey;
use crate::codec::{damaged, digest, get};
use crate::fault::{fault, is_conflict, twice};
use crate::journal::{End, Event, Journal, Sealed};
use crate::pool::{Session, Values};
use crate::{bills, control, letters, outbox, payouts, people, prefetch, schema, sql};

/// Why nothing was written.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Somebody else's commit made the facts untrue.
    Conflict,
    /// A name is taken that must be there once; the law says which.
    Twice(&'static str),
    /// There is no partition for the entries yet.
    NoRoom(i64),
    /// The world failed, or no rule could have decided this.
    Fault(Fault),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Refused::Fault(fault)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        if is_conflict(&error) {
            Refused::Conflict
        } else if let Some(law) = twice(&error) {
            Refused::Twice(law)
        } else {
            Refused::Fault(fault(error))
        }
    }
}

/// A law that the store keeps.
pub(crate) fn unless(holds: bool, law: &str) -> Result<(), Refused> {
    if holds {
        Ok(())
    } else {
        Err(Refused::Fault(Fault::Broken(format!(
            "the store refuses: {law}"
        ))))
    }
}

/// Writes everything. The caller holds the transaction and commits it.
pub(crate) async fn write(
    session: &Session,
    basis: &Basis,
    changes: &Changes,
) -> Result<Sealed, Refused> {
    let end = lock_end(session).await?;
    let users: Vec<i64> = touched(changes).into_iter().collect();
    let mut accounts = accounts::of_some(session, &users).await?;
    if end.batch_no != basis.head.batch_no {
        still_true(session, basis, changes, &accounts).await?;
    }
    let entries = i64::try_from(changes.all_entries().count()).unwrap_or(i64::MAX);
    end.room_for(entries)?;
    for user in &changes.users {
        accounts.entry(user.no.0).or_default();
    }
    people::catalogue(session, changes).await?;
    control::write(session, changes).await?;
    people::people(session, changes).await?;
    let all: Vec<_> = changes.payouts.iter().map(|(payout, _)| payout).collect();
    payouts::write(session, &all, &changes.attempts).await?;
    let mut journal = Journal::begin(end, accounts, entries);
    for (earning, booked) in &changes.earnings {
        let law = "an event's entries book its amount between its accounts";
        unless(booked.fits(earning), law)?;
        journal.append(&booked.first, Some(&Event::from(earning)))?;
        if let Some(second) = &booked.second {
            journal.append(second, None)?;
        }
    }
    for entry in &changes.entries {
        journal.append(entry, None)?;
    }
    let mut booked = Vec::with_capacity(changes.bill_lines.len());
    for (line, entry) in &changes.bill_lines {
        booked.push((journal.append(entry, None)?, line));
    }
    bills::about_payouts(session, changes).await?;
    bills::lines(session, &booked).await?;
    bills::reconciled(session, changes).await?;
    people::dead_letters(session, &changes.dead_letters).await?;
    letters::write(session, changes).await?;
    outbox::write(session, changes).await?;
    journal.forget_untouched();
    let sealed = journal.close(session, !changes.kinds.is_empty()).await?;
    about_events(session, changes).await?;
    Ok(sealed)
}

/// What is kept beside events: totals of kinds, what cools off, what was taken back. Of several
/// versions the last is kept.
async fn about_events(session: &Session, changes: &Changes) -> Result<(), Refused> {
    let kinds = changes.kind_days.iter();
    let kinds = kinds.map(|(user, kind, totals)| ((user.0, kind.0), *totals));
    let cooling = changes.cooling.iter();
    let cooling = cooling.map(|(user, day, amount)| ((user.0, day.0), amount.0));
    let taken = changes.clawed.iter().map(|(source, event, sum)| {
        let key = EventKey::of(source.as_str(), event.as_str());
        (key, sum.0)
    });
    let beside = Beside {
        kind_days: kinds.collect(),
        cooling: cooling.collect(),
        taken: taken.collect(),
    };
    beside.write(session).await
}

/// What is kept beside events, by what it is kept under.
#[derive(Default)]
pub(crate) struct Beside {
    /// By user and kind.
    pub(crate) kind_days: BTreeMap<(i64, i64), KindDay>,
    /// By user and day, in micro-yuan.
    pub(crate) cooling: BTreeMap<(i64, i32), i64>,
    /// How much was taken back, by event, in micro-yuan.
    pub(crate) taken: BTreeMap<EventKey, i64>,
}

impl Beside {
    /// Writes it; the events themselves must be there.
    pub(crate) async fn write(&self, session: &Session) -> Result<(), Refused> {
        if !self.kind_days.is_empty() {
            let (users, kinds): (Vec<i64>, Vec<i64>) = self.kind_days.keys().copied().unzip();
            let totals = self.kind_days.values();
            let days: Vec<i32> = totals.clone().map(|totals| totals.day.0).collect();
            let counts: Vec<i64> = totals.clone().map(|t| i64::from(t.count)).collect();
            let amounts: Vec<i64> = totals.map(|totals| totals.amount.0).collect();
            let values: Values<'_> = &[&users, &kinds, &days, &counts, &amounts];
            session.run(sql!("upsert_kind_days"), values).await?;
        }
        if !self.cooling.is_empty() {
            let (users, days): (Vec<i64>, Vec<i32>) = self.cooling.keys().copied().unzip();
            let amounts: Vec<i64> = self.cooling.values().copied().collect();
            let values: Values<'_> = &[&users, &days, &amounts];
            session.run(sql!("upsert_cooling"), values).await?;
        }
        if !self.taken.is_empty() {
            let keys: Vec<EventKey> = self.taken.keys().copied().collect();
            let sums: Vec<i64> = self.taken.values().copied().collect();
            session.run(sql!("take_back"), &[&keys, &sums]).await?;
        }
        Ok(())
    }
}

/// The users whose accounts the entries touch.
fn touched(changes: &Changes) -> BTreeSet<i64> {
    let sides = changes
        .all_entries()
        .flat_map(|entry| [entry.debit(), entry.credit()]);
    sides.filter_map(owner).collect()
}

/// Waits until nobody else commits. A program that is too old for the tables goes no further.
pub(crate) async fn lock_end(session: &Session) -> Result<End, Refused> {
    let rows = session.try_rows(sql!("lock_end"), &[]).await?;
    let row = rows.first().ok_or_else(|| damaged("chain_head"))?;
    schema::refuse(get(row, 5)?, get(row, 6)?)?;
    Ok(End {
        batch_no: get(row, 0)?,
        seq: get(row, 1)?,
        hash: digest(&get::<Vec<u8>>(row, 2)?, "chain_head.hash")?,
        room: get(row, 3)?,
        catalogue: get(row, 4)?,
    })
}

/// Others have committed since the facts were read: they are read again.
async fn still_true(
    session: &Session,
    basis: &Basis,
    changes: &Changes,
    accounts: &BTreeMap<i64, Accounts>,
) -> Result<(), Refused> {
    // Money that moved meanwhile on accounts which the decision did not even look at is a
    // reason to look again all the same.
    let moved = |accounts: &Accounts| accounts.newest.is_some_and(|seq| seq > basis.head.seq);
    if accounts.values().any(moved) {
        return Err(Refused::Conflict);
    }
    // On the heap: it is large, and rarely needed.
    let now: Facts = Box::pin(prefetch::facts(session, &basis.keys)).await?;
    if is_same(&basis.facts, &now, changes) {
        Ok(())
    } else {
        Err(Refused::Conflict)
    }
}
