//! Links as rows.

use lingqian_core::id::{AppId, OpenId, UserId, UserNo};
use lingqian_core::link::{Link, Sharing, Standing};
use lingqian_core::time::Timestamp;
use lingqian_core::user::Sealed;
use lingqian_io::Fault;
use lingqian_io::links::{LinkClaim, LinkFilter, LinkRow};
use rusqlite::{Connection, Row, params};

use crate::codec::{damaged, get, id, rows};
use crate::commit::run;
use crate::prefetch::cached;
use crate::sql;

/// Columns of a link.
const COLUMNS: usize = 15;

fn moment(row: &Row<'_>, index: usize) -> Result<Option<Timestamp>, Fault> {
    Ok(get::<Option<i64>>(row, index)?.map(Timestamp))
}

/// A link from its fifteen columns.
pub(crate) fn link(row: &Row<'_>) -> Result<Link, Fault> {
    let (app, openid): (String, String) = (get(row, 1)?, get(row, 2)?);
    let unionid: Option<String> = get(row, 3)?;
    let (standing, sharing): (String, String) = (get(row, 7)?, get(row, 11)?);
    let person = |text: &str| id(text, OpenId::parse, "links.openid");
    Ok(Link {
        user: UserNo(get(row, 0)?),
        app: id(&app, AppId::parse, "links.app")?,
        openid: person(&openid)?,
        unionid: unionid.as_deref().map(person).transpose()?,
        scope: get(row, 4)?,
        tokens: get::<Option<Vec<u8>>>(row, 5)?.map(Sealed),
        linked_at: Timestamp(get(row, 6)?),
        standing: Standing::from_name(&standing).ok_or_else(|| damaged("links.standing"))?,
        reason: get(row, 8)?,
        changed_at: Timestamp(get(row, 9)?),
        cools_until: moment(row, 10)?,
        sharing: Sharing::from_name(&sharing).ok_or_else(|| damaged("links.sharing"))?,
        refresh_at: moment(row, 12)?,
        refresh_tries: get(row, 13)?,
        version: get(row, 14)?,
    })
}

/// Writes links, each in the place of the one that the user had with its app.
pub(crate) fn write(connection: &Connection, links: &[Link]) -> Result<(), Fault> {
    let mut upsert = cached(connection, sql!("upsert_link"))?;
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
        let values = params![
            user.0,
            app.as_str(),
            openid.expose(),
            unionid.as_ref().map(OpenId::expose),
            scope,
            tokens.as_ref().map(|tokens| &tokens.0),
            linked_at.0,
            standing.name(),
            reason,
            changed_at.0,
            cools_until.map(|at| at.0),
            sharing.name(),
            refresh_at.map(|at| at.0),
            refresh_tries,
            version,
        ];
        run(&mut upsert, values)?;
    }
    Ok(())
}

fn owned(row: &Row<'_>) -> Result<LinkRow, Fault> {
    let user: String = get(row, COLUMNS)?;
    Ok(LinkRow {
        link: link(row)?,
        user: id(&user, UserId::parse, "users.user_id")?,
    })
}

/// Leases links whose tokens are due.
pub(crate) fn claim(connection: &Connection, claim: LinkClaim) -> Result<Vec<LinkRow>, Fault> {
    let mut query = cached(connection, sql!("due_links"))?;
    let due = rows(&mut query, params![claim.now.0, claim.limit], owned)?;
    let mut lease = cached(connection, sql!("lease_link"))?;
    for LinkRow { link, .. } in &due {
        let values = params![link.user.0, link.app.as_str(), claim.lease_until.0];
        run(&mut lease, values)?;
    }
    Ok(due)
}

/// Links that a filter lets through.
pub(crate) fn list(connection: &Connection, filter: &LinkFilter) -> Result<Vec<LinkRow>, Fault> {
    let after = filter.after.as_ref();
    let (user, app) = after.map_or((i64::MIN, ""), |(user, app)| (user.0, app.as_str()));
    let values = params![
        user,
        app,
        filter.standing.map(Standing::name),
        filter.app.as_ref().map(AppId::as_str),
        filter.flagged,
        filter.limit,
    ];
    let mut query = cached(connection, sql!("some_links"))?;
    rows(&mut query, values, owned)
}
