//! Users' links with apps: which are due for fresh tokens, and lists for people.

use std::future::Future;

use lingqian_core::id::{AppId, UserId, UserNo};
use lingqian_core::link::{Link, Standing};
use lingqian_core::time::Timestamp;

use crate::Fault;

/// A link and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRow {
    /// The link.
    pub link: Link,
    /// The app's name of its user.
    pub user: UserId,
}

/// A wish for links whose tokens are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkClaim {
    /// What is due at this moment.
    pub now: Timestamp,
    /// Nobody else gets the same link before this moment, unless it changes meanwhile.
    pub lease_until: Timestamp,
    /// At most so many.
    pub limit: u32,
}

/// Which links to list; by rising number of the user, then by app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkFilter {
    /// Only those that stand so.
    pub standing: Option<Standing>,
    /// Only those with this app.
    pub app: Option<AppId>,
    /// Only those of a wallet that is flagged as shared.
    pub flagged: bool,
    /// Only those after this one.
    pub after: Option<(UserNo, AppId)>,
    /// At most so many.
    pub limit: u32,
}

/// Links, beside what the rules are told of them.
pub trait Links: Send + Sync + 'static {
    /// Leases links whose tokens are due, the longest due first. What is not reported by a commit
    /// is due again when the lease ends.
    ///
    /// # Errors
    /// A fault; nothing was leased.
    fn claim_links(
        &self,
        claim: LinkClaim,
    ) -> impl Future<Output = Result<Vec<LinkRow>, Fault>> + Send;

    /// Links, ended ones too.
    ///
    /// # Errors
    /// A fault when they could not be read.
    fn links(&self, filter: LinkFilter)
    -> impl Future<Output = Result<Vec<LinkRow>, Fault>> + Send;
}
