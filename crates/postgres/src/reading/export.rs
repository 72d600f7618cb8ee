//! Entries in their order for somebody else's file, each batch proved before.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;

use futures_util::TryStreamExt as _;
use lingqian_core::ledger::{Account, Entry};
use lingqian_core::time::BusinessDate;
use lingqian_io::Fault;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::chain::EventKey;
use crate::codec::{damaged, get};
use crate::fault::fault;
use crate::pool::Session;
use crate::reading::Reading;
use crate::reading::walk::{Verified, Walk};
use crate::sql;

/// Columns of the query; what follows them is known from the walk.
const COLUMNS: usize = 23;
/// The place of the entry that is taken back.
const REVERSES: usize = 19;
/// The place of the source and of the event that is taken back in the rows of a walk.
const NAMES: (usize, usize) = (11, 16);

/// A value of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'r> {
    /// Nothing.
    Empty,
    /// A whole number.
    Integer(i64),
    /// Text.
    Text(&'r str),
}

/// What was exported, and what ties it to the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// How many entries.
    pub entries: u64,
    /// What they moved, all together.
    pub sum_micros: i128,
    /// The first of them.
    pub first_seq: Option<u64>,
    /// The last of them.
    pub last_seq: Option<u64>,
    /// How far the chain was proved.
    pub verified: Verified,
}

/// Who takes exported entries.
pub trait Taker {
    /// What stops an export.
    type Error;

    /// Whether this entry, recorded on this business day, is wanted.
    fn wants(&self, seq: u64, day: BusinessDate) -> bool;

    /// One entry by its columns.
    ///
    /// # Errors
    /// When it cannot be taken; nothing more is read then.
    fn entry(&mut self, values: &[Value<'_>]) -> Result<(), Self::Error>;

    /// So many entries of the books were looked at. Whether more are wanted is the answer.
    fn at(&mut self, entries: u64) -> bool;
}

/// Why an export ended early.
#[derive(Debug)]
pub enum Stopped<E> {
    /// The books could not be read, or a batch does not fit.
    Books(Fault),
    /// An entry could not be taken.
    Taker(E),
}

impl<E> From<Fault> for Stopped<E> {
    fn from(fault: Fault) -> Self {
        Stopped::Books(fault)
    }
}

/// What the walk knows of wanted entries and no row tells.
#[derive(Default)]
struct Known {
    /// What every user has, so far.
    available: HashMap<i64, i64>,
    /// Of the entries of these batches: what the subject had after each that is wanted.
    after: BTreeMap<i64, Option<i64>>,
    /// Which events wanted entries take back.
    reverses: Vec<(i64, EventKey)>,
}

impl Known {
    fn see(&mut self, row: &Row, seq: i64, entry: &Entry, wanted: bool) -> Result<(), Fault> {
        let amount = entry.amount().0;
        for (account, moved) in [(entry.debit(), -amount), (entry.credit(), amount)] {
            if let Account::Available(user) = account {
                let balance = self.available.entry(user.0).or_default();
                *balance = balance.wrapping_add(moved);
            }
        }
        if !wanted {
            return Ok(());
        }
        let subject = entry.debit().user().or(entry.credit().user());
        let has = |user: i64| self.available.get(&user).copied().unwrap_or(0);
        self.after.insert(seq, subject.map(|user| has(user.0)));
        if let Some(event) = get::<Option<String>>(row, NAMES.1)? {
            let source: Option<String> = get(row, NAMES.0)?;
            let source = source.ok_or_else(|| damaged("entries.source"))?;
            self.reverses.push((seq, EventKey::of(&source, &event)));
        }
        Ok(())
    }
}

impl Reading {
    /// Hands over the wanted entries in their order, each batch proved before.
    ///
    /// # Errors
    /// When the books cannot be read, a batch does not fit, or an entry cannot be taken.
    pub async fn export<T: Taker>(&self, taker: &mut T) -> Result<Exported, Stopped<T::Error>> {
        let mut session = self.moment().await?;
        let (mut walk, mut known) = (Walk::new(None), Known::default());
        let mut exported = Exported {
            entries: 0,
            sum_micros: 0,
            first_seq: None,
            last_seq: None,
            verified: walk.verified.clone(),
        };
        loop {
            let wants = &*taker;
            let mut see = |row: &Row, seq: i64, entry: &Entry| {
                let day = entry.at().business_date();
                let wanted = wants.wants(seq.unsigned_abs(), day);
                known.see(row, seq, entry, wanted)
            };
            let Some(batches) = walk.some(&session, &mut see).await? else {
                break;
            };
            hand(&session, &mut known, &batches, (taker, &mut exported)).await?;
            if !taker.at(walk.verified.entries) {
                break;
            }
        }
        if let Some(misfit) = &walk.verified.misfit {
            return Err(Stopped::Books(Fault::Broken(misfit.to_string())));
        }
        session.end().await?;
        exported.verified = walk.verified;
        Ok(exported)
    }
}

/// Hands over the wanted entries of proved batches.
async fn hand<T: Taker>(
    session: &Session,
    known: &mut Known,
    batches: &[(i64, i64)],
    (taker, exported): (&mut T, &mut Exported),
) -> Result<(), Stopped<T::Error>> {
    let mut reverses = HashMap::new();
    for (seq, key) in known.reverses.drain(..) {
        let row = session.first(sql!("credited_at"), &[&key]).await?;
        let original: Option<i64> = row.map(|row| get(&row, 0)).transpose()?;
        reverses.insert(seq, original);
    }
    let after = std::mem::take(&mut known.after);
    let (Some((first, _)), Some((last, _))) = (after.first_key_value(), after.last_key_value())
    else {
        return Ok(());
    };
    let range = (first - 1, *last);
    let query = sql!("export_entries");
    let mut rows = pin!(session.stream(query, &[&range.0, &range.1]).await?);
    let mut pages = batches.iter().peekable();
    while let Some(row) = rows.try_next().await.map_err(fault)? {
        let seq: i64 = get(&row, 0)?;
        let Some(balance) = after.get(&seq) else {
            continue;
        };
        while pages.next_if(|(_, last)| *last < seq).is_some() {}
        let page = pages.peek().ok_or_else(|| damaged("batches"))?;
        let mut values = (0..COLUMNS)
            .map(|column| value(&row, column))
            .collect::<Result<Vec<_>, Fault>>()?;
        let number = |number: Option<i64>| number.map_or(Value::Empty, Value::Integer);
        values[REVERSES] = number(reverses.get(&seq).copied().flatten());
        values.extend([
            number(*balance),
            Value::Integer(page.0),
            Value::Integer(page.1),
        ]);
        taker.entry(&values).map_err(Stopped::Taker)?;
        exported.entries += 1;
        exported.sum_micros += i128::from(get::<i64>(&row, 5)?);
        exported.first_seq.get_or_insert(seq.unsigned_abs());
        exported.last_seq = Some(seq.unsigned_abs());
    }
    Ok(())
}

fn value(row: &Row, column: usize) -> Result<Value<'_>, Fault> {
    let place = &row.columns()[column];
    let wrong = |_| damaged(place.name());
    Ok(if *place.type_() == Type::INT8 {
        let number: Option<i64> = row.try_get(column).map_err(wrong)?;
        number.map_or(Value::Empty, Value::Integer)
    } else {
        let text: Option<&str> = row.try_get(column).map_err(wrong)?;
        text.map_or(Value::Empty, Value::Text)
    })
}
