//! `lingqian receipt`: WeChat's electronic receipt of a payout.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use lingqian_engine::receipt::{Sought, receipt};
use lingqian_io::rail::Receipt;
use serde_json::json;

use crate::cli;
use crate::commands::acts::payout_id;
use crate::home::Home;
use crate::output::show;
use crate::store::Purpose;
use crate::wire::Wire;

/// Runs the command.
///
/// # Errors
/// When there is no such payout, it was not paid, or there is no receipt for it.
pub(crate) async fn run(
    home: &Home,
    options: &cli::Receipt,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let wire = Wire::open_for(home, Purpose::Look).await?;
    let payout = payout_id(&options.payout)?;
    let told = match receipt(&wire, payout).await? {
        Sought::NoPayout => anyhow::bail!("not_found: there is no payout {payout}"),
        Sought::NotPaid(state) => anyhow::bail!(
            "payout_not_paid: the payout is {state}; only what was paid has a receipt"
        ),
        Sought::Told(told) => told,
    };
    let bytes = match told {
        Receipt::Ready(bytes) => bytes,
        Receipt::Making => {
            let value = json!({ "payout": payout.to_string(), "receipt": "making" });
            show(json, &value, |out| {
                writeln!(
                    out,
                    "{payout}: WeChat is making the receipt; ask again in a minute"
                )
            })?;
            return Ok(ExitCode::SUCCESS);
        }
        Receipt::None(code) => {
            anyhow::bail!("receipt_absent: WeChat has no receipt for this payout: {code}")
        }
    };
    let named = format!("{payout}.pdf");
    let path = options.out.as_deref().unwrap_or(Path::new(&named));
    let mut file = std::fs::OpenOptions::new();
    let file = file.write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.with_context(|| format!("cannot make {}", path.display()))?;
    std::io::Write::write_all(&mut file, &bytes)?;
    file.sync_all()?;
    let value = json!({
        "payout": payout.to_string(),
        "receipt": "ready",
        "file": path,
        "bytes": bytes.len(),
    });
    show(json, &value, |out| {
        writeln!(out, "{payout}: {} bytes in {}", bytes.len(), path.display())
    })?;
    Ok(ExitCode::SUCCESS)
}
