//! What tells of all ids but the newest: sheets of young runs and filters of old ones. Whoever gives
//! events asks it before the teller has them; the teller asks again where ids came to it since.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lingqian_io::Fault;
use rusqlite::Connection;

use super::filter::{Filter, Suspect};
use super::run::Run;
use super::young::Sheet;
use crate::names::Key;
use crate::near::{TOGETHER, fetch};

/// It is never changed, only replaced: who has the same one has the same answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settled {
    /// What the file's hashes are keyed with.
    pub(crate) key: Key,
    /// The last one is added to while it has room.
    pub(super) sheets: Vec<Sheet>,
    /// Filters by the numbers of their runs.
    pub(super) filters: Vec<(u64, Arc<Filter>)>,
    /// The runs, those on their way to the file among them.
    pub(super) runs: Vec<Run>,
    /// The same one as long as runs only come and are merged, which moves ids.
    pub(super) origin: Arc<()>,
    /// The number of the newest run that came,
    pub(super) newest: u64,
    /// and of the newest one that a merge took out of the sheets.
    pub(super) moved: u64,
}

/// What must be asked again of what is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Nothing,
    /// Only the runs that came after this one.
    Since(u64),
    Everything,
}

/// What whoever gives events asks, as of some time ago. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board(Arc<Mutex<Arc<Settled>>>);

impl Board {
    fn lock(&self) -> MutexGuard<'_, Arc<Settled>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was settled when somebody last had to ask again.
    pub(crate) fn read(&self) -> Arc<Settled> {
        Arc::clone(&self.lock())
    }

    /// Puts up what is settled now: whoever comes next asks that.
    pub(crate) fn put_up(&self, now: &Arc<Settled>) {
        self.lock().clone_from(now);
    }

    /// Rests what was asked on what is settled now, and puts that up where it is another one; tells
    /// what must be asked again, because ids came.
    pub(crate) fn renew(&self, asked: &mut Arc<Settled>, now: &Arc<Settled>) -> Again {
        if Arc::ptr_eq(asked, now) {
            return Again::Nothing;
        }
        self.put_up(now);
        let before = std::mem::replace(asked, Arc::clone(now));
        // A run that came meanwhile is in no sheet any more once it was merged.
        if !Arc::ptr_eq(&before.origin, &now.origin) || before.newest < now.moved {
            Again::Everything
        } else if before.newest == now.newest {
            Again::Nothing
        } else {
            Again::Since(before.newest)
        }
    }
}

impl Settled {
    /// How many bytes of memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let sheets: usize = self.sheets.iter().map(Sheet::bytes).sum();
        let filters = self.filters.iter();
        sheets + filters.map(|(_, filter)| filter.bytes()).sum::<usize>()
    }

    /// Finds out for many ids whether one of these runs may have them.
    pub(crate) fn suspect<C>(
        &self,
        cases: &mut [C],
        print: impl Fn(&C) -> u64,
        old: impl Fn(&mut C) -> &mut bool,
    ) {
        for cases in cases.chunks_mut(TOGETHER) {
            let sheets = self.sheets.iter();
            sheets.for_each(|sheet| ask(sheet, cases, &print, &old));
            let filters = self.filters.iter();
            filters.for_each(|(_, filter)| ask(filter.as_ref(), cases, &print, &old));
        }
    }

    /// The places of those ids that runs which came after this one may have, as they rise.
    pub(crate) fn came<C>(&self, since: u64, cases: &[C], print: impl Fn(&C) -> u64) -> Vec<usize> {
        let sheets = self.sheets.iter();
        let sheets = sheets.filter(|sheet| sheet.runs().last() > Some(&since));
        let sheets: Vec<&Sheet> = sheets.collect();
        let mut places = Vec::new();
        for (number, cases) in cases.chunks(TOGETHER).enumerate() {
            for sheet in &sheets {
                fetch(
                    cases.iter().map(|case| sheet.part(print(case))),
                    Sheet::word,
                );
            }
            let may = |print| {
                sheets
                    .iter()
                    .any(|sheet| sheet.may_hold_since(since, print))
            };
            let own = cases
                .iter()
                .enumerate()
                .filter(|(_, case)| may(print(case)));
            places.extend(own.map(|(place, _)| number * TOGETHER + place));
        }
        places
    }

    /// Entries whose name may be the one with this fingerprint, as these runs tell.
    ///
    /// # Errors
    /// A fault, also where a run is not in the file, not yet or no more.
    pub(crate) fn look(
        &self,
        connection: &Connection,
        fingerprint: u64,
    ) -> Result<Vec<u64>, Fault> {
        let mut found = Vec::new();
        for suspect in self.suspects(fingerprint) {
            if let Some(run) = self.runs.iter().find(|run| run.number == suspect) {
                run.find(connection, fingerprint, &mut found)?;
            }
        }
        Ok(found)
    }

    /// The runs that may have a fingerprint, merged ones among them.
    pub(super) fn suspects(&self, fingerprint: u64) -> impl Iterator<Item = u64> {
        let sheets = self.sheets.iter();
        let young = sheets.flat_map(move |sheet| sheet.suspects(fingerprint));
        let filters = self.filters.iter();
        let old = filters.filter(move |(_, filter)| filter.may_hold(fingerprint));
        young.chain(old.map(|(number, _)| *number))
    }
}

