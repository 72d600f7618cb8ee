//! Notices, endpoints and deliveries as rows.

use lingqian_core::Changes;
use lingqian_core::endpoint::{Endpoint, EndpointId, Scheme, Secret};
use lingqian_core::id::UserId;
use lingqian_core::notice::{Event, Notice, Told};
use lingqian_core::time::Timestamp;
use lingqian_core::user::Sealed;
use lingqian_io::Fault;
use lingqian_io::outbox::{Delivery, DeliveryLine, Ended, Health, Report, SinkLease, Wish};
use rusqlite::{Connection, Row, params};

use crate::codec::{damaged, fault, first, get, id, rows};
use crate::commit::run;
use crate::prefetch::cached;
use crate::sql;

/// Writes what the outside is told, and who is to hear of it.
pub(crate) fn write(connection: &Connection, changes: &Changes) -> Result<(), Fault> {
    for endpoint in &changes.endpoints {
        write_endpoint(connection, endpoint)?;
    }
    if changes.notices.is_empty() {
        return Ok(());
    }
    let mut insert = cached(connection, sql!("insert_notice"))?;
    for notice in &changes.notices {
        let values = params![
            notice.at.0,
            notice.event.name(),
            notice.subject,
            notice.user.as_ref().map(UserId::as_str),
            notice.version,
            notice.data,
        ];
        run(&mut insert, values)?;
    }
    Ok(())
}

fn write_endpoint(connection: &Connection, endpoint: &Endpoint) -> Result<(), Fault> {
    let id = endpoint.id.as_str();
    let off = endpoint.off.as_ref();
    let values = params![
        id,
        endpoint.url,
        endpoint.events.join(" "),
        endpoint.note,
        endpoint.created_at.0,
        off.map(|(since, _)| since.0),
        off.map(|(_, why)| why),
        endpoint.deleted,
        endpoint.after,
    ];
    run(&mut cached(connection, sql!("upsert_endpoint"))?, values)?;
    run(
        &mut cached(connection, sql!("delete_endpoint_secrets"))?,
        [id],
    )?;
    let mut insert = cached(connection, sql!("insert_endpoint_secret"))?;
    for (place, secret) in (0_i64..).zip(&endpoint.secrets) {
        let until = secret.until.map(|at| at.0);
        let (scheme, sealed) = (secret.scheme.name(), &secret.sealed.0);
        run(&mut insert, params![id, place, scheme, sealed, until])?;
    }
    if endpoint.deleted {
        run(&mut cached(connection, sql!("delete_deliveries"))?, [id])?;
    }
    Ok(())
}

/// A notice from its seven columns.
pub(crate) fn told(row: &Row<'_>) -> Result<Told, Fault> {
    let (event, user): (String, Option<String>) = (get(row, 2)?, get(row, 4)?);
    let user = user.map(|user| id(&user, UserId::parse, "notices.user_id"));
    let notice = Notice {
        at: Timestamp(get(row, 1)?),
        event: Event::from_name(&event).ok_or_else(|| damaged("notices.event"))?,
        subject: get(row, 3)?,
        user: user.transpose()?,
        version: get(row, 5)?,
        data: get(row, 6)?,
    };
    let number = get(row, 0)?;
    Ok(Told { number, notice })
}

/// Notices after a number.
pub(crate) fn notices(connection: &Connection, after: i64, limit: u32) -> Result<Vec<Told>, Fault> {
    let mut query = cached(connection, sql!("notices_after"))?;
    rows(&mut query, params![after, limit], told)
}

/// The number of the newest notice.
pub(crate) fn newest(connection: &Connection) -> Result<i64, Fault> {
    let newest = first(
        &mut *cached(connection, sql!("newest_notice"))?,
        [],
        |row| get(row, 0),
    )?;
    Ok(newest.unwrap_or(0))
}

fn moment(row: &Row<'_>, index: usize) -> Result<Option<Timestamp>, Fault> {
    Ok(get::<Option<i64>>(row, index)?.map(Timestamp))
}

