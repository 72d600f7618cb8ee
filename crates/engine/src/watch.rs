//! The auditor that never sleeps: a few payouts and their users at a time, over live books, at a
//! cost that is known. What it finds wrong stops every payout until a person has looked.
//!
//! It walks from the newest payout to the oldest with the users whose payouts they are, and beside
//! that over all users by their numbers, and begins anew. A user with too many entries for one look
//! is walked through over several. `lingqian audit` reads all of the books at once;
//! this one sees a mistake soon after it was made.

use std::collections::{BTreeMap, BTreeSet};

use lingqian_core::audit::spot::Back;
use lingqian_core::audit::{Finding, spot};
use lingqian_core::command::Command;
use lingqian_core::control::{Act, Actor, Scope, StopCause};
use lingqian_core::id::{PayoutId, UserId, UserNo};
use lingqian_core::ledger::Entry;
use lingqian_core::money::Micros;
use lingqian_io::store::{PayoutFilter, Summary};
use lingqian_io::{Browse, Clock, Fault, Ports};

use crate::{Desk, Limits};

/// So many users wait to be walked through; more of them have their turn after these.
const LONG_MAX: usize = 1_000;

/// Where a round stands; hand it back to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchCursor {
    before: Option<PayoutId>,
    /// Up to which user everybody was looked at, payouts or none; nobody yet where there is none.
    after: Option<UserNo>,
    long: Long,
    /// How many rounds over all payouts were finished.
    pub rounds: u64,
    /// How many rounds over all users were finished.
    pub turns: u64,
    /// How often everybody was walked through who was found to have many entries.
    pub walks: u64,
}

/// Users with too many entries for one look: those of one round are walked through, one after the
/// other, before others are noted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Long {
    /// Whether this round notes them.
    notes: bool,
    /// Whether a round has noted them, and not all are walked through.
    walks: bool,
    users: BTreeSet<UserId>,
    /// Who is walked through now.
    walk: Option<Walk>,
    /// Whether there were more of them than have a turn, and who was the last to have one.
    more: bool,
    last: Option<UserId>,
    /// Only who comes after this one has a turn: the others had it before.
    after: Option<UserId>,
}

impl Long {
    /// A round begins.
    fn begin(&mut self) {
        self.notes = !self.walks;
        if self.notes {
            let more = std::mem::take(&mut self.more);
            self.after = self.last.take().filter(|_| more);
        }
    }

    /// A round is over.
    fn end(&mut self) {
        self.walks |= std::mem::take(&mut self.notes);
    }

    /// A user has many entries; whether the user will have a turn.
    fn note(&mut self, user: &UserId) -> bool {
        let before = self.after.as_ref().is_some_and(|after| user <= after);
        if !self.notes || before {
            return !before;
        }
        self.users.insert(user.clone());
        if self.users.len() <= LONG_MAX {
            return true;
        }
        self.more = true;
        self.users.pop_last().as_ref() != Some(user)
    }

    /// Everybody who was noted was walked through.
    fn is_through(&mut self) -> bool {
        let through = self.walks && self.walk.is_none() && self.users.is_empty();
        self.walks &= !through;
        through
    }
}

/// A user who is walked through: what is left to explain of the balances, and up to which entry.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Walk {
    user: UserNo,
    back: Back,
    before: i64,
}

/// What one look saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Payouts whose entries were compared with their states.
    pub payouts: u64,
    /// Users whose balances were derived anew from all of their entries.
    pub users: u64,
    /// Entries of users who have too many for one look.
    pub walked: u64,
    /// Users who have too many entries for a look, while too many others are waited for.
    pub skipped: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Looks at the next payouts with their users, at the next entries of a user who has many, and
