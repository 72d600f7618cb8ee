//! Payouts as rows: the state's name, and its data in columns that the schema ties to it.

use lingqian_core::id::{
    AppId, MchId, MerchantNo, OpenId, OutBillNo, PayoutId, Reference, UserId, UserNo,
};
use lingqian_core::payout::{Asked, Attempt, Payout, State};
use lingqian_core::seat::Seat;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::TransferOrder;
use lingqian_core::user::Sealed;
use lingqian_io::Fault;
use lingqian_io::columns::{StateData, earlier_numbers, seats_of};
use lingqian_io::store::PayoutRow;
use lingqian_io::text::report_text;
use tokio_postgres::Row;

use crate::browse::all;
use crate::codec::{damaged, fen, get, id, moment, moment_maybe, number, payout_id, report, text};
use crate::commit::{Refused, unless};
use crate::pool::Session;
use crate::sql;

/// Columns of the payout queries: 15 of the payout, 16 of its attempt, its user's name, how many
/// attempts ended, and who approved it.
pub(crate) const COLUMNS: usize = 34;

/// A payout with its user's name.
pub(crate) fn row(row: &Row) -> Result<PayoutRow, Fault> {
    Ok(PayoutRow {
        payout: payout(row)?,
        user: id(text(row, 31)?, UserId::parse, "users.user_id")?,
    })
}

fn payout(row: &Row) -> Result<Payout, Fault> {
    Ok(Payout {
        id: payout_id(text(row, 0)?)?,
        user: UserNo(get(row, 1)?),
        merchant: MerchantNo(get(row, 2)?),
        amount: fen(row, 3)?,
        reference: id(text(row, 4)?, Reference::parse, "payouts.reference")?,
        asked: Asked::from_name(text(row, 5)?).ok_or_else(|| damaged("payouts.asked"))?,
        created_at: moment(row, 6)?,
        updated_at: moment(row, 7)?,
        version: number(row, 8)?,
        counted_on: get::<Option<i32>>(row, 9)?.map(BusinessDate),
        billed: fen(row, 10)?,
        tries: number(row, 32)?,
        state: state(row)?,
    })
}

fn state(row: &Row) -> Result<State, Fault> {
    let data = StateData {
        code: get(row, 12)?,
        package: get(row, 13)?,
        paid_at: moment_maybe(row, 14)?,
        approvals: get(row, 33)?,
    };
    data.state(text(row, 11)?, attempt(row, 15)?)
}

/// An attempt from its sixteen columns, beginning at `at`.
fn attempt(row: &Row, at: usize) -> Result<Option<Attempt>, Fault> {
    let Some(number_text) = get::<Option<String>>(row, at)? else {
        return Ok(None);
    };
    let seat: Option<String> = get(row, at + 15)?;
    let order = TransferOrder {
        number: id(&number_text, OutBillNo::parse, "attempts.number")?,
        mchid: id(text(row, at + 1)?, MchId::parse, "attempts.mchid")?,
        app: id(text(row, at + 2)?, AppId::parse, "attempts.app")?,
        openid: id(text(row, at + 3)?, OpenId::parse, "attempts.openid")?,
        amount: fen(row, at + 4)?,
        scene: get(row, at + 5)?,
        scene_report: report(text(row, at + 6)?)?,
        remark: get(row, at + 7)?,
        name: get::<Option<Vec<u8>>>(row, at + 8)?.map(Sealed),
        seat: seat
            .map(|seat| id(&seat, Seat::parse, "attempts.seat"))
            .transpose()?,
    };
    Ok(Some(Attempt {
        order,
        sends: number(row, at + 9)?,
        asks: number(row, at + 10)?,
        doubt: get(row, at + 11)?,
        first_sent_at: moment(row, at + 12)?,
        last_sent_at: moment(row, at + 13)?,
        bill_no: get(row, at + 14)?,
    }))
}

/// Attempts of a payout that ended while it went on, oldest first.
pub(crate) async fn earlier(session: &Session, payout: &Payout) -> Result<Vec<Attempt>, Fault> {
    let Some((first, last)) = earlier_numbers(payout) else {
        return Ok(Vec::new());
    };
    let read = |row: &Row| attempt(row, 0);
    let found = all(session, sql!("attempts_of"), &[&first, &last], read).await?;
    Ok(found.into_iter().flatten().collect())
}

/// The payouts of a batch, in the order of their places.
pub(crate) async fn seated(session: &Session, batch: OutBillNo) -> Result<Vec<PayoutId>, Fault> {
    let (first, last) = seats_of(batch);
    let read = |row: &Row| payout_id(text(row, 0)?);
    all(session, sql!("seated"), &[&first, &last], read).await
}

/// Writes payouts and their attempts, each in one statement. Of several versions of one the
/// last is kept; that each was allowed after the one before it is looked at here, and against
/// what is stored by the database.
pub(crate) async fn write(
    session: &Session,
    payouts: &[&Payout],
    ended: &[Attempt],
) -> Result<(), Refused> {
    let mut latest: Vec<&Payout> = Vec::with_capacity(payouts.len());
    let mut places = std::collections::BTreeMap::new();
    for payout in payouts {
        let place = *places.entry(payout.id).or_insert(latest.len());
        match latest.get_mut(place) {
            Some(before) => {
                check_successor(before, payout)?;
                *before = payout;
            }
            None => latest.push(payout),
        }
    }
    if latest.is_empty() {
        return Ok(());
    }
    upsert_payouts(session, &latest).await?;
    let begun = latest.iter().filter_map(|payout| payout.state.attempt());
    // What ended in this batch may have begun in it, too; what it ended as is kept.
    let all: std::collections::BTreeMap<OutBillNo, &Attempt> = begun
        .chain(ended)
        .map(|attempt| (attempt.number(), attempt))
        .collect();
    let all: Vec<&Attempt> = all.into_values().collect();
    if all.is_empty() {
        return Ok(());
    }
    upsert_attempts(session, &all).await
}

