//! The usual forms of lines: a JSON object, a Python dict, or pairs.

use super::anchors::{Anchors, is_never_a_metric, step_rank};
use super::numbers::number;
use super::steps::{boosting_round, worded};
use super::{pairs, python_dict};
use crate::runner::channels::json::{self, Json, Number, joined};

/// What a line says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    Nothing,
    /// A step and no metric: it heads the lines that follow.
    Heading(i64),
    Metrics {
        step: Option<i64>,
        metrics: Vec<(String, f64)>,
    },
}

/// Reads a line that [`plain`](super::escapes::plain) has cleaned.
pub(super) fn read(text: &str, anchors: &Anchors) -> Said {
    match object(text) {
        Some(found) if !found.is_empty() => of_object(&found, anchors),
        _ => of_pairs(text, anchors),
    }
}

fn object(text: &str) -> Option<Vec<(String, Number)>> {
    if !text.ends_with('}') {
        return None;
    }
    let value = json::parse(&text[text.find('{')?..]);
    let Some(value @ Json::Object(_)) = value else {
        return python_dict::numbers(text);
    };
    let mut found = Vec::new();
    json::flatten("", &value, &mut |name, value| {
        if let Json::Number(number) = value {
            found.push((name.to_owned(), *number));
        }
    });
    Some(found)
}

fn of_object(found: &[(String, Number)], anchors: &Anchors) -> Said {
    let step = found
        .iter()
        .filter_map(|(name, number)| Some((step_rank(name)?, number.integer.filter(|step| *step >= 0)?)))
        .min()
        .map(|(_, step)| step);
    if step.is_none() && !found.iter().any(|(name, _)| anchors.holds(name)) {
        return Said::Nothing;
    }
    // An epoch with a fraction is a curve of its own, not a step.
    let is_metric = |name: &str, number: &Number| {
        !is_never_a_metric(name) || (name == "epoch" && number.integer.is_none())
    };
    let metrics: Vec<_> = found
        .iter()
        .filter(|(name, number)| is_metric(name, number))
        .map(|(name, number)| (name.clone(), number.value))
        .collect();
    if metrics.is_empty() { Said::Nothing } else { Said::Metrics { step, metrics } }
}

fn of_pairs(text: &str, anchors: &Anchors) -> Said {
    if !has_number(text) {
        return Said::Nothing;
    }
    let worded = worded(text);
    let step = boosting_round(text).or(worded);
    let mut metrics: Vec<(String, f64)> = Vec::new();
    pairs::separated(text, |owner, name, number| {
        let name = owner.map_or_else(|| joined("", name), |owner| joined("", &format!("{owner}_{name}")));
        set(&mut metrics, name, number.value);
    });
    for phrase in anchors.wanted().filter(|name| !pairs::is_plain(name)) {
        if let Some(number) = pairs::phrase(text, phrase) {
            // `Val Loss: 0.4` gave `Loss` above.
            let last = phrase.split_whitespace().next_back().unwrap_or(phrase);
            metrics.retain(|(name, _)| name != last || anchors.is_wanted(last));
            set(&mut metrics, phrase.to_owned(), number.value);
        }
    }
    metrics.retain(|(name, _)| !is_never_a_metric(name));
    pairs::spaced(text, |name, number| {
        let counts = anchors.is_wanted(name) || (step.is_some() && anchors.holds(name));
        if counts && !is_never_a_metric(name) && !metrics.iter().any(|(known, _)| known == name) {
            metrics.push((name.to_owned(), number.value));
        }
    });
    if metrics.is_empty() {
        return worded.map_or(Said::Nothing, |_| step.map_or(Said::Nothing, Said::Heading));
    }
    if step.is_none() && !metrics.iter().any(|(name, _)| anchors.holds(name)) {
        return Said::Nothing;
    }
    Said::Metrics { step, metrics }
}

fn set(metrics: &mut Vec<(String, f64)>, name: String, value: f64) {
    match metrics.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = value,
        None => metrics.push((name, value)),
    }
}

/// Whether there is any number in the text, at the cost of a glance.
fn has_number(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_digit())
        || text.match_indices(['n', 'N', 'i', 'I']).any(|(at, _)| number(&text[at..]).is_some())
}
