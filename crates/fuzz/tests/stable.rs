//! The targets on stable: every seed, and the same changes of them every time.

use std::fs;
use std::path::{Path, PathBuf};

use lingqian_fuzz::{TARGETS, Target};

/// So many changes of each target where nobody says how many.
const CHANGES: u32 = 1_500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The seeds of a target, at least one.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = root().join("corpus").join(name);
    let found = fs::read_dir(&folder).unwrap_or_else(|_| panic!("{name} has no seeds"));
    let mut paths: Vec<PathBuf> = found.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    let read = |path: &PathBuf| fs::read(path).expect("readable");
    let seeds: Vec<Vec<u8>> = paths.iter().map(read).collect();
    assert!(!seeds.is_empty(), "{name} has no seeds");
    seeds
}

/// Words that mean something to one parser or the other.
const WORDS: [&[u8]; 16] = [
    b"<xml>",
    b"</xml>",
    b"<![CDATA[",
    b"]]>",
    b"&lt;",
    b"&#x0;",
    b"<!DOCTYPE",
    b"\r\n",
    b"`",
    b",`",
    b"null",
    b"\\u0000",
    b"-9223372036854775808",
    b"1e999",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x98\x80",
];

/// One change of a seed.
fn changed(random: &mut fastrand::Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.usize(..seeds.len())].clone();
    for _ in 0..random.usize(1..5) {
        let at = random.usize(..=bytes.len());
        match random.u8(..7) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.u8(..)),
            2 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
            3 if at < bytes.len() => drop(bytes.remove(at)),
            4 => {
                let word = WORDS[random.usize(..WORDS.len())];
                bytes.splice(at..at, word.iter().copied());
            }
            5 => {
                let end = (at + random.usize(..64)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = random.usize(..=bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => {
                let other = &seeds[random.usize(..seeds.len())];
                let from = random.usize(..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
    bytes
}

fn run((name, target): Target) {
    let seeds = seeds(name);
    seeds.iter().for_each(|seed| target(seed));
    let wanted = std::env::var("LINGQIAN_FUZZ").ok();
    let changes = wanted.and_then(|text| text.parse().ok()).unwrap_or(CHANGES);
    let mut random = fastrand::Rng::with_seed(7);
    for no in 0..changes {
        let bytes = changed(&mut random, &seeds);
        let outcome = std::panic::catch_unwind(|| target(&bytes));
        assert!(
            outcome.is_ok(),
            "{name} broke at change {no}: {:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
}

#[test]
fn readers_of_wechats_messages_bear_everything() {
    TARGETS[..5].iter().copied().for_each(run);
}

#[test]
fn readers_of_what_apps_send_bear_everything() {
    TARGETS[5..7].iter().copied().for_each(run);
}

#[test]
fn readers_of_the_sandbox_bear_everything() {
    TARGETS[7..].iter().copied().for_each(run);
}

#[test]
fn every_target_can_be_run_by_cargo_fuzz() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let bins = manifest.matches("[[bin]]").count();
    assert_eq!(bins, TARGETS.len());
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let path = root().join("fuzz_targets").join(format!("{name}.rs"));
        let text = fs::read_to_string(path).expect("a source");
        assert!(
            text.contains(&format!("lingqian_fuzz::{name}(data)")),
            "{name}"
        );
    }
}
