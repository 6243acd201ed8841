//! Numbers as people print them.

use crate::runner::channels::json::Number;

/// The number that `text` begins with, and its length in bytes: sign, digits with fraction and exponent, grouped
/// thousands, `nan`, `inf`.
///
/// A number that overflows is none, nor is a group after a leading zero: `0,350` is a decimal comma.
pub(super) fn number(text: &str) -> Option<(Number, usize)> {
    let bytes = text.as_bytes();
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    if let Some((word, magnitude)) = special(&bytes[sign..]) {
        let value = if bytes[0] == b'-' { -magnitude } else { magnitude };
        return Some((Number { value, integer: None }, sign + word));
    }
    let (end, is_integer) = extent(bytes, sign)?;
    let literal = &text[..end];
    let value: f64 = match literal.contains(',') {
        true => literal.replace(',', "").parse().ok()?,
        false => literal.parse().ok()?,
    };
    let integer = if is_integer { literal.parse().ok() } else { None };
    value.is_finite().then_some((Number { value, integer }, end))
}

/// As [`number`], and what follows lets it stand for itself: the end, a blank, or one of `, ; ) ] } | ' " %`.
pub(super) fn free_number(text: &str) -> Option<(Number, usize)> {
    let (number, end) = number(text)?;
    let rest = &text[end..];
    let bytes = rest.as_bytes();
    if bytes.first() == Some(&b',') && bytes.get(1).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let after = rest.strip_prefix('%').unwrap_or(rest).chars().next();
    after.is_none_or(|c| c.is_whitespace() || ",;)]}|'\"".contains(c)).then_some((number, end))
}

/// As [`number`], for a text that is a number as a whole.
pub(super) fn whole_number(text: &str) -> Option<Number> {
    number(text).and_then(|(number, end)| (end == text.len()).then_some(number))
}

fn special(bytes: &[u8]) -> Option<(usize, f64)> {
    const WORDS: [(&[u8], f64); 10] = [
        (b"infinity", f64::INFINITY),
        (b"Infinity", f64::INFINITY),
        (b"inf", f64::INFINITY),
        (b"Inf", f64::INFINITY),
        (b"INF", f64::INFINITY),
        (b"nan", f64::NAN),
        (b"NaN", f64::NAN),
        (b"NAN", f64::NAN),
        (b"Nan", f64::NAN),
        (b"naN", f64::NAN),
    ];
    WORDS.iter().find(|(word, _)| bytes.starts_with(word)).map(|(word, value)| (word.len(), *value))
}

/// Where the number that starts at `start` ends, and whether it is digits alone.
fn extent(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = digits(start);
    let mut end = start + whole;
    let mut is_integer = true;
    let mut is_grouped = false;
    if (1..=3).contains(&whole) && bytes[start] != b'0' {
        while bytes.get(end) == Some(&b',') && digits(end + 1) == 3 {
            end += 4;
            (is_integer, is_grouped) = (false, true);
        }
    }
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        if fraction > 0 || (whole > 0 && !is_grouped) {
            end += 1 + fraction;
            is_integer = false;
        }
    }
    if end == start {
        return None;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits((end + 1 + sign).min(bytes.len()));
        if exponent > 0 {
            end += 1 + sign + exponent;
            is_integer = false;
        }
    }
    Some((end, is_integer))
}

#[cfg(test)]
mod tests {
    use super::{free_number, whole_number};

    #[test]
    fn forms_that_count() {
        let cases = [("1", 1.0), ("-.5", -0.5), ("1.", 1.0), ("+1.5E-3", 0.0015), ("1,234.5", 1234.5)];
        for (text, value) in cases {
            assert_eq!(whole_number(text).map(|n| n.value), Some(value), "{text}");
        }
        assert_eq!(whole_number("-inf").map(|n| n.value), Some(f64::NEG_INFINITY));
        assert!(whole_number("NaN").is_some_and(|n| n.value.is_nan()));
        assert_eq!(whole_number("12").and_then(|n| n.integer), Some(12));
        assert_eq!(whole_number("12.0").and_then(|n| n.integer), None);
    }

    #[test]
    fn forms_that_do_not() {
        for text in
            ["0x1f", "0.3.4", "0.3s", "12:30", "0,35", "0,350", "9876/10000", ".", "-", "1e999", "1,2345", ""]
        {
            assert!(free_number(text).is_none(), "{text}");
        }
    }
}
