//! Plants mistakes in a copy of the workspace and lets the simulator look for them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use toml::Table;

use super::planting::{Change, SWITCH, plant};
use super::{build, output, report};

/// Where the mistakes are written down.
const TABLE: &str = "crates/sim/mutations.toml";
/// Where the stories are.
const STORIES: &str = "crates/sim/stories";
/// The exit code of the simulator when an invariant was violated.
const FOUND: i32 = 3;

/// One mistake.
#[derive(Clone, Debug)]
struct Mutation {
    name: String,
    group: String,
    file: String,
    find: String,
    replace: String,
    why: String,
}

fn read(text: &str) -> anyhow::Result<Vec<Mutation>> {
    let table: Table = text
        .parse()
        .context("the table of mistakes does not read")?;
    let list = table.get("mutation").and_then(|list| list.as_array());
    let list = list.context("the table holds no mistakes")?;
    list.iter()
        .map(|entry| {
            let field = |name: &str| {
                let text = entry.get(name).and_then(|value| value.as_str());
                let text = text.with_context(|| format!("a mistake has no `{name}`"))?;
                anyhow::Ok(text.to_owned())
            };
            Ok(Mutation {
                name: field("name")?,
                group: field("group")?,
                file: field("file")?,
                find: field("find")?,
                replace: field("replace")?,
                why: field("why")?,
            })
        })
        .collect()
}

/// Plants every mistake behind a switch, builds once, and lets the simulator look for each.
pub(crate) fn run(root: &Path, only: &[String], budget: &str) -> anyhow::Result<()> {
    let mutations = read(&fs::read_to_string(root.join(TABLE))?)?;
    let place = root.join("target/mutations");
    let copy = place.join("workspace");
    copy_workspace(root, &copy, &planted(root, &mutations)?)?;
    let simulator = Simulator {
        program: build(&copy, &place.join("target"), true)?,
        stories: stories(&copy)?,
        budget: budget.to_owned(),
    };
    let (printed, code) = simulator.look(None)?;
    ensure!(
        code == Some(0),
        "without a mistake the simulator fails:\n{printed}"
    );
    let named = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part));
    let mut rows = Vec::new();
    let mut survivors = Vec::new();
    for (no, mutation) in mutations.iter().enumerate() {
        if !named(&mutation.name) {
            continue;
        }
        let (printed, code) = simulator.look(Some(no))?;
        match code {
            Some(0) => {
                println!("{:<40} SURVIVES: {}", mutation.name, mutation.why);
                survivors.push(mutation.name.as_str());
            }
            Some(FOUND) => {
                let caught = caught(&printed).context(printed)?;
                println!("{:<40} {caught}", mutation.name);
                rows.push((mutation, caught));
            }
            other => {
                println!("{:<40} ENDS with {other:?}", mutation.name);
                survivors.push(mutation.name.as_str());
            }
        }
    }
    let tried = rows.len() + survivors.len();
    println!("{} of {tried} mistakes were caught", rows.len());
    if only.is_empty() {
        report::mistakes(root, &table(&rows, mutations.len()))?;
    }
    ensure!(survivors.is_empty(), "not caught: {}", survivors.join(", "));
    Ok(())
}

/// What the document shows.
fn table(rows: &[(&Mutation, Caught)], planted: usize) -> String {
    let mut lines = vec![
        format!("{} of {planted} mistakes were caught:", rows.len()),
        String::new(),
        "| mistake | known from | caught by | in | after |".to_owned(),
        "| --- | --- | --- | --- | --- |".to_owned(),
    ];
    lines.extend(rows.iter().map(|(mutation, caught)| {
        let Caught {
            invariant,
            place,
            after,
        } = caught;
        let why = mutation.why.trim_end_matches('.').replace('|', "/");
        let group = &mutation.group;
        format!("| {why} | {group} | `{invariant}` | {place} | {after} |")
    }));
    lines.join("\n")
}

struct Caught {
    invariant: String,
    /// The seed, story or point.
    place: String,
    after: String,
}

impl std::fmt::Display for Caught {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Caught {
            invariant,
            place,
            after,
        } = self;
        write!(f, "{invariant:<24} {place:<44} after {after}")
    }
}

/// Files with all of their mistakes in them.
fn planted(root: &Path, mutations: &[Mutation]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files: BTreeMap<&str, Vec<Change<'_>>> = BTreeMap::new();
    for (no, mutation) in mutations.iter().enumerate() {
        files.entry(&mutation.file).or_default().push(Change {
            no,
            find: &mutation.find,
            replace: &mutation.replace,
        });
    }
    let plant = |(file, changes): (&str, Vec<Change<'_>>)| {
        let right = fs::read_to_string(root.join(file)).with_context(|| file.to_owned())?;
        let wrong = plant(&right, &changes).with_context(|| file.to_owned())?;
        Ok((file.to_owned(), wrong))
    };
    files.into_iter().map(plant).collect()
}

