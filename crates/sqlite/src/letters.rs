//! Dead letters with what somebody made of them, and marks: how far sources were read.

use lingqian_core::command::DeadLetter;
use lingqian_core::letter::{Fate, LetterEnd, LetterId, Mark};
use lingqian_core::time::Timestamp;
use lingqian_core::{Changes, Notes};
use lingqian_io::Fault;
use lingqian_io::store::{LETTER_ENDED, LetterRow, LetterWish};
use rusqlite::{Connection, Row, params};

use crate::browse::{count, letter};
use crate::codec::{damaged, fault, first, get, id, rows};
use crate::commit::run;
use crate::prefetch::cached;
use crate::sql;

/// Writes what changed of them. The caller holds the transaction.
pub(crate) fn write(connection: &Connection, changes: &Changes) -> Result<(), Fault> {
    keep(connection, &changes.dead_letters)?;
    let mut upsert = cached(connection, sql!("end_letter"))?;
    for end in &changes.letter_ends {
        let times = end.times.cast_signed();
        let (letter, fate) = (end.letter.as_str(), end.fate.name());
        let values = params![letter, fate, times, end.at.0, end.event];
        if upsert.execute(values).map_err(fault)? == 0 {
            return Err(Fault::Retry(LETTER_ENDED.into()));
        }
    }
    write_marks(connection, &changes.marks)
}

/// Writes notes. The caller holds the transaction.
pub(crate) fn note(connection: &Connection, notes: &Notes) -> Result<(), Fault> {
    keep(connection, &notes.dead_letters)?;
    write_marks(connection, &notes.marks)
}

fn keep(connection: &Connection, letters: &[DeadLetter]) -> Result<(), Fault> {
    let mut keep = cached(connection, sql!("keep_dead_letter"))?;
    for letter in letters {
        let digest = blake3::hash(&letter.raw);
        let values = params![
            letter.code,
            letter.raw,
            letter.door,
            letter.position,
            letter.at.0,
            digest.as_bytes(),
        ];
        run(&mut keep, values)?;
    }
    Ok(())
}

/// Writes how far sources were read.
pub(crate) fn write_marks(connection: &Connection, marks: &[Mark]) -> Result<(), Fault> {
    let mut upsert = cached(connection, sql!("keep_mark"))?;
    let mut marks = marks.iter();
    marks.try_for_each(|mark| run(&mut upsert, params![mark.name, mark.position]))
}

/// Gives letters of before there were digests theirs.
pub(crate) fn fill_digests(connection: &Connection) -> Result<(), Fault> {
    let mut query = connection
        .prepare(sql!("letters_without_digest"))
        .map_err(fault)?;
    let mut update = connection
        .prepare(sql!("set_letter_digest"))
        .map_err(fault)?;
    let mut found = query.query([]).map_err(fault)?;
    while let Some(row) = found.next().map_err(fault)? {
        let (place, raw): (i64, Vec<u8>) = (get(row, 0)?, get(row, 1)?);
        let digest = blake3::hash(&raw);
        let values = params![place, digest.as_bytes()];
        update.execute(values).map_err(fault)?;
    }
    Ok(())
}

fn end(row: &Row<'_>, from: usize) -> Result<LetterEnd, Fault> {
    let letter: String = get(row, from)?;
    let fate: String = get(row, from + 1)?;
    Ok(LetterEnd {
        letter: id(&letter, LetterId::parse, "letter_ends.letter")?,
        fate: Fate::from_name(&fate).ok_or_else(|| damaged("letter_ends.fate"))?,
        times: count(row, from + 2)?,
        at: Timestamp(get(row, from + 3)?),
        event: get(row, from + 4)?,
    })
}

fn with_end(row: &Row<'_>) -> Result<LetterRow, Fault> {
    let ended = get::<Option<String>>(row, 6)?.is_some();
    let end = ended.then(|| end(row, 6)).transpose()?;
    Ok(LetterRow::new(letter(row)?, end))
}

/// The same without what it says.
fn listed(row: &Row<'_>) -> Result<LetterRow, Fault> {
    let ended = get::<Option<String>>(row, 6)?.is_some();
    let end = ended.then(|| end(row, 6)).transpose()?;
    let content = (get(row, 11)?, count(row, 12)?);
    let listed = LetterRow::listed(letter(row)?, content, end);
    listed.map_err(|_| damaged("dead_letters.digest"))
}

/// Letters, newest first.
pub(crate) fn letters(connection: &Connection, wish: LetterWish) -> Result<Vec<LetterRow>, Fault> {
    let mut query = cached(connection, sql!("letters"))?;
    rows(&mut query, params![wish.limit, wish.all], listed)
}

/// One letter.
pub(crate) fn one(connection: &Connection, id: &LetterId) -> Result<Option<LetterRow>, Fault> {
    let (code, digits) = id.parts();
    let digit = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let begin: Vec<u8> = (0..digits.len()).step_by(2).filter_map(digit).collect();
    // Everything that begins so is below this, as texts of bytes are compared.
    let end = [begin.as_slice(), &[0xff; 17]].concat();
    let mut query = cached(connection, sql!("letter"))?;
    first(&mut query, params![code, begin, end], with_end)
}

/// All ends of letters, by name.
pub(crate) fn ends(connection: &Connection) -> Result<Vec<LetterEnd>, Fault> {
    let mut query = cached(connection, sql!("letter_ends"))?;
    rows(&mut query, [], |row| end(row, 0))
}

/// Marks whose names begin so, by name.
pub(crate) fn marks(connection: &Connection, prefix: &str) -> Result<Vec<Mark>, Fault> {
    let mut query = cached(connection, sql!("marks"))?;
    rows(&mut query, [prefix], |row| {
        Ok(Mark {
            name: get(row, 0)?,
            position: get(row, 1)?,
        })
    })
}
