//! A run: ids that are never changed, sorted into buckets by their highest bits.

use lingqian_io::Fault;
use rusqlite::{Connection, params};

use super::bucket::Form;
use super::filter::{Filter, Maker, bucket};
use super::{Id, Ids};
use crate::codec::{damaged, fault, get, rows};
use crate::names::Key;
use crate::prefetch::cached;
use crate::sql;

/// Ids of a bucket, about: two buckets are in one page of SQLite.
pub(super) const BUCKET_IDS: usize = 448;
/// Bytes of a bucket's part of a filter, as earlier versions had them: it is not looked at.
const EARLIER_PART_BYTES: usize = 384;
/// From this level on a run is old.
const OLD_LEVEL: u32 = 2;
/// Buckets whose parts of a filter share a row.
const FILTER_BUCKETS: usize = 64;
/// Rows of buckets that are removed for one of a filter, which takes some more pages.
const BUCKETS_PER_FILTER: u64 = 8;
/// A filter is in rows of its own.
const NO_PART: &[u8] = &[];
/// Buckets that a run's number leaves room for in a slot.
pub(super) const SLOT_BITS: u32 = 24;

/// How many bits tell the buckets of so many ids: these are between two thirds and four thirds full.
pub(super) fn bits_of(ids: u64) -> u32 {
    let halves = 3 * ids / BUCKET_IDS as u64;
    (halves / 2).max(1).ilog2()
}

/// The row of a bucket.
pub(crate) fn slot(run: u64, bucket: usize) -> i64 {
    ((run << SLOT_BITS) | bucket as u64).cast_signed()
}

/// A run that is in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) number: u64,
    /// How often four became one on the way to it.
    pub(crate) level: u32,
    /// How its ids are stored, and in how many buckets.
    pub(crate) form: Form,
    pub(crate) ids: u64,
}

impl Run {
    /// Whether it has a filter of its own.
    pub(super) fn is_old(&self) -> bool {
        self.level >= OLD_LEVEL
    }

    /// Adds the entries under this fingerprint.
    pub(crate) fn find(
        &self,
        connection: &Connection,
        fingerprint: u64,
        found: &mut Vec<u64>,
    ) -> Result<(), Fault> {
        let bucket = bucket(fingerprint, self.form.bits);
        self.with_bucket(connection, bucket, |body| {
            self.form.find(body, fingerprint, found);
        })
    }

    /// Adds the ids of a bucket.
    pub(crate) fn read(
        &self,
        connection: &Connection,
        bucket: usize,
        ids: &mut Vec<Id>,
    ) -> Result<(), Fault> {
        self.with_bucket(connection, bucket, |body| {
            ids.extend(self.form.ids(bucket, body));
        })
    }

    /// Lets somebody look at the ids of a bucket, as they are stored.
    fn with_bucket<R>(
        &self,
        connection: &Connection,
        bucket: usize,
        look: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, Fault> {
        let lost = || damaged("id_buckets");
        let mut query = cached(connection, sql!("id_bucket"))?;
        let mut rows = query.query([slot(self.number, bucket)]).map_err(fault)?;
        let row = rows.next().map_err(fault)?.ok_or_else(lost)?;
        let body = row.get_ref(0).map_err(fault)?.as_blob();
        let is_whole = |body: &&[u8]| body.len().is_multiple_of(self.form.id_bytes());
        body.ok().filter(is_whole).map(look).ok_or_else(lost)
    }

    /// Writes one bucket.
    pub(super) fn write_bucket(
        &self,
        connection: &Connection,
        bucket: usize,
        ids: &[Id],
    ) -> Result<(), Fault> {
        let body = self.form.store(ids)?;
        let mut insert = cached(connection, sql!("insert_id_bucket"))?;
        let written = insert.execute(params![slot(self.number, bucket), NO_PART, body]);
        written.map(|_| ()).map_err(fault)
    }

    /// Notes that the run is whole.
    pub(crate) fn note(&self, connection: &Connection) -> Result<(), Fault> {
        let mut insert = cached(connection, sql!("insert_id_run"))?;
        let (number, ids) = (self.number.cast_signed(), self.ids.cast_signed());
        let (bits, first) = (self.form.bits, self.form.column());
        let noted = insert.execute(params![number, self.level, bits, ids, first]);
        noted.map(|_| ()).map_err(fault)
    }
}

/// A run that is on its way to the file.
#[derive(Debug)]
pub(crate) struct SealedRun {
    pub(crate) number: u64,
    pub(super) form: Form,
    /// Sorted.
    ids: Vec<Id>,
}

impl SealedRun {
    /// A run of sorted ids.
    pub(crate) fn new(number: u64, ids: Vec<Id>) -> SealedRun {
        let bits = bits_of(ids.len() as u64);
        let seqs = ids.iter().map(|id| id.1);
        let (first, last) = seqs.fold((u64::MAX, 0), |(first, last), seq| {
            (first.min(seq), last.max(seq))
        });
        SealedRun {
            number,
            form: Form::of(bits, first.min(last), last),
            ids,
        }
    }

