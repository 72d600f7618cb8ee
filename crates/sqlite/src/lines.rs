//! A table in memory, four places to a line of the processor's cache: whoever looks for something
//! mostly waits for one line, and compares all of it at once, because guessing which place it is would
//! cost more than looking.

/// Places of a line.
const PLACES: usize = 4;
/// Lines after the last one that a share says, at first.
const SPARE_LINES: usize = 128;

/// What is at a place: sixteen bytes.
pub(crate) trait Place: Copy {
    /// What is at a place that is free.
    const FREE: Self;

    /// Whether the place is free.
    fn is_free(&self) -> bool;

    /// Where it belongs, as a share of all lines: of 2^64.
    fn share(&self) -> u64;
}

/// Places that are taken in their order.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line<P>([P; PLACES]);

impl<P: Place> Line<P> {
    fn is_full(&self) -> bool {
        !self.0[PLACES - 1].is_free()
    }
}

/// The table: something is in the line that its share says, or in one of those that follow, if all
/// before it are full. So what is in it is nearly in the order of its shares.
#[derive(Debug)]
pub(crate) struct Lines<P> {
    lines: Vec<Line<P>>,
    /// Lines after the last one that a share says.
    spare: usize,
    taken: usize,
}

impl<P: Place> Default for Lines<P> {
    fn default() -> Lines<P> {
        Lines::with_spare(0, 0)
    }
}

impl<P: Place> Lines<P> {
    /// A table with so many places, or a few more.
    pub(crate) fn of_places(places: usize) -> Lines<P> {
        Lines::with_spare(places, SPARE_LINES)
    }

    fn with_spare(places: usize, spare: usize) -> Lines<P> {
        Lines {
            lines: vec![Line([P::FREE; PLACES]); places.div_ceil(PLACES) + spare],
            spare,
            taken: 0,
        }
    }

    /// How many places are taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// How many places there are.
    pub(crate) fn places(&self) -> usize {
        (self.lines.len() - self.spare) * PLACES
    }

