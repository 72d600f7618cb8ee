//! What a source has done and how it stands, for whoever publishes numbers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Numbers of one source or sink since the start.
#[derive(Debug, Default)]
pub struct Figures {
    messages: AtomicU64,
    credited: AtomicU64,
    duplicates: AtomicU64,
    letters: AtomicU64,
    connects: AtomicU64,
    faults: AtomicU64,
    /// Faults of the broker by their code, and the last code since it worked.
    codes: Mutex<(BTreeMap<&'static str, u64>, Option<&'static str>)>,
    pauses: AtomicU64,
    lost: AtomicU64,
    connected: AtomicBool,
    lag: AtomicI64,
}

/// The numbers at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Messages that were handled, or published.
    pub messages: u64,
    /// Of them, credited.
    pub credited: u64,
    /// Of them, credited before.
    pub duplicates: u64,
    /// Of them, kept as dead letters.
    pub letters: u64,
    /// Connections that were made.
    pub connects: u64,
    /// Times that the broker or the store failed.
    pub faults: u64,
    /// Times that fetching stopped because the store was slower.
    pub pauses: u64,
    /// Messages that the broker threw away before they were read.
    pub lost: u64,
    /// Whether there is a connection.
    pub connected: bool,
    /// Messages that are at the broker and not handled, where the broker tells.
    pub lag: i64,
}

impl Seen {
    /// Each by its name.
    #[must_use]
    pub fn named(&self) -> Vec<(&'static str, i64)> {
        let count = |number: u64| number.cast_signed();
        vec![
            ("messages", count(self.messages)),
            ("credited", count(self.credited)),
            ("duplicates", count(self.duplicates)),
            ("letters", count(self.letters)),
            ("connects", count(self.connects)),
            ("faults", count(self.faults)),
            ("pauses", count(self.pauses)),
            ("lost", count(self.lost)),
            ("connected", i64::from(self.connected)),
            ("lag", self.lag),
        ]
    }
}

impl Figures {
    /// Messages were handled: credited, credited before, kept as letters.
    pub(crate) fn handled(&self, credited: u64, duplicates: u64, letters: u64) {
        let all = credited + duplicates + letters;
        self.messages.fetch_add(all, Ordering::Relaxed);
        self.credited.fetch_add(credited, Ordering::Relaxed);
        self.duplicates.fetch_add(duplicates, Ordering::Relaxed);
        self.letters.fetch_add(letters, Ordering::Relaxed);
    }

    /// Messages were published.
    pub(crate) fn published(&self, messages: u64) {
        self.messages.fetch_add(messages, Ordering::Relaxed);
    }

    /// There is a connection, or there is none any more.
    pub(crate) fn connected(&self, is: bool) {
        if is && !self.connected.swap(true, Ordering::Relaxed) {
            self.connects.fetch_add(1, Ordering::Relaxed);
            self.codes().1 = None;
        }
        self.connected.store(is, Ordering::Relaxed);
    }

    /// The broker or the store failed.
    pub(crate) fn failed(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    /// The broker failed in this way. Tells whether it failed otherwise the last time, or worked.
    pub(crate) fn failed_with(&self, code: &'static str) -> bool {
        self.failed();
        let mut codes = self.codes();
        *codes.0.entry(code).or_default() += 1;
        codes.1.replace(code) != Some(code)
    }

    fn codes(
        &self,
    ) -> std::sync::MutexGuard<'_, (BTreeMap<&'static str, u64>, Option<&'static str>)> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the broker failed in which way.
    #[must_use]
    pub fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.codes().0.clone()
    }

    /// Fetching stopped.
    #[cfg(feature = "kafka")]
    pub(crate) fn paused(&self) {
        self.pauses.fetch_add(1, Ordering::Relaxed);
    }

    /// The broker threw messages away before they were read.
    #[cfg(feature = "kafka")]
    pub(crate) fn lost(&self, messages: u64) {
        self.lost.fetch_add(messages, Ordering::Relaxed);
    }

    /// So many messages are at the broker and not handled.
    #[cfg(feature = "kafka")]
    pub(crate) fn lags(&self, messages: i64) {
        self.lag.store(messages, Ordering::Relaxed);
    }

    /// All of them.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Seen {
            messages: read(&self.messages),
            credited: read(&self.credited),
            duplicates: read(&self.duplicates),
            letters: read(&self.letters),
            connects: read(&self.connects),
            faults: read(&self.faults),
            pauses: read(&self.pauses),
            lost: read(&self.lost),
            connected: self.connected.load(Ordering::Relaxed),
            lag: self.lag.load(Ordering::Relaxed),
        }
    }
}
