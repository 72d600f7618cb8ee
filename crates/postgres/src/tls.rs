//! TLS towards the server: who is trusted, and what to do when somebody is not.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use lingqian_io::Fault;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

/// The name under which PostgreSQL is spoken.
const PROTOCOL: &[u8] = b"postgresql";

/// Which authorities may sign for the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Roots {
    /// Those that the machine trusts.
    Platform,
    /// Those in a file, and no others.
    File(PathBuf),
}

impl Roots {
    fn read(&self) -> Result<RootCertStore, Fault> {
        let mut store = RootCertStore::empty();
        match self {
            Roots::Platform => {
                let found = rustls_native_certs::load_native_certs();
                store.add_parsable_certificates(found.certs);
                if store.is_empty() {
                    return Err(Fault::Broken(
                        "this machine trusts no authority at all: install its certificates (on \
                         Debian the package ca-certificates), or name a file with sslrootcert"
                            .into(),
                    ));
                }
            }
            Roots::File(path) => {
                let wrong = |words: String| {
                    let path = path.display();
                    Fault::Broken(format!("sslrootcert {path} cannot be read: {words}"))
                };
                let found =
                    CertificateDer::pem_file_iter(path).map_err(|e| wrong(e.to_string()))?;
                for certificate in found {
                    let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
                    store.add(certificate).map_err(|e| wrong(e.to_string()))?;
                }
                if store.is_empty() {
                    return Err(wrong("there is no certificate in it".into()));
                }
            }
        }
        Ok(store)
    }
}

/// How a connection is made secret, if it is.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    config: Option<Arc<ClientConfig>>,
}

impl Tls {
    /// TLS with a server that these vouch for, by the name in the address.
    pub(crate) fn new(roots: &Roots) -> Result<Tls, Fault> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| Fault::Broken("this program speaks no TLS".into()))?;
        let mut config = builder
            .with_root_certificates(roots.read()?)
            .with_no_client_auth();
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Tls {
            config: Some(Arc::new(config)),
        })
    }

    /// Whether TLS is spoken.
    pub(crate) fn is_spoken(&self) -> bool {
        self.config.is_some()
    }
}

/// TLS with one host.
pub(crate) struct Handshake {
    config: Option<Arc<ClientConfig>>,
    host: String,
}

impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Secret<S>;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, io::Error> {
        Ok(Handshake {
            config: self.config.clone(),
            host: host.to_owned(),
        })
    }
}

impl<S> TlsConnect<S> for Handshake
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Secret<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Secret<S>, io::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            // Never reached without: then TLS is switched off where the connection is made.
            let config = self.config.ok_or(io::ErrorKind::Unsupported)?;
            let host = ServerName::try_from(self.host);
            let host = host.map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
            let spoken = TlsConnector::from(config).connect(host, stream).await?;
            Ok(Secret(spoken))
        })
    }
}

/// A connection that nobody on the way can read.
pub(crate) struct Secret<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Secret<S> {
    /// The certificate was proved, so a password bound to it would prove nothing more.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secret<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secret<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Why TLS failed and what to do about it, where it was TLS that failed. An interrupted
/// connection is none of that.
pub(crate) fn refusal(error: &tokio_postgres::Error) -> Option<String> {
    let cause = error.source()?;
    let Some(io) = cause.downcast_ref::<io::Error>() else {
        // The client has no type for this; the text only chooses our words.
        return (cause.to_string() == "server does not support TLS").then(|| {
            "PostgreSQL does not speak TLS there: set ssl = on at the server; nothing was sent in \
             clear text"
                .into()
        });
    };
    let refused = io.get_ref()?.downcast_ref::<rustls::Error>()?;
    let words = match refused {
        rustls::Error::InvalidCertificate(wrong) => match wrong {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "no trusted authority signed the server's certificate: name the file of the one \
                 that did with sslrootcert"
                    .into()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another name: use the name in it as HOST, or \
                 make a certificate for this one"
                    .into()
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid at this time: renew it, or set the clock"
                    .into()
            }
            other => format!("the server's certificate is refused: {other}"),
        },
        other => format!("{other}"),
    };
    Some(format!("TLS with PostgreSQL: {words}"))
}