    /// How many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.lines.len() * size_of::<Line<P>>()
    }

    fn begin(&self, share: u64) -> usize {
        let lines = (self.lines.len() - self.spare) as u128;
        ((u128::from(share) * lines) >> u64::BITS) as usize
    }

    /// The first place where a share is looked for. Whoever has many questions fetches these first.
    #[inline]
    pub(crate) fn first(&self, share: u64) -> Option<&P> {
        self.lines.get(self.begin(share)).map(|line| &line.0[0])
    }

    /// What is looked for under a share; a free place is never it.
    #[inline]
    pub(crate) fn find(&self, share: u64, is: impl Fn(&P) -> bool) -> Option<&P> {
        for line in self.lines.get(self.begin(share)..)? {
            let same = line.0.each_ref().map(|own| !own.is_free() & is(own));
            let same = (0..PLACES).fold(0, |bits, place| bits | u32::from(same[place]) << place);
            if same != 0 {
                return line.0.get(same.trailing_zeros() as usize);
            }
            if !line.is_full() {
                return None;
            }
        }
        None
    }

    /// Everything that may be under a share.
    pub(crate) fn near(&self, share: u64) -> impl Iterator<Item = &P> {
        let lines = self.lines.get(self.begin(share)..).unwrap_or_default();
        let full = lines.iter().take_while(|line| line.is_full()).count();
        let near = lines.iter().take(full + 1).flat_map(|line| &line.0);
        near.filter(|place| !place.is_free())
    }

    /// Takes a place for something.
    pub(crate) fn add(&mut self, own: P) {
        let begin = self.begin(own.share());
        let lines = self.lines.get_mut(begin..).unwrap_or_default();
        let line = lines.iter_mut().find(|line| !line.is_full());
        let place = line.and_then(|line| line.0.iter_mut().find(|place| place.is_free()));
        match place {
            Some(place) => {
                *place = own;
                self.taken += 1;
            }
            // Chance that never happens.
            None => {
                self.remake(self.places(), self.spare * 2 + 1);
                self.add(own);
            }
        }
    }

    /// Moves everything into a table with so many places.
    pub(crate) fn grow(&mut self, places: usize) {
        self.remake(places, self.spare.max(SPARE_LINES));
    }

    fn remake(&mut self, places: usize, spare: usize) {
        let before = std::mem::replace(self, Lines::with_spare(places, spare));
        let all = before.lines.into_iter().flat_map(|line| line.0);
        all.filter(|place| !place.is_free())
            .for_each(|place| self.add(place));
    }

    /// Takes everything out, into these. What comes between two calls of `end` belongs there in any
    /// order: all of it before what comes later, by its share.
    pub(crate) fn take(&mut self, out: &mut Vec<P>, mut end: impl FnMut(&mut [P])) {
        let mut together = out.len();
        for line in &mut self.lines {
            let is_full = line.is_full();
            let places = std::mem::replace(line, Line([P::FREE; PLACES])).0;
            out.extend(places.iter().filter(|place| !place.is_free()));
            if !is_full && together < out.len() {
                end(&mut out[together..]);
                together = out.len();
            }
        }
        end(&mut out[together..]);
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Own(u64, u64);

    impl Place for Own {
        const FREE: Own = Own(0, 0);

        fn is_free(&self) -> bool {
            *self == Own::FREE
        }

        fn share(&self) -> u64 {
            self.0
        }
    }

    fn filled(shares: impl Iterator<Item = u64>, places: usize) -> Lines<Own> {
        let mut lines = Lines::of_places(places);
        for (share, number) in shares.zip(1..) {
            lines.add(Own(share, number));
        }
        lines
    }

    fn spread(number: u64) -> u64 {
        number.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    #[test]
    fn what_was_added_is_found_and_comes_out_in_the_order_of_its_shares() {
        for (count, places) in [(0, 0), (1, 1), (3_000, 5_000), (4_900, 5_000), (4_000, 100)] {
            let mut lines = filled((0..count).map(spread), places);
            assert_eq!(lines.taken() as u64, count);
            for number in 0..count {
                let own = Own(spread(number), number + 1);
                assert_eq!(lines.find(own.0, |place| *place == own), Some(&own));
                assert!(lines.near(own.0).any(|place| *place == own));
            }
            let other = spread(count);
            assert_eq!(lines.find(other, |place| place.0 == other), None);
            assert!(
                lines
                    .find(other, |_| true)
                    .is_none_or(|place| !place.is_free())
            );
            let mut all = Vec::new();
            lines.take(&mut all, |own| own.sort_unstable());
            assert_eq!((all.len() as u64, lines.taken()), (count, 0));
            assert!(all.is_sorted());
            assert_eq!(lines.near(spread(1)).count(), 0);
        }
    }

    #[test]
    fn shares_at_the_end_and_alike_ones_find_room_and_a_table_grows() {
        let mut lines = filled((0..2_000).map(|number| u64::MAX - number / 2), 400);
        for number in 0..2_000 {
            let share = u64::MAX - number / 2;
            let alike = lines.near(share).filter(|place| place.0 == share);
            assert_eq!(alike.count(), 2);
        }
        let places = lines.places();
        lines.grow(places * 2);
        assert!(lines.places() >= places * 2 && lines.taken() == 2_000);
        let last = lines.find(u64::MAX, |place| place.1 == 2);
        assert_eq!(last, Some(&Own(u64::MAX, 2)));
    }

    #[test]
    fn a_table_without_places_has_nothing() {
        let lines: Lines<Own> = Lines::default();
        assert_eq!((lines.first(7), lines.places()), (None, 0));
        assert_eq!(lines.find(7, |_| true), None);
        assert_eq!(lines.near(7).count(), 0);
    }
}
