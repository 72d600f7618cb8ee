//! Mail: one connection, one message, within a time. The server's addresses are looked at before
//! any is connected to, and no more than a little is read of what it says. A password goes nowhere
//! in clear text unless this network may be sent to.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lingqian_io::courier::Receipt;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Reach;

/// So much of what a server says is read at most, in bytes.
const SAID_MAX: usize = 64 * 1024;

/// Where mail is taken, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Safety {
    /// `smtps://`: encrypted from the beginning.
    Tls,
    /// `smtp://`: encrypted after a greeting, or not sent.
    StartTls,
    /// `smtp+clear://`: not at all; only where any machine may be sent to.
    Clear,
}

/// A server that takes mail, who writes, and who reads. It never prints itself.
#[derive(Clone)]
pub struct Mail {
    host: String,
    port: u16,
    safety: Safety,
    from: Mailbox,
    to: Vec<Mailbox>,
    login: Option<(String, String)>,
    authority: Option<Vec<u8>>,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mail({}:{}, …)", self.host, self.port)
    }
}

impl Mail {
    /// A server as `smtps://HOST:PORT`, `smtp://HOST:PORT` or `smtp+clear://HOST:PORT`, and the
    /// addresses of who writes and who reads.
    ///
    /// # Errors
    /// What is wrong, in words without the addresses.
    pub fn new(server: &str, from: &str, to: &[String]) -> Result<Mail, &'static str> {
        let (scheme, rest) = server.split_once("://").ok_or("server is not a URL")?;
        let (safety, port) = match scheme {
            "smtps" => (Safety::Tls, 465),
            "smtp" => (Safety::StartTls, 587),
            "smtp+clear" => (Safety::Clear, 25),
            _ => return Err("server must begin with smtps://, smtp:// or smtp+clear://"),
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, text)) => (host, text.parse().map_err(|_| "server has no such port")?),
            None => (rest, port),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if host.is_empty() || !host.bytes().all(plain) {
            return Err("server names no host");
        }
        let read = |text: &String| text.parse::<Mailbox>().map_err(|_| "to is not an address");
        let to: Vec<Mailbox> = to.iter().map(read).collect::<Result<_, _>>()?;
        if to.is_empty() {
            return Err("to names nobody");
        }
        Ok(Mail {
            host: host.to_owned(),
            port,
            safety,
            from: from.parse().map_err(|_| "from is not an address")?,
            to,
            login: None,
            authority: None,
        })
    }

    /// The same with a user and a password.
    #[must_use]
    pub fn with_login(self, user: String, password: String) -> Mail {
        let login = Some((user, password));
        Mail { login, ..self }
    }

    /// The same, believing an authority besides those of the system.
    ///
    /// # Errors
    /// When it is no certificate in PEM.
    pub fn with_authority(self, pem: &[u8]) -> Result<Mail, &'static str> {
        CertificateDer::from_pem_slice(pem).map_err(|_| "authority is not a certificate in PEM")?;
        let authority = Some(pem.to_vec());
        Ok(Mail { authority, ..self })
    }

    /// Sends one message.
    pub(crate) async fn send(&self, letter: Letter, reach: Reach, timeout: Duration) -> Receipt {
        match tokio::time::timeout(timeout, self.exchange(&letter, reach)).await {
            Err(_) => Receipt::unanswered("timeout"),
            Ok(Ok(())) => Receipt::Taken,
            Ok(Err(code)) => Receipt::unanswered(&code),
        }
    }

    async fn exchange(&self, letter: &Letter, reach: Reach) -> Result<(), String> {
        let message = self.message(letter)?;
        let me = ClientId::Domain("lingqian.invalid".to_owned());
        let stream = self.connected(reach).await?;
        let mut smtp = AsyncSmtpConnection::connect_with_transport(stream, &me)
            .await
            .map_err(|error| word(&error))?;
        if self.safety == Safety::StartTls {
            if !smtp.can_starttls() {
                return Err("starttls_missing".to_owned());
            }
            let tls = self.tls_parameters().map_err(|error| word(&error))?;
            smtp.starttls(tls, &me)
                .await
                .map_err(|error| word(&error))?;
        }
        if let Some((user, password)) = &self.login {
            let login = Credentials::new(user.clone(), password.clone());
            smtp.auth(DEFAULT_MECHANISMS, &login)
                .await
                .map_err(|error| word(&error))?;
        }
        let sent = smtp.send(message.envelope(), &message.formatted()).await;
        sent.map_err(|error| word(&error))?;
        // It was taken, whatever is said at the end.
        let _ = smtp.quit().await;
        Ok(())
    }

    fn message(&self, letter: &Letter) -> Result<lettre::Message, String> {
        let at = Duration::from_millis(u64::try_from(letter.at_ms).unwrap_or(0));
        let mut builder = MessageBuilder::new()
            .from(self.from.clone())
            .subject(letter.subject.clone())
            .date(UNIX_EPOCH + at)
            .message_id(Some(format!("<{}@lingqian.invalid>", letter.id)))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        let message = builder.body(letter.text.clone());
        message.map_err(|_| "message_malformed".to_owned())
    }

    /// A connection to the first machine of the server's that may be sent to.
    async fn connected(&self, reach: Reach) -> Result<Box<dyn AsyncTokioStream>, String> {
        if self.safety == Safety::Clear && reach != Reach::Anywhere {
            return Err("clear_text".to_owned());
        }
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let found = found.map_err(|_| "connect_failed")?;
        let allowed: Vec<SocketAddr> = found.filter(|one| reach.covers(one.ip())).collect();
        if allowed.is_empty() {
            return Err("private_address".to_owned());
        }
        let stream = TcpStream::connect(allowed.as_slice()).await;
        let stream = stream.map_err(|_| "connect_failed")?;
        let peer = stream.peer_addr().map_err(|_| "connect_failed")?;
        let _ = stream.set_nodelay(true);
        let left = SAID_MAX;
        if self.safety != Safety::Tls {
            let inner = stream;
            return Ok(Box::new(Limited { inner, left, peer }));
        }
        let name = ServerName::try_from(self.host.clone()).map_err(|_| "address_malformed")?;
        let config = self.tls_config().map_err(str::to_owned)?;
        let inner = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let inner = inner.await.map_err(|_| "tls_failed")?;
        Ok(Box::new(Limited { inner, left, peer }))
    }

    fn tls_config(&self) -> Result<ClientConfig, &'static str> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(pem) = &self.authority {
            let root = CertificateDer::from_pem_slice(pem).map_err(|_| "authority_unusable")?;
            roots.add(root).map_err(|_| "authority_unusable")?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| "tls_failed")?;
        Ok(config.with_root_certificates(roots).with_no_client_auth())
    }

    fn tls_parameters(&self) -> Result<TlsParameters, SmtpError> {
        let mut builder = TlsParameters::builder(self.host.clone());
        if let Some(pem) = &self.authority {
            builder = builder.add_root_certificate(Certificate::from_pem(pem)?);
        }
        builder.build_rustls()
    }
}

