//! How commands that change something reach the rules: through the books themselves, or through
//! the API of the server that has them.

use std::fs;
use std::net::Ipv4Addr;

use anyhow::Context as _;
use http::Method;
use lingqian_core::Outcome;
use lingqian_core::command::Command;
use lingqian_core::control::{Act, Actor, Scope, StopCause};
use lingqian_core::id::{AppId, PayoutId, UserId};
use lingqian_core::link::{LinkAct, LinkCommand};
use lingqian_core::{Rejection, command::Manual};
use lingqian_engine::Desk;
use lingqian_http::{Settings, Trials, router};
use lingqian_io::Fault;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::brokers::letter_reader;
use crate::cli::Why;
use crate::client::Client;
use crate::home::Home;
use crate::platform::{open, owner_key};

/// A way to the rules.
pub(crate) enum Door {
    /// Nobody else writes, or the store is shared.
    Books(Desk),
    /// A server has the books.
    Server {
        /// Its address.
        url: String,
        /// A key that may do it.
        key: String,
    },
}

impl Door {
    /// Opens the books, or finds the server that has them.
    ///
    /// # Errors
    /// When neither can be had.
    pub(crate) async fn open(home: &Home) -> anyhow::Result<Door> {
        let held = match open(home).await {
            Ok((_, desk)) => return Ok(Door::Books(desk)),
            Err(error) => error,
        };
        let Api { url, key } = Api::instead_of(home, held)?;
        Ok(Door::Server { url, key })
    }

    /// Does something to a payout by hand; tells the state afterwards.
    ///
    /// # Errors
    /// When the rules refuse, or nobody answers.
    pub(crate) async fn act(
        &self,
        payout: PayoutId,
        what: Manual,
        why: &Why,
    ) -> anyhow::Result<Value> {
        match self {
            Door::Books(desk) => {
                let act = why.act()?;
                let command = Command::Manual { payout, what, act };
                let state = submit(desk, command).await?.state_by_hand();
                Ok(json!({ "id": payout.to_string(), "state": state }))
            }
            Door::Server { .. } => {
                let path = format!("/v1/payouts/{payout}/{}", what.name());
                self.post(&path, &json!({ "reason": why.reason })).await
            }
        }
    }

    /// Does something to a user's links by hand.
    ///
    /// # Errors
    /// When the rules refuse, or nobody answers.
    pub(crate) async fn link(
        &self,
        user: &UserId,
        app: Option<&AppId>,
        what: LinkAct,
        why: &Why,
    ) -> anyhow::Result<Value> {
        let app_name = app.map(AppId::as_str);
        match self {
            Door::Books(desk) => {
                let command = LinkCommand::Act {
                    user: user.clone(),
                    app: app.cloned(),
                    what,
                    act: why.act()?,
                };
                submit(desk, Command::Link(Box::new(command))).await?;
            }
            Door::Server { .. } => {
                let mut body = json!({ "reason": why.reason });
                if let Some(app) = app_name {
                    body["app"] = json!(app);
                }
                let path = format!("/v1/users/{user}/link/{}", what.name());
                self.post(&path, &body).await?;
            }
        }
        Ok(json!({ "user": user.as_str(), "app": app_name, "done": what.name() }))
    }

    /// Stops something, or lifts the stop.
    ///
    /// # Errors
    /// When the rules refuse, or nobody answers.
    pub(crate) async fn stop(
        &self,
        scope: &Scope,
        cause: StopCause,
        on: bool,
        why: &Why,
    ) -> anyhow::Result<Value> {
        let told = json!({ "scope": scope.to_string(), "cause": cause.name(), "stopped": on });
        match self {
            Door::Books(desk) => {
                let command = Command::SetStop {
                    scope: scope.clone(),
                    cause,
                    on,
                    act: why.act()?,
                };
                submit(desk, command).await?;
                Ok(told)
            }
            Door::Server { .. } if on => {
                let body = json!({ "scope": scope.to_string(), "reason": why.reason });
                self.post("/v1/stops", &body).await?;
                Ok(told)
            }
            Door::Server { .. } => {
                let (scope, cause) = (scope.to_string(), cause.name());
                let body = json!({ "scope": scope, "cause": cause, "reason": why.reason });
                self.post("/v1/stops/lift", &body).await?;
                Ok(told)
            }
        }
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let Door::Server { url, key } = self else {
            anyhow::bail!("there is no server to ask");
        };
        let api = Api {
            url: url.clone(),
            key: key.clone(),
        };
        api.call(Method::POST, path, Some(body)).await
    }
}

