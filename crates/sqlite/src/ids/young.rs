//! Which young run may have a fingerprint. There are many young runs, and one line of the
//! processor's cache answers for all runs of a sheet.
//!
//! Nothing is ever taken out of a sheet. It goes as a whole, when the last of its runs was merged.

use std::sync::Arc;

use super::RECENT_IDS;
use super::cells::{Cells, Group, OWN};
use super::filter::Suspect;
use super::merge::FAN_IN_YOUNG;

/// Runs of a sheet: those that are merged into one, so that they go together, and few sheets are asked.
const RUNS_MAX: usize = FAN_IN_YOUNG;

const _: () = assert!(RUNS_MAX <= OWN);

/// Some runs. Clones share the cells, so that one with fewer runs has marks of some that it does
/// not know.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    /// A cell says which of the runs it is.
    cells: Arc<Cells>,
    /// The numbers of its runs, merged ones among them.
    runs: Vec<u64>,
    /// Room for so many more ids.
    room: usize,
}

impl Sheet {
    /// An empty sheet for runs of so many ids; for fewer of them where runs are larger than runs are
    /// made, as files of earlier versions have them.
    pub(super) fn of_runs(ids: usize) -> Sheet {
        let cells = Cells::of((RUNS_MAX * ids).min(ids.max(RUNS_MAX * RECENT_IDS)));
        Sheet {
            room: cells.most(),
            cells: Arc::new(cells),
            runs: Vec::new(),
        }
    }

    /// How many bytes of memory it takes.
    pub(super) fn bytes(&self) -> usize {
        self.cells.bytes()
    }

    /// Whether a run of so many ids fits in.
    pub(super) fn fits(&self, ids: usize) -> bool {
        self.room >= ids && self.runs.len() < RUNS_MAX
    }

    /// Adds a run that fits in. Only the newest clone may be added to.
    pub(super) fn add(&mut self, run: u64, ids: impl Iterator<Item = u64>) {
        let own = self.runs.len();
        self.runs.push(run);
        for fingerprint in ids {
            self.room = self.room.saturating_sub(1);
            self.cells.fill(fingerprint, own);
        }
    }

    /// The numbers of its runs, merged ones among them.
    pub(super) fn runs(&self) -> &[u64] {
        &self.runs
    }

    /// Whether a run that came after this one may have a fingerprint.
    pub(super) fn may_hold_since(&self, since: u64, fingerprint: u64) -> bool {
        self.may_hold(fingerprint) && self.suspects(fingerprint).iter().any(|run| *run > since)
    }

    /// The runs that may have a fingerprint, merged ones among them.
    pub(super) fn suspects(&self, fingerprint: u64) -> Vec<u64> {
        let marked = self.cells.marked(fingerprint).into_iter();
        marked
            .filter_map(|own| self.runs.get(own).copied())
            .collect()
    }
}

impl Suspect for Sheet {
    type Part = Group;

    #[inline]
    fn part(&self, fingerprint: u64) -> Option<&Group> {
        Some(self.cells.first(fingerprint))
    }

    #[inline]
    fn word(part: &Group) -> u64 {
        part.word()
    }

    #[inline]
    fn may_hold_in(&self, part: &Group, fingerprint: u64) -> bool {
        self.cells.may_hold(part, fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mix;
    use super::*;

    const IDS: u64 = 7_000;

    fn prints(run: u64) -> impl ExactSizeIterator<Item = u64> {
        // No two runs have as many.
        let ids = (IDS + run) as u32;
        (0..ids).map(move |id| mix(run * 2 * IDS + u64::from(id)))
    }

    fn sheets(runs: u64) -> Vec<Sheet> {
        let mut sheets: Vec<Sheet> = Vec::new();
        for run in 1..=runs {
            let ids = prints(run);
            if !sheets.last().is_some_and(|sheet| sheet.fits(ids.len())) {
                sheets.push(Sheet::of_runs(ids.len()));
            }
            sheets.last_mut().expect("a sheet").add(run, ids);
        }
        sheets
    }

    #[test]
    fn every_id_leads_to_its_run_and_few_others_lead_anywhere() {
        let sheets = sheets(40);
        let runs: Vec<usize> = sheets.iter().map(|sheet| sheet.runs.len()).collect();
        assert_eq!(runs, [32, 8]);
        let others: Vec<u64> = (41..60).flat_map(prints).collect();
        for sheet in sheets {
            for run in &sheet.runs {
                for print in prints(*run) {
                    assert!(sheet.suspects(print).contains(run));
                    assert!(sheet.may_hold(print));
                }
            }
            let wrong = others.iter().filter(|print| sheet.may_hold(**print));
            let wrong = wrong.count() * 1_000 / others.len();
            assert!(wrong < 10, "{wrong} of 1,000");
        }
    }

    #[test]
    fn a_larger_run_gets_a_sheet_of_its_own() {
        let mut first = Sheet::of_runs(1_000);
        assert!(first.fits(37_000) && !first.fits(38_000));
        first.add(1, (0..13_000).map(mix));
        assert!(first.fits(24_000) && !first.fits(25_000));
        let large = Sheet::of_runs(RECENT_IDS * 40);
        assert!(large.fits(RECENT_IDS * 40) && !large.fits(RECENT_IDS * 47));
    }
}
