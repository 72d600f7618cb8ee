//! What opens a place: passwords and keys, and whose servers are believed.

use std::fmt;
use std::path::PathBuf;

use zeroize::Zeroizing;

/// What opens a place. It never prints itself.
#[derive(Clone, Default)]
pub struct Access {
    /// The user's password, or that of the private key where there is one.
    pub password: Option<Zeroizing<String>>,
    /// The user's private key, as OpenSSH writes it.
    pub key: Option<Zeroizing<String>>,
    /// Fingerprints of host keys that are believed, like `SHA256:…`.
    pub host_keys: Vec<String>,
    /// A file of host keys that are believed, as OpenSSH keeps it.
    pub known_hosts: Option<PathBuf>,
    /// Certificates of authorities in PEM, instead of the system's.
    pub roots: Option<String>,
    /// Whether clear text may go to another machine.
    pub clear_text: bool,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("host_keys", &self.host_keys)
            .field("known_hosts", &self.known_hosts)
            .field("clear_text", &self.clear_text)
            .finish_non_exhaustive()
    }
}
