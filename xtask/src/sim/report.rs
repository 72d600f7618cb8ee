//! Writes what the simulator saw into the document that promises things.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use toml::Table;

use super::{build, output};

/// The document.
const DOCUMENT: &str = "docs/SAFETY.md";
/// What is between these lines is written by this command.
const MARKS: (&str, &str) = ("<!-- sim report: begin -->", "<!-- sim report: end -->");
/// And between these: a row for each version.
const HISTORY: (&str, &str) = ("<!-- sim history: begin -->", "<!-- sim history: end -->");
/// And between these: the planted mistakes.
const MISTAKES: (&str, &str) = ("<!-- sim mistakes: begin -->", "<!-- sim mistakes: end -->");
/// What a row of the history says.
const FIGURES: [&str; 8] = [
    "seeds",
    "actions",
    "payouts",
    "crashes",
    "faults",
    "checks",
    "flows_killed_at_every_point",
    "points_of_death",
];
/// How long seeds are run for.
const UNTIL: &str = "60s";

/// Runs the simulator and writes its figures down.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let simulator = build(root, &root.join("target"), false)?;
    let fixed = [
        "--seed", "1", "--seeds", "1000000", "--until", UNTIL, "--plain",
    ];
    let (printed, code) = output(Command::new(&simulator).args(fixed))?;
    ensure!(code == Some(0), "the simulator found something:\n{printed}");
    let (points, code) = output(Command::new(&simulator).arg("--crash-points"))?;
    ensure!(code == Some(0), "a crash point failed:\n{points}");
    let document = fs::read_to_string(root.join(DOCUMENT))?;
    let text = between(&document, MARKS, |_| table(&printed, &points))?;
    let version = version(root)?;
    let text = between(&text, HISTORY, |known| {
        history(known, &version, &format!("{printed}\n{points}"))
    })?;
    fs::write(root.join(DOCUMENT), text)?;
    Ok(())
}

/// Writes down by what each planted mistake was caught.
pub(crate) fn mistakes(root: &Path, table: &str) -> anyhow::Result<()> {
    let document = fs::read_to_string(root.join(DOCUMENT))?;
    let text = between(&document, MISTAKES, |_| table.to_owned())?;
    fs::write(root.join(DOCUMENT), text)?;
    Ok(())
}

/// Writes something else between two marks.
fn between(
    document: &str,
    marks: (&str, &str),
    write: impl FnOnce(&str) -> String,
) -> anyhow::Result<String> {
    let (before, rest) = document
        .split_once(marks.0)
        .context("the document has no mark")?;
    let (known, after) = rest
        .split_once(marks.1)
        .context("the document has no end mark")?;
    let text = write(known);
    Ok(format!("{before}{}\n{text}\n{}{after}", marks.0, marks.1))
}

/// What this is called in the history: its version, and whether that is released.
fn version(root: &Path) -> anyhow::Result<String> {
    let manifest: Table = fs::read_to_string(root.join("Cargo.toml"))?.parse()?;
    let package = manifest.get("workspace").and_then(|w| w.get("package"));
    let version = package.and_then(|p| p.get("version"));
    let version = version.and_then(|version| version.as_str());
    let version = version.context("the workspace has no version")?;
    let changes = fs::read_to_string(root.join("CHANGELOG.md"))?;
    let released = changes.contains(&format!("## [{version}]"));
    Ok(if released {
        version.to_owned()
    } else {
        format!("{version}, unreleased")
    })
}

/// The figures of each version in a row of its own, the newest first. A version that is seen again
/// is written anew, and its release replaces what was seen before it.
fn history(known: &str, version: &str, printed: &str) -> String {
    let own = version.split(',').next().unwrap_or(version);
    let value = |name: &str| {
        let mut lines = printed.lines();
        let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.unwrap_or("?").to_owned()
    };
    let cells: Vec<String> = FIGURES.iter().map(|name| value(name)).collect();
    let head: Vec<String> = FIGURES.iter().map(|name| name.replace('_', " ")).collect();
    let mut rows = vec![
        format!("| version | {} |", head.join(" | ")),
        format!("| --- |{}", " ---: |".repeat(FIGURES.len())),
        format!("| {version} | {} |", cells.join(" | ")),
    ];
    let earlier = known.lines().filter(|line| line.starts_with("| ")).skip(2);
    let other = |line: &&str| {
        let name = line.trim_start_matches("| ");
        let name = name.split([',', ' ']).next().unwrap_or_default();
        name != own
    };
    rows.extend(earlier.filter(other).map(str::to_owned));
    rows.join("\n")
}

fn table(printed: &str, points: &str) -> String {
    let rows = printed.lines().chain(points.lines()).filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        value.parse::<u64>().ok()?;
        Some(format!("| {} | {value} |", name.replace('_', " ")))
    });
    let rows: Vec<String> = rows.collect();
    format!("| what | how many |\n| --- | ---: |\n{}", rows.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_a_row_and_the_newest_is_the_first() {
        let first = history("", "0.1.0, unreleased", "seeds 3\npoints_of_death 12");
        let last = |text: &str| text.lines().last().unwrap_or_default().to_owned();
        assert_eq!(
            last(&first),
            "| 0.1.0, unreleased | 3 | ? | ? | ? | ? | ? | ? | 12 |"
        );
        let released = history(&first, "0.1.0", "seeds 4");
        assert_eq!(released.lines().count(), 3, "{released}");
        let next = history(&released, "0.2.0, unreleased", "seeds 5");
        let rows: Vec<&str> = next.lines().skip(2).collect();
        assert!(rows[0].starts_with("| 0.2.0, unreleased | 5 |"), "{next}");
        assert!(rows[1].starts_with("| 0.1.0 | 4 |"), "{next}");
        assert_eq!(rows.len(), 2);
    }

    #[test]
    fn figures_become_rows_and_words_do_not() {
        let text = table("seeds 3\nhello\n", "crash_points 12\n");
        assert!(
            text.ends_with("| seeds | 3 |\n| crash points | 12 |"),
            "{text}"
        );
    }
}
