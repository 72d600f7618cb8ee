//! Amounts, spans and moments as people write them in stories.

use lingqian_core::time::Timestamp;

/// Units of time, the longest first.
const UNITS: [(&str, i64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A span in its longest whole unit: `10m`, `36h`.
#[must_use]
pub fn span(ms: i64) -> String {
    let whole = |unit: &&(&str, i64)| ms != 0 && ms % unit.1 == 0;
    let (name, unit) = UNITS.iter().find(whole).copied().unwrap_or(("s", 1_000));
    format!("{}{name}", ms / unit)
}

/// Reads a span, which may have a sign.
#[must_use]
pub fn read_span(text: &str) -> Option<i64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    let (count, name) = rest.split_at(digits);
    let (_, unit) = UNITS.iter().find(|(unit, _)| *unit == name)?;
    count
        .parse::<i64>()
        .ok()?
        .checked_mul(*unit)?
        .checked_mul(sign)
}

/// Micro-yuan as yuan, with two decimals or as many as are needed: `5.00`, `0.0025`.
#[must_use]
pub fn yuan(micros: i64) -> String {
    let (sign, value) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    let decimals = format!("{:06}", value % 1_000_000);
    let kept = decimals.trim_end_matches('0').len().max(2);
    format!("{sign}{}.{}", value / 1_000_000, &decimals[..kept])
}

/// Reads yuan with up to six decimals.
#[must_use]
pub fn read_yuan(text: &str) -> Option<i64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, decimals) = rest.split_once('.').unwrap_or((rest, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || decimals.len() > 6 || !digits(whole) || !digits(decimals) {
        return None;
    }
    let decimals: i64 = format!("{decimals:0<6}").parse().ok()?;
    let whole = whole.parse::<i64>().ok()?.checked_mul(1_000_000)?;
    whole.checked_add(decimals)?.checked_mul(sign)
}

/// A moment as WeChat writes it: `2026-03-02T12:00:00.000+08:00`.
#[must_use]
pub fn beijing(at: Timestamp) -> String {
    let day = at.business_date();
    let ms = at.since_ms(day.start());
    let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
    let (second, rest) = (ms / 1_000 % 60, ms % 1_000);
    format!("{day}T{hour:02}:{minute:02}:{second:02}.{rest:03}+08:00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_amounts_and_moments_read_back() {
        for (ms, text) in [
            (600_000, "10m"),
            (1_500, "1500ms"),
            (0, "0s"),
            (-3_600_000, "-1h"),
        ] {
            assert_eq!(span(ms), text);
            assert_eq!(read_span(text), Some(ms));
        }
        assert_eq!(read_span("+2d"), Some(172_800_000));
        assert_eq!(read_span("5"), None);
        assert_eq!(read_span("m"), None);
        for (micros, text) in [(5_000_000, "5.00"), (2_500, "0.0025"), (-10_000, "-0.01")] {
            assert_eq!(yuan(micros), text);
            assert_eq!(read_yuan(text), Some(micros));
        }
        assert_eq!(read_yuan("1.0000001"), None);
        assert_eq!(read_yuan("all"), None);
        let noon = Timestamp(1_772_424_000_007);
        assert_eq!(beijing(noon), "2026-03-02T12:00:00.007+08:00");
    }
}
