//! How a connection is kept from others' eyes, and what went wrong when it was not made: TLS with
//! an authority and a certificate of one's own, and a stable code for each failure.

use std::fmt;
use std::io::ErrorKind as Io;

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Error, ErrorKind};

/// What the broker did that is no error of its own.
#[derive(Debug)]
pub(super) struct Ours {
    code: &'static str,
    words: String,
}

impl Ours {
    /// An error with a code.
    pub(super) fn error(code: &'static str, words: impl Into<String>) -> Error {
        let words = words.into();
        std::io::Error::other(Ours { code, words }).into()
    }
}

impl fmt::Display for Ours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Ours {}

/// Who we are, for a broker that asks for a certificate.
#[derive(Clone, PartialEq, Eq)]
pub enum Identity {
    /// A certificate with those above it, and its key, both in PEM.
    Pem {
        /// The certificates.
        certificate: String,
        /// The key, without a password.
        key: String,
    },
    /// Both in one file, after PKCS#12.
    Pkcs12 {
        /// The file.
        der: Vec<u8>,
        /// What it is closed with.
        password: String,
    },
}

/// What TLS needs besides an address that begins with `amqps`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities in PEM that are believed instead of those of the system.
    pub authority: Option<String>,
    /// Who we are.
    pub identity: Option<Identity>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = match &self.identity {
            None => "none",
            Some(Identity::Pem { .. }) => "pem",
            Some(Identity::Pkcs12 { .. }) => "pkcs12",
        };
        let own = self.authority.is_some();
        f.debug_struct("Tls")
            .field("own_authority", &own)
            .field("identity", &of)
            .finish()
    }
}

impl Tls {
    pub(super) fn config(&self) -> OwnedTLSConfig {
        let identity = self.identity.clone().map(|identity| match identity {
            Identity::Pem { certificate, key } => OwnedIdentity::PKCS8 {
                pem: certificate.into_bytes(),
                key: key.into_bytes(),
            },
            Identity::Pkcs12 { der, password } => OwnedIdentity::PKCS12 { der, password },
        });
        OwnedTLSConfig {
            identity,
            cert_chain: Some(self.authority.clone().unwrap_or_else(system)),
        }
    }
}

/// The authorities that the system believes, in PEM.
#[cfg(feature = "rabbitmq-tls")]
fn system() -> String {
    let found = rustls_native_certs::load_native_certs().certs;
    let certificates = found
        .iter()
        .map(|der| pem::Pem::new("CERTIFICATE", &der[..]));
    pem::encode_many(&certificates.collect::<Vec<_>>())
}

/// Without TLS nobody asks.
#[cfg(not(feature = "rabbitmq-tls"))]
fn system() -> String {
    String::new()
}

/// Whether an address is one, and whether this build can speak to it.
///
/// # Errors
/// What is wrong, without the address, which may hold a password.
pub fn check(url: &str) -> Result<(), &'static str> {
    let parsed: Result<AMQPUri, _> = url.parse();
    let uri = parsed.map_err(|_| "it is not amqp://USER:PASSWORD@HOST:PORT/VHOST")?;
    if uri.scheme == AMQPScheme::AMQPS && !cfg!(feature = "rabbitmq-tls") {
        return Err("amqps:// needs a program that was built with `--features rabbitmq-tls`");
    }
    Ok(())
}

/// What went wrong, as a stable code.
pub(crate) fn code(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::ProtocolError(error) => match error.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => "access_refused",
            AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => "not_found",
            AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => "precondition_failed",
            AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED) => "locked",
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => "not_allowed",
            AMQPErrorKind::Hard(AMQPHardError::CONNECTIONFORCED) => "broker_stopped",
            _ => "broker_error",
        },
        ErrorKind::AuthProviderError(_) => "login_refused",
        ErrorKind::ParsingError(_) | ErrorKind::InvalidProtocolVersion(_) => "not_amqp",
        ErrorKind::MissingHeartbeatError => "heartbeat_missing",
        ErrorKind::IOError(error) => of_io(error),
        _ => "connection_lost",
    }
}

fn of_io(error: &std::io::Error) -> &'static str {
    let ours = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Ours>());
    if let Some(code) = ours.map(|ours| ours.code).or_else(|| of_tls(error)) {
        return code;
    }
    match error.kind() {
        // Whatever the address could be wrong in was looked at before.
        Io::Other => "tls_identity_unreadable",
        Io::ConnectionRefused => "connection_refused",
        Io::TimedOut => "timeout",
        _ => "connection_lost",
    }
}

#[cfg(feature = "rabbitmq-tls")]
fn of_tls(error: &std::io::Error) -> Option<&'static str> {
    let tls = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match tls {
        rustls::Error::InvalidCertificate(_) => "tls_certificate_refused",
        rustls::Error::InconsistentKeys(_) => "tls_identity_unreadable",
        rustls::Error::AlertReceived(_) => "tls_identity_refused",
        _ => "tls_failed",
    })
}

#[cfg(not(feature = "rabbitmq-tls"))]
fn of_tls(_: &std::io::Error) -> Option<&'static str> {
    None
}
