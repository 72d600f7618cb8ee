//! What operators are told of, as rows.

use lingqian_core::time::Timestamp;
use lingqian_io::Fault;
use lingqian_io::alerts::{
    Alert, AlertBoard, AlertChanges, AlertKey, AlertLease, Alerts, TargetHealth, Tell,
};
use rusqlite::{Connection, Row, params};

use crate::SqliteStore;
use crate::codec::{fault, get, rows};
use crate::commit::run;
use crate::prefetch::cached;
use crate::sql;

impl Alerts for SqliteStore {
    async fn alerts(&self) -> Result<AlertBoard, Fault> {
        self.read(board).await
    }

    async fn take_alerts(&self, lease: AlertLease) -> Result<Option<AlertBoard>, Fault> {
        self.change(move |connection| take(connection, &lease))
            .await
    }

    async fn keep_alerts(&self, holder: String, changes: AlertChanges) -> Result<bool, Fault> {
        self.change(move |connection| keep(connection, &holder, &changes))
            .await
    }
}

fn key(row: &Row<'_>) -> Result<AlertKey, Fault> {
    Ok(AlertKey {
        kind: get(row, 0)?,
        subject: get(row, 1)?,
    })
}

fn moment(row: &Row<'_>, index: usize) -> Result<Option<Timestamp>, Fault> {
    Ok(get::<Option<i64>>(row, index)?.map(Timestamp))
}

fn board(connection: &Connection) -> Result<AlertBoard, Fault> {
    let alerts = rows(&mut *cached(connection, sql!("alerts"))?, [], |row| {
        Ok(Alert {
            key: key(row)?,
            since: Timestamp(get(row, 2)?),
            noticed_at: Timestamp(get(row, 3)?),
            ended_at: moment(row, 4)?,
            words: get(row, 5)?,
        })
    });
    let tells = rows(&mut *cached(connection, sql!("alert_tells"))?, [], |row| {
        Ok(Tell {
            key: key(row)?,
            target: get(row, 2)?,
            told_at: Timestamp(get(row, 3)?),
            times: get(row, 4)?,
        })
    });
    let targets = rows(
        &mut *cached(connection, sql!("alert_targets"))?,
        [],
        |row| {
            Ok(TargetHealth {
                target: get(row, 0)?,
                next_at: moment(row, 1)?,
                failures: get(row, 2)?,
                told_at: moment(row, 3)?,
                failed_at: moment(row, 4)?,
                failed_with: get(row, 5)?,
            })
        },
    );
    Ok(AlertBoard {
        alerts: alerts?,
        tells: tells?,
        targets: targets?,
    })
}

fn take(connection: &Connection, lease: &AlertLease) -> Result<Option<AlertBoard>, Fault> {
    let AlertLease { holder, now, until } = lease;
    let believed = lease.believed_until();
    let values = params![holder, now.0, until.0, believed.0];
    let mut take = cached(connection, sql!("take_alerts"))?;
    if take.execute(values).map_err(fault)? == 0 {
        return Ok(None);
    }
    board(connection).map(Some)
}

fn keep(connection: &Connection, holder: &str, changes: &AlertChanges) -> Result<bool, Fault> {
    let mut hold = cached(connection, sql!("hold_alerts"))?;
    if hold.execute([holder]).map_err(fault)? == 0 {
        return Ok(false);
    }
    let mut alert = cached(connection, sql!("upsert_alert"))?;
    for one in &changes.alerts {
        let (since, noticed_at) = (one.since.0, one.noticed_at.0);
        let ended_at = one.ended_at.map(|at| at.0);
        let AlertKey { kind, subject } = &one.key;
        let values = params![kind, subject, since, noticed_at, ended_at, one.words];
        run(&mut alert, values)?;
    }
    let mut tell = cached(connection, sql!("upsert_alert_tell"))?;
    for one in &changes.tells {
        let AlertKey { kind, subject } = &one.key;
        let values = params![kind, subject, one.target, one.told_at.0, one.times];
        run(&mut tell, values)?;
    }
    let mut end = cached(connection, sql!("delete_alert_tell"))?;
    for (key, target) in &changes.ends {
        run(&mut end, params![key.kind, key.subject, target])?;
    }
    let mut forget = cached(connection, sql!("delete_alert_tells"))?;
    let mut delete = cached(connection, sql!("delete_alert"))?;
    for AlertKey { kind, subject } in &changes.gone {
        run(&mut forget, params![kind, subject])?;
        run(&mut delete, params![kind, subject])?;
    }
    let mut target = cached(connection, sql!("upsert_alert_target"))?;
    for one in &changes.targets {
        let moment = |at: Option<Timestamp>| at.map(|at| at.0);
        let (next_at, told_at) = (moment(one.next_at), moment(one.told_at));
        let (failures, failed_at) = (one.failures, moment(one.failed_at));
        let code = &one.failed_with;
        let values = params![one.target, next_at, failures, told_at, failed_at, code];
        run(&mut target, values)?;
    }
    if changes.done {
        run(&mut cached(connection, sql!("give_back_alerts"))?, [holder])?;
    }
    Ok(true)
}
