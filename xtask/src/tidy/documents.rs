//! Rules about documents and about files together.

use crate::tidy::{Complaint, File};

/// Commands of this program that documents may name.
const COMMANDS: [&str; 8] = [
    "tidy", "test", "sim", "system", "brokers", "profile", "gates", "deny",
];

/// Everything about documents.
pub(crate) fn check(files: &[File]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        complaints.extend(links(file, files));
        complaints.extend(commands(file));
    }
    complaints.extend(readmes(files));
    complaints.extend(twins(files));
    complaints.extend(changelog(files));
    complaints
}

fn find<'f>(files: &'f [File], path: &str) -> Option<&'f File> {
    files.iter().find(|file| file.path == path)
}

/// A relative link leads to a file or a folder.
fn links(file: &File, files: &[File]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for target in line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let path = join(&file.path, target);
            let folder = format!("{}/", path.trim_end_matches('/'));
            let leads = files
                .iter()
                .any(|f| f.path == path || f.path.starts_with(&folder));
            if !leads {
                let words = format!("the link to {target} leads nowhere");
                complaints.push(Complaint::new(file, index + 1, words));
            }
        }
    }
    complaints
}

fn join(from: &str, target: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A command that a document names exists.
fn commands(file: &File) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for rest in line.split("cargo xtask ").skip(1) {
            let name: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
            if !name.is_empty() && !COMMANDS.contains(&name.as_str()) {
                let words = format!("`cargo xtask {name}` does not exist");
                complaints.push(Complaint::new(file, index + 1, words));
            }
        }
    }
    complaints
}

/// Every crate says what it is.
fn readmes(files: &[File]) -> Vec<Complaint> {
    let manifests = files
        .iter()
        .filter(|file| file.path.starts_with("crates/") && file.path.ends_with("/Cargo.toml"));
    manifests
        .filter(|file| find(files, &file.path.replace("Cargo.toml", "README.md")).is_none())
        .map(|file| Complaint::new(file, 1, "the crate has no README.md"))
        .collect()
}

/// The README and its Chinese twin have the same parts.
fn twins(files: &[File]) -> Vec<Complaint> {
    let (Some(english), Some(chinese)) = (find(files, "README.md"), find(files, "README.zh-CN.md"))
    else {
        return Vec::new();
    };
    let parts = |file: &File| {
        let heading = |line: &&str| line.starts_with('#');
        let levels = file.text.lines().filter(heading);
        levels
            .map(|line| line.chars().take_while(|c| *c == '#').count())
            .collect::<Vec<_>>()
    };
    if parts(english) == parts(chinese) {
        return Vec::new();
    }
    vec![Complaint::new(
        chinese,
        1,
        "its headings are not those of README.md",
    )]
}

fn changelog(files: &[File]) -> Vec<Complaint> {
    let Some(file) = find(files, "CHANGELOG.md") else {
        return Vec::new();
    };
    if file.text.contains("## [Unreleased]") {
        return Vec::new();
    }
    vec![Complaint::new(
        file,
        1,
        "there is no section `## [Unreleased]`",
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::sample;

    fn count(files: &[(&str, &str)]) -> usize {
        let files: Vec<File> = files
            .iter()
            .map(|(path, text)| sample(path, text))
            .collect();
        check(&files).len()
    }

    #[test]
    fn each_rule_refuses_a_bad_document_and_lets_a_good_one_pass() {
        let docs = |text| count(&[("docs/a.md", text), ("docs/b.md", ""), ("x/y.rs", "")]);
        assert_eq!(
            docs("[b](b.md) [y](../x/y.rs) [x](../x/) [w](https://example.org) [t](#t)"),
            0
        );
        assert_eq!(docs("[c](c.md)"), 1);
        assert_eq!(docs("run `cargo xtask tidy`"), 0);
        assert_eq!(docs("run `cargo xtask fly`"), 1);
        assert_eq!(count(&[("crates/a/Cargo.toml", "")]), 1);
        assert_eq!(
            count(&[("crates/a/Cargo.toml", ""), ("crates/a/README.md", "")]),
            0
        );
        let twins = |chinese| count(&[("README.md", "# a\n## b\n"), ("README.zh-CN.md", chinese)]);
        assert_eq!(twins("# 甲\n## 乙\n"), 0);
        assert_eq!(twins("# 甲\n"), 1);
        assert_eq!(count(&[("CHANGELOG.md", "# Changes\n")]), 1);
        assert_eq!(count(&[("CHANGELOG.md", "## [Unreleased]\n")]), 0);
    }
}
