//! Merging runs, a few buckets with every commit, so that no commit waits for a large merge.

use std::sync::Arc;

use lingqian_io::Fault;
use rusqlite::Connection;

use super::Id;
use super::filter::{Filter, bucket};
use super::run::{Run, clear, ids_of, with_bucket, write_bucket, write_filter};
use crate::codec::{fault, get};
use crate::prefetch::cached;
use crate::sql;

/// Runs that become one.
const FAN_IN: usize = 4;
/// Ids that are merged at a time, about: one bucket of each input. Small commits save up for it.
const STEP_IDS: u64 = 2_048;
/// Buckets of merged runs that one commit removes at most,
const CLEAR_BUCKETS: usize = 64;
/// and for how many ids that it adds it removes one.
const IDS_PER_CLEARED: u64 = 32;
/// Ids that are merged for each id that is added: at most so many levels merge at a time.
const MERGED_PER_ID: u64 = 6;

/// A merge that is under way.
#[derive(Debug)]
struct Merge {
    inputs: Vec<Run>,
    output: Run,
    /// The output's filter, until it is whole.
    filter: Filter,
    /// The next bucket of the inputs.
    next: usize,
}

/// What a merge has brought about: the numbers of the inputs, and what they became.
pub(crate) type Merged = (Vec<u64>, Run);

/// The merges of a file.
#[derive(Debug, Default)]
pub(crate) struct Merger {
    runs: Vec<Run>,
    merge: Option<Merge>,
    /// Runs whose buckets are to be removed, once nobody looks into them.
    waste: Vec<u64>,
    credit: u64,
}

impl Merger {
    /// The merges of a file with these runs. What a merge left unfinished is removed.
    pub(crate) fn open(connection: &Connection, runs: &[Run]) -> Result<Merger, Fault> {
        let mut query = cached(connection, sql!("id_run_numbers"))?;
        let mut rows = query.query([]).map_err(fault)?;
        let mut waste = Vec::new();
        while let Some(row) = rows.next().map_err(fault)? {
            let number = get::<i64>(row, 0)?.unsigned_abs();
            if runs.iter().all(|run| run.number != number) {
                waste.push(number);
            }
        }
        Ok(Merger {
            runs: runs.to_vec(),
            merge: None,
            waste,
            credit: 0,
        })
    }

    /// A run came to the file.
    pub(crate) fn add(&mut self, run: Run) {
        self.runs.push(run);
    }

    /// Whether something is to be done.
    pub(crate) fn is_idle(&self) -> bool {
        self.merge.is_none() && self.waste.is_empty() && self.due().is_none()
    }

    /// Does the share of `added` new ids. The caller holds the transaction. `next_run` is a
    /// number that no run has; a merge that begins takes it.
    pub(crate) fn work(
        &mut self,
        connection: &Connection,
        added: u64,
        next_run: u64,
    ) -> Result<Option<Merged>, Fault> {
        let limit = usize::try_from(added / IDS_PER_CLEARED + 1).unwrap_or(CLEAR_BUCKETS);
        let limit = limit.min(CLEAR_BUCKETS);
        if let Some(run) = self.waste.last()
            && clear(connection, *run, limit)? < limit
        {
            self.waste.pop();
        }
        if self.merge.is_none() {
            self.merge = self.due().map(|inputs| Merge::begin(inputs, next_run));
        }
        let Some(merge) = &mut self.merge else {
            return Ok(None);
        };
        self.credit += added * MERGED_PER_ID;
        while self.credit >= STEP_IDS {
            let merged = merge.step(connection)?;
            self.credit = self.credit.saturating_sub(merged);
            if merge.is_done() {
                merge.output.note(connection)?;
                return self.finish(connection);
            }
        }
        Ok(None)
    }

    fn finish(&mut self, connection: &Connection) -> Result<Option<Merged>, Fault> {
        self.credit = 0;
        let Some(merge) = self.merge.take() else {
            return Ok(None);
        };
        let Merge { inputs, filter, .. } = merge;
        let output = Run {
            filter: Arc::new(filter),
            ..merge.output
        };
        let numbers: Vec<u64> = inputs.iter().map(|run| run.number).collect();
        let mut delete = cached(connection, sql!("delete_id_run"))?;
        for number in &numbers {
            delete.execute([number.cast_signed()]).map_err(fault)?;
        }
        self.runs.retain(|run| !numbers.contains(&run.number));
        self.runs.push(output.clone());
        Ok(Some((numbers, output)))
    }

    /// Nobody looks into these runs any more.
    pub(crate) fn discard(&mut self, numbers: &[u64]) {
        self.waste.extend(numbers);
    }

    /// Runs of the lowest level that has enough of one size.
    fn due(&self) -> Option<Vec<Run>> {
        let busy = |run: &&Run| {
            let merge = self.merge.as_ref();
            merge.is_some_and(|merge| merge.inputs.iter().any(|own| own.number == run.number))
        };
        let mut levels: Vec<(u32, u32)> =
            self.runs.iter().map(|run| (run.level, run.bits)).collect();
        levels.sort_unstable();
        levels.dedup();
        levels.into_iter().find_map(|level| {
            let same = self
                .runs
                .iter()
                .filter(|run| (run.level, run.bits) == level);
            let inputs: Vec<Run> = same
                .filter(|run| !busy(run))
                .take(FAN_IN)
                .cloned()
                .collect();
            (inputs.len() == FAN_IN).then_some(inputs)
        })
    }
}

impl Merge {
    fn begin(inputs: Vec<Run>, number: u64) -> Merge {
        let (level, bits) = inputs.first().map_or((0, 0), |run| (run.level, run.bits));
        let bits = bits + FAN_IN.ilog2();
        let output = Run {
            number,
            level: level + 1,
            bits,
            ids: 0,
            filter: Arc::default(),
        };
        Merge {
            inputs,
            output,
            filter: Filter::empty(bits, level + 1),
            next: 0,
        }
    }

    fn is_done(&self) -> bool {
        self.inputs
            .first()
            .is_none_or(|run| self.next >> run.bits > 0)
    }

    /// Merges one bucket of the inputs; tells how many ids it had.
    fn step(&mut self, connection: &Connection) -> Result<u64, Fault> {
        let mut ids: Vec<Id> = Vec::with_capacity(FAN_IN * 512);
        for run in &self.inputs {
            with_bucket(connection, run.number, self.next, |body| {
                ids.extend(ids_of(body));
            })?;
        }
        // A sort that finds what is in order already.
        ids.sort();
        ids.iter().for_each(|id| self.filter.add(id.0));
        let mut rest = ids.as_slice();
        for number in self.next * FAN_IN..(self.next + 1) * FAN_IN {
            let end = rest.partition_point(|id| bucket(id.0, self.output.bits) <= number);
            let (own, others) = rest.split_at(end);
            write_bucket(connection, self.output.number, number, own)?;
            write_filter(connection, self.output.number, &self.filter, number)?;
            rest = others;
        }
        self.next += 1;
        self.output.ids += ids.len() as u64;
        Ok(ids.len() as u64)
    }
}
