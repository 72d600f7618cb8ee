//! The second form of a page. What many entries of a page have in common is said once, in its
//! *shapes*; a record names its shape and has only what is its own, in as few bytes as it takes.
//!
//! ```text
//! FF, shapes T, moment (8)   T shapes of 16   a place (2) for each record   records
//! ```

use lingqian_core::ledger::Account;
use lingqian_core::money::Micros;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_io::Fault;

use crate::numbers::{self, bytes, unzigzag, zigzag};

use super::event_name::FORM_TEXT;
use super::request::write_request;
use super::{
    CAUSES, COUNTED, DATED, EVENT, EventName, MATURES, Names, Record, cause_no, flags, other_names,
};

/// What a body of this form begins with; one of the first form begins with the class of an
/// account.
pub(crate) const MARK: u8 = 0xFF;
/// Bytes before the shapes.
const HEAD_BYTES: usize = 10;
const SHAPE_BYTES: usize = 16;
const PLACE_BYTES: usize = 2;
/// The owner of a credit account whose user is that of the debit account.
const SAME_USER: u32 = u32::MAX;
/// The most bytes that a record takes with its place and a new shape, unless it names an
/// idempotency key: its own numbers, two users, a source's longest id and a reference.
const RECORD_BYTES_MAX: usize = 200;

/// A page's entries while it is being filled.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    /// The moment that others are counted from: that of the first entry.
    moment: i64,
    shapes: Vec<[u8; SHAPE_BYTES]>,
    places: Vec<u16>,
    records: Vec<u8>,
}

impl Writer {
    /// An empty page of about so many bytes.
    pub(crate) fn with_room(bytes: usize) -> Writer {
        Writer {
            records: Vec::with_capacity(bytes),
            places: Vec::with_capacity(bytes / 32),
            ..Writer::default()
        }
    }

    /// How many entries it has.
    pub(crate) fn count(&self) -> usize {
        self.places.len()
    }

    /// How many bytes the body may have after another entry.
    pub(crate) fn bytes_after_next(&self) -> usize {
        let before = HEAD_BYTES + self.shapes.len() * SHAPE_BYTES + self.places.len() * PLACE_BYTES;
        before + self.records.len() + RECORD_BYTES_MAX
    }

    /// Whether no other shape can be named.
    pub(crate) fn has_all_shapes(&self) -> bool {
        self.shapes.len() >= usize::from(u8::MAX)
    }

    /// Adds the entry of number `seq`.
    ///
    /// # Errors
    /// When an account's number has no room in a record, or the record none in the page.
    pub(crate) fn push(
        &mut self,
        seq: u64,
        record: &Record,
        names: &Names<'_>,
    ) -> Result<(), Fault> {
        if self.places.is_empty() {
            self.moment = record.at.0;
        }
        let place = u16::try_from(self.records.len()).map_err(|_| no_room())?;
        let sides = Sides::of(record.debit, record.credit)?;
        let shape = self.shape(sides.shape(record, names))?;
        let prev = if sides.debit_user.is_some() {
            record.debit_prev
        } else {
            record.credit_prev
        };
        let since = record
            .occurred_at
            .map_or(0, |at| zigzag(record.at.0.wrapping_sub(at.0)));
        let own = [
            record.amount.0.cast_unsigned(),
            record.balance.0.cast_unsigned(),
            since,
            distance(seq, prev),
            zigzag(record.at.0.wrapping_sub(self.moment)),
        ];
        self.records.push(shape);
        numbers::put(own, &mut self.records);
        if let Some(user) = sides.debit_user.or(sides.credit_user) {
            self.records.extend_from_slice(&user.to_le_bytes());
        }
        self.tail(seq, record, names, &sides);
        self.places.push(place);
        Ok(())
    }

    /// What few records have, and names.
    fn tail(&mut self, seq: u64, record: &Record, names: &Names<'_>, sides: &Sides) {
        let out = &mut self.records;
        if let (Some(_), Some(other)) = (sides.debit_user, sides.credit_user) {
            out.extend_from_slice(&other.to_le_bytes());
            out.extend_from_slice(&distance(seq, record.credit_prev).to_le_bytes());
        }
        if let Some(day) = record.matures_on {
            out.extend_from_slice(&day.0.to_le_bytes());
        }
        match names.event {
            Some((_, EventName::Packed(_, id))) => out.extend_from_slice(&id),
            Some((_, EventName::Text(text))) => {
                out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
                out.extend_from_slice(text.as_bytes());
            }
            None => {}
        }
        if let Some(original) = names.reverses {
            out.extend_from_slice(&original.to_le_bytes());
        }
        if let Some(kind) = names.kind {
            out.extend_from_slice(&u32::try_from(kind.0).unwrap_or(u32::MAX).to_le_bytes());
        }
        if let Some(payout) = names.payout {
            out.extend_from_slice(&payout.to_bits().to_le_bytes());
        }
        if let Some(request) = &names.request {
            write_request(request, out);
        }
    }

