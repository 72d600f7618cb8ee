//! Withdrawals in the books: finding one by its reference or its key, and setting money aside.
//!
//! A hold bears the names of its withdrawal. Only names that no hold bears are in rows: those of
//! a file that was made before holds bore them, and of payouts that no rule makes.

use std::collections::{BTreeMap, HashMap};

use lingqian_core::command::IdempotencyKey;
use lingqian_core::facts::RememberedAnswer;
use lingqian_core::id::{PayoutId, UserNo};
use lingqian_core::ledger::{Account, Cause};
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::user::DayTotals;
use lingqian_core::withdrawal::{Held, Withdrawal};
use lingqian_io::Fault;
use rusqlite::{Connection, Row};

use super::{About, Ledger, Leg, about_payout};
use crate::codec::{digest, fen, first, get, payout_id};
use crate::ids::{Ids, key_print, reference_print};
use crate::names::Key;
use crate::page::{Line, damaged};
use crate::prefetch::{self, cached};
use crate::record::{Keyed, Names, Request};
use crate::sql;

/// Rows on their way are forgotten, once they are in the file, when there are so many.
const ROWS_MAX: usize = 1 << 16;

/// The fingerprints of a withdrawal's names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prints {
    pub(crate) reference: u64,
    pub(crate) key: Option<u64>,
}

impl Prints {
    pub(crate) fn of(key: &Key, request: &Request<'_>) -> Prints {
        let print = |keyed: Keyed<'_>| key_print(key, keyed.scope, keyed.key);
        Prints {
            reference: reference_print(key, request.reference),
            key: request.key.map(print),
        }
    }

    /// Remembers them as those of an entry.
    pub(crate) fn add(self, ids: &mut Ids, seq: u64) {
        ids.add((self.reference, seq));
        if let Some(key) = self.key {
            ids.add((key, seq));
        }
    }
}

/// The names of a request, as its hold bears them.
pub(crate) fn asked(request: &Withdrawal) -> Request<'_> {
    Request {
        reference: request.reference.as_str(),
        key: request.key.as_ref().map(|(key, digest)| Keyed {
            scope: &key.scope,
            key: &key.key,
            digest,
        }),
    }
}

/// What rows say about withdrawals, as far as it is not in the file yet or looked for there.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Whether the file has references, and whether it has answers, that no hold bears.
    references: bool,
    answers: bool,
    new_references: HashMap<String, PayoutId>,
    new_answers: BTreeMap<IdempotencyKey, RememberedAnswer>,
    new_days: HashMap<(UserNo, BusinessDate), DayTotals>,
}

impl Rows {
    /// A reference is on its way to its row.
    pub(crate) fn add_reference(&mut self, reference: &str, payout: PayoutId) {
        self.references = true;
        self.new_references.insert(reference.to_owned(), payout);
    }

    /// An answer is on its way to its row.
    pub(crate) fn add_answer(&mut self, key: &IdempotencyKey, answer: &RememberedAnswer) {
        self.answers = true;
        self.new_answers.insert(key.clone(), answer.clone());
    }

    /// The totals of a user's day are on their way to their row.
    pub(crate) fn set_day(&mut self, user: UserNo, day: BusinessDate, totals: DayTotals) {
        self.new_days.insert((user, day), totals);
    }

    /// Whether too many rows are remembered.
    pub(crate) fn is_crowded(&self) -> bool {
        self.new_days.len() + self.new_references.len() + self.new_answers.len() > ROWS_MAX
    }

    /// Nothing is on its way any more.
    pub(crate) fn arrived(&mut self) {
        self.new_references.clear();
        self.new_answers.clear();
        self.new_days.clear();
    }
}

impl Ledger {
    /// Reads what withdrawals look at in rows. The caller holds the transaction in which the
    /// books were read.
    pub(crate) fn read_rows(&mut self, connection: &Connection) -> Result<(), Fault> {
        let merchants = prefetch::merchants(connection)?;
        self.merchant = merchants.iter().map(|merchant| merchant.no).min();
        let mut query = cached(connection, sql!("names_in_rows"))?;
        let found = first(&mut query, [], |row| Ok((get(row, 0)?, get(row, 1)?)))?;
        (self.rows.references, self.rows.answers) = found.unwrap_or_default();
        Ok(())
    }

