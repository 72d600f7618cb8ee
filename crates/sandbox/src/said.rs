//! What was said of users and faults, which holds after a restart as well. A fault that was to strike
//! so many times begins to count anew then: what struck meanwhile is not written down.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::faults::Faults;
use crate::provision::private_file;
use crate::settings::Robot;

/// What was said last.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Said {
    pub(crate) robot: Option<Robot>,
    pub(crate) faults: Option<Faults>,
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
