//! Faults that wait for the operation that they spoil.

use std::collections::BTreeMap;

/// How often each fault still has to strike, and how often it struck.
#[derive(Clone, Debug)]
pub(crate) struct Pending<F> {
    waiting: BTreeMap<F, u32>,
    struck: BTreeMap<F, u64>,
}

impl<F> Default for Pending<F> {
    fn default() -> Self {
        Pending {
            waiting: BTreeMap::new(),
            struck: BTreeMap::new(),
        }
    }
}

impl<F: Ord + Copy> Pending<F> {
    /// One more.
    pub(crate) fn add(&mut self, fault: F) {
        *self.waiting.entry(fault).or_default() += 1;
    }

    /// Whether it would strike now.
    pub(crate) fn has(&self, fault: F) -> bool {
        self.waiting.contains_key(&fault)
    }

    /// Strikes, where it waits.
    pub(crate) fn take(&mut self, fault: F) -> bool {
        if self.waiting.is_empty() {
            return false;
        }
        let Some(left) = self.waiting.get_mut(&fault) else {
            return false;
        };
        *left -= 1;
        if *left == 0 {
            self.waiting.remove(&fault);
        }
        *self.struck.entry(fault).or_default() += 1;
        true
    }

    /// None waits any more.
    pub(crate) fn stop(&mut self) {
        self.waiting.clear();
    }

    /// How often each struck.
    pub(crate) fn struck(&self) -> impl Iterator<Item = (F, u64)> + '_ {
        self.struck.iter().map(|(fault, times)| (*fault, *times))
    }
}
