//! Which young run may have a fingerprint. There are many young runs, and one line of the
//! processor's cache answers for all runs of a sheet.
//!
//! A sheet is a table of cells: twelve bits of a fingerprint, and which of the sheet's runs has it.
//! Nothing is ever taken out. A sheet goes as a whole, when the last of its runs was merged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::filter::Suspect;

/// Cells of a word.
const WORD: usize = 4;
/// Cells that are looked at together. A fingerprint's cell is in the group that its highest bits
/// say, or in one of those that follow, if all before it are full.
const GROUP: usize = 2 * WORD;
/// Of so many cells at most so many are taken, so that few groups are full.
const CELLS_PER_ID: (usize, usize) = (4, 3);
const CELL_BITS: u32 = 16;
/// Bits of a cell that say which run it is. No run is number zero: that is a free cell.
const RUN_BITS: u32 = 4;
/// Runs of a sheet.
const RUNS_MAX: usize = (1 << RUN_BITS) - 1;
/// The lowest bit of every cell of a word.
const ONES: u64 = 0x0001_0001_0001_0001;
/// The bits of every cell that say which run it is.
const RUNS: u64 = RUNS_MAX as u64 * ONES;

/// A quarter of a line of the processor's cache. Cells are filled one after the other, by one
/// thread, while others look: what they find early is only one more reason to look closely.
#[derive(Debug, Default)]
#[repr(align(16))]
struct Group([AtomicU64; GROUP / WORD]);

/// Some runs. Clones share the cells, so that one with fewer runs has marks of some that it does
/// not know.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    groups: Arc<[Group]>,
    /// The numbers of its runs, merged ones among them.
    runs: Vec<u64>,
    /// Room for so many more ids.
    room: usize,
}

impl Group {
    fn words(&self) -> [u64; GROUP / WORD] {
        self.0.each_ref().map(|word| word.load(Ordering::Relaxed))
    }

    /// A cell is taken after those before it.
    fn is_full(words: [u64; GROUP / WORD]) -> bool {
        words[GROUP / WORD - 1] >> (CELL_BITS * (WORD as u32 - 1)) != 0
    }

    /// Fills the first free cell, if there is one.
    fn fill(&self, cell: u16) -> bool {
        for word in &self.0 {
            let cells = word.load(Ordering::Relaxed);
            let taken = (u64::BITS - cells.leading_zeros()).div_ceil(CELL_BITS);
            if taken < WORD as u32 {
                let filled = cells | u64::from(cell) << (CELL_BITS * taken);
                word.store(filled, Ordering::Relaxed);
                return true;
            }
        }
        false
    }

    /// Whether a cell has this mark. A free cell may seem to, which is only one more reason to
    /// look closely; nothing here decides on a cell by itself.
    fn may_hold(words: [u64; GROUP / WORD], mark: u16) -> bool {
        let same = words.map(|word| {
            let other = (word & !RUNS) ^ (u64::from(mark) * ONES);
            // The highest bit of every cell in which no bit is other, and of some above those.
            other.wrapping_sub(ONES) & !other & (ONES << (CELL_BITS - 1))
        });
        same.iter().fold(0, |any, same| any | same) != 0
    }

    fn cells(words: [u64; GROUP / WORD]) -> impl Iterator<Item = u16> {
        let cell = move |place: usize| words[place / WORD] >> (place % WORD * CELL_BITS as usize);
        (0..GROUP).map(move |place| cell(place) as u16)
    }
}

/// What a cell holds of a fingerprint.
fn mark(fingerprint: u64) -> u16 {
    (fingerprint as u16) << RUN_BITS
}

fn is_marked(cell: u16, mark: u16) -> bool {
    cell & !(RUNS_MAX as u16) == mark
}

