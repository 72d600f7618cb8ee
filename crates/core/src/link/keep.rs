//! What becomes of a link: its tokens are refreshed while WeChat takes them, it needs the user
//! again when WeChat does not, and somebody ends it.
//!
//! Nothing here touches a payout: one that is under way keeps its order, and the next one asks
//! how the link stands by then.

use crate::changes::Changes;
use crate::command::Outcome;
use crate::control::{Act, Deed};
use crate::execute::{Decision, Moment};
use crate::facts::{Facts, Wallet};
use crate::id::{AppId, UserId};
use crate::link::{BY_PERSON, Link, LinkAct, RefreshNews, Sharing, Standing, Wait};
use crate::rejection::Rejection;
use crate::time::{DAY_MS, Timestamp, stepped};

/// Waits after refreshes that came to nothing because WeChat was busy, in milliseconds.
const BUSY_WAITS_MS: [i64; 5] = [10_000, 60_000, 10 * 60_000, 60 * 60_000, 6 * 60 * 60_000];
/// How long a link waits after WeChat said that we ask too often.
const SLOW_MS: i64 = 60_000;
/// How long it waits while a person must change something.
const PERSON_MS: i64 = 60 * 60_000;

/// WeChat named another person than the one who is linked.
const OTHER_PERSON: &str = "openid_mismatch";

/// What came of refreshing a link's tokens. A link that changed since it was taken on is left as
/// it is: the news is about tokens that it has no more.
///
/// # Errors
/// [`Rejection::UnknownUser`] or [`Rejection::NotLinked`].
pub(crate) fn refreshed(
    moment: &Moment<'_>,
    (user, app, version): (&UserId, &AppId, u32),
    news: &RefreshNews,
    facts: &Facts,
) -> Decision {
    let user = facts.user(user).ok_or(Rejection::UnknownUser)?.no;
    let link = facts.wallet(user).links.get(app);
    let link = link.ok_or(Rejection::NotLinked)?;
    if link.version != version || !link.holds() {
        return Ok((Changes::default(), outcome(link, false)));
    }
    let ended = |code: &str| Link {
        standing: Standing::NeedsReauthorization,
        reason: Some(code.to_owned()),
        changed_at: moment.now,
        refresh_at: None,
        ..next(link)
    };
    let after = match news {
        RefreshNews::Renewed(identity) if identity.openid != link.openid => ended(OTHER_PERSON),
        RefreshNews::Renewed(identity) => {
            let back = link.standing != Standing::Active;
            let due = moment.now.after_ms(moment.policy.links.refresh_every_ms);
            Link {
                tokens: identity.tokens.clone(),
                unionid: identity.unionid.clone().or_else(|| link.unionid.clone()),
                standing: Standing::Active,
                reason: None,
                changed_at: if back { moment.now } else { link.changed_at },
                refresh_at: Some(due),
                refresh_tries: 0,
                ..next(link)
            }
        }
        RefreshNews::Ended { code } => ended(code),
        RefreshNews::Later { wait } => Link {
            refresh_at: Some(later(*wait, link.refresh_tries, moment.now)),
            refresh_tries: link.refresh_tries.saturating_add(1),
            ..next(link)
        },
    };
    let told = outcome(&after, after.standing != link.standing);
    let changes = Changes {
        links: vec![after],
        ..Changes::default()
    };
    Ok((changes, told))
}

fn later(wait: Wait, tries: u32, now: Timestamp) -> Timestamp {
    match wait {
        Wait::Busy => now.after_ms(stepped(&BUSY_WAITS_MS, tries)),
        Wait::Slower => now.after_ms(SLOW_MS),
        Wait::Tomorrow => now.business_date().next().start(),
        // Not for ever: what is wrong may be put right while the tokens still live.
        Wait::Person => now.after_ms(PERSON_MS.max(stepped(&[PERSON_MS, DAY_MS], tries))),
    }
}

fn next(link: &Link) -> Link {
    Link {
        version: link.version.saturating_add(1),
        ..link.clone()
    }
}

fn outcome(link: &Link, moved: bool) -> Outcome {
    let standing = link.standing.name();
    Outcome::Link { standing, moved }
}

