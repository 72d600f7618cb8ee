//! What somebody made of dead letters, and marks: how far sources were read.

use lingqian_core::Changes;
use lingqian_core::letter::{Fate, LetterEnd, LetterId, Mark};
use lingqian_io::Fault;
use lingqian_io::store::{LETTER_ENDED, LetterRow, LetterWish};
use tokio_postgres::Row;

use crate::browse::{all, letter};
use crate::codec::{damaged, get, id, moment, number, text};
use crate::commit::Refused;
use crate::pool::{Session, Values};
use crate::sql;

/// Writes what changed of them: few, one by one.
pub(crate) async fn write(session: &Session, changes: &Changes) -> Result<(), Refused> {
    for end in &changes.letter_ends {
        let values: Values<'_> = &[
            &end.letter.as_str(),
            &end.fate.name(),
            &end.times.cast_signed(),
            &end.at.0,
            &end.event,
        ];
        if session.run(sql!("end_letter"), values).await? == 0 {
            return Err(Refused::Fault(Fault::Retry(LETTER_ENDED.into())));
        }
    }
    write_marks(session, &changes.marks).await
}

/// Writes how far sources were read.
pub(crate) async fn write_marks(session: &Session, marks: &[Mark]) -> Result<(), Refused> {
    for mark in marks {
        let values: Values<'_> = &[&mark.name, &mark.position];
        session.run(sql!("keep_mark"), values).await?;
    }
    Ok(())
}

fn end(row: &Row, from: usize) -> Result<LetterEnd, Fault> {
    Ok(LetterEnd {
        letter: id(text(row, from)?, LetterId::parse, "letter_ends.letter")?,
        fate: Fate::from_name(text(row, from + 1)?).ok_or_else(|| damaged("letter_ends.fate"))?,
        times: number(row, from + 2)?,
        at: moment(row, from + 3)?,
        event: get(row, from + 4)?,
    })
}

fn with_end(row: &Row) -> Result<LetterRow, Fault> {
    let ended = get::<Option<String>>(row, 6)?.is_some();
    let end = ended.then(|| end(row, 6)).transpose()?;
    Ok(LetterRow::new(letter(row)?, end))
}

/// The same without what it says.
fn listed(row: &Row) -> Result<LetterRow, Fault> {
    let ended = get::<Option<String>>(row, 6)?.is_some();
    let end = ended.then(|| end(row, 6)).transpose()?;
    let content = (get(row, 11)?, number(row, 12)?);
    let listed = LetterRow::listed(letter(row)?, content, end);
    listed.map_err(|_| damaged("dead_letters.digest"))
}

/// Letters, newest first.
pub(crate) async fn letters(session: &Session, wish: LetterWish) -> Result<Vec<LetterRow>, Fault> {
    let values: Values<'_> = &[&i64::from(wish.limit), &wish.all];
    all(session, sql!("letters"), values, listed).await
}

/// One letter.
pub(crate) async fn one(session: &Session, id: &LetterId) -> Result<Option<LetterRow>, Fault> {
    let (code, digits) = id.parts();
    let found = all(session, sql!("letter"), &[&code, &digits], with_end).await?;
    Ok(found.into_iter().next())
}

/// All ends of letters, by name.
pub(crate) async fn ends(session: &Session) -> Result<Vec<LetterEnd>, Fault> {
    all(session, sql!("letter_ends"), &[], |row| end(row, 0)).await
}

/// Marks whose names begin so, by name.
pub(crate) async fn marks(session: &Session, prefix: &str) -> Result<Vec<Mark>, Fault> {
    all(session, sql!("marks"), &[&prefix], |row| {
        Ok(Mark {
            name: get(row, 0)?,
            position: get(row, 1)?,
        })
    })
    .await
}
