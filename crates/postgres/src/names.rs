//! What never changes once it is there, remembered in memory: which number a user's name has,
//! and the catalogue of one version.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use lingqian_core::earning::Kind;
use lingqian_io::Fault;

use crate::codec::{damaged, get, text};
use crate::pool::Session;
use crate::sql;

/// So many names are remembered, some hundred bytes each; then all are forgotten.
const NAMES_MAX: usize = 1 << 20;

/// The numbers of users by name. A name never moves to another number, so none goes stale.
#[derive(Default)]
pub(crate) struct Names {
    known: Mutex<HashMap<Box<str>, i64>>,
}

impl Names {
    /// The number of each name, where somebody is registered under it.
    pub(crate) async fn resolve(
        &self,
        session: &Session,
        names: &[&str],
    ) -> Result<Vec<Option<i64>>, Fault> {
        let mut numbers: Vec<Option<i64>> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            names.iter().map(|name| known.get(*name).copied()).collect()
        };
        let missing = names
            .iter()
            .zip(&numbers)
            .filter(|(_, number)| number.is_none());
        let mut missing: Vec<&str> = missing.map(|(name, _)| *name).collect();
        if missing.is_empty() {
            return Ok(numbers);
        }
        missing.sort_unstable();
        let rows = session.rows(sql!("numbers"), &[&missing]).await?;
        let mut found: HashMap<&str, i64> = HashMap::with_capacity(rows.len());
        for row in &rows {
            found.insert(text(row, 0)?, get(row, 1)?);
        }
        for (name, number) in names.iter().zip(&mut numbers) {
            *number = number.or_else(|| found.get(*name).copied());
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + found.len() > NAMES_MAX {
            known.clear();
        }
        known.extend(
            found
                .into_iter()
                .map(|(name, number)| (name.into(), number)),
        );
        Ok(numbers)
    }
}

/// The kinds as of the batch that last changed one.
pub(crate) struct Catalogue {
    pub(crate) version: i64,
    pub(crate) kinds: HashMap<String, Kind>,
}

/// The last catalogue that was read.
#[derive(Default)]
pub(crate) struct Remembered {
    last: Mutex<Option<Arc<Catalogue>>>,
}

impl Remembered {
    /// The catalogue as it is, read again only if it changed, and the number of the newest batch.
    pub(crate) async fn catalogue(
        &self,
        session: &Session,
    ) -> Result<(Arc<Catalogue>, i64), Fault> {
        let row = session.first(sql!("catalogue"), &[]).await?;
        let row = row.ok_or_else(|| damaged("chain_head"))?;
        let (version, newest) = (get(&row, 0)?, get(&row, 1)?);
        let last = self
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(last) = last.filter(|last| last.version == version) {
            return Ok((last, newest));
        }
        // One that changes just now is found out at the end of the chain.
        let kinds = crate::rows::kinds(session).await?.into_iter();
        let read = Arc::new(Catalogue {
            version,
            kinds: kinds
                .map(|kind| (kind.code.as_str().to_owned(), kind))
                .collect(),
        });
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&read));
        Ok((read, newest))
    }
}
