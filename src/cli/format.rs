//! Numbers, durations, sizes and times as people read them, and text made safe to print.

use std::fmt::Write as _;
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use crate::space::float_name;

/// A number with 4 significant digits: `0.1832`, `12.35`, `3.1e-4`, `NaN`.
pub(super) fn number(x: f64) -> String {
    if !x.is_finite() {
        return float_name(x).to_owned();
    }
    if x == 0.0 {
        return "0".to_owned();
    }
    // Of the rounded number: 9.9996 is 10.00.
    let rounded = scientific(x, 3);
    let exponent: i32 = rounded.rsplit('e').next().and_then(|e| e.parse().ok()).unwrap_or(0);
    if (-3..15).contains(&exponent) {
        let digits = usize::try_from(3 - exponent).unwrap_or(0);
        return format!("{x:.digits$}");
    }
    rounded
}

/// A parameter's number as short as it reads back the same to 3 digits: `64`, `0.12`, `3.1e-4`.
pub(super) fn short(x: f64) -> String {
    if !x.is_finite() {
        return float_name(x).to_owned();
    }
    if x == x.trunc() && x.abs() < 1e7 {
        return format!("{x:.0}");
    }
    let exponent = x.abs().log10().floor();
    if (-2.0..7.0).contains(&exponent) {
        let digits = (2.0 - exponent).clamp(0.0, 6.0) as usize;
        let text = format!("{x:.digits$}");
        return if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        };
    }
    scientific(x, 1)
}

fn scientific(x: f64, digits: usize) -> String {
    format!("{x:.digits$e}")
}

/// A duration in at most two units: `9s`, `4m10`, `1h20`, `2d`.
pub(super) fn duration(d: Duration) -> String {
    let seconds = d.as_secs();
    match seconds {
        0 if d.as_millis() > 0 => format!("{}ms", d.as_millis()),
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}", seconds / 60, seconds % 60),
        3_600..172_800 => format!("{}h{:02}", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// An age in one unit: `52m`, `2d`.
pub(super) fn age(d: Duration) -> String {
    let seconds = d.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Bytes with a binary unit: `88 B`, `41 MiB`, `1.3 GiB`.
pub(super) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 || value >= 10.0 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// `1 trial`, `2 trials`.
pub(super) fn count(n: impl Into<u64>, noun: &str) -> String {
    let n = n.into();
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// Text from outside with control characters, escape sequences and marks that turn the direction of writing shown
/// as `\u{..}`, so that a name cannot paint the terminal.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let hostile = c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            _ if hostile => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            _ => out.push(c),
        }
    }
    out
}

/// A sentence in lines of at most `width` columns, the later ones two spaces in; broken between its parts (` · `) where
/// it has some, else between words. None: one line.
pub(super) fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    const PART: &str = " · ";
    let Some(width) = width.filter(|width| text.width() > *width) else { return vec![text.to_owned()] };
    let mut lines: Vec<String> = Vec::new();
    for (k, part) in text.split(PART).enumerate() {
        let fits = |line: &String| line.width() + PART.width() + part.width() <= width;
        match lines.last_mut().filter(|line| fits(line)) {
            Some(line) => line.extend([PART, part]),
            None => wrap_words(part, width, k > 0, &mut lines),
        }
    }
    lines
}

fn wrap_words(text: &str, width: usize, goes_on: bool, lines: &mut Vec<String>) {
    lines.push(if goes_on { "  ".to_owned() } else { String::new() });
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { return };
        let is_empty = line.trim().is_empty();
        if !is_empty && line.width() + 1 + word.width() > width {
            lines.push(format!("  {word}"));
        } else if is_empty {
            line.push_str(word);
        } else {
            line.extend([" ", word]);
        }
    }
}

/// One argument as a POSIX shell reads it back.
pub(super) fn shell_quote(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits() {
        for (x, text) in [
            (0.18321, "0.1832"),
            (0.5, "0.5000"),
            (12.345, "12.35"),
            (1234.56, "1235"),
            (9.99996, "10.00"),
            (0.00031, "3.100e-4"),
            (-2.0, "-2.000"),
            (0.0, "0"),
            (f64::NAN, "NaN"),
            (1e300, "1.000e300"),
        ] {
            assert_eq!(number(x), text, "{x}");
        }
    }

    #[test]
    fn parameters_are_short() {
        for (x, text) in
            [(64.0, "64"), (0.12, "0.12"), (0.00031, "3.1e-4"), (0.1234567, "0.123"), (1e9, "1.0e9")]
        {
            assert_eq!(short(x), text, "{x}");
        }
    }

    #[test]
    fn a_long_sentence_is_broken_between_its_parts_or_words() {
        assert_eq!(wrap("one two · three", None), ["one two · three"]);
        assert_eq!(wrap("one two · three", Some(15)), ["one two · three"]);
        assert_eq!(wrap("one two · three · four", Some(12)), ["one two", "  three", "  four"]);
        assert_eq!(wrap("one two · a · b", Some(12)), ["one two · a", "  b"]);
        assert_eq!(wrap("one two three four", Some(9)), ["one two", "  three", "  four"]);
        assert_eq!(wrap("incomprehensible", Some(9)), ["incomprehensible"]);
    }

    #[test]
    fn durations_have_two_units() {
        for (seconds, text) in [(9, "9s"), (250, "4m10"), (4_800, "1h20"), (200_000, "2d")] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(duration(Duration::from_millis(120)), "120ms");
    }

    #[test]
    fn hostile_text_is_shown_escaped() {
        assert_eq!(escape("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(escape("x\u{202e}y\n"), "x\\u{202e}y\\n");
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        assert_eq!(shell_quote("--lr=0.1"), "--lr=0.1");
        assert_eq!(shell_quote("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(shell_quote(""), "''");
    }
}
