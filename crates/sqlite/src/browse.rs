//! What people and passes look at.

use lingqian_core::changes::HistoryLine;
use lingqian_core::command::{ApiKey, DeadLetter};
use lingqian_core::earning::Kind;
use lingqian_core::facts::Wallet;
use lingqian_core::id::{MerchantNo, PayoutId, UserId, UserNo};
use lingqian_core::money::Micros;
use lingqian_core::payout::{Payout, State};
use lingqian_core::reconcile::Bill;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::Evidence;
use lingqian_io::Fault;
use lingqian_io::store::{PayoutFilter, PayoutRow, PayoutStory, Standing, StatementLine, Summary};
use rusqlite::{Connection, Row, params};

use crate::codec::{damaged, day, digest, fen, first, get, payout_id, queue, rows};
use crate::ledger::{kind_of, state, system};
use crate::page::{self, Line, Page};
use crate::prefetch::{self, broken, cached, kinds, user};
use crate::{payouts, sql};

/// Entries of a user's accounts, newest first: a walk back along their chain, which ends with
/// the entry `newest`.
pub(crate) fn statement(
    connection: &Connection,
    (user, newest): (UserNo, u64),
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<StatementLine>, Fault> {
    let kinds = kinds(connection)?;
    let mut walk = Walk::default();
    let mut lines = Vec::new();
    // Whoever turns pages names a line of their own, and the walk goes on there.
    let own = before
        .map(i64::unsigned_abs)
        .filter(|before| (1..=newest).contains(before));
    let own = match own {
        Some(before) => walk.line(connection, before)?.record.prev(user),
        None => None,
    };
    let mut next = own.unwrap_or(newest);
    while next > 0 && u32::try_from(lines.len()).is_ok_and(|count| count < limit) {
        let line = walk.line(connection, next)?;
        let earlier = line.record.prev(user).filter(|earlier| *earlier < next);
        let earlier = earlier.ok_or_else(|| damaged("the chain of a user's entries"))?;
        if before.is_none_or(|before| next < before.unsigned_abs()) {
            lines.push(told(connection, &kinds, &line)?);
        }
        next = earlier;
    }
    Ok(lines)
}

/// A walk over entries that remembers the page it is on.
#[derive(Default)]
pub(crate) struct Walk {
    page: Option<Page>,
}

impl Walk {
    pub(crate) fn line(&mut self, connection: &Connection, seq: u64) -> Result<Line<'_>, Fault> {
        let on_it = |page: &Page| (page.first..=page.last()).contains(&seq);
        if !self.page.as_ref().is_some_and(on_it) {
            self.page = Some(page::of(connection, seq)?);
        }
        let page = self.page.as_ref().ok_or_else(|| page::damaged(seq))?;
        page.line(seq)
    }
}

fn told(connection: &Connection, kinds: &[Kind], line: &Line<'_>) -> Result<StatementLine, Fault> {
    let (mut kind, mut event) = (None, None);
    if let Some((source, name)) = line.names.event {
        let number = kind_of(&line.record, &line.names);
        let found = kinds.iter().find(|kind| Some(kind.no) == number);
        kind = found.map(|kind| kind.code.clone());
        let mut query = cached(connection, sql!("source"))?;
        let source: Option<String> = first(&mut query, [source], |row| get(row, 0))?;
        event = Some((source.ok_or_else(|| damaged("sources"))?, name.text()));
    }
    Ok(StatementLine {
        seq: line.seq.cast_signed(),
        entry: line.entry()?,
        kind,
        event,
        occurred_at: line.record.occurred_at,
    })
}

