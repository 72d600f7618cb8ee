//! The log beside the books, looked at before SQLite reads it.
//!
//! SQLite takes from a log what is whole up to the first page that is not, and throws away what follows
//! without a word: that is how it gets rid of what a crash left half written. Where a later commit is
//! followed by yet another one, it was durable, and what is not whole before it was not half written but
//! damaged. Then nothing may be thrown away by a program.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use lingqian_io::Fault;

use crate::lock::{Lock, beside};

/// Bytes of the log's head, and of the head of a page in it.
const HEAD_BYTES: usize = 32;
const FRAME_BYTES: usize = 24;
/// Two words that all pages of one log bear.
type Salt = [u8; 8];
/// What a log begins with where sums are made of words with the lowest byte first; one more where it is
/// the highest.
const MAGIC: u32 = 0x377F_0682;

/// Looks at the log of these books, if nobody else writes to them.
///
/// # Errors
/// [`Fault::Damaged`] says where; [`Fault::Broken`] where it cannot be read.
pub(crate) fn check(books: &Path, lock: &Lock) -> Result<(), Fault> {
    match lock.is_first() {
        true => check_file(books),
        false => Ok(()),
    }
}

fn check_file(books: &Path) -> Result<(), Fault> {
    let log = beside(books, "-wal");
    let found = match File::open(&log) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        opened => opened.and_then(|file| damage(BufReader::with_capacity(1 << 20, file))),
    };
    let found =
        found.map_err(|error| Fault::Broken(format!("cannot read {}: {error}", log.display())))?;
    found.map_or(Ok(()), |whole| Err(refusal(&log, whole)))
}

/// The same for somebody who only looks, where he finds out that nobody writes. The lock is not kept while
/// he reads, so that a server may start; what he finds then, he looks at once more.
///
/// # Errors
/// As for [`check`].
pub(crate) fn check_if_alone(books: &Path) -> Result<(), Fault> {
    let alone = || Lock::take(books).ok().filter(Lock::is_first);
    if !books.is_file() || alone().is_none() || check_file(books).is_ok() {
        return Ok(());
    }
    alone().map_or(Ok(()), |lock| check(books, &lock))
}

fn refusal(log: &Path, whole: u64) -> Fault {
    let log = log.display();
    Fault::Damaged(format!(
        "the log {log} is damaged after its byte {whole}, and what was committed after that place would be \
         lost if the books were opened. Nothing was changed. Keep a copy of the books and of the log, and \
         restore both from one of before. To go on without what follows, compare payouts with WeChat's \
         bills first, and then cut the log: `truncate -s {whole} {log}`"
    ))
}

/// The sum that SQLite makes of a log: of all before, and then of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sum {
    words: [u32; 2],
    highest_first: bool,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let word = match self.highest_first {
            true => u32::from_be_bytes,
            false => u32::from_le_bytes,
        };
        let [mut first, mut second] = self.words;
        for pair in bytes.as_chunks::<4>().0.as_chunks::<2>().0 {
            first = first.wrapping_add(word(pair[0])).wrapping_add(second);
            second = second.wrapping_add(word(pair[1])).wrapping_add(first);
        }
        self.words = [first, second];
    }

    fn is(&self, stored: &[u8]) -> bool {
        self.words.map(u32::to_be_bytes).as_flattened() == stored
    }
}

/// The head of a log that is whole: its salt and its sum so far.
fn head(bytes: &[u8; HEAD_BYTES]) -> Option<(Salt, Sum)> {
    let magic = number(bytes, 0);
    let mut sum = Sum {
        words: [0, 0],
        highest_first: magic & 1 == 1,
    };
    sum.add(&bytes[..24]);
    let known = magic & !1 == MAGIC && sum.is(&bytes[24..]);
    known.then(|| (salt(&bytes[16..24]), sum))
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    u32::from_be_bytes(word.unwrap_or_default())
}

fn salt(bytes: &[u8]) -> Salt {
    bytes.try_into().unwrap_or_default()
}

