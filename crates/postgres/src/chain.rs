//! The chain of batches: what is hashed, byte for byte, so that anybody can compute it again
//! from the table of entries.

use std::error::Error;

use bytes::{BufMut as _, BytesMut};
use lingqian_core::id::{EventId, Source};
use lingqian_core::ledger::Entry;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// The hash before the first batch.
pub(crate) const GENESIS: [u8; 32] = [0; 32];

/// The hash of a batch: BLAKE3 over the hash of the batch before it and the batch's content.
/// The content is the batch's number, how many entries it has, and each entry in the order of
/// the numbers, as [`Hasher::entry`] writes it.
pub(crate) struct Hasher(blake3::Hasher);

impl Hasher {
    /// Begins the content of a batch.
    pub(crate) fn new(before: &[u8; 32], batch_no: i64, entries: i64) -> Hasher {
        let mut hasher = blake3::Hasher::new();
        hasher.update(before);
        hasher.update(&batch_no.to_be_bytes());
        hasher.update(&entries.to_be_bytes());
        Hasher(hasher)
    }

    /// Adds an entry: its number; class and owner of the debit account, then of the credit
    /// account; the amount in micro-yuan; the moment in milliseconds: seven signed 64-bit
    /// numbers, the highest byte first. Then the cause and the payout (nothing if there is
    /// none), each as one byte of length and its ASCII letters.
    pub(crate) fn entry(&mut self, seq: i64, entry: &Entry) {
        let (debit, credit) = (entry.debit().code(), entry.credit().code());
        let mut bytes = [0_u8; 128];
        let mut length = 0;
        let mut put = |part: &[u8]| {
            bytes[length..length + part.len()].copy_from_slice(part);
            length += part.len();
        };
        for number in [
            seq,
            debit.0,
            debit.1,
            credit.0,
            credit.1,
            entry.amount().0,
            entry.at().0,
        ] {
            put(&number.to_be_bytes());
        }
        let payout = entry.payout().map(|payout| payout.to_string());
        for word in [entry.cause().name(), payout.as_deref().unwrap_or_default()] {
            put(&[u8::try_from(word.len()).expect("names are short")]);
            put(word.as_bytes());
        }
        self.0.update(&bytes[..length]);
    }

    /// The hash.
    pub(crate) fn finish(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

/// The name of an event for ever, in sixteen bytes: the first half of the BLAKE3 of source, a
/// line end, and event id. Neither can hold a line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EventKey(pub(crate) [u8; 16]);

impl EventKey {
    /// The key of an event.
    pub(crate) fn of(source: &str, event: &str) -> EventKey {
        let (source, event) = (source.as_bytes(), event.as_bytes());
        let mut bytes = [0_u8; Source::LENGTH_MAX + 1 + EventId::LENGTH_MAX];
        let end = source.len() + 1 + event.len();
        bytes[..source.len()].copy_from_slice(source);
        bytes[source.len()] = b'\n';
        bytes[source.len() + 1..end].copy_from_slice(event);
        let hash = blake3::hash(&bytes[..end]);
        let mut key = [0; 16];
        key.copy_from_slice(&hash.as_bytes()[..16]);
        EventKey(key)
    }

    /// What the pair of key and entry adds to a sum over all of them, in any order.
    pub(crate) fn weight(self, seq: i64) -> u128 {
        let odd = u128::from(seq.unsigned_abs())
            .wrapping_mul(2)
            .wrapping_add(1);
        u128::from_be_bytes(self.0).wrapping_mul(odd)
    }
}

impl ToSql for EventKey {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::UUID
    }

    to_sql_checked!();
}

impl FromSql<'_> for EventKey {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(EventKey(raw.try_into()?))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::UUID
    }
}
