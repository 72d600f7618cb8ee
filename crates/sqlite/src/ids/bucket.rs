//! How the ids of a bucket are stored: in eight bytes each, of which the higher ones are bits of the
//! fingerprint and the lower ones the entry's number, counted from the first one of the run. Earlier
//! versions took fourteen.

use lingqian_io::Fault;

use super::Id;
use super::filter::bucket;
use crate::codec::damaged;

/// Bytes of an id, as a word.
const WORD_BYTES: usize = 8;
/// Bytes of an id otherwise: eight of the fingerprint and six of the entry's number.
const WIDE_BYTES: usize = 14;
/// Bits of the entry's number there.
const WIDE_BITS: u32 = 48;
/// Bits of a fingerprint that are not stored, the lowest.
pub(super) const LEFT_OUT: u32 = 16;

/// In what way ids are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// In a word each, entries counted from this one.
    Words(u64),
    /// In fourteen bytes each, where the numbers of entries do not fit into words.
    Wide,
    /// In fourteen bytes each, with every bit of the fingerprint, as earlier versions have them.
    Earlier,
}

/// What stands for a way in the file that has no first entry.
const WIDE: i64 = -1;

/// How a run stores its ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// The run has 2^bits buckets. The bucket says as many bits of a fingerprint, and a word as many
    /// more of the number.
    pub(super) bits: u32,
    pub(super) way: Way,
}

impl Form {
    /// The form for ids of entries with numbers from `first` to `last`: words, where the numbers fit,
    /// as they do unless of a hundred entries less than one has an id.
    pub(super) fn of(bits: u32, first: u64, last: u64) -> Form {
        let fits = last.saturating_sub(first) >> (LEFT_OUT + bits) == 0;
        Form {
            bits,
            way: if fits { Way::Words(first) } else { Way::Wide },
        }
    }

    /// The form that the file tells of.
    pub(super) fn from_column(bits: u32, first: Option<i64>) -> Result<Form, Fault> {
        let way = match first.map(u64::try_from) {
            None => Way::Earlier,
            Some(Ok(first)) => Way::Words(first),
            Some(Err(_)) if first == Some(WIDE) => Way::Wide,
            Some(Err(_)) => return Err(damaged("id_runs.first_entry")),
        };
        Ok(Form { bits, way })
    }

    /// What the file tells of it.
    pub(super) fn column(self) -> Option<i64> {
        match self.way {
            Way::Words(first) => Some(first.cast_signed()),
            Way::Wide => Some(WIDE),
            Way::Earlier => None,
        }
    }

    /// No entry of its ids has a lower number.
    pub(super) fn first(self) -> u64 {
        match self.way {
            Way::Words(first) => first,
            Way::Wide | Way::Earlier => 0,
        }
    }

    /// The bits of a fingerprint that are stored.
    pub(super) fn kept(self) -> u64 {
        match self.way {
            Way::Words(_) | Way::Wide => u64::MAX << LEFT_OUT,
            Way::Earlier => u64::MAX,
        }
    }

    /// Bytes of an id.
    pub(super) fn id_bytes(self) -> usize {
        match self.way {
            Way::Words(_) => WORD_BYTES,
            Way::Wide | Way::Earlier => WIDE_BYTES,
        }
    }

    /// The bits that are the entry's number, the lowest of a word.
    fn number_mask(self) -> u64 {
        let bits = match self.way {
            Way::Words(_) => LEFT_OUT + self.bits,
            Way::Wide | Way::Earlier => WIDE_BITS,
        };
        (1 << bits) - 1
    }

    /// The bits of a fingerprint where a word has them.
    fn print_bits(self, fingerprint: u64) -> u64 {
        (fingerprint << self.bits) & !self.number_mask()
    }

