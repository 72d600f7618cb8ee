//! `lingqian payouts`: a list, newest first.

use std::process::ExitCode;

use anyhow::Context as _;
use lingqian_core::id::{PayoutId, UserId};
use lingqian_core::payout::State;
use lingqian_io::store::{PayoutFilter, PayoutRow};
use lingqian_io::{Browse as _, Ports as _};
use serde::Serialize;

use crate::cli::Payouts;
use crate::home::Home;
use crate::output::{beijing, rfc3339, show};
use crate::store::Purpose;
use crate::wire::Wire;

/// A payout as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// Its name.
    pub(crate) id: String,
    /// Whose.
    pub(crate) user: String,
    /// Where it stands.
    pub(crate) state: &'static str,
    /// How much.
    pub(crate) amount_fen: i64,
    /// What bills show.
    pub(crate) billed_fen: i64,
    /// The caller's name for it.
    pub(crate) reference: String,
    /// The number that WeChat knows it by.
    pub(crate) out_bill_no: Option<String>,
    /// WeChat's own number for it.
    pub(crate) transfer_bill_no: Option<String>,
    /// When the money was held.
    pub(crate) created_at: String,
    /// When it last changed.
    pub(crate) updated_at: String,
    /// How often it changed.
    pub(crate) version: u32,
}

impl From<&PayoutRow> for Row {
    fn from(row: &PayoutRow) -> Self {
        let payout = &row.payout;
        let attempt = payout.state.attempt();
        Row {
            id: payout.id.to_string(),
            user: row.user.to_string(),
            state: payout.state.name(),
            amount_fen: payout.amount.0,
            billed_fen: payout.billed.0,
            reference: payout.reference.to_string(),
            out_bill_no: attempt.map(|attempt| attempt.number().to_string()),
            transfer_bill_no: attempt.and_then(|attempt| attempt.bill_no.clone()),
            created_at: rfc3339(payout.created_at),
            updated_at: rfc3339(payout.updated_at),
            version: payout.version,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When an option makes no sense or the store cannot be read.
pub(crate) async fn run(home: &Home, options: &Payouts, json: bool) -> anyhow::Result<ExitCode> {
    if let Some(state) = &options.state {
        anyhow::ensure!(
            State::NAMES.contains(&state.as_str()),
            "--state {state} is not a state; the states are {}",
            State::NAMES.join(", ")
        );
    }
    let user = options.user.as_deref().map(UserId::parse).transpose();
    let before = options.before.as_deref().map(PayoutId::parse).transpose();
    let filter = PayoutFilter {
        state: options.state.clone(),
        user: user.context("--user is not a user id")?,
        before: before.context("--before is not a payout")?,
        limit: options.limit,
    };
    let wire = Wire::open_for(home, Purpose::Look).await?;
    let rows = wire.store().payouts(filter).await?;
    let values: Vec<Row> = rows.iter().map(Row::from).collect();
    show(json, &values, |out| {
        for row in &rows {
            writeln!(
                out,
                "{}  {}  {:<13} {:>10}  {}",
                row.payout.id,
                beijing(row.payout.created_at),
                row.payout.state.name(),
                row.payout.amount.to_string(),
                row.user
            )?;
        }
        if rows.is_empty() {
            writeln!(out, "no payouts")
        } else {
            Ok(())
        }
    })?;
    Ok(ExitCode::SUCCESS)
}
