//! Lists as text, in the one form in which every store keeps them.

use lingqian_core::control::Actor;
use lingqian_core::id::AppId;

/// Pairs of type and content as text: one pair a line, separated by a tab. Tabs, line ends and
/// backslashes in them are escaped, so that what was given reads back.
#[must_use]
pub fn report_text(report: &[(String, String)]) -> String {
    let escape = |text: &str| {
        text.replace('\\', r"\\")
            .replace('\t', r"\t")
            .replace('\n', r"\n")
    };
    report
        .iter()
        .map(|(kind, words)| format!("{}\t{}\n", escape(kind), escape(words)))
        .collect()
}

/// The pairs of such a text; nothing when it was never written.
#[must_use]
pub fn read_report(text: &str) -> Option<Vec<(String, String)>> {
    let pair = |line: &str| {
        let (kind, words) = line.split_once('\t')?;
        Some((unescape(kind), unescape(words)))
    };
    text.split_terminator('\n').map(pair).collect()
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut left = text.chars();
    while let Some(next) = left.next() {
        match (next, left.as_str().chars().next()) {
            ('\\', Some(escaped @ ('\\' | 't' | 'n'))) => {
                plain.push(match escaped {
                    't' => '\t',
                    'n' => '\n',
                    other => other,
                });
                left.next();
            }
            _ => plain.push(next),
        }
    }
    plain
}

/// Apps, separated by spaces.
#[must_use]
pub fn apps_text(apps: &[AppId]) -> String {
    let apps: Vec<&str> = apps.iter().map(AppId::as_str).collect();
    apps.join(" ")
}

/// The apps of such a text; nothing when it was never written.
#[must_use]
pub fn read_apps(text: &str) -> Option<Vec<AppId>> {
    text.split_terminator(' ')
        .map(|app| AppId::parse(app).ok())
        .collect()
}

/// Actors, separated by spaces.
#[must_use]
pub fn actors_text(actors: &[Actor]) -> String {
    let names: Vec<&str> = actors.iter().map(Actor::as_str).collect();
    names.join(" ")
}

/// The actors of such a text; nothing when it was never written.
#[must_use]
pub fn read_actors(text: &str) -> Option<Vec<Actor>> {
    text.split_terminator(' ')
        .map(|name| Actor::parse(name).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let pairs = vec![
            ("a\tb".to_owned(), "c\\t\n".to_owned()),
            (String::new(), "\\".to_owned()),
        ];
        assert_eq!(read_report(&report_text(&pairs)), Some(pairs));
        assert_eq!(read_report("no tab\n"), None);
        let apps: Vec<AppId> = ["wx1", "wx2"]
            .iter()
            .map(|app| AppId::parse(app).expect("an app"))
            .collect();
        assert_eq!(read_apps(&apps_text(&apps)), Some(apps));
        assert_eq!(read_apps(""), Some(Vec::new()));
        let actors: Vec<Actor> = ["key:a", "cli:b"]
            .iter()
            .map(|name| Actor::parse(name).expect("a name"))
            .collect();
        assert_eq!(read_actors(&actors_text(&actors)), Some(actors));
        assert_eq!(read_actors(""), Some(Vec::new()));
    }
}
