//! The relation of entries over the pages: by number in both directions, or along the chain of a
//! user, one page in memory at a time.

use std::sync::Arc;

use lingqian_core::id::UserNo;
use lingqian_io::Fault;
use lingqian_sqlite_vtab::{Condition, Operator, Order, Plan, Relation, Rows};
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::codec::{damaged, get, rows};
use crate::page::{self, Page, last};
use crate::prefetch::cached;
use crate::relations::entry::{Cell, ENTRY_COLUMNS, EntryRow, Holds};
use crate::relations::lexicon::Lexicon;
use crate::relations::shared::{Shared, user_no};
use crate::sql;

/// The hidden column by which a user's entries are asked for.
const USER: usize = ENTRY_COLUMNS.len();
const SEQ: usize = 0;
const PAYOUT: usize = 20;

/// How the entries are found; in a plan's number below the bits of [`Bounds`].
const UP: i32 = 0;
const DOWN: i32 = 1;
const CHAIN: i32 = 2;
const LIST: i32 = 3;
const MODE_BITS: i32 = 2;

/// Bounds on the number, in the order of their arguments.
const BOUNDS: [Operator; 5] = [
    Operator::Equal,
    Operator::Greater,
    Operator::GreaterOrEqual,
    Operator::Less,
    Operator::LessOrEqual,
];

/// The relation.
pub(crate) struct Entries(pub(crate) Arc<Shared>);

impl Relation for Entries {
    fn declaration(&self) -> String {
        let mut text = String::from("CREATE TABLE x(");
        for column in &ENTRY_COLUMNS {
            let holds = match column.holds {
                Holds::Integer => "INTEGER",
                Holds::Text => "TEXT",
            };
            text.push_str(&format!("{} {holds}, ", column.name));
        }
        text.push_str("user_id TEXT HIDDEN)");
        text
    }

    fn plan(&self, conditions: &[Condition], order: &[Order]) -> Option<Plan> {
        let find = |column: usize, operator: Operator| {
            let fits = |condition: &Condition| {
                let own = condition.column == Some(column)
                    || (column == SEQ && condition.column.is_none());
                own && condition.usable && condition.operator == operator
            };
            conditions.iter().position(fits)
        };
        let user = find(USER, Operator::Equal);
        // Which of a user's entries are meant can only be said before the scan begins.
        let asked = |condition: &Condition| {
            condition.column == Some(USER) && condition.operator == Operator::Equal
        };
        if user.is_none() && conditions.iter().any(asked) {
            return None;
        }
        let payout = find(PAYOUT, Operator::Equal).filter(|_| user.is_none());
        let by_number = |term: &&Order| term.column.is_none_or(|column| column == SEQ);
        let order = order.first().filter(by_number).map(|term| term.descending);
        let (mode, ordered, rows) = match (user, payout, order) {
            (Some(_), _, order) => (CHAIN, order == Some(true), 1_000),
            (_, Some(_), order) => (LIST, order == Some(false), 4),
            (_, _, Some(true)) => (DOWN, true, 100_000_000),
            (_, _, order) => (UP, order.is_some(), 100_000_000),
        };
        let mut plan = Plan {
            number: mode,
            arguments: user.or(payout).into_iter().collect(),
            exact: user.into_iter().collect(),
            ordered,
            rows,
        };
        for (bit, operator) in BOUNDS.into_iter().enumerate() {
            if let Some(bound) = find(SEQ, operator) {
                plan.number |= 1 << (MODE_BITS + i32::try_from(bit).ok()?);
                plan.arguments.push(bound);
                plan.rows = if bit == 0 { 1 } else { plan.rows / 10 };
            }
        }
        Some(plan)
    }

    fn scan(
        &self,
        connection: &Connection,
        plan: i32,
        arguments: &[Value],
    ) -> Result<Box<dyn Rows>, String> {
        let scan = self.begin(connection, plan, arguments);
        let scan = scan.map_err(|fault| fault.to_string())?;
        Ok(Box::new(scan))
    }
}

impl Entries {
    fn begin(
        &self,
        connection: &Connection,
        plan: i32,
        arguments: &[Value],
    ) -> Result<Scan, Fault> {
        let mode = plan & ((1 << MODE_BITS) - 1);
        let mut arguments = arguments.iter();
        let key = match mode {
            CHAIN | LIST => arguments.next(),
            _ => None,
        };
        let (end, _) = last(connection)?;
        let mut bounds = Bounds { low: 1, high: end };
        for (bit, operator) in BOUNDS.into_iter().enumerate() {
            if plan & (1 << (MODE_BITS + bit as i32)) != 0 {
                bounds.narrow(operator, arguments.next());
            }
        }
        let mut scan = Scan {
            walk: Walk::Up(bounds.low),
            bounds,
            page: None,
            row: None,
            user: None,
            lexicon: Lexicon::default().into(),
        };
        match (mode, key) {
            (DOWN, _) => scan.walk = Walk::Down(bounds.high),
            (CHAIN, key) => scan.chain(connection, &self.0, key)?,
            (LIST, Some(Value::Text(payout))) => {
                let mut query = cached(connection, sql!("payout_entries"))?;
                let mut list = rows(&mut query, [payout], |row| get::<i64>(row, 0))?;
                list.reverse();
                scan.walk = Walk::List(list);
            }
            (LIST, _) => scan.walk = Walk::List(Vec::new()),
            _ => {}
        }
        Ok(scan)
    }
}

/// Between which numbers the entries are.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    low: u64,
    high: u64,
}

