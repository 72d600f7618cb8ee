//! The file that says how far a copy came. It is only ever behind: it is written after the other
//! store said that a piece is durable.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use lingqian_io::read_out::{Cursor, Part};
use serde::{Deserialize, Serialize};

use super::PIECE_ROWS;
use crate::home::write_whole;
use crate::store::Place;

/// The file that says how far a copy came.
pub(super) struct Notes {
    pub(super) path: PathBuf,
    to: String,
}

/// A file's content.
#[derive(Serialize, Deserialize)]
struct Note {
    to: String,
    rows: u32,
    /// Nothing when everything arrived and was not compared yet.
    cursor: Option<NotedCursor>,
}

#[derive(Serialize, Deserialize)]
struct NotedCursor {
    part: String,
    numbers: (i64, i64),
    names: (String, String),
}

impl Notes {
    /// The file beside the books, or beside those that they become.
    ///
    /// # Errors
    /// When no file can be beside them, or both are one.
    pub(super) fn beside(from: &Place, to: &Place) -> anyhow::Result<Notes> {
        let path = match (from, to) {
            (Place::File(from), Place::File(to)) if is_same(from, to) => {
                bail!("both are the same file")
            }
            (Place::File(path), _) | (_, Place::File(path)) => path,
            (Place::Postgres(_), Place::Postgres(_)) => bail!(
                "one of the two must be a file; PostgreSQL copies its databases itself, with \
                 pg_dump"
            ),
        };
        let mut name = path.clone().into_os_string();
        name.push(".copy.json");
        let to = match to {
            Place::File(path) => std::path::absolute(path)?.display().to_string(),
            Place::Postgres(_) => to.to_string(),
        };
        Ok(Notes {
            path: name.into(),
            to,
        })
    }

    /// The last words, where there are any; in them nothing when everything had arrived.
    ///
    /// # Errors
    /// When the file is about another copy, or does not read.
    pub(super) fn read(&self) -> anyhow::Result<Option<Option<Cursor>>> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context(self.path.display().to_string()),
        };
        let name = self.path.display();
        let note: Note =
            serde_json::from_str(&text).with_context(|| format!("{name} is not whole"))?;
        ensure!(
            note.to == self.to,
            "{name} says that a copy to {} was stopped; finish that one, or remove the file",
            note.to
        );
        ensure!(
            note.rows == PIECE_ROWS,
            "{name} was written by another version; remove it and begin with an empty store"
        );
        let cursor = |noted: NotedCursor| {
            let part = Part::from_name(&noted.part);
            let part = part.with_context(|| format!("{name} names no part that is known"))?;
            anyhow::Ok(Cursor {
                part,
                numbers: noted.numbers,
                names: noted.names,
            })
        };
        Ok(Some(note.cursor.map(cursor).transpose()?))
    }

    /// Notes how far everything is durable.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write(&self, cursor: Option<&Cursor>) -> anyhow::Result<()> {
        let note = Note {
            to: self.to.clone(),
            rows: PIECE_ROWS,
            cursor: cursor.map(|cursor| NotedCursor {
                part: cursor.part.name().to_owned(),
                numbers: cursor.numbers,
                names: cursor.names.clone(),
            }),
        };
        write_whole(&self.path, &serde_json::to_vec(&note)?)?;
        // The old words must not come back when the power fails.
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = fs::File::open(dir.unwrap_or(Path::new(".")))?;
        Ok(dir.sync_all()?)
    }

    /// Everything arrived and was compared.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub(super) fn end(&self) -> anyhow::Result<()> {
        fs::remove_file(&self.path)
            .with_context(|| format!("cannot remove {}", self.path.display()))
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
