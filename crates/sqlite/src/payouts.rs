//! Payouts as rows: the state's name, and its data in columns that the schema ties to it.

use lingqian_core::changes::Work;
use lingqian_core::id::{
    AppId, MchId, MerchantNo, OpenId, OutBillNo, PayoutId, Reference, UserId, UserNo,
};
use lingqian_core::payout::{Asked, Attempt, Payout, State};
use lingqian_core::seat::Seat;
use lingqian_core::time::Timestamp;
use lingqian_core::transfer::TransferOrder;
use lingqian_core::user::Sealed;
use lingqian_core::withdrawal::{Held, Withdrawal};
use lingqian_io::Fault;
use lingqian_io::columns::{StateData, earlier_numbers, seats_of};
use lingqian_io::store::PayoutRow;
use lingqian_io::text::report_text;
use rusqlite::{CachedStatement, Connection, Row, params};

use crate::codec::{damaged, day, fault, fen, get, id, payout_id, report, rows};
use crate::prefetch::cached;
use crate::sql;

/// Columns of the payout queries: 15 of the payout, 16 of its attempt, its user's name, how many
/// attempts ended, and who approved it.
pub(crate) const COLUMNS: usize = 34;

/// A payout with its user's name.
pub(crate) fn row(row: &Row<'_>) -> Result<PayoutRow, Fault> {
    let user: String = get(row, 31)?;
    Ok(PayoutRow {
        payout: payout(row)?,
        user: id(&user, UserId::parse, "users.user_id")?,
    })
}

fn payout(row: &Row<'_>) -> Result<Payout, Fault> {
    let name: String = get(row, 0)?;
    let reference: String = get(row, 4)?;
    let asked: String = get(row, 5)?;
    let counted_on: Option<i64> = get(row, 9)?;
    Ok(Payout {
        id: payout_id(&name)?,
        user: UserNo(get(row, 1)?),
        merchant: MerchantNo(get(row, 2)?),
        amount: fen(row, 3)?,
        reference: id(&reference, Reference::parse, "payouts.reference")?,
        asked: Asked::from_name(&asked).ok_or_else(|| damaged("payouts.asked"))?,
        created_at: Timestamp(get(row, 6)?),
        updated_at: Timestamp(get(row, 7)?),
        version: get(row, 8)?,
        counted_on: counted_on.map(day).transpose()?,
        billed: fen(row, 10)?,
        tries: get(row, 32)?,
        state: state(row)?,
    })
}

fn state(row: &Row<'_>) -> Result<State, Fault> {
    let name: String = get(row, 11)?;
    let data = StateData {
        code: get(row, 12)?,
        package: get(row, 13)?,
        paid_at: get::<Option<i64>>(row, 14)?.map(Timestamp),
        approvals: get(row, 33)?,
    };
    data.state(&name, attempt(row, 15)?)
}

/// An attempt from its sixteen columns, beginning at `at`.
fn attempt(row: &Row<'_>, at: usize) -> Result<Option<Attempt>, Fault> {
    let Some(number) = get::<Option<String>>(row, at)? else {
        return Ok(None);
    };
    let text = |index: usize| get::<String>(row, at + index);
    let seat: Option<String> = get(row, at + 15)?;
    let order = TransferOrder {
        number: id(&number, OutBillNo::parse, "attempts.number")?,
        mchid: id(&text(1)?, MchId::parse, "attempts.mchid")?,
        app: id(&text(2)?, AppId::parse, "attempts.app")?,
        openid: id(&text(3)?, OpenId::parse, "attempts.openid")?,
        amount: fen(row, at + 4)?,
        scene: text(5)?,
        scene_report: report(&text(6)?)?,
        remark: text(7)?,
        name: get::<Option<Vec<u8>>>(row, at + 8)?.map(Sealed),
        seat: seat
            .map(|seat| id(&seat, Seat::parse, "attempts.seat"))
            .transpose()?,
    };
    Ok(Some(Attempt {
        order,
        sends: get(row, at + 9)?,
        asks: get(row, at + 10)?,
        doubt: get(row, at + 11)?,
        first_sent_at: Timestamp(get(row, at + 12)?),
        last_sent_at: Timestamp(get(row, at + 13)?),
        bill_no: get(row, at + 14)?,
    }))
}

/// A withdrawal that was accepted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Born {
    /// Which of the requests.
    pub(crate) place: usize,
    pub(crate) held: Held,
    /// The number of its hold.
    pub(crate) seq: u64,
}

/// Rows of `insert_held_rows.sql`.
const HELD_ROWS: usize = 16;