/// Fills it; tells whether there was as much.
fn fill(from: &mut impl Read, bytes: &mut [u8]) -> std::io::Result<bool> {
    match from.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// How many bytes of a log are whole commits, where others that were durable follow.
fn damage(mut log: impl Read) -> std::io::Result<Option<u64>> {
    let mut bytes = [0; HEAD_BYTES];
    // Zeros are what a file system makes of what was never written.
    if !fill(&mut log, &mut bytes)? || bytes == [0; HEAD_BYTES] {
        return Ok(None);
    }
    let mut sound = head(&bytes);
    let mut own = sound.map(|(salt, _)| salt);
    let page = match sound {
        Some(_) => number(&bytes, 8) as usize,
        None => crate::schema::PAGE_BYTES as usize,
    };
    let mut frame = vec![0; FRAME_BYTES + page];
    // Whole commits end here, and so many bytes were read.
    let mut whole = if sound.is_some() {
        HEAD_BYTES as u64
    } else {
        0
    };
    let (mut read, mut is_followed) = (HEAD_BYTES as u64, false);
    while fill(&mut log, &mut frame)? {
        read += frame.len() as u64;
        let mine = salt(&frame[8..16]);
        // Where the head is damaged, the first page says what all of them bear.
        let is_own = *own.get_or_insert(mine) == mine;
        let ends_commit = number(&frame, 4) > 0;
        if let Some((_, sum)) = &mut sound {
            sum.add(&frame[..8]);
            sum.add(&frame[FRAME_BYTES..]);
            if is_own && sum.is(&frame[16..FRAME_BYTES]) {
                if ends_commit {
                    whole = read;
                }
                continue;
            }
            sound = None;
        }
        if is_own && is_followed {
            return Ok(Some(whole));
        }
        is_followed |= is_own && ends_commit;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::Options;
    use crate::schema::open_writer;
    use rusqlite::Connection;

    /// So many commits of two pages or more are in a log of this form, by rising length.
    const COMMITS: u64 = 6;

    /// A log, and where each commit ends.
    fn log() -> (tempfile::TempDir, PathBuf, Vec<u64>) {
        let dir = tempfile::tempdir().expect("a directory");
        let from = dir.path().join("from.db");
        let books = open_writer(&from, &Options::default()).expect("opens");
        let carry = |how: &str| books.query_row(how, [], |_| Ok(())).expect("carries");
        books
            .execute_batch("CREATE TABLE filled (number INTEGER PRIMARY KEY, bytes BLOB)")
            .expect("made");
        carry("PRAGMA wal_checkpoint(RESTART)");
        let mut ends = Vec::new();
        let insert = || {
            let row = "INSERT INTO filled (bytes) VALUES (randomblob(9000))";
            books.execute(row, []).expect(row);
        };
        // The log is longer than what follows will be: pages of an earlier one stay behind it.
        (0..COMMITS * 4).for_each(|_| insert());
        carry("PRAGMA wal_checkpoint(RESTART)");
        for _ in 0..COMMITS {
            insert();
            let log = std::fs::read(beside(&from, "-wal")).expect("a log");
            ends.push(end_of(&log));
        }
        let path = dir.path().join("books.db");
        for (from, to) in [
            (&from, &path),
            (&beside(&from, "-wal"), &beside(&path, "-wal")),
        ] {
            std::fs::copy(from, to).expect("copied");
        }
        (dir, path, ends)
    }

    /// Where the pages with the salt of the head end.
    fn end_of(log: &[u8]) -> u64 {
        let page = number(log, 8) as usize + FRAME_BYTES;
        let frames = log[HEAD_BYTES..].chunks_exact(page);
        let own = frames.take_while(|frame| frame[8..16] == log[16..24]);
        (HEAD_BYTES + own.count() * page) as u64
    }

    fn found(log: &[u8]) -> Option<u64> {
        damage(log).expect("reads")
    }

    #[test]
    fn a_bit_that_changed_before_durable_commits_is_found_wherever_it_is() {
        let (_dir, path, ends) = log();
        let log = std::fs::read(beside(&path, "-wal")).expect("a log");
        assert!((log.len() as u64) > ends[5], "an earlier log is behind it");
        assert_eq!(found(&log), None);
        let last = ends[ends.len() - 2] as usize;
        for at in (0..last).step_by(997).chain(0..56).chain(last - 40..last) {
            let mut damaged = log.clone();
            damaged[at] ^= 0x10;
            let before = ends.iter().filter(|end| **end <= at as u64).max();
            let begin = if at < HEAD_BYTES {
                0
            } else {
                HEAD_BYTES as u64
            };
            assert_eq!(
                found(&damaged),
                Some(*before.unwrap_or(&begin)),
                "byte {at}"
            );
        }
    }

    #[test]
    fn what_a_crash_may_leave_is_no_damage() {
        let (_dir, path, ends) = log();
        let log = std::fs::read(beside(&path, "-wal")).expect("a log");
        let (before, last) = (ends[ends.len() - 2] as usize, ends[ends.len() - 1] as usize);
        // Any part of the last commit was never written, in any order.
        for at in (before..last).step_by(499) {
            let mut torn = log.clone();
            torn[at..last.min(at + 700)].fill(0);
            assert_eq!(found(&torn), None, "zeros at {at}");
            assert_eq!(found(&log[..at]), None, "cut at {at}");
        }
        for empty in [&[][..], &log[..HEAD_BYTES], &[0; 100_000]] {
            assert_eq!(found(empty), None);
        }
    }

    #[test]
    fn damaged_books_are_not_opened_and_nothing_of_them_changes() {
        let (dir, path, ends) = log();
        let log = beside(&path, "-wal");
        let mut bytes = std::fs::read(&log).expect("a log");
        bytes[ends[1] as usize + 5_000] ^= 1;
        std::fs::write(&log, &bytes).expect("written");
        let all = |name: &str| std::fs::read(dir.path().join(name)).expect("a file");
        let before = (all("books.db"), bytes);
        for opened in [
            crate::SqliteStore::open(&path).map(|_| ()),
            crate::Reading::open(&path).map(|_| ()),
        ] {
            let refused = opened.expect_err("damaged");
            let cut = format!("truncate -s {} ", ends[1]);
            assert_eq!(refused.code(), "books_damaged");
            assert!(refused.to_string().contains(&cut), "{refused}");
        }
        assert_eq!((all("books.db"), all("books.db-wal")), before);
        let file = File::options().write(true).open(&log).expect("opens");
        file.set_len(ends[1]).expect("cut");
        drop(crate::SqliteStore::open(&path).expect("goes on"));
        let books = Connection::open(&path).expect("opens");
        let rows = books.query_row("SELECT count(*) FROM filled", [], |row| row.get(0));
        assert_eq!(rows, Ok(i64::try_from(COMMITS * 4 + 2).expect("few")));
    }
}
