//! Plants many mistakes in one program, each behind a switch that is set while it runs: a function
//! that is to be wrong in several ways gets as many bodies. What is looked at is the shape that the
//! formatter gives to every source of ours.

use std::fmt::Write as _;
use std::ops::Range;

use anyhow::{Context as _, ensure};

/// The variable that says which mistake is made.
pub(crate) const SWITCH: &str = "LINGQIAN_MISTAKE";

/// A mistake of a file: which one it is, what stands there, and what is to stand there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'a> {
    pub(crate) no: usize,
    pub(crate) find: &'a str,
    pub(crate) replace: &'a str,
}

/// The text of a file with all of its mistakes in it, none of which is made unless it is asked for.
pub(crate) fn plant(text: &str, changes: &[Change<'_>]) -> anyhow::Result<String> {
    let mut bodies: Vec<(Range<usize>, Vec<Change<'_>>)> = Vec::new();
    for change in changes {
        let body = body_of(text, change.find)?;
        match bodies.iter_mut().find(|(known, _)| *known == body) {
            Some((_, own)) => own.push(*change),
            None => bodies.push((body, vec![*change])),
        }
    }
    bodies.sort_by_key(|(body, _)| body.start);
    let (mut planted, mut from) = (String::new(), 0);
    for (body, own) in &bodies {
        ensure!(body.start >= from, "a function stands in another one");
        let right = &text[body.clone()];
        planted.push_str(&text[from..body.start]);
        for Change { no, find, replace } in own {
            let wrong = right.replacen(find, replace, 1);
            let _ = write!(planted, "    if planted_mistake({no}) {{\n{wrong}}} else ");
        }
        let _ = write!(planted, "{{\n{right}}}\n");
        from = body.end;
    }
    planted.push_str(&text[from..]);
    let _ = write!(
        planted,
        "\nfn planted_mistake(no: u32) -> bool {{\n    \
         static CHOSEN: std::sync::LazyLock<Option<u32>> = std::sync::LazyLock::new(|| {{\n        \
         std::env::var(\"{SWITCH}\").ok()?.parse().ok()\n    }});\n    *CHOSEN == Some(no)\n}}\n"
    );
    Ok(planted)
}

/// The place of the body of the function in which a text stands, between the lines of its braces.
fn body_of(text: &str, find: &str) -> anyhow::Result<Range<usize>> {
    let at = text.find(find).context("it does not stand there")?;
    let mut begins: Vec<(usize, &str)> = Vec::new();
    let mut place = 0;
    for line in text.split_inclusive('\n') {
        begins.push((place, line));
        place += line.len();
    }
    let own = begins.iter().rposition(|(begin, _)| *begin <= at);
    let own = own.context("it stands in no line")?;
    for head in (0..=own).rev() {
        let (_, line) = begins[head];
        let plain = line.trim_start();
        if !is_head(plain) {
            continue;
        }
        let indent = &line[..line.len() - plain.len()];
        let opens = begins[head..]
            .iter()
            .find(|(_, line)| line.ends_with("{\n"));
        let (open, line) = opens.context("a function has no body")?;
        let (begin, end) = (open + line.len(), format!("{indent}}}\n"));
        let closes = begins
            .iter()
            .find(|(place, line)| *place >= begin && *line == end);
        let (close, _) = closes.context("a function does not end")?;
        if (begin..*close).contains(&at) && at + find.len() <= *close {
            return Ok(begin..*close);
        }
    }
    anyhow::bail!("it stands in no function")
}

/// Whether a line begins a function.
fn is_head(line: &str) -> bool {
    let line = line.strip_prefix("pub").unwrap_or(line);
    let line = match line.strip_prefix('(') {
        Some(rest) => rest.split_once(')').map_or(rest, |(_, rest)| rest),
        None => line,
    };
    let line = line.trim_start();
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.starts_with("fn ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "fn a() -> i64 {\n    1\n}\n\nimpl X {\n    pub(crate) async fn b(\n        \
        x: i64,\n    ) -> i64 {\n        if x > 2 {\n            x\n        } else {\n            3\n        \
        }\n    }\n}\n";

    fn change<'a>(no: usize, find: &'a str, replace: &'a str) -> Change<'a> {
        Change { no, find, replace }
    }

    #[test]
    fn each_mistake_gets_a_body_of_its_own() {
        let changes = [change(7, "x > 2", "x > 3"), change(9, "3\n", "4\n")];
        let planted = plant(TEXT, &changes).expect("planted");
        assert!(
            planted.starts_with("fn a() -> i64 {\n    1\n}\n"),
            "{planted}"
        );
        let wrong = "if planted_mistake(7) {\n        if x > 3 {\n";
        assert!(planted.contains(wrong), "{planted}");
        assert!(planted.contains("if planted_mistake(9) {"), "{planted}");
        assert_eq!(planted.matches("x > 2").count(), 2, "{planted}");
    }

    #[test]
    fn what_stands_outside_of_functions_is_not_planted() {
        assert!(plant(TEXT, &[change(1, "impl X", "impl Y")]).is_err());
        assert!(plant(TEXT, &[change(1, "nowhere", "")]).is_err());
    }
}