    /// Adds the entries under this fingerprint.
    pub(crate) fn find(&self, fingerprint: u64, found: &mut Vec<u64>) {
        let begin = self.ids.partition_point(|id| id.0 < fingerprint);
        let same = self.ids[begin..]
            .iter()
            .take_while(|id| id.0 == fingerprint);
        found.extend(same.map(|id| id.1));
    }

    /// The fingerprints.
    pub(super) fn prints(&self) -> impl ExactSizeIterator<Item = u64> {
        self.ids.iter().map(|id| id.0)
    }

    /// How many bytes of memory its ids take.
    pub(super) fn held_bytes(&self) -> usize {
        self.ids.capacity() * size_of::<Id>()
    }

    /// About how much it writes.
    pub(crate) fn bytes(&self) -> usize {
        self.ids.len() * self.form.id_bytes()
    }

    /// The run without its ids.
    pub(crate) fn run(&self) -> Run {
        Run {
            number: self.number,
            level: 0,
            form: self.form,
            ids: self.ids.len() as u64,
        }
    }

    /// Writes buckets and run.
    pub(crate) fn write(&self, connection: &Connection) -> Result<(), Fault> {
        let (run, mut rest) = (self.run(), self.ids.as_slice());
        let bits = self.form.bits;
        for number in 0..1_usize << bits {
            let end = rest.partition_point(|id| bucket(id.0, bits) <= number);
            let (own, others) = rest.split_at(end);
            run.write_bucket(connection, number, own)?;
            rest = others;
        }
        run.note(connection)
    }
}

/// Writes the row of a filter that ends with this bucket, if one does: the filter of those before
/// must be whole.
pub(super) fn write_filter(
    connection: &Connection,
    run: u64,
    filter: &Maker,
    bucket: usize,
) -> Result<(), Fault> {
    let together = filter.kind().buckets().min(FILTER_BUCKETS);
    if !(bucket + 1).is_multiple_of(together) {
        return Ok(());
    }
    let begin = bucket + 1 - together;
    let parts = filter.parts(begin..bucket + 1);
    let mut insert = cached(connection, sql!("insert_id_filter"))?;
    let written = insert.execute(params![slot(run, begin), parts]);
    written.map(|_| ()).map_err(fault)
}

/// The ids of a file: every whole run, and what tells of it. A run will be made of so many.
pub(crate) fn load(connection: &Connection, key: Key, recent_max: usize) -> Result<Ids, Fault> {
    let mut query = cached(connection, sql!("last_id_bucket"))?;
    let last: Option<i64> = query.query_row([], |row| row.get(0)).map_err(fault)?;
    let used = last.map_or(0, |slot| slot.unsigned_abs() >> SLOT_BITS);
    let mut ids = Ids::new(key, used + 1, recent_max);
    for run in runs(connection)? {
        ids.runs.push(run);
        if run.is_old() {
            let filter = load_filter(connection, run)?;
            ids.add_filter(run.number, filter);
        } else {
            let prints = load_prints(connection, run)?;
            ids.add_young(run.number, prints.into_iter());
        }
    }
    Ok(ids)
}

/// Every whole run, by rising numbers.
pub(super) fn runs(connection: &Connection) -> Result<Vec<Run>, Fault> {
    let mut query = cached(connection, sql!("id_runs"))?;
    rows(&mut query, [], |row| {
        let run = Run {
            number: get::<i64>(row, 0)?.unsigned_abs(),
            level: get(row, 1)?,
            form: Form::from_column(get(row, 2)?, get(row, 4)?)?,
            ids: get::<i64>(row, 3)?.unsigned_abs(),
        };
        match run.form.bits {
            ..SLOT_BITS => Ok(run),
            _ => Err(damaged("id_runs.bits")),
        }
    })
}

/// The fingerprints of a run.
fn load_prints(connection: &Connection, run: Run) -> Result<Vec<u64>, Fault> {
    let mut prints = Vec::new();
    for bucket in 0..1 << run.form.bits {
        run.with_bucket(connection, bucket, |body| {
            prints.extend(run.form.ids(bucket, body).map(|id| id.0));
        })?;
    }
    match prints.len() as u64 == run.ids {
        true => Ok(prints),
        false => Err(damaged("id_runs.ids")),
    }
}

/// What is read of a filter, whose buckets come one after the other.
struct Reading {
    maker: Maker,
    filter: Filter,
}

impl Reading {
    fn of(maker: Maker) -> Reading {
        let filter = maker.kind().clone();
        Reading { maker, filter }
    }

