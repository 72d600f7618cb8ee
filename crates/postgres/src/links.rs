//! Links as rows.

use lingqian_core::id::{AppId, OpenId, UserId, UserNo};
use lingqian_core::link::{Link, Sharing, Standing};
use lingqian_core::user::Sealed;
use lingqian_io::Fault;
use lingqian_io::links::{LinkClaim, LinkFilter, LinkRow};
use tokio_postgres::Row;

use crate::codec::{damaged, get, id, moment, moment_maybe, number, text};
use crate::commit::Refused;
use crate::pool::{Session, Values};
use crate::sql;

/// Columns of a link.
const COLUMNS: usize = 15;

/// A link from its fifteen columns.
pub(crate) fn link(row: &Row) -> Result<Link, Fault> {
    let person = |text: &str| id(text, OpenId::parse, "app_links.openid");
    let unionid: Option<String> = get(row, 3)?;
    let damaged = |what| move || damaged(what);
    Ok(Link {
        user: UserNo(get(row, 0)?),
        app: id(text(row, 1)?, AppId::parse, "app_links.app")?,
        openid: person(text(row, 2)?)?,
        unionid: unionid.as_deref().map(person).transpose()?,
        scope: get(row, 4)?,
        tokens: get::<Option<Vec<u8>>>(row, 5)?.map(Sealed),
        linked_at: moment(row, 6)?,
        standing: Standing::from_name(text(row, 7)?).ok_or_else(damaged("app_links.standing"))?,
        reason: get(row, 8)?,
        changed_at: moment(row, 9)?,
        cools_until: moment_maybe(row, 10)?,
        sharing: Sharing::from_name(text(row, 11)?).ok_or_else(damaged("app_links.sharing"))?,
        refresh_at: moment_maybe(row, 12)?,
        refresh_tries: number(row, 13)?,
        version: number(row, 14)?,
    })
}

/// Writes links one by one, each in the place of the one that the user had with its app.
pub(crate) async fn write(session: &Session, links: &[Link]) -> Result<(), Refused> {
    for Link {
        user,
        app,
        openid,
        unionid,
        scope,
        tokens,
        linked_at,
        standing,
        reason,
        changed_at,
        cools_until,
        sharing,
        refresh_at,
        refresh_tries,
        version,
    } in links
    {
        let values: Values<'_> = &[
            &user.0,
            &app.as_str(),
            &openid.expose(),
            &unionid.as_ref().map(OpenId::expose),
            scope,
            &tokens.as_ref().map(|tokens| tokens.0.as_slice()),
            &linked_at.0,
            &standing.name(),
            reason,
            &changed_at.0,
            &cools_until.map(|at| at.0),
            &sharing.name(),
            &refresh_at.map(|at| at.0),
            &i64::from(*refresh_tries),
            &i64::from(*version),
        ];
        session.run(sql!("upsert_link"), values).await?;
    }
    Ok(())
}

fn owned(row: &Row) -> Result<LinkRow, Fault> {
    Ok(LinkRow {
        link: link(row)?,
        user: id(text(row, COLUMNS)?, UserId::parse, "users.user_id")?,
    })
}

/// Leases links whose tokens are due.
pub(crate) async fn claim(session: &Session, claim: LinkClaim) -> Result<Vec<LinkRow>, Fault> {
    let limit = i64::from(claim.limit);
    let values: Values<'_> = &[&claim.now.0, &limit, &claim.lease_until.0];
    let due = session.rows(sql!("claim_links"), values).await?;
    due.iter().map(owned).collect()
}

/// Links that a filter lets through.
pub(crate) async fn list(session: &Session, filter: &LinkFilter) -> Result<Vec<LinkRow>, Fault> {
    let after = filter.after.as_ref();
    let (user, app) = after.map_or((i64::MIN, ""), |(user, app)| (user.0, app.as_str()));
    let values: Values<'_> = &[
        &user,
        &app,
        &filter.standing.map(Standing::name),
        &filter.app.as_ref().map(AppId::as_str),
        &filter.flagged,
        &i64::from(filter.limit),
    ];
    let found = session.rows(sql!("some_links"), values).await?;
    found.iter().map(owned).collect()
}
