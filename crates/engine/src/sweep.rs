//! Turns balances of at least a threshold into withdrawals.

use lingqian_core::command::Command;
use lingqian_core::id::{PayoutId, Reference, UserId, UserNo};
use lingqian_core::money::Fen;
use lingqian_core::payout::Asked;
use lingqian_core::withdrawal::{Wanted, Withdrawal};
use lingqian_io::{Browse, Clock, Dice, Fault, Ports};

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

/// Looks at the next users and asks for all that each may withdraw. A user is swept at most
/// once a business day: the reference names the day and the user, so a sweep that was cut
/// short and begun again asks nobody twice.
///
/// # Errors
/// A fault; what was asked for before it stands.
pub async fn sweep<P: Ports>(
    ports: &P,
    desk: &Desk,
    limits: &Limits,
    threshold: Fen,
    cursor: SweepCursor,
) -> Result<(Progress, SweepCursor), Fault> {
    let floor = threshold
        .micros()
        .ok_or_else(|| Fault::Broken("the threshold of the sweep is out of range".into()))?;
    let users = ports
        .store()
        .sweepable(floor, cursor.after, limits.page_max)
        .await?;
    let Some((last, _)) = users.last() else {
        return Ok((
            Progress::default(),
            SweepCursor {
                done: true,
                ..cursor
            },
        ));
    };
    let cursor = SweepCursor {
        after: *last,
        done: false,
    };
    let now = ports.clock().business();
    let day = now.business_date().to_string().replace('-', "");
    let mut commands = Vec::with_capacity(users.len());
    for (no, user) in users {
        let payout = PayoutId::new(now, ports.dice().roll());
        commands.push(Command::Withdraw(Box::new(swept(payout, user, no, &day)?)));
    }
    let mut progress = Progress {
        taken: commands.len() as u64,
        moved: 0,
    };
    for answer in desk.submit_all(commands).await? {
        match answer {
            Ok(_) => progress.moved += 1,
            Err(rejection) => {
                tracing::debug!(code = rejection.code(), "a balance was not swept");
            }
        }
    }
    Ok((progress, cursor))
}

fn swept(payout: PayoutId, user: UserId, no: UserNo, day: &str) -> Result<Withdrawal, Fault> {
    let reference = Reference::parse(&format!("sweep:{day}:{}", no.0))
        .map_err(|fault| Fault::Broken(format!("the reference of a sweep {fault}")))?;
    let (wanted, asked) = (Wanted::All, Asked::BySweep);
    Ok(Withdrawal {
        payout,
        user,
        wanted,
        reference,
        asked,
        key: None,
    })
}
