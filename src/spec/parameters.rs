//! `parameters`: leaves, groups, names and conditions -> the space.

use std::collections::BTreeMap;

use crate::space::{Assignment, Condition, Distribution, Leaf, OutsideSpace, Space, SpaceError, Value};
use crate::spec::code::Code;
use crate::spec::diagnostic::{At, Check, shortened};
use crate::spec::fields::{Fields, shown, wrong};
use crate::spec::forms;
use crate::spec::near::nearest;
use crate::spec::source::{Entry, Node};

/// Parameters of a sweep.
const MAX_PARAMETERS: usize = 10_000;
/// Bytes of a name.
const MAX_NAME: usize = 1024;

/// A leaf with its places.
struct Draft<'n> {
    path: Vec<String>,
    distribution: Option<Distribution>,
    entry: &'n Entry,
}

impl Draft<'_> {
    fn name(&self) -> String {
        self.path.join(".")
    }
}

/// Reads `parameters`; none: `check` knows why.
pub(super) fn space(root: Fields<'_>, check: &mut Check<'_>) -> Option<Space> {
    let Some(entry) = root.node.get("parameters") else {
        check.error(Code::NoParameters, root.head(), "parameters", "the file has no 'parameters'");
        return None;
    };
    let before = check.failed();
    let mut drafts = Vec::new();
    level(entry, "parameters", &mut Vec::new(), &mut drafts, check);
    if drafts.is_empty() && !before && !check.failed() {
        check.error(Code::NoParameters, entry.key_at, "parameters", "'parameters' is empty");
    }
    if drafts.len() > MAX_PARAMETERS {
        let message = format!("{} parameters: at most {MAX_PARAMETERS} are taken", drafts.len());
        check.error(Code::TooMany, entry.key_at, "parameters", message);
        return None;
    }
    look_alikes(&drafts, check);
    let leaves = conditions(&drafts, check)?;
    match Space::new(leaves) {
        Ok(space) => Some(space),
        Err(error) => {
            refuse_space(&error, &drafts, entry, check);
            None
        }
    }
}

/// One level of `parameters`, groups inside it too.
fn level<'n>(
    entry: &'n Entry,
    path: &str,
    names: &mut Vec<String>,
    drafts: &mut Vec<Draft<'n>>,
    check: &mut Check<'_>,
) {
    if Fields::of(&entry.value, path, check).is_none() {
        return;
    }
    let parameters = entry.value.entries().unwrap_or(&[]);
    if parameters.is_empty() && !names.is_empty() {
        check.error(
            Code::NoParameters,
            entry.key_at,
            path,
            format!("group '{}' is empty", shortened(&names.join("."))),
        );
    }
    for parameter in parameters {
        let path = format!("{path}.{}", parameter.key);
        name(parameter, &path, check);
        let Some(inner) = parameter.value.entries() else {
            let message = format!(
                "parameter '{}' is {}, not a mapping",
                shortened(&parameter.key),
                shown(&parameter.value)
            );
            check
                .error(Code::ParameterNotMapping, parameter.value.at, &path, message)
                .help("write {value: ..} or {values: [..]}");
            continue;
        };
        names.push(parameter.key.clone());
        let fields = Fields { node: &parameter.value, path: &path };
        if let Some(group) = parameter.value.get("parameters") {
            for other in inner.iter().filter(|other| other.key != "parameters") {
                let message = format!("'{}' does not go with 'parameters'", shortened(&other.key));
                check
                    .error(Code::NoForm, other.key_at, &fields.path_of(&other.key), message)
                    .help("a group holds 'parameters' alone; conditions go to the parameters inside");
            }
            level(group, &fields.path_of("parameters"), names, drafts, check);
        } else {
            let shown_name = shortened(&names.join("."));
            let distribution = forms::distribution(fields, &shown_name, check);
            drafts.push(Draft { path: names.clone(), distribution, entry: parameter });
        }
        names.pop();
    }
}

