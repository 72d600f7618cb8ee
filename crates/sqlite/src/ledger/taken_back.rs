//! Replaying claw-backs of money that cools off.
//!
//! By how much one lets cooling money fall depends on what its event brought and on what was taken
//! back of it before, so it is reckoned when all entries were seen.

use std::collections::BTreeMap;

use lingqian_core::id::UserNo;
use lingqian_core::ledger::Cause;
use lingqian_core::money::Micros;
use lingqian_core::time::BusinessDate;
use lingqian_io::Fault;
use rusqlite::Connection;

use super::Ledger;
use super::event::found;
use crate::page::{Line, damaged};

/// Users whose accounts did not hold an entry yet.
pub(super) type Fresh = [Option<UserNo>; 2];

/// Claw-backs that are replayed, by the entry of the event that they take back.
#[derive(Default)]
pub(super) struct TakenBack(BTreeMap<u64, Vec<Taking>>);

/// One claw-back.
struct Taking {
    seq: u64,
    /// What its own entry moves; more may have become a debt.
    amount: Micros,
    /// Whose money cools off less, and until which day, where the account does not hold it yet.
    cools: Option<(UserNo, BusinessDate)>,
}

impl TakenBack {
    /// Keeps an entry that takes back an event.
    pub(super) fn note(&mut self, line: &Line<'_>, fresh: Fresh) {
        let (record, reverses) = (&line.record, line.names.reverses);
        let Some(original) = reverses.filter(|_| record.cause == Cause::ClawBack) else {
            return;
        };
        let user = record.debit.user();
        let user = user.filter(|user| fresh.contains(&Some(*user)));
        self.0.entry(original).or_default().push(Taking {
            seq: line.seq,
            amount: record.amount,
            cools: user.zip(record.matures_on),
        });
    }

    /// Lets fall what cools off.
    pub(super) fn replay(self, connection: &Connection, ledger: &mut Ledger) -> Result<(), Fault> {
        for (original, takings) in self.0 {
            if takings.iter().any(|taking| taking.cools.is_some()) {
                replay(connection, ledger, original, &takings)?;
            }
        }
        Ok(())
    }
}

fn replay(
    connection: &Connection,
    ledger: &mut Ledger,
    original: u64,
    takings: &[Taking],
) -> Result<(), Fault> {
    let lost = || damaged(original);
    let (mut event, _) = ledger.with_line(connection, original, found)?;
    event.repaid = ledger.follows(connection, original, Cause::Repay)?;
    // What is stored is of the end; the first of these met what was taken before them.
    event.clawed = ledger.clawed(connection, original)?;
    let mut amounts = Vec::with_capacity(takings.len());
    for taking in takings {
        let owing = ledger.follows(connection, taking.seq, Cause::Owe)?;
        let amount = taking.amount.plus(owing).ok_or_else(lost)?;
        event.clawed = event.clawed.minus(amount).ok_or_else(lost)?;
        amounts.push(amount);
    }
    for (taking, amount) in takings.iter().zip(amounts) {
        if let Some((user, until)) = taking.cools {
            let less = event.known().cools_less(amount);
            ledger.accounts.cool(user, until, -less.0);
        }
        event.clawed = event.clawed.plus(amount).ok_or_else(lost)?;
    }
    Ok(())
}