/// Asks for all of them: first it fetches what answers.
fn ask<S: Suspect, C>(
    suspect: &S,
    cases: &mut [C],
    print: impl Fn(&C) -> u64,
    old: impl Fn(&mut C) -> &mut bool,
) {
    let parts = fetch(cases.iter().map(|case| suspect.part(print(case))), S::word);
    for (case, part) in cases.iter_mut().zip(parts) {
        let suspected = part.is_some_and(|part| suspect.may_hold_in(part, print(case)));
        *old(case) |= suspected;
    }
}

#[cfg(test)]
mod tests {
    use super::super::bucket::Form;
    use super::super::filter::Maker;
    use super::super::tests::mix;
    use super::super::{Ids, Merged};
    use super::*;

    const RUN: u64 = 1_000;

    /// Adds runs of new ids, from one on.
    fn add_runs(ids: &mut Ids, runs: std::ops::Range<u64>) {
        for id in runs.start * RUN + 1..=runs.end * RUN {
            ids.add((mix(id), id));
            ids.seal();
        }
    }

    #[test]
    fn whoever_asked_before_runs_came_asks_again_about_these_only() {
        let mut ids = Ids::new([7; 16], 1, RUN as usize);
        let board = Board::default();
        add_runs(&mut ids, 0..40);
        let mut asked = Arc::clone(ids.settled());
        assert_eq!(board.renew(&mut asked, ids.settled()), Again::Nothing);
        // The last sheet of those before has the first of these.
        add_runs(&mut ids, 40..75);
        let cases: Vec<u64> = (1..=80 * RUN).collect();
        let again = board.renew(&mut asked, ids.settled());
        assert_eq!(again, Again::Since(40));
        assert!(Arc::ptr_eq(&board.read(), ids.settled()));
        let came = asked.came(40, &cases, |id| mix(*id));
        let came: std::collections::BTreeSet<usize> = came.into_iter().collect();
        let new = (40 * RUN as usize..75 * RUN as usize).filter(|place| !came.contains(place));
        assert_eq!(new.count(), 0);
        let wrong = came.len() - 35 * RUN as usize;
        assert!(wrong < 45 * RUN as usize / 50, "{wrong} others");
        // Other books have other ids.
        let other = Ids::new([7; 16], 1, RUN as usize);
        assert_eq!(board.renew(&mut asked, other.settled()), Again::Everything);
    }

    #[test]
    fn merges_only_move_ids_but_out_of_the_sheets() {
        let mut ids = Ids::new([7; 16], 1, RUN as usize);
        let board = Board::default();
        add_runs(&mut ids, 0..40);
        let early = Arc::clone(ids.settled());
        add_runs(&mut ids, 40..41);
        let mut since = Arc::clone(ids.settled());
        (1..=41).for_each(|number| ids.stored(number));
        let form = Form::of(7, 1, 41 * RUN);
        let maker = Maker::new(form, 1).expect("memory");
        for (inputs, again) in [((1..=40), Again::Since(40)), ((41..=41), Again::Everything)] {
            let number = ids.number_run();
            ids.merged(Merged {
                inputs: inputs.collect(),
                run: Run {
                    number,
                    level: 2,
                    form,
                    ids: RUN,
                },
                kind: maker.kind().clone(),
                slabs: Vec::new(),
                whole: true,
            });
            let mut asked = Arc::clone(&early);
            assert_eq!(board.renew(&mut asked, ids.settled()), again);
            assert_eq!(board.renew(&mut since, ids.settled()), Again::Nothing);
        }
    }
}