/// once in a round at the sum of everything. What is wrong stops all payouts, in the same breath.
///
/// # Errors
/// A fault; the same cursor goes on.
pub async fn watch<P: Ports>(
    ports: &P,
    desk: &Desk,
    limits: &Limits,
    cursor: &WatchCursor,
) -> Result<(Watched, WatchCursor), Fault> {
    let store = ports.store();
    let mut seen = Watched::default();
    if cursor.before.is_none() {
        seen.findings = spot::total(sum(&store.summary().await?));
    }
    let filter = PayoutFilter {
        before: cursor.before,
        limit: limits.watch_max,
        ..PayoutFilter::default()
    };
    let rows = store.payouts(filter).await?;
    let mut next = cursor.clone();
    if cursor.before.is_none() {
        next.long.begin();
    }
    next.before = match rows.last() {
        Some(last) if rows.len() >= limits.watch_max as usize => Some(last.payout.id),
        _ => None,
    };
    next.rounds += u64::from(next.before.is_none());
    let mut users: BTreeMap<UserId, ()> = BTreeMap::new();
    for row in rows {
        if let Some(story) = store.payout(row.payout.id).await? {
            let wrong = spot::payout(&story.row.payout, &story.entries);
            seen.findings.extend(wrong);
            seen.payouts += 1;
        }
        users.insert(row.user, ());
    }
    let all = store.sweepable(
        Micros::ZERO,
        cursor.after.unwrap_or(UserNo(0)),
        limits.watch_max,
    );
    let all = all.await?;
    next.after = match all.last() {
        Some((last, _)) if all.len() >= limits.watch_max as usize => Some(*last),
        _ => None,
    };
    next.turns += u64::from(next.after.is_none());
    users.extend(all.into_iter().map(|(_, user)| (user, ())));
    for user in users.keys() {
        look_at(ports, limits, user, (&mut seen, &mut next.long)).await?;
    }
    if next.before.is_none() {
        next.long.end();
    }
    walk_on(ports, limits, (&mut seen, &mut next.long)).await?;
    next.walks += u64::from(next.long.is_through());
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

/// Derives a user's balances anew. The books are in use: balances that were read between two
/// looks at the same newest entry are those that it made.
async fn look_at<P: Ports>(
    ports: &P,
    limits: &Limits,
    user: &UserId,
    (seen, long): (&mut Watched, &mut Long),
) -> Result<(), Fault> {
    let store = ports.store();
    let today = ports.clock().business().business_date();
    let Some(known) = store.user(user, today).await? else {
        return Ok(());
    };
    let no = known.user.no;
    let newest = store.statement(no, None, 1).await?;
    let wallet = store.user(user, today).await?;
    let lines = store.statement(no, None, limits.page_max).await?;
    if lines.len() >= limits.page_max as usize {
        seen.skipped += u64::from(!long.note(user));
        return Ok(());
    }
    let entries = lines.into_iter().rev().map(|line| (line.seq, line.entry));
    let entries: Vec<(i64, Entry)> = entries.collect();
    let still = newest.first().map(|line| line.seq) == entries.last().map(|(seq, _)| *seq);
    if let Some(wallet) = wallet.filter(|_| still) {
        seen.findings.extend(spot::wallet(&wallet, &entries));
        seen.users += 1;
    }
    Ok(())
}

/// Walks over the next entries of a user who has many, from the balances back to the first.
async fn walk_on<P: Ports>(
    ports: &P,
    limits: &Limits,
    (seen, long): (&mut Watched, &mut Long),
) -> Result<(), Fault> {
    let store = ports.store();
    if long.walk.is_none() {
        let Some(user) = long.users.pop_first() else {
            return Ok(());
        };
        long.walk = set_out(ports, &user).await?;
        long.last = long.last.take().max(Some(user));
    }
    let Some(mut walk) = long.walk.take() else {
        return Ok(());
    };
    let lines = store
        .statement(walk.user, Some(walk.before), limits.page_max)
        .await?;
    for line in &lines {
        walk.back.entry(line.seq, &line.entry);
        walk.before = line.seq;
    }
    seen.walked += lines.len() as u64;
    if lines.len() < limits.page_max as usize {
        seen.findings.extend(walk.back.end());
        seen.users += 1;
    } else {
        long.walk = Some(walk);
    }
    Ok(())
}

/// A walk begins with balances and the entry that made them. Who is moved in between is walked
/// through another time.
async fn set_out<P: Ports>(ports: &P, user: &UserId) -> Result<Option<Walk>, Fault> {
    let store = ports.store();
    let today = ports.clock().business().business_date();
    let Some(known) = store.user(user, today).await? else {
        return Ok(None);
    };
    let no = known.user.no;
    let before = store.statement(no, None, 1).await?;
    let wallet = store.user(user, today).await?;
    let newest = store.statement(no, None, 1).await?;
    let still = before.first().map(|line| line.seq) == newest.first().map(|line| line.seq);
    let (Some(wallet), Some(newest)) = (wallet.filter(|_| still), newest.first()) else {
        return Ok(None);
    };
    let mut back = Back::begin(&wallet);
    back.entry(newest.seq, &newest.entry);
    Ok(Some(Walk {
        user: no,
        back,
        before: newest.seq,
    }))
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