    /// The ids of a bucket, which are in their order, as they are stored.
    pub(super) fn store(self, ids: &[Id]) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::with_capacity(ids.len() * self.id_bytes());
        for (fingerprint, seq) in ids {
            let number = seq.checked_sub(self.first());
            let number = number.filter(|number| *number <= self.number_mask());
            let number = number.ok_or_else(|| damaged("id_runs.first_entry"))?;
            if let Way::Words(_) = self.way {
                let word = self.print_bits(*fingerprint) | number;
                body.extend_from_slice(&word.to_le_bytes());
            } else {
                let kept = fingerprint & self.kept();
                body.extend_from_slice(&kept.to_be_bytes());
                body.extend_from_slice(&number.to_le_bytes()[..6]);
            }
        }
        Ok(body)
    }

    /// Every id of a stored bucket, in their order, as far as its fingerprint is kept.
    pub(super) fn ids(self, bucket: usize, body: &[u8]) -> impl Iterator<Item = Id> {
        let (words, wide) = match self.way {
            Way::Words(_) => (body, &[][..]),
            Way::Wide | Way::Earlier => (&[][..], body),
        };
        let shared = (bucket as u64).checked_shl(u64::BITS - self.bits);
        let (shared, mask) = (shared.unwrap_or(0), self.number_mask());
        let words = words.as_chunks().0.iter().map(move |word| {
            let word = u64::from_le_bytes(*word);
            let print = shared | (word & !mask) >> self.bits;
            (print, self.first() + (word & mask))
        });
        words.chain(wide.chunks_exact(WIDE_BYTES).map(read_wide))
    }

    /// Adds the entries of a stored bucket under this fingerprint.
    pub(super) fn find(self, body: &[u8], fingerprint: u64, found: &mut Vec<u64>) {
        let bucket = bucket(fingerprint, self.bits);
        let sought = fingerprint & self.kept();
        let bytes = self.id_bytes();
        // Whatever is from here on may be the one.
        let from = |rest: &[u8]| self.ids(bucket, rest).next().map(|id| id.0);
        let (mut low, mut high) = (0, body.len() / bytes);
        while low < high {
            let middle = usize::midpoint(low, high);
            if from(&body[middle * bytes..]) < Some(sought) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let rest = body.get(low * bytes..).unwrap_or_default();
        let same = self.ids(bucket, rest).take_while(|id| id.0 == sought);
        found.extend(same.map(|id| id.1));
    }
}

fn read_wide(bytes: &[u8]) -> Id {
    let (mut fingerprint, mut seq) = ([0; 8], [0; 8]);
    fingerprint.copy_from_slice(&bytes[..8]);
    seq[..6].copy_from_slice(&bytes[8..]);
    (u64::from_be_bytes(fingerprint), u64::from_le_bytes(seq))
}

#[cfg(test)]
mod tests {
    use super::super::tests::mix;
    use super::*;

    /// Ids of one bucket, in their order, some of them alike.
    fn ids(bits: u32, own: usize, first: u64) -> Vec<Id> {
        let prefix = (own as u64).checked_shl(u64::BITS - bits).unwrap_or(0);
        let print = |number: u64| prefix | mix(number / 2).checked_shr(bits).unwrap_or(0);
        let mut ids: Vec<Id> = (0..400)
            .map(|number| (print(number), first + number))
            .collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn ids_read_back_and_are_found_in_either_form() {
        for (bits, own) in [(0, 0), (1, 1), (10, 700), (23, (1 << 23) - 1)] {
            let first = 5_000_000_000;
            let ids = ids(bits, own, first);
            let forms = [Way::Words(first - 7), Way::Wide, Way::Earlier];
            for form in forms.map(|way| Form { bits, way }) {
                let column = form.column();
                assert_eq!(Form::from_column(bits, column), Ok(form));
                let body = form.store(&ids).expect("fits");
                assert_eq!(body.len(), ids.len() * form.id_bytes());
                let kept = ids.iter().map(|id| (id.0 & form.kept(), id.1));
                assert!(form.ids(own, &body).eq(kept));
                for (print, seq) in &ids {
                    let mut found = Vec::new();
                    form.find(&body, *print, &mut found);
                    assert!(found.len() == 2 && found.contains(seq), "{found:?}");
                    let mut found = Vec::new();
                    form.find(&body, print ^ 1 << 17, &mut found);
                    assert_eq!(found, []);
                }
            }
        }
    }

    #[test]
    fn ids_that_differ_in_what_is_left_out_are_all_found_in_any_order_of_their_numbers() {
        let form = Form::of(4, 1, 100);
        let same = 0x7123_4567_89AB_0000;
        let ids = [
            (same - 1, 50),
            (same, 9),
            (same + 1, 80),
            (same + 0xFFFF, 3),
            (same + 0x1_0000, 1),
        ];
        let body = form.store(&ids).expect("fits");
        for print in [same, same + 0x7FFF, same + 0xFFFF] {
            let mut found = Vec::new();
            form.find(&body, print, &mut found);
            assert_eq!(found, [9, 80, 3]);
        }
    }

    #[test]
    fn a_number_that_does_not_fit_is_a_fault_and_nothing_is_cut_off() {
        let form = Form::of(0, 100, 100 + 0xFFFF);
        assert_eq!(form.way, Way::Words(100));
        assert_eq!(Form::of(0, 100, 100 + 0x1_0000).way, Way::Wide);
        assert!(Form::from_column(0, Some(-2)).is_err());
        for seq in [99, 100 + 0x1_0000] {
            assert!(form.store(&[(7, seq)]).is_err(), "{seq}");
        }
        assert!(form.store(&[(7, 100), (7, 100 + 0xFFFF)]).is_ok());
        for way in [Way::Wide, Way::Earlier] {
            let form = Form { bits: 0, way };
            assert!(form.store(&[(7, 1 << 48)]).is_err());
            assert!(form.store(&[(7, (1 << 48) - 1)]).is_ok());
        }
    }
}
