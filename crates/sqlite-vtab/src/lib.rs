#![doc = include_str!("../README.md")]

mod bridge;

use rusqlite::Connection;
use rusqlite::types::Value;

pub use bridge::register;

/// What a condition compares a column with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// Anything else; SQLite itself looks at it.
    Other,
}

/// One condition of a statement on a column of the relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The column by its place; nothing for the row's number.
    pub column: Option<usize>,
    /// How it is compared.
    pub operator: Operator,
    /// Whether the other side is known when the scan begins.
    pub usable: bool,
}

/// One term of the wanted order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The column by its place; nothing for the row's number.
    pub column: Option<usize>,
    /// From the greatest down.
    pub descending: bool,
}

/// One way to read the relation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Handed to the scan as it is.
    pub number: i32,
    /// Conditions, by their place in the question, whose other sides the scan gets in this order.
    pub arguments: Vec<usize>,
    /// Those of them that SQLite need not look at again.
    pub exact: Vec<usize>,
    /// Whether rows come in the wanted order.
    pub ordered: bool,
    /// How many rows will be read, about.
    pub rows: u32,
}

/// A relation whose rows are computed. Errors are words for whoever asked.
pub trait Relation: Send + Sync + 'static {
    /// `CREATE TABLE x(…)`: the columns; the name does not matter.
    fn declaration(&self) -> String;

    /// The best way to read it under these conditions, or nothing when there is none.
    fn plan(&self, conditions: &[Condition], order: &[Order]) -> Option<Plan>;

    /// Begins to read through the connection that asks.
    ///
    /// # Errors
    /// When it cannot be read.
    fn scan(
        &self,
        connection: &Connection,
        plan: i32,
        arguments: &[Value],
    ) -> Result<Box<dyn Rows>, String>;
}

/// A place in a relation: before the first row, then on one, then after the last.
pub trait Rows {
    /// Goes to the next row; `false` when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    fn advance(&mut self, connection: &Connection) -> Result<bool, String>;

    /// A column of this row.
    ///
    /// # Errors
    /// When it cannot be read.
    fn value(&self, connection: &Connection, column: usize) -> Result<Value, String>;

    /// A number that only this row of the relation has.
    fn number(&self) -> i64;
}