/// Writes the payouts of requests that were accepted.
pub(crate) fn bear(
    connection: &Connection,
    now: Timestamp,
    requests: &[Withdrawal],
    born: &[Born],
) -> Result<(), Fault> {
    let mut many = cached(connection, sql!("insert_held_rows"))?;
    let mut one = cached(connection, sql!("insert_held"))?;
    let (whole, rest) = born.as_chunks::<HELD_ROWS>();
    for rows in whole {
        insert_held(&mut many, now, requests, rows)?;
    }
    for row in rest {
        insert_held(&mut one, now, requests, std::slice::from_ref(row))?;
    }
    let count = i64::try_from(born.len()).unwrap_or(i64::MAX);
    let sum = born.iter().map(|born| born.held.amount.0).sum::<i64>();
    add_to_state(connection, State::Requested.name(), (count, sum))
}

/// Adds so many payouts and so many fen to those of a state.
fn add_to_state(
    connection: &Connection,
    state: &str,
    (payouts, fen): (i64, i64),
) -> Result<(), Fault> {
    let mut add = cached(connection, sql!("add_state_total"))?;
    let added = add.execute(params![state, payouts, fen]);
    added.map(|_| ()).map_err(fault)
}

/// Runs a statement that inserts as many rows as these.
fn insert_held(
    insert: &mut CachedStatement<'_>,
    now: Timestamp,
    requests: &[Withdrawal],
    born: &[Born],
) -> Result<(), Fault> {
    insert.raw_bind_parameter(1, now.0).map_err(fault)?;
    let mut at = 1;
    for Born { place, held, seq } in born {
        let request = &requests[*place];
        let values = params![
            request.payout.to_string(),
            held.user.0,
            held.merchant.0,
            held.amount.0,
            request.reference.as_str(),
            request.asked.name(),
            seq.cast_signed(),
        ];
        for value in values {
            at += 1;
            insert.raw_bind_parameter(at, value).map_err(fault)?;
        }
    }
    insert.raw_execute().map(|_| ()).map_err(fault)
}

/// Writes a payout and its attempt, and what it waits for where that changes. One that was not born
/// here before is new.
pub(crate) fn write(
    connection: &Connection,
    payout: &Payout,
    work: Option<&Work>,
) -> Result<(), Fault> {
    let StateData {
        code,
        package,
        paid_at,
        approvals,
    } = StateData::from(&payout.state);
    let waits_anew = work.is_some() || payout.state.is_final();
    let name = payout.id.to_string();
    let values = params![
        name,
        payout.user.0,
        payout.merchant.0,
        payout.amount.0,
        payout.reference.as_str(),
        payout.asked.name(),
        payout.created_at.0,
        payout.updated_at.0,
        payout.version,
        payout.counted_on.map(|day| day.0),
        payout.billed.0,
        payout.state.name(),
        code,
        package,
        paid_at.map(|at| at.0),
        paid_at.map(|at| at.business_date().0),
        work.map(|work| work.queue.name()),
        work.map(|work| work.due_at.0),
        waits_anew,
        payout.tries,
        approvals,
    ];
    let mut update = cached(connection, sql!("update_payout"))?;
    if update.execute(values).map_err(fault)? == 0 {
        let mut insert = cached(connection, sql!("insert_payout"))?;
        insert.execute(values).map_err(fault)?;
        add_to_state(connection, payout.state.name(), (1, payout.amount.0))?;
    }
    match payout.state.attempt() {
        Some(attempt) => write_attempt(connection, attempt),
        None => Ok(()),
    }
}

/// Attempts of a payout that ended while it went on, oldest first.
pub(crate) fn earlier(connection: &Connection, payout: &Payout) -> Result<Vec<Attempt>, Fault> {
    let Some((first, last)) = earlier_numbers(payout) else {
        return Ok(Vec::new());
    };
    let mut query = cached(connection, sql!("attempts_of"))?;
    let found = rows(&mut query, [&first, &last], |row| attempt(row, 0))?;
    Ok(found.into_iter().flatten().collect())
}

/// The payouts of a batch, in the order of their places.
pub(crate) fn seated(connection: &Connection, batch: OutBillNo) -> Result<Vec<PayoutId>, Fault> {
    let (first, last) = seats_of(batch);
    let mut query = cached(connection, sql!("seated"))?;
    rows(&mut query, [&first, &last], |row| {
        payout_id(&get::<String>(row, 0)?)
    })
}

/// Writes an attempt.
pub(crate) fn write_attempt(connection: &Connection, attempt: &Attempt) -> Result<(), Fault> {
    let order = &attempt.order;
    connection
        .prepare_cached(sql!("upsert_attempt"))
        .and_then(|mut upsert| {
            upsert.execute(params![
                order.number.payout().to_string(),
                order.number.to_string(),
                order.mchid.as_str(),
                order.app.as_str(),
                order.openid.expose(),
                order.amount.0,
                order.scene,
                report_text(&order.scene_report),
                order.remark,
                order.name.as_ref().map(|sealed| &sealed.0),
                order.canonical(),
                attempt.sends,
                attempt.asks,
                attempt.doubt,
                attempt.first_sent_at.0,
                attempt.last_sent_at.0,
                attempt.bill_no,
                order.seat.map(|seat| seat.to_string()),
            ])
        })
        .map(|_| ())
        .map_err(fault)
}
