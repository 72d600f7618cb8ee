//! What the relations share: the tail of the books, read once for each state of them.

use std::sync::{Arc, Mutex, PoisonError};

use lingqian_core::id::UserNo;
use lingqian_io::Fault;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _};

use crate::accounts::Account;
use crate::codec::fault;
use crate::prefetch::cached;
use crate::relations::tail::Tail;
use crate::sql;

/// Shared by the relations of one connection.
#[derive(Default)]
pub(crate) struct Shared {
    tail: Mutex<Option<Arc<Tail>>>,
}

impl Shared {
    /// The tail of the books as the connection sees them.
    pub(crate) fn tail(&self, connection: &Connection) -> Result<Arc<Tail>, Fault> {
        let mut kept = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tail) = kept.as_ref()
            && tail.is_of(connection)?
        {
            return Ok(Arc::clone(tail));
        }
        let tail = Arc::new(Tail::read(connection)?);
        *kept = Some(Arc::clone(&tail));
        Ok(tail)
    }

    /// The accounts of a user.
    pub(crate) fn account(&self, connection: &Connection, user: UserNo) -> Result<Account, Fault> {
        self.tail(connection)?.account(connection, user)
    }
}

/// The user of a name that a statement gives.
pub(crate) fn user_no(
    connection: &Connection,
    name: Option<&Value>,
) -> Result<Option<(UserNo, String)>, Fault> {
    let name = match name {
        Some(Value::Text(name)) => name.clone(),
        Some(Value::Integer(name)) => name.to_string(),
        _ => return Ok(None),
    };
    let mut query = cached(connection, sql!("user_no"))?;
    let found = query.query_row([&name], |row| row.get(0));
    let found = found.optional().map_err(fault)?;
    Ok(found.map(|number| (UserNo(number), name)))
}
