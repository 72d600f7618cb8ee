//! Links are made: by a page that the user comes back from with a code, or by a mini program's code.

use std::collections::BTreeSet;

use crate::changes::Changes;
use crate::command::Outcome;
use crate::control::{Actor, Deed};
use crate::execute::{Decision, Moment};
use crate::facts::{Facts, Wallet};
use crate::id::{AppId, UserId, UserNo};
use crate::link::{
    BY_PERSON, Identity, LINK_STATE_LIFE_MS, Link, LinkState, Page, SharedWallet, Sharing,
    Standing, StateDigest,
};
use crate::rejection::Rejection;
use crate::time::Timestamp;
use crate::transfer::Merchant;

/// Hands out a state.
///
/// # Errors
/// [`Rejection::UnknownUser`]; [`Rejection::UnknownApp`] for an app that no merchant can pay
/// under; [`Rejection::UnknownMerchant`] when there is none at all.
pub(crate) fn start(
    moment: &Moment<'_>,
    (user, wanted, page): (&UserId, Option<&AppId>, &Page),
    digest: StateDigest,
    facts: &Facts,
) -> Decision {
    let user = facts.user(user).ok_or(Rejection::UnknownUser)?.no;
    let app = match (page, wanted) {
        (Page::Login, Some(app)) => app.clone(),
        (Page::Login, None) => return Err(Rejection::UnknownApp),
        (Page::Inside { except }, wanted) => paying_app(wanted, except, facts)?.clone(),
    };
    let expires_at = moment.now.after_ms(LINK_STATE_LIFE_MS);
    let state = LinkState {
        digest,
        user,
        app: app.clone(),
        expires_at,
        used_at: None,
    };
    Ok((
        Changes {
            link_states: vec![state],
            ..Changes::default()
        },
        Outcome::LinkStarted { app },
    ))
}

/// The app to link with: one that a merchant pays under, since a wallet of another app could
/// never be paid.
fn paying_app<'f>(
    wanted: Option<&AppId>,
    except: &[AppId],
    facts: &'f Facts,
) -> Result<&'f AppId, Rejection> {
    let mut pays: Vec<&Merchant> = facts.merchants.values().filter(|m| m.begins()).collect();
    if pays.is_empty() && wanted.is_none() {
        return Err(Rejection::UnknownMerchant);
    }
    pays.sort_by_key(|merchant| merchant.no);
    let mut apps = pays.iter().flat_map(|merchant| &merchant.apps);
    let found = apps.find(|app| !except.contains(app) && wanted.is_none_or(|own| own == *app));
    found.ok_or(Rejection::UnknownApp)
}

/// Uses a state up, before WeChat is asked whose it is: a code that arrives twice finds it used.
///
/// # Errors
/// [`Rejection::StateUnknown`], [`Rejection::StateUsed`] or [`Rejection::StateExpired`].
pub(crate) fn redeem(moment: &Moment<'_>, digest: StateDigest, facts: &Facts) -> Decision {
    let state = facts.link_state(digest).ok_or(Rejection::StateUnknown)?;
    let wallet = facts.wallet(state.user);
    if let Some(used_at) = state.used_at {
        // WeChat may open the way back twice. Whoever is linked by the first is told so.
        let link = wallet.links.get(&state.app);
        let linked = link.is_some_and(|link| link.holds() && link.linked_at >= used_at);
        let user = wallet.user.id.clone();
        return if linked {
            Ok((Changes::default(), Outcome::LinkedBefore { user }))
        } else {
            Err(Rejection::StateUsed)
        };
    }
    if moment.now > state.expires_at {
        return Err(Rejection::StateExpired);
    }
    let user = wallet.user.id.clone();
    let used = LinkState {
        used_at: Some(moment.now),
        ..state.clone()
    };
    let changes = Changes {
        link_states: vec![used],
        ..Changes::default()
    };
    let app = state.app.clone();
    Ok((changes, Outcome::StateRedeemed { user, app }))
}

/// Links the wallet of the person whom WeChat named to the user whom the state names.
///
/// # Errors
/// [`Rejection::StateUnknown`] unless the state was redeemed, and those of [`linked`].
pub(crate) fn complete(
    moment: &Moment<'_>,
    digest: StateDigest,
    identity: &Identity,
    facts: &Facts,
) -> Decision {
    let state = facts
        .link_state(digest)
        .filter(|state| state.used_at.is_some())
        .ok_or(Rejection::StateUnknown)?;
    let wallet = facts.wallet(state.user);
    linked(moment, (wallet, &state.app), identity, facts)
}

/// Links the wallet of the person whom WeChat named for a mini program's code to the user whom
/// the app's own server names. There is no page and so no state.
///
/// # Errors
/// [`Rejection::UnknownUser`], [`Rejection::UnknownApp`], and those of [`linked`].
pub(crate) fn by_code(
    moment: &Moment<'_>,
    (user, app): (&UserId, &AppId),
    identity: &Identity,
    facts: &Facts,
) -> Decision {
    let user = facts.user(user).ok_or(Rejection::UnknownUser)?.no;
    paying_app(Some(app), &[], facts)?;
    linked(moment, (facts.wallet(user), app), identity, facts)
}

