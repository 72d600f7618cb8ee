//! Progress for people: a bar on a terminal, plain lines elsewhere, nothing beside JSON.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// One stage of a long task. All of it goes to standard error.
pub(crate) struct Stage {
    name: &'static str,
    unit: &'static str,
    bar: ProgressBar,
    began: Instant,
}

/// What a stage did.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(crate) struct Rate {
    /// How many items.
    pub(crate) items: u64,
    /// How long it took, in milliseconds.
    pub(crate) took_ms: u64,
    /// Items per second.
    pub(crate) per_second: u64,
}

impl Stage {
    /// Begins a stage of `total` items, or of an unknown number of them.
    pub(crate) fn begin(name: &'static str, unit: &'static str, total: Option<u64>) -> Stage {
        let plain = !std::io::stderr().is_terminal();
        let target = if plain {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(total, target);
        let template = match total {
            Some(_) => "{msg:<10} {bar:32} {human_pos:>10}/{human_len} {rate:>14} {eta:>4}",
            None => "{msg:<10} {spinner} {human_pos:>10} {rate:>14} {elapsed:>4}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                // Nobody misses a rate that cannot be written.
                let _ = write!(out, "{}/s", grouped(state.per_sec() as u64));
            };
            bar.set_style(style.with_key("rate", rate));
        }
        bar.set_message(name);
        bar.enable_steady_tick(Duration::from_millis(100));
        Stage {
            name,
            unit,
            bar,
            began: Instant::now(),
        }
    }

    /// So many more items are done.
    pub(crate) fn advance(&self, items: u64) {
        self.bar.inc(items);
    }

    /// So many items are done in all.
    pub(crate) fn at(&self, items: u64) {
        self.bar.set_position(items);
    }

    /// The stage is over.
    pub(crate) fn end(self) -> Rate {
        self.end_at(Instant::now())
    }

    /// The stage was over at that moment, though it took longer to be sure.
    pub(crate) fn end_at(self, over: Instant) -> Rate {
        let items = self.bar.position();
        let took = over.saturating_duration_since(self.began);
        self.bar.finish_and_clear();
        let rate = Rate::of(items, took);
        let line = format!(
            "{:<10} {:>10} {} in {:.1} s ({}/s)",
            self.name,
            grouped(items),
            self.unit,
            took.as_secs_f64(),
            grouped(rate.per_second)
        );
        eprintln!("{line}");
        rate
    }
}

impl Rate {
    /// More of the same stage.
    pub(crate) fn add(&mut self, more: Rate) {
        let took = Duration::from_millis(self.took_ms.saturating_add(more.took_ms));
        *self = Rate::of(self.items.saturating_add(more.items), took);
    }

    fn of(items: u64, took: Duration) -> Rate {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let micros = took.as_micros().max(1);
        let per_second = u128::from(items) * 1_000_000 / micros;
        Rate {
            items,
            took_ms,
            per_second: u64::try_from(per_second).unwrap_or(u64::MAX),
        }
    }
}

/// A number with commas between its thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(12_345_678), "12,345,678");
    }
}