    /// The number of a shape; a new one is added.
    fn shape(&mut self, shape: [u8; SHAPE_BYTES]) -> Result<u8, Fault> {
        let known = self.shapes.iter().position(|known| *known == shape);
        let number = known.unwrap_or_else(|| {
            self.shapes.push(shape);
            self.shapes.len() - 1
        });
        u8::try_from(number).map_err(|_| no_room())
    }

    /// An entry by its place; `first` is the number of the first.
    pub(crate) fn line(&self, first: u64, place: usize) -> Option<(Record, Names<'_>)> {
        let begin = usize::from(*self.places.get(place)?);
        let read = Read {
            moment: self.moment,
            seq: first + place as u64,
        };
        let rest = self.records.get(begin..)?;
        let shape = self.shapes.get(usize::from(*rest.first()?))?;
        read.line(shape, rest.get(1..)?)
    }

    /// The finished body.
    pub(crate) fn finish(&self) -> Vec<u8> {
        let head = HEAD_BYTES + self.shapes.len() * SHAPE_BYTES;
        let length = head + self.places.len() * PLACE_BYTES + self.records.len();
        let mut body = Vec::with_capacity(length);
        body.push(MARK);
        body.push(u8::try_from(self.shapes.len()).unwrap_or(u8::MAX));
        body.extend_from_slice(&self.moment.to_le_bytes());
        self.shapes
            .iter()
            .for_each(|shape| body.extend_from_slice(shape));
        self.places
            .iter()
            .for_each(|place| body.extend_from_slice(&place.to_le_bytes()));
        body.extend_from_slice(&self.records);
        body
    }

    /// Empties it for the next page.
    pub(crate) fn clear(&mut self) {
        self.shapes.clear();
        self.places.clear();
        self.records.clear();
    }
}

fn no_room() -> Fault {
    Fault::Broken("an entry does not find room in a page".into())
}

/// The entry at that place of a body of so many entries, the first of which has the number
/// `first`.
pub(crate) fn line(
    body: &[u8],
    first: u64,
    count: usize,
    place: usize,
) -> Option<(Record, Names<'_>)> {
    let (head, rest) = body.split_first_chunk::<HEAD_BYTES>()?;
    let [_, shapes, moment @ ..] = *head;
    let (shapes, rest) = rest.split_at_checked(usize::from(shapes) * SHAPE_BYTES)?;
    let (places, records) = rest.split_at_checked(count * PLACE_BYTES)?;
    let begin = places
        .get(place * PLACE_BYTES..)?
        .first_chunk::<PLACE_BYTES>()?;
    let record = records.get(usize::from(u16::from_le_bytes(*begin))..)?;
    let (shape, rest) = record.split_first()?;
    let shape = shapes.get(usize::from(*shape) * SHAPE_BYTES..)?;
    let read = Read {
        moment: i64::from_le_bytes(moment),
        seq: first + place as u64,
    };
    read.line(shape.first_chunk()?, rest)
}

/// The numbers of an entry's users, as records have them.
struct Sides {
    debit: (u8, u32),
    credit: (u8, u32),
    debit_user: Option<u32>,
    /// Where it is not the debit's user.
    credit_user: Option<u32>,
}

impl Sides {
    fn of(debit: Account, credit: Account) -> Result<Sides, Fault> {
        let (debit_no, credit_no) = (number(debit)?, number(credit)?);
        let debit_user = debit.user().map(|_| debit_no.1);
        let credit_user = credit.user().map(|_| credit_no.1);
        let is_same = debit_user.is_some() && debit_user == credit_user;
        Ok(Sides {
            debit: (debit_no.0, debit_user.map_or(debit_no.1, |_| 0)),
            credit: match credit_user {
                Some(_) if is_same => (credit_no.0, SAME_USER),
                Some(_) => (credit_no.0, 0),
                None => credit_no,
            },
            debit_user,
            credit_user: credit_user.filter(|_| !is_same),
        })
    }

    /// What the entry has in common with others.
    fn shape(&self, record: &Record, names: &Names<'_>) -> [u8; SHAPE_BYTES] {
        let (source, form) = match names.event {
            Some((source, EventName::Packed(form, _))) => (source, form),
            Some((source, EventName::Text(_))) => (source, FORM_TEXT),
            None => (0, 0),
        };
        let mut shape = [0; SHAPE_BYTES];
        shape[0] = self.debit.0;
        shape[1] = self.credit.0;
        shape[2] = cause_no(record.cause);
        shape[3] = flags(record, names);
        shape[4..8].copy_from_slice(&self.debit.1.to_le_bytes());
        shape[8..12].copy_from_slice(&self.credit.1.to_le_bytes());
        shape[12..15].copy_from_slice(&source.to_le_bytes()[..3]);
        shape[15] = form;
        shape
    }
}