    /// The payout of the withdrawal with this reference. `old` says whether runs are looked into.
    pub(crate) fn withdrawal(
        &self,
        connection: &Connection,
        reference: &str,
        (print, old): (u64, bool),
    ) -> Result<Option<PayoutId>, Fault> {
        for seq in self.places(connection, print, old)? {
            let found = self.with_line(connection, seq, |line| {
                let request = line.names.request;
                let own = request.is_some_and(|request| request.reference == reference);
                Ok(line.names.payout.filter(|_| own))
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        if let Some(payout) = self.rows.new_references.get(reference) {
            return Ok(Some(*payout));
        }
        if !self.rows.references {
            return Ok(None);
        }
        let mut query = cached(connection, sql!("bare_reference"))?;
        first(&mut query, [reference], |row| {
            payout_id(&get::<String>(row, 0)?)
        })
    }

    /// What a key was answered with. `old` says whether runs are looked into.
    pub(crate) fn remembered(
        &self,
        connection: &Connection,
        key: &IdempotencyKey,
        (print, old): (u64, bool),
    ) -> Result<Option<RememberedAnswer>, Fault> {
        for seq in self.places(connection, print, old)? {
            let found = self.with_line(connection, seq, |line| answer(line, key))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        if let Some(answer) = self.rows.new_answers.get(key) {
            return Ok(Some(answer.clone()));
        }
        if !self.rows.answers {
            return Ok(None);
        }
        let mut query = cached(connection, sql!("answer"))?;
        first(&mut query, [key.scope.as_str(), key.key.as_str()], |row| {
            answer_row(row)
        })
    }

    /// What was approved for a user on a day.
    pub(crate) fn day(
        &self,
        connection: &Connection,
        user: UserNo,
        day: BusinessDate,
    ) -> Result<DayTotals, Fault> {
        if let Some(totals) = self.rows.new_days.get(&(user, day)) {
            return Ok(*totals);
        }
        let found = prefetch::day_totals(connection, user, day)?;
        Ok(found.unwrap_or_default())
    }

    /// Sets money aside for a request; tells the number of the entry. The user's chunk must be
    /// loaded.
    ///
    /// # Errors
    /// As for [`Ledger::append`].
    pub(crate) fn hold(
        &mut self,
        at: Timestamp,
        held: &Held,
        request: &Withdrawal,
        prints: Prints,
    ) -> Result<u64, Fault> {
        let leg = Leg {
            debit: Account::Available(held.user),
            credit: Account::Held(held.user),
            amount: held.micros,
            cause: Cause::Hold,
            at,
        };
        let about = about_request(request.payout, asked(request));
        let seq = self.append(&leg, &about)?;
        prints.add(&mut self.ids, seq);
        self.withdrawals += 1;
        Ok(seq)
    }
}

/// What the hold of a withdrawal bears.
pub(crate) fn about_request(payout: PayoutId, request: Request<'_>) -> About<'_> {
    let about = about_payout(Some(payout));
    About {
        names: Names {
            request: Some(request),
            ..about.names
        },
        ..about
    }
}

/// What a key was answered with, where this is the hold of its request.
fn answer(line: &Line<'_>, key: &IdempotencyKey) -> Result<Option<RememberedAnswer>, Fault> {
    let keyed = line.names.request.and_then(|request| request.key);
    let own = |keyed: &Keyed<'_>| (keyed.scope, keyed.key) == (&*key.scope, &*key.key);
    if !keyed.is_some_and(|keyed| own(&keyed)) {
        return Ok(None);
    }
    Ok(answer_in(line)?.map(|(_, answer)| answer))
}

/// A remembered answer from the first four columns of its row.
pub(crate) fn answer_row(row: &Row<'_>) -> Result<RememberedAnswer, Fault> {
    let (bytes, payout): (Vec<u8>, String) = (get(row, 0)?, get(row, 1)?);
    Ok(RememberedAnswer {
        digest: digest(&bytes, "idempotency.digest")?,
        payout: payout_id(&payout)?,
        amount: fen(row, 2)?,
        created_at: Timestamp(get(row, 3)?),
    })
}

/// The answer that a hold tells, and its key.
pub(crate) fn answer_in(
    line: &Line<'_>,
) -> Result<Option<(IdempotencyKey, RememberedAnswer)>, Fault> {
    let Some(keyed) = line.names.request.and_then(|request| request.key) else {
        return Ok(None);
    };
    let key = IdempotencyKey {
        scope: keyed.scope.to_owned(),
        key: keyed.key.to_owned(),
    };
    let payout = line.names.payout.ok_or_else(|| damaged(line.seq))?;
    let answer = RememberedAnswer {
        digest: *keyed.digest,
        payout,
        amount: line.record.amount.whole_fen(),
        created_at: line.record.at,
    };
    Ok(Some((key, answer)))
}
