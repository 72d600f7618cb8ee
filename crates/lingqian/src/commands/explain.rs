//! `lingqian explain`: one payout's story, with what was seen at each step.

use std::process::ExitCode;

use anyhow::Context as _;
use lingqian_core::control::Deed;
use lingqian_core::payout::{Attempt, State};
use lingqian_http::wire::control;
use lingqian_io::store::PayoutStory;
use lingqian_io::{Browse as _, Ports as _};
use serde::Serialize;

use crate::commands::acts::payout_id;
use crate::commands::cases::deed_line;
use crate::commands::payouts::Row;
use crate::home::Home;
use crate::output::{account, beijing, rfc3339, show};
use crate::store::Purpose;
use crate::wire::Wire;

#[derive(Debug, Serialize)]
struct Story {
    payout: Row,
    order: Option<String>,
    attempts: Vec<Try>,
    approved_by: Vec<String>,
    deeds: Vec<serde_json::Value>,
    history: Vec<Line>,
    entries: Vec<Entry>,
    breaks: Vec<Break>,
}

#[derive(Debug, Serialize)]
struct Try {
    out_bill_no: String,
    mchid: String,
    sends: u32,
    in_doubt: bool,
    first_sent_at: String,
    last_sent_at: String,
    transfer_bill_no: Option<String>,
    ended: bool,
}

impl Try {
    fn new(attempt: &Attempt, ended: bool) -> Try {
        Try {
            out_bill_no: attempt.number().to_string(),
            mchid: attempt.order.mchid.to_string(),
            sends: attempt.sends,
            in_doubt: attempt.doubt,
            first_sent_at: rfc3339(attempt.first_sent_at),
            last_sent_at: rfc3339(attempt.last_sent_at),
            transfer_bill_no: attempt.bill_no.clone(),
            ended,
        }
    }
}

#[derive(Debug, Serialize)]
struct Line {
    at: String,
    event: String,
    state: String,
    code: Option<String>,
    status: Option<u16>,
    request_id: Option<String>,
    body: Option<String>,
}

#[derive(Debug, Serialize)]
struct Entry {
    seq: i64,
    at: String,
    cause: &'static str,
    debit: String,
    credit: String,
    amount_micros: i64,
}

#[derive(Debug, Serialize)]
struct Break {
    kind: &'static str,
    date: String,
    difference_fen: i64,
    opened_at: String,
    closed_at: Option<String>,
}

impl Story {
    fn new(story: &PayoutStory, deeds: &[Deed]) -> Self {
        let line = |line: &lingqian_core::changes::HistoryLine| Line {
            at: rfc3339(line.at),
            event: line.event.to_owned(),
            state: line.state.to_owned(),
            code: line.code.clone(),
            status: line.evidence.as_ref().and_then(|seen| seen.status),
            request_id: line
                .evidence
                .as_ref()
                .and_then(|seen| seen.request_id.clone()),
            body: line.evidence.as_ref().map(|seen| seen.body.clone()),
        };
        let entry = |(seq, entry): &(i64, lingqian_core::ledger::Entry)| Entry {
            seq: *seq,
            at: rfc3339(entry.at()),
            cause: entry.cause().name(),
            debit: account(entry.debit()),
            credit: account(entry.credit()),
            amount_micros: entry.amount().0,
        };
        let found = |found: &lingqian_core::reconcile::Break| Break {
            kind: found.kind.code(),
            date: found.date.to_string(),
            difference_fen: found.difference.0,
            opened_at: rfc3339(found.opened_at),
            closed_at: found.closed_at.map(rfc3339),
        };
        Story {
            payout: Row::from(&story.row),
            order: story
                .row
                .payout
                .state
                .attempt()
                .map(|attempt| attempt.order.canonical()),
            attempts: tries(story),
            approved_by: approved_by(story),
            deeds: deeds.iter().map(control::deed).collect(),
            history: story.history.iter().map(line).collect(),
            entries: story.entries.iter().map(entry).collect(),
            breaks: story.breaks.iter().map(found).collect(),
        }
    }
}

