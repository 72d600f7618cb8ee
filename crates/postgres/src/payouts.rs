//! Payouts as rows: the state's name, and its data in columns that the schema ties to it.

use lingqian_core::id::{AppId, MchId, MerchantNo, OpenId, OutBillNo, Reference, UserId, UserNo};
use lingqian_core::payout::{Asked, Attempt, Payout, State};
use lingqian_core::risk::Reason;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::TransferOrder;
use lingqian_core::user::Sealed;
use lingqian_io::Fault;
use lingqian_io::store::PayoutRow;
use tokio_postgres::Row;

use crate::codec::{damaged, fen, get, id, moment, number, payout_id, report, report_text, text};
use crate::commit::{Refused, unless};
use crate::pool::Session;
use crate::sql;

/// Columns of the payout queries: 15 of the payout, 15 of its attempt, its user's name.
pub(crate) const COLUMNS: usize = 31;

/// A payout with its user's name.
pub(crate) fn row(row: &Row) -> Result<PayoutRow, Fault> {
    Ok(PayoutRow {
        payout: payout(row)?,
        user: id(text(row, 30)?, UserId::parse, "users.user_id")?,
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
        state: state(row)?,
    })
}

fn state(row: &Row) -> Result<State, Fault> {
    let attempt = attempt(row)?;
    let code: Option<String> = get(row, 12)?;
    let package: Option<String> = get(row, 13)?;
    let paid_at: Option<i64> = get(row, 14)?;
    let lacking = || damaged("payouts, a state without its data,");
    let code = || code.clone().ok_or_else(lacking);
    let begun = || attempt.clone().ok_or_else(lacking);
    Ok(match text(row, 11)? {
        "requested" => State::Requested,
        "approved" => State::Approved,
        "sending" => State::Sending(begun()?),
        "deferred" => State::Deferred(begun()?, code()?),
        "unknown" => State::Unknown(begun()?, code()?),
        "processing" => State::Processing(begun()?),
        "awaiting_user" => State::AwaitingUser(begun()?, package),
        "cancelling" => State::Cancelling(begun()?),
        "paid" => State::Paid(begun()?, Timestamp(paid_at.ok_or_else(lacking)?)),
        "failed" => State::Failed(begun()?, code()?),
        "expired" => State::Expired(begun()?),
        "cancelled" => State::Cancelled(attempt),
        "refused" => State::Refused(reasons(&code()?)?),
        _ => return Err(damaged("payouts.state")),
    })
}

fn reasons(codes: &str) -> Result<Vec<Reason>, Fault> {
    let reason = |code| Reason::from_code(code).ok_or_else(|| damaged("payouts.code"));
    codes.split(',').map(reason).collect()
}

fn attempt(row: &Row) -> Result<Option<Attempt>, Fault> {
    let Some(number_text) = get::<Option<String>>(row, 15)? else {
        return Ok(None);
    };
    let order = TransferOrder {
        number: id(&number_text, OutBillNo::parse, "attempts.number")?,
        mchid: id(text(row, 16)?, MchId::parse, "attempts.mchid")?,
        app: id(text(row, 17)?, AppId::parse, "attempts.app")?,
        openid: id(text(row, 18)?, OpenId::parse, "attempts.openid")?,
        amount: fen(row, 19)?,
        scene: get(row, 20)?,
        scene_report: report(text(row, 21)?)?,
        remark: get(row, 22)?,
        name: get::<Option<Vec<u8>>>(row, 23)?.map(Sealed),
    };
    Ok(Some(Attempt {
        order,
        sends: number(row, 24)?,
        asks: number(row, 25)?,
        doubt: get(row, 26)?,
        first_sent_at: moment(row, 27)?,
        last_sent_at: moment(row, 28)?,
        bill_no: get(row, 29)?,
    }))
}

/// Writes payouts and their attempts, each in one statement. Of several versions of one the
/// last is kept; that each was allowed after the one before it is looked at here, and against
/// what is stored by the database.
pub(crate) async fn write(session: &Session, payouts: &[&Payout]) -> Result<(), Refused> {
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
    let begun: Vec<(&Payout, &Attempt)> = latest
        .iter()
        .filter_map(|payout| Some((*payout, payout.state.attempt()?)))
        .collect();
    if begun.is_empty() {
        return Ok(());
    }
    upsert_attempts(session, &begun).await
}

