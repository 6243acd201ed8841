//! `early_terminate`: the rule and its numbers; hyperband as W&B reads it.

use crate::space::Value;
use crate::spec::code::Code;
use crate::spec::definition::{Objective, Rule, Stopping};
use crate::spec::diagnostic::Check;
use crate::spec::fields::{Fields, wrong};
use crate::spec::kept::Kept;
use crate::spec::near::nearest;
use crate::spec::objectives::{goal, metric_name};

/// The rules, with the keys of each.
const RULES: [(&str, &[&str]); 7] = [
    ("hyperband", &["min_iter", "max_iter", "s", "eta", "strict"]),
    ("asha", &["min_iter", "max_iter", "eta"]),
    ("median", &["min_iter", "max_iter", "startup"]),
    ("percentile", &["min_iter", "max_iter", "startup", "percentile"]),
    ("threshold", &["min_iter", "min", "max", "after"]),
    ("patience", &["min_iter", "patience", "min_delta"]),
    ("curve", &["min_iter", "max_iter"]),
];
const COMMON: [&str; 5] = ["type", "metric", "goal", "audit", "promote"];
/// Others that `median` and `percentile` wait for.
const STARTUP: i64 = 5;
/// Endless bands stop here.
const MAX_BANDS: usize = 100;

/// Reads `early_terminate`.
pub(super) fn stopping(
    root: Fields<'_>,
    objectives: &[Objective],
    kept: &mut Kept,
    check: &mut Check<'_>,
) -> Option<Stopping> {
    let node = root.get("early_terminate")?;
    let fields = Fields::of(node, "early_terminate", check)?;
    let name = rule_name(fields, check);
    let keys = RULES.iter().find(|(rule, _)| Some(*rule) == name).map_or(RULES[0].1, |(_, keys)| keys);
    let known: Vec<&str> = COMMON.iter().chain(keys).copied().collect();
    kept.ignored("early_terminate", fields.lenient(&known, check));
    let meant = fields.as_meant(&known);
    let fields = Fields { node: &meant, ..fields };
    let audit = fields.number("audit", "0 to 1", |x| (0.0..=1.0).contains(&x), check).unwrap_or(0.0);
    if fields.flag("promote", check) == Some(true) {
        kept.keep(fields, "promote");
    }
    let metric = judged(fields, objectives, check);
    let rule = match name? {
        "hyperband" => hyperband(fields, check),
        "asha" => asha(fields, check),
        "percentile" => percentile(fields, false, check),
        "threshold" => threshold(fields, check),
        "patience" => patience(fields, check),
        "curve" => curve(fields, check),
        _ => percentile(fields, true, check),
    };
    let (metric, goal) = metric?;
    Some(Stopping { metric, goal, rule: rule?, audit })
}

fn rule_name(fields: Fields<'_>, check: &mut Check<'_>) -> Option<&'static str> {
    let Some(node) = fields.get("type") else {
        fields.missing("type", check);
        return None;
    };
    let names: Vec<&'static str> = RULES.iter().map(|(name, _)| *name).collect();
    let Some(Value::Text(text)) = node.scalar() else {
        return wrong(check, node, "early_terminate.type", "the name of a rule");
    };
    let known = names.iter().find(|name| *name == text).copied();
    if known.is_none() {
        let message =
            format!("'type' is '{}': no such stopping rule", crate::spec::diagnostic::shortened(text));
        let found = check.error(Code::NotAllowed, node.at, "early_terminate.type", message);
        match nearest(text, &names) {
            Some(near) => found.label(format!("did you mean '{near}'?")),
            None => found.help(format!("known are {}", names.join(", "))),
        };
    }
    known
}

/// The metric that is judged, and which way is better.
fn judged(
    fields: Fields<'_>,
    objectives: &[Objective],
    check: &mut Check<'_>,
) -> Option<(String, crate::spec::Goal)> {
    let named = fields.get("metric").is_some();
    let goal = goal(fields, check);
    if named {
        let metric = metric_name(fields, "metric", check)?;
        let own =
            objectives.iter().find(|objective| objective.name == metric).map(|objective| objective.goal);
        return Some((metric, goal.or(own).unwrap_or_default()));
    }
    match objectives {
        [one] => Some((one.name.clone(), goal.unwrap_or(one.goal))),
        [] => {
            check
                .error(
                    Code::NeedsMetric,
                    fields.head(),
                    "early_terminate",
                    "'early_terminate' needs a metric to judge by",
                )
                .help("add metric: {name: .., goal: minimize}");
            None
        }
        several => {
            let message =
                format!("'early_terminate' must name one metric: there are {} objectives", several.len());
            let help = format!("add metric: {}", several[0].name);
            check.error(Code::NeedsMetric, fields.head(), "early_terminate", message).help(help);
            None
        }
    }
}

