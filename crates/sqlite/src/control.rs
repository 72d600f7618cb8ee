//! What is stopped, what was done by hand, and what merchants were told to pay, as rows.

use lingqian_core::Changes;
use lingqian_core::control::{Act, Actor, Deed, Scope, Stop, StopCause};
use lingqian_core::id::MerchantNo;
use lingqian_core::money::Fen;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_io::Fault;
use rusqlite::{Connection, Row, params};

use crate::codec::{damaged, day, fen, get, id, rows};
use crate::commit::run;
use crate::prefetch::cached;
use crate::sql;

/// Writes what changed of it.
pub(crate) fn write(connection: &Connection, changes: &Changes) -> Result<(), Fault> {
    let mut upsert = cached(connection, sql!("upsert_stop"))?;
    for stop in &changes.stops {
        let values = params![
            stop.scope.to_string(),
            stop.cause.name(),
            stop.act.actor.as_str(),
            stop.act.reason,
            stop.since.0,
            stop.probe_at.map(|at| at.0),
            stop.probes,
            stop.lifted_at.map(|at| at.0),
        ];
        run(&mut upsert, values)?;
    }
    let mut insert = cached(connection, sql!("insert_deed"))?;
    for deed in &changes.deeds {
        let values = params![
            deed.at.0,
            deed.actor.as_str(),
            deed.what,
            deed.subject,
            deed.reason,
            deed.before,
            deed.after,
        ];
        run(&mut insert, values)?;
    }
    let mut upsert = cached(connection, sql!("upsert_merchant_day"))?;
    for (merchant, day, amount) in &changes.merchant_days {
        run(&mut upsert, params![merchant.0, day.0, amount.0])?;
    }
    Ok(())
}

/// Stops by scope and cause; those in force, or all that there ever were.
pub(crate) fn stops(connection: &Connection, all: bool) -> Result<Vec<Stop>, Fault> {
    let mut query = cached(connection, sql!("stops"))?;
    rows(&mut query, [all], |row| {
        let (scope, cause): (String, String) = (get(row, 0)?, get(row, 1)?);
        Ok(Stop {
            scope: id(&scope, Scope::parse, "stops.scope")?,
            cause: StopCause::from_name(&cause).ok_or_else(|| damaged("stops.cause"))?,
            act: Act {
                actor: actor(row, 2)?,
                reason: get(row, 3)?,
            },
            since: Timestamp(get(row, 4)?),
            probe_at: get::<Option<i64>>(row, 5)?.map(Timestamp),
            probes: get(row, 6)?,
            lifted_at: get::<Option<i64>>(row, 7)?.map(Timestamp),
        })
    })
}

fn actor(row: &Row<'_>, index: usize) -> Result<Actor, Fault> {
    id(&get::<String>(row, index)?, Actor::parse, "an actor")
}

fn deed(row: &Row<'_>) -> Result<(i64, Deed), Fault> {
    let deed = Deed {
        at: Timestamp(get(row, 1)?),
        actor: actor(row, 2)?,
        what: get(row, 3)?,
        subject: get(row, 4)?,
        reason: get(row, 5)?,
        before: get(row, 6)?,
        after: get(row, 7)?,
    };
    Ok((get(row, 0)?, deed))
}

/// Deeds, newest first.
pub(crate) fn deeds(
    connection: &Connection,
    subject: Option<&str>,
    limit: u32,
) -> Result<Vec<Deed>, Fault> {
    let mut query = cached(connection, sql!("deeds"))?;
    let found = rows(&mut query, params![subject, limit], deed)?;
    Ok(found.into_iter().map(|(_, deed)| deed).collect())
}

/// Deeds after one, oldest first, each with its number.
pub(crate) fn deeds_after(
    connection: &Connection,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, Deed)>, Fault> {
    let mut query = cached(connection, sql!("deeds_after"))?;
    rows(&mut query, params![after, limit], deed)
}

/// What merchants were told to pay on that day and later ones.
pub(crate) fn merchant_days(
    connection: &Connection,
    since: BusinessDate,
) -> Result<Vec<(MerchantNo, BusinessDate, Fen)>, Fault> {
    let mut query = cached(connection, sql!("merchant_days"))?;
    rows(&mut query, [since.0], |row| {
        Ok((MerchantNo(get(row, 0)?), day(get(row, 1)?)?, fen(row, 2)?))
    })
}

/// The closed days of bills.
pub(crate) fn closed_bills(
    connection: &Connection,
) -> Result<Vec<(MerchantNo, BusinessDate)>, Fault> {
    let mut query = cached(connection, sql!("closed_bills"))?;
    rows(&mut query, [], |row| {
        Ok((MerchantNo(get(row, 0)?), day(get(row, 1)?)?))
    })
}
