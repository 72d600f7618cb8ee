//! One HTTP request, and what its client can know afterwards.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::history::Fate;

/// A client that keeps its connections and never sends anything twice by itself.
#[derive(Clone, Debug)]
pub struct Web {
    client: Client<HttpConnector, Full<Bytes>>,
    wait: Duration,
}

/// A question.
#[derive(Clone, Debug, Default)]
pub struct Ask<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// Where, with `http://`.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(&'a str, String)>,
    /// The body; empty for none.
    pub body: String,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Back {
    /// The status, where the head of an answer came.
    pub status: Option<u16>,
    /// The header `Location`.
    pub location: Option<String>,
    /// Whether the answer is an earlier one again.
    pub replayed: bool,
    /// The body as far as it came.
    pub body: Bytes,
    /// Why it is not whole.
    pub broken: Option<&'static str>,
}

impl Web {
    /// A client that waits so long for an answer.
    #[must_use]
    pub fn new(wait: Duration) -> Web {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(wait));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .retry_canceled_requests(false)
            .pool_idle_timeout(Duration::from_secs(20))
            .build(connector);
        Web { client, wait }
    }

    /// Asks. Whatever happens is in the answer.
    pub async fn ask(&self, ask: Ask<'_>) -> Back {
        let mut request = Request::builder().method(ask.method).uri(&ask.url);
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(ask.body)));
        let Ok(request) = request else {
            return broken("unsendable");
        };
        let until = tokio::time::Instant::now() + self.wait;
        let answer = tokio::time::timeout_at(until, self.client.request(request)).await;
        let answer = match answer {
            Err(_) => return broken("timeout"),
            Ok(Err(error)) if error.is_connect() => return broken("not_connected"),
            Ok(Err(_)) => return broken("connection_lost"),
            Ok(Ok(answer)) => answer,
        };
        let header = |name: &str| {
            let value = answer.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let mut back = Back {
            status: Some(answer.status().as_u16()),
            location: header("location"),
            replayed: header("idempotent-replayed").is_some(),
            ..Back::default()
        };
        let mut body = answer.into_body();
        let mut bytes = Vec::new();
        back.broken = loop {
            match tokio::time::timeout_at(until, body.frame()).await {
                Err(_) => break Some("timeout"),
                Ok(None) => break None,
                Ok(Some(Err(_))) => break Some("body_lost"),
                Ok(Some(Ok(frame))) => {
                    bytes.extend(frame.into_data().unwrap_or_default());
                }
            }
        };
        back.body = Bytes::from(bytes);
        back
    }

    /// Asks for JSON that must come with status 200.
    ///
    /// # Errors
    /// When it does not.
    pub async fn json(&self, ask: Ask<'_>) -> anyhow::Result<Value> {
        let place = format!("{} {}", ask.method, ask.url);
        let back = self.ask(ask).await;
        let good = back.broken.is_none() && back.status.is_some_and(|status| status < 300);
        anyhow::ensure!(
            good,
            "{place}: {:?} {:?} {}",
            back.status,
            back.broken,
            String::from_utf8_lossy(&back.body)
        );
        Ok(serde_json::from_slice(&back.body)?)
    }
}

fn broken(word: &'static str) -> Back {
    Back {
        broken: Some(word),
        ..Back::default()
    }
}

impl Back {
    /// The whole body as JSON, or null.
    #[must_use]
    pub fn value(&self) -> Value {
        if self.broken.is_some() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// What its client can know, and the stable code of an error or a word for the break.
    ///
    /// An answer is taken at its word: where it says `not_done`, that is held against the books.
    #[must_use]
    pub fn fate(&self) -> (Fate, Option<String>) {
        match (self.status, self.broken) {
            (None, Some("not_connected")) => (Fate::Fail, Some("not_connected".into())),
            (None | Some(_), Some(word)) => (Fate::Info, Some(word.into())),
            (None, None) => (Fate::Info, None),
            (Some(200..=299), None) => (Fate::Ok, None),
            (Some(_), None) => {
                let value = self.value();
                let code = value["code"].as_str().map(str::to_owned);
                let fate = if value["outcome"] == "not_done" {
                    Fate::Fail
                } else {
                    Fate::Info
                };
                (fate, code)
            }
        }
    }
}
