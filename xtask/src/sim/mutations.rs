//! Plants mistakes in a copy of the workspace and lets the simulator look for them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use toml::Table;

use super::{build, output};

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

/// Plants every mistake, one by one.
pub(crate) fn run(root: &Path, only: Option<&str>, budget: &str) -> anyhow::Result<()> {
    let mut mutations = read(&fs::read_to_string(root.join(TABLE))?)?;
    mutations.retain(|mutation| only.is_none_or(|only| mutation.name.contains(only)));
    let place = root.join("target/mutations");
    let (copy, target) = (place.join("workspace"), place.join("target"));
    copy_workspace(root, &copy)?;
    let simulator = build(&copy, &target, true)?;
    let (printed, code) = simulate(&simulator, "10s")?;
    ensure!(
        code == Some(0),
        "without a mistake the simulator fails:\n{printed}"
    );
    println!(
        "{:<40} {:<8} {:<24} {:>6} {:>6}",
        "mistake", "group", "caught by", "seed", "after"
    );
    let mut survivors = Vec::new();
    for mutation in &mutations {
        match plant(&copy, &target, mutation, budget)? {
            Some(Caught {
                invariant,
                seed,
                actions,
            }) => println!(
                "{:<40} {:<8} {invariant:<24} {seed:>6} {actions:>6}",
                mutation.name, mutation.group
            ),
            None => {
                println!(
                    "{:<40} {:<8} SURVIVES: {}",
                    mutation.name, mutation.group, mutation.why
                );
                survivors.push(mutation.name.as_str());
            }
        }
    }
    println!(
        "{} of {} mistakes were caught",
        mutations.len() - survivors.len(),
        mutations.len()
    );
    if survivors.is_empty() {
        return Ok(());
    }
    bail!("not caught: {}", survivors.join(", "));
}

struct Caught {
    invariant: String,
    seed: String,
    actions: String,
}

/// Plants one mistake, lets the simulator look for it, and takes it out again.
fn plant(
    copy: &Path,
    target: &Path,
    mutation: &Mutation,
    budget: &str,
) -> anyhow::Result<Option<Caught>> {
    let file = copy.join(&mutation.file);
    let right = fs::read_to_string(&file).with_context(|| mutation.file.clone())?;
    ensure!(
        right.matches(&mutation.find).count() == 1,
        "{} is not to be planted",
        mutation.name
    );
    fs::write(&file, right.replacen(&mutation.find, &mutation.replace, 1))?;
    let simulated = build(copy, target, true).and_then(|simulator| look(copy, &simulator, budget));
    fs::write(&file, right)?;
    let (printed, code) = simulated.with_context(|| mutation.name.clone())?;
    match code {
        Some(0) => Ok(None),
        Some(FOUND) => Ok(Some(caught(&printed).context(printed)?)),
        other => bail!(
            "{}: the simulator ended with {other:?}:\n{printed}",
            mutation.name
        ),
    }
}

/// Looks for a mistake: in stories, in seeds, and at points of death.
fn look(copy: &Path, simulator: &Path, budget: &str) -> anyhow::Result<(String, Option<i32>)> {
    let mut stories: Vec<_> = fs::read_dir(copy.join(STORIES))?
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "story"))
        .collect();
    stories.sort();
    for story in stories {
        let (printed, code) = output(Command::new(simulator).arg("--story").arg(story))?;
        if code != Some(0) {
            return Ok((printed, code));
        }
    }
    let (printed, code) = simulate(simulator, budget)?;
    if code != Some(0) {
        return Ok((printed, code));
    }
    output(Command::new(simulator).arg("--crash-points"))
}

fn simulate(simulator: &Path, budget: &str) -> anyhow::Result<(String, Option<i32>)> {
    let fixed = [
        "--seed",
        "1",
        "--seeds",
        "1000000",
        "--no-shrink",
        "--until",
        budget,
    ];
    output(Command::new(simulator).args(fixed))
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
        seed: word(3)?,
        actions: word(5)?,
    })
}

/// Copies what git knows, and only what changed, so that builds go on from the last time.
fn copy_workspace(root: &Path, copy: &Path) -> anyhow::Result<()> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("git does not run")?;
    for path in String::from_utf8(listed.stdout)?.lines() {
        let (from, to) = (root.join(path), copy.join(path));
        let Ok(bytes) = fs::read(&from) else { continue };
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
        fs::write(&to, bytes)?;
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
            (found.invariant.as_str(), found.seed.as_str()),
            ("one_hold", "7")
        );
        assert_eq!(found.actions, "12");
        assert!(caught("nothing").is_none());
    }
}
