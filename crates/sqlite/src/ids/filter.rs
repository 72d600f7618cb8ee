//! A blocked Bloom filter: "surely not" costs one line of the processor's cache and no branch.

use std::ops::Range;

/// 64-bit words of a block: one cache line. An id sets one bit of each.
const BLOCK_WORDS: usize = 8;
/// Bytes of a block, as it is stored.
const BLOCK_BYTES: usize = BLOCK_WORDS * 8;
/// Blocks of a bucket: nearly 14 bits an id. Stored filters may have fewer or more.
const BUCKET_BLOCKS: usize = 12;
/// Blocks that a bucket had in any version.
const BLOCKS_MAX: usize = 16;

/// Something in memory that tells whether ids in a file are worth looking for.
pub(super) trait Suspect {
    /// One word of those that a question about the fingerprint looks at. Whoever has many
    /// questions touches them first, and the memory answers many at a time.
    fn touch(&self, fingerprint: u64) -> u64;

    /// Whether the fingerprint may have been added.
    fn may_hold(&self, fingerprint: u64) -> bool;
}

/// The filter of a run of 2^`bits` buckets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    bits: u32,
    /// Blocks of a bucket.
    blocks: usize,
    words: Vec<Block>,
}

/// Never in two lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(64))]
struct Block([u64; BLOCK_WORDS]);

/// Where a fingerprint's block and bits are chosen by; the bucket is chosen by its highest bits.
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

impl Filter {
    /// A filter that holds nothing.
    pub(crate) fn empty(bits: u32) -> Filter {
        Filter::of_blocks(bits, BUCKET_BLOCKS)
    }

    fn of_blocks(bits: u32, blocks: usize) -> Filter {
        Filter {
            bits,
            blocks,
            words: vec![Block::default(); blocks << bits],
        }
    }

    /// A filter that holds nothing, of the kind whose stored part of a bucket has so many bytes.
    pub(crate) fn of_part(bits: u32, bytes: usize) -> Option<Filter> {
        let blocks = bytes / BLOCK_BYTES;
        let is_kind = bytes.is_multiple_of(BLOCK_BYTES) && (1..=BLOCKS_MAX).contains(&blocks);
        is_kind.then(|| Filter::of_blocks(bits, blocks))
    }

    /// The block of a fingerprint; the ten highest bits choose one of its bucket's.
    fn block(&self, fingerprint: u64, mixed: u64) -> usize {
        let own = ((mixed >> 54) * self.blocks as u64) >> 10;
        bucket(fingerprint, self.bits) * self.blocks + own as usize
    }

    /// Adds a fingerprint.
    pub(crate) fn add(&mut self, fingerprint: u64) {
        let mixed = spread(fingerprint);
        let block = self.block(fingerprint, mixed);
        for (word, mark) in self.words[block].0.iter_mut().zip(marks(mixed)) {
            *word |= mark;
        }
    }

    /// The parts of buckets, as they are stored one after the other.
    pub(crate) fn parts(&self, buckets: Range<usize>) -> Vec<u8> {
        let blocks = &self.words[buckets.start * self.blocks..buckets.end * self.blocks];
        let mut parts = Vec::with_capacity(blocks.len() * BLOCK_BYTES);
        for word in blocks.iter().flat_map(|block| &block.0) {
            parts.extend_from_slice(&word.to_le_bytes());
        }
        parts
    }

    /// Of how many buckets it is.
    pub(crate) fn buckets(&self) -> usize {
        1 << self.bits
    }

    /// Puts stored parts back, beginning with that of `bucket`; tells of how many buckets they are,
    /// if they are this filter's.
    pub(crate) fn restore(&mut self, bucket: usize, parts: &[u8]) -> Option<usize> {
        let part = self.blocks * BLOCK_BYTES;
        let buckets = parts.len().checked_div(part)?;
        if buckets == 0 || !parts.len().is_multiple_of(part) {
            return None;
        }
        let words = self.words.get_mut(bucket * self.blocks..)?;
        let words = words.get_mut(..buckets * self.blocks)?;
        let words = words.iter_mut().flat_map(|block| &mut block.0);
        for (word, bytes) in words.zip(parts.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Some(buckets)
    }
}

impl Suspect for Filter {
    fn touch(&self, fingerprint: u64) -> u64 {
        self.words[self.block(fingerprint, spread(fingerprint))].0[0]
    }

    fn may_hold(&self, fingerprint: u64) -> bool {
        let mixed = spread(fingerprint);
        let Block(words) = &self.words[self.block(fingerprint, mixed)];
        let missing = words.iter().zip(marks(mixed));
        missing.fold(0, |missing, (word, mark)| missing | (mark & !word)) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mix;
    use super::*;

    #[test]
    fn a_filter_never_forgets_and_is_rarely_wrong() {
        let (bits, ids) = (6, 448 << 6);
        let mut filter = Filter::empty(bits);
        (0..ids).for_each(|number| filter.add(mix(number)));
        assert!((0..ids).all(|number| filter.may_hold(mix(number))));
        let others = ids..ids + 100_000;
        let wrong = others
            .filter(|number| filter.may_hold(mix(*number)))
            .count();
        assert!(wrong < 550, "{wrong} of 100,000");
        let part = filter.parts(0..1).len();
        let mut copy = Filter::of_part(bits, part).expect("a kind");
        for bytes in [0, 1, part - 1, part * 64] {
            assert_eq!(Filter::of_part(bits, bytes), None);
        }
        for bucket in 0..1 << bits {
            assert_eq!(
                copy.restore(bucket, &filter.parts(bucket..bucket + 1)),
                Some(1)
            );
        }
        assert_eq!(copy, filter);
        let parts = filter.parts(0..2);
        assert_eq!(parts, [filter.parts(0..1), filter.parts(1..2)].concat());
        assert_eq!(copy.restore(1, &parts), Some(2));
        assert_eq!(copy.restore((1 << bits) - 1, &parts), None);
        assert_eq!(copy.restore(1, &parts[1..]), None);
        assert_eq!(copy.restore(1, &[]), None);
        assert_eq!(copy.restore(1 << bits, &filter.parts(0..1)), None);
        assert_eq!(copy.restore(0, &[1]), None);
    }
}
