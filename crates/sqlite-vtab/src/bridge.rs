//! Between SQLite's virtual tables and [`Relation`]. All that is `unsafe` is here.
#![expect(
    unsafe_code,
    reason = "rusqlite's traits for virtual tables are unsafe to implement"
)]

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_int};
use std::rc::Rc;
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::vtab::{
    Context, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConnection, VTabCursor,
    sqlite3_vtab, sqlite3_vtab_cursor,
};
use rusqlite::{Connection, Error, Result};

use crate::{Condition, Operator, Order, Relation, Rows};

/// Makes the relation known to the connection under a name.
///
/// # Errors
/// When SQLite refuses.
pub fn register(connection: &Connection, name: &str, relation: Arc<dyn Relation>) -> Result<()> {
    let module = const { &Module::<'static, Table>::eponymous_only_module() };
    connection.create_module(name, module, Some(relation))
}

/// What a table and its cursors share. They live on the one thread of their connection.
struct Shared {
    relation: Arc<dyn Relation>,
    /// The connection that the table belongs to; dropping it does not close that.
    connection: Connection,
}

#[repr(C)]
struct Table {
    /// SQLite's own part; it must be the first.
    base: sqlite3_vtab,
    shared: Rc<Shared>,
}

#[repr(C)]
struct Cursor {
    /// SQLite's own part; it must be the first.
    base: sqlite3_vtab_cursor,
    shared: Rc<Shared>,
    rows: Option<Box<dyn Rows>>,
    over: bool,
}

fn words(words: String) -> Error {
    Error::ModuleError(words)
}

// SAFETY: the struct is `repr(C)` and begins with `sqlite3_vtab`, as the trait asks.
unsafe impl<'vtab> VTab<'vtab> for Table {
    type Aux = Arc<dyn Relation>;
    type Cursor = Cursor;

    fn connect(
        db: &mut VTabConnection,
        aux: Option<&Self::Aux>,
        _module_name: &[u8],
        _database_name: &[u8],
        _table_name: &[u8],
        _args: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        let relation = aux.ok_or_else(|| words("the module has no relation".into()))?;
        let relation = Arc::clone(relation);
        let declaration = CString::new(relation.declaration()).map_err(|e| words(e.to_string()))?;
        // SAFETY: the handle is that of the connection which is connecting this table; nothing
        // is done with it but what follows.
        let handle = unsafe { db.handle() };
        // SAFETY: the handle is open. The connection that is made of it does not own it, never
        // leaves this table and its cursors, and is dropped with them; SQLite drops them before
        // it closes the handle, and calls them on the thread that uses the handle alone.
        let connection = unsafe { Connection::from_handle(handle) }?;
        let shared = Rc::new(Shared {
            relation,
            connection,
        });
        let table = Table {
            base: sqlite3_vtab::default(),
            shared,
        };
        Ok((Cow::Owned(declaration), table))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let conditions: Vec<Condition> = info
            .constraints()
            .map(|constraint| Condition {
                column: usize::try_from(constraint.column()).ok(),
                operator: operator(&constraint.operator()),
                usable: constraint.is_usable(),
            })
            .collect();
        let order: Vec<Order> = info
            .order_bys()
            .map(|term| Order {
                column: usize::try_from(term.column()).ok(),
                descending: term.is_order_by_desc(),
            })
            .collect();
        let Some(plan) = self.shared.relation.plan(&conditions, &order) else {
            return Ok(false);
        };
        for (argument, condition) in (1..).zip(&plan.arguments) {
            let mut usage = info.constraint_usage(*condition);
            usage.set_argv_index(argument);
            usage.set_omit(plan.exact.contains(condition));
        }
        info.set_idx_num(plan.number);
        info.set_order_by_consumed(plan.ordered && !order.is_empty());
        info.set_estimated_cost(f64::from(plan.rows));
        info.set_estimated_rows(i64::from(plan.rows));
        Ok(true)
    }

    fn open(&'vtab mut self) -> Result<Cursor> {
        Ok(Cursor {
            base: sqlite3_vtab_cursor::default(),
            shared: Rc::clone(&self.shared),
            rows: None,
            over: true,
        })
    }
}

fn operator(operator: &IndexConstraintOp) -> Operator {
    match operator {
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ => Operator::Equal,
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GT => Operator::Greater,
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GE => Operator::GreaterOrEqual,
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LT => Operator::Less,
        IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LE => Operator::LessOrEqual,
        _ => Operator::Other,
    }
}

// SAFETY: the struct is `repr(C)` and begins with `sqlite3_vtab_cursor`, as the trait asks.
unsafe impl VTabCursor for Cursor {
    fn filter(&mut self, number: c_int, _words: Option<&str>, args: &Filters<'_>) -> Result<()> {
        let arguments: Result<Vec<Value>> = (0..args.len()).map(|place| args.get(place)).collect();
        let Shared {
            relation,
            connection,
        } = &*self.shared;
        self.rows = Some(
            relation
                .scan(connection, number, &arguments?)
                .map_err(words)?,
        );
        self.next()
    }

    fn next(&mut self) -> Result<()> {
        let more = match &mut self.rows {
            Some(rows) => rows.advance(&self.shared.connection).map_err(words)?,
            None => false,
        };
        self.over = !more;
        Ok(())
    }

    fn eof(&self) -> bool {
        self.over
    }

    fn column(&self, ctx: &mut Context, column: c_int) -> Result<()> {
        let (Some(rows), Ok(column)) = (&self.rows, usize::try_from(column)) else {
            return Ok(());
        };
        let value = rows.value(&self.shared.connection, column);
        ctx.set_result(value.map_err(words)?)
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.rows.as_ref().map_or(0, |rows| rows.number()))
    }
}
