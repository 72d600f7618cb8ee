//! Names for the numbers that entries bear, read as they are needed.

use std::collections::HashMap;
use std::rc::Rc;

use lingqian_core::ledger::Account;
use lingqian_core::time::Timestamp;
use lingqian_io::Fault;
use rusqlite::Connection;

use crate::codec::{damaged, first, get};
use crate::prefetch::cached;
use crate::relations::entry::iso;
use crate::sql;

/// So many names of users are remembered; then all are forgotten.
const USERS_KEPT: usize = 1 << 16;

/// Names that were asked for.
#[derive(Default)]
pub(crate) struct Lexicon {
    users: HashMap<i64, Rc<str>>,
    /// Kinds, merchants and sources, of which there are few, by their query.
    others: HashMap<(&'static str, i64), Rc<str>>,
    /// Words of ours.
    words: Vec<(&'static str, Rc<str>)>,
    /// The moment that was told last, with its day; a batch has one moment.
    moment: Option<(Timestamp, Rc<str>, Rc<str>)>,
}

fn read(connection: &Connection, query: &'static str, number: i64) -> Result<Rc<str>, Fault> {
    let mut statement = cached(connection, query)?;
    let name: Option<String> = first(&mut statement, [number], |row| get(row, 0))?;
    name.map(Rc::from).ok_or_else(|| damaged("a name"))
}

impl Lexicon {
    /// A word of ours.
    pub(crate) fn word(&mut self, word: &'static str) -> Rc<str> {
        if let Some((_, known)) = self.words.iter().find(|(known, _)| *known == word) {
            return Rc::clone(known);
        }
        let text: Rc<str> = Rc::from(word);
        self.words.push((word, Rc::clone(&text)));
        text
    }

    /// A moment in ISO 8601, and its business day.
    pub(crate) fn moment(&mut self, at: Timestamp) -> (Rc<str>, Rc<str>) {
        if let Some((known, text, day)) = &self.moment
            && *known == at
        {
            return (Rc::clone(text), Rc::clone(day));
        }
        let text: Rc<str> = Rc::from(iso(at));
        let day: Rc<str> = Rc::from(at.business_date().to_string());
        self.moment = Some((at, Rc::clone(&text), Rc::clone(&day)));
        (text, day)
    }

    /// The app's name of a user.
    pub(crate) fn user(&mut self, connection: &Connection, number: i64) -> Result<Rc<str>, Fault> {
        if let Some(known) = self.users.get(&number) {
            return Ok(Rc::clone(known));
        }
        let name = read(connection, sql!("user_name"), number)?;
        if self.users.len() >= USERS_KEPT {
            self.users.clear();
        }
        self.users.insert(number, Rc::clone(&name));
        Ok(name)
    }

    fn other(
        &mut self,
        connection: &Connection,
        query: &'static str,
        number: i64,
    ) -> Result<Rc<str>, Fault> {
        if let Some(known) = self.others.get(&(query, number)) {
            return Ok(Rc::clone(known));
        }
        let name = read(connection, query, number)?;
        self.others.insert((query, number), Rc::clone(&name));
        Ok(name)
    }

    /// The name of a source of events.
    pub(crate) fn source(&mut self, connection: &Connection, no: u32) -> Result<Rc<str>, Fault> {
        self.other(connection, sql!("source"), i64::from(no))
    }

    /// The code of a kind; what a top-up comes from has none.
    pub(crate) fn kind(&mut self, connection: &Connection, no: i64) -> Result<Rc<str>, Fault> {
        if no == 0 {
            return Ok(Rc::from("top_up"));
        }
        self.other(connection, sql!("kind_name"), no)
    }

    /// Whose account it is: a user's name, a kind's code, a merchant's number.
    pub(crate) fn owner(
        &mut self,
        connection: &Connection,
        account: Account,
    ) -> Result<Option<Rc<str>>, Fault> {
        match account {
            Account::Available(user) | Account::Held(user) | Account::Receivable(user) => {
                self.user(connection, user.0).map(Some)
            }
            Account::Funding(kind) => self.kind(connection, kind.0).map(Some),
            Account::Clearing(merchant) | Account::Float(merchant) => self
                .other(connection, sql!("merchant_name"), merchant.0)
                .map(Some),
            Account::TaxWithheld(class) => Ok(Some(Rc::from(class.to_string()))),
            Account::Fees | Account::Suspense => Ok(None),
        }
    }
}

/// An account's name in the chart, without its owner.
pub(crate) fn account_name(account: Account) -> &'static str {
    match account {
        Account::Available(_) => "available",
        Account::Held(_) => "held",
        Account::Receivable(_) => "receivable",
        Account::Funding(_) => "funding",
        Account::Clearing(_) => "clearing",
        Account::Float(_) => "float",
        Account::TaxWithheld(_) => "tax_withheld",
        Account::Fees => "fees",
        Account::Suspense => "suspense",
    }
}
