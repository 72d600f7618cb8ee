//! `[bills]`: where fund-flow bills come from when WeChat's API is not asked for them, or not in the
//! way of API v3. `[kept]`: where raw files go.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use lingqian_pickup::{Access, Place};
use lingqian_wechat::bill;
use serde::Deserialize;

use crate::accounts::text;
use crate::config::merchants::Source;
use crate::home::Home;

/// The source that means WeChat's API v3.
const WECHAT: &str = "wechat";
/// The one that means the old API.
const WECHAT_V2: &str = "wechat-v2";

/// Where bills come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Bills {
    /// `wechat`, `wechat-v2`, a folder, `sftp://…`, `ftps://…` or `ftp://…`.
    pub(crate) source: String,
    /// What delivered files are called; the first that is there counts.
    pub(crate) names: Vec<String>,
    /// Whether each must come with its hash.
    pub(crate) hash_required: bool,
    /// The password at the server, or of the private key.
    pub(crate) password: Option<Source>,
    /// The private key for SFTP.
    pub(crate) key: Option<Source>,
    /// Fingerprints of host keys that are believed.
    pub(crate) host_keys: Vec<String>,
    /// A file of host keys that are believed; empty: none.
    pub(crate) known_hosts: String,
    /// Certificates of authorities for FTPS; empty: the system's.
    pub(crate) roots: String,
    /// Whether FTP in clear text may go to another machine.
    pub(crate) clear_text: bool,
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
            password: None,
            key: None,
            host_keys: Vec::new(),
            known_hosts: String::new(),
            roots: String::new(),
            clear_text: false,
        }
    }
}

/// Where raw files are kept.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct KeptFiles {
    /// A folder that all processes see; empty: `kept` in this process's data directory.
    pub(crate) folder: String,
}

impl KeptFiles {
    /// The folder. One that is configured must be there: a mount that is gone must not be taken for
    /// an empty folder, or files would be kept where nobody looks for them.
    pub(crate) fn open(&self, home: &Home) -> anyhow::Result<PathBuf> {
        if self.folder.is_empty() {
            return Ok(home.below("kept"));
        }
        let folder = home.below(&self.folder);
        anyhow::ensure!(
            folder.is_dir(),
            "kept_folder_missing: kept.folder is {}, which is not a folder: is it mounted? Nothing is \
             kept elsewhere",
            folder.display()
        );
        Ok(folder)
    }
}

impl Bills {
    /// Looks for what could never work.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
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
            anyhow::ensure!(
                !name.starts_with('/') && !name.split('/').any(|part| part == ".."),
                "bills.names: {name:?} must stay below the source's folder"
            );
        }
        self.place().map(|_| ())
    }

    /// Whether WeChat is asked for them by the old API.
    pub(crate) fn is_by_old_api(&self) -> bool {
        self.source == WECHAT_V2
    }

    /// Whether somebody delivers them, so that WeChat is not asked.
    pub(crate) fn is_delivered(&self) -> bool {
        ![WECHAT, WECHAT_V2].contains(&self.source.as_str())
    }

    fn place(&self) -> anyhow::Result<Option<Place>> {
        Ok(match self.source.as_str() {
            WECHAT | WECHAT_V2 => None,
            source => Some(Place::parse(source).context("bills.source")?),
        })
    }

    /// Opens it. Nothing is connected yet.
    pub(crate) fn open(&self, home: &Home) -> anyhow::Result<bill::Place> {
        let place = match self.place()? {
            None if self.source == WECHAT_V2 => return Ok(bill::Place::OldApi),
            None => return Ok(bill::Place::Api),
            Some(Place::Folder(dir)) => Place::Folder(home.below(&dir.to_string_lossy())),
            Some(place) => place,
        };
        let secret = |source: &Option<Source>, setting: &'static str| {
            let read = source.as_ref().map(|source| text(home, source));
            read.transpose().context(setting)
        };
        let known = Some(&self.known_hosts).filter(|name| !name.is_empty());
        let roots = Some(&self.roots).filter(|name| !name.is_empty());
        let roots = roots.map(|name| {
            let path = home.below(name);
            std::fs::read_to_string(&path)
                .with_context(|| format!("bills.roots: cannot read {}", path.display()))
        });
        let access = Access {
            password: secret(&self.password, "bills.password")?.map(Into::into),
            // The text of a key ends with a line end.
            key: secret(&self.key, "bills.key")?.map(|key| format!("{key}\n").into()),
            host_keys: self.host_keys.clone(),
            known_hosts: known.map(|name| home.below(name)),
            roots: roots.transpose()?,
            clear_text: self.clear_text,
        };
        let shelf = lingqian_pickup::open(place, access).context("bills.source")?;
        tracing::info!(source = shelf.name(), "bills are delivered");
        Ok(bill::Place::Delivered {
            shelf: Arc::clone(&shelf),
            names: self.names.clone(),
            hashed: self.hash_required,
        })
    }
}
