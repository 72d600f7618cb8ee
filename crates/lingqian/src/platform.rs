//! A running platform: desk, doors and passes over one data directory.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use axum::serve::ListenerExt as _;
use lingqian_core::command::Command;
use lingqian_core::transfer::Merchant;
use lingqian_engine::Desk;
use lingqian_http::{Settings, Trials, mint, router};
use lingqian_io::{Browse as _, Clock as _, Ports as _};
use tokio::net::TcpListener;

use crate::brokers::{Brokers, letter_reader};
use crate::config::Config;
use crate::home::{Home, write_whole};
use crate::messenger;
use crate::passes;
use crate::store::Purpose;
use crate::wire::{Wire, public_url};

/// A platform that serves.
pub(crate) struct Platform {
    /// Its ports.
    pub(crate) wire: Wire,
    /// The way to its rules.
    pub(crate) desk: Desk,
    /// How it is reached.
    pub(crate) url: String,
    /// The API key of the data directory's owner.
    pub(crate) owner_key: String,
    /// Readers of sources and publishers of the feed.
    pub(crate) brokers: Brokers,
}

impl Platform {
    /// Starts serving and working. It goes on until the process ends.
    ///
    /// # Errors
    /// When the address or the data directory cannot be used.
    pub(crate) async fn start(
        home: &Home,
        config: Config,
        listen: SocketAddr,
    ) -> anyhow::Result<Platform> {
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!("cannot listen on {listen}; `--listen 127.0.0.1:0` takes a free port")
        })?;
        let url = public_url(&config, listener.local_addr()?);
        if home.shared_store()?.is_some() && config.kept.folder.is_empty() {
            tracing::warn!(
                "kept_folder_unset: other processes may share these books, and raw bills and receipts are \
                 kept below this one's data directory, where those on other machines do not find them; set \
                 kept.folder to a folder that all of them see"
            );
        }
        let herald = config.alerts.herald(home)?;
        let wire = Wire::assemble(home, config, &url, Purpose::Write).await?;
        wire.follow_sandbox_clock().await;
        let desk = wire.open_desk();
        catalogue(&wire, &desk).await?;
        messenger::set_up(&wire, &desk).await?;
        // Whoever finds the doors open finds the key as well.
        let owner_key = owner_key(&wire, &desk, &home.api_key()).await?;
        let settings = Settings {
            board: Arc::clone(wire.board()),
            letters: letter_reader(wire.config()),
            trials: Trials::by(wire.webhooks().clone()),
            ..Settings::new(&url)
        };
        let doors = router(wire.clone(), desk.clone(), settings);
        // Answers are whole when they are written; waiting for more would only delay them.
        let listener = listener.tap_io(|socket| {
            let _ = socket.set_nodelay(true);
        });
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, doors).await {
                tracing::error!(%error, "the doors closed");
            }
        });
        // Commands beside this process find it there.
        write_whole(&home.address(), url.as_bytes())?;
        passes::spawn(&wire, &desk, herald);
        let brokers = Brokers::spawn(home, &wire, &desk)?;
        Ok(Platform {
            wire,
            desk,
            url,
            owner_key,
            brokers,
        })
    }
}

/// Ports and desk for one command beside the platform, or without it.
///
/// # Errors
/// When the data directory cannot be used.
pub(crate) async fn open(home: &Home) -> anyhow::Result<(Wire, Desk)> {
    let wire = Wire::open(home).await?;
    wire.follow_sandbox_clock().await;
    let desk = wire.open_desk();
    catalogue(&wire, &desk).await?;
    Ok((wire, desk))
}

/// What the configuration says about merchants and kinds becomes known to the rules. A merchant
/// that is taken out of it begins nothing more.
async fn catalogue(wire: &Wire, desk: &Desk) -> anyhow::Result<()> {
    let configured = wire.merchants();
    let define = |merchant: &Merchant| Command::DefineMerchant(merchant.clone());
    let mut commands: Vec<Command> = configured.iter().map(define).collect();
    for known in wire.store().merchants().await? {
        if configured.iter().any(|merchant| merchant.no == known.no) {
            continue;
        }
        let mchid = &known.mchid;
        tracing::warn!(
            %mchid,
            "a merchant of the books is not configured: it begins nothing, and nothing that it \
             began is sent, asked about or reconciled"
        );
        commands.push(Command::DefineMerchant(Merchant { weight: 0, ..known }));
    }
    for kind in &wire.config().kinds {
        commands.push(Command::DefineKind(kind.defined()?));
    }
    for answer in desk.submit_all(commands).await? {
        answer.context("the configuration contradicts the books")?;
    }
    Ok(())
}

/// An API key for everything, made once for the owner of the data directory.
pub(crate) async fn owner_key(wire: &Wire, desk: &Desk, path: &Path) -> anyhow::Result<String> {
    if let Ok(text) = std::fs::read_to_string(path) {
        return Ok(text.trim().to_owned());
    }
    let minted = mint(wire.dice(), vec!["*".into()], wire.clock().business());
    desk.submit(Command::AddApiKey(minted.key)).await??;
    write_whole(path, format!("{}\n", minted.text).as_bytes())?;
    Ok(minted.text)
}
