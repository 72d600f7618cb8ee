//! Writes the catalogue, people and their wallets, and what could not be credited.

use std::collections::BTreeMap;

use lingqian_core::Changes;
use lingqian_core::earning::Terms;
use lingqian_core::id::UserNo;
use lingqian_core::link::{Link, LinkState};
use lingqian_core::user::User;

use crate::codec::report_text;
use crate::commit::{Refused, unless};
use crate::pool::Session;
use crate::sql;

/// Kinds, merchants and keys: few, one by one.
pub(crate) async fn catalogue(session: &Session, changes: &Changes) -> Result<(), Refused> {
    for kind in &changes.kinds {
        let Terms {
            user_day_amount_max,
            user_day_count_max,
            cooling_days,
            between_users,
        } = kind.terms;
        let values: crate::pool::Values<'_> = &[
            &kind.no.0,
            &kind.code.as_str(),
            &kind.price.map(|price| price.0),
            &kind.amount_max.0,
            &kind.tax_class,
            &user_day_amount_max.map(|max| max.0),
            &user_day_count_max.map(i64::from),
            &i32::from(cooling_days),
            &between_users,
        ];
        session.run(sql!("upsert_kind"), values).await?;
    }
    for merchant in &changes.merchants {
        let values: crate::pool::Values<'_> = &[
            &merchant.no.0,
            &merchant.mchid.as_str(),
            &merchant.app.as_str(),
            &merchant.scene,
            &report_text(&merchant.scene_report),
            &merchant.remark,
        ];
        session.run(sql!("upsert_merchant"), values).await?;
    }
    for key in &changes.api_keys {
        let (scopes, revoked) = (key.scopes.join(" "), key.revoked_at.map(|at| at.0));
        let digest = key.digest.as_slice();
        let values: crate::pool::Values<'_> =
            &[&key.id, &digest, &scopes, &key.created_at.0, &revoked];
        session.run(sql!("upsert_api_key"), values).await?;
    }
    Ok(())
}

/// Users in one statement, links and their states one by one.
pub(crate) async fn people(session: &Session, changes: &Changes) -> Result<(), Refused> {
    users(session, &changes.users).await?;
    for LinkState {
        digest,
        user,
        app,
        expires_at,
        used_at,
    } in &changes.link_states
    {
        let (digest, used_at) = (digest.0.as_slice(), used_at.map(|at| at.0));
        let values: crate::pool::Values<'_> =
            &[&digest, &user.0, &app.as_str(), &expires_at.0, &used_at];
        session.run(sql!("upsert_link_state"), values).await?;
    }
    for Link {
        user,
        app,
        openid,
        unionid,
        scope,
        tokens,
        linked_at,
    } in &changes.links
    {
        let values: crate::pool::Values<'_> = &[
            &user.0,
            &app.as_str(),
            &openid.expose(),
            &unionid.as_ref().map(|unionid| unionid.expose()),
            scope,
            &tokens.0,
            &linked_at.0,
        ];
        session.run(sql!("upsert_link"), values).await?;
    }
    Ok(())
}

async fn users(session: &Session, users: &[User]) -> Result<(), Refused> {
    // Of several versions of one user the last is kept.
    let mut latest: BTreeMap<UserNo, &User> = BTreeMap::new();
    for user in users {
        let before = latest.insert(user.no, user);
        let named = before.is_none_or(|before| before.id == user.id);
        unless(named, "a user has one number and a number one user")?;
    }
    if latest.is_empty() {
        return Ok(());
    }
    let numbers: Vec<i64> = latest.keys().map(|no| no.0).collect();
    let ids: Vec<&str> = latest.values().map(|user| user.id.as_str()).collect();
    let made: Vec<i64> = latest.values().map(|user| user.created_at.0).collect();
    let frozen: Vec<bool> = latest.values().map(|user| user.frozen).collect();
    let names: Vec<Option<&[u8]>> = latest
        .values()
        .map(|user| user.name.as_ref().map(|sealed| sealed.0.as_slice()))
        .collect();
    let values: crate::pool::Values<'_> = &[&numbers, &ids, &made, &frozen, &names];
    session.run(sql!("upsert_users"), values).await?;
    session.run(sql!("open_accounts"), &[&numbers]).await?;
    Ok(())
}

/// Inputs that could not be credited; one that came before is counted.
pub(crate) async fn dead_letters(session: &Session, changes: &Changes) -> Result<(), Refused> {
    for letter in &changes.dead_letters {
        let hash = blake3::hash(&letter.raw);
        let values: crate::pool::Values<'_> = &[
            &letter.code,
            &hash.as_bytes().as_slice(),
            &letter.raw,
            &letter.door,
            &letter.position,
            &letter.at.0,
        ];
        session.run(sql!("keep_dead_letter"), values).await?;
    }
    Ok(())
}
