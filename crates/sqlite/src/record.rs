//! One entry in 64 bytes, and the text that some entries bear. The form is told in FORMAT.md and
//! never changes; numbers are little-endian.

mod request;

use lingqian_core::id::{KindNo, PayoutId, UserNo};
use lingqian_core::ledger::{Account, Cause, Entry};
use lingqian_core::money::Micros;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_io::Fault;

use crate::codec::damaged;
pub(crate) use request::{Keyed, Request};
use request::{read_request, write_request};

/// Bytes of a record.
pub(crate) const RECORD_BYTES: usize = 64;

/// Set where the app said when the event happened.
const DATED: u8 = 1;
/// Set where the text names an event.
const EVENT: u8 = 2;
/// Set where the text names a payout.
const PAYOUT: u8 = 4;
/// Set where the text names the entry of an event that is taken back.
const REVERSES: u8 = 8;

/// Set where the text names the kind of a transfer; earnings have it among their accounts.
const KIND: u8 = 16;
/// Set where the event counted towards its user's day.
const COUNTED: u8 = 32;
/// Set where the text names the request that a hold was made for.
const REQUEST: u8 = 64;

/// An id of another form: a length and the bytes.
const FORM_TEXT: u8 = 0;
/// A UUID in lower case with hyphens, as 16 bytes.
const FORM_UUID: u8 = 1;
/// 32 hexadecimal digits in lower case, as 16 bytes.
const FORM_HEX: u8 = 2;

/// Causes by their number in records. What is here never changes; new ones come at the end.
const CAUSES: [Cause; 12] = [
    Cause::Earn,
    Cause::Hold,
    Cause::Settle,
    Cause::Release,
    Cause::BillOut,
    Cause::BillReturn,
    Cause::TopUp,
    Cause::Unexplained,
    Cause::Transfer,
    Cause::ClawBack,
    Cause::Owe,
    Cause::Repay,
];

fn cause_no(cause: Cause) -> u8 {
    match cause {
        Cause::Earn => 0,
        Cause::Hold => 1,
        Cause::Settle => 2,
        Cause::Release => 3,
        Cause::BillOut => 4,
        Cause::BillReturn => 5,
        Cause::TopUp => 6,
        Cause::Unexplained => 7,
        Cause::Transfer => 8,
        Cause::ClawBack => 9,
        Cause::Owe => 10,
        Cause::Repay => 11,
    }
}

/// One entry as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) debit: Account,
    pub(crate) credit: Account,
    pub(crate) amount: Micros,
    pub(crate) cause: Cause,
    pub(crate) at: Timestamp,
    pub(crate) occurred_at: Option<Timestamp>,
    /// The day until which this much of the money cools off, or no longer does.
    pub(crate) matures_on: Option<BusinessDate>,
    /// Whether the event counted towards its user's day.
    pub(crate) counted: bool,
    /// What the debit's user, or else the credit's, can see as available after it.
    pub(crate) balance: Micros,
    /// The entry before this one of the debit's user; zero where there is none.
    pub(crate) debit_prev: u64,
    /// The entry before this one of the credit's user; zero where there is none.
    pub(crate) credit_prev: u64,
}

/// What an entry's text names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names<'a> {
    /// The event: the number of its source and its id.
    pub(crate) event: Option<(u32, EventName<'a>)>,
    /// The entry of the event that is taken back.
    pub(crate) reverses: Option<u64>,
    /// The kind of a transfer between users.
    pub(crate) kind: Option<KindNo>,
    /// The payout.
    pub(crate) payout: Option<PayoutId>,
    /// The request that the payout's hold was made for.
    pub(crate) request: Option<Request<'a>>,
}

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

fn owner_no(account: Account) -> Result<(u8, u32), Fault> {
    let (class, owner) = account.code();
    let out_of_range = |_| Fault::Broken("the number of an account is out of range".into());
    Ok((
        u8::try_from(class).map_err(out_of_range)?,
        u32::try_from(owner).map_err(out_of_range)?,
    ))
}