/// Does something to a user's link with an app, or to all links of the user.
///
/// # Errors
/// [`Rejection::UnknownUser`]; [`Rejection::NotLinked`]; [`Rejection::NoTokens`] when only the
/// user can renew it; [`Rejection::NotShared`] when there is nothing to allow.
pub(crate) fn act(
    moment: &Moment<'_>,
    (user, app): (&UserId, Option<&AppId>),
    what: LinkAct,
    act: &Act,
    facts: &Facts,
) -> Decision {
    let user = facts.user(user).ok_or(Rejection::UnknownUser)?.no;
    let wallet = facts.wallet(user);
    let named = wallet.links.values();
    let named: Vec<&Link> = named
        .filter(|link| app.is_none_or(|app| link.app == *app))
        .collect();
    if named.is_empty() {
        return Err(Rejection::NotLinked);
    }
    let held: Vec<&Link> = named.iter().copied().filter(|link| link.holds()).collect();
    let after: Vec<Link> = match what {
        LinkAct::Unlink | LinkAct::Revoke => {
            let reason = if what == LinkAct::Unlink {
                "unlinked"
            } else {
                BY_PERSON
            };
            held.iter()
                .map(|link| ended(moment, link, reason))
                .collect()
        }
        LinkAct::Refresh => {
            let alive = held.iter().filter(|link| link.tokens.is_some());
            let due = alive.map(|link| Link {
                refresh_at: Some(moment.now),
                ..next(link)
            });
            let due: Vec<Link> = due.collect();
            if due.is_empty() {
                return Err(Rejection::NoTokens);
            }
            due
        }
        LinkAct::Allow => {
            let flagged = held.iter().filter(|l| l.sharing == Sharing::Flagged);
            let allowed = flagged.map(|link| Link {
                sharing: Sharing::Allowed,
                ..next(link)
            });
            let allowed: Vec<Link> = allowed.collect();
            if allowed.is_empty() {
                return Err(Rejection::NotShared);
            }
            allowed
        }
        // What became of it is asked at WeChat each time; that somebody asked is kept.
        LinkAct::ApplyAuthorization | LinkAct::CloseAuthorization => {
            let deeds = held
                .iter()
                .map(|link| deed(moment, (wallet, link), what, act));
            let deeds: Vec<Deed> = deeds.collect();
            let first = held.first().ok_or(Rejection::NotLinked)?;
            let told = outcome(first, false);
            let changes = Changes {
                deeds,
                ..Changes::default()
            };
            return Ok((changes, told));
        }
    };
    let first = after.first().or_else(|| named.first().copied());
    let standing = first.map_or("", |link| link.standing.name());
    let moved = !after.is_empty();
    let deeds = after.iter();
    let deeds = deeds.map(|after| deed(moment, (wallet, after), what, act));
    let changes = Changes {
        deeds: deeds.collect(),
        links: after,
        ..Changes::default()
    };
    Ok((changes, Outcome::Link { standing, moved }))
}

/// A link that ends; nothing is kept of it that lets anybody act for the user.
fn ended(moment: &Moment<'_>, link: &Link, reason: &str) -> Link {
    Link {
        standing: Standing::Revoked,
        reason: Some(reason.to_owned()),
        changed_at: moment.now,
        tokens: None,
        refresh_at: None,
        ..next(link)
    }
}

fn deed(moment: &Moment<'_>, (wallet, after): (&Wallet, &Link), what: LinkAct, act: &Act) -> Deed {
    let stood = |link: &Link| {
        let shared = match link.sharing {
            Sharing::Alone => "",
            Sharing::Flagged => ", shared",
            Sharing::Allowed => ", sharing allowed",
        };
        format!("{} {}{shared}", link.app, link.standing.name())
    };
    let before = wallet.links.get(&after.app);
    Deed {
        at: moment.now,
        actor: act.actor.clone(),
        what: what.deed().to_owned(),
        subject: wallet.user.id.to_string(),
        reason: act.reason.clone(),
        before: before.map_or_else(String::new, stood),
        after: stood(after),
    }
}
