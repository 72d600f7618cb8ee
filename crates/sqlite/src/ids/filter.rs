//! A blocked Bloom filter: "surely not" costs one line of the processor's cache and no branch.

use std::ops::Range;
use std::sync::Arc;

use lingqian_io::Fault;
use memmap2::MmapMut;

use super::bucket::Form;

/// 64-bit words of a block: one cache line. An id sets one bit of each.
const BLOCK_WORDS: usize = 8;
/// Bytes of a block, as it is stored.
const BLOCK_BYTES: usize = BLOCK_WORDS * 8;
/// Buckets whose blocks are together in memory are 2^12: three megabytes. A merge gives that much of
/// what it replaces back at a time.
const SLAB_BITS: u32 = if cfg!(test) { 6 } else { 12 };
/// Blocks that a bucket had in any version.
const BLOCKS_MAX: usize = 16;

/// Something in memory that tells whether ids in a file are worth looking for.
pub(super) trait Suspect {
    /// A line of the processor's cache.
    type Part;

    /// What a question about the fingerprint looks at first; nothing where nothing was added.
    /// Whoever has many questions fetches the parts first.
    fn part(&self, fingerprint: u64) -> Option<&Self::Part>;

    /// A word of a part.
    fn word(part: &Self::Part) -> u64;

    /// Whether the fingerprint, whose part this is, may have been added.
    fn may_hold_in(&self, part: &Self::Part, fingerprint: u64) -> bool;

    /// Whether the fingerprint may have been added.
    fn may_hold(&self, fingerprint: u64) -> bool {
        let part = self.part(fingerprint);
        part.is_some_and(|part| self.may_hold_in(part, fingerprint))
    }
}

/// The filter of a run of 2^`bits` buckets, in slabs that are never changed. One that is not there
/// holds nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    bits: u32,
    /// The bits of a fingerprint that count.
    kept: u64,
    /// Blocks of a bucket.
    blocks: usize,
    slabs: Vec<Option<Slab>>,
}

/// The blocks of some buckets, one after the other, as they are stored. Slabs are mapped and not from
/// the allocator, which would let smaller things into the place of one that is given up.
#[derive(Clone, Debug)]
pub(crate) struct Slab(Arc<MmapMut>);

/// How many blocks a bucket of a new run gets. Ten are eleven and a half bits an id, of which one in 180
/// is suspected wrongly; two more suspect half as many. Large runs get more, because there what tells
/// of the newest ids is little beside them; so do runs that have only one of so many ids: every run is
/// asked for every id, and what is given to these costs least.
fn blocks(form: Form, one_of: u64) -> usize {
    let own = match form.bits {
        ..14 => 10,
        14..17 => 11,
        _ => 12,
    };
    let more = match one_of {
        ..8 => 0,
        8..32 => 2,
        _ => 4,
    };
    own + more
}

/// Makes a filter, a slab at a time, while its buckets come one after the other.
#[derive(Debug)]
pub(super) struct Maker {
    /// What it makes, without any slab.
    kind: Filter,
    /// The number of the slab that is being made,
    slab: usize,
    /// and its blocks; none after the last one.
    blocks: Option<MmapMut>,
}

/// One line of the processor's cache.
pub(super) type Block = [u8; BLOCK_BYTES];

