//! `lingqian sandbox`: the local WeChat, as a process of its own.

use std::path::Path;
use std::process::ExitCode;

use lingqian_sandbox::{Credentials, Sandbox as Running, Settings};
use serde_json::json;

use crate::cli::{Sandbox, SandboxCommand};
use crate::home::announce_sandbox;
use crate::output::show;

/// Runs the command. `dir` is the sandbox's own directory.
///
/// # Errors
/// When the directory or the address cannot be used.
pub(crate) async fn run(dir: &Path, options: &Sandbox, json: bool) -> anyhow::Result<ExitCode> {
    if let Some(SandboxCommand::Credentials { out, merchant }) = &options.command {
        let no = match merchant.parse() {
            // A number at WeChat has eight digits at least.
            Ok(no) if merchant.len() < 3 => no,
            _ => Credentials::number_of(dir, merchant)?,
        };
        let credentials = Credentials::of(dir, no)?;
        credentials.write_files(out)?;
        std::fs::write(out.join("ca.pem"), lingqian_sandbox::authority(dir)?)?;
        let value = json!({ "mchid": credentials.mchid, "appid": credentials.appid, "out": out });
        show(json, &value, |text| {
            writeln!(
                text,
                "wrote the credentials of merchant {} to {}",
                credentials.mchid,
                out.display()
            )
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut end = super::serve::Ending::new()?;
    let usual = Settings::default();
    let settings = Settings {
        listen: options.listen,
        tls: options.listen_tls,
        data: dir.to_owned(),
        merchants: options.merchants,
        faults: options.faults.clone(),
        lag: options.lag,
        first_top_up_fen: options.top_up_fen.unwrap_or(usual.first_top_up_fen),
        ..usual
    };
    let sandbox = Running::start(settings).await?;
    announce_sandbox(dir, &sandbox.url())?;
    let mchids = sandbox.mchids();
    let over_tls = sandbox.tls().map(|(url, _)| url);
    let value = json!({
        "url": sandbox.url(),
        "tls_url": over_tls,
        "mchid": sandbox.credentials().mchid,
        "mchids": mchids,
    });
    show(json, &value, |out| {
        writeln!(
            out,
            "WeChat sandbox at {} for merchant {}; nobody confirms by themselves until \
             /_sandbox/robot says so",
            sandbox.url(),
            mchids.join(", ")
        )?;
        writeln!(out, "see and drive it at {}/_sandbox", sandbox.url())?;
        match &over_tls {
            Some(url) => writeln!(out, "with TLS and client certificates at {url}"),
            None => Ok(()),
        }
    })?;
    end.told().await;
    sandbox.stop().await;
    Ok(ExitCode::SUCCESS)
}