/// The API of a platform: of the server that has the books, or of doors that are opened for one
/// command where nobody has them.
pub(crate) struct Api {
    url: String,
    key: String,
}

impl Api {
    /// Finds the server that has the books, or opens them.
    ///
    /// # Errors
    /// When neither can be had.
    pub(crate) async fn open(home: &Home) -> anyhow::Result<Api> {
        let (wire, desk) = match open(home).await {
            Ok(opened) => opened,
            Err(held) => return Api::instead_of(home, held),
        };
        let key = owner_key(&wire, &desk, &home.api_key()).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let settings = Settings {
            letters: letter_reader(wire.config()),
            trials: Trials::by(wire.webhooks().clone()),
            ..Settings::new(&url)
        };
        let doors = router(wire, desk, settings);
        tokio::spawn(async move {
            // It ends with the command.
            let _ = axum::serve(listener, doors).await;
        });
        Ok(Api { url, key })
    }

    /// The server, where the books could not be opened because it has them.
    fn instead_of(home: &Home, held: anyhow::Error) -> anyhow::Result<Api> {
        let is_held = |cause: &Fault| matches!(cause, Fault::Held(_));
        if !held
            .chain()
            .any(|cause| cause.downcast_ref().is_some_and(is_held))
        {
            return Err(held);
        }
        Api::of_server(home)
    }

    /// The server that says that it is here, or that the environment names.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn of_server(home: &Home) -> anyhow::Result<Api> {
        let url = match std::env::var("LINGQIAN_SERVER") {
            Ok(url) => url,
            Err(_) => read(&home.address())
                .context("no server said where it listens; set LINGQIAN_SERVER")?,
        };
        let key = match std::env::var("LINGQIAN_KEY") {
            Ok(key) => key,
            Err(_) => read(&home.api_key())
                .context("set LINGQIAN_KEY to an API key of the server that may do this")?,
        };
        let url = url.trim_end_matches('/').to_owned();
        Ok(Api { url, key })
    }

    /// Asks; a refusal is an error with its code.
    ///
    /// # Errors
    /// When nobody answers, or the answer is a refusal.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.url);
        let client = Client::default();
        let answer = client.send(method, &url, Some(&self.key), body).await;
        let answer = answer.with_context(|| format!("the server at {url}"))?;
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status.is_success() {
            return Ok(said);
        }
        let word = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or("unknown");
        let (code, detail) = (word("code"), word("detail"));
        anyhow::bail!("refused ({code}), nothing changed: {detail}")
    }
}

fn read(file: &std::path::Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(file)?;
    let text = text.trim();
    anyhow::ensure!(!text.is_empty(), "{} is empty", file.display());
    Ok(text.to_owned())
}

/// Submits a command; a refusal is an error with its code.
///
/// # Errors
/// When the rules refuse or the store fails.
pub(crate) async fn submit(desk: &Desk, command: Command) -> anyhow::Result<Outcome> {
    desk.submit(command).await?.map_err(refused)
}

fn refused(rejection: Rejection) -> anyhow::Error {
    let code = rejection.code();
    anyhow::Error::new(rejection).context(format!("refused ({code}), nothing changed"))
}

impl Why {
    /// Who acts, and why.
    ///
    /// # Errors
    /// When name or reason are not of their form.
    pub(crate) fn act(&self) -> anyhow::Result<Act> {
        let name = match &self.actor {
            Some(name) => name.clone(),
            None => std::env::var("USER").unwrap_or_else(|_| "unknown".into()),
        };
        let actor = Actor::parse(&format!("cli:{name}"))
            .with_context(|| format!("{name:?} is not a name for the record; it"))?;
        Act::new(actor, &self.reason).context("--reason must have 1 to 400 bytes in one line; it")
    }
}