impl Bounds {
    /// Narrows them by a condition. What is no whole number is left to SQLite.
    fn narrow(&mut self, operator: Operator, value: Option<&Value>) {
        let Some(Value::Integer(value)) = value else {
            return;
        };
        let least = |value: i64| u64::try_from(value).unwrap_or(0).max(1);
        let most = |value: i64| u64::try_from(value).unwrap_or(0);
        match operator {
            Operator::Equal => {
                self.low = self.low.max(least(*value));
                self.high = self.high.min(most(*value));
            }
            Operator::Greater => self.low = self.low.max(least(value.saturating_add(1))),
            Operator::GreaterOrEqual => self.low = self.low.max(least(*value)),
            Operator::Less => self.high = self.high.min(most(value.saturating_sub(1))),
            Operator::LessOrEqual => self.high = self.high.min(most(*value)),
            Operator::Other => {}
        }
    }
}

/// Where the next entry is found.
enum Walk {
    Up(u64),
    Down(u64),
    /// The user's next entry downwards; zero where there is none.
    Chain(UserNo, u64),
    /// From the end to the begin.
    List(Vec<i64>),
}

struct Scan {
    walk: Walk,
    bounds: Bounds,
    page: Option<Page>,
    row: Option<EntryRow>,
    /// The user whose entries were asked for.
    user: Option<String>,
    lexicon: std::cell::RefCell<Lexicon>,
}

impl Scan {
    fn read(&mut self, connection: &Connection, seq: u64) -> Result<EntryRow, Fault> {
        let on_it = |page: &Page| (page.first..=page.last()).contains(&seq);
        if !self.page.as_ref().is_some_and(on_it) {
            self.page = Some(page::of(connection, seq)?);
        }
        let page = self.page.as_ref().ok_or_else(|| page::damaged(seq))?;
        Ok(EntryRow::of(page, &page.line(seq)?))
    }

    /// Begins at the newest entry of a user that can be within the bounds.
    fn chain(
        &mut self,
        connection: &Connection,
        shared: &Shared,
        key: Option<&Value>,
    ) -> Result<(), Fault> {
        self.walk = Walk::List(Vec::new());
        let Some((user, name)) = user_no(connection, key)? else {
            return Ok(());
        };
        self.user = Some(name);
        let mut begin = shared.account(connection, user)?.newest;
        // Whoever turns pages names a line of the user's own, and the walk begins there.
        let (end, _) = last(connection)?;
        for hint in [self.bounds.high, self.bounds.high + 1] {
            if (1..=end).contains(&hint) && hint < begin {
                let row = self.read(connection, hint)?;
                if row.record.prev(user).is_some() {
                    begin = hint;
                }
            }
        }
        self.walk = Walk::Chain(user, begin);
        if self.bounds.low == self.bounds.high {
            let seq = self.bounds.low;
            let own = self.read(connection, seq)?.record.prev(user).is_some();
            let list = own.then_some(seq.cast_signed());
            self.walk = Walk::List(list.into_iter().collect());
        }
        Ok(())
    }

    fn next(&mut self, connection: &Connection) -> Result<Option<EntryRow>, Fault> {
        let Bounds { low, high } = self.bounds;
        loop {
            let seq = match &mut self.walk {
                Walk::Up(next) => {
                    *next += 1;
                    *next - 1
                }
                Walk::Down(next) => {
                    let seq = *next;
                    *next = seq.saturating_sub(1);
                    seq
                }
                Walk::Chain(_, next) => *next,
                Walk::List(list) => match list.pop() {
                    Some(seq) => seq.unsigned_abs(),
                    None => return Ok(None),
                },
            };
            let listed = matches!(self.walk, Walk::List(_));
            if !listed && (seq < low || (seq > high && matches!(self.walk, Walk::Up(_)))) {
                return Ok(None);
            }
            let row = self.read(connection, seq)?;
            if let Walk::Chain(user, next) = &mut self.walk {
                let earlier = row.record.prev(*user).filter(|earlier| *earlier < seq);
                *next = earlier.ok_or_else(|| damaged("the chain of a user's entries"))?;
            }
            if (low..=high).contains(&seq) {
                return Ok(Some(row));
            }
        }
    }

    fn cell(&self, connection: &Connection, column: usize) -> Result<Cell, Fault> {
        let Some(row) = &self.row else {
            return Ok(Cell::Empty);
        };
        let mut lexicon = self.lexicon.borrow_mut();
        if column != USER {
            return row.cell(connection, &mut lexicon, column);
        }
        match (&self.user, row.subject()) {
            (Some(asked), _) => Ok(asked.clone().into()),
            (None, Some(user)) => lexicon.user(connection, user.0).map(Cell::Text),
            (None, None) => Ok(Cell::Empty),
        }
    }
}

impl Rows for Scan {
    fn advance(&mut self, connection: &Connection) -> Result<bool, String> {
        let row = self.next(connection);
        self.row = row.map_err(|fault| fault.to_string())?;
        Ok(self.row.is_some())
    }

    fn value(&self, connection: &Connection, column: usize) -> Result<Value, String> {
        let cell = self.cell(connection, column);
        Ok(match cell.map_err(|fault| fault.to_string())? {
            Cell::Empty => Value::Null,
            Cell::Integer(number) => Value::Integer(number),
            Cell::Text(text) => Value::Text(text.as_ref().to_owned()),
        })
    }

    fn number(&self) -> i64 {
        self.row.as_ref().map_or(0, |row| row.seq.cast_signed())
    }
}
