//! Users by the app's name. The names themselves stay in the file: in memory a user is known by
//! 96 bits of the keyed hash of the name, which only somebody who knows the file's key could make
//! collide. (Among a hundred million users two collide by chance once in 10^13 files.)

use lingqian_core::id::UserNo;
use lingqian_io::Fault;
use rusqlite::{Connection, OptionalExtension};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::codec::fault;
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
    /// The lowest 96 bits of the hash; the place follows from the first of them.
    hash: [u32; 3],
    number: u32,
}

/// No user has this number.
const NOBODY: Place = Place {
    hash: [0; 3],
    number: u32::MAX,
};

fn words(hash: u128) -> [u32; 3] {
    [hash as u32, (hash >> 32) as u32, (hash >> 64) as u32]
}

/// Users whose names were asked for since the file was opened: a table in which a user is at the
/// place that the hash says, or at one of those that follow.
#[derive(Debug, Default)]
pub(crate) struct Names {
    places: Vec<Place>,
    users: usize,
}

impl Names {
    /// Where one begins to look. A place follows from 32 bits, whatever the size of the table, so
    /// that it may grow by half instead of by as much again.
    fn begin(&self, hash: [u32; 3]) -> usize {
        ((u64::from(hash[0]) * self.places.len() as u64) >> 32) as usize
    }

    /// The place of a user of this hash, or the first that is free.
    fn place(&self, hash: [u32; 3]) -> Option<usize> {
        let begin = self.begin(hash);
        let (before, after) = self.places.split_at_checked(begin)?;
        let own = |place: &Place| place.hash == hash || *place == NOBODY;
        match after.iter().position(own) {
            Some(found) => Some(begin + found),
            None => before.iter().position(own),
        }
    }

    /// A part of where a hash is looked for. Whoever has many questions touches their places
    /// first, and the memory answers many at a time.
    pub(crate) fn touch(&self, hash: u128) -> u32 {
        let begin = self.begin(words(hash));
        self.places.get(begin).map_or(0, |place| place.number)
    }

    /// The user of a name that was asked for before.
    pub(crate) fn get(&self, hash: u128) -> Option<UserNo> {
        let place = self.places.get(self.place(words(hash))?)?;
        (*place != NOBODY).then(|| UserNo(i64::from(place.number)))
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
        let Some(number) = number.filter(|number| *number != NOBODY.number) else {
            return;
        };
        // At most four of five places are taken, so that a free one is never far.
        if (self.users + 1) * 5 > self.places.len() * 4 {
            self.grow();
        }
        let hash = words(hash);
        let place = self.place(hash).and_then(|at| self.places.get_mut(at));
        if let Some(place) = place.filter(|place| **place == NOBODY) {
            *place = Place { hash, number };
            self.users += 1;
        }
    }

    fn grow(&mut self) {
        let length = (self.places.len() / 2 * 3).max(PLACES_MIN);
        let before = std::mem::replace(&mut self.places, vec![NOBODY; length]);
        for own in before.into_iter().filter(|place| *place != NOBODY) {
            if let Some(free) = self.place(own.hash) {
                self.places[free] = own;
            }
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
        assert_eq!((names.get(name(1)), names.touch(name(1))), (None, 0));
        for number in 0..20_000 {
            assert_eq!(names.get(name(number)), None);
            names.add(name(number), UserNo(number));
            names.add(name(number), UserNo(number + 1));
        }
        for number in 0..20_000 {
            assert_eq!(names.get(name(number)), Some(UserNo(number)));
        }
        assert_eq!(names.get(name(-1)), None);
        assert_eq!(names.users, 20_000);
    }

    #[test]
    fn hashes_that_want_the_last_place_go_round_and_stay_apart() {
        let mut names = Names::default();
        let last = |number: u128| (number << 32) | u128::from(u32::MAX);
        for number in 0..700 {
            names.add(last(number), UserNo(9));
        }
        assert_eq!(names.users, 700);
        assert!((0..700).all(|number| names.get(last(number)) == Some(UserNo(9))));
        assert_eq!(names.get(last(700)), None);
        names.add(0, UserNo(i64::from(u32::MAX)));
        names.add(0, UserNo(1 << 40));
        assert_eq!(
            names.get(0),
            None,
            "numbers beyond the table stay in the file"
        );
    }
}
