//! The whole books, fed to the auditor from one snapshot.

use std::collections::BTreeMap;

use lingqian_core::audit::{Audit, Finding, Invariant};
use lingqian_core::id::UserNo;
use lingqian_core::ledger::{Account, Entry};
use lingqian_core::money::Micros;
use lingqian_core::user::DayTotals;
use lingqian_io::Fault;
use lingqian_io::store::Audited;
use rusqlite::{Connection, Row, Transaction};

use crate::browse::{accounts, bills, earned};
use crate::codec::{day, entry, fault, fen, get};
use crate::journal::owner;
use crate::prefetch::cached;
use crate::{payouts, sql};

/// Audits one snapshot of the books; writers go on meanwhile.
pub(crate) fn audit(connection: &mut Connection) -> Result<Audited, Fault> {
    let snapshot: Transaction<'_> = connection.transaction().map_err(fault)?;
    let mut audit = Audit::default();
    let mut audited = Audited::default();
    let mut chains = Chains::default();
    each(&snapshot, sql!("all_entries"), |row| {
        audited.entries += 1;
        let (seq, entry) = entry(row, 0)?;
        audit.entry(seq, &entry);
        chains.entry(seq, &entry, [get(row, 9)?, get(row, 10)?]);
        Ok(())
    })?;
    each(&snapshot, sql!("all_newest"), |row| {
        chains.newest(UserNo(get(row, 0)?), get(row, 1)?);
        Ok(())
    })?;
    let mut total = 0_i128;
    for (account, balance) in accounts(&snapshot, sql!("all_accounts"))? {
        audited.accounts += 1;
        total += i128::from(balance.0);
        audit.account(account, balance);
    }
    audit.total(total);
    let (count, sum) = earned(&snapshot)?;
    audited.earnings = count;
    audit.earnings(count, sum);
    each(&snapshot, sql!("all_earnings"), |row| {
        earning(&mut audit, row)
    })?;
    each(&snapshot, sql!("all_payouts"), |row| {
        audited.payouts += 1;
        audit.payout(&payouts::row(row)?.payout, get(row, payouts::COLUMNS)?);
        Ok(())
    })?;
    each(&snapshot, sql!("all_days"), |row| {
        let totals = DayTotals {
            count: get(row, 2)?,
            amount: fen(row, 3)?,
        };
        audit.day(UserNo(get(row, 0)?), day(get(row, 1)?)?, totals);
        Ok(())
    })?;
    for bill in bills(&snapshot)? {
        audited.bills += 1;
        audit.bill(&bill);
    }
    audited.findings = audit.finish();
    audited.findings.extend(chains.finish());
    damage(&snapshot, &mut audited.findings)?;
    Ok(audited)
}

/// Each user's entries as the entries themselves tell, beside the chain that is stored.
#[derive(Default)]
struct Chains {
    heads: BTreeMap<UserNo, i64>,
    findings: Vec<Finding>,
}

impl Chains {
    fn entry(&mut self, seq: i64, entry: &Entry, stored: [Option<i64>; 2]) {
        let sides = [owner(entry.debit()), owner(entry.credit())];
        for (side, stored) in sides.into_iter().zip(stored) {
            let derived = side.and_then(|user| self.heads.get(&user).copied());
            if derived != stored {
                self.wrong(format!("the entry before {seq}"), derived, stored);
            }
        }
        for user in sides.into_iter().flatten() {
            self.heads.insert(user, seq);
        }
    }

    fn newest(&mut self, user: UserNo, stored: Option<i64>) {
        let derived = self.heads.remove(&user);
        if derived != stored {
            self.wrong(newest_of(user), derived, stored);
        }
    }

    fn finish(mut self) -> Vec<Finding> {
        for (user, derived) in std::mem::take(&mut self.heads) {
            self.wrong(newest_of(user), Some(derived), None);
        }
        self.findings
    }

    fn wrong(&mut self, subject: String, expected: Option<i64>, found: Option<i64>) {
        self.findings.push(Finding {
            invariant: Invariant::SequenceWithoutGap,
            subject,
            expected: format!("{expected:?}"),
            found: format!("{found:?}"),
        });
    }
}

fn newest_of(user: UserNo) -> String {
    format!("the newest entry of user number {}", user.0)
}

fn each(
    connection: &Connection,
    query: &'static str,
    mut read: impl FnMut(&Row<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut statement = cached(connection, query)?;
    let mut found = statement.query([]).map_err(fault)?;
    while let Some(row) = found.next().map_err(fault)? {
        read(row)?;
    }
    Ok(())
}

/// An earning's entry must credit its user, from its kind, with its amount.
fn earning(audit: &mut Audit, row: &Row<'_>) -> Result<(), Fault> {
    let amount = Micros(get(row, 11)?);
    let (user, kind): (i64, i64) = (get(row, 12)?, get(row, 13)?);
    let booked = match get::<Option<i64>>(row, 0)? {
        Some(_) => Some(entry(row, 0)?.1),
        None => None,
    };
    let booked = booked.filter(|entry| {
        entry.credit() == Account::Available(UserNo(user)) && entry.debit().code() == (10, kind)
    });
    let booked = booked.map(|entry| entry.amount());
    if booked == Some(amount) {
        return Ok(());
    }
    let (source, event): (String, String) = (get(row, 9)?, get(row, 10)?);
    audit.earning(&format!("{source}/{event}"), amount, booked);
    Ok(())
}

/// What SQLite itself finds wrong with the file is a broken sequence of records.
fn damage(connection: &Connection, findings: &mut Vec<Finding>) -> Result<(), Fault> {
    let mut statement = cached(connection, "PRAGMA quick_check(5)")?;
    let lines = crate::codec::rows(&mut statement, [], |row| get::<String>(row, 0))?;
    for line in lines.into_iter().filter(|line| line != "ok") {
        findings.push(Finding {
            invariant: Invariant::SequenceWithoutGap,
            subject: "the database file".into(),
            expected: "ok".into(),
            found: line,
        });
    }
    Ok(())
}