fn eta(fields: Fields<'_>, check: &mut Check<'_>) -> Option<f64> {
    if fields.get("eta").is_none() {
        return Some(3.0);
    }
    fields.number("eta", "above 1", |eta| eta > 1.0, check)
}

fn hyperband(fields: Fields<'_>, check: &mut Check<'_>) -> Option<Rule> {
    let has = |key: &str| fields.get(key).is_some();
    let strict = if has("strict") { fields.flag("strict", check) } else { Some(true) };
    let eta = eta(fields, check);
    let min_iter = fields.integer("min_iter", 1, i64::MAX, check);
    let max_iter = fields.integer("max_iter", 1, i64::MAX, check);
    let s = match fields.get("s").and_then(|node| node.scalar().cloned()) {
        Some(Value::Float(f)) => {
            let at = fields.get("s")?.at;
            check.error(
                Code::WrongKind,
                at,
                "early_terminate.s",
                format!("'s' is {f}: it must be written as an integer"),
            );
            None
        }
        _ => fields.integer("s", 0, 1_000_000, check),
    };
    if !has("min_iter") && !has("max_iter") || has("max_iter") && !has("s") && !has("min_iter") {
        let key = if has("max_iter") { "s" } else { "min_iter" };
        let message = "hyperband needs 'min_iter', or 'max_iter' and 's'";
        check
            .error(Code::MissingKey, fields.head(), &fields.path_of(key), message)
            .help(format!("add '{key}'"));
        return None;
    }
    if has("max_iter") && !has("s") {
        let message = "'max_iter' wins over 'min_iter', and needs 's', the number of bands";
        check
            .error(Code::MissingKey, fields.head(), &fields.path_of("s"), message)
            .help("add 's', or delete 'max_iter'");
        return None;
    }
    let (strict, eta) = (strict?, eta?);
    let bands = if has("max_iter") { counted_down(max_iter?, s?, eta) } else { counted_up(min_iter?, eta) };
    if bands.is_empty() {
        let message = format!(
            "no band: 'max_iter' {} divided {} times by {eta} gives none of at least 1",
            max_iter?, s?
        );
        check
            .error(Code::BadBands, fields.head(), "early_terminate", message)
            .help("take a larger 'max_iter', or 's' of at least 1");
        return None;
    }
    Some(Rule::Hyperband { bands, eta, strict })
}

/// `max_iter` divided by eta, s times, ascending.
fn counted_down(max_iter: i64, s: i64, eta: f64) -> Vec<u64> {
    let mut bands = Vec::new();
    let mut band = max_iter as f64;
    for _ in 0..s {
        band /= eta;
        if band < 1.0 {
            break;
        }
        bands.push(band as u64);
    }
    bands.reverse();
    bands
}

/// `min_iter` times eta, a hundred bands or as many as a run can ever reach.
fn counted_up(min_iter: i64, eta: f64) -> Vec<u64> {
    const OUT_OF_REACH: f64 = 9e18;
    std::iter::successors(Some(min_iter as f64), |band| Some(band * eta))
        .take_while(|band| *band < OUT_OF_REACH)
        .take(MAX_BANDS)
        .map(|band| band as u64)
        .collect()
}

fn asha(fields: Fields<'_>, check: &mut Check<'_>) -> Option<Rule> {
    let has = |key: &str| fields.get(key).is_some();
    let eta = eta(fields, check);
    let max_iter = fields.integer("max_iter", 1, i64::MAX, check);
    let min_iter = fields.integer("min_iter", 1, i64::MAX, check);
    if has("max_iter") && max_iter.is_none() || has("min_iter") && min_iter.is_none() {
        return None;
    }
    let min_iter = min_iter.unwrap_or(first_rung(max_iter));
    if let Some(max_iter) = max_iter.filter(|max_iter| *max_iter <= min_iter) {
        let message = format!("no rung: the first one, {min_iter}, is not below 'max_iter', {max_iter}");
        check
            .error(Code::BadBands, fields.head(), "early_terminate", message)
            .help("take a larger 'max_iter', or a smaller 'min_iter'");
        return None;
    }
    Some(Rule::Asha { min_iter, max_iter, eta: eta? })
}

