//! Durations with units: `30s`, `1h30m`, `2d`, `1.5h`, `250ms`.

use std::time::Duration;

/// The longest duration that is taken: ten years.
const MAX: f64 = 10.0 * 365.25 * 86_400.0;

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("'{text}' is not a duration: write it with units, as 90s, 1h30m, 2d (at most ten years)")]
pub struct BadDuration {
    /// What was given.
    pub text: String,
}

/// Reads a duration: numbers with units, each once, the larger first.
pub fn parse(text: &str) -> Result<Duration, BadDuration> {
    seconds(text)
        .filter(|&seconds| seconds <= MAX)
        .map(Duration::from_secs_f64)
        .ok_or_else(|| BadDuration { text: text.chars().take(80).collect() })
}

fn seconds(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut total = 0.0;
    let mut last = f64::INFINITY;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let unit_end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = match &rest[..unit_end] {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        if unit >= last {
            return None;
        }
        last = unit;
        rest = &rest[unit_end..];
        total += number * unit;
    }
    (last < f64::INFINITY).then_some(total)
}

/// A duration as it is shown: `1h30m`, `45s`.
pub fn shown(duration: Duration) -> String {
    let mut rest = duration.as_secs();
    let mut text = String::new();
    for (unit, size) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if rest >= size {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if duration.subsec_millis() > 0 || text.is_empty() {
        text.push_str(&format!("{}ms", duration.subsec_millis()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b46_durations_need_units() {
        for bad in ["10", "1h30", "-5s", "1e9d", "", "s", "h1", "1m1h", "1s1s", "99999999d", "1.2.3s", "5 s"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(parse("1h30m").unwrap(), Duration::from_secs(5_400));
        assert_eq!(parse("1.5h").unwrap(), Duration::from_secs(5_400));
        assert_eq!(parse("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(shown(Duration::from_secs(5_400)), "1h30m");
    }
}
