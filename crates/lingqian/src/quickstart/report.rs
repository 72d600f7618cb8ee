//! What a quickstart did, in numbers that can be checked.

use std::collections::BTreeMap;
use std::io::Write;

use lingqian_core::ledger::Account;
use lingqian_core::money::{Fen, Micros};
use lingqian_io::{Browse as _, Ports as _, Store as _};
use serde::Serialize;
use serde_json::Value;

use crate::client::Client;
use crate::commands::audit::Report as Audit;
use crate::feed::Counts;
use crate::progress::{Rate, Stage, grouped};
use crate::quickstart::stages::STATES;
use crate::wire::Wire;

/// Payouts in one state.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct InState {
    count: u64,
    amount_fen: i64,
}

/// Everything.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) events: Counts,
    /// All payouts of this directory, by state.
    payouts: BTreeMap<String, InState>,
    /// What was paid, by our books.
    paid_fen: i64,
    /// What was paid, by the sandbox's own books.
    sandbox_paid_fen: i64,
    /// Paid by WeChat's word and not seen on a bill.
    clearing_micros: i64,
    open_breaks: u64,
    pub(crate) days: Vec<Value>,
    audit: Audit,
    pub(crate) register: Rate,
    pub(crate) link: Rate,
    pub(crate) credit: Rate,
    pub(crate) sweep: Rate,
    pub(crate) payout: Rate,
    pub(crate) expire: Rate,
    pub(crate) reconcile: Rate,
    audited: Rate,
}

impl Report {
    /// Fills in what the books say at the end.
    ///
    /// # Errors
    /// When the store fails or the sandbox does not answer.
    pub(crate) async fn finish(&mut self, wire: &Wire, sandbox: &str) -> anyhow::Result<()> {
        let stage = Stage::begin("audit", "entries", None);
        let audited = wire.store().audit().await?;
        stage.at(audited.entries);
        self.audited = stage.end();
        self.audit = Audit::from(audited);
        let summary = wire.store().summary().await?;
        for (state, count, amount_fen) in &summary.payouts {
            let found = InState {
                count: *count,
                amount_fen: *amount_fen,
            };
            self.payouts.insert(state.clone(), found);
        }
        self.paid_fen = self.payouts.get("paid").map_or(0, |paid| paid.amount_fen);
        let clearing = summary
            .accounts
            .iter()
            .filter_map(|(account, balance)| match account {
                Account::Clearing(_) => Some(balance.0),
                _ => None,
            });
        self.clearing_micros = clearing.sum();
        self.open_breaks = summary.open_breaks;
        let books = Client::default()
            .get_json(&format!("{sandbox}/_sandbox/books"), None)
            .await?;
        self.sandbox_paid_fen = books["paid_fen"].as_i64().unwrap_or(-1);
        Ok(())
    }

    /// Whether the books agree with themselves, the bills and the sandbox.
    pub(crate) fn sound(&self) -> bool {
        self.audit.sound
            && self.open_breaks == 0
            && self.clearing_micros == 0
            && self.paid_fen == self.sandbox_paid_fen
    }

    /// For people.
    ///
    /// # Errors
    /// When the output is closed.
    pub(crate) fn tell(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let events = &self.events;
        writeln!(out)?;
        writeln!(out, "events read        {:>12}", grouped(events.read))?;
        writeln!(out, "  credited         {:>12}", grouped(events.credited))?;
        writeln!(out, "  duplicates       {:>12}", grouped(events.duplicates))?;
        writeln!(out, "  rejected         {:>12}", grouped(events.rejected))?;
        for (code, count) in &events.rejected_by_code {
            writeln!(out, "    {code:<22} {count:>6}")?;
        }
        writeln!(
            out,
            "money credited     {:>16}",
            Micros(events.credited_micros).to_string()
        )?;
        writeln!(out, "payouts")?;
        for state in STATES {
            if let Some(InState { count, amount_fen }) = self.payouts.get(state) {
                let amount = Fen(*amount_fen).to_string();
                writeln!(out, "  {state:<16} {:>12} {amount:>16}", grouped(*count))?;
            }
        }
        writeln!(
            out,
            "money paid         {:>12}",
            Fen(self.paid_fen).to_string()
        )?;
        writeln!(
            out,
            "  by the sandbox   {:>12}",
            Fen(self.sandbox_paid_fen).to_string()
        )?;
        writeln!(
            out,
            "clearing balance   {:>16}",
            Micros(self.clearing_micros).to_string()
        )?;
        writeln!(out, "open breaks        {:>12}", self.open_breaks)?;
        writeln!(
            out,
            "invariants         {:>12} over {} entries: {}",
            self.audit.invariants.len(),
            grouped(self.audit.entries),
            if self.audit.sound {
                "all hold"
            } else {
                "BROKEN"
            }
        )?;
        for finding in &self.audit.findings {
            writeln!(out, "  BROKEN {finding}")?;
        }
        self.tell_rates(out)?;
        let verdict = if self.sound() {
            "Nothing was lost, nothing was paid twice, every bill line is explained."
        } else {
            "THE BOOKS NEED A PERSON."
        };
        writeln!(out, "\n{verdict}")
    }

    fn tell_rates(&self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "rates")?;
        let stages = [
            ("register", &self.register),
            ("link", &self.link),
            ("credit", &self.credit),
            ("sweep", &self.sweep),
            ("pay", &self.payout),
            ("expire", &self.expire),
            ("reconcile", &self.reconcile),
            ("audit", &self.audited),
        ];
        for (name, rate) in stages {
            let seconds = format!("{}.{:03} s", rate.took_ms / 1_000, rate.took_ms % 1_000);
            writeln!(
                out,
                "  {name:<16} {:>12}/s {seconds:>12}",
                grouped(rate.per_second)
            )?;
        }
        Ok(())
    }
}
