//! Links in memory.

use std::collections::BTreeMap;

use lingqian_core::Changes;
use lingqian_core::id::{AppId, OpenId, UserNo};
use lingqian_core::link::{Link, Sharing};

use super::books::Books;
use super::write::unless;
use crate::Fault;
use crate::links::{LinkClaim, LinkFilter, LinkRow};

impl Books {
    /// The user's links.
    pub(crate) fn links_of(&self, user: UserNo) -> BTreeMap<AppId, Link> {
        self.links.get(&user).cloned().unwrap_or_default()
    }

    /// Everybody's.
    pub(crate) fn all_links(&self) -> impl Iterator<Item = &Link> {
        self.links.values().flat_map(BTreeMap::values)
    }

    /// Users with a wallet of that openid or unionid that was not ended.
    pub(crate) fn holders_of(&self, person: &OpenId) -> impl Iterator<Item = UserNo> {
        let held = self.all_links().filter(|link| link.holds());
        let own = held
            .filter(move |link| link.openid == *person || link.unionid.as_ref() == Some(person));
        own.map(|link| link.user)
    }

    /// A wallet that nobody was told is shared is one user's.
    pub(crate) fn check_links(&self, changes: &Changes) -> Result<(), Fault> {
        if changes.links.is_empty() {
            return Ok(());
        }
        let key = |link: &Link| (link.user, link.app.clone());
        let known = self.all_links().map(|link| (key(link), link.clone()));
        let mut after: BTreeMap<_, Link> = known.collect();
        for link in &changes.links {
            after.insert(key(link), link.clone());
            let alone = |link: &&Link| link.holds() && link.sharing == Sharing::Alone;
            let own = after.values().filter(alone);
            let same = own.filter(|other| other.openid == link.openid).count();
            let law = "a wallet is linked to one user";
            unless(!alone(&link) || same <= 1, law)?;
        }
        Ok(())
    }

    /// Leases what is due.
    pub(crate) fn claim_links(&mut self, claim: &LinkClaim) -> Vec<LinkRow> {
        let leases = &self.link_leases;
        let due = self.all_links().filter(|link| {
            let due = link.refresh_at.is_some_and(|at| at <= claim.now);
            let lease = leases.get(&(link.user, link.app.clone()));
            let leased = lease.is_some_and(|until| *until > claim.now);
            due && !leased && link.holds()
        });
        let mut due: Vec<Link> = due.cloned().collect();
        due.sort_by_key(|link| (link.refresh_at, link.user, link.app.clone()));
        due.truncate(claim.limit as usize);
        for link in &due {
            let key = (link.user, link.app.clone());
            self.link_leases.insert(key, claim.lease_until);
        }
        due.into_iter()
            .filter_map(|link| self.owned(link))
            .collect()
    }

    fn owned(&self, link: Link) -> Option<LinkRow> {
        let user = self.users.get(&link.user)?.id.clone();
        Some(LinkRow { link, user })
    }

    /// Links that a filter lets through.
    pub(crate) fn some_links(&self, filter: &LinkFilter) -> Vec<LinkRow> {
        let fits = |link: &&Link| {
            let after = (link.user, link.app.clone());
            filter.standing.is_none_or(|one| one == link.standing)
                && filter.app.as_ref().is_none_or(|app| *app == link.app)
                && (!filter.flagged || (link.holds() && link.sharing == Sharing::Flagged))
                && filter.after.as_ref().is_none_or(|last| after > *last)
        };
        let found = self.all_links().filter(fits).cloned();
        let found = found.take(filter.limit as usize);
        found.filter_map(|link| self.owned(link)).collect()
    }
}
