//! Merging runs, a few buckets with every commit, so that no commit waits for a large merge.

use std::ops::Range;

use lingqian_io::Fault;
use rusqlite::Connection;

use super::Id;
use super::bucket::Form;
use super::filter::{Filter, Maker, Slab, bucket};
use super::run::{BUCKET_IDS, Run, SLOT_BITS, bits_of, clear, write_filter};
use crate::codec::{fault, get};
use crate::prefetch::cached;
use crate::sql;

/// Young runs that become one: a table in memory tells of all of them at once, so that there may be
/// many.
pub(super) const FAN_IN_YOUNG: usize = 32;
/// Small merged runs that become one. Each of them is asked; while there are few ids, so are few runs,
/// and a merge that is left out saves more than the asking costs.
const FAN_IN_SMALL: usize = 8;
/// Large merged runs that become one.
const FAN_IN: usize = 4;
/// Runs of 2^14 buckets are large: seven million ids.
const LARGE_BITS: u32 = 14;
/// Numbers that are kept for merges.
const NUMBERS_MAX: usize = 8;
/// Ids that are merged for each id that is added. No id is merged more than six times, until runs
/// have as many buckets as can be.
const MERGED_PER_ID: u64 = 7;
/// For so many ids that are added a bucket of merged runs is removed: faster than merges leave them,
/// also where buckets are two thirds full.
const IDS_PER_CLEARED: u64 = 32;

/// A merge that is under way.
#[derive(Debug)]
struct Merge {
    inputs: Vec<Run>,
    output: Run,
    filter: Maker,
    /// Slabs of the output's filter that nobody knows of yet.
    slabs: Vec<(usize, Slab)>,
    /// How many bits tell the buckets of the input that has the fewest,
    coarsest: u32,
    /// and which of them is next.
    next: usize,
}

/// What a merge has brought about.
#[derive(Debug)]
pub(crate) struct Merged {
    /// The numbers of the inputs,
    pub(crate) inputs: Vec<u64>,
    /// and what they become: where the filter tells of it, it is in the file.
    pub(crate) run: Run,
    /// Its filter, without any slab,
    pub(super) kind: Filter,
    /// and slabs of it.
    pub(super) slabs: Vec<(usize, Slab)>,
    /// Whether it is whole, and replaces the inputs.
    pub(crate) whole: bool,
}

/// The merges of a file.
#[derive(Debug, Default)]
pub(crate) struct Merger {
    runs: Vec<Run>,
    /// The last one is worked on: it has the lowest level. Those before it wait, so that small runs
    /// never pile up behind a large merge.
    merges: Vec<Merge>,
    /// Runs whose buckets are to be removed, once nobody looks into them.
    waste: Vec<u64>,
    /// Ids that were added since waste was there and that nothing was removed for.
    owed: u64,
    /// Numbers for the runs that merges make, a few: each run that is sealed brings one, and a merge has
    /// more than one input.
    numbers: Vec<u64>,
    credit: u64,
}