impl Record {
    /// Appends the record to `records` and its text to `texts`.
    ///
    /// # Errors
    /// When an account's number has no room in a record.
    pub(crate) fn write(
        &self,
        names: &Names<'_>,
        records: &mut Vec<u8>,
        texts: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let (debit_class, debit_owner) = owner_no(self.debit)?;
        let (credit_class, credit_owner) = owner_no(self.credit)?;
        let place = u32::try_from(texts.len()).map_err(|_| damaged("the text of a page"))?;
        let mut flags = write_names(names, texts);
        if self.occurred_at.is_some() {
            flags |= DATED;
        }
        if self.counted {
            flags |= COUNTED;
        }
        let mut bytes = [0; RECORD_BYTES];
        bytes[..4].copy_from_slice(&[debit_class, credit_class, cause_no(self.cause), flags]);
        bytes[4..8].copy_from_slice(&debit_owner.to_le_bytes());
        bytes[8..12].copy_from_slice(&credit_owner.to_le_bytes());
        let matures = self.matures_on.map_or(0, |day| day.0);
        bytes[12..16].copy_from_slice(&matures.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.amount.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.at.0.to_le_bytes());
        let occurred = self.occurred_at.map_or(0, |at| at.0);
        bytes[32..40].copy_from_slice(&occurred.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.balance.0.to_le_bytes());
        bytes[48..54].copy_from_slice(&self.debit_prev.to_le_bytes()[..6]);
        bytes[54..60].copy_from_slice(&self.credit_prev.to_le_bytes()[..6]);
        bytes[60..].copy_from_slice(&place.to_le_bytes());
        records.extend_from_slice(&bytes);
        Ok(())
    }

    /// Reads a record.
    pub(crate) fn read(bytes: &[u8; RECORD_BYTES]) -> Option<Record> {
        let account = |class: usize, owner: usize| {
            Account::from_code(i64::from(bytes[class]), i64::from(u32_at(bytes, owner)))
        };
        let matures = i32::from_le_bytes(bytes[12..16].try_into().ok()?);
        Some(Record {
            debit: account(0, 4)?,
            credit: account(1, 8)?,
            cause: *CAUSES.get(usize::from(bytes[2]))?,
            counted: bytes[3] & COUNTED != 0,
            matures_on: (matures != 0).then_some(BusinessDate(matures)),
            amount: Micros(i64_at(bytes, 16)),
            at: Timestamp(i64_at(bytes, 24)),
            occurred_at: (bytes[3] & DATED != 0).then(|| Timestamp(i64_at(bytes, 32))),
            balance: Micros(i64_at(bytes, 40)),
            debit_prev: u48_at(bytes, 48),
            credit_prev: u48_at(bytes, 54),
        })
    }

    /// The entry, where the record holds one.
    pub(crate) fn entry(&self, names: &Names<'_>) -> Option<Entry> {
        let sides = (self.debit, self.credit);
        Entry::new(sides, self.amount, self.cause, names.payout, self.at)
    }

    /// The entry before this one of a user's, if this one is the user's.
    pub(crate) fn prev(&self, user: UserNo) -> Option<u64> {
        if self.debit.user() == Some(user) {
            Some(self.debit_prev)
        } else if self.credit.user() == Some(user) {
            Some(self.credit_prev)
        } else {
            None
        }
    }
}

fn write_names(names: &Names<'_>, texts: &mut Vec<u8>) -> u8 {
    let mut flags = 0;
    if let Some((source, name)) = names.event {
        flags |= EVENT;
        texts.extend_from_slice(&source.to_le_bytes()[..3]);
        match name {
            EventName::Packed(form, bytes) => {
                texts.push(form);
                texts.extend_from_slice(&bytes);
            }
            EventName::Text(text) => {
                texts.push(FORM_TEXT);
                texts.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
                texts.extend_from_slice(text.as_bytes());
            }
        }
    }
    if let Some(original) = names.reverses {
        flags |= REVERSES;
        texts.extend_from_slice(&original.to_le_bytes());
    }
    if let Some(kind) = names.kind {
        flags |= KIND;
        let kind = u32::try_from(kind.0).unwrap_or(u32::MAX);
        texts.extend_from_slice(&kind.to_le_bytes());
    }
    if let Some(payout) = names.payout {
        flags |= PAYOUT;
        texts.extend_from_slice(&payout.to_bits().to_le_bytes());
    }
    if let Some(request) = &names.request {
        flags |= REQUEST;
        write_request(request, texts);
    }
    flags
}

/// Where a record's text begins among the texts of its page.
pub(crate) fn text_place(record: &[u8; RECORD_BYTES]) -> usize {
    usize::try_from(u32_at(record, 60)).unwrap_or(usize::MAX)
}

