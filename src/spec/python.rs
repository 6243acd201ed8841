//! Values as Python writes them: `str`, `repr` and `json.dumps`, byte for byte.

use crate::space::{Assignment, Value};

/// Python's `str()`: text as it is, everything else its `repr`.
pub fn python_str(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        _ => python_repr(value),
    }
}

/// Python's `repr()`.
pub fn python_repr(value: &Value) -> String {
    let mut out = String::new();
    repr(value, &mut out);
    out
}

fn repr(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(i) => out.push_str(&i.to_string()),
        Value::BigInt(digits) => out.push_str(digits),
        Value::Float(f) => out.push_str(&float(*f)),
        Value::Text(text) => repr_text(text, out),
        Value::List(items) => joined('[', ']', items, out, repr),
        Value::Map(entries) => joined('{', '}', entries, out, |(key, value), out| {
            repr_text(key, out);
            out.push_str(": ");
            repr(value, out);
        }),
    }
}

/// Python's `json.dumps` of one value.
pub fn python_json(value: &Value) -> String {
    let mut out = String::new();
    json(value, &mut out);
    out
}

/// Python's `json.dumps` of an assignment.
pub fn python_json_of(assignment: &Assignment) -> String {
    let mut out = String::new();
    joined('{', '}', &assignment.0, &mut out, json_entry);
    out
}

fn json(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Int(i) => out.push_str(&i.to_string()),
        Value::BigInt(digits) => out.push_str(digits),
        Value::Float(f) if f.is_finite() => out.push_str(&float(*f)),
        Value::Float(f) => out.push_str(crate::space::float_name(*f)),
        Value::Text(text) => json_text(text, out),
        Value::List(items) => joined('[', ']', items, out, json),
        Value::Map(entries) => joined('{', '}', entries, out, json_entry),
    }
}

fn json_entry((key, value): &(String, Value), out: &mut String) {
    json_text(key, out);
    out.push_str(": ");
    json(value, out);
}

fn joined<T>(open: char, close: char, items: &[T], out: &mut String, mut each: impl FnMut(&T, &mut String)) {
    out.push(open);
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        each(item, out);
    }
    out.push(close);
}

/// The shortest digits that round-trip; an exponent below 1e-4 and from 1e16 on.
pub(super) fn float(f: f64) -> String {
    if f.is_nan() {
        return "nan".to_owned();
    }
    if f.is_infinite() {
        return if f > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{f:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("Rust's `e` format has an e");
    let exponent: i32 = exponent.parse().expect("Rust's exponent is an integer");
    if f != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let plain = f.to_string();
    if plain.contains('.') { plain } else { format!("{plain}.0") }
}

fn repr_text(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if printable(c) => out.push(c),
            c => match u32::from(c) {
                code @ ..=0xff => out.push_str(&format!("\\x{code:02x}")),
                code @ ..=0xffff => out.push_str(&format!("\\u{code:04x}")),
                code => out.push_str(&format!("\\U{code:08x}")),
            },
        }
    }
    out.push(quote);
}

/// Whether Python prints it as it is. Rust's own escaping of text knows the same categories, but for combining marks at
/// the start, which is why a letter stands before it here.
fn printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    let mut buffer = [b'a'; 5];
    let len = c.len_utf8();
    c.encode_utf8(&mut buffer[1..]);
    let text = std::str::from_utf8(&buffer[..=len]).expect("a letter and a character");
    text.escape_debug().eq(text.chars())
}

fn json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            c => {
                let mut units = [0_u16; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_pythons() {
        let cases = [
            (1.0, "1.0"),
            (0.001, "0.001"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (-0.0, "-0.0"),
            (1.5e-7, "1.5e-07"),
            (1e100, "1e+100"),
            (123456.789, "123456.789"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (value, text) in cases {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn texts_are_quoted_as_python_does() {
        let cases = [
            ("it's", "\"it's\""),
            ("a\"b", "'a\"b'"),
            ("it's \"x\"", "'it\\'s \"x\"'"),
            ("a\nb\\", "'a\\nb\\\\'"),
            ("\u{7f}\u{85}\u{a0}", "'\\x7f\\x85\\xa0'"),
            ("é中\u{301}", "'é中\u{301}'"),
            ("\u{200b}\u{2028}", "'\\u200b\\u2028'"),
            ("\u{f0000}😀", "'\\U000f0000😀'"),
        ];
        for (text, repr) in cases {
            assert_eq!(python_repr(&Value::List(vec![Value::Text(text.into())])), format!("[{repr}]"));
        }
        assert_eq!(
            python_json(&Value::Text("é中😀\u{7f}\"\u{1}".into())),
            r#""\u00e9\u4e2d\ud83d\ude00\u007f\"\u0001""#
        );
    }
}
