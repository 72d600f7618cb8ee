//! An event's id in the shortest form that reads back as it was.

use crate::numbers::bytes;

/// An id of another form: a length and the bytes.
pub(super) const FORM_TEXT: u8 = 0;
/// A UUID in lower case with hyphens, as 16 bytes.
pub(super) const FORM_UUID: u8 = 1;
/// 32 hexadecimal digits in lower case, as 16 bytes.
pub(super) const FORM_HEX: u8 = 2;

/// An event id, as text or as what it was packed into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventName<'a> {
    Text(&'a str),
    Packed(u8, [u8; 16]),
}

impl<'a> EventName<'a> {
    /// The shortest form of an id.
    pub(crate) fn of(id: &'a str) -> EventName<'a> {
        let bytes = id.as_bytes();
        let packed = match bytes.len() {
            36 => pack_uuid(bytes).map(|packed| EventName::Packed(FORM_UUID, packed)),
            32 => pack_hex(bytes).map(|packed| EventName::Packed(FORM_HEX, packed)),
            _ => None,
        };
        packed.unwrap_or(EventName::Text(id))
    }

    /// Takes an id of that form off the front.
    pub(super) fn read(form: u8, rest: &mut &'a [u8]) -> Option<EventName<'a>> {
        match form {
            FORM_TEXT => {
                let [length] = bytes(rest)?;
                let (text, tail) = rest.split_at_checked(usize::from(length))?;
                *rest = tail;
                Some(EventName::Text(std::str::from_utf8(text).ok()?))
            }
            FORM_UUID | FORM_HEX => Some(EventName::Packed(form, bytes(rest)?)),
            _ => None,
        }
    }

    /// The id as text.
    pub(crate) fn text(&self) -> String {
        match self {
            EventName::Text(text) => (*text).to_owned(),
            EventName::Packed(form, bytes) => {
                let mut text = String::with_capacity(36);
                for (place, byte) in bytes.iter().enumerate() {
                    if *form == FORM_UUID && matches!(place, 4 | 6 | 8 | 10) {
                        text.push('-');
                    }
                    for nibble in [byte >> 4, byte & 15] {
                        text.push(char::from(HEX[usize::from(nibble)]));
                    }
                }
                text
            }
        }
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Eight digits as four bytes, all of them at a time: what they would be written as again must be
/// what they are.
fn pack_eight(digits: [u8; 8]) -> Option<[u8; 4]> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let text = u64::from_be_bytes(digits);
    let letters = (text >> 6) & ONES;
    let values = (text & (0x0F * ONES)).wrapping_add(letters * 9);
    let above_nine = (values.wrapping_add(0x76 * ONES) >> 7) & ONES;
    let again = values
        .wrapping_add(0x30 * ONES)
        .wrapping_add(above_nine * 0x27);
    if again != text || values & (0xF0 * ONES) != 0 {
        return None;
    }
    let pairs = (values | (values >> 4)) & 0x00FF_00FF_00FF_00FF;
    let quads = (pairs | (pairs >> 8)) & 0x0000_FFFF_0000_FFFF;
    let packed = (quads | (quads >> 16)) & 0xFFFF_FFFF;
    u32::try_from(packed).ok().map(u32::to_be_bytes)
}

fn pack_hex(text: &[u8]) -> Option<[u8; 16]> {
    let mut packed = [0; 16];
    for (bytes, digits) in packed.chunks_exact_mut(4).zip(text.chunks_exact(8)) {
        bytes.copy_from_slice(&pack_eight(digits.try_into().ok()?)?);
    }
    Some(packed)
}

fn pack_uuid(text: &[u8]) -> Option<[u8; 16]> {
    let hyphens = [8, 13, 18, 23];
    if hyphens.iter().any(|place| text[*place] != b'-') {
        return None;
    }
    let mut digits = [0; 32];
    digits[..8].copy_from_slice(&text[..8]);
    digits[8..12].copy_from_slice(&text[9..13]);
    digits[12..16].copy_from_slice(&text[14..18]);
    digits[16..20].copy_from_slice(&text[19..23]);
    digits[20..].copy_from_slice(&text[24..]);
    pack_hex(&digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_event_id_reads_back_as_it_was() {
        let packed = |id: &str| matches!(EventName::of(id), EventName::Packed(..));
        for (id, is_packed) in [
            ("e", false),
            ("0198d5a2-7c1e-7000-8000-0123456789ab", true),
            ("0198D5A2-7c1e-7000-8000-0123456789ab", false),
            ("0198d5a2-7c1e-7000-8000_0123456789ab", false),
            ("0198d5a2-7c1e-7000-8000-0123456789ag", false),
            ("0198d5a27c1e700080000123456789ab", true),
            ("0198d5a27c1e700080000123456789a-", false),
            ("0198d5a27c1e700080000123456789a/", false),
            ("0198d5a27c1e700080000123456789a:", false),
            ("0198d5a27c1e70008000012345678@ab", false),
            ("0198d5a27c1e70008000`123456789ab", false),
            ("0198d5a27c1e7000800001234p6789ab", false),
            ("ffffffffffffffffffffffffffffffff", true),
        ] {
            assert_eq!(EventName::of(id).text(), id);
            assert_eq!(packed(id), is_packed, "{id}");
        }
    }
}
