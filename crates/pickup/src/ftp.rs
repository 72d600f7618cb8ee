//! An FTP server: by TLS, or in clear text where that is allowed.

use std::fs::File;
use std::sync::Arc;

use lingqian_io::Fault;
use lingqian_io::files::{Shelf, Taken, Waiting};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use suppaftp::tokio::{AsyncRustlsConnector, AsyncRustlsFtpStream};
use suppaftp::types::FileType;
use suppaftp::{FtpError, Mode, Status};

use crate::access::Access;
use crate::place::{PlaceFault, Server};
use crate::pour::{IDLE, in_time, pour};

/// An FTP server.
#[derive(Debug)]
pub struct Ftp {
    server: Server,
    access: Access,
    tls: Option<Arc<ClientConfig>>,
}

impl Ftp {
    /// A server. Nothing is connected yet.
    ///
    /// # Errors
    /// When there is no password, or clear text would go to another machine.
    pub fn new(server: Server, access: Access, by_tls: bool) -> Result<Ftp, PlaceFault> {
        if access.password.is_none() {
            return Err(PlaceFault::NoLogin);
        }
        if !by_tls && !access.clear_text && !server.is_here() {
            return Err(PlaceFault::InClear);
        }
        let tls = by_tls.then(|| tls(access.roots.as_deref())).transpose()?;
        Ok(Ftp {
            server,
            access,
            tls: tls.map(Arc::new),
        })
    }

    fn failed(&self, error: &FtpError) -> Fault {
        match error {
            FtpError::UnexpectedResponse(answer) if answer.status == Status::NotLoggedIn => {
                Fault::Broken(format!(
                    "source_login_refused: {:?} does not let us in with this password",
                    self.server
                ))
            }
            FtpError::SecureError(words) => Fault::Broken(format!(
                "source_unproved: {:?} cannot prove who it is: {words}; no password was sent",
                self.server
            )),
            error => self.server.away(error),
        }
    }

    async fn session(&self) -> Result<AsyncRustlsFtpStream, FtpError> {
        let address = (self.server.host.as_str(), self.server.port);
        let mut ftp = AsyncRustlsFtpStream::connect(address).await?;
        if let Some(tls) = &self.tls {
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(tls));
            let connector = AsyncRustlsConnector::from(connector);
            ftp = ftp.into_secure(connector, &self.server.host).await?;
        }
        let password = self.access.password.as_ref();
        let password = password.map_or("", |password| password.as_str());
        ftp.login(self.server.user.as_str(), password).await?;
        ftp.set_mode(Mode::ExtendedPassive);
        ftp.transfer_type(FileType::Binary).await?;
        Ok(ftp)
    }

    /// An answer, unless none comes.
    async fn answer<T>(
        &self,
        asked: impl Future<Output = Result<T, FtpError>>,
    ) -> Result<T, Answer> {
        let answered = tokio::time::timeout(IDLE, asked).await;
        let answered = answered.map_err(|_| Answer::Fault(self.server.away(&"no answer")))?;
        answered.map_err(|error| match error {
            FtpError::UnexpectedResponse(answer) if answer.status == Status::FileUnavailable => {
                Answer::Absent
            }
            error => Answer::Fault(self.failed(&error)),
        })
    }

    /// An answer to a question about the whole server.
    async fn must<T>(&self, asked: impl Future<Output = Result<T, FtpError>>) -> Result<T, Fault> {
        self.answer(asked).await.map_err(|answer| match answer {
            Answer::Absent => self.server.away(&"the file is not there any more"),
            Answer::Fault(fault) => fault,
        })
    }

    /// A folder that is gone is not a file that has not come yet.
    async fn absent(&self, ftp: &mut AsyncRustlsFtpStream) -> Result<Taken, Fault> {
        match self.answer(ftp.cwd(self.server.own_folder())).await {
            Ok(()) => Ok(Taken::Absent),
            Err(Answer::Absent) => Err(self.server.no_folder()),
            Err(Answer::Fault(fault)) => Err(fault),
        }
    }

    async fn copy(&self, name: &str, into: &mut File, most: u64) -> Result<Taken, Fault> {
        let mut ftp = self.must(self.session()).await?;
        let path = self.server.path(name);
        let before = match self.answer(ftp.size(&path)).await {
            Ok(size) => size as u64,
            Err(Answer::Absent) => return self.absent(&mut ftp).await,
            Err(Answer::Fault(fault)) => return Err(fault),
        };
        let mut stream = self.must(ftp.retr_as_stream(&path)).await?;
        let copied = pour(&self.server, &mut stream, into, (name, most)).await?;
        // A connection that breaks looks like the end of a file; the server says which it was.
        self.must(stream.finish()).await?;
        let after = self.must(ftp.size(&path)).await? as u64;
        let _ = tokio::time::timeout(IDLE, ftp.quit()).await;
        Ok(if before == copied && after == copied {
            Taken::Whole(copied)
        } else {
            Taken::Arriving
        })
    }
}

/// What came instead of an answer.
enum Answer {
    /// The file is not there.
    Absent,
    /// The server is away, or must not be used.
    Fault(Fault),
}

impl Shelf for Ftp {
    fn name(&self) -> String {
        let scheme = if self.tls.is_some() { "ftps" } else { "ftp" };
        format!("{scheme}://{:?}", self.server)
    }

    fn take<'a>(&'a self, name: &'a str, into: &'a mut File, most: u64) -> Waiting<'a, Taken> {
        Box::pin(in_time(&self.server, self.copy(name, into, most)))
    }
}

/// TLS on which the server proves itself.
fn tls(roots: Option<&str>) -> Result<ClientConfig, PlaceFault> {
    let mut store = RootCertStore::empty();
    match roots {
        Some(text) => {
            for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
                let certificate = certificate.map_err(|_| PlaceFault::RootsUnreadable)?;
                store
                    .add(certificate)
                    .map_err(|_| PlaceFault::RootsUnreadable)?;
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() {
        return Err(PlaceFault::RootsUnreadable);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| PlaceFault::RootsUnreadable)?;
    Ok(config.with_root_certificates(store).with_no_client_auth())
}
