//! Notices, endpoints and deliveries as rows.
//!
//! Notices are numbered while the end of the chain is held, which every commit holds until it is
//! durable or taken back: so numbers have no gap, and whoever sees one sees all before it.

use lingqian_core::Changes;
use lingqian_core::endpoint::{Endpoint, EndpointId, Scheme, Secret};
use lingqian_core::id::UserId;
use lingqian_core::notice::{Event, Notice, Told};
use lingqian_core::time::Timestamp;
use lingqian_core::user::Sealed;
use lingqian_io::Fault;
use lingqian_io::outbox::{Delivery, DeliveryLine, Ended, Health, Report, SinkLease, Wish};
use tokio_postgres::Row;

use crate::browse::all;
use crate::codec::{damaged, get, id, moment, moment_maybe, number, text};
use crate::commit::Refused;
use crate::fault::fault;
use crate::pool::{Session, Values};
use crate::sql;

/// Writes what the outside is told, and who is to hear of it. The caller holds the end of the
/// chain.
pub(crate) async fn write(session: &Session, changes: &Changes) -> Result<(), Refused> {
    for endpoint in &changes.endpoints {
        write_endpoint(session, endpoint).await?;
    }
    let notices = &changes.notices;
    if notices.is_empty() {
        return Ok(());
    }
    let at: Vec<i64> = notices.iter().map(|notice| notice.at.0).collect();
    let events: Vec<&str> = notices.iter().map(|notice| notice.event.name()).collect();
    let subjects: Vec<&str> = notices.iter().map(|n| n.subject.as_str()).collect();
    let user = |notice: &Notice| notice.user.as_ref().map(|user| user.as_str().to_owned());
    let users: Vec<Option<String>> = notices.iter().map(user).collect();
    let versions: Vec<Option<i64>> = notices.iter().map(|n| n.version.map(i64::from)).collect();
    let data: Vec<&str> = notices.iter().map(|notice| notice.data.as_str()).collect();
    let values: Values<'_> = &[&at, &events, &subjects, &users, &versions, &data];
    session.run(sql!("insert_notices"), values).await?;
    Ok(())
}

async fn write_endpoint(session: &Session, endpoint: &Endpoint) -> Result<(), Refused> {
    let id = endpoint.id.as_str();
    let off = endpoint.off.as_ref();
    let values: Values<'_> = &[
        &id,
        &endpoint.url,
        &endpoint.events.join(" "),
        &endpoint.note,
        &endpoint.created_at.0,
        &off.map(|(since, _)| since.0),
        &off.map(|(_, why)| why.as_str()),
        &endpoint.deleted,
        &endpoint.after,
    ];
    session.run(sql!("upsert_endpoint"), values).await?;
    session.run(sql!("delete_endpoint_secrets"), &[&id]).await?;
    for (place, secret) in (0_i64..).zip(&endpoint.secrets) {
        let (scheme, until) = (secret.scheme.name(), secret.until.map(|at| at.0));
        let values: Values<'_> = &[&id, &place, &scheme, &secret.sealed.0, &until];
        session.run(sql!("insert_endpoint_secret"), values).await?;
    }
    if endpoint.deleted {
        session.run(sql!("delete_deliveries"), &[&id]).await?;
    }
    Ok(())
}

/// A notice from its seven columns.
pub(crate) fn told(row: &Row) -> Result<Told, Fault> {
    let user: Option<String> = get(row, 4)?;
    let user = user.map(|user| id(&user, UserId::parse, "notices.user_id"));
    let version: Option<i64> = get(row, 5)?;
    let version = version.map(u32::try_from).transpose();
    let notice = Notice {
        at: moment(row, 1)?,
        event: Event::from_name(text(row, 2)?).ok_or_else(|| damaged("notices.event"))?,
        subject: get(row, 3)?,
        user: user.transpose()?,
        version: version.map_err(|_| damaged("notices.version"))?,
        data: get(row, 6)?,
    };
    let number = get(row, 0)?;
    Ok(Told { number, notice })
}

