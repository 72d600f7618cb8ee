//! Facts: everything that the keys name, all of one moment.

use std::collections::btree_map::Entry;

use lingqian_core::earning::{Kind, Terms};
use lingqian_core::facts::Wallet;
use lingqian_core::id::{AppId, KindCode, KindNo, MchId, MerchantNo, UserId, UserNo};
use lingqian_core::link::{LinkState, StateDigest};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::reconcile::{Break, BreakKind};
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::transfer::Merchant;
use lingqian_core::user::{DayTotals, Sealed, User};
use lingqian_core::{Facts, Keys};
use lingqian_io::Fault;
use rusqlite::{CachedStatement, Connection, Row, params};

use crate::codec::{apps, damaged, day, fault, fen, first, get, id, report, rows};
use crate::{control, links, payouts, sql};

pub(crate) fn cached<'c>(
    connection: &'c Connection,
    query: &'static str,
) -> Result<CachedStatement<'c>, Fault> {
    connection.prepare_cached(query).map_err(fault)
}

/// The number that the next new user gets.
pub(crate) fn next_user(connection: &Connection) -> Result<i64, Fault> {
    let mut query = cached(connection, sql!("next_user"))?;
    Ok(first(&mut query, [], |row| get(row, 0))?.unwrap_or(1))
}

/// Reads the facts that are in rows. Balances, kinds and events are in the books in memory.
pub(crate) fn prefetch(connection: &Connection, keys: &Keys) -> Result<Facts, Fault> {
    let merchants = merchants(connection)?.into_iter();
    let mut facts = Facts {
        merchants: merchants.map(|m| (m.mchid.clone(), m)).collect(),
        next_user: next_user(connection)?,
        stops: control::stops(connection, false)?.into_iter().collect(),
        day: keys.day,
        ..Facts::default()
    };
    let days = control::merchant_days(connection, keys.day)?.into_iter();
    let today = days.filter(|(_, day, _)| *day == keys.day);
    facts.merchant_days = today.map(|(no, _, amount)| (no, amount)).collect();
    if keys.closed_bills {
        facts.closed_bills = control::closed_bills(connection)?.into_iter().collect();
    }
    users(connection, keys, &mut facts)?;
    linking(connection, keys, &mut facts)?;
    all_payouts(connection, keys, &mut facts)?;
    bill_lines(connection, keys, &mut facts)?;
    Ok(facts)
}

fn users(connection: &Connection, keys: &Keys, facts: &mut Facts) -> Result<(), Fault> {
    let mut by_id = cached(connection, sql!("user_by_id"))?;
    for name in &keys.users {
        let found = first(&mut by_id, [name.as_str()], user)?;
        facts.users.insert(name.clone(), found);
    }
    for name in &keys.wallets {
        let found = first(&mut by_id, [name.as_str()], user)?;
        facts.users.insert(name.clone(), found.clone());
        if let Some(user) = found {
            add_wallet(connection, facts, user, &[keys.day])?;
        }
    }
    Ok(())
}

/// A user from the first five columns.
pub(crate) fn user(row: &Row<'_>) -> Result<User, Fault> {
    let name: String = get(row, 1)?;
    Ok(User {
        no: UserNo(get(row, 0)?),
        id: id(&name, UserId::parse, "users.user_id")?,
        created_at: Timestamp(get(row, 2)?),
        frozen: get(row, 3)?,
        name: get::<Option<Vec<u8>>>(row, 4)?.map(Sealed),
    })
}

fn add_wallet(
    connection: &Connection,
    facts: &mut Facts,
    user: User,
    days: &[BusinessDate],
) -> Result<(), Fault> {
    let no = user.no;
    if let Entry::Vacant(place) = facts.wallets.entry(no) {
        place.insert(wallet(connection, user)?);
    }
    for day in days {
        let found = day_totals(connection, no, *day)?;
        if let (Some(found), Some(wallet)) = (found, facts.wallets.get_mut(&no)) {
            wallet.days.insert(*day, found);
        }
    }
    Ok(())
}

/// What was approved for a user on a day.
pub(crate) fn day_totals(
    connection: &Connection,
    user: UserNo,
    day: BusinessDate,
) -> Result<Option<DayTotals>, Fault> {
    let mut query = cached(connection, sql!("day_totals"))?;
    first(&mut query, params![user.0, day.0], |row| {
        Ok(DayTotals {
            count: get(row, 0)?,
            amount: fen(row, 1)?,
        })
    })
}

/// A user's links, without balances and any day's totals.
pub(crate) fn wallet(connection: &Connection, user: User) -> Result<Wallet, Fault> {
    let mut by_user = cached(connection, sql!("link_by_user"))?;
    let links = rows(&mut by_user, [user.no.0], links::link)?.into_iter();
    let mut wallet = Wallet::new(user);
    wallet.links = links.map(|link| (link.app.clone(), link)).collect();
    Ok(wallet)
}

