//! An SFTP server whose host key is known beforehand.

use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lingqian_io::Fault;
use lingqian_io::files::{Shelf, Taken, Waiting};
use russh::client::{self, Handle};
use russh::keys::known_hosts::check_known_hosts_path;
use russh::keys::ssh_key::Fingerprint;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh_sftp::client::SftpSession;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::StatusCode;
use tokio::io::AsyncReadExt as _;

use crate::access::Access;
use crate::folder::too_large;
use crate::place::{PlaceFault, Server};

/// A server that says nothing for so long is away.
const IDLE: Duration = Duration::from_secs(30);
/// A file is picked up within this.
const WHOLE: Duration = Duration::from_secs(900);
/// So much is read at once, in bytes.
const PIECE: usize = 256 * 1024;

/// An SFTP server.
#[derive(Debug)]
pub struct Sftp {
    server: Server,
    access: Access,
    key: Option<Arc<PrivateKey>>,
    believed: Vec<Fingerprint>,
}

impl Sftp {
    /// A server. Nothing is connected yet.
    ///
    /// # Errors
    /// When no host key is believed, or there is nothing to log in with.
    pub fn new(server: Server, access: Access) -> Result<Sftp, PlaceFault> {
        let believed: Result<Vec<Fingerprint>, _> =
            access.host_keys.iter().map(|text| text.parse()).collect();
        let believed = believed.map_err(|_| PlaceFault::HostKeyUnreadable)?;
        if believed.is_empty() && access.known_hosts.is_none() {
            return Err(PlaceFault::NoHostKey);
        }
        if access.key.is_none() && access.password.is_none() {
            return Err(PlaceFault::NoLogin);
        }
        let password = access.password.as_ref().map(|password| password.as_str());
        let read = |text: &zeroize::Zeroizing<String>| {
            let key = russh::keys::decode_secret_key(text, password);
            key.map_err(|error| PlaceFault::KeyUnreadable(error.to_string()))
        };
        let key = access.key.as_ref().map(read).transpose()?;
        Ok(Sftp {
            key: key.map(Arc::new),
            server,
            access,
            believed,
        })
    }

    async fn session(&self) -> Result<(Handle<Host>, SftpSession), Fault> {
        let config = client::Config {
            inactivity_timeout: Some(IDLE),
            ..client::Config::default()
        };
        let refused = Arc::new(Mutex::new(None));
        let host = Host {
            server: self.server.clone(),
            access: self.access.clone(),
            believed: self.believed.clone(),
            refused: Arc::clone(&refused),
        };
        let address = (self.server.host.as_str(), self.server.port);
        let connect = client::connect(Arc::new(config), address, host);
        let connected = tokio::time::timeout(IDLE, connect).await;
        let refused = refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(words) = refused {
            return Err(Fault::Broken(words));
        }
        let mut session = match connected {
            Ok(Ok(session)) => session,
            Ok(Err(error)) => return Err(self.away(&error)),
            Err(_) => return Err(self.away(&"no answer")),
        };
        self.log_in(&mut session).await?;
        let channel = session.channel_open_session().await;
        let channel = channel.map_err(|error| self.away(&error))?;
        let asked = channel.request_subsystem(true, "sftp").await;
        asked.map_err(|error| self.away(&error))?;
        let sftp = SftpSession::new(channel.into_stream()).await;
        let sftp = sftp.map_err(|error| self.away(&error))?;
        sftp.set_timeout(IDLE.as_secs());
        Ok((session, sftp))
    }

    async fn log_in(&self, session: &mut Handle<Host>) -> Result<(), Fault> {
        let user = self.server.user.as_str();
        let answered = match (&self.key, &self.access.password) {
            (Some(key), _) => {
                let key = PrivateKeyWithHashAlg::new(Arc::clone(key), Some(HashAlg::Sha256));
                session.authenticate_publickey(user, key).await
            }
            (None, Some(password)) => session.authenticate_password(user, password.as_str()).await,
            (None, None) => return Err(Fault::Broken(PlaceFault::NoLogin.to_string())),
        };
        let answered = answered.map_err(|error| self.away(&error))?;
        if answered.success() {
            return Ok(());
        }
        Err(Fault::Broken(format!(
            "source_login_refused: {:?} does not let us in with this key or password",
            self.server
        )))
    }

    fn away(&self, error: &dyn std::fmt::Display) -> Fault {
        Fault::Retry(format!("source_away: {:?}: {error}", self.server))
    }

    async fn copy(&self, name: &str, into: &mut File, most: u64) -> Result<Taken, Fault> {
        let (_session, sftp) = self.session().await?;
        let path = self.server.path(name);
        let failed = |error: SftpError| self.away(&error);
        let mut file = match sftp.open(&path).await {
            Ok(file) => file,
            Err(SftpError::Status(status)) if status.status_code == StatusCode::NoSuchFile => {
                return Ok(Taken::Absent);
            }
            Err(error) => return Err(failed(error)),
        };
        let before = file.metadata().await.map_err(failed)?.size;
        let (mut piece, mut copied) = (vec![0; PIECE], 0_u64);
        loop {
            let read = file
                .read(&mut piece)
                .await
                .map_err(|error| self.away(&error))?;
            if read == 0 {
                break;
            }
            copied += read as u64;
            if copied > most {
                return Err(too_large(name));
            }
            let bytes = piece.get(..read).unwrap_or_default();
            into.write_all(bytes).map_err(|error| self.away(&error))?;
        }
        let after = sftp.metadata(&path).await.map_err(failed)?.size;
        Ok(if before == Some(copied) && after == Some(copied) {
            Taken::Whole(copied)
        } else {
            Taken::Arriving
        })
    }
}

impl Shelf for Sftp {
    fn name(&self) -> String {
        format!("sftp://{:?}", self.server)
    }

    fn take<'a>(&'a self, name: &'a str, into: &'a mut File, most: u64) -> Waiting<'a, Taken> {
        Box::pin(async move {
            let copied = tokio::time::timeout(WHOLE, self.copy(name, into, most)).await;
            copied.unwrap_or_else(|_| Err(self.away(&"it took too long")))
        })
    }
}

/// Looks at the server's key: one that is not known ends the connection before anything is sent.
struct Host {
    server: Server,
    access: Access,
    believed: Vec<Fingerprint>,
    refused: Arc<Mutex<Option<String>>>,
}

impl Host {
    fn looked_at(&self, shown: &PublicKeyOrCertificate) -> Result<(), String> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            return Err("host_key_unknown: the server shows a certificate instead of a key".into());
        };
        let found = key.fingerprint(HashAlg::Sha256);
        if self.believed.contains(&found) {
            return Ok(());
        }
        let named = format!("{:?} shows the host key {found}", self.server);
        let Some(path) = &self.access.known_hosts else {
            return Err(format!(
                "host_key_changed: {named}, which bills.host_keys does not name: somebody else may \
                 answer there; nothing was sent"
            ));
        };
        match check_known_hosts_path(&self.server.host, self.server.port, key, path) {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!(
                "host_key_unknown: {named}, which {} does not name; nothing was sent",
                path.display()
            )),
            Err(russh::keys::Error::KeyChanged { line }) => Err(format!(
                "host_key_changed: {named}, and line {line} of {} names another: somebody else may \
                 answer there; nothing was sent",
                path.display()
            )),
            Err(error) => Err(format!(
                "host_key_unknown: {} does not read: {error}",
                path.display()
            )),
        }
    }
}

impl client::Handler for Host {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let looked = self.looked_at(shown);
        let believed = looked.is_ok();
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = looked.err();
        Ok(believed)
    }
}