    /// So many buckets are whole.
    fn read(&mut self, buckets: usize) -> Result<(), Fault> {
        let slab = self.maker.end(buckets)?;
        slab.into_iter().for_each(|slab| self.filter.put(slab));
        Ok(())
    }
}

/// The filter of a run as it is stored.
pub(super) fn load_filter(connection: &Connection, run: Run) -> Result<Filter, Fault> {
    let lost = || damaged("id_filters");
    let mut query = cached(connection, sql!("id_filters"))?;
    let mut rows = query.query(slots(run.number)).map_err(fault)?;
    let together = FILTER_BUCKETS.min(1 << run.form.bits);
    let mut reading: Option<Reading> = None;
    let mut next = 0;
    while let Some(row) = rows.next().map_err(fault)? {
        let found: i64 = get(row, 0)?;
        let parts = row.get_ref(1).map_err(fault)?.as_blob();
        let parts = parts.ok().filter(|_| found == slot(run.number, next));
        let parts = parts.ok_or_else(lost)?;
        if reading.is_none() {
            let maker = Maker::of_part(run.form, parts.len() / together)?;
            reading = maker.map(Reading::of);
        }
        let reading = reading.as_mut().ok_or_else(lost)?;
        next += reading.maker.restore(next, parts).ok_or_else(lost)?;
        reading.read(next)?;
    }
    match reading {
        None => load_parts(connection, run),
        Some(Reading { filter, .. }) if next == filter.buckets() => Ok(filter),
        Some(_) => Err(lost()),
    }
}

/// The filter of a run whose parts are in its buckets, as earlier versions wrote it; made anew
/// where still earlier ones stored another kind.
fn load_parts(connection: &Connection, run: Run) -> Result<Filter, Fault> {
    let lost = || damaged("id_buckets");
    let mut query = cached(connection, sql!("bucket_filters"))?;
    let mut rows = query.query(slots(run.number)).map_err(fault)?;
    let mut reading: Option<Reading> = None;
    for bucket in 0..1 << run.form.bits {
        let row = rows.next().map_err(fault)?;
        let row = row.ok_or_else(lost)?;
        let (found, part): (i64, Vec<u8>) = (get(row, 0)?, get(row, 1)?);
        if found != slot(run.number, bucket) {
            return Err(lost());
        }
        let is_other = part.len() == EARLIER_PART_BYTES;
        if reading.is_none() {
            let maker = match is_other {
                true => Some(Maker::new(run.form, 1)?),
                false => Maker::of_part(run.form, part.len())?,
            };
            reading = maker.map(Reading::of);
        }
        let reading = reading.as_mut().ok_or_else(lost)?;
        if is_other {
            run.with_bucket(connection, bucket, |body| {
                let ids = run.form.ids(bucket, body);
                ids.for_each(|id| reading.maker.add(id.0));
            })?;
        } else if reading.maker.restore(bucket, &part) != Some(1) {
            return Err(lost());
        }
        reading.read(bucket + 1)?;
    }
    reading.map(|reading| reading.filter).ok_or_else(lost)
}

/// From the first slot of a run to the first of the next.
fn slots(run: u64) -> [i64; 2] {
    [slot(run, 0), slot(run + 1, 0)]
}

/// Removes up to `limit` buckets of a run that is not whole or was merged, after its filters; tells how
/// many: less than that many when none is left.
pub(crate) fn clear(connection: &Connection, run: u64, limit: u64) -> Result<u64, Fault> {
    let [from, to] = slots(run);
    let delete = |query, limit: u64| {
        let deleted = cached(connection, query)?.execute([from, to, limit.cast_signed()]);
        deleted.map(|rows| rows as u64).map_err(fault)
    };
    let filters = limit.div_ceil(BUCKETS_PER_FILTER);
    if delete(sql!("delete_id_filters"), filters)? == filters {
        return Ok(limit);
    }
    delete(sql!("delete_id_buckets"), limit)
}

#[cfg(test)]
mod tests {
    use super::super::bucket::Way;
    use super::super::tests::mix;
    use super::*;
    use crate::Options;
    use crate::schema::open_writer;