fn stories(copy: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut stories: Vec<_> = fs::read_dir(copy.join(STORIES))?
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "story"))
        .collect();
    stories.sort();
    Ok(stories)
}

/// The simulator with all mistakes in it.
struct Simulator {
    program: PathBuf,
    stories: Vec<PathBuf>,
    budget: String,
}

impl Simulator {
    /// Looks for a mistake: in stories, in seeds, and at points of death.
    fn look(&self, mistake: Option<usize>) -> anyhow::Result<(String, Option<i32>)> {
        for story in &self.stories {
            let mut command = self.command(mistake);
            let (printed, code) = output(command.arg("--story").arg(story))?;
            if code != Some(0) {
                return Ok((printed, code));
            }
        }
        let fixed = ["--seed", "1", "--seeds", "1000000", "--no-shrink"];
        let mut command = self.command(mistake);
        command.args(fixed).arg("--until").arg(&self.budget);
        let (printed, code) = output(&mut command)?;
        if code != Some(0) {
            return Ok((printed, code));
        }
        output(self.command(mistake).arg("--crash-points"))
    }

    fn command(&self, mistake: Option<usize>) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(no) = mistake {
            command.env(SWITCH, no.to_string());
        }
        command
    }
}

/// Reads `VIOLATED name by seed N after N actions`.
fn caught(printed: &str) -> Option<Caught> {
    let line = printed
        .lines()
        .find_map(|line| line.strip_prefix("VIOLATED "))?;
    let words: Vec<&str> = line.split(' ').collect();
    let word = |place: usize| words.get(place).map(|word| (*word).to_owned());
    Some(Caught {
        invariant: word(0)?,
        place: format!("{} {}", word(2)?, word(3)?.trim_end_matches(".story")),
        after: format!("{} actions", word(5)?),
    })
}

/// Copies what git knows, with mistakes in it, and only what changed, so that builds go on from the
/// last time.
fn copy_workspace(
    root: &Path,
    copy: &Path,
    planted: &BTreeMap<String, String>,
) -> anyhow::Result<()> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("git does not run")?;
    let listed = String::from_utf8(listed.stdout)?;
    forget(copy, &copy.join("crates"), &listed)?;
    for path in listed.lines() {
        let (from, to) = (root.join(path), copy.join(path));
        let bytes = match planted.get(path) {
            Some(wrong) => Ok(wrong.clone().into_bytes()),
            None => fs::read(&from),
        };
        let Ok(bytes) = bytes else { continue };
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
        fs::write(&to, bytes)?;
    }
    Ok(())
}

/// Removes what git no longer knows.
fn forget(copy: &Path, folder: &Path, listed: &str) -> anyhow::Result<()> {
    let Ok(there) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in there {
        let path = entry?.path();
        if path.is_dir() {
            forget(copy, &path, listed)?;
            continue;
        }
        let name = path.strip_prefix(copy)?.to_string_lossy();
        if !listed.lines().any(|known| known == name) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_can_be_planted_and_every_known_one_is_there() {
        let root = crate::root();
        let text = fs::read_to_string(root.join(TABLE)).expect("the table is there");
        let mutations = read(&text).expect("it reads");
        planted(&root, &mutations).expect("each stands in a function");
        for mutation in &mutations {
            let file = fs::read_to_string(root.join(&mutation.file)).expect(&mutation.file);
            let times = file.matches(&mutation.find).count();
            assert_eq!(times, 1, "{} in {}", mutation.name, mutation.file);
            assert_ne!(mutation.find, mutation.replace, "{}", mutation.name);
            assert!(!mutation.why.is_empty(), "{}", mutation.name);
        }
        let count = |group: &str| mutations.iter().filter(|m| m.group == group).count();
        for group in [
            "rival-1", "rival-2", "rival-3", "rival-4", "rival-5", "rival-6",
        ] {
            assert!(count(group) > 0, "{group}");
        }
        for group in [
            "asked-1", "asked-2", "asked-3", "asked-6", "asked-7", "asked-8",
        ] {
            assert!(count(group) > 0, "{group}");
        }
        assert!(count("own") >= 15, "{}", count("own"));
    }

    #[test]
    fn what_the_simulator_found_is_read() {
        let found = caught("x\nVIOLATED one_hold by seed 7 after 12 actions\n").expect("found");
        assert_eq!(
            (found.invariant.as_str(), found.place.as_str()),
            ("one_hold", "seed 7")
        );
        assert_eq!(found.after, "12 actions");
        assert!(caught("nothing").is_none());
    }
}
