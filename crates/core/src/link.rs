//! How a user's WeChat wallets become known: a single-use state that is bound to the user, and
//! the identity that WeChat vouched for. A user has one link per app. `grant` makes links, `keep`
//! says what becomes of them.

mod asked;
mod grant;
mod keep;

pub use asked::{LinkAct, LinkCommand, RefreshNews, Wait};
pub(crate) use grant::{complete, redeem, start};

use crate::execute::{Decision, Moment};
use crate::facts::Facts;
use crate::id::{AppId, OpenId, UserNo};
use crate::time::{DAY_MS, Timestamp};
use crate::user::Sealed;

/// How long an authorization page may stay open. WeChat's own code lives five minutes; the
/// user needs a moment before that to read the page.
pub const LINK_STATE_LIFE_MS: i64 = 10 * 60 * 1_000;

/// How links are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkPolicy {
    /// For so long nothing is sent to a wallet that took another one's place.
    pub relink_cooling_ms: i64,
    /// What to do with a wallet that another user has linked.
    pub shared: SharedWallet,
    /// Whether a wallet is paid whose authorization ran out. WeChat pays by openid alone.
    pub pays_unauthorized: bool,
    /// How long after one refresh of the tokens the next one is due.
    pub refresh_every_ms: i64,
}

impl Default for LinkPolicy {
    /// A day of cooling-off, no shared wallets, and a refresh every week: a refresh token lives
    /// thirty days, so that some may fail.
    fn default() -> Self {
        LinkPolicy {
            relink_cooling_ms: DAY_MS,
            shared: SharedWallet::Refuse,
            pays_unauthorized: true,
            refresh_every_ms: 7 * DAY_MS,
        }
    }
}

/// What to do with a wallet that another user has linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedWallet {
    /// It is not linked a second time.
    Refuse,
    /// It is linked and flagged: people look at each payout to it.
    Review,
}

/// Which page opens the way back with a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// Inside WeChat, for an app that a merchant pays under; these apps have no such page.
    Inside {
        /// Mini programs, and apps of websites.
        except: Vec<AppId>,
    },
    /// A QR code on a website. Its app need not pay: it tells who somebody is.
    Login,
}

impl Default for Page {
    fn default() -> Self {
        Page::Inside { except: Vec::new() }
    }
}

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
    /// Access and refresh token, sealed; a mini program has none.
    pub tokens: Option<Sealed>,
}

/// Whether a link can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It can.
    Active,
    /// WeChat does not take our tokens any more; only the user can renew them.
    NeedsReauthorization,
    /// It was ended, by the app, by a person, or by another wallet.
    Revoked,
}

impl Standing {
    /// Every standing.
    pub const ALL: [Standing; 3] = [
        Standing::Active,
        Standing::NeedsReauthorization,
        Standing::Revoked,
    ];

    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Standing::Active => "active",
            Standing::NeedsReauthorization => "needs_reauthorization",
            Standing::Revoked => "revoked",
        }
    }

    /// The standing of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Standing> {
        Standing::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// Whether other users had linked the same wallet before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sharing {
    /// Nobody had.
    Alone,
    /// Somebody had, and no person has said yes to it.
    Flagged,
    /// Somebody had, and a person said yes.
    Allowed,
}

impl Sharing {
    /// Every one.
    pub const ALL: [Sharing; 3] = [Sharing::Alone, Sharing::Flagged, Sharing::Allowed];

    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Sharing::Alone => "alone",
            Sharing::Flagged => "flagged",
            Sharing::Allowed => "allowed",
        }
    }

    /// The one of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Sharing> {
        Sharing::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// A user's wallet, as one app sees it.
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
    /// Access and refresh token, sealed; none for a mini program, and after the link's end.
    pub tokens: Option<Sealed>,
    /// When the user last granted it.
    pub linked_at: Timestamp,
    /// Whether it can be relied on.
    pub standing: Standing,
    /// Why it cannot, as a code: WeChat's, or ours such as `unlinked`.
    pub reason: Option<String>,
    /// Since when it stands so.
    pub changed_at: Timestamp,
    /// Nothing is sent to it before this.
    pub cools_until: Option<Timestamp>,
    /// Whether other users have the wallet, too.
    pub sharing: Sharing,
    /// When its tokens are refreshed next; never where there are none that work.
    pub refresh_at: Option<Timestamp>,
    /// How many refreshes in a row came to nothing.
    pub refresh_tries: u32,
    /// Rises with every change, from 1.
    pub version: u32,
}

/// Why a link ended that a person ended for good; its wallet cools off if it comes again.
pub const BY_PERSON: &str = "by_person";

impl Link {
    /// Whether the wallet is the user's.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.standing != Standing::Revoked
    }
}

/// Decides on what is asked about links beside the page.
pub(crate) fn decide(moment: &Moment<'_>, command: &LinkCommand, facts: &Facts) -> Decision {
    match command {
        LinkCommand::ByCode {
            user,
            app,
            identity,
        } => grant::by_code(moment, (user, app), identity, facts),
        LinkCommand::Refreshed {
            user,
            app,
            version,
            news,
        } => keep::refreshed(moment, (user, app, *version), news, facts),
        LinkCommand::Act {
            user,
            app,
            what,
            act,
        } => keep::act(moment, (user, app.as_ref()), *what, act, facts),
    }
}
