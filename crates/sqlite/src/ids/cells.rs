//! A table of small cells, so dense that most of it stays in the processor's caches: of a
//! fingerprint it keeps twelve bits, where they belong, and four more that its owner chooses.
//!
//! Cells are filled one after the other, by one thread, while others may look: what they find early
//! is only one more reason to look closely.

use std::sync::atomic::{AtomicU64, Ordering};

use super::bucket::LEFT_OUT;

/// Cells of a word.
const WORD: usize = 4;
/// Words that are looked at together.
const WORDS: usize = 2;
/// A fingerprint's cell is in the group that its highest bits say, or in one of those that follow,
/// if all before it are full.
const GROUP: usize = WORDS * WORD;
/// Of so many cells about so many should be taken at most, so that few groups are full.
const CELLS_PER_ID: (usize, usize) = (4, 3);
const CELL_BITS: u32 = 16;
/// Bits of a cell that its owner chooses, the lowest.
const OWN_BITS: u32 = 4;
/// So many different things an owner can say of a cell.
pub(super) const OWN: usize = 1 << OWN_BITS;
/// Groups of a piece: a megabyte.
const PIECE_BITS: u32 = 16;
/// The lowest bit of every cell of a word.
const ONES: u64 = 0x0001_0001_0001_0001;
/// The bits of every cell that its owner chooses.
const OWNS: u64 = (OWN as u64 - 1) * ONES;

/// A quarter of a line of the processor's cache.
#[derive(Debug, Default)]
#[repr(align(16))]
struct Group([AtomicU64; WORDS]);

/// The cells, in pieces of one size, so that what one table gives back is what the next one needs.
/// One that is zero is free; those of a group are taken in their order.
#[derive(Debug)]
pub(super) struct Cells {
    pieces: Box<[Box<[Group]>]>,
    groups: usize,
}

/// What a cell holds of a fingerprint: never nothing, and of bits that runs store.
fn mark(fingerprint: u64) -> u16 {
    let own = (fingerprint >> LEFT_OUT) as u16 >> OWN_BITS;
    (own | u16::from(own == 0)) << OWN_BITS
}

impl Group {
    fn words(&self) -> [u64; WORDS] {
        self.0.each_ref().map(|word| word.load(Ordering::Relaxed))
    }

    fn is_full(words: [u64; WORDS]) -> bool {
        words[WORDS - 1] >> (CELL_BITS * (WORD as u32 - 1)) != 0
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

    /// Whether a cell has this mark.
    fn has(words: [u64; WORDS], mark: u16) -> bool {
        let same = words.map(|word| {
            let other = (word & !OWNS) ^ (u64::from(mark) * ONES);
            // The highest bit of the lowest cell in which no bit is other, and of some above it.
            other.wrapping_sub(ONES) & !other & (ONES << (CELL_BITS - 1))
        });
        same.iter().fold(0, |any, same| any | same) != 0
    }

    fn cells(words: [u64; WORDS]) -> impl Iterator<Item = u16> {
        let cell = move |place: usize| words[place / WORD] >> (place % WORD * CELL_BITS as usize);
        (0..GROUP).map(move |place| cell(place) as u16)
    }
}

impl Cells {
    /// Free cells for so many fingerprints.
    pub(super) fn of(fingerprints: usize) -> Cells {
        let (cells, per) = CELLS_PER_ID;
        let groups = (fingerprints * cells).div_ceil(per * GROUP).max(1);
        let piece = groups.min(1 << PIECE_BITS);
        let pieces = 0..groups.div_ceil(piece);
        let piece = |_| (0..piece).map(|_| Group::default()).collect();
        Cells {
            pieces: pieces.map(piece).collect(),
            groups,
        }
    }

    fn group(&self, place: usize) -> &Group {
        &self.pieces[place >> PIECE_BITS][place & ((1 << PIECE_BITS) - 1)]
    }

    /// So many fingerprints do not make it slow yet.
    pub(super) fn most(&self) -> usize {
        self.groups * GROUP * 7 / 8
    }

    /// The group where a fingerprint is looked for first, by the bits that runs store.
    fn begin(&self, fingerprint: u64) -> usize {
        let kept = u128::from(fingerprint >> LEFT_OUT);
        ((kept * self.groups as u128) >> (u64::BITS - LEFT_OUT)) as usize
    }

