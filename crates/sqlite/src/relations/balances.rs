//! The relation of users' balances: the rows of chunks and what came after them.

use std::collections::VecDeque;
use std::sync::Arc;

use lingqian_core::id::UserNo;
use lingqian_io::Fault;
use lingqian_sqlite_vtab::{Condition, Operator, Order, Plan, Relation, Rows};
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::accounts::Account;
use crate::relations::lexicon::Lexicon;
use crate::relations::shared::{Shared, user_no};
use crate::relations::tail::Tail;

/// The columns, each with what it says.
pub(crate) const BALANCE_COLUMNS: [(&str, &str); 6] = [
    ("user_id TEXT", "the app's name of the user"),
    ("user_no INTEGER", "the user's number in these books"),
    (
        "available_micros INTEGER",
        "what the user can withdraw, what still cools off included",
    ),
    (
        "held_micros INTEGER",
        "what is set aside for payouts under way",
    ),
    ("owed_micros INTEGER", "what a claw-back left as a debt"),
    ("newest_seq INTEGER", "the newest entry of the user"),
];

const ALL: i32 = 0;
const BY_ID: i32 = 1;
const BY_NO: i32 = 2;

/// The relation: everybody who ever had an entry.
pub(crate) struct Balances(pub(crate) Arc<Shared>);

impl Relation for Balances {
    fn declaration(&self) -> String {
        let columns = BALANCE_COLUMNS.map(|(column, _)| column).join(", ");
        format!("CREATE TABLE x({columns})")
    }

    fn plan(&self, conditions: &[Condition], order: &[Order]) -> Option<Plan> {
        let find = |column: usize| {
            conditions.iter().position(|condition| {
                condition.column == Some(column)
                    && condition.usable
                    && condition.operator == Operator::Equal
            })
        };
        let (number, argument) = match (find(0), find(1)) {
            (Some(id), _) => (BY_ID, Some(id)),
            (None, Some(no)) => (BY_NO, Some(no)),
            (None, None) => (ALL, None),
        };
        let by_number = |term: &Order| term.column == Some(1) && !term.descending;
        Some(Plan {
            number,
            arguments: argument.into_iter().collect(),
            exact: Vec::new(),
            ordered: order.first().is_some_and(by_number),
            rows: if argument.is_some() { 1 } else { 1_000_000 },
        })
    }

    fn scan(
        &self,
        connection: &Connection,
        plan: i32,
        arguments: &[Value],
    ) -> Result<Box<dyn Rows>, String> {
        let scan = self.begin(connection, plan, arguments.first());
        let scan = scan.map_err(|fault| fault.to_string())?;
        Ok(Box::new(scan))
    }
}

impl Balances {
    fn begin(
        &self,
        connection: &Connection,
        plan: i32,
        argument: Option<&Value>,
    ) -> Result<Scan, Fault> {
        let tail = self.0.tail(connection)?;
        let mut scan = Scan {
            last_chunk: tail.last_chunk(connection)?,
            tail,
            next_chunk: 0,
            ready: VecDeque::new(),
            row: None,
            lexicon: Lexicon::default().into(),
        };
        let user = match (plan, argument) {
            (ALL, _) => return Ok(scan),
            (BY_ID, name) => user_no(connection, name)?.map(|(user, _)| user),
            (_, Some(Value::Integer(number))) => Some(UserNo(*number)),
            _ => None,
        };
        scan.last_chunk = -1;
        if let Some(user) = user {
            let own = scan.tail.account(connection, user)?;
            scan.ready.extend((own.newest > 0).then_some((user, own)));
        }
        Ok(scan)
    }
}

struct Scan {
    tail: Arc<Tail>,
    next_chunk: i64,
    last_chunk: i64,
    ready: VecDeque<(UserNo, Account)>,
    row: Option<(UserNo, Account)>,
    lexicon: std::cell::RefCell<Lexicon>,
}

impl Rows for Scan {
    fn advance(&mut self, connection: &Connection) -> Result<bool, String> {
        while self.ready.is_empty() && self.next_chunk <= self.last_chunk {
            let chunk = self.tail.chunk(connection, self.next_chunk);
            self.ready.extend(chunk.map_err(|fault| fault.to_string())?);
            self.next_chunk += 1;
        }
        self.row = self.ready.pop_front();
        Ok(self.row.is_some())
    }

    fn value(&self, connection: &Connection, column: usize) -> Result<Value, String> {
        let Some((user, own)) = self.row else {
            return Ok(Value::Null);
        };
        Ok(match column {
            0 => {
                let name = self.lexicon.borrow_mut().user(connection, user.0);
                let name = name.map_err(|fault| fault.to_string())?;
                Value::Text(name.as_ref().to_owned())
            }
            1 => Value::Integer(user.0),
            2 => Value::Integer(own.available),
            3 => Value::Integer(own.held),
            4 => Value::Integer(own.owed),
            _ => Value::Integer(own.newest.cast_signed()),
        })
    }

    fn number(&self) -> i64 {
        self.row.map_or(0, |(user, _)| user.0)
    }
}
