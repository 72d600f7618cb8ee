//! An SFTP server whose host key is known beforehand.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use lingqian_io::Fault;
use lingqian_io::files::{Shelf, Taken, Waiting};
use russh::client::{self, Handle};
use russh::keys::known_hosts::known_host_keys_path;
use russh::keys::ssh_key::Fingerprint;
use russh::keys::{
    Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate,
};
use russh_sftp::client::SftpSession;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::StatusCode;

use crate::access::Access;
use crate::place::{PlaceFault, Server};
use crate::pour::{IDLE, in_time, pour};

/// An SFTP server.
#[derive(Debug)]
pub struct Sftp {
    server: Server,
    access: Access,
    key: Option<Arc<PrivateKey>>,
    believed: Vec<Fingerprint>,
    known: Vec<PublicKey>,
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
        if access.key.is_none() && access.password.is_none() {
            return Err(PlaceFault::NoLogin);
        }
        let password = access.password.as_ref().map(|password| password.as_str());
        let read = |text: &zeroize::Zeroizing<String>| {
            let key = russh::keys::decode_secret_key(text, password);
            key.map_err(|error| PlaceFault::KeyUnreadable(error.to_string()))
        };
        let key = access.key.as_ref().map(read).transpose()?;
        let known = access.known_hosts.as_deref();
        let known = known.map(|path| known_keys(&server, path)).transpose()?;
        let known = known.unwrap_or_default();
        if believed.is_empty() && known.is_empty() {
            return Err(PlaceFault::NoHostKey);
        }
        Ok(Sftp {
            key: key.map(Arc::new),
            server,
            access,
            believed,
            known,
        })
    }

    /// What a server may prove itself by. It shows one key of those that it has: where a file says
    /// which kind is known, that kind comes first.
    fn preferred(&self) -> russh::Preferred {
        let mut preferred = russh::Preferred::DEFAULT;
        let usual = preferred
            .key
            .iter()
            .filter(|kind| !(*kind).clone().is_rsa());
        let mut kinds: Vec<Algorithm> = usual.cloned().collect();
        // Sorting keeps the order among those that are known, and among the others.
        kinds.sort_by_key(|kind| self.known.iter().all(|key| key.algorithm() != *kind));
        preferred.key = kinds.into();
        preferred
    }

    async fn session(&self) -> Result<(Handle<Host>, SftpSession), Fault> {
        let config = client::Config {
            inactivity_timeout: Some(IDLE),
            preferred: self.preferred(),
            ..client::Config::default()
        };
        let refused = Arc::new(Mutex::new(None));
        let host = Host {
            server: self.server.clone(),
            believed: self.believed.clone(),
            known: self.known.clone(),
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
            Ok(Err(error @ russh::Error::NoCommonAlgo { .. })) => {
                return Err(Fault::Broken(format!(
                    "source_unproved: {:?} offers no host key or cipher that is used here (an \
                     ed25519 or ECDSA host key is): {error}; nothing was sent",
                    self.server
                )));
            }
            Ok(Err(error)) => return Err(self.server.away(&error)),
            Err(_) => return Err(self.server.away(&"no answer")),
        };
        self.log_in(&mut session).await?;
        let channel = session.channel_open_session().await;
        let channel = channel.map_err(|error| self.server.away(&error))?;
        let asked = channel.request_subsystem(true, "sftp").await;
        asked.map_err(|error| self.server.away(&error))?;
        let sftp = SftpSession::new(channel.into_stream()).await;
        let sftp = sftp.map_err(|error| self.server.away(&error))?;
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
        let answered = answered.map_err(|error| self.server.away(&error))?;
        if answered.success() {
            return Ok(());
        }
        Err(Fault::Broken(format!(
            "source_login_refused: {:?} does not let us in with this key or password",
            self.server
        )))
    }

    /// A folder that is gone is not a file that has not come yet.
    async fn absent(&self, sftp: &SftpSession) -> Result<Taken, Fault> {
        match sftp.metadata(self.server.own_folder()).await {
            Ok(_) => Ok(Taken::Absent),
            Err(SftpError::Status(status)) if status.status_code == StatusCode::NoSuchFile => {
                Err(self.server.no_folder())
            }
            Err(error) => Err(self.server.away(&error)),
        }
    }

    async fn copy(&self, name: &str, into: &mut File, most: u64) -> Result<Taken, Fault> {
        let (_session, sftp) = self.session().await?;
        let path = self.server.path(name);
        let failed = |error: SftpError| self.server.away(&error);
        let mut file = match sftp.open(&path).await {
            Ok(file) => file,
            Err(SftpError::Status(status)) if status.status_code == StatusCode::NoSuchFile => {
                return self.absent(&sftp).await;
            }
            Err(error) => return Err(failed(error)),
        };
        let before = file.metadata().await.map_err(failed)?.size;
        let copied = pour(&self.server, &mut file, into, (name, most)).await?;
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
        Box::pin(in_time(&self.server, self.copy(name, into, most)))
    }
}

/// Looks at the server's key: one that is not known ends the connection before anything is sent.
struct Host {
    server: Server,
    believed: Vec<Fingerprint>,
    known: Vec<PublicKey>,
    refused: Arc<Mutex<Option<String>>>,
}

impl Host {
    fn looked_at(&self, shown: &PublicKeyOrCertificate) -> Result<(), String> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            return Err("host_key_changed: the server shows a certificate and not a key".into());
        };
        let found = key.fingerprint(HashAlg::Sha256);
        let known = self
            .known
            .iter()
            .any(|known| known.key_data() == key.key_data());
        if known || self.believed.contains(&found) {
            return Ok(());
        }
        Err(format!(
            "host_key_changed: {:?} shows the host key {found}, which neither bills.host_keys nor \
             bills.known_hosts names: somebody else may answer there; nothing was sent",
            self.server
        ))
    }
}

/// The keys of a server in a file as OpenSSH keeps it.
fn known_keys(server: &Server, path: &Path) -> Result<Vec<PublicKey>, PlaceFault> {
    let shown = path.display();
    let text = std::fs::read_to_string(path);
    let text =
        text.map_err(|error| PlaceFault::KnownHostsUnreadable(format!("{shown}: {error}")))?;
    // A key that is revoked must not be believed, and whoever wrote such a line relies on that.
    if let Some(at) = text.lines().position(|line| line.starts_with("@revoked")) {
        let words = format!("{shown}, line {}: @revoked is not looked at here", at + 1);
        return Err(PlaceFault::KnownHostsUnreadable(words));
    }
    let keys = known_host_keys_path(&server.host, server.port, path);
    let keys =
        keys.map_err(|error| PlaceFault::KnownHostsUnreadable(format!("{shown}: {error}")))?;
    Ok(keys.into_iter().map(|(_, key)| key).collect())
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
