//! What may be asked about links, and what WeChat may say to it.

use crate::control::Act;
use crate::id::{AppId, UserId};
use crate::link::Identity;

/// What is asked about links beside the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkCommand {
    /// WeChat said whose code it is that a mini program got; the app's server says whose wallet
    /// it is to be.
    ByCode {
        /// Whose wallet, by the app's word.
        user: UserId,
        /// The mini program.
        app: AppId,
        /// Who they are, by WeChat's.
        identity: Identity,
    },
    /// What came of refreshing a link's tokens.
    Refreshed {
        /// Whose link.
        user: UserId,
        /// With which app.
        app: AppId,
        /// The link's version when its tokens were taken.
        version: u32,
        /// What came of it.
        news: RefreshNews,
    },
    /// Does something to a user's links by hand.
    Act {
        /// Whose.
        user: UserId,
        /// With which app; all of them where none is named.
        app: Option<AppId>,
        /// What.
        what: LinkAct,
        /// Who, and why.
        act: Act,
    },
}

/// What can be done to a link by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkAct {
    /// The user leaves. The same wallet may come back at once, another one cools off.
    Unlink,
    /// A person ends it. Whatever wallet comes back cools off.
    Revoke,
    /// A person says yes to a wallet that several users share.
    Allow,
    /// Its tokens are refreshed now.
    Refresh,
    /// WeChat is asked for an authorization to pay without confirming. Nothing of that is in the
    /// books but who asked and why.
    ApplyAuthorization,
    /// WeChat is asked to close it; the same.
    CloseAuthorization,
}

impl LinkAct {
    /// Everything that can be done.
    pub const ALL: [LinkAct; 6] = [
        LinkAct::Unlink,
        LinkAct::Revoke,
        LinkAct::Allow,
        LinkAct::Refresh,
        LinkAct::ApplyAuthorization,
        LinkAct::CloseAuthorization,
    ];

    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            LinkAct::Unlink => "unlink",
            LinkAct::Revoke => "revoke",
            LinkAct::Allow => "allow",
            LinkAct::Refresh => "refresh",
            LinkAct::ApplyAuthorization => "apply-authorization",
            LinkAct::CloseAuthorization => "close-authorization",
        }
    }

    /// What the record of deeds says.
    #[must_use]
    pub fn deed(self) -> &'static str {
        match self {
            LinkAct::Unlink => "unlink",
            LinkAct::Revoke => "revoke-link",
            LinkAct::Allow => "allow-link",
            LinkAct::Refresh => "refresh-link",
            LinkAct::ApplyAuthorization | LinkAct::CloseAuthorization => self.name(),
        }
    }
}

/// What came of refreshing a link's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshNews {
    /// WeChat gave new ones, and said whose they are.
    Renewed(Identity),
    /// WeChat takes the old ones no more.
    Ended {
        /// Its code.
        code: String,
    },
    /// It came to nothing this time.
    Later {
        /// When to try again.
        wait: Wait,
    },
}

/// How long to leave WeChat alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// It is busy, or did not answer: soon, then less and less often.
    Busy,
    /// We ask too often: a minute.
    Slower,
    /// The day's quota is spent: until the next day.
    Tomorrow,
    /// A person must put something right first: an hour, then a day.
    Person,
}
