//! What tells of all ids but the newest: sheets of young runs and filters of old ones. Whoever gives
//! events asks it before the teller has them; the teller asks again where ids came to it since.

use std::hint::black_box;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lingqian_io::Fault;
use rusqlite::Connection;

use super::filter::{Filter, Suspect};
use super::run::Run;
use super::young::Sheet;
use crate::names::Key;

/// Events that are asked about and looked up together, so that the memory is waited for once: what
/// they touch stays in the processor's nearest caches until they are decided on.
pub(crate) const TOGETHER: usize = 128;

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
    /// Another one whenever ids come to it: what was asked before that says nothing of them.
    /// Merging runs only moves ids.
    pub(super) whole: Arc<()>,
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
    /// whether one must ask again, because ids came.
    pub(crate) fn renew(&self, asked: &mut Arc<Settled>, now: &Arc<Settled>) -> bool {
        if Arc::ptr_eq(asked, now) {
            return false;
        }
        self.put_up(now);
        let before = std::mem::replace(asked, Arc::clone(now));
        !Arc::ptr_eq(&before.whole, &now.whole)
    }
}

impl Settled {
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

/// Asks for all of them: first it touches what answers, and the memory is waited for once.
fn ask<C>(
    suspect: &impl Suspect,
    cases: &mut [C],
    print: impl Fn(&C) -> u64,
    old: impl Fn(&mut C) -> &mut bool,
) {
    let words = cases.iter().map(|case| suspect.touch(print(case)));
    black_box(words.fold(0, |all, word| all ^ word));
    for case in cases {
        let suspected = suspect.may_hold(print(case));
        *old(case) |= suspected;
    }
}
