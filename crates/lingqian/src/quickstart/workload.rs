//! Made-up events, the same for the same seed: few users earn much and many little, most
//! amounts are less than a fen, and some lines are resent, contradict or make no sense, as in
//! real life.

use std::io::Write as _;

use fastrand::Rng;

/// How many of ten thousand lines are sent again unchanged.
const RESENT: u32 = 100;
/// How many of ten thousand lines use an earlier id with another amount.
const CONFLICTS: u32 = 10;
/// How many of ten thousand lines make no sense.
const MALFORMED: u32 = 10;
/// How far back a line is resent or contradicted, in lines.
const MEMORY: usize = 1_000;

/// When the made-up events happened, in Unix milliseconds: 2026-10-01 in Beijing and the hour
/// before. It does not depend on the run, so that the same seed makes the same events.
const HAPPENED_BY_MS: i64 = 1_790_784_000_000;

/// The kinds that the made-up app pays for: code, smallest and largest amount in micro-yuan,
/// weight. `sign_in` has a price in the catalogue, so its events bring no amount.
const KINDS: [(&str, u64, u64, u32); 4] = [
    ("ad_view", 300, 12_000, 70),
    ("sign_in", 0, 0, 10),
    ("task_done", 10_000, 200_000, 15),
    ("commission", 1_000, 900_000, 5),
];

/// An endless, repeatable stream of JSON lines.
pub(crate) struct Workload {
    rng: Rng,
    /// Cumulative Zipf weights of the users.
    users: Vec<f64>,
    recent: Vec<Line>,
    made: usize,
}

#[derive(Clone)]
struct Line {
    id: u128,
    text: Vec<u8>,
}

/// The name of the `index`th made-up user.
pub(crate) fn user_name(index: u64) -> String {
    format!("player-{index:06}")
}

impl Workload {
    /// Events of `users` users.
    pub(crate) fn new(seed: u64, users: u64) -> Workload {
        let mut sum = 0.0;
        let weights = (1..=users).map(|rank| {
            sum += 1.0 / (rank as f64).powf(0.9);
            sum
        });
        let users = weights.collect();
        Workload {
            rng: Rng::with_seed(seed),
            users,
            recent: Vec::new(),
            made: 0,
        }
    }

    /// The next line, without a line end.
    pub(crate) fn next_line(&mut self) -> Vec<u8> {
        let dice = self.rng.u32(0..10_000);
        if dice < RESENT && !self.recent.is_empty() {
            return self
                .rng
                .choice(&self.recent)
                .map(|line| line.text.clone())
                .unwrap_or_default();
        }
        if dice < RESENT + CONFLICTS && !self.recent.is_empty() {
            let id = self.rng.choice(&self.recent).map_or(0, |line| line.id);
            return self.line(id, Some(987_654_321));
        }
        if dice < RESENT + CONFLICTS + MALFORMED {
            return self.malformed();
        }
        let id = self.rng.u128(..);
        let text = self.line(id, None);
        let line = Line {
            id,
            text: text.clone(),
        };
        if self.recent.len() < MEMORY {
            self.recent.push(line);
        } else if let Some(slot) = self.recent.get_mut(self.made % MEMORY) {
            *slot = line;
        }
        self.made += 1;
        text
    }

    fn line(&mut self, id: u128, amount: Option<u64>) -> Vec<u8> {
        let user = self.user();
        let mut pick = self.rng.u32(0..100);
        let (mut kind, mut low, mut high) = ("ad_view", 300, 12_000);
        for (code, least, most, weight) in KINDS {
            if pick < weight {
                (kind, low, high) = (code, least, most);
                break;
            }
            pick -= weight;
        }
        let ago = self.rng.i64(0..3_600_000);
        let at = jiff::Timestamp::from_millisecond(HAPPENED_BY_MS - ago).unwrap_or_default();
        let amount = amount.or((high > 0).then(|| self.rng.u64(low..=high)));
        let mut text = Vec::with_capacity(192);
        // Writing to memory cannot fail.
        let _ = write!(
            text,
            r#"{{"source":"quickstart","event_id":"{id:032x}","user":"{user}","kind":"{kind}""#
        );
        if let Some(amount) = amount {
            let _ = write!(text, r#","amount_micros":{amount}"#);
        }
        let _ = write!(text, r#","occurred_at":"{at}"}}"#);
        text
    }

    fn user(&mut self) -> String {
        let point = self.rng.f64() * self.users.last().copied().unwrap_or(1.0);
        let rank = self.users.partition_point(|sum| *sum < point);
        user_name(rank.min(self.users.len().saturating_sub(1)) as u64)
    }

    fn malformed(&mut self) -> Vec<u8> {
        let id = self.rng.u128(..);
        let user = self.user();
        let good = format!(r#""source":"quickstart","event_id":"{id:032x}","user":"{user}""#);
        let text = match self.rng.u32(0..6) {
            0 => format!("{{{good},\"kind\":\"ad_vi"),
            1 => format!(r#"{{{good},"kind":"ad_view","amount_micros":12.5}}"#),
            2 => format!(r#"{{{good},"kind":"ad_view","amount_micros":-40}}"#),
            3 => format!(r#"{{{good},"kind":"lottery","amount_micros":40}}"#),
            4 => format!(
                r#"{{"source":"quickstart","event_id":"{id:032x}{id:032x}{id:x}","user":"{user}","kind":"ad_view","amount_micros":40}}"#
            ),
            _ => format!(
                r#"{{"source":"quickstart","event_id":"{id:032x}","user":"nobody","kind":"ad_view","amount_micros":40}}"#
            ),
        };
        text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_lines() {
        let lines = |seed| {
            let mut workload = Workload::new(seed, 50);
            (0..3_000).map(|_| workload.next_line()).collect::<Vec<_>>()
        };
        assert_eq!(lines(7), lines(7));
        assert_ne!(lines(7), lines(8));
        let mut unique = lines(7);
        unique.sort();
        unique.dedup();
        assert!(
            (2_900..3_000).contains(&unique.len()),
            "about one line in a hundred is resent"
        );
    }
}