/// Makes a link, or renews one.
///
/// # Errors
/// [`Rejection::SnapshotUser`]; [`Rejection::UnionidMismatch`] when another app knows the user as
/// somebody else; [`Rejection::WalletLinkedElsewhere`].
fn linked(
    moment: &Moment<'_>,
    (wallet, app): (&Wallet, &AppId),
    identity: &Identity,
    facts: &Facts,
) -> Decision {
    if identity.snapshot {
        return Err(Rejection::SnapshotUser);
    }
    if is_somebody_else(wallet, app, identity) {
        return Err(Rejection::UnionidMismatch);
    }
    let before = wallet.links.get(app);
    let same = before.filter(|link| link.openid == identity.openid);
    let sharing = sharing(moment, (wallet.user.no, same), identity, facts)?;
    let cools_until = cools_until(moment, wallet, app, identity);
    let tokens = identity.tokens.clone();
    let due = moment.now.after_ms(moment.policy.links.refresh_every_ms);
    let link = Link {
        user: wallet.user.no,
        app: app.clone(),
        openid: identity.openid.clone(),
        unionid: identity.unionid.clone(),
        scope: identity.scope.clone(),
        refresh_at: tokens.as_ref().map(|_| due),
        tokens,
        linked_at: moment.now,
        standing: Standing::Active,
        reason: None,
        changed_at: moment.now,
        cools_until,
        sharing,
        refresh_tries: 0,
        version: before.map_or(1, |before| before.version.saturating_add(1)),
    };
    let deeds = before.filter(|before| before.openid != link.openid);
    let deeds = deeds.map(|before| replaced(moment, wallet, before, &link));
    let changes = Changes {
        deeds: deeds.into_iter().collect(),
        links: vec![link],
        ..Changes::default()
    };
    Ok((changes, Outcome::Done))
}

/// Whether WeChat knows the person of another app of this user's as somebody else. One person has
/// one unionid over all apps of an open-platform account.
fn is_somebody_else(wallet: &Wallet, app: &AppId, identity: &Identity) -> bool {
    let Some(unionid) = &identity.unionid else {
        return false;
    };
    let others = wallet.held_links().filter(|link| link.app != *app);
    let mut known = others.filter_map(|link| link.unionid.as_ref());
    known.any(|known| known != unionid)
}

/// Who else has the wallet, under this app or, by the unionid, under another one.
fn sharing(
    moment: &Moment<'_>,
    (user, same): (UserNo, Option<&Link>),
    identity: &Identity,
    facts: &Facts,
) -> Result<Sharing, Rejection> {
    let unionid = identity.unionid.as_ref();
    let mut holders: BTreeSet<UserNo> = facts.holders(&identity.openid).clone();
    holders.extend(
        unionid
            .into_iter()
            .flat_map(|unionid| facts.holders(unionid)),
    );
    holders.remove(&user);
    let kept = same.filter(|link| link.holds() && link.sharing != Sharing::Alone);
    match (holders.is_empty(), kept, moment.policy.links.shared) {
        (true, _, _) => Ok(Sharing::Alone),
        // It was linked when that was allowed, and is only renewed.
        (false, Some(link), _) => Ok(link.sharing),
        (false, None, SharedWallet::Review) => Ok(Sharing::Flagged),
        (false, None, SharedWallet::Refuse) => Err(Rejection::WalletLinkedElsewhere),
    }
}

/// Until when nothing is sent to the wallet: not at all for the first one of a user and for one
/// that the user is known to own, unless that one cools off itself.
fn cools_until(
    moment: &Moment<'_>,
    wallet: &Wallet,
    app: &AppId,
    identity: &Identity,
) -> Option<Timestamp> {
    if wallet.links.is_empty() {
        return None;
    }
    let own = |link: &&Link| {
        let wallet = link.app == *app && link.openid == identity.openid;
        let person = identity.unionid.is_some() && link.unionid == identity.unionid;
        (wallet || person) && link.reason.as_deref() != Some(BY_PERSON)
    };
    let known: Vec<&Link> = wallet.links.values().filter(own).collect();
    if known.is_empty() {
        let until = moment.now.after_ms(moment.policy.links.relink_cooling_ms);
        return Some(until).filter(|until| *until > moment.now);
    }
    let cooling = known.iter().filter_map(|link| link.cools_until);
    cooling.filter(|until| *until > moment.now).max()
}

/// That another wallet took a link's place is on record, though nobody did it by hand.
fn replaced(moment: &Moment<'_>, wallet: &Wallet, before: &Link, after: &Link) -> Deed {
    let app = &after.app;
    let cools = after.cools_until;
    let cools = cools.map_or_else(String::new, |until| format!(", cools off until {until}"));
    Deed {
        at: moment.now,
        actor: Actor::engine(),
        what: "relink".to_owned(),
        subject: wallet.user.id.to_string(),
        reason: "the user granted it for another wallet".to_owned(),
        before: format!("{app} {}", before.standing.name()),
        after: format!("{app} {}{cools}", after.standing.name()),
    }
}