impl Merger {
    /// The merges of a file with these runs; the first one gets this number. What a merge left unfinished
    /// is removed.
    pub(crate) fn open(
        connection: &Connection,
        runs: &[Run],
        number: u64,
    ) -> Result<Merger, Fault> {
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
            merges: Vec::new(),
            waste,
            owed: 0,
            numbers: vec![number],
            credit: 0,
        })
    }

    /// A run came to the file, and with it a number that no run has.
    pub(crate) fn add(&mut self, run: Run, number: Option<u64>) {
        self.runs.push(run);
        self.numbers.extend(number);
        self.numbers.truncate(NUMBERS_MAX);
    }

    /// Does the share of `added` new ids, up to the entry `last`. The caller holds the transaction.
    pub(crate) fn work(
        &mut self,
        connection: &Connection,
        (added, last): (u64, u64),
    ) -> Result<Option<Merged>, Fault> {
        self.clear(connection, added)?;
        if let Some(number) = self.numbers.last()
            && let Some(inputs) = self.due()
        {
            let all = count(&self.runs);
            let merge = Merge::begin(inputs, (*number, last), all)?;
            self.numbers.pop();
            self.merges.push(merge);
        }
        let Some(merge) = self.merges.last_mut() else {
            return Ok(None);
        };
        self.credit += added * MERGED_PER_ID;
        while self.credit >= merge.inputs.len() as u64 * BUCKET_IDS as u64 {
            let merged = merge.step(connection)?;
            self.credit = self.credit.saturating_sub(merged);
            if merge.is_done() {
                merge.output.note(connection)?;
                return self.finish(connection);
            }
        }
        Ok(merge.made())
    }

    /// Removes what merges left, as the share of `added` new ids.
    fn clear(&mut self, connection: &Connection, added: u64) -> Result<(), Fault> {
        self.owed += added;
        while let Some(run) = self.waste.last() {
            let left = self.owed / IDS_PER_CLEARED;
            if left == 0 {
                return Ok(());
            }
            let cleared = clear(connection, *run, left)?;
            if cleared < left {
                self.waste.pop();
            }
            self.owed -= cleared * IDS_PER_CLEARED;
        }
        self.owed = 0;
        Ok(())
    }

    fn finish(&mut self, connection: &Connection) -> Result<Option<Merged>, Fault> {
        self.credit = 0;
        let Some(mut merge) = self.merges.pop() else {
            return Ok(None);
        };
        let merged = merge.tell(true);
        let mut delete = cached(connection, sql!("delete_id_run"))?;
        for number in &merged.inputs {
            delete.execute([number.cast_signed()]).map_err(fault)?;
        }
        self.runs.retain(|run| !merged.inputs.contains(&run.number));
        self.runs.push(merged.run);
        Ok(Some(merged))
    }

    /// Nobody looks into these runs any more.
    pub(crate) fn discard(&mut self, numbers: &[u64]) {
        self.waste.extend(numbers);
    }

    /// The smallest runs of which there are enough, if they are smaller than those of every merge.
    fn due(&self) -> Option<Vec<Run>> {
        let merged = self.merges.last().and_then(|merge| merge.inputs.first());
        let below = merged.map_or(u32::MAX, size);
        let mut sizes: Vec<u32> = self.runs.iter().map(size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let sizes = sizes.into_iter().take_while(|own| *own < below);
        sizes.into_iter().find_map(|own| {
            let fan_in = match own {
                YOUNG => FAN_IN_YOUNG,
                _ if own < LARGE => FAN_IN_SMALL,
                _ => FAN_IN,
            };
            let same = self.runs.iter().filter(|run| size(run) == own);
            let inputs: Vec<Run> = same.take(fan_in).copied().collect();
            // What would have more buckets than can be is left as it is.
            let fits = inputs.len() == fan_in && bits(&inputs) < SLOT_BITS;
            fits.then_some(inputs)
        })
    }
}

/// The size of young runs, whatever it is.
const YOUNG: u32 = 0;
/// The size of the smallest large ones.
const LARGE: u32 = 6;

/// The size of a run, as far as it matters for what it is merged with: what runs of a size become is
/// of a larger one.
fn size(run: &Run) -> u32 {
    match run.form.bits {
        _ if !run.is_old() => YOUNG,
        bits @ ..LARGE_BITS => 1 + (bits / 3).min(LARGE - 2),
        bits => LARGE + (bits - LARGE_BITS) / 2,
    }
}

/// How many bits tell the buckets of what runs become.
fn bits(inputs: &[Run]) -> u32 {
    let least = inputs.iter().map(|run| run.form.bits).max();
    bits_of(count(inputs)).max(least.unwrap_or(0))
}

/// How many ids runs have.
fn count(runs: &[Run]) -> u64 {
    runs.iter().map(|run| run.ids).sum()
}

impl Merge {
    /// Begins to merge runs whose entries are not newer than `last`, of a file that has so many ids.
    fn begin(inputs: Vec<Run>, (number, last): (u64, u64), all: u64) -> Result<Merge, Fault> {
        let level = inputs.iter().map(|run| run.level).max().unwrap_or(0);
        let first = inputs.iter().map(|run| run.form.first()).min();
        let form = Form::of(bits(&inputs), first.unwrap_or(0), last);
        let output = Run {
            number,
            // How often four would have become one.
            level: level + inputs.len().ilog(4),
            form,
            ids: 0,
        };
        let coarsest = inputs.iter().map(|run| run.form.bits).min();
        let one_of = all / count(&inputs).max(1);
        Ok(Merge {
            coarsest: coarsest.unwrap_or(0),
            inputs,
            output,
            filter: Maker::new(form, one_of)?,
            slabs: Vec::new(),
            next: 0,
        })
    }

    fn is_done(&self) -> bool {
        self.next >> self.coarsest > 0
    }

