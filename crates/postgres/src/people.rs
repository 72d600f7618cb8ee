//! Writes the catalogue, people and their wallets, and what could not be credited.

use std::collections::{BTreeMap, HashMap};

use lingqian_core::Changes;
use lingqian_core::command::DeadLetter;
use lingqian_core::earning::Terms;
use lingqian_core::id::UserNo;
use lingqian_core::link::LinkState;
use lingqian_core::user::User;
use lingqian_io::text::{apps_text, report_text};

use crate::commit::{Refused, unless};
use crate::pool::{Session, Values};
use crate::{links, sql};

/// Kinds, merchants and keys: few, one by one.
pub(crate) async fn catalogue(session: &Session, changes: &Changes) -> Result<(), Refused> {
    for kind in &changes.kinds {
        let Terms {
            user_day_amount_max,
            user_day_count_max,
            cooling_days,
            between_users,
        } = kind.terms;
        let values: Values<'_> = &[
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
        let values: Values<'_> = &[
            &merchant.no.0,
            &merchant.mchid.as_str(),
            &apps_text(&merchant.apps),
            &merchant.scene,
            &report_text(&merchant.scene_report),
            &merchant.remark,
            &i64::from(merchant.weight),
            &merchant.day_quota.map(|quota| quota.0),
        ];
        session.run(sql!("upsert_merchant"), values).await?;
    }
    for key in &changes.api_keys {
        let (scopes, revoked) = (key.scopes.join(" "), key.revoked_at.map(|at| at.0));
        let digest = key.digest.as_slice();
        let values: Values<'_> = &[&key.id, &digest, &scopes, &key.created_at.0, &revoked];
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
        let values: Values<'_> = &[&digest, &user.0, &app.as_str(), &expires_at.0, &used_at];
        session.run(sql!("upsert_link_state"), values).await?;
    }
    links::write(session, &changes.links).await
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
    let values: Values<'_> = &[&numbers, &ids, &made, &frozen, &names];
    session.run(sql!("upsert_users"), values).await?;
    session.run(sql!("open_accounts"), &[&numbers]).await?;
    Ok(())
}

/// Inputs that could not be credited; one that came before is counted. Of several of one content
/// the last says where it came from.
pub(crate) async fn dead_letters(session: &Session, all: &[DeadLetter]) -> Result<(), Refused> {
    let mut places: HashMap<(&str, [u8; 32]), usize> = HashMap::new();
    let mut latest: Vec<Option<(&DeadLetter, [u8; 32], i64)>> = Vec::new();
    for letter in all {
        let digest = *blake3::hash(&letter.raw).as_bytes();
        let before = places.insert((&letter.code, digest), latest.len());
        let before = before.and_then(|place| latest.get_mut(place)?.take());
        let times = before.map_or(0, |(_, _, times)| times);
        latest.push(Some((letter, digest, times + 1)));
    }
    let letters: Vec<(&DeadLetter, [u8; 32], i64)> = latest.into_iter().flatten().collect();
    if letters.is_empty() {
        return Ok(());
    }
    let texts = |read: fn(&DeadLetter) -> &str| -> Vec<&str> {
        letters.iter().map(|(letter, ..)| read(letter)).collect()
    };
    let digests: Vec<&[u8]> = letters
        .iter()
        .map(|(_, digest, _)| digest.as_slice())
        .collect();
    let raws: Vec<&[u8]> = letters
        .iter()
        .map(|(letter, ..)| letter.raw.as_slice())
        .collect();
    let moments: Vec<i64> = letters.iter().map(|(letter, ..)| letter.at.0).collect();
    let times: Vec<i64> = letters.iter().map(|(.., times)| *times).collect();
    let values: Values<'_> = &[
        &texts(|letter| &letter.code),
        &digests,
        &raws,
        &texts(|letter| &letter.door),
        &texts(|letter| &letter.position),
        &moments,
        &times,
    ];
    session.run(sql!("keep_dead_letters"), values).await?;
    Ok(())
}