/// A message in the words of people.
pub(crate) struct Letter {
    pub(crate) id: String,
    pub(crate) at_ms: i64,
    pub(crate) subject: String,
    pub(crate) text: String,
}

/// What went wrong, without the server's words.
fn word(error: &SmtpError) -> String {
    if let Some(code) = error.status() {
        return format!("smtp_{code}");
    }
    let word = if error.is_timeout() {
        "timeout"
    } else if error.is_tls() || is_of_tls(error) {
        "tls_failed"
    } else if error.is_client() {
        "login_unsupported"
    } else if error.is_response() {
        "answer_unreadable"
    } else {
        "connection_lost"
    };
    word.to_owned()
}

/// Whether TLS failed after the greeting, which comes as a failure of the connection.
fn is_of_tls(error: &SmtpError) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let within = inner
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if inner.is::<rustls::Error>() || within.is_some_and(|of| of.is::<rustls::Error>()) {
            return true;
        }
        source = inner.source();
    }
    false
}

/// A stream of which no more is read than a little.
#[derive(Debug)]
struct Limited<S> {
    inner: S,
    left: usize,
    peer: SocketAddr,
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other("the server says too much")));
        }
        let before = into.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, into);
        let count = into.filled().len().saturating_sub(before);
        self.left = self.left.saturating_sub(count);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl<S> AsyncTokioStream for Limited<S>
where
    S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug,
{
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_or_an_address_that_cannot_be_is_named() {
        let to = || vec!["Ops <ops@example.com>".to_owned()];
        let made = |server: &str| Mail::new(server, "lingqian@example.com", &to());
        let mail = made("smtps://smtp.example.com").expect("a server");
        assert_eq!((mail.port, mail.safety), (465, Safety::Tls));
        let mail = made("smtp://smtp.example.com:25").expect("a server");
        assert_eq!((mail.port, mail.safety), (25, Safety::StartTls));
        for wrong in [
            "smtp.example.com",
            "http://h",
            "smtp://h:x",
            "smtp://",
            "smtp://a@b",
        ] {
            assert!(made(wrong).is_err(), "{wrong}");
        }
        let from = Mail::new("smtp://h", "nobody", &to());
        assert_eq!(from.err(), Some("from is not an address"));
        let nobody = Mail::new("smtp://h", "a@example.com", &[]);
        assert_eq!(nobody.err(), Some("to names nobody"));
        let secret = mail.with_login("u".into(), "geheim".into());
        assert!(!format!("{secret:?}").contains("geheim"));
    }
}
