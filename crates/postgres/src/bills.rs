//! Writes what belongs to payouts, and what bills say.

use std::collections::BTreeMap;

use lingqian_core::Changes;
use lingqian_core::changes::Work;
use lingqian_core::id::{PayoutId, UserNo};
use lingqian_core::reconcile::{Bill, BookedLine, Break, Direction, Match};
use lingqian_core::time::BusinessDate;
use lingqian_core::user::DayTotals;

use crate::codec::damaged;
use crate::commit::Refused;
use crate::pool::{Session, Values};
use crate::sql;

/// Work, history, totals of days and remembered answers, each in one statement.
pub(crate) async fn about_payouts(session: &Session, changes: &Changes) -> Result<(), Refused> {
    work(session, changes).await?;
    history(session, changes).await?;
    day_totals(session, changes).await?;
    if changes.answers.is_empty() {
        return Ok(());
    }
    let answers = &changes.answers;
    let scopes: Vec<&str> = answers.iter().map(|(key, _)| key.scope.as_str()).collect();
    let keys: Vec<&str> = answers.iter().map(|(key, _)| key.key.as_str()).collect();
    let digests: Vec<&[u8]> = answers.iter().map(|(_, a)| a.digest.as_slice()).collect();
    let payouts: Vec<String> = answers.iter().map(|(_, a)| a.payout.to_string()).collect();
    let amounts: Vec<i64> = answers.iter().map(|(_, answer)| answer.amount.0).collect();
    let moments: Vec<i64> = answers
        .iter()
        .map(|(_, answer)| answer.created_at.0)
        .collect();
    let values: Values<'_> = &[&scopes, &keys, &digests, &payouts, &amounts, &moments];
    session.run(sql!("insert_answers"), values).await?;
    Ok(())
}

async fn work(session: &Session, changes: &Changes) -> Result<(), Refused> {
    // What is left of several versions of one payout: something to wait for, or nothing.
    let mut latest: BTreeMap<PayoutId, Option<&Work>> = BTreeMap::new();
    for (payout, work) in &changes.payouts {
        if work.is_some() || payout.state.is_final() {
            latest.insert(payout.id, work.as_ref());
        }
    }
    let waiting: Vec<(String, &Work)> = latest
        .iter()
        .filter_map(|(payout, work)| Some((payout.to_string(), (*work)?)))
        .collect();
    if !waiting.is_empty() {
        let names: Vec<&str> = waiting.iter().map(|(name, _)| name.as_str()).collect();
        let queues: Vec<&str> = waiting.iter().map(|(_, work)| work.queue.name()).collect();
        let due: Vec<i64> = waiting.iter().map(|(_, work)| work.due_at.0).collect();
        session
            .run(sql!("upsert_work"), &[&names, &queues, &due])
            .await?;
    }
    let idle = latest.iter().filter(|(_, work)| work.is_none());
    let idle: Vec<String> = idle.map(|(payout, _)| payout.to_string()).collect();
    if !idle.is_empty() {
        session.run(sql!("delete_work"), &[&idle]).await?;
    }
    Ok(())
}

async fn history(session: &Session, changes: &Changes) -> Result<(), Refused> {
    let lines = &changes.history;
    if lines.is_empty() {
        return Ok(());
    }
    let payouts: Vec<String> = lines.iter().map(|line| line.payout.to_string()).collect();
    let moments: Vec<i64> = lines.iter().map(|line| line.at.0).collect();
    let events: Vec<&str> = lines.iter().map(|line| line.event).collect();
    let states: Vec<&str> = lines.iter().map(|line| line.state).collect();
    let codes: Vec<Option<&str>> = lines.iter().map(|line| line.code.as_deref()).collect();
    let evidence: Vec<_> = lines.iter().map(|line| line.evidence.as_ref()).collect();
    let seen: Vec<bool> = evidence.iter().map(Option::is_some).collect();
    let statuses: Vec<Option<i32>> = evidence
        .iter()
        .map(|seen| seen.and_then(|seen| seen.status).map(i32::from))
        .collect();
    let requests: Vec<Option<&str>> = evidence
        .iter()
        .map(|seen| seen.and_then(|seen| seen.request_id.as_deref()))
        .collect();
    let bodies: Vec<Option<&[u8]>> = evidence
        .iter()
        .map(|seen| seen.map(|seen| seen.body.as_bytes()))
        .collect();
    let values: Values<'_> = &[
        &payouts, &moments, &events, &states, &codes, &seen, &statuses, &requests, &bodies,
    ];
    session.run(sql!("insert_history"), values).await?;
    Ok(())
}