/// Reads what a record's text names; `texts` begins at the record's own.
pub(crate) fn read_names<'a>(record: &[u8; RECORD_BYTES], texts: &'a [u8]) -> Option<Names<'a>> {
    let flags = record[3];
    let (mut names, mut rest) = (Names::default(), texts);
    if flags & EVENT != 0 {
        let (head, tail) = rest.split_at_checked(4)?;
        let source = u32::from_le_bytes([head[0], head[1], head[2], 0]);
        let (name, tail) = match head[3] {
            FORM_TEXT => {
                let (length, tail) = tail.split_first()?;
                let (text, tail) = tail.split_at_checked(usize::from(*length))?;
                (EventName::Text(std::str::from_utf8(text).ok()?), tail)
            }
            form @ (FORM_UUID | FORM_HEX) => {
                let (packed, tail) = tail.split_first_chunk::<16>()?;
                (EventName::Packed(form, *packed), tail)
            }
            _ => return None,
        };
        names.event = Some((source, name));
        rest = tail;
    }
    if flags & REVERSES != 0 {
        let (original, tail) = rest.split_first_chunk::<8>()?;
        names.reverses = Some(u64::from_le_bytes(*original));
        rest = tail;
    }
    if flags & KIND != 0 {
        let (kind, tail) = rest.split_first_chunk::<4>()?;
        names.kind = Some(KindNo(i64::from(u32::from_le_bytes(*kind))));
        rest = tail;
    }
    if flags & PAYOUT != 0 {
        let (payout, tail) = rest.split_first_chunk::<16>()?;
        names.payout = Some(PayoutId::from_bits(u128::from_le_bytes(*payout)));
        rest = tail;
    }
    if flags & REQUEST != 0 {
        names.request = Some(read_request(&mut rest)?);
    }
    Some(names)
}

fn u32_at(bytes: &[u8; RECORD_BYTES], place: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[place..place + 4]);
    u32::from_le_bytes(four)
}

fn i64_at(bytes: &[u8; RECORD_BYTES], place: usize) -> i64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[place..place + 8]);
    i64::from_le_bytes(eight)
}

fn u48_at(bytes: &[u8; RECORD_BYTES], place: usize) -> u64 {
    let mut eight = [0; 8];
    eight[..6].copy_from_slice(&bytes[place..place + 6]);
    u64::from_le_bytes(eight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            debit: Account::Funding(KindNo(7)),
            credit: Account::Available(UserNo(4_000_000_000)),
            amount: Micros(1),
            cause: Cause::Earn,
            at: Timestamp(1_772_424_000_000),
            occurred_at: Some(Timestamp(-5)),
            matures_on: Some(BusinessDate(20_000)),
            counted: true,
            balance: Micros(i64::MAX),
            debit_prev: 0,
            credit_prev: (1 << 48) - 1,
        }
    }

    #[test]
    fn a_record_and_its_names_read_back() {
        let names = [
            Names::default(),
            Names {
                event: Some((70_000, EventName::of("order-1"))),
                reverses: Some(9),
                kind: Some(KindNo(12)),
                payout: Some(PayoutId::new(Timestamp(1), 77)),
                request: None,
            },
            Names {
                payout: Some(PayoutId::new(Timestamp(1), 77)),
                request: Some(Request {
                    reference: "order-1",
                    key: Some(Keyed {
                        scope: "",
                        key: "any text, also 零钱",
                        digest: &[7; 32],
                    }),
                }),
                ..Names::default()
            },
            Names {
                request: Some(Request {
                    reference: "order-2",
                    key: None,
                }),
                ..Names::default()
            },
            Names {
                event: Some((1, EventName::of("0198d5a2-7c1e-7000-8000-0123456789ab"))),
                ..Names::default()
            },
        ];
        let (mut records, mut texts) = (Vec::new(), Vec::new());
        for names in &names {
            let written = record().write(names, &mut records, &mut texts);
            written.expect("it has room");
        }
        for (bytes, names) in records.chunks_exact(RECORD_BYTES).zip(&names) {
            let bytes = bytes.try_into().expect("64 bytes");
            assert_eq!(Record::read(bytes), Some(record()));
            let own = &texts[text_place(bytes)..];
            assert_eq!(read_names(bytes, own), Some(*names));
        }
        let homeless = Record {
            credit: Account::Available(UserNo(1 << 32)),
            ..record()
        };
        let written = homeless.write(&Names::default(), &mut records, &mut texts);
        assert!(matches!(written, Err(Fault::Broken(_))));
    }

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

    #[test]
    fn causes_keep_their_numbers() {
        for (number, cause) in (0..).zip(CAUSES) {
            assert_eq!(cause_no(cause), number);
        }
        assert_eq!(CAUSES.len(), Cause::ALL.len());
    }
}
