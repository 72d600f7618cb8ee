//! Numbers in as few bytes as they take. Their sizes come first, three bits for each number, in
//! two bytes; then the numbers, low bytes first.

/// How many numbers have room for their sizes.
const NUMBERS_MAX: usize = 5;
/// Bytes of a number by its three bits.
const BYTES: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 8];

/// The three bits of a number.
fn size(number: u64) -> u16 {
    let bytes = (71 - number.leading_zeros()) / 8;
    bytes.min(7) as u16
}

/// Appends up to five numbers.
pub(crate) fn put<const N: usize>(numbers: [u64; N], out: &mut Vec<u8>) {
    const { assert!(N <= NUMBERS_MAX) };
    let mut bytes = [0; 2 + 8 * NUMBERS_MAX];
    let (mut end, mut sizes) = (2, 0);
    for (place, number) in numbers.into_iter().enumerate() {
        let size = size(number);
        sizes |= size << (3 * place);
        bytes[end..end + 8].copy_from_slice(&number.to_le_bytes());
        end += BYTES[usize::from(size)];
    }
    bytes[..2].copy_from_slice(&sizes.to_le_bytes());
    out.extend_from_slice(&bytes[..end]);
}

/// Takes as many numbers off the front.
pub(crate) fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u64; N]> {
    let sizes = u16::from_le_bytes(bytes(rest)?);
    let mut numbers = [0; N];
    for (place, number) in numbers.iter_mut().enumerate() {
        let size = BYTES[usize::from((sizes >> (3 * place)) & 7)];
        let (head, tail) = rest.split_at_checked(size)?;
        let mut eight = [0; 8];
        eight[..size].copy_from_slice(head);
        (*number, *rest) = (u64::from_le_bytes(eight), tail);
    }
    Some(numbers)
}

/// Takes so many bytes off the front.
pub(crate) fn bytes<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

/// A number near zero on either side as a small one.
pub(crate) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

/// The other way round.
pub(crate) fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length_read_back() {
        let mut out = Vec::new();
        let mut written = Vec::new();
        for bits in 0..=64_u32 {
            let largest = u64::MAX.checked_shr(64 - bits).unwrap_or(0);
            let numbers = [largest, 0, largest / 2 + 1, 1, largest];
            let before = out.len();
            put(numbers, &mut out);
            written.push(numbers);
            assert!(out.len() - before <= 2 + 3 * BYTES[usize::from(size(largest))] + 2 + 8);
        }
        let mut rest = out.as_slice();
        for numbers in written {
            assert_eq!(take(&mut rest), Some(numbers));
        }
        assert!(rest.is_empty());
        let mut short = &out[..1];
        assert_eq!(take::<5>(&mut short), None);
    }

    #[test]
    fn small_numbers_take_few_bytes_on_either_side_of_zero() {
        for number in [0, -1, 1, 63, -64, i64::MIN, i64::MAX] {
            assert_eq!(unzigzag(zigzag(number)), number);
        }
        let mut out = Vec::new();
        put([0, zigzag(-128), zigzag(127)], &mut out);
        assert_eq!(out.len(), 2 + 2);
    }
}
