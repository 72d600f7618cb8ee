//! Dead letters and what a person makes of them; and how far a source was read.
//!
//! A letter is open until somebody replays or discards it. When the same input comes again it is
//! open again. Both acts are on record with who and why.

use std::ops::Range;

use crate::changes::Changes;
use crate::command::Outcome;
use crate::control::{Act, Deed};
use crate::earning::EarningEvent;
use crate::execute::{Decision, Moment};
use crate::facts::Facts;
use crate::id::{IdFault, checked};
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// Hexadecimal digits of a letter's name that stand for its content.
const DIGITS: usize = 32;

/// The name of a letter: its code, and the first half of the digest of its content, such as
/// `unknown_kind-0f34…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId(String);

impl LetterId {
    /// The name of a letter of this code, whose content has this digest.
    #[must_use]
    pub fn of(code: &str, digest: &[u8; 32]) -> LetterId {
        let digits = digest.iter().take(DIGITS / 2);
        let digits: String = digits.map(|byte| format!("{byte:02x}")).collect();
        LetterId(format!("{code}-{digits}"))
    }

    /// Reads a name.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(text: &str) -> Result<LetterId, IdFault> {
        let text = checked(text, 96)?;
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match text.rsplit_once('-') {
            Some((code, digits))
                if !code.is_empty() && digits.len() == DIGITS && digits.bytes().all(hex) =>
            {
                Ok(LetterId(text))
            }
            _ => Err(IdFault::Form),
        }
    }

    /// The code, and the digits that stand for the content.
    #[must_use]
    pub fn parts(&self) -> (&str, &str) {
        self.0.rsplit_once('-').unwrap_or((&self.0, ""))
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for LetterId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What somebody made of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It was given again, perhaps changed, and is credited.
    Replayed,
    /// Nothing is to come of it.
    Discarded,
}

impl Fate {
    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Fate::Replayed => "replayed",
            Fate::Discarded => "discarded",
        }
    }

    /// What has this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Fate> {
        [Fate::Replayed, Fate::Discarded]
            .into_iter()
            .find(|fate| fate.name() == name)
    }
}

/// The end of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterEnd {
    /// Which.
    pub letter: LetterId,
    /// How.
    pub fate: Fate,
    /// How often it had come by then; once more, and it is open again.
    pub times: u64,
    /// When.
    pub at: Timestamp,
    /// For one that was replayed, the source and id of its event.
    pub event: String,
}

/// How far a source was read, or a sink was told: the number of the next that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Of what, such as `kafka/app/earnings/3`.
    pub name: String,
    /// How far.
    pub position: i64,
}

/// A mark that becomes true with events of a batch: kept in their commit, and only if none of them
/// was refused, because what was refused has still to be kept as a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventMark {
    /// The mark.
    pub mark: Mark,
    /// Its events.
    pub events: Range<usize>,
}

/// Gives the event of a letter again, as it came or as somebody mended it; the letter ends in the
/// same commit. An event that was credited before is not credited again.
pub(crate) fn replay(
    moment: &Moment<'_>,
    (letter, times): (&LetterId, u64),
    event: &EarningEvent,
    act: &Act,
    facts: &Facts,
) -> Decision {
    open(letter, facts)?;
    let (mut changes, outcome) = crate::execute::earn(moment, event, facts)?;
    let name = format!("{} {}", event.source, event.event_id);
    end(
        &mut changes,
        moment,
        (letter, times),
        (Fate::Replayed, name),
        act,
    );
    Ok((changes, outcome))
}

/// Ends a letter of which nothing is to come.
pub(crate) fn discard(
    moment: &Moment<'_>,
    (letter, times): (&LetterId, u64),
    act: &Act,
    facts: &Facts,
) -> Decision {
    open(letter, facts)?;
    let mut changes = Changes::default();
    let fate = (Fate::Discarded, String::new());
    end(&mut changes, moment, (letter, times), fate, act);
    Ok((changes, Outcome::Done))
}

/// An earlier command of the same batch may have ended it; stores look at earlier batches.
fn open(letter: &LetterId, facts: &Facts) -> Result<(), Rejection> {
    if facts.letters_ended.contains(letter) {
        return Err(Rejection::LetterEnded);
    }
    Ok(())
}

fn end(
    changes: &mut Changes,
    moment: &Moment<'_>,
    (letter, times): (&LetterId, u64),
    (fate, event): (Fate, String),
    act: &Act,
) {
    changes.letter_ends.push(LetterEnd {
        letter: letter.clone(),
        fate,
        times,
        at: moment.now,
        event,
    });
    changes.deeds.push(Deed {
        at: moment.now,
        actor: act.actor.clone(),
        what: match fate {
            Fate::Replayed => "replay_letter".to_owned(),
            Fate::Discarded => "discard_letter".to_owned(),
        },
        subject: letter.to_string(),
        reason: act.reason.clone(),
        before: "open".to_owned(),
        after: fate.name().to_owned(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_letter_reads_back() {
        let id = LetterId::of("unknown_kind", &[0xab; 32]);
        assert_eq!(LetterId::parse(id.as_str()), Ok(id.clone()));
        assert_eq!(id.parts(), ("unknown_kind", "ab".repeat(16).as_str()));
        let strange = [
            "",
            "unknown_kind",
            "x-12",
            "-abababababababababababababababab",
        ];
        for text in strange {
            assert!(LetterId::parse(text).is_err(), "{text}");
        }
        assert!(LetterId::parse(&id.as_str().to_uppercase()).is_err());
    }
}
