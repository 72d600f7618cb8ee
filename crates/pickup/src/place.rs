//! What a place is called. An address never holds a password, and one that does is not repeated.

use std::fmt;
use std::path::PathBuf;

use lingqian_io::Fault;

/// Where files are delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder of this machine, or one that is mounted.
    Folder(PathBuf),
    /// An SFTP server.
    Sftp(Server),
    /// An FTP server in clear text.
    Ftp(Server),
    /// An FTP server that is told to speak TLS before anything else.
    Ftps(Server),
}

/// A server, and a folder of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// Who we are there.
    pub user: String,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The folder; what begins with `~/` is below the user's own.
    pub folder: String,
}

/// Why a place cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceFault {
    /// A password in an address would be in every list of processes and every log.
    #[error(
        "source_secret: the address of a source of files has a password in it: leave that out, and \
         name its place in bills.password"
    )]
    Secret,
    /// It does not read.
    #[error(
        "source_unreadable: {0}: a source of files is a folder, or sftp://USER@HOST/FOLDER, \
         ftps://USER@HOST/FOLDER or ftp://USER@HOST/FOLDER"
    )]
    Unreadable(&'static str),
    /// This program cannot.
    #[error(
        "source_not_built: this program was built without SFTP: build it with `--features sftp`, or \
         take ftps:// or a folder that is mounted"
    )]
    NotBuilt,
    /// Nobody says which host keys are believed.
    #[error(
        "host_key_unknown: nobody says how this server proves itself: name its host key in \
         bills.host_keys (`ssh-keyscan HOST | ssh-keygen -lf -` prints it; compare it with what the \
         server's owner says), or a file with a line of it in bills.known_hosts"
    )]
    NoHostKey,
    /// Nothing to log in with.
    #[error("source_login_missing: name a key in bills.key or a password in bills.password")]
    NoLogin,
    /// The private key does not read.
    #[error(
        "source_key_unreadable: bills.key is not a private key that can be used (ed25519 or ECDSA, \
         as ssh-keygen writes it): {0}"
    )]
    KeyUnreadable(String),
    /// A fingerprint does not read.
    #[error("host_key_unreadable: bills.host_keys wants fingerprints like SHA256:…")]
    HostKeyUnreadable,
    /// The file of host keys does not read, or says what we do not do.
    #[error("known_hosts_unreadable: bills.known_hosts: {0}")]
    KnownHostsUnreadable(String),
    /// A certificate does not read.
    #[error("source_roots_unreadable: bills.roots holds no certificate in PEM")]
    RootsUnreadable,
    /// Clear text to another machine.
    #[error(
        "source_in_clear: ftp:// sends the password and the bills in clear text: use ftps:// or \
         sftp://, or say bills.clear_text = true if the way there is safe"
    )]
    InClear,
}

impl Place {
    /// Reads what a place is called.
    ///
    /// # Errors
    /// When it is none, or has a password in it.
    pub fn parse(text: &str) -> Result<Place, PlaceFault> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return match text {
                "" => Err(PlaceFault::Unreadable("it is empty")),
                folder => Ok(Place::Folder(PathBuf::from(folder))),
            };
        };
        let server = |port| Server::parse(rest, port);
        match scheme {
            "sftp" => server(22).map(Place::Sftp),
            "ftp" => server(21).map(Place::Ftp),
            "ftps" => server(21).map(Place::Ftps),
            "file" => Ok(Place::Folder(PathBuf::from(rest))),
            _ => Err(PlaceFault::Unreadable("its scheme is not known")),
        }
    }
}

