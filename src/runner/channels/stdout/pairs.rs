//! Pairs in a line: `name = number`, `name: number`, and for names that are asked for `name number`.

use super::numbers::free_number;
use crate::runner::channels::json::Number;

/// Calls `take` for each pair with a separator: `loss=0.3`, `'acc': 0.9`, `training's auc: 0.9` (`training_auc`).
pub(super) fn separated<'t>(text: &'t str, mut take: impl FnMut(Option<&'t str>, &'t str, Number)) {
    scan(
        text,
        |c| is_name_part(c) || c == '\'' || c == '"',
        |rest| {
            let (owner, name, number, end) =
                owned_pair(rest).or_else(|| pair(rest).map(|(n, v, e)| (None, n, v, e)))?;
            let name = name.trim_end_matches(['.', '-', '|', '/', '@']);
            take(owner, name, number);
            Some(end)
        },
    );
}

/// Calls `take` for each name that only blanks part from a number: `loss 0.3`.
pub(super) fn spaced<'t>(text: &'t str, mut take: impl FnMut(&'t str, Number)) {
    scan(
        text,
        |c| is_name_part(c) || c == '=' || c == ':',
        |rest| {
            let (name, after) = bare_name(rest)?;
            let gap = after.len() - after.trim_start().len();
            if gap == 0 {
                return None;
            }
            let (number, length) = free_number(&after[gap..])?;
            take(name, number);
            Some(name.len() + gap + length)
        },
    );
}

/// The number after a name that is no plain word (`Val Loss: 0.45`), where the name stands first by itself.
pub(super) fn phrase(text: &str, name: &str) -> Option<Number> {
    text.match_indices(name).find_map(|(at, _)| {
        if text[..at].ends_with(is_word) {
            return None;
        }
        let rest = text[at + name.len()..].trim_start();
        let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start();
        free_number(rest).map(|(number, _)| number)
    })
}

/// Whether [`separated`] and [`spaced`] can find the name.
pub(super) fn is_plain(name: &str) -> bool {
    bare_name(name).is_some_and(|(_, rest)| rest.is_empty())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_name_part(c: char) -> bool {
    is_word(c) || "./@|-".contains(c)
}

/// Tries `at` at each place that no character of `joined` precedes; it says how far it came. One that fails costs
/// its run of such characters and no more, so a line is read in linear time.
fn scan<'t>(text: &'t str, joined: impl Fn(char) -> bool, mut at: impl FnMut(&'t str) -> Option<usize>) {
    let mut rest = text;
    let mut before: Option<char> = None;
    while let Some(c) = rest.chars().next() {
        let free = before.is_none_or(|b| !joined(b));
        let length = if free { at(rest) } else { None }.unwrap_or(c.len_utf8());
        before = rest[..length].chars().next_back();
        rest = &rest[length..];
    }
}

fn owned_pair(text: &str) -> Option<(Option<&str>, &str, Number, usize)> {
    let owner = &text[..text.find(|c| !is_word(c))?];
    let rest = text[owner.len()..].strip_prefix("'s ").filter(|_| !owner.is_empty())?;
    let (name, number, end) = pair(rest)?;
    Some((Some(owner), name, number, text.len() - rest.len() + end))
}

fn pair(text: &str) -> Option<(&str, Number, usize)> {
    let (name, rest) =
        quoted_name(text, '\'').or_else(|| quoted_name(text, '"')).or_else(|| bare_name(text))?;
    let rest = rest.trim_start().strip_prefix(['=', ':'])?.trim_start();
    let rest = rest.strip_prefix(['\'', '"']).unwrap_or(rest);
    let rest = unwrapped(rest);
    let (number, length) = free_number(rest)?;
    Some((name, number, text.len() - rest.len() + length))
}

fn quoted_name(text: &str, quote: char) -> Option<(&str, &str)> {
    let (name, rest) = bare_name(text.strip_prefix(quote)?)?;
    Some((name, rest.strip_prefix(quote)?))
}

fn bare_name(text: &str) -> Option<(&str, &str)> {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return None;
    }
    Some(text.split_at(text.find(|c| !is_name_part(c)).unwrap_or(text.len())))
}

/// What is inside of `tensor(`, `Array(`, `np.float32(`; the text itself where it is none of them.
pub(super) fn unwrapped(text: &str) -> &str {
    let opened = ["tensor", "Array"].iter().find_map(|word| text.strip_prefix(word)).or_else(|| {
        let bits = text.strip_prefix("np.float")?;
        Some(bits.trim_start_matches(|c: char| c.is_ascii_digit()))
    });
    opened.and_then(|rest| rest.strip_prefix('(')).map_or(text, str::trim_start)
}
