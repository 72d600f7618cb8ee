//! What people and passes look at.

use lingqian_core::changes::HistoryLine;
use lingqian_core::command::{ApiKey, DeadLetter};
use lingqian_core::id::{KindCode, MerchantNo, PayoutId, UserId, UserNo};
use lingqian_core::ledger::Account;
use lingqian_core::money::Micros;
use lingqian_core::payout::State;
use lingqian_core::reconcile::Bill;
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::Evidence;
use lingqian_io::Fault;
use lingqian_io::store::{PayoutFilter, PayoutRow, PayoutStory, StatementLine, Summary};
use rusqlite::{Connection, Row, params};

use crate::codec::{damaged, day, digest, entry, fen, first, get, id, payout_id, queue, rows};
use crate::journal::owner;
use crate::prefetch::{broken, cached};
use crate::{payouts, sql};

/// Entries of a user's accounts, newest first: a walk back along their chain.
pub(crate) fn statement(
    connection: &Connection,
    user: UserNo,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<StatementLine>, Fault> {
    let mut query = cached(connection, sql!("statement"))?;
    let mut newest = cached(connection, sql!("newest_entry"))?;
    let mut lines = Vec::new();
    // Whoever turns pages names a line of their own, and the walk goes on there.
    let own = match before {
        Some(before) => first(&mut query, [before], |row| line(row, user))?.flatten(),
        None => None,
    };
    let mut next = match own {
        Some((_, earlier)) => earlier,
        None => first(&mut newest, [user.0], |row| get(row, 0))?.flatten(),
    };
    while let Some(seq) = next
        && u32::try_from(lines.len()).is_ok_and(|count| count < limit)
    {
        let found = first(&mut query, [seq], |row| line(row, user))?.flatten();
        let (line, earlier) = found.ok_or_else(|| damaged("the chain of a user's entries"))?;
        if before.is_none_or(|before| seq < before) {
            lines.push(line);
        }
        next = earlier;
    }
    Ok(lines)
}

/// A line and the number of the one before it, or nothing when the entry is not the user's.
fn line(row: &Row<'_>, user: UserNo) -> Result<Option<(StatementLine, Option<i64>)>, Fault> {
    let (seq, entry) = entry(row, 0)?;
    let earlier: Option<i64> = if owner(entry.debit()) == Some(user) {
        get(row, 13)?
    } else if owner(entry.credit()) == Some(user) {
        get(row, 14)?
    } else {
        return Ok(None);
    };
    if earlier.is_some_and(|earlier| earlier >= seq) {
        return Err(damaged("the chain of a user's entries"));
    }
    let kind: Option<String> = get(row, 9)?;
    let kind = kind
        .map(|code| id(&code, KindCode::parse, "kinds.code"))
        .transpose()?;
    let source: Option<String> = get(row, 10)?;
    let event: Option<String> = get(row, 11)?;
    let line = StatementLine {
        seq,
        entry,
        kind,
        event: source.zip(event),
        occurred_at: get::<Option<i64>>(row, 12)?.map(Timestamp),
    };
    Ok(Some((line, earlier)))
}

/// Payouts, newest first.
pub(crate) fn list(
    connection: &Connection,
    filter: &PayoutFilter,
) -> Result<Vec<PayoutRow>, Fault> {
    let query = match (&filter.user, &filter.state) {
        (Some(_), _) => sql!("payouts_of_user"),
        (None, Some(_)) => sql!("payouts_of_state"),
        (None, None) => sql!("payouts"),
    };
    let user = filter.user.as_ref().map(UserId::as_str);
    let before = filter.before.map(|payout| payout.to_string());
    let values = params![filter.state, user, before, filter.limit];
    rows(&mut *cached(connection, query)?, values, payouts::row)
}

/// One payout with everything about it.
pub(crate) fn story(
    connection: &Connection,
    payout: PayoutId,
) -> Result<Option<PayoutStory>, Fault> {
    let name = payout.to_string();
    let mut query = cached(connection, sql!("payout"))?;
    let Some(row) = first(&mut query, [&name], payouts::row)? else {
        return Ok(None);
    };
    let history = rows(&mut *cached(connection, sql!("history"))?, [&name], |row| {
        history(payout, row)
    })?;
    let entries = rows(
        &mut *cached(connection, sql!("payout_entries"))?,
        [&name],
        |row| entry(row, 0),
    )?;
    let breaks = rows(&mut *cached(connection, sql!("break_of"))?, [&name], broken)?;
    Ok(Some(PayoutStory {
        row,
        history,
        entries,
        breaks,
    }))
}

fn history(payout: PayoutId, row: &Row<'_>) -> Result<HistoryLine, Fault> {
    let (event, state): (String, String) = (get(row, 1)?, get(row, 2)?);
    let known = |names: &[&'static str], name: &str| {
        let found = names.iter().find(|known| **known == name).copied();
        found.ok_or_else(|| damaged("payout_history"))
    };
    let seen: bool = get(row, 4)?;
    let evidence = Evidence {
        status: get(row, 5)?,
        request_id: get(row, 6)?,
        body: get::<Option<String>>(row, 7)?.unwrap_or_default(),
    };
    Ok(HistoryLine {
        payout,
        at: Timestamp(get(row, 0)?),
        event: known(&HistoryLine::EVENTS, &event)?,
        state: known(&State::NAMES, &state)?,
        code: get(row, 3)?,
        evidence: seen.then_some(evidence),
    })
}

/// Users above the threshold.
pub(crate) fn sweepable(
    connection: &Connection,
    threshold: Micros,
    after: UserNo,
    limit: u32,
) -> Result<Vec<(UserNo, UserId)>, Fault> {
    let mut query = cached(connection, sql!("sweepable"))?;
    rows(&mut query, params![threshold.0, after.0, limit], |row| {
        let name: String = get(row, 1)?;
        Ok((
            UserNo(get(row, 0)?),
            id(&name, UserId::parse, "users.user_id")?,
        ))
    })
}

/// Payouts that were paid that day.
pub(crate) fn paid_on(
    connection: &Connection,
    date: i32,
    after: Option<PayoutId>,
    limit: u32,
) -> Result<Vec<PayoutId>, Fault> {
    let after = after.map(|payout| payout.to_string());
    let mut query = cached(connection, sql!("paid_on"))?;
    rows(&mut query, params![date, after, limit], |row| {
        payout_id(&get::<String>(row, 0)?)
    })
}

/// All API keys.
pub(crate) fn api_keys(connection: &Connection) -> Result<Vec<ApiKey>, Fault> {
    rows(&mut *cached(connection, sql!("api_keys"))?, [], |row| {
        let (bytes, scopes): (Vec<u8>, String) = (get(row, 1)?, get(row, 2)?);
        Ok(ApiKey {
            id: get(row, 0)?,
            digest: digest(&bytes, "api_keys.digest")?,
            scopes: scopes
                .split(' ')
                .filter(|scope| !scope.is_empty())
                .map(Into::into)
                .collect(),
            created_at: Timestamp(get(row, 3)?),
            revoked_at: get::<Option<i64>>(row, 4)?.map(Timestamp),
        })
    })
}

/// Closed bills.
pub(crate) fn bills(connection: &Connection) -> Result<Vec<Bill>, Fault> {
    rows(&mut *cached(connection, sql!("bills"))?, [], |row| {
        let lines: i64 = get(row, 3)?;
        Ok(Bill {
            merchant: MerchantNo(get(row, 0)?),
            date: day(get(row, 1)?)?,
            sha1: get(row, 2)?,
            lines: u64::try_from(lines).map_err(|_| damaged("bills.lines"))?,
            out: fen(row, 4)?,
            came_in: fen(row, 5)?,
            opening: fen(row, 6)?,
            closing: fen(row, 7)?,
            fetched_at: Timestamp(get(row, 8)?),
        })
    })
}

/// Dead letters, newest first.
pub(crate) fn dead_letters(
    connection: &Connection,
    limit: u32,
) -> Result<Vec<(DeadLetter, u64)>, Fault> {
    rows(
        &mut *cached(connection, sql!("dead_letters"))?,
        [limit],
        |row| {
            let letter = DeadLetter {
                door: get(row, 0)?,
                position: get(row, 1)?,
                code: get(row, 2)?,
                raw: get(row, 3)?,
                at: Timestamp(get(row, 4)?),
            };
            Ok((letter, count(row, 5)?))
        },
    )
}

fn count(row: &Row<'_>, index: usize) -> Result<u64, Fault> {
    u64::try_from(get::<i64>(row, index)?).map_err(|_| damaged("a count"))
}

/// The books in a few numbers.
pub(crate) fn summary(connection: &Connection) -> Result<Summary, Fault> {
    let mut summary = Summary::default();
    let mut query = cached(connection, sql!("summary_users"))?;
    let users = first(&mut query, [], |row| Ok((count(row, 0)?, count(row, 1)?)))?;
    summary.users = users.unwrap_or_default();
    summary.earned = earned(connection)?;
    summary.payouts = rows(
        &mut *cached(connection, sql!("summary_payouts"))?,
        [],
        |row| Ok((get(row, 0)?, count(row, 1)?, get(row, 2)?)),
    )?;
    summary.accounts = accounts(connection, sql!("summary_accounts"))?;
    summary.waiting = rows(
        &mut *cached(connection, sql!("summary_waiting"))?,
        [],
        |row| Ok((queue(&get::<String>(row, 0)?)?, count(row, 1)?)),
    )?;
    let mut query = cached(connection, sql!("summary_counts"))?;
    first(&mut query, [], |row| {
        summary.dead_letters = count(row, 0)?;
        summary.open_breaks = count(row, 1)?;
        summary.users_hold = (
            i128::from(get::<i64>(row, 2)?),
            i128::from(get::<i64>(row, 3)?),
        );
        Ok(())
    })?;
    Ok(summary)
}

/// How many events were credited, and their sum.
pub(crate) fn earned(connection: &Connection) -> Result<(u64, i128), Fault> {
    let mut query = cached(connection, sql!("earned"))?;
    let earned = first(&mut query, [], |row| {
        Ok((count(row, 0)?, i128::from(get::<i64>(row, 1)?)))
    })?;
    Ok(earned.unwrap_or_default())
}

/// Accounts with their balances.
pub(crate) fn accounts(
    connection: &Connection,
    query: &'static str,
) -> Result<Vec<(Account, Micros)>, Fault> {
    rows(&mut *cached(connection, query)?, [], |row| {
        let account = Account::from_code(get(row, 0)?, get(row, 1)?);
        Ok((
            account.ok_or_else(|| damaged("accounts"))?,
            Micros(get(row, 2)?),
        ))
    })
}