fn name(entry: &Entry, path: &str, check: &mut Check<'_>) {
    let key = &entry.key;
    let problem = if key.is_empty() {
        "is empty"
    } else if key.len() > MAX_NAME {
        "is longer than 1 KiB"
    } else if key.chars().any(char::is_control) {
        "holds a control character"
    } else {
        let first = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !first || !key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')) {
            let message = format!("'{}' is outside W&B's pattern for names", shortened(key));
            check.warning(Code::OddName, entry.key_at, path, message);
        }
        return;
    };
    check.error(Code::BadName, entry.key_at, path, format!("parameter name '{}' {problem}", shortened(key)));
}

/// Warns of names that only differ in case, or in letters that look the same.
fn look_alikes(drafts: &[Draft<'_>], check: &mut Check<'_>) {
    let mut seen: BTreeMap<String, &Draft<'_>> = BTreeMap::new();
    for draft in drafts {
        let name = draft.name();
        let skeleton: String = name.chars().map(latin).flat_map(char::to_lowercase).collect();
        if let Some(other) = seen.insert(skeleton, draft) {
            let message = format!("'{}' and '{}' look alike", shortened(&other.name()), shortened(&name));
            check
                .warning(Code::LookAlikes, draft.entry.key_at, &format!("parameters.{name}"), message)
                .also(other.entry.key_at, "the other");
        }
    }
}

/// The Latin letter that a Cyrillic or Greek one looks like.
fn latin(c: char) -> char {
    const ALIKE: [(&str, char); 22] = [
        ("аαΑА", 'a'),
        ("ΒВ", 'b'),
        ("сС", 'c'),
        ("ԁ", 'd'),
        ("еΕЕ", 'e'),
        ("һΗН", 'h'),
        ("іΙІι", 'i'),
        ("јЈ", 'j'),
        ("ΚКκк", 'k'),
        ("ӏ", 'l'),
        ("ΜМ", 'm'),
        ("Νո", 'n'),
        ("оοΟО", 'o'),
        ("рρΡР", 'p'),
        ("ԛ", 'q'),
        ("ѕЅ", 's'),
        ("ΤТ", 't'),
        ("υ", 'u'),
        ("ν", 'v'),
        ("ԝ", 'w'),
        ("хχΧХ", 'x'),
        ("уγΥУ", 'y'),
    ];
    ALIKE.iter().find(|(alike, _)| alike.contains(c)).map_or(c, |(_, letter)| *letter)
}

/// Resolves `when` of every leaf; none: an error was found somewhere.
fn conditions(drafts: &[Draft<'_>], check: &mut Check<'_>) -> Option<Vec<Leaf>> {
    let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        by_name.entry(draft.name()).or_insert(index);
    }
    let mut leaves = Vec::with_capacity(drafts.len());
    let mut good = true;
    for (index, draft) in drafts.iter().enumerate() {
        let when = match draft.entry.value.get("when") {
            Some(when) => conditions_of(draft, index, when, drafts, &by_name, check),
            None => Some(Vec::new()),
        };
        match (when, &draft.distribution) {
            (Some(when), Some(distribution)) => {
                leaves.push(Leaf { path: draft.path.clone(), distribution: distribution.clone(), when });
            }
            _ => good = false,
        }
    }
    good.then_some(leaves)
}

fn conditions_of(
    draft: &Draft<'_>,
    index: usize,
    when: &Entry,
    drafts: &[Draft<'_>],
    by_name: &BTreeMap<String, usize>,
    check: &mut Check<'_>,
) -> Option<Vec<Condition>> {
    let name = draft.name();
    let path = format!("parameters.{name}.when");
    let fields = Fields::of(&when.value, &path, check)?;
    if fields.entries().is_empty() {
        check.error(
            Code::BadCondition,
            when.key_at,
            &path,
            format!("'when' of '{}' is empty", shortened(&name)),
        );
        return None;
    }
    let mut conditions = Vec::new();
    let mut good = true;
    for entry in fields.entries() {
        let Some(&parent) = by_name.get(&entry.key) else {
            let known: Vec<&str> = by_name.keys().map(String::as_str).collect();
            let message = format!(
                "'when' of '{}' names '{}', which is no parameter",
                shortened(&name),
                shortened(&entry.key)
            );
            let found = check.error(Code::BadCondition, entry.key_at, &fields.path_of(&entry.key), message);
            if let Some(near) = nearest(&entry.key, &known) {
                found.label(format!("did you mean '{near}'?"));
            }
            good = false;
            continue;
        };
        if parent == index {
            let message = format!("'{}' depends on itself", shortened(&name));
            check.error(Code::BadCondition, entry.key_at, &fields.path_of(&entry.key), message);
            good = false;
            continue;
        }
        match values(entry, drafts[parent].distribution.as_ref(), &fields.path_of(&entry.key), check) {
            Some(values) => conditions.push(Condition { parent, values }),
            None => good = false,
        }
    }
    good.then_some(conditions)
}

/// The parent's values of one condition: each must be able to occur.
fn values(
    entry: &Entry,
    parent: Option<&Distribution>,
    path: &str,
    check: &mut Check<'_>,
) -> Option<Vec<Value>> {
    let parent = parent?;
    let name = shortened(&entry.key);
    if !parent.is_discrete() {
        let message = format!("'when' names '{name}', which is continuous");
        check
            .error(Code::BadCondition, entry.key_at, path, message)
            .help("a condition needs a parameter with values, integers or steps");
        return None;
    }
    let one = std::slice::from_ref(&entry.value);
    let items = entry.value.items().unwrap_or(one);
    if items.is_empty() {
        return wrong(check, &entry.value, path, "a list of at least one value");
    }
    let mut values = Vec::new();
    for item in items {
        let value = item.value();
        if parent.coordinate(&value).is_none() {
            let message = format!("'{name}' is never {}: it is {parent}", shown(item));
            check.error(Code::BadCondition, item.at, path, message);
            return None;
        }
        values.push(value);
    }
    Some(values)
}

/// What only the whole space shows: a cycle, a name that is a group too.
fn refuse_space(error: &SpaceError, drafts: &[Draft<'_>], whole: &Entry, check: &mut Check<'_>) {
    let (code, name) = match error {
        SpaceError::Cycle { names } => (Code::BadCondition, names.first()),
        SpaceError::Distribution { name, .. } | SpaceError::Twice { name } => (Code::NoForm, Some(name)),
        SpaceError::NoParent { name }
        | SpaceError::ParentNotDiscrete { name, .. }
        | SpaceError::CannotOccur { name, .. } => (Code::BadCondition, Some(name)),
    };
    let at = name.and_then(|name| drafts.iter().find(|draft| draft.name() == *name));
    let at = at.map_or(whole.key_at, |draft| {
        draft.entry.value.get("when").map_or(draft.entry.key_at, |when| when.key_at)
    });
    check.error(code, at, "parameters", error.to_string().replace('`', "'"));
}

/// `enqueue`: assignments, each a point of the space.
pub(super) fn enqueue(root: Fields<'_>, space: Option<&Space>, check: &mut Check<'_>) -> Vec<Assignment> {
    let mut assignments = Vec::new();
    for (i, item) in root.list("enqueue", check).unwrap_or(&[]).iter().enumerate() {
        let path = format!("enqueue.{i}");
        let Some(fields) = Fields::of(item, &path, check) else { continue };
        let Value::Map(entries) = item.value() else { continue };
        let Some(space) = space else { continue };
        match space.point(&Assignment(entries)) {
            Ok(point) => assignments.push(space.assignment(&point)),
            Err(error) => {
                let at = place(item, &error).unwrap_or(fields.head());
                let message = format!(
                    "assignment {} lies outside the space: {}",
                    i + 1,
                    error.to_string().replace('`', "'")
                );
                check.error(Code::OutsideSpace, at, &path, message);
            }
        }
    }
    assignments
}

/// Where the value at fault stands.
fn place(item: &Node, error: &OutsideSpace) -> Option<At> {
    let name = match error {
        OutsideSpace::Missing { .. } => return None,
        OutsideSpace::Absent { name } | OutsideSpace::Unknown { name } | OutsideSpace::Value { name, .. } => {
            name
        }
    };
    let mut node = item;
    let mut rest = name.as_str();
    loop {
        if let Some(entry) = node.get(rest) {
            return Some(entry.value.at);
        }
        let entry = node.entries()?.iter().find(|entry| rest.starts_with(&format!("{}.", entry.key)))?;
        rest = &rest[entry.key.len() + 1..];
        node = &entry.value;
    }
}
