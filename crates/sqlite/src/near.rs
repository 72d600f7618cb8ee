//! Bringing parts of memory near before they are looked at, many at a time.

use std::hint::black_box;

/// Parts that are fetched together: what is fetched stays in the processor's nearest caches until it
/// is looked at.
pub(crate) const TOGETHER: usize = 64;

/// Fetches parts of memory, [`TOGETHER`] of them at most, by a word of each. Where they are is found
/// out for all of them first: while nothing but reading is to be done, a processor reads many at a
/// time, and it would look only a few ahead over the finding.
pub(crate) fn fetch<'m, T>(
    parts: impl Iterator<Item = Option<&'m T>>,
    word: impl Fn(&T) -> u64,
) -> [Option<&'m T>; TOGETHER] {
    let (mut places, mut count) = ([None; TOGETHER], 0);
    for (place, part) in places.iter_mut().zip(parts) {
        *place = part;
        count += 1;
    }
    let words = places.iter().take(count);
    let words = words.map(|part| part.map_or(0, &word));
    black_box(words.fold(0, |all, word| all ^ word));
    places
}
