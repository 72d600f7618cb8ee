//! A relation of numbers, read by SQLite.

use std::sync::Arc;

use lingqian_sqlite_vtab::{Condition, Operator, Order, Plan, Relation, Rows, register};
use rusqlite::Connection;
use rusqlite::types::Value;

/// The numbers that a table of the same database holds, and their squares.
struct Squares;

struct Row {
    next: i64,
    end: i64,
    square: i64,
}

impl Relation for Squares {
    fn declaration(&self) -> String {
        "CREATE TABLE x(number INTEGER, square INTEGER)".into()
    }

    fn plan(&self, conditions: &[Condition], order: &[Order]) -> Option<Plan> {
        let from = conditions.iter().position(|condition| {
            condition.column == Some(0)
                && condition.operator == Operator::GreaterOrEqual
                && condition.usable
        });
        let wanted = |term: &Order| term.column == Some(0) && !term.descending;
        Some(Plan {
            number: i32::from(from.is_some()),
            arguments: from.into_iter().collect(),
            exact: from.into_iter().collect(),
            ordered: order.first().is_some_and(wanted),
            rows: if from.is_some() { 10 } else { 1_000 },
        })
    }

    fn scan(
        &self,
        connection: &Connection,
        plan: i32,
        arguments: &[Value],
    ) -> Result<Box<dyn Rows>, String> {
        let end = connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0));
        let next = match (plan, arguments) {
            (1, [Value::Integer(from)]) => *from,
            (0, []) => 0,
            other => return Err(format!("no such plan: {other:?}")),
        };
        Ok(Box::new(Row {
            next,
            end: end.map_err(|error| error.to_string())?,
            square: 0,
        }))
    }
}

impl Rows for Row {
    fn advance(&mut self, connection: &Connection) -> Result<bool, String> {
        if self.next == 13 {
            return Err("thirteen is unlucky".into());
        }
        let query = "SELECT n * n FROM t WHERE n = ?1";
        let square = connection.query_row(query, [self.next], |row| row.get(0));
        self.square = square.unwrap_or(0);
        self.next += 1;
        Ok(self.next <= self.end)
    }

    fn value(&self, _connection: &Connection, column: usize) -> Result<Value, String> {
        Ok(match column {
            0 => (self.next - 1).into(),
            _ => self.square.into(),
        })
    }

    fn number(&self) -> i64 {
        self.next - 1
    }
}

fn database(numbers: i64) -> Connection {
    let database = Connection::open_in_memory().expect("opens");
    register(&database, "squares", Arc::new(Squares)).expect("registered");
    database.execute_batch("CREATE TABLE t (n)").expect("made");
    for number in 0..numbers {
        database
            .execute("INSERT INTO t VALUES (?1)", [number])
            .expect("written");
    }
    database
}

fn numbers(database: &Connection, query: &str) -> Result<Vec<i64>, String> {
    let mut statement = database.prepare(query).map_err(|error| error.to_string())?;
    let rows = statement.query_map([], |row| row.get(0));
    let rows = rows.map_err(|error| error.to_string())?;
    rows.collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

#[test]
fn a_relation_is_read_through_the_connection_that_asks() {
    let database = database(6);
    let read = |query| numbers(&database, query).expect(query);
    assert_eq!(read("SELECT square FROM squares"), [0, 1, 4, 9, 16, 25]);
    assert_eq!(
        read("SELECT square FROM squares WHERE number >= 4 ORDER BY number"),
        [16, 25]
    );
    assert_eq!(
        read("SELECT number FROM squares ORDER BY number DESC LIMIT 2"),
        [5, 4]
    );
    assert_eq!(
        read("SELECT sum(a.square * b.square) FROM squares a JOIN squares b USING (number)"),
        [979]
    );
    database
        .execute_batch("BEGIN; DELETE FROM t")
        .expect("changed");
    assert_eq!(read("SELECT square FROM squares"), [] as [i64; 0]);
    database.execute_batch("ROLLBACK").expect("changed back");
    assert_eq!(read("SELECT count(*) FROM squares"), [6]);
    // What the relation read through the connection keeps nothing open.
    let closed = database.close().map_err(|(_, error)| error);
    assert_eq!(closed, Ok(()));
}

#[test]
fn an_error_of_a_relation_is_an_error_of_the_statement() {
    let database = database(20);
    let refused = numbers(&database, "SELECT number FROM squares").expect_err("unlucky");
    assert!(refused.contains("thirteen is unlucky"), "{refused}");
    let written = database.execute("DELETE FROM squares", []);
    assert!(written.is_err(), "a relation is never written");
    drop(database);
}
