//! Where notices are sent to, and who may change that.

use std::fmt;

use crate::changes::Changes;
use crate::command::Outcome;
use crate::control::{Act, Deed};
use crate::execute::{Decision, Moment};
use crate::id::{IdFault, checked, text_id};
use crate::notice::{Event, Told};
use crate::time::Timestamp;
use crate::user::Sealed;

/// The longest address, in bytes.
pub const URL_MAX: usize = 1_024;
/// So many filters at most.
pub const FILTERS_MAX: usize = 32;
/// So many secrets sign at a time: the present one, and the one before it while receivers change.
pub const SECRETS_MAX: usize = 2;

text_id!(
    /// The name of an endpoint, such as `we_01J…`.
    EndpointId,
    40
);

/// How messages are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// `v1`: HMAC-SHA256 with a secret that both sides have.
    Hmac,
    /// `v1a`: ed25519; the receiver has the public key only.
    Ed25519,
}

impl Scheme {
    /// The stored name, which is also the one before the signature.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Hmac => "v1",
            Scheme::Ed25519 => "v1a",
        }
    }

    /// The scheme of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Scheme> {
        [Scheme::Hmac, Scheme::Ed25519]
            .into_iter()
            .find(|scheme| scheme.name() == name)
    }
}

/// What messages are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// How.
    pub scheme: Scheme,
    /// The key, sealed.
    pub sealed: Sealed,
    /// Until when it signs; for ever where nothing is said.
    pub until: Option<Timestamp>,
}

/// Somebody who is told of what happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name.
    pub id: EndpointId,
    /// Where messages go.
    pub url: String,
    /// Which events: full names, `payout.*`, or `*`; all of them where none is named.
    pub events: Vec<String>,
    /// Words for people.
    pub note: String,
    /// What signs: the newest first, one or two.
    pub secrets: Vec<Secret>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when nothing is sent, and why.
    pub off: Option<(Timestamp, String)>,
    /// Whether it is gone for good.
    pub deleted: bool,
    /// The notice after which it begins; nothing for a new one, which begins with what comes
    /// next, and for a known one, which goes on where it is.
    pub after: Option<i64>,
}

impl Endpoint {
    /// Whether it wants to hear of such an event.
    #[must_use]
    pub fn wants(&self, event: Event) -> bool {
        let covers = |filter: &String| covers(filter, event.name());
        self.events.is_empty() || self.events.iter().any(covers)
    }

    /// The numbers and lanes of what it wants.
    pub fn wanted(&self, told: &[Told]) -> impl Iterator<Item = (i64, String)> {
        let wanted = told.iter().filter(|told| self.wants(told.notice.event));
        wanted.map(|told| (told.number, told.notice.lane()))
    }

    fn standing(&self) -> &'static str {
        match (self.deleted, &self.off) {
            (true, _) => "deleted",
            (false, Some(_)) => "off",
            (false, None) => "on",
        }
    }
}

fn covers(filter: &str, event: &str) -> bool {
    match filter.strip_suffix('*') {
        Some("") => true,
        Some(prefix) => prefix.ends_with('.') && event.starts_with(prefix),
        None => filter == event,
    }
}

/// Why an endpoint cannot be as somebody wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Not an address of a web server.
    #[error("must be an absolute http or https URL without user, password or fragment")]
    Address,
    /// Too long.
    #[error("must have at most {URL_MAX} characters")]
    TooLong,
    /// No event has such a name.
    #[error("names no event; `*`, `payout.*` and full names such as `payout.paid` are understood")]
    Filter,
    /// More than are looked at.
    #[error("may name at most {FILTERS_MAX} events")]
    TooMany,
}

/// Whether messages can be sent to such an address. Which machines it may name is decided where
/// they are sent, every time.
///
/// # Errors
/// What is wrong with it.
pub fn check_url(url: &str) -> Result<(), Unfit> {
    if url.len() > URL_MAX {
        return Err(Unfit::TooLong);
    }
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .ok_or(Unfit::Address)?;
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let plain = url.bytes().all(|byte| byte.is_ascii_graphic());
    let named = host.bytes().any(|byte| byte.is_ascii_alphanumeric());
    if plain && named && !host.contains(['@', '\\']) && !url.contains('#') {
        Ok(())
    } else {
        Err(Unfit::Address)
    }
}

/// Whether every filter names an event.
///
/// # Errors
/// What is wrong with them.
pub fn check_events(filters: &[String]) -> Result<(), Unfit> {
    if filters.len() > FILTERS_MAX {
        return Err(Unfit::TooMany);
    }
    let known = |filter: &String| Event::ALL.iter().any(|event| covers(filter, event));
    if filters.iter().all(known) {
        Ok(())
    } else {
        Err(Unfit::Filter)
    }
}

/// Makes an endpoint, or changes one; who did it is on record.
pub(crate) fn set(moment: &Moment<'_>, endpoint: &Endpoint, what: &str, act: &Act) -> Decision {
    let deed = Deed {
        at: moment.now,
        actor: act.actor.clone(),
        what: format!("webhook_{what}"),
        subject: endpoint.id.to_string(),
        reason: act.reason.clone(),
        before: String::new(),
        after: endpoint.standing().to_owned(),
    };
    let changes = Changes {
        endpoints: vec![endpoint.clone()],
        deeds: vec![deed],
        ..Changes::default()
    };
    Ok((changes, Outcome::Done))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_web_servers_are_taken() {
        for good in [
            "https://a.example/x?y=1",
            "http://127.0.0.1:80",
            "https://[::1]/",
        ] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "ftp://a",
            "https://",
            "https://u:p@a/",
            "https://a/#x",
            "https://a b",
        ] {
            assert_eq!(check_url(bad), Err(Unfit::Address), "{bad}");
        }
        let long = format!("https://a/{}", "x".repeat(URL_MAX));
        assert_eq!(check_url(&long), Err(Unfit::TooLong));
    }

    #[test]
    fn filters_cover_what_they_name_and_nothing_else() {
        for (filter, expected) in [
            ("*", true),
            ("payout.*", true),
            ("payout.paid", true),
            ("payout.pai*", false),
            ("payout", false),
            ("user.*", false),
        ] {
            assert_eq!(covers(filter, "payout.paid"), expected, "{filter}");
        }
        let check = |filter: &str| check_events(&[filter.to_owned()]);
        assert_eq!(check("payout.*"), Ok(()));
        assert_eq!(check("payout.pa"), Err(Unfit::Filter));
        assert_eq!(check_events(&vec!["*".to_owned(); 33]), Err(Unfit::TooMany));
    }
}
