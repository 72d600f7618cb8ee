//! Dead letters on their way out: each as often as it came, because that is how they are kept.

use lingqian_core::Changes;
use lingqian_core::command::DeadLetter;

use super::{Cursor, Part, Piece};

/// A piece has at most so many letters: each may be as long as a message.
pub const LETTERS_MAX: u32 = 256;

/// A piece of letters. `letters` begins with the one that the cursor tells to come next, each
/// with how often it came, and has more than `limit` where there are more.
#[must_use]
pub fn letters(
    from: &Cursor,
    letters: impl IntoIterator<Item = (DeadLetter, u64)>,
    limit: u32,
) -> Piece {
    let (mut whole, mut given) = from.numbers;
    let mut changes = Changes::default();
    let mut room = i64::from(limit.max(1));
    for (letter, times) in letters {
        if room == 0 {
            let next = Cursor::at(Part::DeadLetters, (whole, given));
            return Piece::new(Part::DeadLetters, changes, Some(next));
        }
        let times = i64::try_from(times).unwrap_or(i64::MAX);
        let some = times.saturating_sub(given).clamp(0, room);
        changes
            .dead_letters
            .extend((0..some).map(|_| letter.clone()));
        room -= some;
        given = given.saturating_add(some);
        if given < times {
            let next = Cursor::at(Part::DeadLetters, (whole, given));
            return Piece::new(Part::DeadLetters, changes, Some(next));
        }
        (whole, given) = (whole.saturating_add(1), 0);
    }
    Piece::new(Part::DeadLetters, changes, None)
}
