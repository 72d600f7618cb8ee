//! No log has an openid, a name or a secret in it, and none tells of a panic.

use crate::check::Found;
use crate::evidence::Evidence;

pub(super) fn check(evidence: &Evidence) -> Found {
    let mut found = Found::by("logs");
    for (name, text) in &evidence.logs {
        for (what, secret) in &evidence.secrets {
            let line = text.lines().position(|line| line.contains(secret.as_str()));
            if let Some(line) = line {
                found.add(format!("{name} has {what} in line {}", line + 1));
            }
        }
        if let Some(line) = text.lines().find(|line| line.contains("panicked at")) {
            found.add(format!("{name} tells of a panic: {line}"));
        }
    }
    found
}
