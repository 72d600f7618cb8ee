//! The whole books, fed to the auditor from one snapshot, and the chain of batches computed
//! again beside it.

use std::collections::BTreeMap;
use std::pin::pin;

use futures_util::TryStreamExt as _;
use lingqian_core::audit::{Audit, Finding, Invariant};
use lingqian_core::id::UserNo;
use lingqian_core::ledger::{Account, Entry};
use lingqian_core::money::Micros;
use lingqian_core::user::DayTotals;
use lingqian_io::Fault;
use lingqian_io::store::Audited;
use tokio_postgres::Row;

use crate::browse::{bills, system_accounts};
use crate::chain::{EventKey, GENESIS, Hasher};
use crate::codec::{ENTRY_COLUMNS, damaged, day, digest, entry, fen, get, id, number, text};
use crate::fault::fault;
use crate::journal::{Accounts, owner};
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
    credited: Credited,
}

/// Audits one snapshot of the books; writers go on meanwhile. The caller holds the transaction.
pub(crate) async fn audit(session: &Session) -> Result<Audited, Fault> {
    let mut books = Books::default();
    let seq = entries(session, &mut books).await?;
    accounts(session, &mut books).await?;
    books
        .audit
        .earnings(books.credited.count, books.credited.sum);
    books.audited.earnings = books.credited.count;
    each(session, sql!("all_credited"), &[], |row| {
        books.credited.stored(get(row, 0)?, get(row, 1)?);
        Ok(())
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
    for bill in bills(session).await? {
        books.audited.bills += 1;
        books.audit.bill(&bill);
    }
    let Books {
        audit,
        mut audited,
        mut chains,
        credited,
    } = books;
    chains.head(session, seq, &credited).await?;
    credited.finish(&mut chains);
    audited.findings = audit.finish();
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

/// One entry: counted, audited, and compared with what its event says.
fn line(row: &Row, books: &mut Books) -> Result<(i64, Entry), Fault> {
    books.audited.entries += 1;
    let (seq, entry) = entry(row, 0)?;
    books.audit.entry(seq, &entry);
    let prevs = [get(row, ENTRY_COLUMNS)?, get(row, ENTRY_COLUMNS + 1)?];
    books.chains.entry(seq, &entry, prevs);
    let source: Option<&str> = row
        .try_get(ENTRY_COLUMNS + 2)
        .map_err(|_| damaged("entries.source"))?;
    let Some(source) = source else {
        return Ok((seq, entry));
    };
    let event = text(row, ENTRY_COLUMNS + 3)?;
    let said: [Option<i64>; 3] = [
        get(row, ENTRY_COLUMNS + 4)?,
        get(row, ENTRY_COLUMNS + 5)?,
        get(row, ENTRY_COLUMNS + 6)?,
    ];
    let amount = Micros(said[2].unwrap_or(entry.amount().0));
    let key = EventKey::of(
        &id(source, lingqian_core::id::Source::parse, "entries.source")?,
        &id(event, lingqian_core::id::EventId::parse, "entries.event_id")?,
    );
    books.credited.entry(key, seq, amount);
    let sides = matches!(
        (entry.debit(), entry.credit()),
        (Account::Funding(_), Account::Available(_))
    );
    let as_said = sides && said[0].is_none() && said[1].is_none();
    let subject = || format!("{source}/{event}");
    if !as_said {
        books.audit.earning(&subject(), amount, None);
    } else if said[2].is_some() || entry.cause() != lingqian_core::ledger::Cause::Earn {
        books.audit.earning(&subject(), amount, Some(&entry));
    }
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

/// A batch as it is stored.
struct Batch {
    batch_no: i64,
    first_seq: i64,
    entries: i64,
    hash: [u8; 32],
}

impl Batch {
    fn read(row: &Row) -> Result<Batch, Fault> {
        Ok(Batch {
            batch_no: get(row, 0)?,
            first_seq: get(row, 1)?,
            entries: get(row, 2)?,
            hash: digest(&get::<Vec<u8>>(row, 3)?, "batches.hash")?,
        })
    }

    /// The number of its last entry.
    fn end(&self) -> i64 {
        self.first_seq
            .saturating_add(self.entries)
            .saturating_sub(1)
    }
}

/// The chains as the entries themselves tell, beside what is stored: each user's chain of
/// entries, and the chain of all batches.
struct Chains {
    heads: BTreeMap<i64, i64>,
    current: Option<(Batch, Hasher)>,
    /// Number, last entry and hash of the batch before.
    before: (i64, i64, [u8; 32]),
    broken: bool,
    findings: Vec<Finding>,
}

impl Default for Chains {
    fn default() -> Self {
        Chains {
            heads: BTreeMap::new(),
            current: None,
            before: (0, 0, GENESIS),
            broken: false,
            findings: Vec::new(),
        }
    }
}

impl Chains {
    /// Ends the current batch, and begins the next one where there is one.
    fn begin(&mut self, next: Option<Batch>) {
        if let Some((batch, hasher)) = self.current.take() {
            if hasher.finish() != batch.hash {
                self.unfit(batch.batch_no, "the hash of its entries", "another hash");
            }
            self.before = (batch.batch_no, batch.end(), batch.hash);
        }
        let Some(batch) = next else { return };
        let (number, end, hash) = &self.before;
        if (batch.batch_no, batch.first_seq) != (number + 1, end + 1) {
            let expected = format!("batch {} from entry {}", number + 1, end + 1);
            let found = format!("batch {} from entry {}", batch.batch_no, batch.first_seq);
            self.unfit(batch.batch_no, expected, found);
            return self.current = Some(self.open(batch));
        }
        let hasher = Hasher::new(hash, batch.batch_no, batch.entries);
        self.current = Some((batch, hasher));
    }

    fn open(&self, batch: Batch) -> (Batch, Hasher) {
        let hasher = Hasher::new(&self.before.2, batch.batch_no, batch.entries);
        (batch, hasher)
    }

    /// Whether the current batch ended before this entry.
    fn is_past(&self, seq: i64) -> bool {
        self.current
            .as_ref()
            .is_some_and(|(batch, _)| seq > batch.end())
    }

    fn hash(&mut self, seq: i64, entry: &Entry) {
        if let Some((_, hasher)) = &mut self.current {
            hasher.entry(seq, entry);
        }
    }

    fn entry(&mut self, seq: i64, entry: &Entry, stored: [Option<i64>; 2]) {
        let sides = [owner(entry.debit()), owner(entry.credit())];
        for (side, stored) in sides.into_iter().zip(stored) {
            let derived = side.and_then(|user| self.heads.get(&user).copied());
            if derived != stored {
                let subject = format!("the entry before {seq}");
                self.wrong(subject, format!("{derived:?}"), format!("{stored:?}"));
            }
        }
        for user in sides.into_iter().flatten() {
            self.heads.insert(user, seq);
        }
    }

    fn newest(&mut self, user: i64, stored: Option<i64>) {
        let derived = self.heads.remove(&user);
        if derived != stored {
            let subject = format!("the newest entry of user number {user}");
            self.wrong(subject, format!("{derived:?}"), format!("{stored:?}"));
        }
    }

    /// The end of the chain must be where the last batch ends.
    async fn head(&mut self, session: &Session, seq: i64, all: &Credited) -> Result<(), Fault> {
        let row = session.first(sql!("whole_head"), &[]).await?;
        let row = row.ok_or_else(|| damaged("chain_head"))?;
        let hash = digest(&get::<Vec<u8>>(&row, 2)?, "chain_head.hash")?;
        let stored = (get::<i64>(&row, 0)?, get::<i64>(&row, 1)?, hash);
        if stored != (self.before.0, seq, self.before.2) {
            let expected = format!("batch {} with entry {seq}", self.before.0);
            let found = format!("batch {} with entry {}", stored.0, stored.1);
            self.unfit(stored.0, expected, found);
        }
        let counted = (number::<u64>(&row, 3)?, i128::from(get::<i64>(&row, 4)?));
        if counted != (all.count, all.sum) {
            self.findings.push(Finding {
                invariant: Invariant::EarningsAreEntries,
                subject: "count and sum at the end of the chain".into(),
                expected: format!("{:?}", (all.count, all.sum)),
                found: format!("{counted:?}"),
            });
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<Finding> {
        for (user, derived) in std::mem::take(&mut self.heads) {
            let subject = format!("the newest entry of user number {user}");
            self.wrong(subject, format!("{derived}"), "nothing");
        }
        self.findings
    }

    /// Only the first batch that does not fit is named: every later one builds on it.
    fn unfit(&mut self, batch_no: i64, expected: impl ToString, found: impl ToString) {
        if !self.broken {
            self.broken = true;
            self.wrong(format!("the chain at batch {batch_no}"), expected, found);
        }
    }

    fn wrong(&mut self, subject: impl ToString, expected: impl ToString, found: impl ToString) {
        self.findings.push(Finding {
            invariant: Invariant::SequenceWithoutGap,
            subject: subject.to_string(),
            expected: expected.to_string(),
            found: found.to_string(),
        });
    }
}

/// The names of credited events by the entries, beside the table of names. Both are added up
/// in a way that does not depend on the order, so that nothing has to be kept or sorted.
#[derive(Default)]
struct Credited {
    count: u64,
    sum: i128,
    by_entries: u128,
    stored: (u64, u128),
}

impl Credited {
    fn entry(&mut self, key: EventKey, seq: i64, amount: Micros) {
        self.count += 1;
        self.sum += i128::from(amount.0);
        self.by_entries = self.by_entries.wrapping_add(key.weight(seq));
    }

    fn stored(&mut self, key: EventKey, seq: i64) {
        self.stored.0 += 1;
        self.stored.1 = self.stored.1.wrapping_add(key.weight(seq));
    }

    fn finish(&self, chains: &mut Chains) {
        if self.stored != (self.count, self.by_entries) {
            chains.findings.push(Finding {
                invariant: Invariant::EarningsAreEntries,
                subject: "the names of credited events".into(),
                expected: format!("those of {} entries", self.count),
                found: format!("{} others", self.stored.0),
            });
        }
    }
}
