//! What is stopped, what was done by hand, and what merchants were told to pay, as rows.

use lingqian_core::Changes;
use lingqian_core::control::{Act, Actor, Deed, Scope, Stop, StopCause};
use lingqian_core::id::MerchantNo;
use lingqian_core::money::Fen;
use lingqian_core::time::BusinessDate;
use lingqian_io::Fault;
use tokio_postgres::Row;

use crate::browse::all;
use crate::codec::{damaged, fen, get, id, moment, moment_maybe, number, text};
use crate::commit::Refused;
use crate::pool::{Session, Values};
use crate::sql;

/// Writes what changed of it: few, one by one.
pub(crate) async fn write(session: &Session, changes: &Changes) -> Result<(), Refused> {
    for stop in &changes.stops {
        let (probe, lifted) = (stop.probe_at.map(|at| at.0), stop.lifted_at.map(|at| at.0));
        let values: Values<'_> = &[
            &stop.scope.to_string(),
            &stop.cause.name(),
            &stop.act.actor.as_str(),
            &stop.act.reason,
            &stop.since.0,
            &probe,
            &i64::from(stop.probes),
            &lifted,
        ];
        session.run(sql!("upsert_stop"), values).await?;
    }
    for deed in &changes.deeds {
        let values: Values<'_> = &[
            &deed.at.0,
            &deed.actor.as_str(),
            &deed.what,
            &deed.subject,
            &deed.reason,
            &deed.before,
            &deed.after,
        ];
        session.run(sql!("insert_deed"), values).await?;
    }
    // Of several sums of one day the last is kept.
    let days: std::collections::BTreeMap<_, Fen> = changes
        .merchant_days
        .iter()
        .map(|(merchant, day, amount)| ((*merchant, *day), *amount))
        .collect();
    for ((merchant, day), amount) in days {
        let values: Values<'_> = &[&merchant.0, &day.0, &amount.0];
        session.run(sql!("upsert_merchant_day"), values).await?;
    }
    Ok(())
}

/// Stops by scope and cause; those in force, or all that there ever were.
pub(crate) async fn stops(session: &Session, with_lifted: bool) -> Result<Vec<Stop>, Fault> {
    all(session, sql!("stops"), &[&with_lifted], |row| {
        Ok(Stop {
            scope: id(text(row, 0)?, Scope::parse, "stops.scope")?,
            cause: StopCause::from_name(text(row, 1)?).ok_or_else(|| damaged("stops.cause"))?,
            act: Act {
                actor: id(text(row, 2)?, Actor::parse, "stops.actor")?,
                reason: get(row, 3)?,
            },
            since: moment(row, 4)?,
            probe_at: moment_maybe(row, 5)?,
            probes: number(row, 6)?,
            lifted_at: moment_maybe(row, 7)?,
        })
    })
    .await
}

fn deed(row: &Row) -> Result<(i64, Deed), Fault> {
    let deed = Deed {
        at: moment(row, 1)?,
        actor: id(text(row, 2)?, Actor::parse, "deeds.actor")?,
        what: get(row, 3)?,
        subject: get(row, 4)?,
        reason: get(row, 5)?,
        before: get(row, 6)?,
        after: get(row, 7)?,
    };
    Ok((get(row, 0)?, deed))
}

/// Deeds, newest first.
pub(crate) async fn deeds(
    session: &Session,
    subject: Option<&str>,
    limit: u32,
) -> Result<Vec<Deed>, Fault> {
    let values: Values<'_> = &[&subject, &i64::from(limit)];
    let found = all(session, sql!("deeds"), values, deed).await?;
    Ok(found.into_iter().map(|(_, deed)| deed).collect())
}

/// Deeds after one, oldest first, each with its number.
pub(crate) async fn deeds_after(
    session: &Session,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, Deed)>, Fault> {
    all(session, sql!("deeds_after"), &[&after, &limit], deed).await
}

/// What merchants were told to pay on that day and later ones.
pub(crate) async fn merchant_days(
    session: &Session,
    since: BusinessDate,
) -> Result<Vec<(MerchantNo, BusinessDate, Fen)>, Fault> {
    all(session, sql!("merchant_days"), &[&since.0], |row| {
        let day = BusinessDate(get(row, 1)?);
        Ok((MerchantNo(get(row, 0)?), day, fen(row, 2)?))
    })
    .await
}

/// The closed days of bills.
pub(crate) async fn closed_bills(
    session: &Session,
) -> Result<Vec<(MerchantNo, BusinessDate)>, Fault> {
    all(session, sql!("closed_bills"), &[], |row| {
        Ok((MerchantNo(get(row, 0)?), BusinessDate(get(row, 1)?)))
    })
    .await
}
