//! Plain scalars: YAML 1.1 as PyYAML reads it, but where W&B's own result is an accident of notation.
//!
//! The departures: numbers with an exponent need neither a dot nor a sign (`1e-5` is a float, `3e6` an integer), a sign
//! may stand before a leading dot, dates and a lone `=` are text.

use crate::space::Value;

/// How a plain scalar was read, where it is worth a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oddity {
    /// `010` is 8.
    Octal,
    /// `1:30` is 90.
    Base60,
}

/// A plain, untagged scalar's value.
pub(super) fn resolve(text: &str) -> (Value, Option<Oddity>) {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return (Value::Null, None),
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return (Value::Bool(true), None);
        }
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return (Value::Bool(false), None);
        }
        _ => {}
    }
    if let Some((value, oddity)) = integer(text) {
        return (value, oddity);
    }
    if let Some((float, oddity)) = float(text) {
        return (Value::Float(float), oddity);
    }
    (Value::Text(text.to_owned()), None)
}

/// An integer in one of YAML 1.1's notations, or with an exponent.
pub(super) fn integer(text: &str) -> Option<(Value, Option<Oddity>)> {
    let (negative, body) = signed(text);
    let digits = body.replace('_', "");
    let starts_with_digit = body.starts_with(|c: char| c.is_ascii_digit());
    let radix = |prefix: &str, radix: u32, allowed: fn(char) -> bool| {
        let rest = body.strip_prefix(prefix)?;
        (!rest.is_empty() && rest.chars().all(|c| allowed(c) || c == '_'))
            .then(|| in_radix(negative, &rest.replace('_', ""), radix))?
    };
    if let Some(value) = radix("0b", 2, |c| matches!(c, '0' | '1')) {
        return Some((value, None));
    }
    if let Some(value) = radix("0x", 16, |c| c.is_ascii_hexdigit()) {
        return Some((value, None));
    }
    if body.len() > 1 && body.starts_with('0') && body.chars().all(|c| matches!(c, '0'..='7' | '_')) {
        let value = in_radix(negative, &digits, 8)?;
        let oddity = (digits.trim_start_matches('0').len() > 1).then_some(Oddity::Octal);
        return Some((
            value,
            oddity.or((!digits.trim_start_matches('0').is_empty()).then_some(Oddity::Octal)),
        ));
    }
    let plain = starts_with_digit && body.chars().all(|c| c.is_ascii_digit() || c == '_');
    if plain && (body == "0" || !body.starts_with('0')) {
        return Some((decimal(negative, &digits), None));
    }
    if let Some(parts) = base60(body).filter(|_| !body.starts_with('0')) {
        let total =
            parts.iter().try_fold(0_i64, |sum, part| sum.checked_mul(60)?.checked_add(part.parse().ok()?))?;
        return Some((Value::Int(if negative { -total } else { total }), Some(Oddity::Base60)));
    }
    exponent_integer(negative, body).map(|value| (value, None))
}

/// A float, `.inf` and `.nan` among them.
pub(super) fn float(text: &str) -> Option<(f64, Option<Oddity>)> {
    let (negative, body) = signed(text);
    let sign = if negative { -1.0 } else { 1.0 };
    match body {
        ".inf" | ".Inf" | ".INF" => return Some((sign * f64::INFINITY, None)),
        ".nan" | ".NaN" | ".NAN" if body.len() == text.len() => return Some((f64::NAN, None)),
        _ => {}
    }
    if let Some((whole, fraction)) = body.split_once('.')
        && let Some(parts) = base60(whole)
        && fraction.chars().all(|c| c.is_ascii_digit() || c == '_')
    {
        let total = parts.iter().try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))?;
        let fraction: f64 = format!("0.{}0", fraction.replace('_', "")).parse().ok()?;
        return Some((sign * (total + fraction), Some(Oddity::Base60)));
    }
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body, None),
    };
    let exponent_ok = exponent.is_none_or(|e| digits_only(e.strip_prefix(['+', '-']).unwrap_or(e)));
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let loose = |part: &str| part.chars().all(|c| c.is_ascii_digit() || c == '_');
    let digit_first = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
    let shape = match fraction {
        Some(fraction) if whole.is_empty() => digit_first(fraction) && loose(fraction),
        Some(fraction) => digit_first(whole) && loose(whole) && loose(fraction),
        None => exponent.is_some() && digit_first(whole) && loose(whole),
    };
    if !shape || !exponent_ok {
        return None;
    }
    let value: f64 = body.replace('_', "").parse().ok()?;
    value.is_finite().then_some((sign * value, None))
}

fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn digits_only(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

/// `1:30:00` in its parts: digits, then groups of one or two digits below 60.
fn base60(body: &str) -> Option<Vec<String>> {
    let mut parts = body.split(':');
    let first = parts.next()?;
    if !first.starts_with(|c: char| c.is_ascii_digit())
        || !first.chars().all(|c| c.is_ascii_digit() || c == '_')
    {
        return None;
    }
    let rest: Vec<&str> = parts.collect();
    let sixty =
        |part: &&str| digits_only(part) && part.len() <= 2 && part.parse::<u8>().is_ok_and(|n| n < 60);
    if rest.is_empty() || !rest.iter().all(sixty) {
        return None;
    }
    Some(std::iter::once(first.replace('_', "")).chain(rest.into_iter().map(str::to_owned)).collect())
}

/// `3e6`: an integer while the exponent is at most 18.
fn exponent_integer(negative: bool, body: &str) -> Option<Value> {
    let (mantissa, exponent) = body.split_once(['e', 'E'])?;
    let exponent = exponent.strip_prefix('+').unwrap_or(exponent);
    let loose = mantissa.starts_with(|c: char| c.is_ascii_digit())
        && mantissa.chars().all(|c| c.is_ascii_digit() || c == '_');
    if !loose || !digits_only(exponent) {
        return None;
    }
    let zeros = exponent.parse::<usize>().ok().filter(|&e| e <= 18)?;
    Some(decimal(negative, &format!("{}{}", mantissa.replace('_', ""), "0".repeat(zeros))))
}

/// Decimal digits to a value; beyond 64 bits the digits are kept.
fn decimal(negative: bool, digits: &str) -> Value {
    let trimmed = digits.trim_start_matches('0');
    let digits = if trimmed.is_empty() { "0" } else { trimmed };
    let text = if negative && digits != "0" { format!("-{digits}") } else { digits.to_owned() };
    text.parse().map_or(Value::BigInt(text), Value::Int)
}

/// Digits of another radix; beyond 64 bits they become decimal by long multiplication.
fn in_radix(negative: bool, digits: &str, radix: u32) -> Option<Value> {
    if digits.is_empty() {
        return None;
    }
    // Groups of nine decimal digits, lowest first; the work is square in the length, which no real number of a file needs.
    if digits.len() > 4_096 {
        return None;
    }
    let mut groups: Vec<u64> = vec![0];
    for c in digits.chars() {
        let mut carry = u64::from(c.to_digit(radix)?);
        for group in &mut groups {
            let sum = *group * u64::from(radix) + carry;
            *group = sum % 1_000_000_000;
            carry = sum / 1_000_000_000;
        }
        if carry > 0 {
            groups.push(carry);
        }
    }
    let mut text = String::new();
    for group in groups.iter().rev() {
        text.push_str(&format!("{group:09}"));
    }
    Some(decimal(negative, &text))
}
