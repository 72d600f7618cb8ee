//! Entries that were rows become pages, in their order.

use lingqian_core::changes::Posting;
use lingqian_core::earning::Booking;
use lingqian_core::id::{EventId, KindNo, Source};
use lingqian_core::ledger::{Account, Entry};
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_io::Fault;
use rusqlite::{Connection, params};

use crate::codec::{damaged, entry, fault, get, id};
use crate::ids::{RECENT_IDS, fingerprint};
use crate::ledger::{Ledger, Leg, Marks, about_payout, users};
use crate::page::{Hash, NO_HASH};
use crate::prefetch::cached;
use crate::record::EventName;
use crate::sql;

/// Entries that are written at a time.
const BATCH: u64 = 8_192;

/// Carries every row over. The caller holds the transaction, in which the tables of both forms
/// exist.
pub(super) fn convert(connection: &Connection) -> Result<(), Fault> {
    let mut ledger = Ledger::load(connection, RECENT_IDS)?;
    let mut query = cached(connection, sql!("row_entries"))?;
    let mut rows = query.query([]).map_err(fault)?;
    let (mut hash, mut since) = (NO_HASH, 0);
    let mut insert = cached(connection, sql!("insert_payout_entry"))?;
    let mut today = BusinessDate::default();
    while let Some(row) = rows.next().map_err(fault)? {
        let (seq, entry) = entry(row, 0)?;
        if u64::try_from(seq) != Ok(ledger.last() + 1) {
            return Err(damaged("entries.seq"));
        }
        for user in users(entry.debit(), entry.credit()) {
            ledger.accounts.load(connection, user)?;
        }
        match get::<Option<String>>(row, 9)? {
            None => {
                ledger.append(&Leg::of(&entry), &about_payout(entry.payout()))?;
            }
            Some(source) => {
                let source = id(&source, Source::parse, "earnings.source")?;
                let event = id(
                    &get::<String>(row, 10)?,
                    EventId::parse,
                    "earnings.event_id",
                )?;
                let occurred_at = get::<Option<i64>>(row, 11)?.map(Timestamp);
                book(&mut ledger, &entry, (&source, &event), occurred_at)?;
            }
        }
        if let Some(payout) = entry.payout() {
            let values = params![payout.to_string(), seq];
            insert.execute(values).map_err(fault)?;
        }
        since += 1;
        today = today.max(entry.at().business_date());
        if since == BATCH {
            hash = write(&mut ledger, (connection, &hash), today)?;
            since = 0;
        }
    }
    write(&mut ledger, (connection, &hash), today).map(|_| ())
}

/// Writes what came since the last time; no memory keeps it. Tells the hash of the last page.
fn write(
    ledger: &mut Ledger,
    (connection, before): (&Connection, &Hash),
    today: BusinessDate,
) -> Result<Hash, Fault> {
    let batch = ledger.batch(today);
    let hash = batch.write(connection, before)?;
    ledger.is_durable(ledger.last());
    if let Some(sealed) = &batch.sealed {
        ledger.ids.stored(sealed.number);
    }
    Ok(hash)
}

fn book(
    ledger: &mut Ledger,
    entry: &Entry,
    (source, event): (&Source, &EventId),
    occurred_at: Option<Timestamp>,
) -> Result<(), Fault> {
    let (Account::Funding(kind), Account::Available(user)) = (entry.debit(), entry.credit()) else {
        return Err(damaged("earnings.entry_seq"));
    };
    let Posting { first, .. } = Posting::from(entry.clone());
    let booking = Booking {
        amount: first.amount(),
        first: lingqian_core::earning::Leg {
            debit: first.debit(),
            credit: first.credit(),
            amount: first.amount(),
            cause: first.cause(),
        },
        second: None,
        counted: None,
        matures_on: None,
        cooling: None,
    };
    let marks = Marks {
        source: ledger.source_no(source.as_str())?,
        id: EventName::of(event.as_str()),
        fingerprint: fingerprint(&ledger.key, source.as_str(), event.as_str()),
        user,
        kind: KindNo(kind.0),
        occurred_at,
        reverses: None,
    };
    ledger.book(entry.at(), &booking, &marks).map(|_| ())
}