fn number(account: Account) -> Result<(u8, u32), Fault> {
    let (class, owner) = account.code();
    let out_of_range = |_| Fault::Broken("the number of an account is out of range".into());
    Ok((
        u8::try_from(class).map_err(out_of_range)?,
        u32::try_from(owner).map_err(out_of_range)?,
    ))
}

/// How far back an entry is; zero where there is none.
fn distance(seq: u64, prev: u64) -> u64 {
    if prev == 0 { 0 } else { seq.wrapping_sub(prev) }
}

/// The other way round.
fn before(seq: u64, distance: u64) -> u64 {
    if distance == 0 {
        0
    } else {
        seq.wrapping_sub(distance)
    }
}

/// What a record is read with beside its bytes.
struct Read {
    moment: i64,
    seq: u64,
}

impl Read {
    fn line<'a>(&self, shape: &[u8; SHAPE_BYTES], record: &'a [u8]) -> Option<(Record, Names<'a>)> {
        let flags = shape[3];
        let mut rest = record;
        let [amount, balance, since, back, after] = numbers::take(&mut rest)?;
        let (debit, credit, credit_prev) = self.sides(shape, &mut rest)?;
        let prev = before(self.seq, back);
        let (debit_prev, credit_prev) = match (debit.user(), credit.user()) {
            (Some(own), Some(other)) if own == other => (prev, prev),
            (Some(_), Some(_)) => (prev, credit_prev),
            (Some(_), None) => (prev, 0),
            (None, Some(_)) => (0, prev),
            (None, None) => (0, 0),
        };
        let at = self.moment.wrapping_add(unzigzag(after));
        let occurred_at = at.wrapping_sub(unzigzag(since));
        let matures_on = match flags & MATURES {
            0 => None,
            _ => Some(BusinessDate(i32::from_le_bytes(bytes(&mut rest)?))),
        };
        let record = Record {
            debit,
            credit,
            amount: Micros(amount.cast_signed()),
            cause: *CAUSES.get(usize::from(shape[2]))?,
            at: Timestamp(at),
            occurred_at: (flags & DATED != 0).then_some(Timestamp(occurred_at)),
            matures_on,
            counted: flags & COUNTED != 0,
            balance: Micros(balance.cast_signed()),
            debit_prev,
            credit_prev,
        };
        Some((record, names(shape, rest)?))
    }

    /// The accounts, and the entry before this one of the credit's user where that is another
    /// one than the debit's.
    fn sides(
        &self,
        shape: &[u8; SHAPE_BYTES],
        rest: &mut &[u8],
    ) -> Option<(Account, Account, u64)> {
        let owner = |at: usize| Some(u32::from_le_bytes(*shape.get(at..)?.first_chunk()?));
        let account =
            |class: u8, owner: u32| Account::from_code(i64::from(class), i64::from(owner));
        let (debit, credit) = (account(shape[0], owner(4)?)?, account(shape[1], owner(8)?)?);
        if debit.user().is_none() && credit.user().is_none() {
            return Some((debit, credit, 0));
        }
        let user = u32::from_le_bytes(bytes(rest)?);
        if debit.user().is_none() {
            return Some((debit, account(shape[1], user)?, 0));
        }
        let debit = account(shape[0], user)?;
        if credit.user().is_none() {
            return Some((debit, credit, 0));
        }
        if owner(8)? == SAME_USER {
            return Some((debit, account(shape[1], user)?, 0));
        }
        let other = account(shape[1], u32::from_le_bytes(bytes(rest)?))?;
        let back = u64::from_le_bytes(bytes(rest)?);
        Some((debit, other, before(self.seq, back)))
    }
}

/// What an entry names; `rest` begins with the names.
fn names<'a>(shape: &[u8; SHAPE_BYTES], mut rest: &'a [u8]) -> Option<Names<'a>> {
    let flags = shape[3];
    let event = match flags & EVENT {
        0 => None,
        _ => {
            let source = u32::from_le_bytes([shape[12], shape[13], shape[14], 0]);
            Some((source, EventName::read(shape[15], &mut rest)?))
        }
    };
    other_names(flags, event, rest)
}

#[cfg(test)]
mod tests {
    use lingqian_core::id::{KindNo, MerchantNo, PayoutId, UserNo};
    use lingqian_core::ledger::Cause;

