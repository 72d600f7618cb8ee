//! Rules about single files.

use crate::tidy::{Complaint, File};

/// No source is longer.
const LINES_MAX: usize = 700;

/// Files whose comments may hold words of the protocol that are Chinese.
const CHINESE_COMMENTS: [&str; 4] = [
    "crates/wechat/",
    "crates/sandbox/",
    "crates/core/src/reconcile.rs",
    "xtask/src/tidy/",
];

/// Everything about one file.
pub(crate) fn check(file: &File) -> Vec<Complaint> {
    let mut complaints = whitespace(file);
    complaints.extend(secrets(file));
    if file.path.ends_with(".rs") {
        complaints.extend(header(file));
        complaints.extend(words(file));
        complaints.extend(language(file));
    }
    complaints
}

fn header(file: &File) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let first = file.text.lines().next().unwrap_or_default();
    if !first.starts_with("//!") && !first.starts_with("#![doc = include_str!(") {
        complaints.push(Complaint::new(
            file,
            1,
            "a source begins by saying what it is: `//! …`",
        ));
    }
    let lines = file.text.lines().count();
    if lines > LINES_MAX {
        let words = format!("{lines} lines; split it, {LINES_MAX} are the limit");
        complaints.push(Complaint::new(file, lines, words));
    }
    complaints
}

/// The words are put together here so that this file does not hold them itself.
fn words(file: &File) -> Vec<Complaint> {
    let banned = [
        (format!("#[{}(", "allow"), "use `#[expect(…, reason = …)]`"),
        (format!("#![{}(", "allow"), "use `#[expect(…, reason = …)]`"),
        (
            format!("TO{}", "DO"),
            "finish it, or leave it out and say so",
        ),
        (format!("FIX{}", "ME"), "fix it"),
        (
            format!("to{}!(", "do"),
            "finish it, or leave it out and say so",
        ),
        (
            format!("#[{}", "ignore"),
            "a test that does not run is none",
        ),
        (
            format!("#[{}", "should_panic"),
            "assert on what comes of it",
        ),
    ];
    let mut complaints = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for (word, advice) in &banned {
            if line.contains(word.as_str()) {
                complaints.push(Complaint::new(
                    file,
                    index + 1,
                    format!("`{word}`: {advice}"),
                ));
            }
        }
    }
    complaints
}

fn language(file: &File) -> Vec<Complaint> {
    if CHINESE_COMMENTS
        .iter()
        .any(|place| file.path.starts_with(place))
    {
        return Vec::new();
    }
    let chinese = |letter: char| ('\u{4e00}'..='\u{9fff}').contains(&letter);
    let comment = |line: &str| line.trim_start().starts_with("//");
    let lines = file.text.lines().enumerate();
    lines
        .filter(|(_, line)| comment(line) && line.chars().any(chinese))
        .map(|(index, _)| Complaint::new(file, index + 1, "comments are English"))
        .collect()
}

fn whitespace(file: &File) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        if line.ends_with([' ', '\t']) {
            complaints.push(Complaint::new(
                file,
                index + 1,
                "white space at the end of the line",
            ));
        }
        if file.path.ends_with(".rs") && line.contains('\t') {
            complaints.push(Complaint::new(file, index + 1, "a tab"));
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        let last = file.text.lines().count();
        complaints.push(Complaint::new(file, last, "the last line does not end"));
    }
    complaints
}

fn secrets(file: &File) -> Vec<Complaint> {
    // Keys of every sort: plain, RSA, EC, encrypted.
    let (begin, end) = ("-----BEGIN ", ["PRIVATE", "KEY-----"].join(" "));
    let mut complaints = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let key = line.split(begin).skip(1).any(|rest| rest.contains(&end));
        if key {
            complaints.push(Complaint::new(file, index + 1, "a private key"));
        }
        for place in ["/ho@me/", "/ro@ot/", "/wo@rk/"] {
            if line.contains(&place.replace('@', "")) {
                complaints.push(Complaint::new(
                    file,
                    index + 1,
                    "a path of somebody's machine",
                ));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::sample;

    fn count(path: &str, text: &str) -> usize {
        check(&sample(path, text)).len()
    }

    #[test]
    fn each_rule_refuses_a_bad_file_and_lets_a_good_one_pass() {
        let good = "//! What it is.\n\nfn main() {}\n";
        assert_eq!(count("a.rs", good), 0);
        assert_eq!(count("a.rs", "fn main() {}\n"), 1);
        assert_eq!(
            count("a.rs", &format!("{good}{}", "//\n".repeat(LINES_MAX))),
            1
        );
        assert_eq!(count("a.rs", &format!("{good}// TO{}\n", "DO later")), 1);
        assert_eq!(
            count("a.rs", &format!("{good}#[{}(dead_code)]\n", "allow")),
            1
        );
        assert_eq!(count("a.rs", &format!("{good}#[{}]\n", "ignore")), 1);
        assert_eq!(count("a.rs", &format!("{good}#[{}]\n", "should_panic")), 1);
        assert_eq!(count("a.rs", &format!("{good}// 零钱\n")), 1);
        assert_eq!(
            count("a.rs", &format!("{good}const A: &str = \"零钱\";\n")),
            0
        );
        assert_eq!(
            count("crates/wechat/src/a.rs", &format!("{good}// 支出\n")),
            0
        );
        assert_eq!(count("a.rs", &format!("{good}\tx\n")), 1);
        assert_eq!(count("a.md", "a \n"), 1);
        assert_eq!(count("a.md", "a"), 1);
        assert_eq!(count("a.md", "a\n"), 0);
        assert_eq!(
            count(
                "a.md",
                &format!("-----BEGIN {}\n", ["PRIVATE", "KEY-----"].join(" "))
            ),
            1
        );
        assert_eq!(
            count(
                "a.md",
                &format!("-----BEGIN EC {}\n", ["PRIVATE", "KEY-----"].join(" "))
            ),
            1
        );
        assert_eq!(
            count("a.rs", &format!("{good}fn a() {{ to{}!() }}\n", "do")),
            1
        );
        assert_eq!(count("a.md", &format!("see /{}/me/x\n", "home")), 1);
    }
}
