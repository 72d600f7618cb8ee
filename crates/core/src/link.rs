//! How a user's WeChat wallet becomes known: a single-use state that is bound to the user, and
//! the identity that WeChat vouched for.

use crate::changes::Changes;
use crate::command::{Outcome, Rejection};
use crate::execute::{Decision, Moment};
use crate::facts::Facts;
use crate::id::{AppId, OpenId, UserId, UserNo};
use crate::time::Timestamp;
use crate::transfer::Merchant;
use crate::user::Sealed;

/// How long an authorization page may stay open. WeChat's own code lives five minutes; the
/// user needs a moment before that to read the page.
pub const LINK_STATE_LIFE_MS: i64 = 10 * 60 * 1_000;

/// The SHA-256 of the state parameter. The parameter itself is never stored, so whoever reads
/// the database cannot finish somebody's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateDigest(pub [u8; 32]);

/// One started link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// Which state parameter this is about.
    pub digest: StateDigest,
    /// Whose wallet may be linked with it.
    pub user: UserNo,
    /// The app whose authorization page was opened.
    pub app: AppId,
    /// After this moment the state is worthless.
    pub expires_at: Timestamp,
    /// When it was redeemed; a second use is refused.
    pub used_at: Option<Timestamp>,
}

/// What WeChat said about the person who granted the authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The person, as this app sees them.
    pub openid: OpenId,
    /// The person across the apps of one open-platform account, where WeChat tells.
    pub unionid: Option<OpenId>,
    /// What was granted.
    pub scope: String,
    /// A virtual person from WeChat's snapshot page. It must never be paid.
    pub snapshot: bool,
    /// Access and refresh token, sealed.
    pub tokens: Sealed,
}

/// A user's wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Whose.
    pub user: UserNo,
    /// The app under which the openid is valid.
    pub app: AppId,
    /// The wallet's owner.
    pub openid: OpenId,
    /// The same person across apps.
    pub unionid: Option<OpenId>,
    /// What was granted.
    pub scope: String,
    /// Access and refresh token, sealed.
    pub tokens: Sealed,
    /// When the link was made.
    pub linked_at: Timestamp,
}

/// Hands out a state.
///
/// # Errors
/// [`Rejection::UnknownUser`]; [`Rejection::UnknownApp`] for an app that no merchant can pay
/// under; [`Rejection::UnknownMerchant`] when there is none at all.
pub(crate) fn start(
    moment: &Moment<'_>,
    (user, wanted): (&UserId, Option<&AppId>),
    digest: StateDigest,
    facts: &Facts,
) -> Decision {
    let user = facts.user(user).ok_or(Rejection::UnknownUser)?.no;
    let app = app(wanted, facts)?.clone();
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
fn app<'f>(wanted: Option<&AppId>, facts: &'f Facts) -> Result<&'f AppId, Rejection> {
    let mut pays: Vec<&Merchant> = facts.merchants.values().filter(|m| m.begins()).collect();
    pays.sort_by_key(|merchant| merchant.no);
    let mut apps = pays.iter().flat_map(|merchant| &merchant.apps);
    match wanted {
        None => apps.next().ok_or(Rejection::UnknownMerchant),
        Some(wanted) => apps.find(|app| *app == wanted).ok_or(Rejection::UnknownApp),
    }
}

/// Uses a state up, before WeChat is asked whose it is: a code that arrives twice finds it used.
///
/// # Errors
/// [`Rejection::StateUnknown`], [`Rejection::StateUsed`] or [`Rejection::StateExpired`].
pub(crate) fn redeem(moment: &Moment<'_>, digest: StateDigest, facts: &Facts) -> Decision {
    let state = facts.link_state(digest).ok_or(Rejection::StateUnknown)?;
    if state.used_at.is_some() {
        return Err(Rejection::StateUsed);
    }
    if moment.now > state.expires_at {
        return Err(Rejection::StateExpired);
    }
    let user = facts.wallet(state.user).user.id.clone();
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
/// [`Rejection::StateUnknown`] unless the state was redeemed, [`Rejection::SnapshotUser`], or
/// [`Rejection::WalletLinkedElsewhere`].
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
    if identity.snapshot {
        return Err(Rejection::SnapshotUser);
    }
    if facts
        .holder(&identity.openid)
        .is_some_and(|holder| holder != state.user)
    {
        return Err(Rejection::WalletLinkedElsewhere);
    }
    let link = Link {
        user: state.user,
        app: state.app.clone(),
        openid: identity.openid.clone(),
        unionid: identity.unionid.clone(),
        scope: identity.scope.clone(),
        tokens: identity.tokens.clone(),
        linked_at: moment.now,
    };
    Ok((
        Changes {
            links: vec![link],
            ..Changes::default()
        },
        Outcome::Done,
    ))
}
