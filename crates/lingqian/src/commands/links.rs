//! `lingqian links` and `lingqian link`: users' links with apps. No openid is ever printed.

use std::process::ExitCode;

use anyhow::Context as _;
use lingqian_core::id::{AppId, UserId};
use lingqian_core::link::{Link as CoreLink, LinkAct, Standing};
use lingqian_io::links::{LinkFilter, LinkRow, Links as _};
use lingqian_io::{Browse as _, Clock as _, Ports as _};
use serde_json::Value;

use crate::cli::{Link, Links, OnLink};
use crate::door::Door;
use crate::home::Home;
use crate::output::{beijing, show};
use crate::store::Purpose;
use crate::wire::Wire;

/// A link as JSON.
fn value(user: &UserId, link: &CoreLink) -> Value {
    let mut value = lingqian_http::wire::link::shown(link);
    value["user"] = user.as_str().into();
    value
}

/// A link in one line.
fn line(user: &UserId, link: &CoreLink) -> String {
    let reason = link.reason.as_deref().map(|reason| format!(" ({reason})"));
    let cools = link
        .cools_until
        .map(|at| format!(", cools off until {}", beijing(at)));
    let shared = match link.sharing.name() {
        "alone" => String::new(),
        word => format!(", shared: {word}"),
    };
    let refresh = link
        .refresh_at
        .map(|at| format!(", tokens due {}", beijing(at)));
    format!(
        "{user}  {}  {}{}  since {}{}{shared}{}",
        link.app,
        link.standing.name(),
        reason.unwrap_or_default(),
        beijing(link.changed_at),
        cools.unwrap_or_default(),
        refresh.unwrap_or_default(),
    )
}

fn app(text: Option<&str>) -> anyhow::Result<Option<AppId>> {
    let app = text.map(AppId::parse).transpose();
    app.context("--app is not an app id; it")
}

/// Runs `lingqian links`.
///
/// # Errors
/// When an option makes no sense or the books cannot be read.
pub(crate) async fn list(home: &Home, options: &Links, json: bool) -> anyhow::Result<ExitCode> {
    let standing = options.standing.as_deref().map(|name| {
        Standing::from_name(name).with_context(|| {
            format!("--standing {name} is not active, needs_reauthorization or revoked")
        })
    });
    let filter = LinkFilter {
        standing: standing.transpose()?,
        app: app(options.app.as_deref())?,
        flagged: options.flagged,
        after: None,
        limit: options.limit,
    };
    let wire = Wire::open_for(home, Purpose::Look).await?;
    let rows = wire.store().links(filter).await?;
    let of = |row: &LinkRow| value(&row.user, &row.link);
    let values: Vec<Value> = rows.iter().map(of).collect();
    show(json, &values, |out| {
        for row in &rows {
            writeln!(out, "{}", line(&row.user, &row.link))?;
        }
        if rows.is_empty() {
            writeln!(out, "no links")?;
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `lingqian link`.
///
/// # Errors
/// When the rules refuse, or nobody answers.
pub(crate) async fn link(home: &Home, command: &Link, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        Link::Show { user } => one(home, user, json).await,
        Link::Refresh(on) => {
            let words = "its tokens are due now; the pass `links` refreshes them";
            act(home, (LinkAct::Refresh, words), on, json).await
        }
        Link::Unlink(on) => {
            let words = "the link has ended; the same wallet may come back at once";
            act(home, (LinkAct::Unlink, words), on, json).await
        }
        Link::Revoke(on) => {
            let words = "the link has ended; whatever wallet comes back cools off first";
            act(home, (LinkAct::Revoke, words), on, json).await
        }
        Link::Allow(on) => {
            let words = "the wallet may be shared";
            act(home, (LinkAct::Allow, words), on, json).await
        }
    }
}

async fn one(home: &Home, user: &str, json: bool) -> anyhow::Result<ExitCode> {
    let user = UserId::parse(user).with_context(|| format!("{user:?} is not a user id; it"))?;
    let wire = Wire::open_for(home, Purpose::Look).await?;
    let today = wire.clock().business().business_date();
    let wallet = wire.store().user(&user, today).await?;
    let wallet = wallet.with_context(|| format!("no user is registered as {user}"))?;
    let values: Vec<Value> = wallet
        .links
        .values()
        .map(|link| value(&user, link))
        .collect();
    show(json, &values, |out| {
        for link in wallet.links.values() {
            writeln!(out, "{}", line(&user, link))?;
        }
        if wallet.links.is_empty() {
            writeln!(out, "{user} was never linked")?;
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn act(
    home: &Home,
    (what, words): (LinkAct, &str),
    on: &OnLink,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let user = UserId::parse(&on.user);
    let user = user.with_context(|| format!("{:?} is not a user id; it", on.user))?;
    let app = app(on.app.as_deref())?;
    let door = Door::open(home).await?;
    let told = door.link(&user, app.as_ref(), what, &on.why).await?;
    show(json, &told, |out| writeln!(out, "{user}: {words}"))?;
    Ok(ExitCode::SUCCESS)
}