impl Server {
    fn parse(rest: &str, port: u16) -> Result<Server, PlaceFault> {
        let (authority, folder) = rest.split_once('/').unwrap_or((rest, ""));
        // A password may hold any character, so its presence is looked for in the whole address.
        let (user, host) = rest
            .rsplit_once('@')
            .map_or((None, authority), |(user, _)| {
                (
                    Some(user),
                    authority.rsplit_once('@').map_or("", |(_, host)| host),
                )
            });
        let user = user.ok_or(PlaceFault::Unreadable("it names no user"))?;
        if user.contains(':') || rest.contains(['?', '#']) {
            return Err(PlaceFault::Secret);
        }
        if user.is_empty() || user.contains('/') || user.contains('@') {
            return Err(PlaceFault::Unreadable("its user does not read"));
        }
        let (host, port) = match host.rsplit_once(':') {
            Some((host, digits)) if !host.contains(':') || host.ends_with(']') => {
                let port = digits.parse::<u16>().ok().filter(|port| *port > 0);
                (
                    host,
                    port.ok_or(PlaceFault::Unreadable("its port does not read"))?,
                )
            }
            _ => (host, port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(PlaceFault::Unreadable("it names no host"));
        }
        Ok(Server {
            user: user.to_owned(),
            host: host.to_owned(),
            port,
            folder: match folder.strip_prefix("~/") {
                Some(below_home) => below_home.trim_end_matches('/').to_owned(),
                None => format!("/{}", folder.trim_end_matches('/')),
            },
        })
    }

    /// A file of the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        match self.folder.as_str() {
            "" => name.to_owned(),
            "/" => format!("/{name}"),
            folder => format!("{folder}/{name}"),
        }
    }

    /// The folder as a server is asked about it.
    pub(crate) fn own_folder(&self) -> &str {
        match self.folder.as_str() {
            "" => ".",
            folder => folder,
        }
    }

    /// It cannot be reached, or not now.
    pub(crate) fn away(&self, error: &dyn fmt::Display) -> Fault {
        Fault::Retry(format!("source_away: {self:?}: {error}"))
    }

    /// A folder that is gone is not a file that has not come yet.
    pub(crate) fn no_folder(&self) -> Fault {
        Fault::Broken(format!(
            "source_folder_missing: {self:?} has no such folder, or does not show it"
        ))
    }

    /// Whether it is this machine.
    #[must_use]
    pub fn is_here(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}@{}:{}{}",
            self.user, self.host, self.port, self.folder
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_passwords_in_them_are_not_repeated() {
        let server = |user: &str, host: &str, port, folder: &str| Server {
            user: user.into(),
            host: host.into(),
            port,
            folder: folder.into(),
        };
        for (text, place) in [
            ("drop/bills", Place::Folder("drop/bills".into())),
            ("file:///srv/bills", Place::Folder("/srv/bills".into())),
            (
                "sftp://lq@bank.test",
                Place::Sftp(server("lq", "bank.test", 22, "/")),
            ),
            (
                "sftp://lq@bank.test:2222/out/bills/",
                Place::Sftp(server("lq", "bank.test", 2222, "/out/bills")),
            ),
            (
                "ftp://lq@[::1]:2121/~/b",
                Place::Ftp(server("lq", "::1", 2121, "b")),
            ),
            (
                "ftps://lq@10.0.0.1/x",
                Place::Ftps(server("lq", "10.0.0.1", 21, "/x")),
            ),
        ] {
            assert_eq!(Place::parse(text), Ok(place), "{text}");
        }
        for text in [
            "sftp://lq:pa55word@bank.test/x",
            "ftp://lq:pa/55@word@bank.test/x",
            "ftp://lq@bank.test/x?password=pa55word",
        ] {
            let fault = Place::parse(text).expect_err("a password");
            assert_eq!(fault, PlaceFault::Secret, "{text}");
            assert!(!fault.to_string().contains("55"));
        }
        for text in [
            "",
            "http://a@b/c",
            "sftp://bank.test/x",
            "sftp://@b/x",
            "sftp://a@/x",
        ] {
            let fault = Place::parse(text).expect_err("no place");
            assert!(
                fault.to_string().starts_with("source_unreadable"),
                "{text}: {fault}"
            );
        }
        assert!(Place::parse("sftp://a@b:0/x").is_err() && Place::parse("sftp://a@b:x/x").is_err());
        let there = server("a", "b", 22, "/x");
        assert_eq!(there.path("f"), "/x/f");
        assert_eq!(
            (server("a", "b", 22, "/").path("f"), there.is_here()),
            ("/f".into(), false)
        );
        assert!(server("a", "127.0.0.1", 22, "").is_here());
    }
}
