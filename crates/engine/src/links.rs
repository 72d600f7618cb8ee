//! Keeps links alive without their users: tokens are refreshed before they run out, as long as
//! WeChat takes them.
//!
//! What WeChat says is concluded from its code alone (`Remedy`), and only a code that says that a
//! grant ended makes a link need its user again. An answer that is lost, or a process that dies
//! before its commit, leaves the link as it was: the same tokens are tried again when the lease
//! ends. A link that changed meanwhile keeps what it has; the news is about older tokens.

use std::collections::BTreeMap;

use lingqian_core::Outcome;
use lingqian_core::command::Command;
use lingqian_core::id::AppId;
use lingqian_core::link::{LinkCommand, RefreshNews, Wait};
use lingqian_io::links::{LinkClaim, LinkRow, Links as _};
use lingqian_io::rail::{IdentityFault, Remedy};
use lingqian_io::{Clock, Fault, IdentityProvider, Ports};

use crate::{Desk, Limits, Progress};

/// Refreshes the tokens that are due, one after the other. An app that WeChat slows down, or that
/// it does not let in, is asked for no more in this run: its other links wait as long.
///
/// # Errors
/// A fault; what was not reported is due again when its lease ends.
pub async fn links<P: Ports>(ports: &P, desk: &Desk, limits: &Limits) -> Result<Progress, Fault> {
    let now = ports.clock().business();
    let claim = LinkClaim {
        now,
        lease_until: now.after_ms(limits.lease_ms),
        limit: limits.refresh_max,
    };
    let due = ports.store().claim_links(claim).await?;
    let mut progress = Progress {
        taken: due.len() as u64,
        moved: 0,
    };
    let mut paused: BTreeMap<AppId, Wait> = BTreeMap::new();
    for row in due {
        let news = match paused.get(&row.link.app) {
            Some(wait) => RefreshNews::Later { wait: *wait },
            None => ask(ports, &row).await,
        };
        if let RefreshNews::Later { wait } = &news
            && *wait != Wait::Busy
        {
            paused.insert(row.link.app.clone(), *wait);
        }
        let command = LinkCommand::Refreshed {
            user: row.user,
            app: row.link.app,
            version: row.link.version,
            news,
        };
        match desk.submit(Command::Link(Box::new(command))).await? {
            Ok(Outcome::Link { moved: true, .. }) => progress.moved += 1,
            Ok(_) => {}
            Err(rejection) => tracing::debug!(code = rejection.code(), "not refreshed"),
        }
    }
    Ok(progress)
}

async fn ask<P: Ports>(ports: &P, row: &LinkRow) -> RefreshNews {
    let Some(tokens) = &row.link.tokens else {
        let code = "tokens_missing".to_owned();
        return RefreshNews::Ended { code };
    };
    match ports.identity().refresh(&row.link.app, tokens).await {
        Ok(identity) => RefreshNews::Renewed(identity),
        Err(fault) => concluded(&row.link.app, &fault),
    }
}

/// What a refusal means for a link.
fn concluded(app: &AppId, fault: &IdentityFault) -> RefreshNews {
    let (errcode, remedy) = match fault {
        IdentityFault::Refused { errcode, remedy } => (*errcode, *remedy),
        IdentityFault::Unavailable(word) => {
            tracing::warn!(%app, word, "tokens were not refreshed");
            return RefreshNews::Later { wait: Wait::Busy };
        }
    };
    let wait = match remedy {
        Remedy::Restart | Remedy::Follow | Remedy::Blocked => {
            let code = errcode.to_string();
            return RefreshNews::Ended { code };
        }
        Remedy::Again | Remedy::Renew => Wait::Busy,
        Remedy::Slower => Wait::Slower,
        Remedy::Tomorrow => Wait::Tomorrow,
        Remedy::Configure | Remedy::Unheard => Wait::Person,
    };
    tracing::warn!(%app, errcode, code = remedy.code(), "tokens were not refreshed");
    RefreshNews::Later { wait }
}