    use super::super::{Keyed, Request};
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
            credit_prev: 1,
        }
    }

    /// Every kind of sides, and numbers of every length.
    fn records() -> Vec<Record> {
        let (one, two) = (UserNo(0), UserNo(i64::from(u32::MAX)));
        let sides = [
            (Account::Funding(KindNo(7)), Account::Available(one)),
            (Account::Available(one), Account::Held(one)),
            (Account::Available(two), Account::Held(two)),
            (Account::Available(one), Account::Available(two)),
            (Account::Held(two), Account::Clearing(MerchantNo(3))),
            (Account::Suspense, Account::Funding(KindNo(u32::MAX.into()))),
        ];
        let mut records = Vec::new();
        for (place, (debit, credit)) in sides.into_iter().cycle().take(60).enumerate() {
            let own = 1_i64 << place;
            let has = |account: Account| u64::from(account.user().is_some());
            let same = debit.user() == credit.user();
            records.push(Record {
                debit,
                credit,
                amount: Micros(own),
                at: Timestamp(1_772_424_000_000 - own),
                occurred_at: (place % 3 > 0).then_some(Timestamp(own)),
                matures_on: (place % 5 > 3).then_some(BusinessDate(-7)),
                counted: place % 2 > 0,
                balance: Micros(own - 1),
                debit_prev: has(debit) * 7,
                credit_prev: has(credit) * if same { 7 } else { 9 },
                ..record()
            });
        }
        records
    }

    fn all_names() -> Vec<Names<'static>> {
        let request = |reference, key| Names {
            payout: Some(PayoutId::new(Timestamp(1), 77)),
            request: Some(Request { reference, key }),
            ..Names::default()
        };
        let key = Keyed {
            scope: "",
            key: "any text, also 零钱",
            digest: &[7; 32],
        };
        vec![
            Names::default(),
            Names {
                event: Some((70_000, EventName::of("order-1"))),
                reverses: Some(9),
                kind: Some(KindNo(12)),
                payout: Some(PayoutId::new(Timestamp(1), 77)),
                request: None,
            },
            request("order-1", Some(key)),
            request("order-2", None),
            Names {
                event: Some((1, EventName::of("0198d5a2-7c1e-7000-8000-0123456789ab"))),
                ..Names::default()
            },
        ]
    }

    #[test]
    fn records_and_their_names_read_back_from_the_draft_and_from_the_page() {
        let first = 1_000_000_000_000;
        let mut writer = Writer::with_room(100);
        let (records, names) = (records(), all_names());
        let lines: Vec<_> = records.iter().zip(names.iter().cycle()).collect();
        for turn in 0..2 {
            for (seq, (record, names)) in (first..).zip(&lines) {
                writer.push(seq, record, names).expect("it has room");
            }
            let body = writer.finish();
            assert!(
                body.len() <= writer.bytes_after_next() - RECORD_BYTES_MAX,
                "turn {turn}"
            );
            for (place, (record, names)) in lines.iter().enumerate() {
                let expected = Some((**record, **names));
                assert_eq!(writer.line(first, place), expected);
                assert_eq!(line(&body, first, lines.len(), place), expected);
            }
            assert_eq!(line(&body, first, lines.len(), lines.len()), None);
            writer.clear();
            assert_eq!((writer.count(), writer.line(first, 0)), (0, None));
        }
    }

    #[test]
    fn an_ordinary_earning_takes_few_bytes() {
        let mut writer = Writer::with_room(8_000);
        let names = Names {
            event: Some((1, EventName::of("0198d5a2-7c1e-7000-8000-0123456789ab"))),
            ..Names::default()
        };
        let record = Record {
            amount: Micros(12_000),
            occurred_at: Some(Timestamp(1_772_423_999_000)),
            matures_on: None,
            balance: Micros(5_000_000),
            ..record()
        };
        let before = writer.bytes_after_next();
        writer
            .push(2_000_000, &record, &names)
            .expect("it has room");
        let shape = SHAPE_BYTES;
        assert_eq!(
            writer.bytes_after_next() - before,
            shape + 2 + 7 + 2 + 3 + 2 + 3 + 16
        );
    }

    #[test]
    fn what_has_no_room_is_refused() {
        let mut writer = Writer::with_room(0);
        let homeless = Record {
            credit: Account::Available(UserNo(1 << 32)),
            ..record()
        };
        let refused = writer.push(9, &homeless, &Names::default());
        assert!(matches!(refused, Err(Fault::Broken(_))));
    }

    #[test]
    fn bytes_that_were_never_written_are_no_entry() {
        let mut writer = Writer::with_room(0);
        writer
            .push(9, &record(), &all_names()[1])
            .expect("it has room");
        let body = writer.finish();
        for length in 0..body.len() {
            assert_eq!(line(&body[..length], 9, 1, 0), None, "{length}");
        }
    }
}
