//! A run in numbers, and what was found.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::check::Finding;
use crate::evidence::Evidence;
use crate::history::Fate;
use crate::settings::Settings;

/// Findings of one check that are told; all of them are in the report that is kept.
const TOLD_MAX: usize = 4;

/// A run in numbers.
#[derive(Clone, Debug)]
pub struct Report {
    seed: u64,
    store: String,
    seconds: u64,
    dir: PathBuf,
    fates: BTreeMap<Fate, usize>,
    struck: BTreeMap<String, usize>,
    states: BTreeMap<String, (usize, i64)>,
    events: usize,
    entries: usize,
    days: usize,
}

impl Report {
    pub(crate) fn of(left: &Evidence, settings: &Settings, days: usize) -> Report {
        let mut report = Report {
            seed: settings.seed,
            store: format!("{:?}", settings.store).to_lowercase(),
            seconds: settings.seconds,
            dir: settings.dir.clone(),
            fates: BTreeMap::new(),
            struck: BTreeMap::new(),
            states: BTreeMap::new(),
            events: left
                .entries
                .iter()
                .filter(|entry| entry.event.is_some())
                .count(),
            entries: left.entries.len(),
            days,
        };
        for op in &left.ops {
            *report.fates.entry(op.fate).or_default() += 1;
        }
        for struck in &left.struck {
            let kind = match struck.weather {
                Some(crate::weather::Weather::Clear) => continue,
                Some(_) => "cuts",
                None => match struck.what.as_str() {
                    "kill" | "kill_wechat" => "kills",
                    "stop" | "oversleep" => "stops",
                    "end_backends" | "restart_database" => "database blows",
                    "wechat" => "faults of WeChat",
                    "forged" | "forgery_believed" => "forgeries",
                    _ => continue,
                },
            };
            *report.struck.entry(kind.into()).or_default() += 1;
        }
        for seen in &left.payouts {
            let sum = report.states.entry(seen.state.clone()).or_default();
            (sum.0, sum.1) = (sum.0 + 1, sum.1 + seen.amount_fen);
        }
        report
    }

    /// How many operations had a fate.
    #[must_use]
    pub fn fate(&self, fate: Fate) -> usize {
        self.fates.get(&fate).copied().unwrap_or(0)
    }

    /// How many payouts are in a state.
    #[must_use]
    pub fn payouts(&self, state: &str) -> usize {
        self.states.get(state).map_or(0, |(count, _)| *count)
    }

    /// How often something was struck, by its kind.
    #[must_use]
    pub fn struck(&self, kind: &str) -> usize {
        self.struck.get(kind).copied().unwrap_or(0)
    }

    /// The account of a run: how to see it again, and what was found.
    #[must_use]
    pub fn account(&self, findings: &[Finding]) -> String {
        let mut text = String::new();
        if !findings.is_empty() {
            let _ = writeln!(
                text,
                "{} findings; everything is kept in {}; again: cargo xtask system --seed {} \
                 --seconds {} --store {}",
                findings.len(),
                self.dir.display(),
                self.seed,
                self.seconds,
                self.store
            );
            let mut told: BTreeMap<&str, usize> = BTreeMap::new();
            for finding in findings {
                let count = told.entry(finding.check).or_default();
                *count += 1;
                if *count <= TOLD_MAX {
                    let _ = writeln!(text, "  {finding}");
                }
            }
        }
        let counted = |name: &str| {
            let found = findings
                .iter()
                .filter(|one| one.words.starts_with(name))
                .count();
            if found == 0 {
                "nothing".to_owned()
            } else {
                found.to_string()
            }
        };
        let (lost, doubled) = (counted("lost"), counted("doubled"));
        let twice = counted("paid twice");
        let _ = writeln!(
            text,
            "{self}; lost: {lost}, doubled: {doubled}, paid twice: {twice}"
        );
        text
    }

    pub(crate) fn write(&self, dir: &Path, findings: &[Finding]) -> anyhow::Result<()> {
        let mut text = self.account(findings);
        let _ = writeln!(text);
        for finding in findings {
            let _ = writeln!(text, "  {finding}");
        }
        Ok(std::fs::write(dir.join("report.txt"), text)?)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} seed {}: {} s of faults",
            self.store, self.seed, self.seconds
        )?;
        let fate = |fate| self.fate(fate);
        write!(
            f,
            "; operations {} ok, {} failed, {} unknown",
            fate(Fate::Ok),
            fate(Fate::Fail),
            fate(Fate::Info)
        )?;
        for (index, (kind, count)) in self.struck.iter().enumerate() {
            let joint = if index == 0 { "; " } else { ", " };
            write!(f, "{joint}{count} {kind}")?;
        }
        write!(
            f,
            "; {} events in {} entries; payouts",
            self.events, self.entries
        )?;
        for (index, (state, (count, _))) in self.states.iter().enumerate() {
            let joint = if index == 0 { " " } else { ", " };
            write!(f, "{joint}{count} {state}")?;
        }
        write!(f, " after {} days of business time", self.days)
    }
}
