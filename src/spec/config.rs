//! The configuration file that W&B's client hands to a script (`WANDB_SWEEP_PARAM_PATH`): YAML 1.1 that PyYAML reads
//! back to the same values.

use crate::space::{Assignment, Value};
use crate::spec::python;
use crate::spec::scalar;

/// The file's content, in the order of the assignment.
pub fn wandb_config_yaml(assignment: &Assignment) -> String {
    let mut out = String::from("wandb_version: 1\n");
    for (name, value) in &assignment.0 {
        out.push_str(&format!("\n{}:\n  value:", text(name)));
        block(value, 4, &mut out);
    }
    if !assignment.0.is_empty() {
        out.push('\n');
    }
    out
}

/// A value after `key:`: mappings as indented lines, everything else on the same line.
fn block(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Map(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                out.push_str(&format!("\n{:indent$}{}:", "", text(key)));
                block(value, indent + 2, out);
            }
        }
        _ => {
            out.push(' ');
            flow(value, out);
        }
    }
}

fn flow(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Int(i) => out.push_str(&i.to_string()),
        Value::BigInt(digits) => out.push_str(digits),
        Value::Float(f) => out.push_str(&float(*f)),
        Value::Text(string) => out.push_str(&text(string)),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                flow(item, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (i, (key, value)) in entries.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                out.push_str(&text(key));
                out.push_str(": ");
                flow(value, out);
            }
            out.push('}');
        }
    }
}

/// A float with a dot, without which PyYAML reads `1e-05` as text.
fn float(f: f64) -> String {
    let written = python::float(f);
    match written.as_str() {
        "nan" => ".nan".to_owned(),
        "inf" => ".inf".to_owned(),
        "-inf" => "-.inf".to_owned(),
        _ => match written.split_once('e') {
            Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0e{exponent}"),
            _ => written,
        },
    }
}

/// Text: bare where every YAML reads a word as text, else in double quotes with ASCII escapes.
fn text(text: &str) -> String {
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
    let one_letter_flag = matches!(text, "y" | "n" | "Y" | "N");
    if word && text.len() <= 100 && !one_letter_flag && matches!(scalar::resolve(text).0, Value::Text(_)) {
        return text.to_owned();
    }
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            ' '..='~' => out.push(c),
            c if u32::from(c) <= 0xffff => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}
