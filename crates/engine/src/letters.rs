//! The desk for dead letters: what could not be credited is mended and given again, or discarded.

use lingqian_core::command::Command;
use lingqian_core::control::Act;
use lingqian_core::earning::EarningEvent;
use lingqian_core::letter::LetterId;
use lingqian_core::{Outcome, Rejection};
use lingqian_io::store::LetterRow;
use lingqian_io::{Browse as _, Fault, Ports};

use crate::Desk;
use crate::desk::Answer;
use crate::ingest::Unreadable;

/// Why nothing came of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such letter.
    Absent,
    /// What is to be given again cannot be read.
    Unreadable(Unreadable),
    /// The rules refuse it.
    Rejected(Rejection),
    /// The store failed.
    Fault(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        Refusal::Fault(fault)
    }
}

/// Gives a letter again, as it came or in the words that are given instead of it. It is read as
/// its door reads. The event and the end of the letter are one commit; an event that was credited
/// before is not credited again.
///
/// # Errors
/// The reason for which nothing was changed.
pub async fn replay<P: Ports>(
    ports: &P,
    desk: &Desk,
    (id, act): (LetterId, Act),
    mended: Option<&[u8]>,
    read: impl FnOnce(&str, &[u8]) -> Result<EarningEvent, Unreadable>,
) -> Result<Outcome, Refusal> {
    let row = open(ports, &id).await?;
    let text = mended.unwrap_or(&row.letter.raw);
    let event = read(&row.letter.door, text).map_err(Refusal::Unreadable)?;
    let command = Command::ReplayLetter {
        letter: id,
        times: row.times,
        event,
        act,
    };
    answered(desk.submit(command).await?)
}

/// Ends a letter of which nothing is to come.
///
/// # Errors
/// The reason for which nothing was changed.
pub async fn discard<P: Ports>(
    ports: &P,
    desk: &Desk,
    (id, act): (LetterId, Act),
) -> Result<Outcome, Refusal> {
    let times = open(ports, &id).await?.times;
    let command = Command::DiscardLetter {
        letter: id,
        times,
        act,
    };
    answered(desk.submit(command).await?)
}

async fn open<P: Ports>(ports: &P, id: &LetterId) -> Result<LetterRow, Refusal> {
    let row = ports.store().letter(id.clone()).await?;
    let row = row.ok_or(Refusal::Absent)?;
    if row.fate().is_some() {
        return Err(Refusal::Rejected(Rejection::LetterEnded));
    }
    Ok(row)
}

fn answered(answer: Answer) -> Result<Outcome, Refusal> {
    answer.map_err(Refusal::Rejected)
}
