//! A blocked Bloom filter: "surely not" costs one line of the processor's cache.

/// 64-bit words of a block: one cache line.
const BLOCK_WORDS: usize = 8;
/// Blocks per bucket of a run, so that a run's filter can be stored and merged by bucket.
const BUCKET_BLOCKS: usize = 6;
/// Bits that are set for an id.
const PROBES: u32 = 6;

/// Words of the part of a filter that belongs to one bucket.
pub(crate) const BUCKET_WORDS: usize = BLOCK_WORDS * BUCKET_BLOCKS;

/// The filter of a run of 2^`bits` buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    bits: u32,
    words: Vec<u64>,
}

/// Where a fingerprint's bits are chosen by; the bucket is chosen by its highest bits.
fn spread(fingerprint: u64) -> u64 {
    (fingerprint ^ (fingerprint >> 29)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// The bucket of a fingerprint.
pub(crate) fn bucket(fingerprint: u64, bits: u32) -> usize {
    fingerprint.checked_shr(64 - bits).unwrap_or(0) as usize
}

fn block(mixed: u64) -> usize {
    (((mixed >> 54) * BUCKET_BLOCKS as u64) >> 10) as usize * BLOCK_WORDS
}

impl Filter {
    /// A filter that holds nothing.
    pub(crate) fn empty(bits: u32) -> Filter {
        Filter {
            bits,
            words: vec![0; BUCKET_WORDS << bits],
        }
    }

    /// Adds a fingerprint.
    pub(crate) fn add(&mut self, fingerprint: u64) {
        let mixed = spread(fingerprint);
        let begin = bucket(fingerprint, self.bits) * BUCKET_WORDS + block(mixed);
        for probe in 0..PROBES {
            let bit = (mixed >> (probe * 9)) & 511;
            self.words[begin + (bit >> 6) as usize] |= 1 << (bit & 63);
        }
    }

    /// Whether the fingerprint may have been added.
    pub(crate) fn may_hold(&self, fingerprint: u64) -> bool {
        let mixed = spread(fingerprint);
        let begin = bucket(fingerprint, self.bits) * BUCKET_WORDS + block(mixed);
        let words = &self.words[begin..begin + BLOCK_WORDS];
        (0..PROBES).all(|probe| {
            let bit = (mixed >> (probe * 9)) & 511;
            words[(bit >> 6) as usize] & (1 << (bit & 63)) != 0
        })
    }

    /// The part of a bucket, as it is stored.
    pub(crate) fn part(&self, bucket: usize) -> Vec<u8> {
        let words = &self.words[bucket * BUCKET_WORDS..][..BUCKET_WORDS];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Puts a stored part back.
    pub(crate) fn restore(&mut self, bucket: usize, part: &[u8]) -> bool {
        let words = self.words.get_mut(bucket * BUCKET_WORDS..);
        let words = words.and_then(|words| words.get_mut(..BUCKET_WORDS));
        match words {
            Some(words) if part.len() == BUCKET_WORDS * 8 => {
                for (word, bytes) in words.iter_mut().zip(part.chunks_exact(8)) {
                    let mut eight = [0; 8];
                    eight.copy_from_slice(bytes);
                    *word = u64::from_le_bytes(eight);
                }
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bijection that looks random (splitmix64).
    fn mix(number: u64) -> u64 {
        let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    #[test]
    fn a_filter_never_forgets_and_is_rarely_wrong() {
        let (bits, ids) = (6, 224 << 6);
        let mut filter = Filter::empty(bits);
        (0..ids).for_each(|number| filter.add(mix(number)));
        assert!((0..ids).all(|number| filter.may_hold(mix(number))));
        let others = ids..ids + 100_000;
        let wrong = others
            .filter(|number| filter.may_hold(mix(*number)))
            .count();
        assert!(wrong < 600, "{wrong} of 100,000");
        let mut copy = Filter::empty(bits);
        for bucket in 0..1 << bits {
            assert!(copy.restore(bucket, &filter.part(bucket)));
        }
        assert_eq!(copy, filter);
        assert!(!copy.restore(1 << bits, &filter.part(0)));
        assert!(!copy.restore(0, &[1]));
    }
}
