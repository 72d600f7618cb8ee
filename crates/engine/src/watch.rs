//! The auditor that never sleeps: a few payouts and their users at a time, over live books, at a
//! cost that is known. What it finds wrong stops every payout until a person has looked.
//!
//! It walks from the newest payout to the oldest and begins anew. `lingqian audit` reads all of
//! the books at once; this one sees a mistake soon after it was made.

use std::collections::BTreeMap;

use lingqian_core::audit::{Finding, spot};
use lingqian_core::command::Command;
use lingqian_core::control::{Act, Actor, Scope, StopCause};
use lingqian_core::id::{PayoutId, UserId};
use lingqian_core::ledger::Entry;
use lingqian_core::money::Micros;
use lingqian_io::store::{PayoutFilter, Summary};
use lingqian_io::{Browse, Clock, Fault, Ports};

use crate::{Desk, Limits};

/// Where a round stands; hand it back to go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchCursor {
    before: Option<PayoutId>,
    /// How many rounds over all payouts were finished.
    pub rounds: u64,
}

/// What one look saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Payouts whose entries were compared with their states.
    pub payouts: u64,
    /// Users whose balances were derived anew from all of their entries.
    pub users: u64,
    /// Users who have too many entries for a look.
    pub skipped: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Looks at the sum of everything and at the next payouts with their users. What is wrong stops
/// all payouts, in the same breath.
///
/// # Errors
/// A fault; the same cursor goes on.
pub async fn watch<P: Ports>(
    ports: &P,
    desk: &Desk,
    limits: &Limits,
    cursor: WatchCursor,
) -> Result<(Watched, WatchCursor), Fault> {
    let store = ports.store();
    let mut seen = Watched {
        findings: spot::total(sum(&store.summary().await?)),
        ..Watched::default()
    };
    let filter = PayoutFilter {
        before: cursor.before,
        limit: limits.watch_max,
        ..PayoutFilter::default()
    };
    let rows = store.payouts(filter).await?;
    let next = match rows.last() {
        Some(last) if rows.len() >= limits.watch_max as usize => WatchCursor {
            before: Some(last.payout.id),
            ..cursor
        },
        _ => WatchCursor {
            before: None,
            rounds: cursor.rounds.saturating_add(1),
        },
    };
    let mut users: BTreeMap<UserId, ()> = BTreeMap::new();
    for row in rows {
        if let Some(story) = store.payout(row.payout.id).await? {
            let wrong = spot::payout(&story.row.payout, &story.entries);
            seen.findings.extend(wrong);
            seen.payouts += 1;
        }
        users.insert(row.user, ());
    }
    for user in users.keys() {
        look_at(ports, limits, user, &mut seen).await?;
    }
    if let Some(worst) = seen.findings.first() {
        for finding in &seen.findings {
            tracing::error!(%finding, "the books contradict themselves");
        }
        stop(desk, worst).await?;
    }
    Ok((seen, next))
}

/// All balances, added up; zero in sound books.
fn sum(summary: &Summary) -> i128 {
    let system = summary.accounts.iter();
    let system: i128 = system.map(|(_, balance)| i128::from(balance.0)).sum();
    let (available, held) = summary.users_hold;
    system
        .saturating_add(available)
        .saturating_add(held)
        .saturating_sub(summary.users_owe)
}

/// Derives a user's balances anew. The books are in use: only what stayed the same while it was
/// looked at says anything.
async fn look_at<P: Ports>(
    ports: &P,
    limits: &Limits,
    user: &UserId,
    seen: &mut Watched,
) -> Result<(), Fault> {
    let store = ports.store();
    let today = ports.clock().business().business_date();
    let Some(wallet) = store.user(user, today).await? else {
        return Ok(());
    };
    let lines = store
        .statement(wallet.user.no, None, limits.page_max)
        .await?;
    if lines.len() >= limits.page_max as usize {
        seen.skipped += 1;
        return Ok(());
    }
    let entries = lines.into_iter().rev().map(|line| (line.seq, line.entry));
    let entries: Vec<(i64, Entry)> = entries.collect();
    let after = store.user(user, today).await?;
    let money = |w: &lingqian_core::facts::Wallet| -> [Micros; 3] { [w.available, w.held, w.owed] };
    if after.as_ref().map(money) == Some(money(&wallet)) {
        seen.findings.extend(spot::wallet(&wallet, &entries));
        seen.users += 1;
    }
    Ok(())
}

async fn stop(desk: &Desk, worst: &Finding) -> Result<(), Fault> {
    let actor = Actor::engine();
    let name = worst.invariant.name();
    let act = Act::new(actor, &format!("the auditor found {name} broken"));
    let act = act.map_err(|fault| Fault::Broken(format!("the reason of a stop {fault}")))?;
    let stop = Command::SetStop {
        scope: Scope::All,
        cause: StopCause::Audit,
        on: true,
        act,
    };
    if let Err(rejection) = desk.submit(stop).await? {
        tracing::error!(code = rejection.code(), "payouts were not stopped");
    }
    Ok(())
}
