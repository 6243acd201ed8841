//! Steps: what a line says of them, and what is assumed where it says nothing.

use std::collections::BTreeMap;

use super::anchors::STEP_WORDS;
use crate::runner::channels::limits::NAMES;

/// The steps of one stream so far.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// The last line that held nothing but a step (`Epoch 2/3`).
    heading: Option<i64>,
    /// The largest step each name has had.
    largest: BTreeMap<String, i64>,
}

impl Steps {
    /// A line that held nothing but a step.
    pub(super) fn head(&mut self, step: i64) {
        self.heading = Some(step);
    }

    /// The step of a line with these names: its own, else the heading's unless used up, else the next one.
    pub(super) fn of(&mut self, said: Option<i64>, names: &[(String, f64)]) -> i64 {
        let step = said.unwrap_or_else(|| {
            let largest = names.iter().filter_map(|(name, _)| self.largest.get(name)).max();
            let next = largest.map_or(0, |step| step.saturating_add(1));
            self.heading.filter(|heading| *heading >= next).unwrap_or(next)
        });
        for (name, _) in names {
            if let Some(largest) = self.largest.get_mut(name) {
                *largest = step.max(*largest);
            } else if self.largest.len() < NAMES {
                self.largest.insert(name.clone(), step);
            }
        }
        step
    }
}

/// The step that XGBoost and LightGBM print: `[12]` and a blank at the start.
pub(super) fn boosting_round(text: &str) -> Option<i64> {
    let (digits, rest) = text.strip_prefix('[')?.split_once(']')?;
    let is_step = digits.bytes().all(|b| b.is_ascii_digit()) && rest.starts_with(char::is_whitespace);
    if is_step { digits.parse().ok() } else { None }
}

/// The step that words say: `epoch 3`, `Epoch: [3]`, `step=120`, `Epoch 3/10`. Of several words the most exact
/// one counts, of the same word the last.
pub(super) fn worded(text: &str) -> Option<i64> {
    let mut best: Option<(u8, i64)> = None;
    let mut before = None;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let mut length = c.len_utf8();
        if c.is_ascii_alphabetic() && before.is_none_or(|b| !is_joined(b)) {
            if let Some((rank, step, end)) = word_at(&text[at..]) {
                if best.is_none_or(|(known, _)| rank <= known) {
                    best = Some((rank, step));
                }
                length = end;
            }
        }
        before = text[..at + length].chars().next_back();
        at += length;
    }
    best.map(|(_, step)| step)
}

/// Whether a word that follows `c` is the rest of a longer one, a path or a number.
fn is_joined(c: char) -> bool {
    c.is_alphanumeric() || "_./-".contains(c)
}

fn word_at(text: &str) -> Option<(u8, i64, usize)> {
    STEP_WORDS.iter().find_map(|(word, rank)| {
        let rest = after_word(text, word)?;
        let rest = rest.trim_start();
        let rest = rest.strip_prefix(['=', ':', '#']).unwrap_or(rest).trim_start();
        let rest = rest.strip_prefix(['[', '(']).unwrap_or(rest).trim_start();
        let (digits, rest) = split_digits(rest)?;
        let rest = [after_total(after_zeros(rest)), after_zeros(rest), after_total(rest), rest]
            .into_iter()
            .find(|rest| ends_a_step(rest))?;
        Some((*rank, digits.parse().ok()?, text.len() - rest.len()))
    })
}

fn after_word<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let head = text.get(..word.len())?;
    if head.eq_ignore_ascii_case(word) { text.get(word.len()..) } else { None }
}

fn split_digits(text: &str) -> Option<(&str, &str)> {
    let count = text.bytes().take_while(u8::is_ascii_digit).count();
    (count > 0).then(|| text.split_at(count))
}

/// `3.0` is step 3.
fn after_zeros(text: &str) -> &str {
    match text.strip_prefix('.') {
        Some(zeros) if zeros.starts_with('0') => zeros.trim_start_matches('0'),
        _ => text,
    }
}

/// `3/10` is step 3 of 10.
fn after_total(text: &str) -> &str {
    text.trim_start()
        .strip_prefix('/')
        .and_then(|total| split_digits(total.trim_start()))
        .map_or(text, |(_, rest)| rest)
}

/// No digit, fraction, percentage, time or word hangs on.
fn ends_a_step(rest: &str) -> bool {
    let tail = rest.trim_start_matches(|c: char| ".%:-".contains(c));
    !tail.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::{boosting_round, worded};

    #[test]
    fn words_that_say_a_step() {
        for text in
            ["epoch 3", "Epoch: [3][ 10/100]", "step=3", "Epoch 3/10", "x epoch=1 global_step=3", "ITER #3,"]
        {
            assert_eq!(worded(text), Some(3), "{text}");
        }
        assert_eq!(worded("epoch 3.0 loss"), Some(3));
        assert_eq!(worded("step 1 step 3"), Some(3));
    }

    #[test]
    fn words_that_do_not() {
        for text in [
            "epochs 3",
            "step 3.5",
            "step 3ms",
            "epoch 3%x",
            "3ms/step",
            "my_step 3",
            "step",
            "step 99999999999999999999",
        ] {
            assert_eq!(worded(text), None, "{text}");
        }
        assert_eq!(boosting_round("[12]\tx"), Some(12));
        assert_eq!(boosting_round("[12]"), None);
        assert_eq!(boosting_round("[]\tx"), None);
    }
}
