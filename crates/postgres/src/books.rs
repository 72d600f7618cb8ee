//! The whole books, fed to the auditor from one snapshot, and the chain of batches computed
//! again beside it.

pub(crate) mod chains;
mod events;

use std::pin::pin;

use futures_util::TryStreamExt as _;
use lingqian_core::audit::Audit;
use lingqian_core::id::{MerchantNo, UserNo};
use lingqian_core::ledger::{Account, Entry};
use lingqian_core::money::Micros;
use lingqian_core::user::DayTotals;
use lingqian_io::Fault;
use lingqian_io::store::Audited;
use tokio_postgres::Row;

use crate::accounts::Accounts;
use crate::books::chains::{Batch, Chains};
use crate::books::events::Events;
pub(crate) use crate::books::events::earning;
use crate::browse::{bills, sum, system_accounts};
use crate::codec::{ENTRY_COLUMNS, day, entry, fen, get, number, text};
use crate::fault::fault;
use crate::pool::Session;
use crate::{payouts, sql};

/// How many batches are looked at together.
const BATCHES: i64 = 4_096;

/// Everything that an audit gathers.
#[derive(Default)]
struct Books {
    audit: Audit,
    audited: Audited,
    chains: Chains,
    events: Events,
}

/// Audits one snapshot of the books; writers go on meanwhile. The caller holds the transaction.
pub(crate) async fn audit(session: &Session) -> Result<Audited, Fault> {
    let mut books = Books::default();
    let seq = entries(session, &mut books).await?;
    accounts(session, &mut books).await?;
    books.events.close(&mut books.audit);
    let events = (books.events.count, books.events.sum);
    books.audit.earnings(events.0, events.1);
    books.audited.earnings = events.0;
    each(session, sql!("all_credited"), &[], |row| {
        books.events.name(row)
    })
    .await?;
    each(session, sql!("all_taken_back"), &[], |row| {
        books.events.taken_back(&mut books.audit, row)
    })
    .await?;
    each(session, sql!("all_payouts"), &[], |row| {
        books.audited.payouts += 1;
        let waits = number(row, payouts::COLUMNS)?;
        books.audit.payout(&payouts::row(row)?.payout, waits);
        Ok(())
    })
    .await?;
    each(session, sql!("all_days"), &[], |row| {
        let totals = DayTotals {
            count: number(row, 2)?,
            amount: fen(row, 3)?,
        };
        books.audit.day(UserNo(get(row, 0)?), day(row, 1)?, totals);
        Ok(())
    })
    .await?;
    each(session, sql!("state_totals"), &[], |row| {
        let stored = (number(row, 1)?, get(row, 2)?);
        books.audit.state_total(text(row, 0)?, stored);
        Ok(())
    })
    .await?;
    each(session, sql!("all_bill_days"), &[], |row| {
        let of = (MerchantNo(get(row, 0)?), day(row, 1)?);
        books.audit.bill_day(of, sum(row, 2)?);
        Ok(())
    })
    .await?;
    for bill in bills(session).await? {
        books.audited.bills += 1;
        books.audit.bill(&bill);
    }
    let Books {
        mut audit,
        mut audited,
        mut chains,
        mut events,
    } = books;
    chains
        .head(session, seq, (events.count, events.sum))
        .await?;
    let names = events.finish(&mut audit);
    audited.findings = audit.finish();
    audited.findings.extend(names);
    audited.findings.extend(chains.finish());
    Ok(audited)
}

/// Feeds every entry, batch by batch; tells the last number.
async fn entries(session: &Session, books: &mut Books) -> Result<i64, Fault> {
    let (mut batch_no, mut seq) = (0_i64, 0_i64);
    loop {
        let batches = session
            .rows(sql!("some_batches"), &[&batch_no, &BATCHES])
            .await?;
        let batches: Vec<Batch> = batches.iter().map(Batch::read).collect::<Result<_, _>>()?;
        let Some(last) = batches.last() else { break };
        let end = last.end();
        batch_no = last.batch_no;
        let mut batches = batches.into_iter();
        books.chains.begin(batches.next());
        each(session, sql!("some_entries"), &[&seq, &end], |row| {
            let (seq, entry) = line(row, books)?;
            while books.chains.is_past(seq) {
                let next = batches.next();
                books.chains.begin(next);
            }
            books.chains.hash(seq, &entry);
            Ok(())
        })
        .await?;
        for batch in batches {
            books.chains.begin(Some(batch));
        }
        books.chains.begin(None);
        seq = seq.max(end);
    }
    let mut beyond = None;
    each(session, sql!("some_entries"), &[&seq, &i64::MAX], |row| {
        let (seq, _) = line(row, books)?;
        beyond = beyond.or(Some(seq));
        Ok(())
    })
    .await?;
    if let Some(seq) = beyond {
        books.chains.wrong(
            "the last entry of the last batch",
            "the last entry",
            format!("{seq}"),
        );
    }
    Ok(seq)
}

/// One entry: counted, audited, and put into every chain.
fn line(row: &Row, books: &mut Books) -> Result<(i64, Entry), Fault> {
    books.audited.entries += 1;
    let (seq, entry) = entry(row, 0)?;
    books.audit.entry(seq, &entry);
    let prevs = [get(row, ENTRY_COLUMNS)?, get(row, ENTRY_COLUMNS + 1)?];
    books.chains.entry(seq, &entry, prevs);
    books.events.entry(&mut books.audit, row, seq, &entry)?;
    Ok((seq, entry))
}

async fn accounts(session: &Session, books: &mut Books) -> Result<(), Fault> {
    let mut total = 0_i128;
    each(session, sql!("all_accounts"), &[], |row| {
        let (user, accounts) = Accounts::read(row)?;
        let no = UserNo(user);
        for (account, balance) in [
            (Account::Available(no), accounts.available),
            (Account::Held(no), accounts.held),
            (Account::Receivable(no), accounts.receivable),
        ] {
            if let Some(balance) = balance {
                books.audited.accounts += 1;
                total += i128::from(balance);
                books.audit.account(account, Micros(balance));
            }
        }
        books.chains.newest(user, accounts.newest);
        Ok(())
    })
    .await?;
    for (account, balance) in system_accounts(session).await? {
        books.audited.accounts += 1;
        total += i128::from(balance.0);
        books.audit.account(account, balance);
    }
    books.audit.total(total);
    Ok(())
}

async fn each(
    session: &Session,
    query: &'static str,
    values: &[&i64],
    mut read: impl FnMut(&Row) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut rows = pin!(session.stream(query, values).await?);
    while let Some(row) = rows.try_next().await.map_err(fault)? {
        read(&row)?;
    }
    Ok(())
}