async fn upsert_payouts(session: &Session, payouts: &[&Payout]) -> Result<(), Refused> {
    let each = |read: fn(&Payout) -> i64| -> Vec<i64> { payouts.iter().map(|p| read(p)).collect() };
    let names: Vec<String> = payouts.iter().map(|p| p.id.to_string()).collect();
    let references: Vec<&str> = payouts.iter().map(|p| p.reference.as_str()).collect();
    let asked: Vec<&str> = payouts.iter().map(|p| p.asked.name()).collect();
    let counted: Vec<Option<i32>> = payouts.iter().map(|p| p.counted_on.map(|d| d.0)).collect();
    let states: Vec<&str> = payouts.iter().map(|p| p.state.name()).collect();
    let data: Vec<StateData> = payouts.iter().map(|p| StateData::from(&p.state)).collect();
    let codes: Vec<Option<&str>> = data.iter().map(|data| data.code.as_deref()).collect();
    let packages: Vec<Option<&str>> = data.iter().map(|data| data.package.as_deref()).collect();
    let approvals: Vec<Option<&str>> = data.iter().map(|data| data.approvals.as_deref()).collect();
    let paid = data.iter().map(|data| data.paid_at);
    let paid_at: Vec<Option<i64>> = paid.clone().map(|at| at.map(|at| at.0)).collect();
    let paid_on = |at: Option<Timestamp>| at.map(|at| at.business_date().0);
    let paid_on: Vec<Option<i32>> = paid.map(paid_on).collect();
    session
        .run(
            sql!("upsert_payouts"),
            &[
                &names,
                &each(|p| p.user.0),
                &each(|p| p.merchant.0),
                &each(|p| p.amount.0),
                &references,
                &asked,
                &each(|p| p.created_at.0),
                &each(|p| p.updated_at.0),
                &each(|p| i64::from(p.version)),
                &counted,
                &each(|p| p.billed.0),
                &states,
                &codes,
                &packages,
                &paid_at,
                &paid_on,
                &each(|p| i64::from(p.tries)),
                &approvals,
            ],
        )
        .await?;
    Ok(())
}

async fn upsert_attempts(session: &Session, begun: &[&Attempt]) -> Result<(), Refused> {
    let texts = |read: fn(&TransferOrder) -> &str| -> Vec<&str> {
        begun.iter().map(|attempt| read(&attempt.order)).collect()
    };
    let each = |read: fn(&Attempt) -> i64| -> Vec<i64> {
        begun.iter().map(|attempt| read(attempt)).collect()
    };
    let made = |read: fn(&TransferOrder) -> String| -> Vec<String> {
        begun.iter().map(|attempt| read(&attempt.order)).collect()
    };
    let payouts: Vec<String> = begun
        .iter()
        .map(|attempt| attempt.number().payout().to_string())
        .collect();
    let names: Vec<Option<&[u8]>> = begun
        .iter()
        .map(|attempt| {
            attempt
                .order
                .name
                .as_ref()
                .map(|sealed| sealed.0.as_slice())
        })
        .collect();
    let doubts: Vec<bool> = begun.iter().map(|attempt| attempt.doubt).collect();
    let bills: Vec<Option<&str>> = begun.iter().map(|a| a.bill_no.as_deref()).collect();
    let seats: Vec<Option<String>> = begun
        .iter()
        .map(|attempt| attempt.order.seat.map(|seat| seat.to_string()))
        .collect();
    session
        .run(
            sql!("upsert_attempts"),
            &[
                &payouts,
                &made(|order| order.number.to_string()),
                &texts(|order| order.mchid.as_str()),
                &texts(|order| order.app.as_str()),
                &texts(|order| order.openid.expose()),
                &each(|attempt| attempt.order.amount.0),
                &texts(|order| &order.scene),
                &made(|order| report_text(&order.scene_report)),
                &texts(|order| &order.remark),
                &names,
                &made(TransferOrder::canonical),
                &each(|attempt| i64::from(attempt.sends)),
                &each(|attempt| i64::from(attempt.asks)),
                &doubts,
                &each(|attempt| attempt.first_sent_at.0),
                &each(|attempt| attempt.last_sent_at.0),
                &bills,
                &seats,
            ],
        )
        .await?;
    Ok(())
}

/// What a payout may become within one batch.
fn check_successor(before: &Payout, after: &Payout) -> Result<(), Refused> {
    // Who pays is decided when the order is made.
    let routed = before.merchant == after.merchant || before.state == State::Approved;
    let kept = before.user == after.user
        && routed
        && before.amount == after.amount
        && before.reference == after.reference
        && before.asked == after.asked
        && before.created_at == after.created_at;
    unless(kept, "a payout keeps what it was made of")?;
    let stays = before.state == after.state && before.tries == after.tries;
    let stays = !before.state.is_final() || stays;
    unless(stays, "a final payout never changes its state")?;
    let more = after.tries.checked_sub(before.tries);
    let counted = more == Some(0) || (more == Some(1) && after.state == State::Approved);
    unless(counted, "one attempt of a payout ends at a time")?;
    let order = |payout: &Payout| payout.state.attempt().map(|attempt| attempt.order.clone());
    let kept = more == Some(1)
        || order(before).is_none_or(|order_before| order(after) == Some(order_before));
    unless(kept, "an order never changes once it may have been sent")
}