    /// The group after one.
    fn next(&self, group: usize) -> usize {
        if group + 1 < self.groups {
            group + 1
        } else {
            0
        }
    }

    /// One word of those that a question about the fingerprint looks at.
    #[inline]
    pub(super) fn touch(&self, fingerprint: u64) -> u64 {
        self.group(self.begin(fingerprint)).0[0].load(Ordering::Relaxed)
    }

    /// Whether the fingerprint may be among them.
    #[inline]
    pub(super) fn may_hold(&self, fingerprint: u64) -> bool {
        let mark = mark(fingerprint);
        let mut place = self.begin(fingerprint);
        loop {
            let group = self.group(place).words();
            if Group::has(group, mark) {
                return true;
            }
            if !Group::is_full(group) {
                return false;
            }
            place = self.next(place);
        }
    }

    /// What the owner says of the cells that may be those of a fingerprint.
    pub(super) fn marked(&self, fingerprint: u64) -> Vec<usize> {
        let mark = mark(fingerprint);
        let mut found = Vec::new();
        let mut place = self.begin(fingerprint);
        loop {
            let group = self.group(place).words();
            let own = Group::cells(group).map(|cell| usize::from(cell ^ mark));
            found.extend(own.filter(|own| *own < OWN));
            if !Group::is_full(group) {
                return found;
            }
            place = self.next(place);
        }
    }

    /// Fills the first free cell where the fingerprint belongs. There must be one.
    pub(super) fn fill(&self, fingerprint: u64, own: usize) {
        let cell = mark(fingerprint) | own as u16;
        let mut place = self.begin(fingerprint);
        while !self.group(place).fill(cell) {
            place = self.next(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mix;
    use super::*;

    #[test]
    fn every_fingerprint_leads_to_its_cell_and_few_others_lead_anywhere() {
        const IDS: u64 = 7_000;
        let cells = Cells::of(IDS as usize);
        assert!((8_160..8_200).contains(&cells.most()));
        // Marks that would be nothing are among them.
        let print = |number: u64| {
            mix(number)
                & if number.is_multiple_of(16) {
                    !0xFFFF_0000
                } else {
                    !0
                }
        };
        for number in 0..IDS {
            cells.fill(print(number), number as usize % OWN);
        }
        for number in 0..IDS {
            assert!(cells.may_hold(print(number)));
            let own = cells.marked(print(number));
            assert!(own.contains(&(number as usize % OWN)));
        }
        let others = (IDS..IDS + 100_000).filter(|number| number % 16 != 0);
        let wrong = others.filter(|number| cells.may_hold(print(*number)));
        let wrong = wrong.count();
        assert!((1..500).contains(&wrong), "{wrong} of 100,000");
    }

    #[test]
    fn what_runs_store_of_a_fingerprint_leads_to_the_same_cell() {
        let cells = Cells::of(6_001);
        // Those where the next group begins are among them.
        let edge = |group: u64| (u128::from(group) << u64::BITS) / cells.groups as u128;
        for group in 1..cells.groups as u64 {
            let print = edge(group) as u64;
            let stored = print >> LEFT_OUT << LEFT_OUT;
            let same = [print, print + 1, stored, stored | 0xFFFF];
            let found = same.map(|print| (cells.begin(print), mark(print)));
            assert_eq!(found, [found[0]; 4], "{print:x}");
        }
    }

    #[test]
    fn fingerprints_at_the_end_and_alike_ones_find_cells() {
        let cells = Cells::of(14_001);
        let last = |number: u32| u64::MAX - (u64::from(number / 2) << LEFT_OUT);
        (0..5_000).for_each(|number| cells.fill(last(number), 5));
        cells.fill(0x30_0000, 6);
        (0..9_000).for_each(|_| cells.fill(0x50_0000, 7));
        assert!((0..5_000).all(|number| cells.marked(last(number)).contains(&5)));
        assert_eq!(cells.marked(0x30_0000), [6]);
        let alike = cells.marked(0x50_0000);
        assert!(alike.len() == 9_000 && alike.iter().all(|own| *own == 7));
        assert!(cells.may_hold(0x30_0000) && cells.may_hold(0x50_0000));
    }
}