async fn day_totals(session: &Session, changes: &Changes) -> Result<(), Refused> {
    let totals = changes.day_totals.iter();
    let latest: BTreeMap<(UserNo, BusinessDate), DayTotals> = totals
        .map(|(user, day, totals)| ((*user, *day), *totals))
        .collect();
    if latest.is_empty() {
        return Ok(());
    }
    let users: Vec<i64> = latest.keys().map(|(user, _)| user.0).collect();
    let days: Vec<i32> = latest.keys().map(|(_, day)| day.0).collect();
    let counts: Vec<i64> = latest
        .values()
        .map(|totals| i64::from(totals.count))
        .collect();
    let amounts: Vec<i64> = latest.values().map(|totals| totals.amount.0).collect();
    let values: Values<'_> = &[&users, &days, &counts, &amounts];
    session.run(sql!("upsert_day_totals"), values).await?;
    Ok(())
}

/// Booked lines, each with the number of its entry.
pub(crate) async fn lines(session: &Session, booked: &[(i64, &BookedLine)]) -> Result<(), Refused> {
    if booked.is_empty() {
        return Ok(());
    }
    let each = |read: fn(&BookedLine) -> i64| -> Vec<i64> {
        booked.iter().map(|(_, line)| read(line)).collect()
    };
    let texts = |read: fn(&BookedLine) -> &str| -> Vec<&str> {
        booked.iter().map(|(_, line)| read(line)).collect()
    };
    let days: Vec<i32> = booked.iter().map(|(_, line)| line.date.0).collect();
    let payouts: Vec<Option<String>> = booked
        .iter()
        .map(|(_, line)| match line.matched {
            Match::Payout(payout) | Match::Returned(payout) => Some(payout.to_string()),
            Match::TopUp | Match::Unexplained => None,
        })
        .collect();
    let seqs: Vec<i64> = booked.iter().map(|(seq, _)| *seq).collect();
    let values: Values<'_> = &[
        &each(|booked| booked.merchant.0),
        &texts(|booked| &booked.line.flow_no),
        &days,
        &each(|booked| booked.line.booked_at.0),
        &texts(|booked| &booked.line.business_no),
        &texts(|booked| &booked.line.voucher),
        &texts(|booked| match booked.line.direction {
            Direction::Out => "out",
            Direction::In => "in",
        }),
        &each(|booked| booked.line.amount.0),
        &each(|booked| booked.line.balance.0),
        &texts(|booked| &booked.line.words),
        &texts(|booked| match booked.matched {
            Match::Payout(_) => "payout",
            Match::Returned(_) => "returned",
            Match::TopUp => "top_up",
            Match::Unexplained => "unexplained",
        }),
        &payouts,
        &seqs,
    ];
    session.run(sql!("insert_bill_lines"), values).await?;
    Ok(())
}

/// Breaks in one statement, of several versions of one the last; bills are few, one by one.
pub(crate) async fn reconciled(session: &Session, changes: &Changes) -> Result<(), Refused> {
    breaks(session, changes).await?;
    for bill in &changes.bills {
        let Bill {
            merchant,
            date,
            sha1,
            lines,
            out,
            came_in,
            opening,
            closing,
            fetched_at,
        } = bill;
        let lines = i64::try_from(*lines).map_err(|_| damaged("the lines of a bill"))?;
        let values: Values<'_> = &[
            &merchant.0,
            &date.0,
            sha1,
            &lines,
            &out.0,
            &came_in.0,
            &opening.0,
            &closing.0,
            &fetched_at.0,
        ];
        session.run(sql!("upsert_bill"), values).await?;
    }
    Ok(())
}

async fn breaks(session: &Session, changes: &Changes) -> Result<(), Refused> {
    let found = changes.breaks.iter();
    let latest: BTreeMap<&str, &Break> =
        found.map(|found| (found.subject.as_str(), found)).collect();
    if latest.is_empty() {
        return Ok(());
    }
    let each = |read: fn(&Break) -> i64| -> Vec<i64> {
        latest.values().map(|found| read(found)).collect()
    };
    let subjects: Vec<&str> = latest.keys().copied().collect();
    let kinds: Vec<&str> = latest.values().map(|found| found.kind.code()).collect();
    let days: Vec<i32> = latest.values().map(|found| found.date.0).collect();
    let closed = latest.values().map(|found| found.closed_at.map(|at| at.0));
    let closed: Vec<Option<i64>> = closed.collect();
    let values: Values<'_> = &[
        &subjects,
        &kinds,
        &days,
        &each(|found| found.difference.0),
        &each(|found| found.opened_at.0),
        &closed,
    ];
    session.run(sql!("upsert_breaks"), values).await?;
    Ok(())
}
