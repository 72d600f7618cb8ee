//! What was said of users, times and faults, which holds after a restart as well. What struck is
//! written down before anybody feels it, so that nothing strikes more often than it was asked to.

use std::fs;
use std::io::ErrorKind;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::MutexGuard;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::faults::Faults;
use crate::provision::private_file;
use crate::settings::{Lag, Robot};
use crate::world::World;

/// What was said last.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Said {
    pub(crate) robot: Option<Robot>,
    pub(crate) faults: Option<Faults>,
    pub(crate) lag: Option<Lag>,
    #[serde(skip)]
    path: PathBuf,
}

impl Said {
    /// What an earlier sandbox in the directory was told.
    pub(crate) fn load(data: &Path) -> anyhow::Result<Said> {
        let path = data.join("said.json");
        let said = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{} does not read; remove it", path.display()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => Said::default(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        Ok(Said { path, ..said })
    }

    /// Writes it down; it is durable afterwards.
    pub(crate) fn keep(&self) -> anyhow::Result<()> {
        private_file(&self.path, &serde_json::to_vec_pretty(self)?)
    }
}

/// What will go wrong, while somebody looks at it; what struck meanwhile is written down at the end.
pub(crate) struct Script<'w> {
    pub(crate) world: &'w World,
    pub(crate) faults: MutexGuard<'w, Faults>,
}

impl Deref for Script<'_> {
    type Target = Faults;

    fn deref(&self) -> &Faults {
        &self.faults
    }
}

impl DerefMut for Script<'_> {
    fn deref_mut(&mut self) -> &mut Faults {
        &mut self.faults
    }
}

impl Drop for Script<'_> {
    fn drop(&mut self) {
        if !std::mem::take(&mut self.faults.struck) {
            return;
        }
        let mut said = self.world.said();
        said.faults = Some(self.faults.clone());
        if let Err(error) = said.keep() {
            tracing::error!(%error, "what struck is not written down");
        }
    }
}
