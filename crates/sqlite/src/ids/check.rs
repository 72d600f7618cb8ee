//! Whether runs and filters tell of exactly the ids that entries bear. One that is told of no more
//! would be paid again.

use lingqian_core::audit::{Finding, Invariant};
use lingqian_io::Fault;
use rusqlite::Connection;

use super::Id;
use super::filter::Suspect as _;
use super::run::{Run, load_filter, runs};

/// Something that is not as the entries say.
fn finding(subject: &str, expected: &str, found: String) -> Finding {
    Finding {
        invariant: Invariant::NamesAreRemembered,
        subject: subject.to_owned(),
        expected: expected.to_owned(),
        found,
    }
}

/// How many of something there are, and the entry of the first.
#[derive(Clone, Copy, Debug, Default)]
struct Those {
    count: u64,
    first: u64,
}

impl Those {
    fn add(&mut self, seq: u64) {
        if self.count == 0 {
            self.first = seq;
        }
        self.count += 1;
    }

    /// What is to be said of them, if there are any.
    fn finding(self, subject: &str, expected: &str, found: &str) -> Option<Finding> {
        let Those { count, first } = self;
        let found = format!("{count} {found}, the first with entry {first}");
        (count > 0).then(|| finding(subject, expected, found))
    }
}

/// The ids that entries bear, and which of them a run has.
struct Borne<'a> {
    /// Sorted.
    ids: &'a [Id],
    met: Vec<bool>,
}

impl Borne<'_> {
    /// Marks an id of a run; tells whether an entry bears it. `at` is where ids that are as great as
    /// this one begin.
    fn meet(&mut self, (print, seq): Id, kept: u64, at: usize) -> bool {
        let same = self.ids.get(at..).unwrap_or_default().iter();
        let mut same = same.take_while(|id| id.0 & kept == print);
        let Some(place) = same.position(|id| id.1 == seq) else {
            return false;
        };
        self.met[at + place] = true;
        true
    }

    /// From `at` on, where ids begin that are not smaller. Runs are sorted, too, so that it is near.
    fn advance(&self, at: usize, print: u64) -> usize {
        let rest = self.ids.get(at..).unwrap_or_default();
        let mut end = 1;
        while rest.get(end).is_some_and(|id| id.0 < print) {
            end *= 2;
        }
        let near = rest.get(..end).unwrap_or(rest);
        at + near.partition_point(|id| id.0 < print)
    }
}

/// Compares every run with the ids of all entries, which are sorted; those up to the entry `sealed_to`
/// must be in runs.
///
/// # Errors
/// A fault of the file, but for what is damaged of runs and filters: that is told.
pub(crate) fn check(
    snapshot: &Connection,
    ids: &[Id],
    sealed_to: u64,
) -> Result<Vec<Finding>, Fault> {
    let mut borne = Borne {
        ids,
        met: vec![false; ids.len()],
    };
    let mut found = Vec::new();
    for run in runs(snapshot)? {
        match check_run(snapshot, &run, &mut borne) {
            Err(Fault::Broken(words) | Fault::Damaged(words)) => {
                let subject = format!("run {} of remembered ids", run.number);
                found.push(finding(&subject, "whole", words));
            }
            checked => found.extend(checked?),
        }
    }
    let mut forgotten = Those::default();
    let lost = borne.ids.iter().zip(&borne.met).filter(|(_, met)| !**met);
    for ((_, seq), _) in lost.filter(|((_, seq), _)| *seq <= sealed_to) {
        forgotten.add(*seq);
    }
    found.extend(forgotten.finding("remembered ids", "each one in a run", "in none"));
    Ok(found)
}

fn check_run(
    snapshot: &Connection,
    run: &Run,
    borne: &mut Borne<'_>,
) -> Result<Vec<Finding>, Fault> {
    let filter = match run.is_old() {
        true => Some(load_filter(snapshot, *run)?),
        false => None,
    };
    let (mut strangers, mut untold) = (Those::default(), Those::default());
    let (mut disorder, mut count) = (Those::default(), 0_u64);
    let (mut before, mut at) = (0, 0);
    let mut bucket = Vec::new();
    for number in 0..1 << run.form.bits {
        bucket.clear();
        run.read(snapshot, number, &mut bucket)?;
        for (print, seq) in &bucket {
            count += 1;
            if *print < before {
                disorder.add(*seq);
                at = 0;
            }
            before = *print;
            at = borne.advance(at, *print);
            if !borne.meet((*print, *seq), run.form.kept(), at) {
                strangers.add(*seq);
            }
            let told = filter.as_ref().is_none_or(|filter| filter.may_hold(*print));
            if !told {
                untold.add(*seq);
            }
        }
    }
    let ids = format!("ids of run {}", run.number);
    let filter = format!("the filter of run {}", run.number);
    let counted = (count != run.ids).then(|| {
        let found = format!("{count} of {}", run.ids);
        finding(&ids, "as many as are noted of it", found)
    });
    let others = [
        strangers.finding(&ids, "each one of an entry", "that no entry bears"),
        disorder.finding(&ids, "in their order", "out of it"),
        untold.finding(&filter, "tells of all its ids", "it does not tell of"),
    ];
    Ok(others.into_iter().chain([counted]).flatten().collect())
}
