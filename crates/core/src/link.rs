//! How a user's WeChat wallet becomes known: a single-use state that is bound to the user, and
//! the identity that WeChat vouched for.

use crate::id::{AppId, OpenId, UserNo};
use crate::time::Timestamp;
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