/// Payouts, newest first.
pub(crate) fn list(
    connection: &Connection,
    filter: &PayoutFilter,
) -> Result<Vec<PayoutRow>, Fault> {
    let query = match (&filter.user, &filter.state) {
        (Some(_), _) => sql!("payouts_of_user"),
        (None, Some(state)) if state == State::Requested.name() => sql!("payouts_requested"),
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
    let hold: Option<i64> = first(&mut *cached(connection, sql!("hold_of"))?, [&name], |row| {
        get(row, 0)
    })?;
    let history = history(connection, &row.payout, hold)?;
    let mut query = cached(connection, sql!("payout_entries"))?;
    let mut numbers: Vec<i64> = hold.into_iter().collect();
    numbers.append(&mut rows(&mut query, [&name], |row| get(row, 0))?);
    let mut walk = Walk::default();
    let mut entries = Vec::with_capacity(numbers.len());
    for seq in numbers {
        entries.push((seq, walk.line(connection, seq.unsigned_abs())?.entry()?));
    }
    let breaks = rows(&mut *cached(connection, sql!("break_of"))?, [&name], broken)?;
    let attempts = payouts::earlier(connection, &row.payout)?;
    Ok(Some(PayoutStory {
        row,
        attempts,
        history,
        entries,
        breaks,
    }))
}

/// What happened to a payout, oldest first; the first line may be told by its hold alone.
pub(crate) fn history(
    connection: &Connection,
    payout: &Payout,
    hold: Option<i64>,
) -> Result<Vec<HistoryLine>, Fault> {
    let mut story: Vec<HistoryLine> = Vec::new();
    story.extend(hold.map(|_| HistoryLine::held(payout)));
    let mut query = cached(connection, sql!("history"))?;
    let rest = rows(&mut query, [payout.id.to_string()], |row| {
        happened(payout.id, row)
    });
    story.append(&mut rest?);
    Ok(story)
}

fn happened(payout: PayoutId, row: &Row<'_>) -> Result<HistoryLine, Fault> {
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

/// A user with link and the totals of a day, but without balances.
pub(crate) fn wallet(
    connection: &Connection,
    id: &UserId,
    day: BusinessDate,
) -> Result<Option<Wallet>, Fault> {
    let mut query = cached(connection, sql!("user_by_id"))?;
    let Some(user) = first(&mut query, [id.as_str()], user)? else {
        return Ok(None);
    };
    let mut wallet = prefetch::wallet(connection, user)?;
    let totals = prefetch::day_totals(connection, wallet.user.no, day)?;
    wallet.days.extend(totals.map(|totals| (day, totals)));
    Ok(Some(wallet))
}

/// The names of users.
pub(crate) fn names(
    connection: &Connection,
    users: &[UserNo],
) -> Result<Vec<(UserNo, UserId)>, Fault> {
    let mut query = cached(connection, sql!("user_by_no"))?;
    let name = |no: &UserNo| {
        let user = first(&mut query, [no.0], user)?;
        Ok((*no, user.ok_or_else(|| damaged("users"))?.id))
    };
    users.iter().map(name).collect()
}

/// Payouts that were paid that day.
pub(crate) fn paid_on(
    connection: &Connection,
    (merchant, date): (MerchantNo, BusinessDate),
    after: Option<PayoutId>,
    limit: u32,
) -> Result<Vec<PayoutId>, Fault> {
    let after = after.map(|payout| payout.to_string());
    let mut query = cached(connection, sql!("paid_on"))?;
    let values = params![date.0, merchant.0, after, limit];
    rows(&mut query, values, |row| payout_id(&get::<String>(row, 0)?))
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
        letter,
    )
}

/// A dead letter and how often it came.
pub(crate) fn letter(row: &Row<'_>) -> Result<(DeadLetter, u64), Fault> {
    let letter = DeadLetter {
        door: get(row, 0)?,
        position: get(row, 1)?,
        code: get(row, 2)?,
        raw: get(row, 3)?,
        at: Timestamp(get(row, 4)?),
    };
    Ok((letter, count(row, 5)?))
}

pub(crate) fn count(row: &Row<'_>, index: usize) -> Result<u64, Fault> {
    u64::try_from(get::<i64>(row, index)?).map_err(|_| damaged("a count"))
}

/// Totals that are kept.
pub(crate) fn standing(connection: &Connection) -> Result<Standing, Fault> {
    let accounts = system(connection)?.into_iter();
    let mut query = cached(connection, sql!("last_lifted"))?;
    let lifted: Option<Option<i64>> = first(&mut query, [], |row| get(row, 0))?;
    Ok(Standing {
        payouts: states(connection)?,
        accounts: accounts
            .map(|(account, sum)| (account, Micros(sum)))
            .collect(),
        lifted_at: lifted.flatten().map(Timestamp),
    })
}

/// States that payouts are in.
fn states(connection: &Connection) -> Result<Vec<(String, u64, i64)>, Fault> {
    let mut query = cached(connection, sql!("summary_payouts"))?;
    rows(&mut query, [], |row| {
        Ok((get(row, 0)?, count(row, 1)?, get(row, 2)?))
    })
}

/// The books in a few numbers.
pub(crate) fn summary(connection: &Connection) -> Result<Summary, Fault> {
    let mut summary = Summary::default();
    let mut query = cached(connection, sql!("summary_users"))?;
    let users = first(&mut query, [], |row| Ok((count(row, 0)?, count(row, 1)?)))?;
    summary.users = users.unwrap_or_default();
    let totals = state(connection)?.1.totals;
    summary.earned = (totals.events, i128::from(totals.events_sum));
    summary.users_hold = (i128::from(totals.available), i128::from(totals.held));
    summary.users_owe = i128::from(totals.owed);
    summary.payouts = states(connection)?;
    let accounts = system(connection)?.into_iter();
    summary.accounts = accounts
        .map(|(account, sum)| (account, Micros(sum)))
        .collect();
    summary.waiting = rows(
        &mut *cached(connection, sql!("summary_waiting"))?,
        [],
        |row| Ok((queue(&get::<String>(row, 0)?)?, count(row, 1)?)),
    )?;
    let mut query = cached(connection, sql!("summary_counts"))?;
    first(&mut query, [], |row| {
        summary.dead_letters = count(row, 0)?;
        summary.open_breaks = count(row, 1)?;
        Ok(())
    })?;
    Ok(summary)
}