impl Sheet {
    /// An empty sheet for a run of so many ids, beside sheets with room for others: for one run
    /// more than all of them have room for, as far as a sheet can tell runs apart. Few ids need
    /// little memory, and many need few sheets.
    pub(super) fn beside<'s>(others: impl Iterator<Item = &'s Sheet>, run: usize) -> Sheet {
        let (cells, per) = CELLS_PER_ID;
        let rooms = others.map(|sheet| sheet.groups.len() * GROUP / cells * per);
        Sheet::new(rooms.sum::<usize>().min(run * (RUNS_MAX - 1)) + run)
    }

    fn new(ids_max: usize) -> Sheet {
        let (cells, per) = CELLS_PER_ID;
        let groups = (ids_max * cells).div_ceil(per * GROUP).max(1);
        Sheet {
            groups: (0..groups).map(|_| Group::default()).collect(),
            runs: Vec::new(),
            room: ids_max,
        }
    }

    /// The group where one begins to look.
    fn begin(&self, fingerprint: u64) -> usize {
        ((u128::from(fingerprint) * self.groups.len() as u128) >> 64) as usize
    }

    /// The group after one.
    fn next(&self, group: usize) -> usize {
        if group + 1 < self.groups.len() {
            group + 1
        } else {
            0
        }
    }

    /// Whether a run of so many ids fits in.
    pub(super) fn fits(&self, ids: usize) -> bool {
        self.room >= ids && self.runs.len() < RUNS_MAX
    }

    /// Adds a run that fits in. Only the newest clone may be added to.
    pub(super) fn add(&mut self, run: u64, ids: impl Iterator<Item = u64>) {
        self.runs.push(run);
        let own = self.runs.len() as u16;
        for fingerprint in ids {
            self.room = self.room.saturating_sub(1);
            let mut place = self.begin(fingerprint);
            // There is a free cell somewhere: there are more cells than there is room.
            while !self.groups[place].fill(mark(fingerprint) | own) {
                place = self.next(place);
            }
        }
    }

    /// The numbers of its runs, merged ones among them.
    pub(super) fn runs(&self) -> &[u64] {
        &self.runs
    }

    /// The runs that may have a fingerprint, merged ones among them.
    pub(super) fn suspects(&self, fingerprint: u64) -> Vec<u64> {
        let mut found = Vec::new();
        let mut place = self.begin(fingerprint);
        loop {
            let group = self.groups[place].words();
            let own = Group::cells(group).filter(|cell| is_marked(*cell, mark(fingerprint)));
            let runs = own.map(|cell| usize::from(cell) & RUNS_MAX);
            found.extend(runs.filter_map(|run| self.runs.get(run.checked_sub(1)?)));
            if !Group::is_full(group) {
                return found;
            }
            place = self.next(place);
        }
    }
}

impl Suspect for Sheet {
    #[inline]
    fn touch(&self, fingerprint: u64) -> u64 {
        self.groups[self.begin(fingerprint)].0[0].load(Ordering::Relaxed)
    }

    #[inline]
    fn may_hold(&self, fingerprint: u64) -> bool {
        let mut place = self.begin(fingerprint);
        loop {
            let group = self.groups[place].words();
            if Group::may_hold(group, mark(fingerprint)) {
                return true;
            }
            if !Group::is_full(group) {
                return false;
            }
            place = self.next(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mix;
    use super::*;

    const IDS: u64 = 7_000;

    fn prints(run: u64) -> impl ExactSizeIterator<Item = u64> {
        (0..IDS as u32).map(move |id| mix(run * IDS + u64::from(id)))
    }

    fn sheets(runs: u64) -> Vec<Sheet> {
        let mut sheets: Vec<Sheet> = Vec::new();
        for run in 1..=runs {
            let ids = prints(run);
            if !sheets.last().is_some_and(|sheet| sheet.fits(ids.len())) {
                sheets.push(Sheet::beside(sheets.iter(), ids.len()));
            }
            sheets.last_mut().expect("a sheet").add(run, ids);
        }
        sheets
    }

    #[test]
    fn every_id_leads_to_its_run_and_few_others_lead_anywhere() {
        let sheets = sheets(40);
        let runs: Vec<usize> = sheets.iter().map(|sheet| sheet.runs.len()).collect();
        assert_eq!(runs, [1, 2, 4, 8, 15, 10]);
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
            assert!(wrong < 5, "{wrong} of 1,000");
        }
    }

    #[test]
    fn fingerprints_at_the_end_and_alike_ones_find_room() {
        let last = |number: u32| u64::MAX - u64::from(number / 2);
        let mut sheet = Sheet::new(14_001);
        sheet.add(7, (0..5_000).map(last));
        sheet.add(8, std::iter::once(3));
        sheet.add(9, std::iter::repeat_n(5, 9_000));
        assert!((0..5_000).all(|number| sheet.suspects(last(number)).contains(&7)));
        assert_eq!(sheet.suspects(3), [8]);
        assert_eq!(sheet.suspects(5), [9; 9_000]);
        assert!(!sheet.fits(1));
    }
}
