//! The data directory: what lies where, and what is made on first use.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cli::BillSource;
use crate::config::{Config, TEMPLATE};
use crate::store::StoreUrl;

/// Where a sandbox listens when nothing else is known.
const SANDBOX_DEFAULT: &str = "http://127.0.0.1:7071";

/// One data directory.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    dir: PathBuf,
    store: Option<StoreUrl>,
    bills: BillSource,
}

impl Home {
    /// Opens the directory, making it and its configuration on first use.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub(crate) fn open(dir: &Path) -> anyhow::Result<Home> {
        let home = Home {
            dir: dir.to_owned(),
            store: None,
            bills: BillSource::default(),
        };
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        if !home.config_file().exists() {
            write_whole(&home.config_file(), TEMPLATE.as_bytes())?;
        }
        Ok(home)
    }

    /// Opens a directory that must have been used before.
    ///
    /// # Errors
    /// When it was not.
    pub(crate) fn existing(dir: &Path) -> anyhow::Result<Home> {
        anyhow::ensure!(
            dir.join("lingqian.toml").exists(),
            "{} is not a data directory of Lingqian; `lingqian quickstart` or `lingqian serve` \
             makes one, `--data DIR` names another",
            dir.display()
        );
        Home::open(dir)
    }

    /// The same directory with the books in another place than its configuration says.
    pub(crate) fn with_store(self, store: Option<StoreUrl>) -> Home {
        Home { store, ..self }
    }

    /// The same directory with bills from another place than its configuration says.
    pub(crate) fn with_bills(self, bills: BillSource) -> Home {
        Home { bills, ..self }
    }

    /// Writes where the books are into the configuration, which must say nothing else yet.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn keep_books_at(&self, url: &StoreUrl) -> anyhow::Result<()> {
        let setting = format!("[store]\nurl = {}\n\n", url.quoted());
        let rest = TEMPLATE.split_once("[wechat]").map_or("", |(_, rest)| rest);
        let text = format!("{setting}[wechat]{rest}");
        write_whole(&self.config_file(), text.as_bytes())
    }

    /// Where the books are, if not where the configuration says.
    pub(crate) fn store(&self) -> Option<&StoreUrl> {
        self.store.as_ref()
    }

    /// The address of the store where it is not the file of this directory.
    ///
    /// # Errors
    /// When the configuration is not valid.
    pub(crate) fn shared_store(&self) -> anyhow::Result<Option<StoreUrl>> {
        let url = match &self.store {
            Some(url) => url.clone(),
            None => self.config()?.store.url,
        };
        Ok(Some(url).filter(|url| !url.is_file()))
    }

    /// The configuration.
    ///
    /// # Errors
    /// When it is not valid.
    pub(crate) fn config(&self) -> anyhow::Result<Config> {
        let mut config = Config::load(&self.config_file())?;
        if let Some(source) = &self.bills.source {
            config.bills.source.clone_from(source);
            config.bills.check().context("--bill-source")?;
        }
        Ok(config)
    }

    fn config_file(&self) -> PathBuf {
        self.dir.join("lingqian.toml")
    }

    /// The database.
    pub(crate) fn database(&self) -> PathBuf {
        database_in(&self.dir)
    }

    /// The keys that seal fields at rest.
    pub(crate) fn keyring(&self) -> PathBuf {
        self.dir.join("keyring.json")
    }

    /// The credentials towards WeChat.
    pub(crate) fn credentials(&self, config: &Config) -> PathBuf {
        self.dir.join(&config.wechat.credentials)
    }

    /// A file that the configuration names, below this directory unless it is named whole.
    pub(crate) fn below(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The sandbox's own directory.
    pub(crate) fn sandbox(&self) -> PathBuf {
        self.dir.join("sandbox")
    }

    /// By how much the sandbox's clock was ahead when it was heard last, in milliseconds.
    pub(crate) fn sandbox_ahead(&self) -> PathBuf {
        self.dir.join("sandbox-ahead-ms")
    }

    /// The API key that a quickstart made for its user.
    pub(crate) fn api_key(&self) -> PathBuf {
        self.dir.join("api-key")
    }

    /// Where a server of this directory says that it listens.
    pub(crate) fn address(&self) -> PathBuf {
        self.dir.join("address")
    }

    /// Where the sandbox of this directory listens, by its own last word.
    pub(crate) fn sandbox_url(&self) -> String {
        let text = fs::read_to_string(self.sandbox().join("address")).unwrap_or_default();
        let url = text.trim();
        if url.is_empty() {
            SANDBOX_DEFAULT.to_owned()
        } else {
            url.to_owned()
        }
    }
}

/// The database of a data directory.
pub(crate) fn database_in(dir: &Path) -> PathBuf {
    dir.join("lingqian.db")
}

/// Where a sandbox lives: below a platform's directory, or in one of its own.
pub(crate) fn sandbox_dir(data: &Path) -> PathBuf {
    let shared = data == Path::new("lingqian-data") || data.join("lingqian.toml").exists();
    if shared {
        data.join("sandbox")
    } else {
        data.to_owned()
    }
}

/// A sandbox tells those who share its directory where it listens.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn announce_sandbox(dir: &Path, url: &str) -> anyhow::Result<()> {
    write_whole(&dir.join("address"), format!("{url}\n").as_bytes())
}

/// Writes a file so that a reader sees the old one or the new one, never half of it; only its
/// owner may read it.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let part = path.with_extension(format!("part-{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_was_never_used_is_not_mistaken_for_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let error = Home::existing(dir.path()).expect_err("never used");
        assert!(
            error.to_string().contains("is not a data directory"),
            "{error}"
        );
        Home::open(dir.path()).expect("it is made");
        let home = Home::existing(dir.path()).expect("now it exists");
        home.config().expect("the template is valid");
        let url = StoreUrl::from("postgres://u:\"p\\w\"@h/d".to_owned());
        home.keep_books_at(&url).expect("it is written");
        assert!(home.config().expect("still valid").store.url == url);
    }
}
