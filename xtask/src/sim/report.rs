//! Writes what the simulator saw into the document that promises things.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::{build, output};

/// The document.
const DOCUMENT: &str = "docs/SAFETY.md";
/// What is between these lines is written by this command.
const MARKS: (&str, &str) = ("<!-- sim report: begin -->", "<!-- sim report: end -->");
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
    let (before, rest) = document
        .split_once(MARKS.0)
        .context("the document has no mark")?;
    let (_, after) = rest
        .split_once(MARKS.1)
        .context("the document has no end mark")?;
    let text = format!(
        "{before}{}\n{}\n{}{after}",
        MARKS.0,
        table(&printed, &points),
        MARKS.1
    );
    fs::write(root.join(DOCUMENT), text)?;
    Ok(())
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
    fn figures_become_rows_and_words_do_not() {
        let text = table("seeds 3\nhello\n", "crash_points 12\n");
        assert!(
            text.ends_with("| seeds | 3 |\n| crash points | 12 |"),
            "{text}"
        );
    }
}
