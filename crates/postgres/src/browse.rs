//! What people and passes look at.

use lingqian_core::changes::HistoryLine;
use lingqian_core::command::{ApiKey, DeadLetter};
use lingqian_core::id::{KindCode, MerchantNo, PayoutId, UserId, UserNo};
use lingqian_core::ledger::Account;
use lingqian_core::money::Micros;
use lingqian_core::payout::State;
use lingqian_core::reconcile::{Bill, Break};
use lingqian_core::time::BusinessDate;
use lingqian_core::transfer::Evidence;
use lingqian_io::Fault;
use lingqian_io::store::{PayoutFilter, PayoutRow, PayoutStory, Standing, StatementLine, Summary};
use tokio_postgres::Row;

use crate::codec::{
    ENTRY_COLUMNS, account, damaged, day, digest, entry, fen, get, id, moment, moment_maybe,
    number, payout_id, queue, text,
};
use crate::pool::{Session, Values};
use crate::rows::broken;
use crate::{payouts, sql};

/// Every row of a query, as types.
pub(crate) async fn all<T>(
    session: &Session,
    query: &'static str,
    values: Values<'_>,
    read: impl Fn(&Row) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let rows = session.rows(query, values).await?;
    rows.iter().map(read).collect()
}

/// Entries of a user's accounts, newest first: a walk back along their chain.
pub(crate) async fn statement(
    session: &Session,
    user: UserNo,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<StatementLine>, Fault> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let values: Values<'_> = &[&user.0, &before, &i64::from(limit)];
    all(session, sql!("statement"), values, |row| {
        let (seq, entry) = entry(row, 0)?;
        let kind: Option<String> = get(row, ENTRY_COLUMNS)?;
        let kind = kind
            .map(|code| id(&code, KindCode::parse, "kinds.code"))
            .transpose()?;
        let source: Option<String> = get(row, ENTRY_COLUMNS + 1)?;
        let event: Option<String> = get(row, ENTRY_COLUMNS + 2)?;
        Ok(StatementLine {
            seq,
            entry,
            kind,
            event: source.zip(event),
            occurred_at: moment_maybe(row, ENTRY_COLUMNS + 3)?,
        })
    })
    .await
}

/// Payouts, newest first.
pub(crate) async fn list(
    session: &Session,
    filter: &PayoutFilter,
) -> Result<Vec<PayoutRow>, Fault> {
    let query = match (&filter.user, &filter.state) {
        (Some(_), _) => sql!("payouts_of_user"),
        (None, Some(_)) => sql!("payouts_of_state"),
        (None, None) => sql!("payouts"),
    };
    let user = filter.user.as_ref().map(UserId::as_str);
    let before = filter.before.map(|payout| payout.to_string());
    let limit = i64::from(filter.limit);
    let values: Values<'_> = &[&filter.state, &user, &before, &limit];
    all(session, query, values, payouts::row).await
}

/// One payout with everything about it.
pub(crate) async fn story(
    session: &Session,
    payout: PayoutId,
) -> Result<Option<PayoutStory>, Fault> {
    let name = payout.to_string();
    let names = [name.as_str()];
    let Some(row) = session
        .first(sql!("payouts_by_name"), &[&names.as_slice()])
        .await?
    else {
        return Ok(None);
    };
    let row = payouts::row(&row)?;
    let attempts = payouts::earlier(session, &row.payout).await?;
    Ok(Some(PayoutStory {
        row,
        attempts,
        history: all(session, sql!("history"), &[&name], |row| {
            history(payout, row)
        })
        .await?,
        entries: all(session, sql!("payout_entries"), &[&name], |row| {
            entry(row, 0)
        })
        .await?,
        breaks: all(session, sql!("break_of"), &[&name], broken).await?,
    }))
}

/// Something that happened to a payout.
pub(crate) fn history(payout: PayoutId, row: &Row) -> Result<HistoryLine, Fault> {
    let known = |names: &[&'static str], name: &str| {
        let found = names.iter().find(|known| **known == name).copied();
        found.ok_or_else(|| damaged("payout_history"))
    };
    let seen: bool = get(row, 4)?;
    let status: Option<i32> = get(row, 5)?;
    let body: Option<Vec<u8>> = get(row, 7)?;
    let evidence = Evidence {
        status: status
            .map(u16::try_from)
            .transpose()
            .map_err(|_| damaged("payout_history.status"))?,
        request_id: get(row, 6)?,
        body: String::from_utf8(body.unwrap_or_default())
            .map_err(|_| damaged("payout_history.body"))?,
    };
    Ok(HistoryLine {
        payout,
        at: moment(row, 0)?,
        event: known(&HistoryLine::EVENTS, text(row, 1)?)?,
        state: known(&State::NAMES, text(row, 2)?)?,
        code: get(row, 3)?,
        evidence: seen.then_some(evidence),
    })
}

