//! People, events and the catalogue: rows as types.

use lingqian_core::earning::{Earning, Kind, KindDay, Terms};
use lingqian_core::id::{
    AppId, EventId, KindCode, KindNo, MchId, MerchantNo, Source, UserId, UserNo,
};
use lingqian_core::link::{LinkState, StateDigest};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::reconcile::{Break, BreakKind};
use lingqian_core::time::BusinessDate;
use lingqian_core::transfer::Merchant;
use lingqian_core::user::{Sealed, User};
use lingqian_io::Fault;
use tokio_postgres::Row;

use crate::codec::{
    apps, damaged, day, digest, fen, get, id, moment, moment_maybe, number, report, text,
};
use crate::pool::Session;
use crate::sql;

/// The totals of a kind, from the third column on.
pub(crate) fn kind_day(row: &Row) -> Result<KindDay, Fault> {
    Ok(KindDay {
        day: day(row, 2)?,
        count: number(row, 3)?,
        amount: Micros(get(row, 4)?),
    })
}

/// A user.
pub(crate) fn user(row: &Row) -> Result<User, Fault> {
    Ok(User {
        no: UserNo(get(row, 0)?),
        id: id(text(row, 1)?, UserId::parse, "users.user_id")?,
        created_at: moment(row, 2)?,
        frozen: get(row, 3)?,
        name: get::<Option<Vec<u8>>>(row, 4)?.map(Sealed),
    })
}

/// A started link.
pub(crate) fn state(row: &Row) -> Result<LinkState, Fault> {
    Ok(LinkState {
        digest: StateDigest(digest(&get::<Vec<u8>>(row, 0)?, "link_states.digest")?),
        user: UserNo(get(row, 1)?),
        app: id(text(row, 2)?, AppId::parse, "link_states.app")?,
        expires_at: moment(row, 3)?,
        used_at: moment_maybe(row, 4)?,
    })
}

/// A booked event; its key comes first and is not needed here.
pub(crate) fn earning(row: &Row) -> Result<Earning, Fault> {
    let reverses: Option<String> = get(row, 9)?;
    let event = |text: &str| id(text, EventId::parse, "entries.event_id");
    Ok(Earning {
        source: id(text(row, 1)?, Source::parse, "entries.source")?,
        event_id: event(text(row, 2)?)?,
        user: UserNo(get(row, 3)?),
        kind: KindNo(get(row, 4)?),
        amount: Micros(get(row, 5)?),
        occurred_at: moment_maybe(row, 6)?,
        recorded_at: moment(row, 7)?,
        from: get::<Option<i64>>(row, 8)?.map(UserNo),
        reverses: reverses.as_deref().map(event).transpose()?,
        matures_on: get::<Option<i32>>(row, 10)?.map(BusinessDate),
        repaid: Micros(get(row, 12)?),
        clawed: Micros(get(row, 11)?),
    })
}

/// A break from its six columns.
pub(crate) fn broken(row: &Row) -> Result<Break, Fault> {
    Ok(Break {
        subject: get(row, 0)?,
        kind: BreakKind::from_code(text(row, 1)?).ok_or_else(|| damaged("breaks.kind"))?,
        date: day(row, 2)?,
        difference: fen(row, 3)?,
        opened_at: moment(row, 4)?,
        closed_at: moment_maybe(row, 5)?,
    })
}

/// All kinds.
pub(crate) async fn kinds(session: &Session) -> Result<Vec<Kind>, Fault> {
    let rows = session.rows(sql!("kinds"), &[]).await?;
    let kind = |row: &Row| {
        Ok(Kind {
            no: KindNo(get(row, 0)?),
            code: id(text(row, 1)?, KindCode::parse, "kinds.code")?,
            price: get::<Option<i64>>(row, 2)?.map(Micros),
            amount_max: Micros(get(row, 3)?),
            tax_class: get(row, 4)?,
            terms: Terms {
                user_day_amount_max: get::<Option<i64>>(row, 5)?.map(Micros),
                user_day_count_max: get::<Option<i64>>(row, 6)?
                    .map(u32::try_from)
                    .transpose()
                    .map_err(|_| damaged("kinds.user_day_count_max"))?,
                cooling_days: u16::try_from(get::<i32>(row, 7)?)
                    .map_err(|_| damaged("kinds.cooling_days"))?,
                between_users: get(row, 8)?,
            },
        })
    };
    rows.iter().map(kind).collect()
}

/// All merchants.
pub(crate) async fn merchants(session: &Session) -> Result<Vec<Merchant>, Fault> {
    let rows = session.rows(sql!("merchants"), &[]).await?;
    let merchant = |row: &Row| {
        Ok(Merchant {
            no: MerchantNo(get(row, 0)?),
            mchid: id(text(row, 1)?, MchId::parse, "merchants.mchid")?,
            apps: apps(text(row, 2)?)?,
            scene: get(row, 3)?,
            scene_report: report(text(row, 4)?)?,
            remark: get(row, 5)?,
            weight: number(row, 6)?,
            day_quota: get::<Option<i64>>(row, 7)?.map(Fen),
        })
    };
    rows.iter().map(merchant).collect()
}
