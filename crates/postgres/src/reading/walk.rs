//! A walk along the chain of batches, some of them at a time.

use std::fmt;
use std::pin::pin;

use futures_util::TryStreamExt as _;
use lingqian_core::ledger::Entry;
use lingqian_io::Fault;
use tokio_postgres::Row;

use crate::books::chains::Batch;
use crate::chain::{GENESIS, Hasher};
use crate::codec::{damaged, digest, entry, get};
use crate::fault::fault;
use crate::pool::Session;
use crate::sql;

/// How many batches are looked at together.
const BATCHES: i64 = 256;

/// What a walk along the chain showed. Up to a misfit everything is proved, after it nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Entries that are proved.
    pub entries: u64,
    /// Batches that are proved.
    pub batches: u64,
    /// The hash of the last batch that is proved; zeroes where there is none.
    pub head: [u8; 32],
    /// The last entry of the batch that had the noted head, if one was given and met.
    pub noted_at: Option<u64>,
    /// The first batch that does not fit.
    pub misfit: Option<Misfit>,
}

/// A batch that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Its number.
    pub batch: i64,
    /// Its first entry.
    pub first: u64,
    /// Its last entry, where that is known.
    pub last: Option<u64>,
    /// What is wrong with it.
    pub words: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last {
            Some(last) => {
                let first = self.first;
                write!(f, "batch {} of entries {first} to {last} ", self.batch)?;
            }
            None => write!(f, "batch {} of entry {} ", self.batch, self.first)?,
        }
        f.write_str(&self.words)
    }
}

/// How far a walk came.
pub(super) struct Walk {
    pub(super) verified: Verified,
    noted: Option<[u8; 32]>,
    batch_no: i64,
    seq: i64,
}

/// Who sees each entry, before its batch is proved.
pub(super) type Seen<'s> = &'s mut dyn FnMut(&Row, i64, &Entry) -> Result<(), Fault>;

impl Walk {
    /// Before the first batch.
    pub(super) fn new(noted: Option<[u8; 32]>) -> Walk {
        Walk {
            verified: Verified {
                entries: 0,
                batches: 0,
                head: GENESIS,
                noted_at: (noted == Some(GENESIS)).then_some(0),
                misfit: None,
            },
            noted,
            batch_no: 0,
            seq: 0,
        }
    }

    /// Proves some batches more; tells the first and the last entry of each, or nothing when
    /// there are none, or one does not fit.
    pub(super) async fn some(
        &mut self,
        session: &Session,
        seen: Seen<'_>,
    ) -> Result<Option<Vec<(i64, i64)>>, Fault> {
        if self.verified.misfit.is_some() {
            return Ok(None);
        }
        let values: crate::pool::Values<'_> = &[&self.batch_no, &BATCHES];
        let found = session.rows(sql!("some_batches"), values).await?;
        let batches: Vec<Batch> = found.iter().map(Batch::read).collect::<Result<_, _>>()?;
        let Some(last) = batches.last() else {
            return Ok(None);
        };
        let (from, to) = (self.seq, last.end());
        let mut rows = pin!(session.stream(sql!("some_entries"), &[&from, &to]).await?);
        let mut proved = Vec::with_capacity(batches.len());
        for batch in &batches {
            if let Some(words) = self.misplaced(batch) {
                self.unfit(batch, words);
                return Ok(None);
            }
            let before = self.verified.head;
            let mut hasher = Hasher::new(&before, batch.batch_no, batch.entries);
            for expected in batch.first_seq..=batch.end() {
                let row = rows.try_next().await.map_err(fault)?;
                let found = row.as_ref().map(|row| Ok((row, get::<i64>(row, 0)?)));
                let Some((row, _)) = found.transpose()?.filter(|(_, seq)| *seq == expected) else {
                    self.unfit(batch, format!("is not whole: entry {expected} is missing"));
                    return Ok(None);
                };
                let Ok((seq, entry)) = entry(row, 0) else {
                    self.unfit(batch, format!("holds entry {expected}, never written so"));
                    return Ok(None);
                };
                hasher.entry(seq, &entry);
                seen(row, seq, &entry)?;
            }
            if hasher.finish() != batch.hash {
                let words = "does not match its hash: an entry of it, its hash or its number was \
                             changed";
                self.unfit(batch, words);
                return Ok(None);
            }
            self.pass(batch);
            proved.push((batch.first_seq, batch.end()));
        }
        Ok(Some(proved))
    }

    fn misplaced(&self, batch: &Batch) -> Option<String> {
        if batch.batch_no != self.batch_no + 1 {
            return Some(format!("comes where batch {} should be", self.batch_no + 1));
        }
        (batch.first_seq != self.seq + 1)
            .then(|| format!("does not begin with entry {}", self.seq + 1))
    }

    fn pass(&mut self, batch: &Batch) {
        self.batch_no = batch.batch_no;
        self.seq = batch.end();
        self.verified.batches += 1;
        self.verified.entries = self.seq.unsigned_abs();
        self.verified.head = batch.hash;
        if self.noted == Some(batch.hash) {
            self.verified.noted_at = Some(self.verified.entries);
        }
    }

    fn unfit(&mut self, batch: &Batch, words: impl Into<String>) {
        self.verified.misfit = Some(Misfit {
            batch: batch.batch_no,
            first: batch.first_seq.unsigned_abs(),
            last: Some(batch.end().unsigned_abs()),
            words: words.into(),
        });
    }

    /// The chain must end where it says, and no entry may be after it.
    pub(super) async fn end(&mut self, session: &Session) -> Result<(), Fault> {
        if self.verified.misfit.is_some() {
            return Ok(());
        }
        let row = session.first(sql!("whole_head"), &[]).await?;
        let row = row.ok_or_else(|| damaged("chain_head"))?;
        let hash = digest(&get::<Vec<u8>>(&row, 2)?, "chain_head.hash")?;
        let stored = (get::<i64>(&row, 0)?, get::<i64>(&row, 1)?, hash);
        let beyond = self.seq.saturating_add(1);
        let values: crate::pool::Values<'_> = &[&self.seq, &beyond];
        let words = if stored != (self.batch_no, self.seq, self.verified.head) {
            "is missing: the chain ends before batches that were booked"
        } else if session.first(sql!("some_entries"), values).await?.is_some() {
            "is missing, and an entry of it is there"
        } else {
            return Ok(());
        };
        self.verified.misfit = Some(Misfit {
            batch: self.batch_no + 1,
            first: beyond.unsigned_abs(),
            last: None,
            words: words.into(),
        });
        Ok(())
    }
}