fn linking(connection: &Connection, keys: &Keys, facts: &mut Facts) -> Result<(), Fault> {
    let mut by_no = cached(connection, sql!("user_by_no"))?;
    let mut query = cached(connection, sql!("link_state"))?;
    for digest in &keys.link_states {
        let found = first(&mut query, [digest.0.as_slice()], |row| state(*digest, row))?;
        if let Some(state) = &found
            && let Some(user) = first(&mut by_no, [state.user.0], user)?
        {
            facts.users.insert(user.id.clone(), Some(user.clone()));
            add_wallet(connection, facts, user, &[keys.day])?;
        }
        facts.link_states.insert(*digest, found);
    }
    let mut holder = cached(connection, sql!("holder"))?;
    for openid in &keys.openids {
        let found = rows(&mut holder, [openid.expose()], |row| {
            Ok(UserNo(get(row, 0)?))
        })?;
        facts
            .holders
            .insert(openid.clone(), found.into_iter().collect());
    }
    Ok(())
}

/// A started link from its four columns.
pub(crate) fn state(digest: StateDigest, row: &Row<'_>) -> Result<LinkState, Fault> {
    let app: String = get(row, 1)?;
    Ok(LinkState {
        digest,
        user: UserNo(get(row, 0)?),
        app: id(&app, AppId::parse, "link_states.app")?,
        expires_at: Timestamp(get(row, 2)?),
        used_at: get::<Option<i64>>(row, 3)?.map(Timestamp),
    })
}

fn all_payouts(connection: &Connection, keys: &Keys, facts: &mut Facts) -> Result<(), Fault> {
    let mut query = cached(connection, sql!("payout"))?;
    let mut by_no = cached(connection, sql!("user_by_no"))?;
    let mut open = cached(connection, sql!("open_break"))?;
    for name in &keys.payouts {
        let text = name.to_string();
        let found = first(&mut query, [&text], payouts::row)?.map(|row| row.payout);
        if let Some(payout) = &found {
            let user = first(&mut by_no, [payout.user.0], user)?;
            let user = user.ok_or_else(|| damaged("payouts.user_no"))?;
            let mut days = vec![keys.day];
            days.extend(payout.counted_on);
            add_wallet(connection, facts, user, &days)?;
        }
        if let Some(found) = first(&mut open, [&text], broken)? {
            facts.open_breaks.insert(text, found);
        }
        facts.payouts.insert(*name, found);
    }
    Ok(())
}

fn bill_lines(connection: &Connection, keys: &Keys, facts: &mut Facts) -> Result<(), Fault> {
    let mut known = cached(connection, sql!("bill_line_known"))?;
    let mut open = cached(connection, sql!("open_break"))?;
    for (mchid, flow) in &keys.bill_lines {
        let found = first(&mut known, [mchid.as_str(), flow.as_str()], |_| Ok(()))?;
        facts
            .bill_lines
            .insert((mchid.clone(), flow.clone()), found.is_some());
        if let Some(found) = first(&mut open, [flow], broken)? {
            facts.open_breaks.insert(flow.clone(), found);
        }
    }
    Ok(())
}

/// A break from its six columns.
pub(crate) fn broken(row: &Row<'_>) -> Result<Break, Fault> {
    let kind: String = get(row, 1)?;
    Ok(Break {
        subject: get(row, 0)?,
        kind: BreakKind::from_code(&kind).ok_or_else(|| damaged("breaks.kind"))?,
        date: day(get(row, 2)?)?,
        difference: fen(row, 3)?,
        opened_at: Timestamp(get(row, 4)?),
        closed_at: get::<Option<i64>>(row, 5)?.map(Timestamp),
    })
}

/// The catalogue.
pub(crate) fn kinds(connection: &Connection) -> Result<Vec<Kind>, Fault> {
    rows(&mut *cached(connection, sql!("kinds"))?, [], |row| {
        let code: String = get(row, 1)?;
        Ok(Kind {
            no: KindNo(get(row, 0)?),
            code: id(&code, KindCode::parse, "kinds.code")?,
            price: get::<Option<i64>>(row, 2)?.map(Micros),
            amount_max: Micros(get(row, 3)?),
            tax_class: get(row, 4)?,
            terms: Terms {
                user_day_amount_max: get::<Option<i64>>(row, 5)?.map(Micros),
                user_day_count_max: get(row, 6)?,
                cooling_days: get(row, 7)?,
                between_users: get(row, 8)?,
            },
        })
    })
}

/// All merchants.
pub(crate) fn merchants(connection: &Connection) -> Result<Vec<Merchant>, Fault> {
    rows(&mut *cached(connection, sql!("merchants"))?, [], |row| {
        let (mchid, listed): (String, String) = (get(row, 1)?, get(row, 2)?);
        Ok(Merchant {
            no: MerchantNo(get(row, 0)?),
            mchid: id(&mchid, MchId::parse, "merchants.mchid")?,
            apps: apps(&listed)?,
            scene: get(row, 3)?,
            scene_report: report(&get::<String>(row, 4)?)?,
            remark: get(row, 5)?,
            weight: get(row, 6)?,
            day_quota: get::<Option<i64>>(row, 7)?.map(Fen),
        })
    })
}
