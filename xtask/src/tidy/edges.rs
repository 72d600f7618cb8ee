//! Which crate may know which. An edge that is not listed does not exist.

use toml::Table;

use crate::tidy::{Complaint, File};

/// Each crate with the crates below it that it may use.
const EDGES: [(&str, &[&str]); 17] = [
    ("core", &[]),
    ("io", &["core"]),
    ("engine", &["core", "io"]),
    ("sqlite", &["core", "io", "sqlite-vtab"]),
    ("sqlite-vtab", &[]),
    ("postgres", &["core", "io"]),
    ("wechat", &["core", "io"]),
    ("hooks", &["core", "io"]),
    ("keys", &["io"]),
    ("pickup", &["io"]),
    ("brokers", &["core", "io", "engine"]),
    ("http", &["core", "io", "engine"]),
    ("sandbox", &[]),
    ("chaos", &[]),
    ("fuzz", &["core", "io", "wechat", "http", "sandbox"]),
    ("sim", &["core", "io", "engine", "wechat"]),
    (
        "lingqian",
        &[
            "core", "io", "engine", "sqlite", "postgres", "wechat", "hooks", "keys", "pickup",
            "brokers", "http", "sandbox", "sim",
        ],
    ),
];

/// Crates that the tests of a crate may use besides.
const TEST_EDGES: [(&str, &str); 2] = [("lingqian", "chaos"), ("wechat", "sandbox")];

/// What the rules may use from elsewhere.
const CORE_USES: [&str; 1] = ["thiserror"];

/// Looks at a manifest; other files have no edges.
pub(crate) fn check(file: &File) -> Vec<Complaint> {
    let name = file
        .path
        .strip_prefix("crates/")
        .and_then(|rest| rest.strip_suffix("/Cargo.toml"));
    let Some(name) = name else { return Vec::new() };
    let complain = |words: String| vec![Complaint::new(file, 1, words)];
    let Some((_, allowed)) = EDGES.iter().find(|(known, _)| *known == name) else {
        return complain(format!(
            "crate {name} is not in the table of edges (xtask, tidy)"
        ));
    };
    let Ok(manifest) = file.text.parse::<Table>() else {
        return complain("the manifest does not read".into());
    };
    let mut complaints = Vec::new();
    for (place, table) in tables(&manifest) {
        for (key, value) in table {
            // A dependency may go by another name.
            let package = value.get("package").and_then(|package| package.as_str());
            let dependency = package.unwrap_or(key);
            if let Some(ours) = dependency.strip_prefix("lingqian-") {
                let tested = place == "dev-dependencies" && TEST_EDGES.contains(&(name, ours));
                // A test may use a crate's own library.
                if !allowed.contains(&ours) && ours != name && !tested {
                    let words = format!("{name} may not know {ours}; see docs/ARCHITECTURE.md");
                    complaints.push(Complaint::new(file, line_of(file, key), words));
                }
            } else if name == "core"
                && place != "dev-dependencies"
                && !CORE_USES.contains(&dependency)
            {
                let words = format!("the rules may not use {dependency}");
                complaints.push(Complaint::new(file, line_of(file, key), words));
            }
        }
    }
    complaints
}

/// Every table of dependencies, those of single platforms too.
fn tables(manifest: &Table) -> Vec<(&'static str, &Table)> {
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let platforms = manifest
        .get("target")
        .and_then(|targets| targets.as_table());
    let platforms = platforms.into_iter().flat_map(|targets| targets.values());
    let places = platforms
        .filter_map(|value| value.as_table())
        .chain([manifest]);
    places
        .flat_map(|place| {
            KINDS
                .iter()
                .filter_map(|kind| Some((*kind, place.get(*kind)?.as_table()?)))
        })
        .collect()
}

fn line_of(file: &File, dependency: &str) -> usize {
    file.text
        .lines()
        .position(|line| line.starts_with(dependency))
        .map_or(1, |line| line + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::sample;

    #[test]
    fn an_edge_that_is_not_drawn_is_refused() {
        let manifest = |name: &str, text: &str| {
            check(&sample(&format!("crates/{name}/Cargo.toml"), text)).len()
        };
        let io = "[dependencies]\nlingqian-io.workspace = true\n";
        assert_eq!(manifest("engine", io), 0);
        assert_eq!(manifest("sandbox", io), 1);
        assert_eq!(manifest("core", io), 1);
        assert_eq!(manifest("core", "[dependencies]\nthiserror = \"2\"\n"), 0);
        assert_eq!(manifest("core", "[dependencies]\nserde = \"1\"\n"), 1);
        assert_eq!(
            manifest("sandbox", "[dev-dependencies]\nlingqian-core = \"1\"\n"),
            1
        );
        let renamed = "[dependencies]\nx = { package = \"lingqian-io\", path = \"../io\" }\n";
        assert_eq!(manifest("sandbox", renamed), 1);
        let platform = "[target.'cfg(unix)'.dependencies]\nlingqian-io.workspace = true\n";
        assert_eq!(manifest("sandbox", platform), 1);
        assert_eq!(manifest("core", "[build-dependencies]\ncc = \"1\"\n"), 1);
        assert_eq!(
            manifest("core", "[dev-dependencies]\nproptest = \"1\"\n"),
            0
        );
        assert_eq!(manifest("stranger", ""), 1);
        let chaos = |kind: &str| format!("[{kind}]\nlingqian-chaos.workspace = true\n");
        assert_eq!(manifest("lingqian", &chaos("dev-dependencies")), 0);
        assert_eq!(manifest("lingqian", &chaos("dependencies")), 1);
    }
}
