//! Where bills come from, where their raw files are kept, and where they lie while they are read.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use lingqian_core::id::MchId;
use lingqian_core::time::BusinessDate;
use lingqian_io::Fault;
use lingqian_io::files::{Archive, Label, Shelf, Taken};
use lingqian_io::rail::FetchedBill;

use super::ACCOUNTS;
use super::check::{self, Expected};
use super::fault::BillFault;
use crate::socket::FILE_MAX;

/// The largest file with a hash, in bytes.
const HASH_MAX: u64 = 4 * 1024;
/// What files with hashes are called after.
const HASHES: [&str; 2] = ["sha1", "sha256"];

/// Where bills come from.
#[derive(Clone, Debug, Default)]
pub enum Place {
    /// WeChat's API v3.
    #[default]
    Api,
    /// The old API, `downloadfundflow`.
    OldApi,
    /// Somebody delivers them.
    Delivered {
        /// Where.
        shelf: Arc<dyn Shelf>,
        /// Names of the files, with `{mchid}`, `{date}`, `{day}` and `{account}`; the first that is
        /// there counts.
        names: Vec<String>,
        /// Whether each must come with its hash, in `NAME.sha1` or `NAME.sha256`.
        hashed: bool,
    },
}

/// What the bills of an installation need besides WeChat.
#[derive(Clone, Debug, Default)]
pub struct BillDesk {
    /// Where they come from.
    pub place: Place,
    /// Where raw files are kept; nowhere if not given.
    pub archive: Option<Arc<dyn Archive>>,
    /// Where they lie while they are read, without a name; the system's own place if not given.
    pub spool: Option<PathBuf>,
}

impl BillDesk {
    /// A file without a name: it is gone when it is closed, whatever happens.
    ///
    /// # Errors
    /// [`Fault::Retry`] when there is no room.
    pub fn spool(&self) -> Result<File, Fault> {
        let file = match &self.spool {
            Some(dir) => tempfile::tempfile_in(dir),
            None => tempfile::tempfile(),
        };
        file.map_err(|error| Fault::Retry(format!("there is no room for a bill: {error}")))
    }

    /// Keeps the raw file, whatever is in it; then looks at all of it.
    ///
    /// # Errors
    /// What is wrong with it, by a stable code.
    pub async fn read(
        &self,
        mut file: File,
        expected: Expected,
        account: &str,
    ) -> Result<FetchedBill, Fault> {
        if let Some(archive) = &self.archive {
            let label = Label {
                kind: "bills",
                owner: expected.mchid.to_string(),
                about: format!("{}-{account}", expected.date),
            };
            archive.keep(&label, &mut file).await?;
        }
        let read = tokio::task::spawn_blocking(move || check::bill(file, &expected)).await;
        let bill = read.map_err(|_| Fault::Broken("reading a bill came to no end".into()))??;
        if bill.count == 0 {
            return Ok(FetchedBill::Empty);
        }
        Ok(FetchedBill::Ready(bill))
    }

    /// The bill of a day as somebody delivered it.
    ///
    /// # Errors
    /// When the place does not answer, or what is wrong with the file.
    pub(crate) async fn delivered(
        &self,
        mchid: &MchId,
        date: BusinessDate,
    ) -> Result<FetchedBill, Fault> {
        let Place::Delivered {
            shelf,
            names,
            hashed,
        } = &self.place
        else {
            return Err(Fault::Broken("nobody delivers bills here".into()));
        };
        for (name, account) in wanted(names, mchid, date) {
            let mut file = self.spool()?;
            let shelf = shelf.as_ref();
            match shelf.take(&name, &mut file, FILE_MAX as u64).await? {
                Taken::Absent => continue,
                Taken::Arriving => {
                    tracing::info!(%mchid, %date, "a bill is there and still grows");
                    return Ok(FetchedBill::NotYet);
                }
                Taken::Whole(_) => {}
            }
            let hash = self.said_hash(shelf, &name).await?;
            if hash.is_none() && *hashed {
                let words = format!(
                    "bill_hash_missing: {name} is there, and neither {name}.sha1 nor \
                                     {name}.sha256 is; nothing of it was booked"
                );
                return Err(Fault::Retry(words));
            }
            let expected = Expected {
                mchid: mchid.clone(),
                date,
                hash,
            };
            let read = self.read(file, expected, account).await;
            return read.map_err(|fault| at(fault, shelf, &name));
        }
        Ok(FetchedBill::NotYet)
    }

    async fn said_hash(&self, shelf: &dyn Shelf, name: &str) -> Result<Option<String>, Fault> {
        for kind in HASHES {
            let mut file = self.spool()?;
            let name = format!("{name}.{kind}");
            if !matches!(
                shelf.take(&name, &mut file, HASH_MAX).await?,
                Taken::Whole(_)
            ) {
                continue;
            }
            let mut text = String::new();
            let read = file
                .seek(SeekFrom::Start(0))
                .and_then(|_| file.read_to_string(&mut text));
            read.map_err(|error| at(BillFault::from(error).into(), shelf, &name))?;
            // As `sha1sum` writes it: the hash, then the name.
            let hash = text.split_whitespace().next().unwrap_or_default();
            return Ok(Some(hash.to_owned()));
        }
        Ok(None)
    }
}

/// Says which file it was.
fn at(fault: Fault, shelf: &dyn Shelf, name: &str) -> Fault {
    let named = |words: String| format!("{words} ({name} of {})", shelf.name());
    match fault {
        Fault::Retry(words) => Fault::Retry(named(words)),
        Fault::Broken(words) => Fault::Broken(named(words)),
        fault => fault,
    }
}

/// The names under which a bill may be there, with the account that each is of.
fn wanted(names: &[String], mchid: &MchId, date: BusinessDate) -> Vec<(String, &'static str)> {
    let mut wanted: Vec<(String, &'static str)> = Vec::new();
    for account in ACCOUNTS {
        for name in names {
            let name = name
                .replace("{mchid}", mchid.as_str())
                .replace("{date}", &date.to_string())
                .replace("{day}", &date.to_string().replace('-', ""))
                .replace("{account}", account);
            if wanted.iter().all(|(known, _)| *known != name) {
                wanted.push((name, account));
            }
        }
    }
    wanted
}
