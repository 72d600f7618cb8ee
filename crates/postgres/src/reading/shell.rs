//! Questions in SQL: one statement at a time, over the views alone, never a change.
//!
//! The server itself reads a statement first, as the definition of a view that lives for one
//! transaction: only a question can be one, and what it names is in the server's own tree of it.
//! Whatever is outside of the views, or is a function that does something, is refused.

use std::pin::pin;

use futures_util::TryStreamExt as _;
use lingqian_io::Fault;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, SimpleQueryMessage};

use crate::codec::get;
use crate::fault::fault;
use crate::reading::Reading;
use crate::sql;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `t` or `f`.
    Truth,
    /// A number, in digits.
    Number,
    /// Anything else.
    Text,
}

impl Kind {
    fn of(kind: &Type) -> Kind {
        match *kind {
            Type::BOOL => Kind::Truth,
            Type::INT2 | Type::INT4 | Type::INT8 | Type::OID | Type::NUMERIC => Kind::Number,
            Type::FLOAT4 | Type::FLOAT8 => Kind::Number,
            _ => Kind::Text,
        }
    }
}

/// Who takes an answer, line by line: as text, with what kind of value each column holds.
pub trait Answer {
    /// The names of its columns come first.
    ///
    /// # Errors
    /// When they cannot be written; nothing more is read then.
    fn columns(&mut self, columns: &[(&str, Kind)]) -> std::io::Result<()>;

    /// Then its rows.
    ///
    /// # Errors
    /// When it cannot be written; nothing more is read then.
    fn row(&mut self, values: &[Option<&str>]) -> std::io::Result<()>;
}

/// Why a statement has no answer.
#[derive(Debug)]
pub enum Refused {
    /// In the words of the database, or in ours.
    Statement(String),
    /// The answer could not be written.
    Output(std::io::Error),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Refused::Statement(fault.to_string())
    }
}

/// What the server says about a statement that somebody typed, who may read it.
fn said(error: Error) -> Refused {
    match error.as_db_error() {
        Some(db) => Refused::Statement(db.message().to_owned()),
        None => fault(error).into(),
    }
}

impl Reading {
    /// Answers one statement, as of one moment.
    ///
    /// # Errors
    /// When it is no statement, would change something, or asks for what is not in the views.
    pub async fn ask(&self, statement: &str, answer: &mut dyn Answer) -> Result<(), Refused> {
        let mut session = self.connections.get().await?;
        session
            .begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE")
            .await?;
        let client = session.client();
        let path = "SET LOCAL search_path = lingqian_views";
        client.batch_execute(path).await.map_err(said)?;
        let statement = statement.trim().trim_end_matches(';');
        let prepared = client.prepare(statement).await.map_err(said)?;
        if prepared.columns().is_empty() || !prepared.params().is_empty() {
            let words = "that is no question: `lingqian sql` only reads";
            return Err(Refused::Statement(words.into()));
        }
        // Names of a view must differ; those of an answer need not.
        let places = 1..=prepared.columns().len();
        let names: Vec<String> = places.map(|place| format!("c{place}")).collect();
        let view = format!(
            "CREATE TEMP VIEW lingqian_question ({}) AS {statement}\n",
            names.join(", ")
        );
        // By itself, so that a second statement in it is refused.
        let made = client.prepare(&view).await.map_err(said)?;
        client.execute(&made, &[]).await.map_err(said)?;
        let shape = session.rows(sql!("question_shape"), &[]).await?;
        let shape = shape.first();
        let shape = shape.ok_or_else(|| Refused::Statement("that is no question".into()))?;
        let outside = [(0, "relation"), (1, "function")];
        for (place, what) in outside {
            if let Some(names) = get::<Option<String>>(shape, place)? {
                return Err(Refused::Statement(format!(
                    "{names}: a {what} that is never asked here; `.tables` lists what can be read \
                     (secrets are in none of it)"
                )));
            }
        }
        client
            .batch_execute("SET TRANSACTION READ ONLY")
            .await
            .map_err(said)?;
        let columns = prepared.columns().iter();
        let columns: Vec<(&str, Kind)> = columns.map(|c| (c.name(), Kind::of(c.type_()))).collect();
        answer.columns(&columns).map_err(Refused::Output)?;
        let mut lines = pin!(client.simple_query_raw(statement).await.map_err(said)?);
        while let Some(line) = lines.try_next().await.map_err(said)? {
            if let SimpleQueryMessage::Row(row) = line {
                let values: Vec<Option<&str>> = (0..columns.len()).map(|c| row.get(c)).collect();
                answer.row(&values).map_err(Refused::Output)?;
            }
        }
        Ok(session.end().await?)
    }

    /// Every relation with what it says.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tables(&self) -> Result<Vec<(String, String)>, Fault> {
        let session = self.connections.get().await?;
        let rows = session.rows(sql!("relations"), &[]).await?;
        rows.iter()
            .map(|row| Ok((get(row, 0)?, get(row, 1)?)))
            .collect()
    }

    /// A relation's columns with their types; none where there is no such relation.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn columns(&self, relation: &str) -> Result<Vec<String>, Fault> {
        let session = self.connections.get().await?;
        let rows = session.rows(sql!("relation_columns"), &[&relation]).await?;
        rows.iter().map(|row| get(row, 0)).collect()
    }
}
