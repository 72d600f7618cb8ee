//! Where the processor's time goes: `lingqian bench ledger` under valgrind, which counts
//! instructions and counts the same every time, or under perf, which samples the real machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};

use crate::{call, has};

/// What to run.
#[derive(Args)]
pub(crate) struct Profile {
    /// Who counts.
    #[arg(long, value_enum, default_value_t = Tool::Callgrind)]
    tool: Tool,
    /// So many entries are booked, and in a second run twice as many; under perf a hundred times.
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    entries: u64,
    /// So many functions are listed.
    #[arg(long, value_name = "N", default_value_t = 30)]
    top: usize,
    /// Passed on to `lingqian bench ledger`, such as `--mix full` or `--ids ordered`.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Who counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tool {
    /// Instructions, by valgrind's callgrind: slow, and the same in every run.
    Callgrind,
    /// Samples of the real machine, by perf, where the system allows it.
    Perf,
}

/// Users of a small run; a bench has as many as entries otherwise.
const USERS: &str = "--users=5000";

/// Builds the executable as it is shipped and profiles it.
pub(crate) fn run(root: &Path, options: &Profile) -> anyhow::Result<()> {
    call(
        root,
        "cargo",
        &["build", "--release", "--locked", "-p", "lingqian"],
    )?;
    let dir = std::env::temp_dir().join(format!("lingqian-profile-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let done = match options.tool {
        Tool::Callgrind => callgrind(root, &dir, options),
        Tool::Perf => perf(root, &dir, options),
    };
    let _ = fs::remove_dir_all(&dir);
    done
}

/// The arguments of a run.
fn bench(options: &Profile, entries: u64, harness: bool) -> Vec<String> {
    let fixed = [
        "bench",
        "ledger",
        "--no-audit",
        "--withdrawals=0",
        "--batch=2000",
        USERS,
    ];
    let mut all: Vec<String> = fixed.map(str::to_owned).to_vec();
    all.push(format!("--entries={entries}"));
    all.extend(harness.then(|| "--harness".to_owned()));
    all.extend(options.arguments.iter().cloned());
    all
}

fn quietly(program: &Path, arguments: &[String]) -> anyhow::Result<()> {
    eprintln!("$ {} {}", program.display(), arguments.join(" "));
    let output = Command::new(program)
        .args(arguments)
        .env_remove("LINGQIAN_STORE")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(
        output.status.success(),
        "it ended with {}:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn callgrind(root: &Path, dir: &Path, options: &Profile) -> anyhow::Result<()> {
    ensure!(
        has("valgrind", "--version"),
        "valgrind is not installed: install the package valgrind, or use --tool perf"
    );
    let executable = root.join("target/release/lingqian");
    let counted = |name: &str, entries: u64, harness: bool| {
        let file = dir.join(name);
        let mut arguments = vec![
            "--tool=callgrind".to_owned(),
            format!("--callgrind-out-file={}", file.display()),
            executable.display().to_string(),
        ];
        arguments.extend(bench(options, entries, harness));
        quietly(Path::new("valgrind"), &arguments)?;
        let text = fs::read_to_string(&file)?;
        let all = total(&text).context("callgrind wrote no total")?;
        anyhow::Ok((all, file))
    };
    let (once, twice) = (options.entries, options.entries * 2);
    let (books_once, _) = counted("once", once, false)?;
    let (books_twice, file) = counted("twice", twice, false)?;
    let (bench_once, _) = counted("bench-once", once, true)?;
    let (bench_twice, _) = counted("bench-twice", twice, true)?;
    // Start, registration and end are in both runs; making up and driving is in the harness.
    let each = |once: u64, twice: u64| twice.saturating_sub(once) / options.entries;
    let (books, own) = (each(books_once, books_twice), each(bench_once, bench_twice));
    ensure!(
        books > own,
        "nothing was booked: an argument after `--` keeps the bench from running"
    );
    println!("instructions per entry");
    println!("  books and bench      {books:>10}");
    println!("  bench alone          {own:>10}");
    println!("  books alone          {:>10}", books.saturating_sub(own));
    let functions = functions(&annotated(&file)?);
    println!("share of all instructions of the run of {twice} entries");
    tell(&functions, options.top);
    Ok(())
}

/// The number of instructions in a file of callgrind.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| {
        line.strip_prefix("totals:")
            .or(line.strip_prefix("summary:"))
    })?;
    line.trim().parse().ok()
}

