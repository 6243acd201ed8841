//! `metric`, `metrics`, `objectives` and `constraints`.

use crate::spec::code::Code;
use crate::spec::definition::{Aggregate, Constraint, Goal, Impute, Objective};
use crate::spec::diagnostic::{Check, shortened};
use crate::spec::fields::Fields;
use crate::spec::kept::Kept;
use crate::spec::source::Entry;

const GOALS: [(&str, Goal); 2] = [("minimize", Goal::Minimize), ("maximize", Goal::Maximize)];
const AGGREGATES: [(&str, Aggregate); 2] = [("best", Aggregate::Best), ("last", Aggregate::Last)];
const IMPUTE: [(&str, Impute); 3] =
    [("worst", Impute::Worst), ("best", Impute::Best), ("latest", Impute::Latest)];
const WHILE_RUNNING: [(&str, Option<Impute>); 4] = [
    ("false", None),
    ("latest", Some(Impute::Latest)),
    ("best", Some(Impute::Best)),
    ("worst", Some(Impute::Worst)),
];
const KEYS: [&str; 6] = ["name", "goal", "target", "impute", "impute_while_running", "aggregate"];
/// Objectives and constraints of one sweep.
const MAX: usize = 100;

/// What the sweep aims at, from whichever of the three keys is there.
pub(super) fn objectives(root: Fields<'_>, kept: &mut Kept, check: &mut Check<'_>) -> Vec<Objective> {
    let there: Vec<&Entry> = root
        .entries()
        .iter()
        .filter(|e| matches!(e.key.as_str(), "metric" | "metrics" | "objectives"))
        .collect();
    if let [first, second, ..] = there.as_slice() {
        check
            .error(
                Code::MetricTwice,
                second.key_at,
                &second.key,
                format!("'{}' beside '{}'", second.key, first.key),
            )
            .also(first.key_at, "the other")
            .help("keep one of them: they say the same");
    }
    let mut objectives = Vec::new();
    for entry in there {
        if entry.key == "metric" {
            objectives.extend(objective(entry, "metric", kept, check));
            continue;
        }
        let Some(items) = root.list(&entry.key, check) else { continue };
        let least = if entry.key == "metrics" { 2 } else { 1 };
        if items.len() < least || items.len() > MAX {
            let message =
                format!("'{}' has {} entries: it must have {least} to {MAX}", entry.key, items.len());
            check.error(Code::OutOfRange, entry.value.at, &entry.key, message);
        }
        if entry.key == "metrics" {
            check.warning(Code::MetricsRead, entry.key_at, "metrics", "'metrics' is read as 'objectives'");
        }
        for (i, item) in items.iter().enumerate() {
            let item = Entry { key: entry.key.clone(), key_at: item.at, value: item.clone() };
            let path = format!("{}.{i}", entry.key);
            objectives.extend(objective(&item, &path, kept, check));
            if items.len() > 1 {
                note_imputed(&item, &path, i == 0, check);
            }
        }
    }
    for (i, objective) in objectives.iter().enumerate() {
        if objectives[..i].iter().any(|other| other.name == objective.name) {
            let message = format!("two objectives are named '{}'", shortened(&objective.name));
            check.error(Code::MetricTwice, root.head(), "objectives", message);
        }
    }
    objectives
}

fn objective(entry: &Entry, path: &str, kept: &mut Kept, check: &mut Check<'_>) -> Option<Objective> {
    let fields = Fields::of(&entry.value, path, check)?;
    kept.ignored(path, fields.lenient(&KEYS, check));
    let meant = fields.as_meant(&KEYS);
    let fields = Fields { node: &meant, ..fields };
    let impute = fields.word("impute", &IMPUTE, check).unwrap_or_default();
    let impute_while_running = fields.word("impute_while_running", &WHILE_RUNNING, check).unwrap_or_default();
    let goal = fields.word("goal", &GOALS, check).unwrap_or_default();
    let target = fields.number("target", "a number", |_| true, check);
    let aggregate = fields.word("aggregate", &AGGREGATES, check).unwrap_or_default();
    if fields.get("name").is_none() {
        check.error(
            Code::MissingKey,
            entry.key_at,
            &fields.path_of("name"),
            format!("'{}' has no 'name'", entry.key),
        );
        return None;
    }
    let name = metric_name(fields, "name", check)?;
    Some(Objective { name, goal, target, aggregate, impute, impute_while_running })
}

/// Of several objectives the first one's `impute` counts, and trials that run are pending.
fn note_imputed(item: &Entry, path: &str, is_first: bool, check: &mut Check<'_>) {
    let without_effect: &[&str] =
        if is_first { &["impute_while_running"] } else { &["impute", "impute_while_running"] };
    for entry in without_effect.iter().filter_map(|key| item.value.get(key)) {
        let path = format!("{path}.{}", entry.key);
        let message = format!("'{path}' has no effect beside other objectives");
        check.note(Code::NoEffect, entry.key_at, &path, message);
    }
}

/// The name of a metric: not empty, no control characters, at most 1 KiB.
pub(super) fn metric_name(fields: Fields<'_>, key: &str, check: &mut Check<'_>) -> Option<String> {
    let name = fields.text(key, check)?;
    if name.trim().is_empty() || name.len() > 1024 || name.chars().any(char::is_control) {
        let message = format!("'{}' is no name of a metric", shortened(&name));
        let at = fields.get(key)?.at;
        check
            .error(Code::NotAllowed, at, &fields.path_of(key), message)
            .help("1 to 1,024 bytes without control characters");
        return None;
    }
    Some(name)
}

/// A goal of its own, beside a metric.
pub(super) fn goal(fields: Fields<'_>, check: &mut Check<'_>) -> Option<Goal> {
    fields.word("goal", &GOALS, check)
}

/// `constraints`.
pub(super) fn constraints(root: Fields<'_>, check: &mut Check<'_>) -> Vec<Constraint> {
    let mut constraints = Vec::new();
    let items = root.list("constraints", check).unwrap_or(&[]);
    if let Some(extra) = items.get(MAX) {
        check.error(Code::TooMany, extra.at, "constraints", format!("more than {MAX} constraints"));
    }
    for (i, item) in items.iter().enumerate() {
        let path = format!("constraints.{i}");
        let Some(fields) = Fields::of(item, &path, check) else { continue };
        fields.only(&["metric", "min", "max"], check);
        let number = |key, check: &mut Check<'_>| fields.number(key, "a number", |_| true, check);
        let (min, max) = (number("min", check), number("max", check));
        if fields.get("metric").is_none() {
            fields.missing("metric", check);
            continue;
        }
        if fields.get("min").is_none() && fields.get("max").is_none() {
            check.error(Code::MissingKey, fields.head(), &path, "a constraint needs 'max' or 'min'");
            continue;
        }
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            check.error(
                Code::MinAboveMax,
                fields.head(),
                &path,
                format!("the constraint has min {min} above max {max}"),
            );
        }
        if let Some(metric) = metric_name(fields, "metric", check) {
            constraints.push(Constraint { metric, max, min });
        }
    }
    constraints
}
