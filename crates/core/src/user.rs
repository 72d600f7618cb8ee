//! Who is paid.

use crate::changes::Changes;
use crate::command::Outcome;
use crate::control::{Act, Deed};
use crate::execute::{Decision, Moment};
use crate::facts::Facts;
use crate::id::{UserId, UserNo};
use crate::money::Fen;
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// Something that only a holder of the sealing key can read. The bytes name their key. It
/// never prints itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sealed(pub Vec<u8>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(…)")
    }
}

/// A user of the app, as the app registered them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The number in the ledger.
    pub no: UserNo,
    /// The app's own name for the user.
    pub id: UserId,
    /// When the user was registered.
    pub created_at: Timestamp,
    /// No payout is approved while this is set.
    pub frozen: bool,
    /// The real name, which WeChat compares for large payouts.
    pub name: Option<Sealed>,
}

/// What one user's approved payouts of one business day add up to. Payouts that ended without
/// being paid are taken out again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayTotals {
    /// How many payouts.
    pub count: u32,
    /// Their sum.
    pub amount: Fen,
}

/// Registers a user, or gives a known one a name.
pub(crate) fn register(
    moment: &Moment<'_>,
    id: &UserId,
    name: Option<&Sealed>,
    facts: &Facts,
) -> Decision {
    let user = match facts.user(id) {
        Some(known) if name.is_none() || name == known.name.as_ref() => {
            return Ok((Changes::default(), Outcome::Done));
        }
        Some(known) => User {
            name: name.cloned(),
            ..known.clone()
        },
        None => User {
            no: UserNo(facts.next_user),
            id: id.clone(),
            created_at: moment.now,
            frozen: false,
            name: name.cloned(),
        },
    };
    Ok((
        Changes {
            users: vec![user],
            ..Changes::default()
        },
        Outcome::Done,
    ))
}

/// Stops or allows payouts to a user.
///
/// # Errors
/// [`Rejection::UnknownUser`].
pub(crate) fn set_frozen(
    moment: &Moment<'_>,
    (id, frozen): (&UserId, bool),
    act: Option<&Act>,
    facts: &Facts,
) -> Decision {
    let user = facts.user(id).ok_or(Rejection::UnknownUser)?;
    if user.frozen == frozen {
        return Ok((Changes::default(), Outcome::Done));
    }
    let word = |frozen: bool| if frozen { "frozen" } else { "free" };
    let deed = act.map(|act| Deed {
        at: moment.now,
        actor: act.actor.clone(),
        what: if frozen { "freeze" } else { "unfreeze" }.to_owned(),
        subject: id.to_string(),
        reason: act.reason.clone(),
        before: word(!frozen).to_owned(),
        after: word(frozen).to_owned(),
    });
    let user = User {
        frozen,
        ..user.clone()
    };
    let changes = Changes {
        users: vec![user],
        deeds: deed.into_iter().collect(),
        ..Changes::default()
    };
    Ok((changes, Outcome::Done))
}
