//! The first form of a page: records of 64 bytes, and after them the texts that some of them
//! bear. Pages of this form are read for ever and no longer written.

use lingqian_core::ledger::Account;
use lingqian_core::money::Micros;
use lingqian_core::time::{BusinessDate, Timestamp};

use super::{CAUSES, COUNTED, DATED, EVENT, EventName, Names, Record, other_names};
use crate::numbers::bytes;

/// Bytes of a record.
const RECORD_BYTES: usize = 64;

/// The entry at that place of a body of so many entries.
pub(crate) fn line(body: &[u8], count: usize, place: usize) -> Option<(Record, Names<'_>)> {
    let rest = body.get(place * RECORD_BYTES..)?;
    let bytes = rest.first_chunk::<RECORD_BYTES>()?;
    let texts = body.get(count * RECORD_BYTES..)?;
    let text = usize::try_from(u32_at(bytes, 60)).ok()?;
    Some((read(bytes)?, read_names(bytes[3], texts.get(text..)?)?))
}

fn read(bytes: &[u8; RECORD_BYTES]) -> Option<Record> {
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

/// Reads what a record's text names; `texts` begins at the record's own.
fn read_names(flags: u8, texts: &[u8]) -> Option<Names<'_>> {
    let mut rest = texts;
    let event = match flags & EVENT {
        0 => None,
        _ => {
            let [low, middle, high, form] = bytes(&mut rest)?;
            let source = u32::from_le_bytes([low, middle, high, 0]);
            Some((source, EventName::read(form, &mut rest)?))
        }
    };
    other_names(flags, event, rest)
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
    use lingqian_core::id::{KindNo, PayoutId, UserNo};
    use lingqian_core::ledger::Cause;

    use super::super::event_name::FORM_TEXT;
    use super::super::{PAYOUT, REVERSES};
    use super::*;

    /// A record as FORMAT.md tells it.
    fn bytes(record: &Record, flags: u8, place: u32) -> Vec<u8> {
        let owner = |account: Account| u32::try_from(account.code().1).expect("small");
        let mut bytes = vec![10, 1, super::super::cause_no(record.cause), flags];
        bytes.extend_from_slice(&owner(record.debit).to_le_bytes());
        bytes.extend_from_slice(&owner(record.credit).to_le_bytes());
        bytes.extend_from_slice(&record.matures_on.map_or(0, |day| day.0).to_le_bytes());
        bytes.extend_from_slice(&record.amount.0.to_le_bytes());
        bytes.extend_from_slice(&record.at.0.to_le_bytes());
        bytes.extend_from_slice(&record.occurred_at.map_or(0, |at| at.0).to_le_bytes());
        bytes.extend_from_slice(&record.balance.0.to_le_bytes());
        bytes.extend_from_slice(&record.debit_prev.to_le_bytes()[..6]);
        bytes.extend_from_slice(&record.credit_prev.to_le_bytes()[..6]);
        bytes.extend_from_slice(&place.to_le_bytes());
        bytes
    }

    #[test]
    fn a_page_of_the_first_form_reads_as_it_was_written() {
        let first = Record {
            debit: Account::Funding(KindNo(7)),
            credit: Account::Available(UserNo(4_000_000_000)),
            amount: Micros(1),
            cause: Cause::ClawBack,
            at: Timestamp(1_772_424_000_000),
            occurred_at: Some(Timestamp(-5)),
            matures_on: Some(BusinessDate(20_000)),
            counted: true,
            balance: Micros(i64::MAX),
            debit_prev: 0,
            credit_prev: (1 << 48) - 1,
        };
        let second = Record {
            occurred_at: None,
            matures_on: None,
            counted: false,
            ..first
        };
        let mut body = bytes(&first, DATED | EVENT | REVERSES | COUNTED, 16);
        body.extend(bytes(&second, PAYOUT, 0));
        let payout = PayoutId::new(Timestamp(1), 77);
        body.extend_from_slice(&payout.to_bits().to_le_bytes());
        body.extend_from_slice(&[7, 0, 0, FORM_TEXT, 7]);
        body.extend_from_slice(b"order-1");
        body.extend_from_slice(&9_u64.to_le_bytes());
        let names = Names {
            event: Some((7, EventName::of("order-1"))),
            reverses: Some(9),
            ..Names::default()
        };
        assert_eq!(line(&body, 2, 0), Some((first, names)));
        let names = Names {
            payout: Some(payout),
            ..Names::default()
        };
        assert_eq!(line(&body, 2, 1), Some((second, names)));
        assert_eq!(line(&body, 2, 2), None);
        assert_eq!(line(&body[..130], 2, 0), None);
    }
}