    /// What can be told of it before it is whole. Of young inputs a sheet tells, and goes as a whole.
    fn made(&mut self) -> Option<Merged> {
        let any = !self.slabs.is_empty() && self.inputs.iter().all(Run::is_old);
        any.then(|| self.tell(false))
    }

    fn tell(&mut self, whole: bool) -> Merged {
        Merged {
            inputs: self.inputs.iter().map(|run| run.number).collect(),
            run: self.output,
            kind: self.filter.kind().clone(),
            slabs: std::mem::take(&mut self.slabs),
            whole,
        }
    }

    /// Merges what is in one bucket of the input that has the fewest; tells how many ids it had.
    fn step(&mut self, connection: &Connection) -> Result<u64, Fault> {
        let mut ids: Vec<Id> = Vec::with_capacity(self.inputs.len() * 512);
        for run in &self.inputs {
            for number in buckets(self.next, run.form.bits - self.coarsest) {
                run.read(connection, number, &mut ids)?;
            }
        }
        let bits = self.output.form.bits;
        let ids = in_order(&ids, self.coarsest);
        let mut rest = ids.as_slice();
        for number in buckets(self.next, bits - self.coarsest) {
            let end = rest.partition_point(|id| bucket(id.0, bits) <= number);
            let (own, others) = rest.split_at(end);
            own.iter().for_each(|id| self.filter.add(id.0));
            self.output.write_bucket(connection, number, own)?;
            write_filter(connection, self.output.number, &self.filter, number)?;
            self.slabs.extend(self.filter.end(number + 1)?);
            rest = others;
        }
        self.next += 1;
        self.output.ids += ids.len() as u64;
        Ok(ids.len() as u64)
    }
}

/// The buckets that one becomes where so many bits more tell them.
fn buckets(bucket: usize, more: u32) -> Range<usize> {
    bucket << more..(bucket + 1) << more
}

