//! A small HTTP client for the commands: the API of this platform and of the sandbox.

use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// A client that keeps its connections.
#[derive(Clone)]
pub(crate) struct Client {
    client: hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>,
}

impl Default for Client {
    fn default() -> Self {
        let builder = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
        Client {
            client: builder.build_http(),
        }
    }
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) location: Option<String>,
    pub(crate) body: Bytes,
}

impl Client {
    /// One request without a body.
    pub(crate) async fn call(
        &self,
        method: Method,
        url: &str,
        key: Option<&str>,
    ) -> anyhow::Result<Answer> {
        self.send(method, url, key, None).await
    }

    /// One request, with a JSON body where there is one.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(method).uri(url);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut bytes = Bytes::new();
        if let Some(body) = body {
            request = request.header("content-type", "application/json");
            bytes = Bytes::from(serde_json::to_vec(body)?);
        }
        let request = request.body(Full::new(bytes))?;
        let answer = self.client.request(request).await.context("no answer")?;
        let status = answer.status();
        let location = answer
            .headers()
            .get("location")
            .and_then(|value| value.to_str().ok());
        let location = location.map(str::to_owned);
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(Answer {
            status,
            location,
            body,
        })
    }

    /// A JSON answer to `GET`.
    pub(crate) async fn get_json(&self, url: &str, key: Option<&str>) -> anyhow::Result<Value> {
        let answer = self.call(Method::GET, url, key).await?;
        anyhow::ensure!(
            answer.status.is_success(),
            "{url} answered {}",
            answer.status
        );
        Ok(serde_json::from_slice(&answer.body)?)
    }
}