/// `median`, and `percentile`, which names its own.
fn percentile(fields: Fields<'_>, is_median: bool, check: &mut Check<'_>) -> Option<Rule> {
    let max_iter = fields.integer("max_iter", 1, i64::MAX, check);
    let min_iter = integer_or(fields, "min_iter", 1, first_rung(max_iter), check);
    let startup = integer_or(fields, "startup", 0, STARTUP, check);
    if is_median {
        return Some(Rule::Median { min_iter: min_iter?, startup: startup?.unsigned_abs() });
    }
    let percentile = needed(fields, "percentile", check)
        .then(|| fields.number("percentile", "above 0 and below 100", |p| p > 0.0 && p < 100.0, check));
    Some(Rule::Percentile { percentile: percentile??, min_iter: min_iter?, startup: startup?.unsigned_abs() })
}

fn threshold(fields: Fields<'_>, check: &mut Check<'_>) -> Option<Rule> {
    let min_iter = integer_or(fields, "min_iter", 0, 0, check);
    let after = integer_or(fields, "after", 0, min_iter.unwrap_or(0), check);
    let min = fields.number("min", "a number", |_| true, check);
    let max = fields.number("max", "a number", |_| true, check);
    if fields.get("min").is_none() && !needed(fields, "max", check) {
        return None;
    }
    if let (Some(low), Some(high)) = (min, max)
        && low > high
    {
        let message = format!("'min' is {low}, above 'max', {high}: every value would stop its run");
        check.error(Code::BadBands, fields.head(), "early_terminate", message).help("exchange the two");
    }
    Some(Rule::Threshold { min, max, after: after? })
}

fn patience(fields: Fields<'_>, check: &mut Check<'_>) -> Option<Rule> {
    let min_iter = integer_or(fields, "min_iter", 0, 0, check);
    let min_delta = match fields.get("min_delta") {
        Some(_) => fields.number("min_delta", "at least 0", |x| x >= 0.0, check),
        None => Some(0.0),
    };
    let patience = needed(fields, "patience", check).then(|| fields.integer("patience", 1, i64::MAX, check));
    Some(Rule::Patience { patience: patience??.unsigned_abs(), min_delta: min_delta?, min_iter: min_iter? })
}

fn curve(fields: Fields<'_>, check: &mut Check<'_>) -> Option<Rule> {
    let min_iter = fields.integer("min_iter", 1, i64::MAX, check);
    if fields.get("min_iter").is_some() && min_iter.is_none() {
        return None;
    }
    let max_iter = needed(fields, "max_iter", check).then(|| fields.integer("max_iter", 2, i64::MAX, check));
    Some(Rule::Curve { max_iter: max_iter??, min_iter })
}

/// Whether the key is there; an error where it is not.
fn needed(fields: Fields<'_>, key: &str, check: &mut Check<'_>) -> bool {
    let is_there = fields.get(key).is_some();
    if !is_there {
        fields.missing(key, check);
    }
    is_there
}

fn integer_or(fields: Fields<'_>, key: &str, least: i64, default: i64, check: &mut Check<'_>) -> Option<i64> {
    match fields.get(key) {
        Some(_) => fields.integer(key, least, i64::MAX, check),
        None => Some(default),
    }
}

/// The first rung where the file names none: a third of the length where it is known, else the first step.
fn first_rung(max_iter: Option<i64>) -> i64 {
    max_iter.map_or(1, |max| max / 3 + i64::from(max % 3 > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bands_are_counted_as_wandb_counts_them() {
        assert_eq!(counted_up(3, 3.0)[..5], [3, 9, 27, 81, 243]);
        assert_eq!(counted_up(3, 2.0)[..4], [3, 6, 12, 24]);
        assert_eq!(counted_up(1, 1.5)[..8], [1, 1, 2, 3, 5, 7, 11, 17]);
        assert_eq!(counted_up(1, 1.1).len(), 100);
        assert_eq!(counted_down(27, 2, 3.0), [3, 9]);
        assert_eq!(counted_down(81, 4, 3.0), [1, 3, 9, 27]);
        assert_eq!(counted_down(10, 3, 2.0), [1, 2, 5]);
        assert_eq!(counted_down(5, 10, 2.0), [1, 2]);
        assert_eq!(counted_down(19, 2, 3.0), [2, 6]);
        assert!(counted_down(27, 0, 3.0).is_empty() && counted_down(2, 2, 3.0).is_empty());
    }

    #[test]
    fn the_first_rung_lies_at_a_third() {
        assert_eq!([Some(27), Some(100), Some(2), None].map(first_rung), [9, 34, 1, 1]);
    }
}
