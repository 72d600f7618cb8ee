//! Users by the app's name. The names themselves stay in the file: in memory a user is known by
//! the keyed 128-bit hash of the name, which only somebody who knows the file's key could make
//! collide.

use hashbrown::HashTable;
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

/// Users whose names were asked for since the file was opened.
#[derive(Debug, Default)]
pub(crate) struct Names {
    numbers: HashTable<u32>,
    /// By number; zero where the user was not asked for.
    hashes: Vec<u128>,
}

fn low(hash: u128) -> u64 {
    hash as u64
}

impl Names {
    /// The user of a name that was asked for before.
    pub(crate) fn get(&self, hash: u128) -> Option<UserNo> {
        let same = |number: &u32| self.hashes.get(*number as usize) == Some(&hash);
        let found = self.numbers.find(low(hash), same);
        found.map(|number| UserNo(i64::from(*number)))
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
        let Ok(number) = u32::try_from(user.0) else {
            return;
        };
        if self.get(hash).is_some() {
            return;
        }
        let place = number as usize;
        if self.hashes.len() <= place {
            self.hashes.resize(place + 1, 0);
        }
        self.hashes[place] = hash;
        let hashes = &self.hashes;
        self.numbers
            .insert_unique(low(hash), number, |number| low(hashes[*number as usize]));
    }
}
