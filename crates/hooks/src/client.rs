//! The only socket: one request, one answer, within a time and a size.

use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use lingqian_io::courier::{Courier, Parcel, Receipt};

use crate::guard::{Guard, Private, is_public};
use crate::sign;

/// So much of an answer's body is read at most, in bytes: only for the sake of the connection.
const ANSWER_MAX: usize = 16 * 1024;
/// For so long at most.
const BODY_WAIT: Duration = Duration::from_secs(2);
/// How long it may take to reach the other side.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// Whom messages may be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Machines of the public network, by https.
    Public,
    /// Any machine, by http as well.
    Anywhere,
}

impl Reach {
    pub(crate) fn covers(self, address: IpAddr) -> bool {
        self == Reach::Anywhere || is_public(address)
    }

    /// A word for why nothing may be sent to an address; nothing when it may.
    fn refuses(self, uri: &Uri) -> Option<&'static str> {
        if self == Reach::Anywhere {
            return None;
        }
        if uri.scheme_str() != Some("https") {
            return Some("clear_text");
        }
        // An address that is written out is never looked up.
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let address: Option<IpAddr> = host.parse().ok();
        let refused = address.is_some_and(|address| !self.covers(address));
        refused.then_some("private_address")
    }
}

/// Posts bodies to where they may go.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    client: Client<HttpsConnector<HttpConnector<Guard>>, Full<Bytes>>,
    reach: Reach,
    timeout: Duration,
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// No more than the beginning of what came.
    pub(crate) body: Vec<u8>,
}

impl Post {
    /// Answers must come within `timeout`.
    pub(crate) fn new(reach: Reach, timeout: Duration) -> Post {
        let mut http = HttpConnector::new_with_resolver(Guard { reach });
        http.enforce_http(false);
        http.set_connect_timeout(Some(timeout.min(CONNECT_WAIT)));
        http.set_nodelay(true);
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
            .pool_max_idle_per_host(8)
            .build(connector);
        Post {
            client,
            reach,
            timeout,
        }
    }

    /// Posts a body of JSON with headers.
    ///
    /// # Errors
    /// A word for why it was not sent or not answered.
    pub(crate) async fn post(
        &self,
        url: &str,
        headers: impl IntoIterator<Item = (&'static str, String)>,
        body: String,
    ) -> Result<Answer, &'static str> {
        let uri: Uri = url.parse().map_err(|_| "address_malformed")?;
        if let Some(word) = self.reach.refuses(&uri) {
            return Err(word);
        }
        let mut request = Request::post(uri)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("Lingqian/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body)));
        let request = request.map_err(|_| "address_malformed")?;
        let answer = tokio::time::timeout(self.timeout, self.client.request(request)).await;
        let answer = answer
            .map_err(|_| "timeout")?
            .map_err(|error| word(&error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = Vec::new();
        // A short one leaves the connection usable, and that of a longer one is closed.
        let _ = tokio::time::timeout(BODY_WAIT, drained(answer.into_body(), &mut body)).await;
        Ok(Answer {
            status,
            headers,
            body,
        })
    }
}

/// Sends messages over HTTP.
#[derive(Clone, Debug)]
pub struct HttpCourier(Post);

impl HttpCourier {
    /// A courier whose messages must be answered within `timeout`.
    #[must_use]
    pub fn new(reach: Reach, timeout: Duration) -> HttpCourier {
        HttpCourier(Post::new(reach, timeout))
    }

    /// # Errors
    /// A word for why it was not sent or not answered.
    async fn exchange(&self, parcel: Parcel) -> Result<Receipt, &'static str> {
        let signed = sign::headers(&parcel).ok_or("key_unusable")?;
        let answer = self.0.post(&parcel.url, signed, parcel.body).await?;
        Ok(receipt(&answer, parcel.at.0))
    }
}

/// What a status means; what is said beside it is not asked for.
pub(crate) fn receipt(answer: &Answer, now_ms: i64) -> Receipt {
    let status = answer.status;
    if status.is_success() {
        return Receipt::Taken;
    }
    Receipt::NotTaken {
        code: format!("http_{}", status.as_u16()),
        retry_after_ms: retry_after_ms(&answer.headers, now_ms),
        gone: status.as_u16() == 410,
    }
}

/// What went wrong before an answer came.
fn word(error: &Error) -> &'static str {
    let mut cause = error.source();
    while let Some(inner) = cause {
        let private = inner.downcast_ref::<std::io::Error>();
        let private = private.and_then(std::io::Error::get_ref);
        if private.is_some_and(|inner| inner.is::<Private>()) || inner.is::<Private>() {
            return "private_address";
        }
        cause = inner.source();
    }
    if error.is_connect() {
        "connect_failed"
    } else {
        "connection_lost"
    }
}

async fn drained<B>(mut body: B, kept: &mut Vec<u8>)
where
    B: http_body_util::BodyExt<Data = Bytes> + Unpin,
{
    let mut read = 0;
    while read <= ANSWER_MAX {
        match body.frame().await {
            Some(Ok(frame)) => {
                let data = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
                read += data.len();
                let room = ANSWER_MAX.saturating_sub(kept.len());
                kept.extend(data.iter().take(room));
            }
            Some(Err(_)) | None => return,
        }
    }
}

/// `Retry-After` in seconds or as a date.
fn retry_after_ms(headers: &HeaderMap, now_ms: i64) -> Option<i64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(i64::from(seconds).saturating_mul(1_000));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    let ms = date.timestamp().as_millisecond();
    Some(ms.saturating_sub(now_ms).max(0))
}

impl Courier for HttpCourier {
    async fn deliver(&self, parcel: Parcel) -> Receipt {
        let sent = self.exchange(parcel).await;
        sent.unwrap_or_else(Receipt::unanswered)
    }
}
