//! `lingqian kept`: raw files as they came, sealed and hashed.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::NEEDS_A_PERSON;
use crate::accounts::Accounts;
use crate::archive::{Head, Kept};
use crate::cli;
use crate::home::Home;
use crate::output::show;
use crate::vault::Vault;

/// Runs the command.
///
/// # Errors
/// When there is no such file, or what is there cannot be opened.
pub(crate) async fn run(home: &Home, command: &cli::Kept, json: bool) -> anyhow::Result<ExitCode> {
    let config = home.config()?;
    let accounts = Accounts::load(home, &config)?;
    let sealer = Vault::open(home, &config, &accounts)?.sealer(home)?;
    let kept = Kept::new(config.kept.open(home)?, sealer);
    match command {
        cli::Kept::List => list(&kept, json),
        cli::Kept::Get { name, out } => get(&kept, name, out, json).await,
        cli::Kept::Verify => verify(&kept, json).await,
    }
}

fn value(name: &str, head: &Head) -> Value {
    json!({
        "name": name,
        "kind": head.kind,
        "owner": head.owner,
        "about": head.about,
        "bytes": head.bytes,
        "sha256": head.sha256,
    })
}

fn list(kept: &Kept, json: bool) -> anyhow::Result<ExitCode> {
    let found = kept.list()?;
    let values: Vec<Value> = found.iter().map(|(name, head)| value(name, head)).collect();
    show(json, &values, |out| {
        found.iter().try_for_each(|(name, head)| {
            writeln!(out, "{name}  {} bytes  sha256 {}", head.bytes, head.sha256)
        })
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn get(kept: &Kept, name: &str, path: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.with_context(|| format!("cannot make {}", path.display()))?;
    let opened = kept.unseal(name, &mut file).await;
    let opened = opened.and_then(|head| Ok(file.sync_all().map(|()| head)?));
    if opened.is_err() {
        // Half of a file is nobody's evidence.
        let _ = std::fs::remove_file(path);
    }
    let head = opened?;
    show(json, &value(name, &head), |out| {
        writeln!(
            out,
            "{}: {} bytes, sha256 {}",
            path.display(),
            head.bytes,
            head.sha256
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn verify(kept: &Kept, json: bool) -> anyhow::Result<ExitCode> {
    let found = kept.list()?;
    let mut bad = Vec::new();
    for (name, _) in &found {
        if let Err(error) = kept.unseal(name, &mut std::io::sink()).await {
            bad.push(format!("{name}: {error:#}"));
        }
    }
    let value = json!({ "files": found.len(), "damaged": bad });
    show(json, &value, |out| {
        bad.iter()
            .try_for_each(|words| writeln!(out, "damaged: {words}"))?;
        writeln!(out, "{} kept files, {} damaged", found.len(), bad.len())
    })?;
    Ok(match bad.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(NEEDS_A_PERSON),
    })
}
