//! A folder of this machine.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::PathBuf;

use lingqian_io::Fault;
use lingqian_io::files::{Shelf, Taken, Waiting};

/// A folder.
#[derive(Clone, Debug)]
pub struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// The folder of that path.
    #[must_use]
    pub fn new(dir: PathBuf) -> Folder {
        Folder { dir }
    }

    fn copy(&self, name: &str, into: &mut File, most: u64) -> Result<Taken, Fault> {
        let path = self.dir.join(name);
        let failed = |error: std::io::Error| {
            Fault::Retry(format!("source_failed: {name}: {}", error.kind()))
        };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // A folder that is gone is not a file that has not come yet.
                return match fs::metadata(&self.dir) {
                    Ok(_) => Ok(Taken::Absent),
                    Err(error) => Err(failed(error)),
                };
            }
            Err(error) => return Err(failed(error)),
        };
        let before = file.metadata().map_err(failed)?.len();
        let most = most.saturating_add(1);
        let copied = std::io::copy(&mut file.by_ref().take(most), into).map_err(failed)?;
        if copied >= most {
            return Err(too_large(name));
        }
        let after = fs::metadata(&path).map_err(failed)?.len();
        Ok(if before == copied && after == copied {
            Taken::Whole(copied)
        } else {
            Taken::Arriving
        })
    }
}

/// What is said of a file that is larger than a bill may be.
pub(crate) fn too_large(name: &str) -> Fault {
    Fault::Broken(format!(
        "source_file_too_large: {name} is larger than such a file may be"
    ))
}

impl Shelf for Folder {
    fn name(&self) -> String {
        self.dir.display().to_string()
    }

    fn take<'a>(&'a self, name: &'a str, into: &'a mut File, most: u64) -> Waiting<'a, Taken> {
        Box::pin(async move { self.copy(name, into, most) })
    }
}