/// Deeds that one story tells.
const DEEDS_MAX: u32 = 100;

/// Every attempt, oldest first; the last one may still be under way.
fn tries(story: &PayoutStory) -> Vec<Try> {
    let state = &story.row.payout.state;
    let earlier = story.attempts.iter().map(|attempt| Try::new(attempt, true));
    let current = state.attempt();
    let current = current.map(|attempt| Try::new(attempt, state.is_final()));
    earlier.chain(current).collect()
}

fn approved_by(story: &PayoutStory) -> Vec<String> {
    match &story.row.payout.state {
        State::Review(review) => review.approvals.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

/// Runs the command.
///
/// # Errors
/// When there is no such payout or the store cannot be read.
pub(crate) async fn run(home: &Home, payout: &str, json: bool) -> anyhow::Result<ExitCode> {
    let id = payout_id(payout)?;
    let wire = Wire::open_for(home, Purpose::Look).await?;
    let story = wire
        .store()
        .payout(id)
        .await?
        .with_context(|| format!("there is no {payout}"))?;
    let subject = story.row.payout.id.to_string();
    let deeds = wire.store().deeds(Some(subject), DEEDS_MAX).await?;
    show(json, &Story::new(&story, &deeds), |out| {
        tell(out, &story)?;
        if !deeds.is_empty() {
            writeln!(out, "\ndone by hand, newest first")?;
        }
        deeds
            .iter()
            .try_for_each(|deed| writeln!(out, "  {}", deed_line(deed)))
    })?;
    Ok(ExitCode::SUCCESS)
}

fn tell(out: &mut dyn std::io::Write, story: &PayoutStory) -> std::io::Result<()> {
    let payout = &story.row.payout;
    writeln!(
        out,
        "{}  {} for {}",
        payout.id, payout.amount, story.row.user
    )?;
    writeln!(
        out,
        "state {}, reference {}",
        payout.state.name(),
        payout.reference
    )?;
    for attempt in story.attempts.iter().chain(payout.state.attempt()) {
        let theirs = attempt.bill_no.as_deref().unwrap_or("not known");
        let (number, sends) = (attempt.number(), attempt.sends);
        writeln!(
            out,
            "our number {number}, WeChat's {theirs}, sent {sends} times"
        )?;
    }
    for name in approved_by(story) {
        writeln!(out, "approved by {name}; another person must, too")?;
    }
    writeln!(out, "\nwhat happened (Beijing time)")?;
    for line in &story.history {
        let code = line
            .code
            .as_deref()
            .map(|code| format!(" ({code})"))
            .unwrap_or_default();
        writeln!(
            out,
            "  {}  {:<13} -> {}{code}",
            beijing(line.at),
            line.event,
            line.state
        )?;
        let Some(seen) = &line.evidence else { continue };
        let status = seen
            .status
            .map(|status| format!("HTTP {status} "))
            .unwrap_or_default();
        let request = seen.request_id.as_deref().unwrap_or("-");
        writeln!(out, "      {status}request {request}")?;
        if !seen.body.is_empty() {
            writeln!(out, "      {}", seen.body.replace('\n', " "))?;
        }
    }
    entries(out, story)
}

/// The entries of a payout, and what bills say otherwise.
fn entries(out: &mut dyn std::io::Write, story: &PayoutStory) -> std::io::Result<()> {
    writeln!(out, "\nentries")?;
    for (seq, entry) in &story.entries {
        writeln!(
            out,
            "  #{seq:<9} {:<11} {}  Dr {}  Cr {}",
            entry.cause().name(),
            entry.amount(),
            account(entry.debit()),
            account(entry.credit())
        )?;
    }
    for found in &story.breaks {
        let closed = if found.closed_at.is_some() {
            "closed"
        } else {
            "OPEN"
        };
        let kind = found.kind.code();
        writeln!(
            out,
            "\nbreak {kind} on {}: {} ({closed})",
            found.date, found.difference
        )?;
    }
    Ok(())
}