fn annotated(file: &PathBuf) -> anyhow::Result<String> {
    let output = Command::new("callgrind_annotate")
        .args(["--auto=no", "--threshold=100"])
        .arg(file)
        .output()
        .context("cannot run callgrind_annotate, which comes with valgrind")?;
    ensure!(output.status.success(), "callgrind_annotate failed");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The functions of an annotated profile, with their instructions, the busiest first.
fn functions(text: &str) -> Vec<(u64, String)> {
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for line in text.lines() {
        // 1,234,567 (12.34%)  file:function [object]
        let Some((count, rest)) = line.trim().split_once(" (") else {
            continue;
        };
        let Ok(count) = count.replace(',', "").parse::<u64>() else {
            continue;
        };
        let Some((_, place)) = rest.split_once(')') else {
            continue;
        };
        let place = place.trim();
        let place = place.rsplit_once(" [").map_or(place, |(place, _)| place);
        // A path has no two colons in a row; a function may.
        let name = place
            .char_indices()
            .find(|(at, sign)| {
                *sign == ':' && !place[at + 1..].starts_with(':') && !place[..*at].ends_with(':')
            })
            .map_or(place, |(at, _)| &place[at + 1..]);
        if name != "PROGRAM TOTALS" {
            *sums.entry(plain(name)).or_default() += count;
        }
    }
    let mut all: Vec<(u64, String)> = sums.into_iter().map(|(name, sum)| (sum, name)).collect();
    all.sort_by(|one, other| other.cmp(one));
    all
}

/// A name without the hash that the compiler gives it.
fn plain(name: &str) -> String {
    let hash = |end: &str| {
        end.strip_prefix('h').is_some_and(|digits| {
            digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit())
        })
    };
    match name.rsplit_once("::") {
        Some((start, end)) if hash(end) => start.to_owned(),
        _ => name.to_owned(),
    }
}

fn tell(functions: &[(u64, String)], top: usize) {
    let all: u64 = functions.iter().map(|(sum, _)| sum).sum();
    for (sum, name) in functions.iter().take(top) {
        let tenths = sum.saturating_mul(1_000) / all.max(1);
        println!("  {:>3}.{} %  {sum:>14}  {name}", tenths / 10, tenths % 10);
    }
}

fn perf(root: &Path, dir: &Path, options: &Profile) -> anyhow::Result<()> {
    let samples = dir.join("samples");
    let allowed = Command::new("perf")
        .args(["record", "-q", "-o"])
        .arg(dir.join("try"))
        .arg("true")
        .output();
    ensure!(
        allowed.is_ok_and(|output| output.status.success()),
        "perf is not installed or the system does not allow it; try `sysctl \
         kernel.perf_event_paranoid=1`, or use --tool callgrind"
    );
    let mut arguments: Vec<String> = ["record", "-q", "-F", "999", "-o"]
        .map(str::to_owned)
        .to_vec();
    arguments.push(samples.display().to_string());
    arguments.push(root.join("target/release/lingqian").display().to_string());
    arguments.extend(bench(options, options.entries * 100, false));
    quietly(Path::new("perf"), &arguments)?;
    let report = Command::new("perf")
        .args([
            "report",
            "--stdio",
            "--no-children",
            "-F",
            "overhead,comm,symbol",
            "-i",
        ])
        .arg(&samples)
        .output()?;
    ensure!(report.status.success(), "perf report failed");
    let report = String::from_utf8_lossy(&report.stdout).into_owned();
    println!("share of all samples, by thread and function");
    let lines = report.lines().filter(|line| line.contains('%'));
    for line in lines.take(options.top) {
        println!("  {}", line.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callgrind_says_is_read() {
        assert_eq!(total("events: Ir\ntotals: 1200\n"), Some(1_200));
        assert_eq!(total("summary: 77\n"), Some(77));
        assert_eq!(total("events: Ir\n"), None);
        let text = "\
Ir
3,000 (100.0%)  PROGRAM TOTALS

Ir                  file:function
1,500 (50.00%)  crates/sqlite/src/page.rs:lingqian_sqlite::page::add::h0123456789abcdef [/x/lingqian]
  500 (16.67%)  /rustc/library/core/src/ops.rs:<T as core::ops::FnOnce>::call [/x/lingqian]
  400 (13.33%)  ???:lingqian_sqlite::page::add [/x/lingqian]
  600 (20.00%)  ???:memcpy
";
        let expected = [
            (1_900, "lingqian_sqlite::page::add"),
            (600, "memcpy"),
            (500, "<T as core::ops::FnOnce>::call"),
        ];
        let expected = expected.map(|(sum, name)| (sum, name.to_owned()));
        assert_eq!(functions(text), expected);
    }
}