/// An endpoint without its secrets, how it has been doing, and the first notice that it waits for.
fn endpoint(row: &Row<'_>) -> Result<(Endpoint, Health, Option<i64>), Fault> {
    let (name, events): (String, String) = (get(row, 0)?, get(row, 2)?);
    let off = match (moment(row, 5)?, get::<Option<String>>(row, 6)?) {
        (Some(since), Some(why)) => Some((since, why)),
        _ => None,
    };
    let endpoint = Endpoint {
        id: id(&name, EndpointId::parse, "endpoints.endpoint")?,
        url: get(row, 1)?,
        events: events.split_whitespace().map(str::to_owned).collect(),
        note: get(row, 3)?,
        secrets: Vec::new(),
        created_at: Timestamp(get(row, 4)?),
        off,
        deleted: get(row, 7)?,
        after: None,
    };
    let health = Health {
        planned_to: get(row, 8)?,
        failures: get(row, 9)?,
        paused_until: moment(row, 10)?,
        delivered_at: moment(row, 11)?,
        failed_at: moment(row, 12)?,
        failed_with: get(row, 13)?,
        pending: get::<i64>(row, 14)?.unsigned_abs(),
        given_up: get::<i64>(row, 15)?.unsigned_abs(),
    };
    Ok((endpoint, health, get(row, 16)?))
}

fn secret(row: &Row<'_>) -> Result<Secret, Fault> {
    let scheme: String = get(row, 0)?;
    Ok(Secret {
        scheme: Scheme::from_name(&scheme).ok_or_else(|| damaged("endpoint_secrets.scheme"))?,
        sealed: Sealed(get(row, 1)?),
        until: moment(row, 2)?,
    })
}

fn all_endpoints(
    connection: &Connection,
    with_deleted: bool,
) -> Result<Vec<(Endpoint, Health, Option<i64>)>, Fault> {
    let mut query = cached(connection, sql!("endpoints"))?;
    let mut found = rows(&mut query, [with_deleted], endpoint)?;
    let mut secrets = cached(connection, sql!("endpoint_secrets"))?;
    for (endpoint, ..) in &mut found {
        endpoint.secrets = rows(&mut secrets, [endpoint.id.as_str()], secret)?;
    }
    Ok(found)
}

/// The endpoints that are there.
pub(crate) fn endpoints(connection: &Connection) -> Result<Vec<(Endpoint, Health)>, Fault> {
    let found = all_endpoints(connection, false)?.into_iter();
    Ok(found
        .map(|(endpoint, health, _)| (endpoint, health))
        .collect())
}

/// Endpoints as another store commits them: each begins with what it did not take.
pub(crate) fn for_copy(connection: &Connection) -> Result<Vec<Endpoint>, Fault> {
    let found = all_endpoints(connection, true)?.into_iter();
    let copied = found.map(|(endpoint, health, open)| health.copied(endpoint, open));
    Ok(copied.collect())
}

/// What an endpoint did not take yet.
pub(crate) fn deliveries(
    connection: &Connection,
    endpoint: &EndpointId,
    after: i64,
    limit: u32,
) -> Result<Vec<DeliveryLine>, Fault> {
    let mut query = cached(connection, sql!("deliveries_of"))?;
    rows(
        &mut query,
        params![endpoint.as_str(), after, limit],
        |row| {
            Ok(DeliveryLine {
                number: get(row, 0)?,
                tries: get(row, 1)?,
                first_at: moment(row, 2)?,
                due_at: moment(row, 3)?,
                code: get(row, 4)?,
            })
        },
    )
}

/// Whether there is anything to plan.
pub(crate) fn is_behind(connection: &Connection) -> Result<bool, Fault> {
    let mut query = cached(connection, sql!("is_behind"))?;
    Ok(first(&mut query, [], |row| get(row, 0))?.unwrap_or(false))
}