    const BITS: u32 = 3;
    const IDS: u64 = (BUCKET_IDS as u64) << BITS;

    /// Writes a run of some ids with everything that belongs to it.
    fn write(connection: &Connection, run: Run, first: u64) {
        let mut ids: Vec<Id> = (first..first + IDS).map(|seq| (mix(seq), seq)).collect();
        ids.sort_unstable();
        let mut maker = Maker::new(run.form, 1).expect("memory");
        for number in 0..1 << BITS {
            let of_bucket = |id: &&Id| bucket(id.0, BITS) == number;
            let own: Vec<Id> = ids.iter().filter(of_bucket).copied().collect();
            run.write_bucket(connection, number, &own).expect("written");
            own.iter().for_each(|id| maker.add(id.0));
            if run.is_old() {
                write_filter(connection, run.number, &maker, number).expect("written");
            }
        }
        run.note(connection).expect("noted");
    }

    #[test]
    fn whoever_opens_the_file_finds_every_id_however_its_run_is_stored() {
        let dir = tempfile::tempdir().expect("a directory");
        let books = open_writer(&dir.path().join("books.db"), &Options::default());
        let books = books.expect("opens");
        let ways = [Way::Words(1), Way::Wide, Way::Earlier];
        let kinds = ways.iter().flat_map(|way| [(*way, 0), (*way, 2)]);
        let mut first = 1;
        for (number, (way, level)) in (1..).zip(kinds) {
            let form = Form { bits: BITS, way };
            let run = Run {
                number,
                level,
                form,
                ids: IDS,
            };
            write(&books, run, first);
            first += IDS;
        }
        let ids = load(&books, [7; 16], BUCKET_IDS).expect("reads");
        assert_eq!(ids.runs().len(), 6);
        for seq in 1..first {
            assert!(ids.may_be_old(mix(seq)), "{seq}");
            assert_eq!(ids.old(&books, mix(seq)), Ok(vec![seq]));
        }
        let others = (first..first + 10_000).filter(|seq| ids.may_be_old(mix(*seq)));
        let others = others.count();
        assert!(others < 600, "{others} of 10,000 are suspected wrongly");
    }
}
