//! The chains, computed again from the entries: each user's chain of entries, and the chain of
//! all batches.

use std::collections::BTreeMap;

use lingqian_core::audit::{Finding, Invariant};
use lingqian_core::ledger::Entry;
use lingqian_io::Fault;
use tokio_postgres::Row;

use crate::accounts::owner;
use crate::browse::sum;
use crate::chain::{GENESIS, Hasher};
use crate::codec::{damaged, digest, get, number};
use crate::pool::Session;
use crate::sql;

/// A batch as it is stored.
pub(crate) struct Batch {
    pub(crate) batch_no: i64,
    pub(crate) first_seq: i64,
    pub(crate) entries: i64,
    pub(crate) hash: [u8; 32],
}

impl Batch {
    pub(crate) fn read(row: &Row) -> Result<Batch, Fault> {
        Ok(Batch {
            batch_no: get(row, 0)?,
            first_seq: get(row, 1)?,
            entries: get(row, 2)?,
            hash: digest(&get::<Vec<u8>>(row, 3)?, "batches.hash")?,
        })
    }

    /// The number of its last entry.
    pub(crate) fn end(&self) -> i64 {
        self.first_seq
            .saturating_add(self.entries)
            .saturating_sub(1)
    }
}

/// The chains as the entries themselves tell, beside what is stored: each user's chain of
/// entries, and the chain of all batches.
pub(crate) struct Chains {
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
    pub(crate) fn begin(&mut self, next: Option<Batch>) {
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
    pub(crate) fn is_past(&self, seq: i64) -> bool {
        self.current
            .as_ref()
            .is_some_and(|(batch, _)| seq > batch.end())
    }

    pub(crate) fn hash(&mut self, seq: i64, entry: &Entry) {
        if let Some((_, hasher)) = &mut self.current {
            hasher.entry(seq, entry);
        }
    }

    pub(crate) fn entry(&mut self, seq: i64, entry: &Entry, stored: [Option<i64>; 2]) {
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

    pub(crate) fn newest(&mut self, user: i64, stored: Option<i64>) {
        let derived = self.heads.remove(&user);
        if derived != stored {
            let subject = format!("the newest entry of user number {user}");
            self.wrong(subject, format!("{derived:?}"), format!("{stored:?}"));
        }
    }

    /// The end of the chain must be where the last batch ends.
    pub(crate) async fn head(
        &mut self,
        session: &Session,
        seq: i64,
        all: (u64, i128),
    ) -> Result<(), Fault> {
        let row = session.first(sql!("whole_head"), &[]).await?;
        let row = row.ok_or_else(|| damaged("chain_head"))?;
        let hash = digest(&get::<Vec<u8>>(&row, 2)?, "chain_head.hash")?;
        let stored = (get::<i64>(&row, 0)?, get::<i64>(&row, 1)?, hash);
        if stored != (self.before.0, seq, self.before.2) {
            let expected = format!("batch {} with entry {seq}", self.before.0);
            let found = format!("batch {} with entry {}", stored.0, stored.1);
            self.unfit(stored.0, expected, found);
        }
        let counted = (number::<u64>(&row, 3)?, sum(&row, 4)?);
        if counted != all {
            self.findings.push(Finding {
                invariant: Invariant::EarningsAreEntries,
                subject: "count and sum at the end of the chain".into(),
                expected: format!("{all:?}"),
                found: format!("{counted:?}"),
            });
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Vec<Finding> {
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

    pub(crate) fn wrong(
        &mut self,
        subject: impl ToString,
        expected: impl ToString,
        found: impl ToString,
    ) {
        self.findings.push(Finding {
            invariant: Invariant::SequenceWithoutGap,
            subject: subject.to_string(),
            expected: expected.to_string(),
            found: found.to_string(),
        });
    }
}
