//! The only socket: one request, one answer, within a time.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::builderstates::WantsSchemes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lingqian_io::Fault;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// The largest answer that is read, in bytes.
pub const ANSWER_MAX: usize = 1024 * 1024;
/// The largest file that is read, in bytes.
pub const FILE_MAX: usize = 512 * 1024 * 1024;

/// No connection: not one byte of the request went out.
pub const CONNECT_FAILED: &str = "connect_failed";
/// A file is fetched within so many times the time of an answer.
const FILE_TIMES: u32 = 60;

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

/// A merchant's certificate for the handshake, and what else the other side's may rest on. It
/// holds a private key, so it never prints itself.
#[derive(Clone)]
pub struct Identity {
    /// The certificate in PEM, `apiclient_cert.pem`.
    pub certificate: String,
    /// Its private key in PEM, `apiclient_key.pem`.
    pub key: String,
    /// Certificates of authorities in PEM, instead of the system's; for a sandbox.
    pub roots: Option<String>,
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
        Socket::over(timeout, builder)
    }

    /// The same for a client that shows a certificate, as the old API wants it.
    ///
    /// # Errors
    /// [`Fault::Broken`] when certificate, key or authorities do not read, or when the system has
    /// none and none are given.
    pub fn with_identity(timeout: Duration, identity: &Identity) -> Result<Socket, Fault> {
        let config = mutual(identity).map_err(|what| Fault::Broken(what.to_owned()))?;
        let builder = HttpsConnectorBuilder::new().with_tls_config(config);
        Ok(Socket::over(timeout, builder))
    }

    fn over(timeout: Duration, builder: HttpsConnectorBuilder<WantsSchemes>) -> Socket {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(timeout.min(Duration::from_secs(3))));
        http.set_nodelay(true);
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
            let answer = self.client.request(request).await.map_err(lost)?;
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

    /// Sends and writes the body of a good answer to a file as it comes, so that it is never in
    /// memory as a whole; answers the status. Each piece must come within the time of an answer.
    ///
    /// # Errors
    /// As [`Socket::call`], and `file_too_large`, `file_unwritable`.
    pub async fn fetch(
        &self,
        request: Request<Full<Bytes>>,
        most: usize,
        into: &mut File,
    ) -> Result<u16, &'static str> {
        let (status, _) = self.fetch_headed(request, most, into).await?;
        Ok(status)
    }

    /// The same with the headers of the answer.
    ///
    /// # Errors
    /// As [`Socket::fetch`].
    pub async fn fetch_headed(
        &self,
        request: Request<Full<Bytes>>,
        most: usize,
        into: &mut File,
    ) -> Result<(u16, Vec<(String, String)>), &'static str> {
        let exchange = async {
            let answer = self.client.request(request);
            let answer = self.within(answer).await?.map_err(lost)?;
            let (status, headers) = (answer.status().as_u16(), headers(&answer));
            let (mut body, mut came) = (answer.into_body(), 0_usize);
            while let Some(frame) = self.within(body.frame()).await? {
                let frame = frame.map_err(|_| "body_lost")?;
                let Some(bytes) = frame.data_ref() else {
                    continue;
                };
                came = came.saturating_add(bytes.len());
                if came > most {
                    return Err("file_too_large");
                }
                into.write_all(bytes).map_err(|_| "file_unwritable")?;
            }
            Ok((status, headers))
        };
        tokio::time::timeout(self.timeout.saturating_mul(FILE_TIMES), exchange)
            .await
            .unwrap_or(Err("timeout"))
    }

    async fn within<T>(&self, wait: impl Future<Output = T>) -> Result<T, &'static str> {
        let waited = tokio::time::timeout(self.timeout, wait).await;
        waited.map_err(|_| "timeout")
    }
}

/// What became of a request that was not answered.
fn lost(error: hyper_util::client::legacy::Error) -> &'static str {
    if error.is_connect() {
        CONNECT_FAILED
    } else {
        "connection_lost"
    }
}

/// TLS on which both sides prove themselves.
fn mutual(identity: &Identity) -> Result<ClientConfig, &'static str> {
    let roots = match &identity.roots {
        Some(text) => roots(text)?,
        None => system_roots()?,
    };
    let read = CertificateDer::pem_slice_iter(identity.certificate.as_bytes());
    let chain: Result<Vec<CertificateDer<'static>>, _> = read.collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or("the merchant's certificate is not one in PEM")?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
    let key = key.map_err(|_| "the merchant's key is not one in PEM")?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| "this build has no TLS")?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|_| "the merchant's key is not that of its certificate")
}

fn roots(text: &str) -> Result<RootCertStore, &'static str> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        let certificate = certificate.map_err(|_| "an authority's certificate does not read")?;
        store
            .add(certificate)
            .map_err(|_| "an authority's certificate is none")?;
    }
    Some(store)
        .filter(|store| !store.is_empty())
        .ok_or("there is no authority's certificate")
}

fn system_roots() -> Result<RootCertStore, &'static str> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Some(store)
        .filter(|store| !store.is_empty())
        .ok_or("the system has no root certificates")
}

fn headers<B>(answer: &Response<B>) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    answer
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}
