//! `lingqian keys token`: keys that never leave a token.

use std::process::ExitCode;

use lingqian_keys::token::init;
use lingqian_keys::{PinSource, Subject, certificate_request, public_key_pem};
use serde_json::json;

use crate::cli::TokenCommand;
use crate::home::Home;
use crate::output::show;
use crate::vault;

/// Runs the command; the books are left alone.
///
/// # Errors
/// When the token is not there, refuses the PIN, or has no such key.
pub(crate) async fn run(
    home: &Home,
    command: &TokenCommand,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let config = home.config()?;
    let token = vault::token(home, &config)?;
    let place = &config.token;
    let named = |label: &Option<String>| label.clone().unwrap_or_else(|| place.key.clone());
    match command {
        TokenCommand::Init { officer_pin_file } => {
            let officer = PinSource::File(officer_pin_file.clone());
            let settings = token.settings();
            init(&settings.module, &settings.label, &officer, &settings.pin)?;
            show(json, &json!({ "token": place.label }), |out| {
                writeln!(out, "the token {} is ready", place.label)
            })?;
        }
        TokenCommand::Status => status(&token, json)?,
        TokenCommand::Generate { label, sealing } => {
            let label = match label {
                Some(label) => label.clone(),
                None if *sealing => place.sealing_key.clone(),
                None => place.key.clone(),
            };
            if *sealing {
                token.generate_sealing(&label).await?;
            } else {
                token.generate(&label).await?;
            }
            show(json, &json!({ "key": label }), |out| {
                writeln!(out, "the key {label} is in the token {}", place.label)
            })?;
        }
        TokenCommand::Public { label } => {
            let text = public_key_pem(&token, &named(label)).await?;
            show(json, &json!({ "public_key": text }), |out| {
                write!(out, "{text}")
            })?;
        }
        TokenCommand::Csr {
            label,
            mchid,
            organization,
        } => {
            let subject = Subject {
                mchid: mchid.clone(),
                organization: organization.clone(),
            };
            let text = certificate_request(&token, &named(label), subject).await?;
            show(json, &json!({ "request": text }), |out| {
                write!(out, "{text}")
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn status(token: &lingqian_keys::Token, json: bool) -> anyhow::Result<()> {
    let status = token.status()?;
    let value = json!({
        "token": status.label,
        "model": status.model,
        "serial": status.serial,
        "login": status.login.as_deref().unwrap_or("ok"),
        "signing_keys": status.signing_keys,
        "sealing_keys": status.sealing_keys,
    });
    show(json, &value, |out| {
        writeln!(
            out,
            "token         {} ({}, {})",
            status.label, status.model, status.serial
        )?;
        writeln!(
            out,
            "login         {}",
            status.login.as_deref().unwrap_or("ok")
        )?;
        writeln!(out, "signing keys  {}", status.signing_keys.join(" "))?;
        writeln!(out, "sealing keys  {}", status.sealing_keys.join(" "))
    })
}
