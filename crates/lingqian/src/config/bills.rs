//! `[bills]`: where fund-flow bills come from when WeChat's API is not asked for them, or not in the
//! way of API v3.

use std::path::Path;
use std::sync::Arc;

use lingqian_wechat::bill;
use serde::Deserialize;

use crate::folder::Folder;
use crate::home::Home;

/// The source that means WeChat's API v3.
const WECHAT: &str = "wechat";
/// The one that means the old API.
const WECHAT_V2: &str = "wechat-v2";

/// Where bills come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Bills {
    /// `wechat`, `wechat-v2` or a folder.
    pub(crate) source: String,
    /// What delivered files are called; the first that is there counts.
    pub(crate) names: Vec<String>,
    /// Whether each must come with its hash.
    pub(crate) hash_required: bool,
}

impl Default for Bills {
    fn default() -> Self {
        Bills {
            source: WECHAT.into(),
            names: vec![
                "fundflow-{mchid}-{date}-{account}.csv.gz".into(),
                "fundflow-{mchid}-{date}-{account}.csv".into(),
            ],
            hash_required: false,
        }
    }
}

impl Bills {
    /// Looks for what could never work. What a source says is not repeated: it may hold a password.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.source.is_empty() && !self.source.contains("://"),
            "source_unreadable: bills.source is \"wechat\", \"wechat-v2\" or a folder; mount what is \
             on a server"
        );
        anyhow::ensure!(!self.names.is_empty(), "bills.names must name a file");
        for name in &self.names {
            anyhow::ensure!(
                name.contains("{date}") || name.contains("{day}"),
                "bills.names: {name:?} names no day: write {{date}} or {{day}} where it stands"
            );
            anyhow::ensure!(
                name.contains("{mchid}"),
                "bills.names: {name:?} names no merchant: write {{mchid}} where it stands"
            );
            let below = !Path::new(name).is_absolute() && name.split('/').all(|part| part != "..");
            anyhow::ensure!(
                below,
                "bills.names: {name:?} must stay below the source's folder"
            );
        }
        Ok(())
    }

    /// Opens it.
    pub(crate) fn open(&self, home: &Home) -> bill::Place {
        match self.source.as_str() {
            WECHAT => bill::Place::Api,
            WECHAT_V2 => bill::Place::OldApi,
            folder => bill::Place::Delivered {
                shelf: Arc::new(Folder::new(home.below(folder))),
                names: self.names.clone(),
                hashed: self.hash_required,
            },
        }
    }
}
