//! The only socket: one request, one answer, within a time.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// The largest answer that is read, in bytes.
pub const ANSWER_MAX: usize = 1024 * 1024;
/// The largest file that is read, in bytes.
pub const FILE_MAX: usize = 512 * 1024 * 1024;

/// An answer, whole. Its body may name a person, so it never prints itself.
#[derive(Clone)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Answered {
    /// The first header of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A client that keeps its connections.
#[derive(Clone, Debug)]
pub struct Socket {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

impl Socket {
    /// A client whose answers must come within `timeout`.
    #[must_use]
    pub fn new(timeout: Duration) -> Socket {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(timeout.min(Duration::from_secs(3))));
        http.set_nodelay(true);
        // Without certificates of the system no https works, but a local sandbox does.
        let builder = match HttpsConnectorBuilder::new().with_native_roots() {
            Ok(builder) => builder,
            Err(error) => {
                tracing::warn!(%error, "the system has no root certificates: https will fail");
                HttpsConnectorBuilder::new().with_tls_config(
                    rustls::ClientConfig::builder()
                        .with_root_certificates(rustls::RootCertStore::empty())
                        .with_no_client_auth(),
                )
            }
        };
        let connector = builder.https_or_http().enable_http1().wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(64)
            .build(connector);
        Socket { client, timeout }
    }

    /// Sends and waits. An error is a word for what happened; whether the other side acted on
    /// the request is not known then.
    ///
    /// # Errors
    /// `timeout`, `connect_failed`, `connection_lost` or `body_lost`.
    pub async fn call(
        &self,
        request: Request<Full<Bytes>>,
        body_max: usize,
    ) -> Result<Answered, &'static str> {
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| {
                if error.is_connect() {
                    "connect_failed"
                } else {
                    "connection_lost"
                }
            })?;
            let (status, headers) = (answer.status().as_u16(), headers(&answer));
            let body = Limited::new(answer.into_body(), body_max);
            let body = body.collect().await.map_err(|_| "body_lost")?.to_bytes();
            Ok(Answered {
                status,
                headers,
                body,
            })
        };
        tokio::time::timeout(self.timeout, exchange)
            .await
            .unwrap_or(Err("timeout"))
    }
}

fn headers<B>(answer: &Response<B>) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    answer
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}