/// Ids that share their highest bits, in their order. Fingerprints are spread evenly, so that each
/// says nearly where its place is; what comparing them would guess wrong half of the time is left to
/// neighbours.
fn in_order(ids: &[Id], shared: u32) -> Vec<Id> {
    let slots = ids.len().max(1).next_power_of_two();
    let rest = u64::BITS - slots.ilog2();
    let slot = |id: &Id| ((id.0 << shared) >> 1 >> (rest - 1)) as usize;
    let mut ends = vec![0_u32; slots + 1];
    ids.iter().for_each(|id| ends[slot(id) + 1] += 1);
    let mut sum = 0;
    for end in &mut ends {
        sum += *end;
        *end = sum;
    }
    let mut sorted = vec![Id::default(); ids.len()];
    for id in ids {
        let place = &mut ends[slot(id)];
        sorted[*place as usize] = *id;
        *place += 1;
    }
    for place in 1..sorted.len() {
        let id = sorted[place];
        let mut own = place;
        while own > 0 && sorted[own - 1] > id {
            sorted[own] = sorted[own - 1];
            own -= 1;
        }
        sorted[own] = id;
    }
    sorted
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::run::SealedRun;
    use super::super::tests::mix;
    use super::*;
    use crate::Options;
    use crate::schema::open_writer;

    #[test]
    fn ids_that_share_their_highest_bits_come_into_their_order() {
        for (count, shared) in [(0, 0), (1, 3), (2, 0), (449, 10), (7_168, 23)] {
            let spread = (0..count).map(|seq| (mix(seq) >> shared, seq));
            let alike = (0..count).map(|seq| (mix(seq % 3) >> shared, count - seq));
            for mut ids in [spread.collect(), alike.collect::<Vec<Id>>()] {
                let found = in_order(&ids, shared);
                ids.sort_unstable();
                assert_eq!(found, ids);
            }
        }
    }

    #[test]
    fn runs_that_would_have_more_buckets_than_a_slot_tells_apart_stay_as_they_are() {
        let due = |bits| {
            let runs = (1..=4).map(|number| Run {
                number,
                level: 8,
                form: Form::of(bits, number, number),
                ids: (BUCKET_IDS as u64) << bits,
            });
            let merger = Merger {
                runs: runs.collect(),
                ..Merger::default()
            };
            merger.due().map(|inputs| inputs.len())
        };
        assert_eq!((due(SLOT_BITS - 3), due(SLOT_BITS - 2)), (Some(4), None));
    }

    #[test]
    fn what_runs_of_a_size_become_is_of_a_larger_one() {
        for bits in 0..SLOT_BITS - 3 {
            let run = Run {
                number: 1,
                level: 2,
                form: Form::of(bits, 1, 1),
                ids: (BUCKET_IDS as u64) << bits,
            };
            let fan_in = if size(&run) < LARGE {
                FAN_IN_SMALL
            } else {
                FAN_IN
            };
            let mut output = run;
            output.form.bits = super::bits(&vec![run; fan_in]);
            assert!(size(&output) > size(&run), "{bits} bits");
        }
    }

    #[test]
    fn small_runs_do_not_pile_up_behind_a_large_merge_and_nothing_is_lost() {
        const RUN: u64 = BUCKET_IDS as u64;
        // The last eight come while what the others became is merged.
        const RUNS: u64 = 24 * FAN_IN_YOUNG as u64 + 8;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("books.db");
        let books = open_writer(&path, &Options::default()).expect("opens");
        let change = books.unchecked_transaction().expect("begins");
        let mut merger = Merger::default();
        let (mut number, mut last) = (0, 0);
        let mut unused: Vec<u64> = Vec::new();
        for run in 0..RUNS {
            // Batches are of many sizes, and so are runs.
            let seqs = last + 1..=last + RUN * (1 + run % 5);
            let added = seqs.end() - last;
            last = *seqs.end();
            let mut ids: Vec<Id> = seqs.map(|seq| (mix(seq), seq)).collect();
            ids.sort_unstable();
            let sealed = SealedRun::new(number + 1, ids);
            sealed.write(&change).expect("written");
            merger.discard(&std::mem::take(&mut unused));
            merger.add(sealed.run(), Some(number + 2));
            let merged = merger.work(&change, (added, last)).expect("merges");
            let whole = merged.into_iter().filter(|merged| merged.whole);
            unused.extend(whole.flat_map(|merged| merged.inputs));
            number += 2;
            let young = merger.runs.iter().filter(|run| run.level == 0).count();
            assert!(young < FAN_IN_YOUNG + 8, "{young} young runs");
        }
        let levels: Vec<u32> = merger.runs.iter().map(|run| run.level).collect();
        assert!(levels.contains(&3), "{levels:?}");
        let mut seqs = Vec::new();
        for run in &merger.runs {
            let own = seqs.len();
            for place in 0..1 << run.form.bits {
                let mut ids = Vec::new();
                run.read(&change, place, &mut ids).expect("a bucket");
                for (print, seq) in ids {
                    assert_eq!(print, mix(seq) & run.form.kept());
                    assert_eq!(bucket(print, run.form.bits), place);
                    seqs.push(seq);
                }
            }
            assert_eq!((seqs.len() - own) as u64, run.ids);
        }
        seqs.sort_unstable();
        assert!(seqs.iter().copied().eq(1..=last));
        leave_nothing(&change, merger);
    }

    /// Buckets that are in the file, and runs that these and filters belong to.
    fn stored(change: &Connection) -> (u64, BTreeSet<u64>) {
        let buckets = "SELECT count(*) FROM id_buckets";
        let buckets: i64 = change
            .query_row(buckets, [], |row| row.get(0))
            .expect("counts");
        let runs = "SELECT slot >> 24 FROM id_buckets UNION SELECT slot >> 24 FROM id_filters";
        let mut runs = change.prepare(runs).expect("prepares");
        let runs = runs.query_map([], |row| row.get(0)).expect("reads");
        let runs = runs.map(|run| run.map(i64::unsigned_abs));
        (
            buckets.unsigned_abs(),
            runs.collect::<Result<_, _>>().expect("reads"),
        )
    }

    /// What merges leave goes as fast as it comes, and all of it after the books were opened, what a
    /// merge had made that was under way among it.
    fn leave_nothing(change: &Connection, merger: Merger) {
        let living = merger
            .runs
            .iter()
            .map(|run| 1 << run.form.bits)
            .sum::<u64>();
        let (buckets, _) = stored(change);
        assert!(
            buckets < 2 * living,
            "{buckets} buckets in the file, {living} count"
        );
        let half_done = merger.merges.iter().map(|merge| merge.output.number);
        let half_done: BTreeSet<u64> = half_done.collect();
        assert!(!half_done.is_empty() && half_done.is_subset(&stored(change).1));
        let mut again = Merger::open(change, &merger.runs, 1 << 30).expect("opens");
        again.clear(change, 1 << 40).expect("clears");
        let known = merger.runs.iter().map(|run| run.number).collect();
        assert_eq!(stored(change), (living, known));
    }
}
