//! Users by the app's name. The names themselves stay in the file: in memory a user is known by
//! 96 bits of the keyed hash of the name, which only somebody who knows the file's key could make
//! collide. (Among a hundred million users two collide by chance once in 10^13 files.)

use lingqian_core::id::UserNo;
use lingqian_io::Fault;
use rusqlite::{Connection, OptionalExtension};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::codec::fault;
use crate::lines::{self, Lines};
use crate::near::fetch;
use crate::prefetch::cached;
use crate::sql;

/// What this file's hashes are keyed with.
pub(crate) type Key = [u8; 16];

/// The hash of a user's name.
pub(crate) fn hash(key: &Key, name: &str) -> u128 {
    let mut hasher = SipHasher13::new_with_key(key);
    std::hash::Hasher::write(&mut hasher, name.as_bytes());
    hasher.finish128().as_u128()
}

/// Places of the smallest table.
const PLACES_MIN: usize = 1_024;

/// One user, or nobody: sixteen bytes, four of them in a line of the processor's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// The lowest 96 bits of the hash; the place follows from the first of them, whatever the size of
    /// the table, so that it may grow by half instead of by as much again.
    hash: [u32; 3],
    number: u32,
}

impl lines::Place for Place {
    /// No user has this number.
    const FREE: Place = Place {
        hash: [0; 3],
        number: u32::MAX,
    };

    fn is_free(&self) -> bool {
        self.number == Place::FREE.number
    }

    fn share(&self) -> u64 {
        share(self.hash)
    }
}

fn words(hash: u128) -> [u32; 3] {
    [hash as u32, (hash >> 32) as u32, (hash >> 64) as u32]
}

fn share([first, second, _]: [u32; 3]) -> u64 {
    u64::from(first) << 32 | u64::from(second)
}

/// Users whose names were asked for since the file was opened.
#[derive(Debug, Default)]
pub(crate) struct Names(Lines<Place>);

impl Names {
    /// Fetches where these are looked for.
    pub(crate) fn fetch(&self, hashes: impl Iterator<Item = u128>) {
        let first = hashes.map(|hash| self.0.first(share(words(hash))));
        fetch(first, |place| u64::from(place.number));
    }

    /// The user of a name that was asked for before.
    #[inline]
    pub(crate) fn get(&self, hash: u128) -> Option<UserNo> {
        let hash = words(hash);
        let place = self.0.find(share(hash), |place| place.hash == hash)?;
        Some(UserNo(i64::from(place.number)))
    }

    /// The user of a name, looked up in the file where it was not asked for before.
    pub(crate) fn find(
        &mut self,
        connection: &Connection,
        hash: u128,
        name: &str,
    ) -> Result<Option<UserNo>, Fault> {
        if let Some(known) = self.get(hash) {
            return Ok(Some(known));
        }
        let mut query = cached(connection, sql!("user_no"))?;
        let found = query.query_row([name], |row| row.get::<_, i64>(0));
        let found = found.optional().map_err(fault)?.map(UserNo);
        if let Some(user) = found {
            self.add(hash, user);
        }
        Ok(found)
    }

    /// Remembers a user.
    pub(crate) fn add(&mut self, hash: u128, user: UserNo) {
        let number = u32::try_from(user.0).ok();
        let Some(number) = number.filter(|number| *number != u32::MAX) else {
            return;
        };
        // At most four of five places are taken, so that a free one is never far.
        if (self.0.taken() + 1) * 5 > self.0.places() * 4 {
            self.0.grow((self.0.places() / 2 * 3).max(PLACES_MIN));
        }
        if self.get(hash).is_none() {
            let hash = words(hash);
            self.0.add(Place { hash, number });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: i64) -> u128 {
        hash(&[7; 16], &format!("user-{number}"))
    }

    #[test]
    fn users_are_found_however_many_there_are_and_others_are_not() {
        let mut names = Names::default();
        names.fetch([name(1)].into_iter());
        assert_eq!(names.get(name(1)), None);
        for number in 0..20_000 {
            assert_eq!(names.get(name(number)), None);
            names.add(name(number), UserNo(number));
            names.add(name(number), UserNo(number + 1));
        }
        for number in 0..20_000 {
            assert_eq!(names.get(name(number)), Some(UserNo(number)));
        }
        assert_eq!(names.get(name(-1)), None);
        assert_eq!(names.0.taken(), 20_000);
    }

    #[test]
    fn hashes_that_want_the_last_place_stay_apart() {
        let mut names = Names::default();
        let last = |number: u128| (number << 32) | u128::from(u32::MAX);
        for number in 0..700 {
            names.add(last(number), UserNo(9));
        }
        assert_eq!(names.0.taken(), 700);
        assert!((0..700).all(|number| names.get(last(number)) == Some(UserNo(9))));
        assert_eq!(names.get(last(700)), None);
        assert_eq!(names.get(0), None);
        names.add(0, UserNo(3));
        assert_eq!(names.get(0), Some(UserNo(3)));
        names.add(1, UserNo(i64::from(u32::MAX)));
        names.add(1, UserNo(1 << 40));
        assert_eq!(
            names.get(1),
            None,
            "numbers beyond the table stay in the file"
        );
    }
}
