//! One process writes: whoever holds the lock beside the file. The system lets go of it when the
//! process ends, however it ends, so nothing stale is left; the file itself stays.
//!
//! The lock is on a file of its own, `…-lock`, whose text is the number of the process. SQLite
//! opens and closes the books as it likes, which would end a lock on the books themselves.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lingqian_io::Fault;

/// What this process holds, and how many of its stores share it.
static HELD: Mutex<BTreeMap<PathBuf, (File, usize)>> = Mutex::new(BTreeMap::new());

/// How often a lock that somebody has is asked for again, and after how long: whoever only looks has it for
/// a moment.
const TRIES: u32 = 5;
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// The right to write to a file of books. Stores of one process share it; they notice each
/// other's commits.
#[derive(Debug)]
pub(crate) struct Lock {
    place: PathBuf,
    is_first: bool,
}

impl Lock {
    /// Takes the lock of these books.
    ///
    /// # Errors
    /// [`Fault::Held`] when another process has it; [`Fault::Broken`] when its file cannot be
    /// made.
    pub(crate) fn take(books: &Path) -> Result<Lock, Fault> {
        let place = beside(books, "-lock");
        let unusable = |error: std::io::Error| {
            Fault::Broken(format!("cannot lock {}: {error}", place.display()))
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&place).map_err(unusable)?;
        let place = fs::canonicalize(&place).map_err(unusable)?;
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, stores)) = held.get_mut(&place) {
            *stores += 1;
            return Ok(Lock {
                place,
                is_first: false,
            });
        }
        let mut tries = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(TRY_AGAIN);
                }
                Err(TryLockError::WouldBlock) => return Err(refusal(books, &mut file)),
                Err(TryLockError::Error(error)) => return Err(unusable(error)),
            }
        }
        let process = format!("{}\n", std::process::id());
        file.set_len(0).map_err(unusable)?;
        file.write_all(process.as_bytes()).map_err(unusable)?;
        held.insert(place.clone(), (file, 1));
        Ok(Lock {
            place,
            is_first: true,
        })
    }

    /// Whether no other store had it when it was taken.
    pub(crate) fn is_first(&self) -> bool {
        self.is_first
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, stores)) = held.get_mut(&self.place) {
            *stores -= 1;
            if *stores == 0 {
                // Closing the file ends the lock.
                held.remove(&self.place);
            }
        }
    }
}

/// The file beside the books whose name ends in this.
pub(crate) fn beside(books: &Path, end: &str) -> PathBuf {
    let mut name = books.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Who has the books, and what to do instead.
fn refusal(books: &Path, file: &mut File) -> Fault {
    let mut process = String::new();
    // It is empty for a moment while its holder writes it.
    let read = file.read_to_string(&mut process);
    let process = process.trim();
    let holder = match read {
        Ok(_) if !process.is_empty() => format!("process {process}"),
        _ => "another process".into(),
    };
    Fault::Held(format!(
        "{holder} has {} open for writing; ask it through its API, or stop it first",
        books.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_of_a_process_share_the_lock_and_the_last_lets_go() {
        let dir = tempfile::tempdir().expect("a directory");
        let books = dir.path().join("books.db");
        let (first, second) = (Lock::take(&books), Lock::take(&books));
        let lock = dir.path().join("books.db-lock");
        let noted = fs::read_to_string(&lock).expect("the file is there");
        assert_eq!(noted, format!("{}\n", std::process::id()));
        let others = File::open(&lock).expect("opens");
        drop(first);
        assert!(matches!(others.try_lock(), Err(TryLockError::WouldBlock)));
        drop(second);
        others.try_lock().expect("nobody holds it");
        let refused = Lock::take(&books).expect_err("another holds it");
        assert_eq!(refused.code(), "books_held");
        let words = format!("process {} has", std::process::id());
        assert!(refused.to_string().contains(&words), "{refused}");
    }
}