/// Notices after a number.
pub(crate) async fn notices(session: &Session, after: i64, limit: u32) -> Result<Vec<Told>, Fault> {
    let values: Values<'_> = &[&after, &i64::from(limit)];
    all(session, sql!("notices_after"), values, told).await
}

/// The number of the newest notice.
pub(crate) async fn newest(session: &Session) -> Result<i64, Fault> {
    let row = session.first(sql!("newest_notice"), &[]).await?;
    row.map_or(Ok(0), |row| get(&row, 0))
}

/// An endpoint without its secrets, how it has been doing, and the first notice that it waits for.
fn endpoint(row: &Row) -> Result<(Endpoint, Health, Option<i64>), Fault> {
    let off = match (moment_maybe(row, 5)?, get::<Option<String>>(row, 6)?) {
        (Some(since), Some(why)) => Some((since, why)),
        _ => None,
    };
    let endpoint = Endpoint {
        id: id(text(row, 0)?, EndpointId::parse, "endpoints.endpoint")?,
        url: get(row, 1)?,
        events: text(row, 2)?
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        note: get(row, 3)?,
        secrets: Vec::new(),
        created_at: moment(row, 4)?,
        off,
        deleted: get(row, 7)?,
        after: None,
    };
    let health = Health {
        planned_to: get(row, 8)?,
        failures: number(row, 9)?,
        paused_until: moment_maybe(row, 10)?,
        delivered_at: moment_maybe(row, 11)?,
        failed_at: moment_maybe(row, 12)?,
        failed_with: get(row, 13)?,
        pending: number(row, 14)?,
        given_up: number(row, 15)?,
    };
    Ok((endpoint, health, get(row, 16)?))
}

fn secret(row: &Row) -> Result<Secret, Fault> {
    let scheme = Scheme::from_name(text(row, 0)?);
    Ok(Secret {
        scheme: scheme.ok_or_else(|| damaged("endpoint_secrets.scheme"))?,
        sealed: Sealed(get(row, 1)?),
        until: moment_maybe(row, 2)?,
    })
}

async fn all_endpoints(
    session: &Session,
    with_deleted: bool,
) -> Result<Vec<(Endpoint, Health, Option<i64>)>, Fault> {
    let mut found = all(session, sql!("endpoints"), &[&with_deleted], endpoint).await?;
    for (endpoint, ..) in &mut found {
        let values: Values<'_> = &[&endpoint.id.as_str()];
        endpoint.secrets = all(session, sql!("endpoint_secrets"), values, secret).await?;
    }
    Ok(found)
}

/// The endpoints that are there.
pub(crate) async fn endpoints(session: &Session) -> Result<Vec<(Endpoint, Health)>, Fault> {
    let found = all_endpoints(session, false).await?.into_iter();
    Ok(found
        .map(|(endpoint, health, _)| (endpoint, health))
        .collect())
}

/// Endpoints as another store commits them: each begins with what it did not take.
pub(crate) async fn for_copy(session: &Session) -> Result<Vec<Endpoint>, Fault> {
    let found = all_endpoints(session, true).await?.into_iter();
    let copied = found.map(|(endpoint, health, open)| health.copied(endpoint, open));
    Ok(copied.collect())
}

/// What an endpoint did not take yet.
pub(crate) async fn deliveries(
    session: &Session,
    endpoint: &EndpointId,
    after: i64,
    limit: u32,
) -> Result<Vec<DeliveryLine>, Fault> {
    let values: Values<'_> = &[&endpoint.as_str(), &after, &i64::from(limit)];
    all(session, sql!("deliveries_of"), values, |row| {
        Ok(DeliveryLine {
            number: get(row, 0)?,
            tries: number(row, 1)?,
            first_at: moment_maybe(row, 2)?,
            due_at: moment_maybe(row, 3)?,
            code: get(row, 4)?,
        })
    })
    .await
}

