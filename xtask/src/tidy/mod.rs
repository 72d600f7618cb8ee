//! The shape of the repository as rules that fail, each with the place and what to do.

mod documents;
mod edges;
mod sources;

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

/// A file of the repository.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// Relative to the root, with slashes.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

/// Something that is not as agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    path: String,
    line: usize,
    words: String,
}

impl Complaint {
    pub(crate) fn new(file: &File, line: usize, words: impl Into<String>) -> Complaint {
        Complaint {
            path: file.path.clone(),
            line,
            words: words.into(),
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.words)
    }
}

/// Checks everything.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let files = files(root)?;
    let mut complaints = Vec::new();
    for file in &files {
        complaints.extend(sources::check(file));
        complaints.extend(edges::check(file));
    }
    complaints.extend(documents::check(&files));
    if complaints.is_empty() {
        return Ok(());
    }
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    bail!("{} things are not tidy", complaints.len());
}

/// Every text file that git knows or would know.
fn files(root: &Path) -> anyhow::Result<Vec<File>> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("git does not run")?;
    let words = String::from_utf8_lossy(&listed.stderr);
    ensure!(
        listed.status.success(),
        "git cannot list the files: {}",
        words.trim()
    );
    let list = String::from_utf8(listed.stdout)?;
    ensure!(!list.is_empty(), "git lists no files");
    let read = |path: &str| {
        let text = fs::read_to_string(root.join(path)).ok()?;
        Some(File {
            path: path.to_owned(),
            text,
        })
    };
    Ok(list.lines().filter_map(read).collect())
}

#[cfg(test)]
pub(crate) fn sample(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}
