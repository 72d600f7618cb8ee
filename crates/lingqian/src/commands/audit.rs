//! `lingqian audit`: every balance derived anew, every invariant checked.

use std::process::ExitCode;

use lingqian_core::audit::Invariant;
use lingqian_io::store::Audited;
use serde::Serialize;

use crate::books::Books;
use crate::output::show;
use crate::progress::{Stage, grouped};
use crate::{NEEDS_A_PERSON, home::Home};

/// An audit as JSON.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Whether every invariant holds.
    pub(crate) sound: bool,
    /// The invariants that were checked.
    pub(crate) invariants: Vec<&'static str>,
    /// Entries read.
    pub(crate) entries: u64,
    /// Accounts compared.
    pub(crate) accounts: u64,
    /// Credited events compared.
    pub(crate) earnings: u64,
    /// Payouts compared.
    pub(crate) payouts: u64,
    /// Bills chained.
    pub(crate) bills: u64,
    /// What is wrong.
    pub(crate) findings: Vec<String>,
}

impl From<Audited> for Report {
    fn from(audited: Audited) -> Self {
        Report {
            sound: audited.findings.is_empty(),
            invariants: Invariant::ALL
                .iter()
                .map(|invariant| invariant.name())
                .collect(),
            entries: audited.entries,
            accounts: audited.accounts,
            earnings: audited.earnings,
            payouts: audited.payouts,
            bills: audited.bills,
            findings: audited.findings.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When the books cannot be read.
pub(crate) fn run(home: &Home, json: bool) -> anyhow::Result<ExitCode> {
    let stage = Stage::begin("audit", "entries", None);
    let audited = Books::open(home)?.audit()?;
    stage.at(audited.entries);
    stage.end();
    let report = Report::from(audited);
    show(json, &report, |out| {
        for finding in &report.findings {
            writeln!(out, "BROKEN {finding}")?;
        }
        writeln!(
            out,
            "{} invariants over {} entries, {} accounts, {} earnings, {} payouts, {} bills: {}",
            report.invariants.len(),
            grouped(report.entries),
            grouped(report.accounts),
            grouped(report.earnings),
            grouped(report.payouts),
            grouped(report.bills),
            if report.sound { "all hold" } else { "BROKEN" }
        )
    })?;
    Ok(if report.sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NEEDS_A_PERSON)
    })
}
