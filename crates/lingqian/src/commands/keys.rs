//! `lingqian keys`: API keys.

use std::process::ExitCode;

use anyhow::Context as _;
use lingqian_core::command::Command;
use lingqian_http::{SCOPES, mint};
use lingqian_io::{Browse as _, Clock as _, Ports as _};
use serde_json::{Value, json};

use crate::cli::Keys;
use crate::home::Home;
use crate::output::{rfc3339, show};
use crate::store::Purpose;
use crate::wire::Wire;

/// Runs the command.
///
/// # Errors
/// When a scope or key is not known, or the store fails.
pub(crate) async fn run(home: &Home, options: &Keys, json: bool) -> anyhow::Result<ExitCode> {
    if let Keys::Token(command) = options {
        return super::token::run(home, command, json).await;
    }
    let purpose = match options {
        Keys::List => Purpose::Look,
        _ => Purpose::Write,
    };
    let wire = Wire::open_for(home, purpose).await?;
    let desk = wire.open_desk();
    let now = wire.clock().business();
    match options {
        Keys::New { scopes } => {
            for scope in scopes {
                anyhow::ensure!(
                    scope == "*" || SCOPES.contains(&scope.as_str()),
                    "{scope} is not a scope; the scopes are *, {}",
                    SCOPES.join(", ")
                );
            }
            let minted = mint(wire.dice(), scopes.clone(), now);
            let id = minted.key.id.clone();
            desk.submit(Command::AddApiKey(minted.key)).await??;
            let value = json!({ "id": id, "key": minted.text, "scopes": scopes });
            show(json, &value, |out| writeln!(out, "{}", minted.text))?;
        }
        Keys::Token(_) => {}
        Keys::List => {
            let keys = wire.store().api_keys().await?;
            let shown = keys.iter().map(|key| {
                json!({
                    "id": key.id,
                    "scopes": key.scopes,
                    "created_at": rfc3339(key.created_at),
                    "revoked_at": key.revoked_at.map(rfc3339),
                })
            });
            show(json, &shown.collect::<Vec<Value>>(), |out| {
                for key in &keys {
                    let state = if key.revoked_at.is_some() {
                        "revoked"
                    } else {
                        "valid"
                    };
                    writeln!(out, "{}  {state:<8} {}", key.id, key.scopes.join(" "))?;
                }
                Ok(())
            })?;
        }
        Keys::Revoke { id } => {
            let keys = wire.store().api_keys().await?;
            let mut key = keys
                .into_iter()
                .find(|key| key.id == *id)
                .with_context(|| {
                    format!("there is no key {id}; `lingqian keys list` lists them")
                })?;
            key.revoked_at = key.revoked_at.or(Some(now));
            desk.submit(Command::AddApiKey(key)).await??;
            show(json, &json!({ "id": id, "revoked": true }), |out| {
                writeln!(out, "{id} revoked")
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