/// What a fingerprint's block and bits are chosen by; the bucket is chosen by its highest bits.
fn spread(fingerprint: u64) -> u64 {
    (fingerprint ^ (fingerprint >> 29)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// The bucket of a fingerprint.
pub(crate) fn bucket(fingerprint: u64, bits: u32) -> usize {
    fingerprint.checked_shr(64 - bits).unwrap_or(0) as usize
}

/// The bits of a block: six bits of the spread fingerprint choose one for each word.
fn marks(mixed: u64) -> [u64; BLOCK_WORDS] {
    let mut marks = [0; BLOCK_WORDS];
    for (word, mark) in marks.iter_mut().enumerate() {
        *mark = 1 << ((mixed >> (6 * word)) & 63);
    }
    marks
}

/// The words of a block.
fn words(block: &Block) -> impl Iterator<Item = u64> {
    let words = block.as_chunks().0.iter();
    words.map(|bytes| u64::from_le_bytes(*bytes))
}

impl Slab {
    fn block(&self, place: usize) -> &Block {
        &self.0.as_chunks().0[place]
    }
}

impl PartialEq for Slab {
    fn eq(&self, other: &Slab) -> bool {
        self.0[..] == other.0[..]
    }
}

impl Eq for Slab {}

impl Filter {
    /// A filter without any slab, for a run of this form.
    fn of_blocks(form: Form, blocks: usize) -> Filter {
        let slabs = 1 << form.bits.saturating_sub(SLAB_BITS);
        Filter {
            bits: form.bits,
            kept: form.kept(),
            blocks,
            slabs: vec![None; slabs],
        }
    }

    /// Buckets of a slab.
    fn slab_buckets(&self) -> usize {
        1 << self.bits.min(SLAB_BITS)
    }

    /// How many bytes of memory its slabs take.
    pub(super) fn bytes(&self) -> usize {
        let slabs = self.slabs.iter().flatten();
        slabs.map(|slab| slab.0.len()).sum()
    }

    /// Of how many buckets it is.
    pub(super) fn buckets(&self) -> usize {
        1 << self.bits
    }

    /// Memory for a slab that holds nothing.
    fn map(&self) -> Result<MmapMut, Fault> {
        let bytes = self.slab_buckets() * self.blocks * BLOCK_BYTES;
        let mapped = MmapMut::map_anon(bytes);
        mapped.map_err(|error| Fault::Retry(format!("no memory for a filter of ids: {error}")))
    }

    /// What of a fingerprint its block and bits are chosen by.
    fn spread(&self, fingerprint: u64) -> u64 {
        spread(fingerprint & self.kept)
    }

    /// The slab of a fingerprint and its block there; the ten highest bits choose one of its
    /// bucket's.
    fn block(&self, fingerprint: u64, mixed: u64) -> (usize, usize) {
        let bucket = bucket(fingerprint, self.bits);
        let (slab, place) = (bucket >> SLAB_BITS, bucket & ((1 << SLAB_BITS) - 1));
        let own = ((mixed >> 54) * self.blocks as u64) >> 10;
        (slab, place * self.blocks + own as usize)
    }

    /// Puts a slab where it belongs.
    pub(super) fn put(&mut self, (number, slab): (usize, Slab)) {
        if let Some(place) = self.slabs.get_mut(number) {
            *place = Some(slab);
        }
    }

    /// Gives up the slabs of which another filter, of no fewer buckets, tells whole.
    pub(super) fn leave_to(&mut self, other: &Filter) {
        let each = (other.slabs.len() / self.slabs.len()).max(1);
        for (own, others) in self.slabs.iter_mut().zip(other.slabs.chunks(each)) {
            if others.iter().all(Option::is_some) {
                *own = None;
            }
        }
    }
}

impl Maker {
    /// Makes a filter for a new run of this form that has one of so many ids.
    ///
    /// # Errors
    /// [`Fault::Retry`] where there is no memory for a slab; that is so for all of these.
    pub(super) fn new(form: Form, one_of: u64) -> Result<Maker, Fault> {
        Maker::of(Filter::of_blocks(form, blocks(form, one_of)))
    }

    /// Makes one of the kind whose stored part of a bucket has so many bytes, if there is one.
    pub(super) fn of_part(form: Form, bytes: usize) -> Result<Option<Maker>, Fault> {
        let blocks = bytes / BLOCK_BYTES;
        let is_kind = bytes.is_multiple_of(BLOCK_BYTES) && (1..=BLOCKS_MAX).contains(&blocks);
        let kind = is_kind.then(|| Filter::of_blocks(form, blocks));
        kind.map(Maker::of).transpose()
    }

    fn of(kind: Filter) -> Result<Maker, Fault> {
        Ok(Maker {
            slab: 0,
            blocks: Some(kind.map()?),
            kind,
        })
    }

    /// What it makes, without any slab.
    pub(super) fn kind(&self) -> &Filter {
        &self.kind
    }

    /// Adds a fingerprint of the slab that is being made.
    pub(super) fn add(&mut self, fingerprint: u64) {
        let mixed = self.kind.spread(fingerprint);
        let (_, place) = self.kind.block(fingerprint, mixed);
        let blocks = self.blocks.as_mut().map(|blocks| blocks.as_chunks_mut().0);
        let block: Option<&mut Block> = blocks.and_then(|blocks| blocks.get_mut(place));
        let words = block.into_iter().flat_map(|block| block.as_chunks_mut().0);
        for (word, mark) in words.zip(marks(mixed)) {
            *word = (u64::from_le_bytes(*word) | mark).to_le_bytes();
        }
    }

    /// Where the parts of buckets are in the slab that is being made.
    fn places(&self, buckets: Range<usize>) -> Option<Range<usize>> {
        let first = self.slab * self.kind.slab_buckets();
        let part = self.kind.blocks * BLOCK_BYTES;
        let place = |bucket: usize| bucket.checked_sub(first)?.checked_mul(part);
        Some(place(buckets.start)?..place(buckets.end)?)
    }

    /// The parts of buckets, as they are stored; none where they are not of the slab that is being
    /// made.
    pub(super) fn parts(&self, buckets: Range<usize>) -> &[u8] {
        let places = self.places(buckets);
        let parts = places.and_then(|places| self.blocks.as_ref()?.get(places));
        parts.unwrap_or_default()
    }

    /// Puts stored parts back, beginning with that of `bucket`, into the slab that is being made;
    /// tells of how many buckets they are, if they belong there.
    pub(super) fn restore(&mut self, bucket: usize, parts: &[u8]) -> Option<usize> {
        let part = self.kind.blocks * BLOCK_BYTES;
        let buckets = parts.len().checked_div(part)?;
        if buckets == 0 || !parts.len().is_multiple_of(part) {
            return None;
        }
        let places = self.places(bucket..bucket.checked_add(buckets)?)?;
        let own = self.blocks.as_mut()?.get_mut(places)?;
        own.copy_from_slice(parts);
        Some(buckets)
    }

    /// This many buckets are whole: hands out the slab that ends with them, if one does, and begins
    /// the next.
    pub(super) fn end(&mut self, buckets: usize) -> Result<Option<(usize, Slab)>, Fault> {
        if buckets != (self.slab + 1) * self.kind.slab_buckets() {
            return Ok(None);
        }
        let next = match self.slab + 1 < self.kind.slabs.len() {
            true => Some(self.kind.map()?),
            false => None,
        };
        let made = std::mem::replace(&mut self.blocks, next);
        self.slab += 1;
        Ok(made.map(|blocks| (self.slab - 1, Slab(Arc::new(blocks)))))
    }
}

impl Suspect for Filter {
    type Part = Block;

    #[inline]
    fn part(&self, fingerprint: u64) -> Option<&Block> {
        let (slab, place) = self.block(fingerprint, self.spread(fingerprint));
        let slab = self.slabs[slab].as_ref()?;
        Some(slab.block(place))
    }

    #[inline]
    fn word(part: &Block) -> u64 {
        words(part).next().unwrap_or(0)
    }

    #[inline]
    fn may_hold_in(&self, part: &Block, fingerprint: u64) -> bool {
        let missing = words(part).zip(marks(self.spread(fingerprint)));
        missing.fold(0, |missing, (word, mark)| missing | (mark & !word)) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::run::SLOT_BITS;
    use super::super::tests::mix;
    use super::*;

    fn form(bits: u32) -> Form {
        Form::of(bits, 1, 1)
    }

    /// A filter of so many buckets, and what is stored of it.
    fn made(bits: u32, ids: u64) -> (Filter, Vec<u8>) {
        let mut prints: Vec<u64> = (0..ids).map(mix).collect();
        prints.sort_unstable();
        let mut maker = Maker::new(form(bits), 1).expect("memory");
        let (mut filter, mut stored) = (maker.kind().clone(), Vec::new());
        let mut rest = prints.as_slice();
        for number in 0..filter.buckets() {
            let own = rest.partition_point(|print| bucket(*print, bits) <= number);
            rest[..own].iter().for_each(|print| maker.add(*print));
            rest = &rest[own..];
            stored.extend_from_slice(maker.parts(number..number + 1));
            let made = maker.end(number + 1).expect("memory");
            made.into_iter().for_each(|slab| filter.put(slab));
        }
        (filter, stored)
    }

    fn kind(bits: u32, part: usize) -> Option<Maker> {
        Maker::of_part(form(bits), part).expect("memory")
    }

    #[test]
    fn a_filter_never_forgets_and_is_rarely_wrong() {
        for bits in [0, 6, SLAB_BITS + 1] {
            let ids = 448 << bits;
            let (filter, stored) = made(bits, ids);
            assert!((0..ids).all(|number| filter.may_hold(mix(number))));
            let others = ids..ids + 100_000;
            let wrong = others.filter(|number| filter.may_hold(mix(*number)));
            let wrong = wrong.count();
            assert!(wrong < 800, "{wrong} of 100,000");
            // Put back, a few buckets at a time, it is the same.
            let part = stored.len() >> bits;
            let mut maker = kind(bits, part).expect("a kind");
            let mut copy = maker.kind().clone();
            let together = 64.min(1 << bits);
            for (place, parts) in stored.chunks(part * together).enumerate() {
                let bucket = place * together;
                assert_eq!(maker.restore(bucket, parts), Some(together));
                assert_eq!(maker.parts(bucket..bucket + together), parts);
                let made = maker.end(bucket + together).expect("memory");
                made.into_iter().for_each(|slab| copy.put(slab));
            }
            assert_eq!(copy, filter);
        }
    }

    #[test]
    fn a_run_that_has_few_of_all_ids_is_suspected_wrongly_less_often() {
        const BITS: u32 = 4;
        let wrong = [1, 8, 32].map(|one_of| {
            let mut maker = Maker::new(form(BITS), one_of).expect("memory");
            let mut filter = maker.kind().clone();
            (0..448_u64 << BITS).for_each(|id| maker.add(mix(id)));
            let made = maker.end(1 << BITS).expect("memory");
            made.into_iter().for_each(|slab| filter.put(slab));
            let others = (1 << 20)..(1 << 20) + 100_000;
            others.filter(|id| filter.may_hold(mix(*id))).count()
        });
        assert!(
            wrong[0] > wrong[1] + wrong[1] / 2 && wrong[1] > wrong[2],
            "{wrong:?}"
        );
        for bits in 0..SLOT_BITS {
            assert!(blocks(form(bits), u64::MAX) <= BLOCKS_MAX);
        }
    }

    #[test]
    fn what_is_stored_of_another_filter_is_not_put_back() {
        let part = blocks(form(SLAB_BITS + 1), 1) * BLOCK_BYTES;
        for bytes in [0, 1, part - 1, BLOCK_BYTES * (BLOCKS_MAX + 1)] {
            assert!(kind(6, bytes).is_none());
        }
        let mut maker = kind(SLAB_BITS + 1, part).expect("a kind");
        let (one, two) = (vec![1; part], vec![1; part * 2]);
        assert_eq!(maker.restore(1, &two), Some(2));
        let last = (1 << SLAB_BITS) - 1;
        for (bucket, parts) in [(last, &two[..]), (1, &two[1..]), (1, &[]), (0, &[1])] {
            assert_eq!(maker.restore(bucket, parts), None);
        }
        assert_eq!(maker.restore(1 << SLAB_BITS, &one), None);
        assert_eq!(maker.end(last).expect("memory"), None);
        let made = maker.end(last + 1).expect("memory");
        assert!(made.is_some_and(|(number, _)| number == 0));
        assert_eq!(maker.restore(1 << SLAB_BITS, &one), Some(1));
        assert_eq!(maker.restore(1, &one), None);
        assert_eq!(maker.restore(usize::MAX, &one), None);
    }

    #[test]
    fn slabs_are_given_up_when_another_filter_tells_of_all_their_buckets() {
        let bits = SLAB_BITS + 1;
        let (mut filter, _) = made(bits, 448 << bits);
        let (whole, _) = made(bits + 2, 448 << bits);
        let mut other = Filter::of_blocks(form(bits + 2), whole.blocks);
        let slabs = whole.slabs.iter().flatten().cloned().enumerate();
        for (number, slab) in slabs.take(7) {
            other.put((number, slab));
            filter.leave_to(&other);
            let held = [number < 3, true];
            assert_eq!(
                filter.slabs.iter().map(Option::is_some).collect::<Vec<_>>(),
                held
            );
        }
        // Together they tell of everything.
        let all = (0..448 << bits).map(mix);
        let mut all = all.filter(|print| !filter.may_hold(*print));
        assert!(all.all(|print| other.may_hold(print)));
    }
}