/// Users above the threshold.
pub(crate) async fn sweepable(
    session: &Session,
    threshold: Micros,
    after: UserNo,
    limit: u32,
) -> Result<Vec<(UserNo, UserId)>, Fault> {
    let values: Values<'_> = &[&threshold.0, &after.0, &i64::from(limit)];
    all(session, sql!("sweepable"), values, |row| {
        Ok((
            UserNo(get(row, 0)?),
            id(text(row, 1)?, UserId::parse, "users.user_id")?,
        ))
    })
    .await
}

/// Payouts that were paid that day.
pub(crate) async fn paid_on(
    session: &Session,
    (merchant, date): (MerchantNo, BusinessDate),
    after: Option<PayoutId>,
    limit: u32,
) -> Result<Vec<PayoutId>, Fault> {
    let after = after.map(|payout| payout.to_string());
    let values: Values<'_> = &[&date.0, &merchant.0, &after, &i64::from(limit)];
    all(session, sql!("paid_on"), values, |row| {
        payout_id(text(row, 0)?)
    })
    .await
}

/// All API keys.
pub(crate) async fn api_keys(session: &Session) -> Result<Vec<ApiKey>, Fault> {
    all(session, sql!("api_keys"), &[], |row| {
        let scopes = text(row, 2)?.split(' ').filter(|scope| !scope.is_empty());
        Ok(ApiKey {
            id: get(row, 0)?,
            digest: digest(&get::<Vec<u8>>(row, 1)?, "api_keys.digest")?,
            scopes: scopes.map(Into::into).collect(),
            created_at: moment(row, 3)?,
            revoked_at: moment_maybe(row, 4)?,
        })
    })
    .await
}

/// Closed bills.
pub(crate) async fn bills(session: &Session) -> Result<Vec<Bill>, Fault> {
    all(session, sql!("bills"), &[], |row| {
        Ok(Bill {
            merchant: MerchantNo(get(row, 0)?),
            date: day(row, 1)?,
            sha1: get(row, 2)?,
            lines: number(row, 3)?,
            out: fen(row, 4)?,
            came_in: fen(row, 5)?,
            opening: fen(row, 6)?,
            closing: fen(row, 7)?,
            fetched_at: moment(row, 8)?,
        })
    })
    .await
}

/// All breaks.
pub(crate) async fn breaks(session: &Session) -> Result<Vec<Break>, Fault> {
    all(session, sql!("breaks"), &[], broken).await
}

/// Dead letters, newest first.
pub(crate) async fn dead_letters(
    session: &Session,
    limit: u32,
) -> Result<Vec<(DeadLetter, u64)>, Fault> {
    let values: Values<'_> = &[&i64::from(limit)];
    all(session, sql!("dead_letters"), values, letter).await
}

/// A dead letter and how often it came.
pub(crate) fn letter(row: &Row) -> Result<(DeadLetter, u64), Fault> {
    let letter = DeadLetter {
        door: get(row, 0)?,
        position: get(row, 1)?,
        code: get(row, 2)?,
        raw: get(row, 3)?,
        at: moment(row, 4)?,
    };
    Ok((letter, number(row, 5)?))
}

/// Totals that are kept.
pub(crate) async fn standing(session: &Session) -> Result<Standing, Fault> {
    let lifted = session.first(sql!("last_lifted"), &[]).await?;
    let lifted = lifted.map(|row| moment_maybe(&row, 0)).transpose()?;
    Ok(Standing {
        payouts: states(session).await?,
        accounts: system_accounts(session).await?,
        lifted_at: lifted.flatten(),
    })
}

/// States that payouts are in.
async fn states(session: &Session) -> Result<Vec<(String, u64, i64)>, Fault> {
    all(session, sql!("summary_payouts"), &[], |row| {
        Ok((get(row, 0)?, number(row, 1)?, get(row, 2)?))
    })
    .await
}

/// The books in a few numbers.
pub(crate) async fn summary(session: &Session) -> Result<Summary, Fault> {
    let counts = session.first(sql!("summary_counts"), &[]).await?;
    let counts = counts.ok_or_else(|| damaged("chain_head"))?;
    Ok(Summary {
        users: (number(&counts, 0)?, number(&counts, 1)?),
        earned: (number(&counts, 2)?, sum(&counts, 3)?),
        dead_letters: number(&counts, 4)?,
        open_breaks: number(&counts, 5)?,
        users_hold: (sum(&counts, 6)?, sum(&counts, 7)?),
        users_owe: sum(&counts, 8)?,
        payouts: states(session).await?,
        accounts: system_accounts(session).await?,
        waiting: all(session, sql!("summary_waiting"), &[], |row| {
            Ok((queue(text(row, 0)?)?, number(row, 1)?))
        })
        .await?,
    })
}

/// A sum comes as text: it may be larger than 64 bits.
pub(crate) fn sum(row: &Row, index: usize) -> Result<i128, Fault> {
    text(row, index)?.parse().map_err(|_| damaged("a sum"))
}

/// The system's accounts with their balances, folded or not.
pub(crate) async fn system_accounts(session: &Session) -> Result<Vec<(Account, Micros)>, Fault> {
    all(session, sql!("system_accounts"), &[], |row| {
        Ok((account(row, 0, 1)?, Micros(get(row, 2)?)))
    })
    .await
}
