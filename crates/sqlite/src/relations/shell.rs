//! SQL over the books for people: it only reads, and what is secret cannot be read.

use std::fmt;
use std::sync::Arc;

use lingqian_io::Fault;
use lingqian_sqlite_vtab::register;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode};

use crate::codec::fault;
use crate::reading::Reading;
use crate::relations::balances::{BALANCE_COLUMNS, Balances};
use crate::relations::entries::Entries;
use crate::relations::entry::ENTRY_COLUMNS;
use crate::relations::shared::Shared;
use crate::relations::views::{SECRETS, TABLES, VIEWS};

/// Settings that only tell something.
const PRAGMAS: [&str; 17] = [
    "application_id",
    "collation_list",
    "compile_options",
    "database_list",
    "encoding",
    "foreign_key_list",
    "freelist_count",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "page_count",
    "page_size",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// A value of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Datum<'a> {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// Another number; nothing in the books is one, but a quotient may be.
    Real(f64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
}

/// Who takes an answer, line by line.
pub trait Answer {
    /// The names of its columns come first.
    ///
    /// # Errors
    /// When they cannot be written; nothing more is read then.
    fn columns(&mut self, names: &[&str]) -> std::io::Result<()>;

    /// Then its rows.
    ///
    /// # Errors
    /// When it cannot be written; nothing more is read then.
    fn row(&mut self, values: &[Datum<'_>]) -> std::io::Result<()>;
}

/// Why a statement has no answer.
#[derive(Debug)]
pub enum Refused {
    /// In the words of the database.
    Statement(String),
    /// The answer could not be written.
    Output(std::io::Error),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Statement(words) => f.write_str(words),
            Refused::Output(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refused {}

/// The books in SQL.
pub struct Shell {
    connection: Connection,
}

impl Shell {
    /// # Errors
    /// When the relations cannot be made.
    pub(crate) fn open(reading: Reading) -> Result<Shell, Fault> {
        let mut connection = reading.into_connection();
        let shared = Arc::new(Shared::default());
        let entries = Arc::new(Entries(Arc::clone(&shared)));
        register(&connection, "entries", entries).map_err(fault)?;
        register(&connection, "balances", Arc::new(Balances(shared))).map_err(fault)?;
        for view in &VIEWS {
            if let Some(select) = view.select {
                let create = format!("CREATE TEMP VIEW {} AS {select}", view.name);
                connection.execute_batch(&create).map_err(fault)?;
            }
        }
        connection
            .pragma_update(None, "query_only", true)
            .map_err(fault)?;
        connection.authorizer(Some(authorize)).map_err(fault)?;
        Ok(Shell { connection })
    }

    /// Answers one statement, as of one moment.
    ///
    /// # Errors
    /// When it is no statement, would change something, or asks for a secret.
    pub fn ask(&self, statement: &str, answer: &mut dyn Answer) -> Result<(), Refused> {
        let mut statement = self.connection.prepare(statement).map_err(refused)?;
        if statement.column_count() == 0 || !statement.readonly() {
            return Err(Refused::Statement(
                "that is no question: `lingqian sql` only reads".into(),
            ));
        }
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut rows = statement.query([]).map_err(refused)?;
        answer.columns(&names).map_err(Refused::Output)?;
        let mut values = Vec::with_capacity(names.len());
        while let Some(row) = rows.next().map_err(refused)? {
            for place in 0..names.len() {
                let value = row.get_ref(place).map_err(refused)?;
                values.push(datum(value)?);
            }
            answer.row(&values).map_err(Refused::Output)?;
            values = Vec::with_capacity(names.len());
        }
        Ok(())
    }

    /// Every relation with what it says.
    #[must_use]
    pub fn tables(&self) -> Vec<(&'static str, &'static str)> {
        let views = VIEWS.iter().map(|view| (view.name, view.words));
        views.chain(TABLES).collect()
    }

    /// What a relation's columns are, or nothing where there is no such relation.
    #[must_use]
    pub fn schema(&self, name: &str) -> Option<String> {
        let (_, words) = self
            .tables()
            .into_iter()
            .find(|(known, _)| *known == name)?;
        let mut text = format!("-- {words}\n{name} (\n");
        for (column, words) in self.columns(name) {
            match words {
                Some(words) => text.push_str(&format!("  {column:<32} -- {words}\n")),
                None => text.push_str(&format!("  {column}\n")),
            }
        }
        text.push_str(")\n");
        Some(text)
    }

    fn columns(&self, name: &str) -> Vec<(String, Option<String>)> {
        if name == "entries" {
            let columns = ENTRY_COLUMNS.iter();
            let own = columns.map(|column| {
                let holds = format!("{:?}", column.holds).to_uppercase();
                (
                    format!("{} {holds}", column.name),
                    Some(column.words.to_owned()),
                )
            });
            let user = "hidden; `= 'alice'` asks for all entries of hers, whichever side she is \
                        on; otherwise the user who gives, or else who receives";
            return own
                .chain([("user_id TEXT".to_owned(), Some(user.to_owned()))])
                .collect();
        }
        if name == "balances" {
            let columns = BALANCE_COLUMNS.iter();
            return columns
                .map(|(column, words)| ((*column).to_owned(), Some((*words).to_owned())))
                .collect();
        }
        let query = "SELECT name || rtrim(' ' || type) FROM pragma_table_info(?1)";
        let Ok(mut query) = self.connection.prepare(query) else {
            return Vec::new();
        };
        let names = query.query_map([name], |row| row.get::<_, String>(0));
        let names = names.into_iter().flatten().flatten();
        names
            .map(|column| {
                let bare = column.split(' ').next().unwrap_or_default();
                let hidden = SECRETS.contains(&(name, bare));
                (
                    column.clone(),
                    hidden.then(|| "secret, never shown".to_owned()),
                )
            })
            .collect()
    }
}

fn datum(value: ValueRef<'_>) -> Result<Datum<'_>, Refused> {
    Ok(match value {
        ValueRef::Null => Datum::Null,
        ValueRef::Integer(number) => Datum::Integer(number),
        ValueRef::Real(number) => Datum::Real(number),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Datum::Text(text),
            Err(_) => Datum::Bytes(text),
        },
        ValueRef::Blob(bytes) => Datum::Bytes(bytes),
    })
}

fn refused(error: rusqlite::Error) -> Refused {
    let words = match &error {
        rusqlite::Error::SqliteFailure(_, Some(words)) => words.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    let said = |part: &str| words.contains(part);
    let denied = error.sqlite_error_code() == Some(ErrorCode::AuthorizationForStatementDenied);
    let why = if denied && said("is prohibited") {
        " (a secret, which is never shown)"
    } else if denied
        || said("not authorized")
        || said("cannot modify")
        || said("may not be modified")
    {
        " (`lingqian sql` only reads, one statement at a time)"
    } else {
        ""
    };
    Refused::Statement(format!("{words}{why}"))
}

/// Reading alone, and no secret. What it denies is denied when a statement is prepared.
fn authorize(context: AuthContext<'_>) -> Authorization {
    let allowed = match context.action {
        AuthAction::Select | AuthAction::Recursive => true,
        AuthAction::Read {
            table_name,
            column_name,
        } => !SECRETS.iter().any(|(table, column)| {
            table.eq_ignore_ascii_case(table_name) && column.eq_ignore_ascii_case(column_name)
        }),
        AuthAction::Function { function_name } => {
            !function_name.eq_ignore_ascii_case("load_extension")
        }
        AuthAction::Pragma { pragma_name, .. } => PRAGMAS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(pragma_name)),
        _ => false,
    };
    if allowed {
        Authorization::Allow
    } else {
        Authorization::Deny
    }
}