/// Makes deliveries of what was told since.
pub(crate) async fn plan(session: &Session, now: Timestamp, limit: u32) -> Result<u64, Fault> {
    let behind = all(session, sql!("endpoints_behind"), &[], |row| {
        Ok((get::<String>(row, 0)?, get::<i64>(row, 1)?))
    });
    let behind = behind.await?;
    if behind.is_empty() {
        return Ok(0);
    }
    let mut looked = 0;
    for (endpoint, _) in endpoints(session).await? {
        let own = behind.iter().find(|(id, _)| id == endpoint.id.as_str());
        let Some((id, planned_to)) = own else {
            continue;
        };
        let next = notices(session, *planned_to, limit).await?;
        let Some(last) = next.last().map(|told| told.number) else {
            continue;
        };
        looked += next.len() as u64;
        let (numbers, lanes): (Vec<i64>, Vec<String>) = endpoint.wanted(&next).unzip();
        let values: Values<'_> = &[id, &numbers, &lanes, &now.0];
        session
            .run(sql!("plan_deliveries"), values)
            .await
            .map_err(fault)?;
        let values: Values<'_> = &[id, &last];
        session
            .run(sql!("planned_to"), values)
            .await
            .map_err(fault)?;
    }
    Ok(looked)
}

/// Leases what is due.
pub(crate) async fn claim(session: &Session, wish: Wish) -> Result<Vec<Delivery>, Fault> {
    let (now, limit) = (wish.now.0, i64::from(wish.limit));
    let values: Values<'_> = &[&now, &limit, &wish.lease_until.0];
    all(session, sql!("claim_deliveries"), values, |row| {
        Ok(Delivery {
            endpoint: id(text(row, 7)?, EndpointId::parse, "deliveries.endpoint")?,
            told: told(row)?,
            tries: number(row, 8)?,
            first_at: moment_maybe(row, 9)?,
        })
    })
    .await
}

/// Leases a sink, unless it is somebody else's.
pub(crate) async fn lease_sink(session: &Session, lease: &SinkLease) -> Result<bool, Fault> {
    let values: Values<'_> = &[&lease.sink, &lease.holder, &lease.until.0, &lease.now.0];
    let changed = session.run(sql!("lease_sink"), values).await;
    Ok(changed.map_err(fault)? > 0)
}

/// Keeps what came of tries. Rows are taken in one order by everybody.
pub(crate) async fn report(session: &Session, mut reports: Vec<Report>) -> Result<(), Fault> {
    reports.sort_by(|a, b| (&a.endpoint, a.number).cmp(&(&b.endpoint, b.number)));
    for report in &reports {
        let (id, at) = (report.endpoint.as_str(), report.at.0);
        let due_at = match report.ended {
            Ended::Delivered => {
                let values: Values<'_> = &[&id, &report.number];
                session
                    .run(sql!("delivered"), values)
                    .await
                    .map_err(fault)?;
                let values: Values<'_> = &[&id, &at];
                session
                    .run(sql!("endpoint_did_well"), values)
                    .await
                    .map_err(fault)?;
                continue;
            }
            Ended::Again(due_at) => Some(due_at.0),
            Ended::GivenUp => None,
        };
        let values: Values<'_> = &[&id, &report.number, &due_at, &at, &report.code];
        session
            .run(sql!("not_delivered"), values)
            .await
            .map_err(fault)?;
        let pause = report.pause_until.map(|until| until.0);
        let values: Values<'_> = &[&id, &at, &report.code, &pause, &report.turns_off];
        session
            .run(sql!("endpoint_failed"), values)
            .await
            .map_err(fault)?;
    }
    Ok(())
}

/// Has what was told delivered again.
pub(crate) async fn replay(
    session: &Session,
    id: &EndpointId,
    numbers: (i64, i64),
    now: Timestamp,
) -> Result<u64, Fault> {
    let all = endpoints(session).await?.into_iter();
    let mut own = all.filter(|(endpoint, _)| endpoint.id == *id);
    let Some((endpoint, health)) = own.next() else {
        return Ok(0);
    };
    let (after, count) = health.replayed(numbers);
    let told = notices(session, after, count).await?;
    let (numbers, lanes): (Vec<i64>, Vec<String>) = endpoint.wanted(&told).unzip();
    let values: Values<'_> = &[&id.as_str(), &numbers, &lanes, &now.0];
    session
        .run(sql!("replay_deliveries"), values)
        .await
        .map_err(fault)
}
