//! Holds what clients were told against what there is.
//!
//! Nothing here asks the platform how something should be: balances are summed up anew, payouts
//! are compared with WeChat's own books, and reads are placed among the entries by what was
//! acknowledged before them. An operation whose fate is unknown may have happened or not, now or
//! later, and is never held against anybody.

mod books;
mod earnings;
mod health;
mod logs;
mod payouts;
mod people;
mod reads;

use std::fmt;

use crate::evidence::Evidence;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check found it.
    pub check: &'static str,
    /// What it is.
    pub words: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.words)
    }
}

/// Findings of one check.
pub(crate) struct Found {
    check: &'static str,
    findings: Vec<Finding>,
}

impl Found {
    pub(crate) fn by(check: &'static str) -> Found {
        Found {
            check,
            findings: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, words: impl Into<String>) {
        self.findings.push(Finding {
            check: self.check,
            words: words.into(),
        });
    }

    /// Adds unless it is as it must be.
    pub(crate) fn must(&mut self, good: bool, words: impl FnOnce() -> String) {
        if !good {
            self.add(words());
        }
    }
}

/// Every check.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Finding> {
    let all = [
        earnings::check(evidence),
        payouts::requests(evidence),
        payouts::paid_once(evidence),
        books::check(evidence),
        payouts::money(evidence),
        reads::versions(evidence),
        reads::balances(evidence),
        reads::statements(evidence),
        people::check(evidence),
        health::check(evidence),
        logs::check(evidence),
        incidents(evidence),
    ];
    all.into_iter().flat_map(|found| found.findings).collect()
}

fn incidents(evidence: &Evidence) -> Found {
    let mut found = Found::by("incident");
    evidence
        .incidents
        .iter()
        .for_each(|words| found.add(words.as_str()));
    let good = |name: &str, value: &serde_json::Value| match name {
        "audit" => value["sound"] == true,
        _ => value["whole"] == true,
    };
    for (name, value) in &evidence.commands {
        found.must(good(name, value), || format!("`{name}` says {value}"));
    }
    found
}
