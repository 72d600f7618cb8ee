//! A table of small cells, so dense that most of it stays in the processor's caches: of a
//! fingerprint it keeps eleven bits, where they belong, and five more that its owner chooses.
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
/// if all before it are full: first in the others of its line, from there on around, then in those of
/// the next.
const GROUP: usize = WORDS * WORD;
/// Groups of a line of the processor's cache.
const LINE: usize = 4;
/// Of so many cells about so many should be taken at most, so that few groups are full.
const CELLS_PER_ID: (usize, usize) = (4, 3);
const CELL_BITS: u32 = 16;
/// Bits of a cell that its owner chooses, the lowest.
const OWN_BITS: u32 = 5;
/// So many different things an owner can say of a cell.
pub(super) const OWN: usize = 1 << OWN_BITS;
/// Lines of a piece: a megabyte.
const PIECE_BITS: u32 = 14;
/// The lowest bit of every cell of a word.
const ONES: u64 = 0x0001_0001_0001_0001;
/// The bits of every cell that its owner chooses.
const OWNS: u64 = (OWN as u64 - 1) * ONES;

/// A quarter of a line of the processor's cache.
#[derive(Debug, Default)]
#[repr(align(16))]
pub(super) struct Group([AtomicU64; WORDS]);

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([Group; LINE]);

/// The cells, in pieces of one size, so that what one table gives back is what the next one needs.
/// One that is zero is free; those of a group are taken in their order.
#[derive(Debug)]
pub(super) struct Cells {
    pieces: Box<[Box<[Line]>]>,
    groups: usize,
}

/// What a cell holds of a fingerprint: never nothing, and of bits that runs store.
fn mark(fingerprint: u64) -> u16 {
    let own = (fingerprint >> LEFT_OUT) as u16 >> OWN_BITS;
    (own | u16::from(own == 0)) << OWN_BITS
}

impl Group {
    /// One word of it.
    #[inline]
    pub(super) fn word(&self) -> u64 {
        self.0[0].load(Ordering::Relaxed)
    }

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
        let lines = (fingerprints * cells).div_ceil(per * GROUP * LINE).max(1);
        let piece = lines.min(1 << PIECE_BITS);
        let pieces = 0..lines.div_ceil(piece);
        let piece = |_| (0..piece).map(|_| Line::default()).collect();
        Cells {
            pieces: pieces.map(piece).collect(),
            groups: lines * LINE,
        }
    }

    fn group(&self, place: usize) -> &Group {
        let line = place / LINE;
        let piece = &self.pieces[line >> PIECE_BITS];
        &piece[line & ((1 << PIECE_BITS) - 1)].0[place % LINE]
    }

    /// How many bytes of memory they take.
    pub(super) fn bytes(&self) -> usize {
        self.pieces
            .iter()
            .map(|piece| size_of_val(&piece[..]))
            .sum()
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

    /// The groups where a fingerprint is looked for, as long as those before them are full.
    fn places(&self, fingerprint: u64) -> impl Iterator<Item = usize> {
        let begin = self.begin(fingerprint);
        let (line, own) = (begin / LINE * LINE, begin % LINE);
        let first = (0..LINE).map(move |step| line + (own + step) % LINE);
        let others = (line + LINE..self.groups).chain(0..line);
        first.chain(others)
    }

    /// The group where a question about the fingerprint begins.
    #[inline]
    pub(super) fn first(&self, fingerprint: u64) -> &Group {
        self.group(self.begin(fingerprint))
    }

    /// Whether the fingerprint, whose first group this is, may be among them.
    #[inline]
    pub(super) fn may_hold(&self, first: &Group, fingerprint: u64) -> bool {
        let mark = mark(fingerprint);
        let group = first.words();
        Group::has(group, mark) || Group::is_full(group) && self.may_follow(fingerprint, mark)
    }

    /// Whether a mark is in a group after the full first one of its fingerprint.
    fn may_follow(&self, fingerprint: u64, mark: u16) -> bool {
        for place in self.places(fingerprint).skip(1) {
            let group = self.group(place).words();
            if Group::has(group, mark) {
                return true;
            }
            if !Group::is_full(group) {
                return false;
            }
        }
        false
    }

    /// What the owner says of the cells that may be those of a fingerprint.
    pub(super) fn marked(&self, fingerprint: u64) -> Vec<usize> {
        let mark = mark(fingerprint);
        let mut found = Vec::new();
        for place in self.places(fingerprint) {
            let group = self.group(place).words();
            let own = Group::cells(group).map(|cell| usize::from(cell ^ mark));
            found.extend(own.filter(|own| *own < OWN));
            if !Group::is_full(group) {
                break;
            }
        }
        found
    }

    /// Fills the first free cell where the fingerprint belongs. There must be one.
    pub(super) fn fill(&self, fingerprint: u64, own: usize) {
        let cell = mark(fingerprint) | own as u16;
        let mut places = self.places(fingerprint);
        places.any(|place| self.group(place).fill(cell));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mix;
    use super::*;

    fn holds(cells: &Cells, fingerprint: u64) -> bool {
        cells.may_hold(cells.first(fingerprint), fingerprint)
    }

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
            assert!(holds(&cells, print(number)));
            let own = cells.marked(print(number));
            assert!(own.contains(&(number as usize % OWN)));
        }
        let others = (IDS..IDS + 100_000).filter(|number| number % 16 != 0);
        let wrong = others.filter(|number| holds(&cells, print(*number)));
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
        assert!(holds(&cells, 0x30_0000) && holds(&cells, 0x50_0000));
    }
}
