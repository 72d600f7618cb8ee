//! Turns balances of at least a threshold into withdrawals.

use lingqian_core::command::Command;
use lingqian_core::id::{PayoutId, Reference, UserId, UserNo};
use lingqian_core::money::Fen;
use lingqian_core::payout::Asked;
use lingqian_core::time::{BusinessDate, Timestamp};
use lingqian_core::withdrawal::{Wanted, Withdrawal};
use lingqian_core::{Outcome, Rejection};
use lingqian_io::{Browse, Clock, Dice, Fault, Ports};

use crate::desk::Answer;
use crate::{Desk, Limits, Progress};

/// Where a sweep stands; start with the default and hand it back until it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepCursor {
    after: UserNo,
    /// Whether all users were looked at.
    pub done: bool,
}

impl Default for SweepCursor {
    fn default() -> Self {
        SweepCursor {
            after: UserNo(i64::MIN),
            done: false,
        }
    }
}

/// Which balances are swept, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Balances of at least so much.
    pub threshold: Fen,
    /// The day that the run is named after; a user is swept at most once under it.
    pub run: BusinessDate,
    /// The largest payout, where a balance may be split into several of them; a scene of WeChat
    /// must allow that.
    pub split: Option<Fen>,
}

impl Plan {
    /// A sweep of today, one payout a user.
    #[must_use]
    pub fn today(threshold: Fen, now: Timestamp) -> Plan {
        Plan {
            threshold,
            run: now.business_date(),
            split: None,
        }
    }
}

/// A balance is split into so many payouts at most.
const PARTS_MAX: u32 = 20;

/// Looks at the next users and asks for all that each may withdraw. The reference names the run
/// and the user, so a sweep that was cut short and begun again asks nobody twice.
///
/// # Errors
/// A fault; what was asked for before it stands.
pub async fn sweep<P: Ports>(
    ports: &P,
    desk: &Desk,
    limits: &Limits,
    plan: &Plan,
    cursor: SweepCursor,
) -> Result<(Progress, SweepCursor), Fault> {
    let floor = plan
        .threshold
        .micros()
        .ok_or_else(|| Fault::Broken("the threshold of the sweep is out of range".into()))?;
    let mut users = ports
        .store()
        .sweepable(floor, cursor.after, limits.page_max)
        .await?;
    let Some((last, _)) = users.last() else {
        let done = true;
        return Ok((Progress::default(), SweepCursor { done, ..cursor }));
    };
    let cursor = SweepCursor {
        after: *last,
        done: false,
    };
    let mut progress = Progress {
        taken: users.len() as u64,
        moved: 0,
    };
    let mut part = 1;
    while !users.is_empty() && part <= PARTS_MAX {
        let answers = ask(ports, desk, plan, &users, part).await?;
        let mut more = Vec::new();
        for (user, answer) in users.into_iter().zip(answers) {
            match answer {
                Ok(Outcome::Withdrawn { amount, .. }) => {
                    progress.moved += 1;
                    if plan.split.is_some_and(|most| amount >= most) {
                        more.push(user);
                    }
                }
                // An earlier run of this name asked for this part and died before the next.
                Err(Rejection::ReferenceUsed) if plan.split.is_some() => more.push(user),
                Ok(_) => {}
                Err(rejection) => {
                    tracing::debug!(code = rejection.code(), "a balance was not swept");
                }
            }
        }
        users = more;
        part += 1;
    }
    Ok((progress, cursor))
}

async fn ask<P: Ports>(
    ports: &P,
    desk: &Desk,
    plan: &Plan,
    users: &[(UserNo, UserId)],
    part: u32,
) -> Result<Vec<Answer>, Fault> {
    let now = ports.clock().business();
    let day = plan.run.to_string().replace('-', "");
    let mut commands = Vec::with_capacity(users.len());
    for (no, user) in users {
        let name = match part {
            1 => format!("sweep:{day}:{}", no.0),
            part => format!("sweep:{day}:{}:{part}", no.0),
        };
        let reference = Reference::parse(&name)
            .map_err(|fault| Fault::Broken(format!("the reference of a sweep {fault}")))?;
        commands.push(Command::Withdraw(Box::new(Withdrawal {
            payout: PayoutId::new(now, ports.dice().roll()),
            user: user.clone(),
            wanted: Wanted::All,
            reference,
            asked: Asked::BySweep,
            key: None,
        })));
    }
    desk.submit_all(commands).await
}
