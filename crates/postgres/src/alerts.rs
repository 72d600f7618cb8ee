//! What operators are told of, as rows. Whoever is at it holds one row while it writes.

use lingqian_core::time::Timestamp;
use lingqian_io::Fault;
use lingqian_io::alerts::{
    Alert, AlertBoard, AlertChanges, AlertKey, AlertLease, Alerts, TargetHealth, Tell,
};
use tokio_postgres::{Error, Row};

use crate::PostgresStore;
use crate::browse::all;
use crate::codec::{get, moment, moment_maybe, number};
use crate::fault::fault;
use crate::pool::{Session, Values};
use crate::settle;
use crate::sql;

impl Alerts for PostgresStore {
    async fn alerts(&self) -> Result<AlertBoard, Fault> {
        let session = self.look().await?;
        let board = board(&session).await?;
        Self::seen(session, board).await
    }

    async fn take_alerts(&self, lease: AlertLease) -> Result<Option<AlertBoard>, Fault> {
        let mut session = self.books.writers.get().await?;
        session.begin(settle::BEGIN).await?;
        let believed = lease.believed_until().0;
        let values: Values<'_> = &[&lease.holder, &lease.now.0, &lease.until.0, &believed];
        let taken = session.run(sql!("take_alerts"), values).await;
        let board = match taken.map_err(fault)? {
            0 => None,
            _ => Some(board(&session).await?),
        };
        session.commit().await.map_err(fault)?;
        Ok(board)
    }

    async fn keep_alerts(&self, holder: String, changes: AlertChanges) -> Result<bool, Fault> {
        let mut session = self.books.writers.get().await?;
        session.begin(settle::BEGIN).await?;
        let held = session.run(sql!("hold_alerts"), &[&holder]).await;
        let held = held.map_err(fault)? > 0;
        if held {
            keep(&session, &holder, &changes).await.map_err(fault)?;
        }
        session.commit().await.map_err(fault)?;
        Ok(held)
    }
}

fn key(row: &Row) -> Result<AlertKey, Fault> {
    Ok(AlertKey {
        kind: get(row, 0)?,
        subject: get(row, 1)?,
    })
}

async fn board(session: &Session) -> Result<AlertBoard, Fault> {
    let alerts = all(session, sql!("alerts"), &[], |row| {
        Ok(Alert {
            key: key(row)?,
            since: moment(row, 2)?,
            noticed_at: moment(row, 3)?,
            ended_at: moment_maybe(row, 4)?,
            words: get(row, 5)?,
        })
    });
    let alerts = alerts.await?;
    let tells = all(session, sql!("alert_tells"), &[], |row| {
        Ok(Tell {
            key: key(row)?,
            target: get(row, 2)?,
            told_at: moment(row, 3)?,
            times: number(row, 4)?,
        })
    });
    let tells = tells.await?;
    let targets = all(session, sql!("alert_targets"), &[], |row| {
        Ok(TargetHealth {
            target: get(row, 0)?,
            next_at: moment_maybe(row, 1)?,
            failures: number(row, 2)?,
            told_at: moment_maybe(row, 3)?,
            failed_at: moment_maybe(row, 4)?,
            failed_with: get(row, 5)?,
        })
    });
    Ok(AlertBoard {
        alerts,
        tells,
        targets: targets.await?,
    })
}

async fn keep(session: &Session, holder: &str, changes: &AlertChanges) -> Result<(), Error> {
    for one in &changes.alerts {
        let AlertKey { kind, subject } = &one.key;
        let (since, noticed_at) = (one.since.0, one.noticed_at.0);
        let ended_at = one.ended_at.map(|at| at.0);
        let values: Values<'_> = &[kind, subject, &since, &noticed_at, &ended_at, &one.words];
        session.run(sql!("upsert_alert"), values).await?;
    }
    for one in &changes.tells {
        let AlertKey { kind, subject } = &one.key;
        let (told_at, times) = (one.told_at.0, i64::from(one.times));
        let values: Values<'_> = &[kind, subject, &one.target, &told_at, &times];
        session.run(sql!("upsert_alert_tell"), values).await?;
    }
    for (AlertKey { kind, subject }, target) in &changes.ends {
        let values: Values<'_> = &[kind, subject, target];
        session.run(sql!("delete_alert_tell"), values).await?;
    }
    for AlertKey { kind, subject } in &changes.gone {
        let values: Values<'_> = &[kind, subject];
        session.run(sql!("delete_alert_tells"), values).await?;
        session.run(sql!("delete_alert"), values).await?;
    }
    for one in &changes.targets {
        let moment = |at: Option<Timestamp>| at.map(|at| at.0);
        let (next_at, told_at) = (moment(one.next_at), moment(one.told_at));
        let (failures, failed_at) = (i64::from(one.failures), moment(one.failed_at));
        let code = &one.failed_with;
        let values: Values<'_> = &[&one.target, &next_at, &failures, &told_at, &failed_at, code];
        session.run(sql!("upsert_alert_target"), values).await?;
    }
    if changes.done {
        session.run(sql!("give_back_alerts"), &[&holder]).await?;
    }
    Ok(())
}