/// Makes deliveries of what was told since.
pub(crate) fn plan(connection: &Connection, now: Timestamp, limit: u32) -> Result<u64, Fault> {
    let mut looked = 0;
    let mut insert = cached(connection, sql!("plan_delivery"))?;
    let mut planned = cached(connection, sql!("planned_to"))?;
    for (endpoint, health) in endpoints(connection)? {
        if endpoint.off.is_some() {
            continue;
        }
        let next = notices(connection, health.planned_to, limit)?;
        let Some(last) = next.last().map(|told| told.number) else {
            continue;
        };
        looked += next.len() as u64;
        for (number, lane) in endpoint.wanted(&next) {
            let values = params![endpoint.id.as_str(), number, lane, now.0];
            run(&mut insert, values)?;
        }
        run(&mut planned, params![endpoint.id.as_str(), last])?;
    }
    Ok(looked)
}

/// Leases what is due.
pub(crate) fn claim(connection: &Connection, wish: Wish) -> Result<Vec<Delivery>, Fault> {
    let mut query = cached(connection, sql!("due_deliveries"))?;
    let due = rows(&mut query, params![wish.now.0, wish.limit], |row| {
        let name: String = get(row, 7)?;
        Ok(Delivery {
            endpoint: id(&name, EndpointId::parse, "deliveries.endpoint")?,
            told: told(row)?,
            tries: get(row, 8)?,
            first_at: moment(row, 9)?,
        })
    })?;
    let mut lease = cached(connection, sql!("lease_delivery"))?;
    for delivery in &due {
        let (id, number) = (delivery.endpoint.as_str(), delivery.told.number);
        run(&mut lease, params![id, number, wish.lease_until.0])?;
    }
    Ok(due)
}

/// Keeps what came of tries.
pub(crate) fn report(connection: &Connection, reports: &[Report]) -> Result<(), Fault> {
    let mut delivered = cached(connection, sql!("delivered"))?;
    let mut not_delivered = cached(connection, sql!("not_delivered"))?;
    let mut well = cached(connection, sql!("endpoint_did_well"))?;
    let mut failed = cached(connection, sql!("endpoint_failed"))?;
    for report in reports {
        let (id, number, at) = (report.endpoint.as_str(), report.number, report.at.0);
        let due_at = match report.ended {
            Ended::Delivered => {
                run(&mut delivered, params![id, number])?;
                run(&mut well, params![id, at])?;
                continue;
            }
            Ended::Again(due_at) => Some(due_at.0),
            Ended::GivenUp => None,
        };
        run(
            &mut not_delivered,
            params![id, number, due_at, at, report.code],
        )?;
        let pause = report.pause_until.map(|until| until.0);
        let values = params![id, at, report.code, pause, report.turns_off];
        run(&mut failed, values)?;
    }
    Ok(())
}

/// Has what was told delivered again.
pub(crate) fn replay(
    connection: &Connection,
    id: &EndpointId,
    numbers: (i64, i64),
    now: Timestamp,
) -> Result<u64, Fault> {
    let all = endpoints(connection)?.into_iter();
    let mut own = all.filter(|(endpoint, _)| endpoint.id == *id);
    let Some((endpoint, health)) = own.next() else {
        return Ok(0);
    };
    let (after, count) = health.replayed(numbers);
    let told = notices(connection, after, count)?;
    let mut insert = cached(connection, sql!("replay_delivery"))?;
    let mut made = 0;
    for (number, lane) in endpoint.wanted(&told) {
        run(&mut insert, params![id.as_str(), number, lane, now.0])?;
        made += 1;
    }
    Ok(made)
}

/// Leases a sink, unless it is somebody else's.
pub(crate) fn lease_sink(connection: &Connection, lease: &SinkLease) -> Result<bool, Fault> {
    let values = params![lease.sink, lease.holder, lease.until.0, lease.now.0];
    let mut upsert = cached(connection, sql!("lease_sink"))?;
    Ok(upsert.execute(values).map_err(fault)? > 0)
}