async fn upsert_payouts(session: &Session, payouts: &[&Payout]) -> Result<(), Refused> {
    let each = |read: fn(&Payout) -> i64| -> Vec<i64> { payouts.iter().map(|p| read(p)).collect() };
    let names: Vec<String> = payouts.iter().map(|p| p.id.to_string()).collect();
    let references: Vec<&str> = payouts.iter().map(|p| p.reference.as_str()).collect();
    let asked: Vec<&str> = payouts.iter().map(|p| p.asked.name()).collect();
    let counted: Vec<Option<i32>> = payouts.iter().map(|p| p.counted_on.map(|d| d.0)).collect();
    let states: Vec<&str> = payouts.iter().map(|p| p.state.name()).collect();
    let data: Vec<_> = payouts.iter().map(|p| data(&p.state)).collect();
    let codes: Vec<Option<&str>> = data.iter().map(|(code, ..)| code.as_deref()).collect();
    let packages: Vec<Option<&str>> = data.iter().map(|(_, package, _)| *package).collect();
    let paid_at: Vec<Option<i64>> = data.iter().map(|(.., at)| at.map(|at| at.0)).collect();
    let paid_on = |at: &Option<Timestamp>| at.map(|at| at.business_date().0);
    let paid_on: Vec<Option<i32>> = data.iter().map(|(.., at)| paid_on(at)).collect();
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
            ],
        )
        .await?;
    Ok(())
}

fn data(state: &State) -> (Option<String>, Option<&str>, Option<Timestamp>) {
    match state {
        State::Deferred(_, code) | State::Unknown(_, code) | State::Failed(_, code) => {
            (Some(code.clone()), None, None)
        }
        State::Refused(reasons) => {
            let codes: Vec<&str> = reasons.iter().map(|reason| reason.code()).collect();
            (Some(codes.join(",")), None, None)
        }
        State::AwaitingUser(_, package) => (None, package.as_deref(), None),
        State::Paid(_, at) => (None, None, Some(*at)),
        State::Requested
        | State::Approved
        | State::Sending(_)
        | State::Processing(_)
        | State::Cancelling(_)
        | State::Expired(_)
        | State::Cancelled(_) => (None, None, None),
    }
}

async fn upsert_attempts(session: &Session, begun: &[(&Payout, &Attempt)]) -> Result<(), Refused> {
    let texts = |read: fn(&TransferOrder) -> &str| -> Vec<&str> {
        begun
            .iter()
            .map(|(_, attempt)| read(&attempt.order))
            .collect()
    };
    let each = |read: fn(&Attempt) -> i64| -> Vec<i64> {
        begun.iter().map(|(_, attempt)| read(attempt)).collect()
    };
    let made = |read: fn(&TransferOrder) -> String| -> Vec<String> {
        begun
            .iter()
            .map(|(_, attempt)| read(&attempt.order))
            .collect()
    };
    let payouts: Vec<String> = begun
        .iter()
        .map(|(payout, _)| payout.id.to_string())
        .collect();
    let names: Vec<Option<&[u8]>> = begun
        .iter()
        .map(|(_, attempt)| {
            attempt
                .order
                .name
                .as_ref()
                .map(|sealed| sealed.0.as_slice())
        })
        .collect();
    let doubts: Vec<bool> = begun.iter().map(|(_, attempt)| attempt.doubt).collect();
    let bills: Vec<Option<&str>> = begun.iter().map(|(_, a)| a.bill_no.as_deref()).collect();
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
            ],
        )
        .await?;
    Ok(())
}

/// What a payout may become within one batch.
fn check_successor(before: &Payout, after: &Payout) -> Result<(), Refused> {
    let kept = before.user == after.user
        && before.merchant == after.merchant
        && before.amount == after.amount
        && before.reference == after.reference
        && before.asked == after.asked
        && before.created_at == after.created_at;
    unless(kept, "a payout keeps what it was made of")?;
    let stays = !before.state.is_final() || before.state == after.state;
    unless(stays, "a final payout never changes its state")?;
    let order = |payout: &Payout| payout.state.attempt().map(|attempt| attempt.order.clone());
    let kept = order(before).is_none_or(|order_before| order(after) == Some(order_before));
    unless(kept, "an order never changes once it may have been sent")
}
