//! A Python dict at the end of a line: `{'loss': 0.3, 'epoch': 1.0}`, as Transformers' Trainer prints it.

use super::numbers::whole_number;
use super::pairs::unwrapped;
use crate::runner::channels::json::{Number, joined};
use crate::runner::channels::limits::JSON_DEPTH;

/// The numbers of the dict that `text` ends with, nested ones flattened with `.`; `None`: there is no such dict.
///
/// Numbers may stand in quotes or in `np.float64( )`, `tensor( )`; every other value is passed over.
pub(super) fn numbers(text: &str) -> Option<Vec<(String, Number)>> {
    if !text.ends_with('}') {
        return None;
    }
    let start = text.match_indices('{').find(|(at, _)| text[at + 1..].trim_start().starts_with('\''))?.0;
    let mut found = Vec::new();
    let rest = dict(&text[start..], "", 0, &mut found)?;
    rest.trim().is_empty().then_some(found)
}

fn dict<'t>(text: &'t str, prefix: &str, depth: usize, found: &mut Vec<(String, Number)>) -> Option<&'t str> {
    if depth > JSON_DEPTH {
        return None;
    }
    let mut rest = text.strip_prefix('{')?.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Some(after);
        }
        let (key, after) = quoted(rest)?;
        let name = joined(prefix, key);
        rest = value(after.trim_start().strip_prefix(':')?.trim_start(), &name, depth, found)?.trim_start();
        if let Some(after) = rest.strip_prefix(',') {
            rest = after.trim_start();
        } else if !rest.starts_with('}') {
            return None;
        }
    }
}

fn value<'t>(text: &'t str, name: &str, depth: usize, found: &mut Vec<(String, Number)>) -> Option<&'t str> {
    if text.starts_with('{') {
        return dict(text, name, depth + 1, found);
    }
    let (literal, rest) = match quoted(text) {
        Some(quoted) => quoted,
        None => text.split_at(expression(text)?),
    };
    let inner = unwrapped(literal.trim());
    let inner = if inner.len() == literal.trim().len() { inner } else { inner.trim_end_matches(')') };
    if let Some(number) = whole_number(inner.trim()) {
        found.push((name.to_owned(), number));
    }
    Some(rest)
}

/// A string literal: its content as written, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return Some((&text[1..at], &text[at + 1..]));
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

/// Where the expression that `text` begins with ends: at a comma or closing brace outside of brackets and quotes.
fn expression(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match c {
            '\'' | '"' => {
                at = text.len() - quoted(&text[at..])?.1.len();
                continue;
            }
            '(' | '[' | '{' => depth += 1,
            ',' | '}' if depth == 0 => return Some(at),
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += c.len_utf8();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::numbers;

    fn values(text: &str) -> Option<Vec<(String, f64)>> {
        numbers(text).map(|found| found.into_iter().map(|(name, n)| (name, n.value)).collect())
    }

    #[test]
    fn numbers_in_every_dress() {
        let text = "50%|## {'loss': '0.5', 'a': np.float64(2.0), 'b': tensor(3), 'c': None, 'd': [1, 2], 'e': {'f': -1}}";
        let expected = [("loss", 0.5), ("a", 2.0), ("b", 3.0), ("e.f", -1.0)].map(|(n, v)| (n.to_owned(), v));
        assert_eq!(values(text), Some(expected.to_vec()));
    }

    #[test]
    fn a_broken_dict_is_none() {
        for text in ["{'loss': 0.3", "{'loss' 0.3}", "{'loss': 'x}", "{'a': (1}", "{}"] {
            assert_eq!(values(text), None, "{text}");
        }
    }
}
