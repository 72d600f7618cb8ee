//! The address of a store: what of it PostgreSQL's client reads, and what of it is about TLS.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use lingqian_io::Fault;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::tls::{Roots, Tls};

/// A connection that is not made within this is not made.
pub(crate) const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// How long all of it may take: whoever takes the connection may say nothing.
pub(crate) const CREATE_WAIT: Duration = CONNECT_WAIT.saturating_mul(2);
/// A server that acknowledges nothing for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Where the server is and how it is spoken to.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) config: Config,
    pub(crate) tls: Tls,
}

/// What an address says about TLS.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    mode: Option<String>,
    roots: Option<String>,
}

fn refused(words: impl AsRef<str>) -> Fault {
    Fault::Broken(format!("the address of the store {}", words.as_ref()))
}

impl Address {
    /// Reads an address. Its words, a password among them, go no further than into the answer.
    pub(crate) fn read(url: &str) -> Result<Address, Fault> {
        let unread = || refused("does not read; it is postgres://USER@HOST/DATABASE");
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(unread());
        }
        let (rest, asked) = split(url).ok_or_else(unread)?;
        let mut config = Config::from_str(&rest).map_err(|_| unread())?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(refused("names no host"));
        }
        let tls = match asked.mode.as_deref() {
            None if asked.roots.is_none() && is_local(&config) => Tls::default(),
            None if asked.roots.is_none() => {
                return Err(refused(
                    "names another machine and no TLS: add ?sslmode=verify-full, with \
                     &sslrootcert=FILE where the server's authority is one of your own, or \
                     ?sslmode=disable if nobody else is on the way to it",
                ));
            }
            Some("disable") if asked.roots.is_none() => Tls::default(),
            None | Some("require" | "verify-ca" | "verify-full") => {
                Tls::new(&Roots::from(asked.roots))?
            }
            Some("disable") => {
                return Err(refused(
                    "has sslmode=disable and an sslrootcert: take one out",
                ));
            }
            Some(_) => {
                return Err(refused(
                    "has another sslmode than verify-full (or require, which is the same here) \
                     and disable; nothing here falls back to clear text",
                ));
            }
        };
        config.ssl_mode(if tls.is_spoken() {
            SslMode::Require
        } else {
            SslMode::Disable
        });
        if tls.is_spoken() && config.get_hosts().iter().any(|host| !is_named(host)) {
            return Err(refused(
                "asks for TLS over a socket file, where there is none",
            ));
        }
        if config.get_application_name().is_none() {
            config.application_name("lingqian");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_WAIT);
        }
        config.keepalives_idle(SILENCE_MAX);
        config.tcp_user_timeout(SILENCE_MAX);
        Ok(Address { config, tls })
    }
}

fn is_named(host: &Host) -> bool {
    matches!(host, Host::Tcp(_))
}

/// Whether what is said to the server never leaves this machine.
fn is_local(config: &Config) -> bool {
    let local = |host: &Host| match host {
        Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
        Host::Unix(_) => true,
    };
    config.get_hosts().iter().all(local)
        && config
            .get_hostaddrs()
            .iter()
            .all(|address| address.is_loopback())
}

/// An address without what is said in it about TLS, and that.
fn split(url: &str) -> Option<(String, Asked)> {
    let mut asked = Asked::default();
    let Some((before, options)) = url.split_once('?') else {
        return Some((url.to_owned(), asked));
    };
    let mut others = Vec::new();
    for option in options.split('&') {
        let place = match option.split_once('=') {
            Some(("sslmode", _)) => &mut asked.mode,
            Some(("sslrootcert", _)) => &mut asked.roots,
            _ => {
                others.push(option);
                continue;
            }
        };
        let (_, value) = option.split_once('=')?;
        *place = Some(unescaped(value)?);
    }
    let rest = match others.as_slice() {
        [] => before.to_owned(),
        others => format!("{before}?{}", others.join("&")),
    };
    Some((rest, asked))
}

/// Text in which `%41` stands for an A.
fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

impl From<Option<String>> for Roots {
    /// As PostgreSQL's own clients have it, `system` means what is meant without a word.
    fn from(named: Option<String>) -> Roots {
        match named {
            Some(path) if path != "system" => Roots::File(PathBuf::from(path)),
            _ => Roots::Platform,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(url: &str) -> String {
        match Address::read(url) {
            Ok(address) if address.tls.is_spoken() => "TLS".into(),
            Ok(_) => "clear".into(),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn clear_text_leaves_the_machine_only_where_it_is_asked_for() {
        for (url, expected) in [
            ("postgres://u@localhost/x", "clear"),
            ("postgres://u@127.0.0.1:5/x?application_name=a", "clear"),
            ("postgres://u@%2Frun%2Fpg/x", "clear"),
            ("postgres://u@db.example/x?sslmode=disable", "clear"),
            ("postgres://u:hush@db.example/x", "no TLS"),
            ("postgres://u:hush@localhost,db.example/x", "no TLS"),
            ("postgres://u@localhost/x?hostaddr=192.0.2.1", "no TLS"),
            (
                "postgres://u:hush@db.example/x?sslmode=prefer",
                "falls back",
            ),
            ("postgres://u:hush@localhost/x?sslmode=allow", "falls back"),
            (
                "postgres://u@%2Frun%2Fpg/x?sslmode=require",
                "cannot be read|over a socket",
            ),
            ("postgres://u:hush@h/x?sslmode=%zz", "does not read"),
            ("postgres://u:hush@h/x?sslrootcert=/none.pem", "/none.pem"),
            (
                "postgres://u:hush@h/x?sslmode=disable&sslrootcert=a",
                "take one",
            ),
        ] {
            let words = words(url);
            assert!(
                expected.split('|').any(|part| words.contains(part)),
                "{url}: {words}"
            );
            assert!(!words.contains("hush"), "{words}");
        }
    }

    #[test]
    fn what_is_said_about_tls_is_taken_out_and_the_rest_stays() {
        let asked = |mode: &str, roots: Option<&str>| Asked {
            mode: Some(mode.into()),
            roots: roots.map(str::to_owned),
        };
        let url = "postgres://u@h/d?a=b&sslmode=require&sslrootcert=%2Fca%20s.pem&c=d";
        let rest = "postgres://u@h/d?a=b&c=d".to_owned();
        assert_eq!(
            split(url),
            Some((rest, asked("require", Some("/ca s.pem"))))
        );
        let only = split("postgres://u@h/d?sslmode=disable");
        assert_eq!(
            only,
            Some(("postgres://u@h/d".into(), asked("disable", None)))
        );
    }
}
