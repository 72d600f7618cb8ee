//! The host that answers: WeChat's own, or its backup for a while after a network failed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// After a failure the other host is asked first for so long.
const AWAY: Duration = Duration::from_secs(60);

/// Two ways to the same place.
#[derive(Debug)]
pub(crate) struct Hosts {
    main: String,
    backup: Option<String>,
    /// Until when the backup comes first.
    away: Mutex<Option<Instant>>,
}

impl Hosts {
    pub(crate) fn new(main: &str, backup: Option<&str>) -> Hosts {
        Hosts {
            main: main.to_owned(),
            backup: backup.map(str::to_owned),
            away: Mutex::default(),
        }
    }

    /// The host to ask now, and the other one.
    pub(crate) fn now(&self) -> (&str, Option<&str>) {
        let away = *self.away.lock().unwrap_or_else(PoisonError::into_inner);
        match (&self.backup, away) {
            (Some(backup), Some(until)) if Instant::now() < until => (backup, Some(&self.main)),
            (backup, _) => (&self.main, backup.as_deref()),
        }
    }

    /// Hears whether a host answered.
    pub(crate) fn heard(&self, host: &str, answered: bool) {
        let Some(backup) = self.backup.as_deref() else {
            return;
        };
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        let on_main = host == self.main;
        if on_main && !answered {
            if away.is_none() {
                tracing::warn!(
                    backup,
                    "WeChat does not answer: its backup is asked for a while"
                );
            }
            *away = Some(Instant::now() + AWAY);
        } else if answered == on_main {
            // The main one answers, or the backup fails as well: neither is better.
            *away = None;
        }
    }
}
