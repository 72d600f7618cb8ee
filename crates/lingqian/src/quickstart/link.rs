//! Users link their wallets as they would: the API hands out a page, WeChat's page redirects to
//! our callback, the callback exchanges the code.

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, stream};
use http::{Method, StatusCode};
use lingqian_core::id::UserId;
use lingqian_io::{Browse as _, Clock as _, Ports as _};
use serde_json::Value;

use crate::client::Client;
use crate::progress::{Rate, Stage};
use crate::wire::Wire;

/// Users on their way at a time.
const OPEN: usize = 16;

/// Links everybody who is not linked yet.
///
/// # Errors
/// When a link does not end as it should.
pub(crate) async fn link_all(
    wire: &Wire,
    (url, key): (&str, &str),
    users: Vec<String>,
) -> anyhow::Result<Rate> {
    let stage = Stage::begin("link", "users", Some(users.len() as u64));
    let client = Client::default();
    let mut links = stream::iter(users)
        .map(|user| {
            let client = client.clone();
            async move {
                if !is_linked(wire, &user).await? {
                    let done = link(&client, (url, key), &user).await;
                    done.with_context(|| format!("the user {user} was not linked"))?;
                }
                anyhow::Ok(())
            }
        })
        .buffer_unordered(OPEN);
    while let Some(linked) = links.next().await {
        linked?;
        stage.advance(1);
    }
    Ok(stage.end())
}

async fn is_linked(wire: &Wire, user: &str) -> anyhow::Result<bool> {
    let day = wire.clock().business().business_date();
    let wallet = wire.store().user(&UserId::parse(user)?, day).await?;
    Ok(wallet.is_some_and(|wallet| wallet.is_linked()))
}

async fn link(client: &Client, (url, key): (&str, &str), user: &str) -> anyhow::Result<()> {
    let begin = format!("{url}/v1/users/{user}/link");
    let begun = client.call(Method::POST, &begin, Some(key)).await?;
    ensure!(
        begun.status == StatusCode::CREATED,
        "the link did not begin: {}",
        begun.status
    );
    let begun: Value = serde_json::from_slice(&begun.body)?;
    let page = begun["authorize_url"].as_str().context("no page to open")?;
    // A browser keeps the fragment for itself. Who the user is, the sandbox is told here.
    let page = page.split('#').next().unwrap_or(page);
    let granted = client
        .call(Method::GET, &format!("{page}&sandbox_user={user}"), None)
        .await?;
    ensure!(
        granted.status == StatusCode::FOUND,
        "the page answered {}",
        granted.status
    );
    let callback = granted.location.context("the page leads nowhere")?;
    let done = client.call(Method::GET, &callback, None).await?;
    ensure!(
        done.status == StatusCode::OK,
        "the callback answered {}",
        done.status
    );
    Ok(())
}
