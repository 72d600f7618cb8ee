//! One entry as a page holds it, and what its names say. The forms are told in FORMAT.md and
//! never change; numbers are little-endian.

pub(crate) mod dense;
mod event_name;
pub(crate) mod fixed;
mod request;

use lingqian_core::id::{KindNo, PayoutId, UserNo};
use lingqian_core::ledger::{Account, Cause, Entry};
use lingqian_core::money::Micros;
use lingqian_core::time::{BusinessDate, Timestamp};

use crate::numbers::bytes;
pub(crate) use event_name::EventName;
use request::read_request;
pub(crate) use request::{Keyed, Request};

/// Set where the app said when the event happened.
const DATED: u8 = 1;
/// Set where an event is named.
const EVENT: u8 = 2;
/// Set where a payout is named.
const PAYOUT: u8 = 4;
/// Set where the entry of an event that is taken back is named.
const REVERSES: u8 = 8;
/// Set where the kind of a transfer is named; earnings have it among their accounts.
const KIND: u8 = 16;
/// Set where the event counted towards its user's day.
const COUNTED: u8 = 32;
/// Set where the request that a hold was made for is named.
const REQUEST: u8 = 64;
/// Set where the amount cools off until a day, or no longer does.
const MATURES: u8 = 128;

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

/// What an entry names.
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

/// The flags of an entry.
fn flags(record: &Record, names: &Names<'_>) -> u8 {
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    flag(record.occurred_at.is_some(), DATED)
        | flag(names.event.is_some(), EVENT)
        | flag(names.payout.is_some(), PAYOUT)
        | flag(names.reverses.is_some(), REVERSES)
        | flag(names.kind.is_some(), KIND)
        | flag(record.counted, COUNTED)
        | flag(names.request.is_some(), REQUEST)
        | flag(record.matures_on.is_some(), MATURES)
}

/// The names of an entry whose event was read: what the other flags say is next.
fn other_names<'a>(
    flags: u8,
    event: Option<(u32, EventName<'a>)>,
    mut rest: &'a [u8],
) -> Option<Names<'a>> {
    let mut names = Names {
        event,
        ..Names::default()
    };
    if flags & REVERSES != 0 {
        names.reverses = Some(u64::from_le_bytes(bytes(&mut rest)?));
    }
    if flags & KIND != 0 {
        let kind = u32::from_le_bytes(bytes(&mut rest)?);
        names.kind = Some(KindNo(i64::from(kind)));
    }
    if flags & PAYOUT != 0 {
        let payout = u128::from_le_bytes(bytes(&mut rest)?);
        names.payout = Some(PayoutId::from_bits(payout));
    }
    if flags & REQUEST != 0 {
        names.request = Some(read_request(&mut rest)?);
    }
    Some(names)
}

impl Record {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_keep_their_numbers() {
        for (number, cause) in (0..).zip(CAUSES) {
            assert_eq!(cause_no(cause), number);
        }
        assert_eq!(CAUSES.len(), Cause::ALL.len());
    }
}
