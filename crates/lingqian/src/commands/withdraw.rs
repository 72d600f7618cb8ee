//! `lingqian withdraw`: one user's money, or a sweep over all.

use std::process::ExitCode;

use anyhow::Context as _;
use lingqian_core::Outcome;
use lingqian_core::command::Command;
use lingqian_core::id::{PayoutId, Reference, UserId};
use lingqian_core::money::Fen;
use lingqian_core::payout::Asked;
use lingqian_core::withdrawal::{Wanted, Withdrawal};
use lingqian_engine::Desk;
use lingqian_engine::sweep::Plan;
use lingqian_io::{Clock as _, Dice as _, Ports as _};
use serde_json::json;

use crate::cli::Withdraw;
use crate::door::submit;
use crate::home::Home;
use crate::output::show;
use crate::passes::sweep_all;
use crate::platform::open;
use crate::wire::Wire;

/// Runs the command.
///
/// # Errors
/// When the rules refuse, an option makes no sense, or the store fails.
pub(crate) async fn run(home: &Home, options: &Withdraw, json: bool) -> anyhow::Result<ExitCode> {
    let (wire, desk) = open(home).await?;
    if let Some(threshold) = options.sweep_fen {
        anyhow::ensure!(threshold > 0, "--sweep-fen must be more than zero");
        return sweep_now(&wire, &desk, Fen(threshold), json).await;
    }
    let (Some(user), Some(reference)) = (&options.user, &options.reference) else {
        anyhow::bail!("--user and --reference are needed");
    };
    let payout = PayoutId::new(wire.clock().business(), wire.dice().roll());
    let withdrawal = Withdrawal {
        payout,
        user: UserId::parse(user).context("--user is not a user id: it")?,
        wanted: options
            .amount_fen
            .map_or(Wanted::All, |fen| Wanted::Exactly(Fen(fen))),
        reference: Reference::parse(reference).context("--reference is not a reference: it")?,
        asked: Asked::ByRequest,
        key: None,
    };
    let answer = submit(&desk, Command::Withdraw(Box::new(withdrawal))).await?;
    let Outcome::Withdrawn { payout, amount, .. } = answer else {
        anyhow::bail!("a withdrawal was answered with something else");
    };
    let value = json!({ "payout": payout.to_string(), "amount_fen": amount.0, "user": user });
    show(json, &value, |out| {
        writeln!(out, "{payout}: {amount} held; `lingqian serve` sends it")
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn sweep_now(
    wire: &Wire,
    desk: &Desk,
    threshold: Fen,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let plan = Plan::today(threshold, wire.clock().business());
    let done = sweep_all(wire, desk, &plan).await?;
    let (looked, held) = (done.taken, done.moved);
    let value = json!({ "balances": looked, "held": held, "threshold_fen": threshold.0 });
    show(json, &value, |out| {
        writeln!(
            out,
            "{held} of {looked} balances of at least {threshold} are held for payouts"
        )
    })?;
    Ok(ExitCode::SUCCESS)
}
