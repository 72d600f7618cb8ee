//! Figures from many measurements.

use std::time::Duration;

use serde_json::{Value, json};

/// Durations, exact to the microsecond and all of them kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies {
    micros: Vec<u32>,
}

impl Latencies {
    /// One more.
    pub(crate) fn add(&mut self, took: Duration) {
        self.micros
            .push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    /// All of another's.
    pub(crate) fn append(&mut self, other: &Latencies) {
        self.micros.extend_from_slice(&other.micros);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.micros.len()
    }

    /// Those from a place on and before another.
    pub(crate) fn between(&self, first: usize, end: usize) -> Latencies {
        let found = self.micros.get(first..end);
        Latencies {
            micros: found.unwrap_or_default().to_vec(),
        }
    }

    /// The values that so many of a thousand do not exceed, in milliseconds; the smallest rank
    /// that covers the share.
    pub(crate) fn at(&self, per_mille: &[usize]) -> Vec<f64> {
        let mut sorted = self.micros.clone();
        sorted.sort_unstable();
        let value = |share: &usize| {
            let rank = (sorted.len() * share).div_ceil(1_000).max(1);
            let micros = sorted.get(rank - 1).copied().unwrap_or(0);
            f64::from(micros) / 1_000.0
        };
        per_mille.iter().map(value).collect()
    }

    /// The usual ones with their names.
    pub(crate) fn shown(&self) -> Vec<(&'static str, Value)> {
        let names = ["p50_ms", "p99_ms", "p99_9_ms", "max_ms"];
        let values = self.at(&[500, 990, 999, 1_000]);
        names
            .into_iter()
            .zip(values.into_iter().map(|value| json!(value)))
            .collect()
    }
}

/// So many each second.
pub(crate) fn per_second(count: u64, took: Duration) -> u64 {
    (count as f64 / took.as_secs_f64().max(1e-9)).round() as u64
}

/// Microseconds for each.
pub(crate) fn micros_each(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_exact() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.at(&[500]), [0.0]);
        for ms in (1..=200).rev() {
            latencies.add(Duration::from_millis(ms));
        }
        assert_eq!(
            latencies.at(&[500, 990, 999, 1_000]),
            [100.0, 198.0, 200.0, 200.0]
        );
        assert_eq!(latencies.between(199, 200).at(&[500]), [1.0]);
        assert_eq!(per_second(3_000, Duration::from_millis(1_500)), 2_000);
        assert!((micros_each(Duration::from_millis(2), 4_000) - 0.5).abs() < 1e-9);
    }
}
