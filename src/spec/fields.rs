//! Reads typed fields out of a mapping, with an error in plain words where the kind is another.

use std::rc::Rc;
use std::time::Duration;

use crate::space::Value;
use crate::spec::code::Code;
use crate::spec::diagnostic::{At, Check, shortened};
use crate::spec::near::nearest;
use crate::spec::source::{Entry, Kind, Node};
use crate::spec::{bytes, duration};

/// A mapping that is being read, with its path.
#[derive(Clone, Copy)]
pub(super) struct Fields<'n> {
    pub(super) node: &'n Node,
    pub(super) path: &'n str,
}

impl<'n> Fields<'n> {
    /// The mapping that stands at `path`, or an error.
    pub(super) fn of(node: &'n Node, path: &'n str, check: &mut Check<'_>) -> Option<Self> {
        if node.entries().is_none() {
            wrong::<()>(check, node, path, "a mapping");
            return None;
        }
        Some(Fields { node, path })
    }

    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        self.node.get(key).map(|entry| &*entry.value)
    }

    pub(super) fn entries(&self) -> &'n [Entry] {
        self.node.entries().unwrap_or(&[])
    }

    /// The path of one of its keys.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Refuses every key but `known`.
    pub(super) fn only(&self, known: &[&str], check: &mut Check<'_>) {
        for entry in self.entries().iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            unknown(check, entry, &self.path_of(&entry.key), known);
        }
    }

    /// Refuses keys that are a near miss of one of `known`; others are ignored with a warning, and given back.
    pub(super) fn lenient(&self, known: &[&str], check: &mut Check<'_>) -> Vec<&'n Entry> {
        let mut ignored = Vec::new();
        for entry in self.entries().iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let path = self.path_of(&entry.key);
            if nearest(&entry.key, known).is_some() {
                unknown(check, entry, &path, known);
            } else {
                let key = shortened(&entry.key);
                check.warning(
                    Code::IgnoredKey,
                    entry.key_at,
                    &path,
                    format!("unknown key '{key}' is ignored"),
                );
                ignored.push(entry);
            }
        }
        ignored
    }

    /// The mapping with each key that is a near miss read as the one that was meant, where that is absent. It was
    /// refused; this shows what else is wrong, and nothing that only follows from it.
    pub(super) fn as_meant(&self, known: &[&str]) -> Node {
        let mut entries = self.entries().to_vec();
        for entry in entries.iter_mut().filter(|entry| !known.contains(&entry.key.as_str())) {
            if let Some(meant) = nearest(&entry.key, known).filter(|meant| self.get(meant).is_none()) {
                meant.clone_into(&mut entry.key);
            }
        }
        Node::new(self.node.at, Kind::Map(entries))
    }

    pub(super) fn text(&self, key: &str, check: &mut Check<'_>) -> Option<String> {
        let node = self.get(key)?;
        match node.scalar() {
            Some(Value::Text(text)) if text.contains('\0') => {
                check.error(
                    Code::WrongKind,
                    node.at,
                    &self.path_of(key),
                    format!("'{key}' holds a NUL character"),
                );
                None
            }
            Some(Value::Text(text)) => Some(text.clone()),
            _ => wrong(check, node, &self.path_of(key), "text"),
        }
    }

    pub(super) fn flag(&self, key: &str, check: &mut Check<'_>) -> Option<bool> {
        let node = self.get(key)?;
        match node.scalar() {
            Some(Value::Bool(flag)) => Some(*flag),
            _ => wrong(check, node, &self.path_of(key), "true or false"),
        }
    }

    /// An integer (also `2.0`) within the bounds.
    pub(super) fn integer(&self, key: &str, min: i64, max: i64, check: &mut Check<'_>) -> Option<i64> {
        let node = self.get(key)?;
        let value = match node.scalar() {
            Some(Value::Int(i)) => Some(*i),
            Some(Value::Float(f)) if f.fract() == 0.0 && f.abs() < 9e15 => Some(*f as i64),
            Some(Value::BigInt(_)) => None,
            _ => return wrong(check, node, &self.path_of(key), "an integer"),
        };
        let in_range = value.filter(|value| (min..=max).contains(value));
        if in_range.is_none() {
            let (shown, path) = (shown(node), self.path_of(key));
            let range = if max == i64::MAX { format!("at least {min}") } else { format!("{min} to {max}") };
            check.error(Code::OutOfRange, node.at, &path, format!("'{key}' is {shown}: it must be {range}"));
        }
        in_range
    }

    /// A finite number that `allowed` takes; `range` says in words which.
    pub(super) fn number(
        &self,
        key: &str,
        range: &str,
        allowed: fn(f64) -> bool,
        check: &mut Check<'_>,
    ) -> Option<f64> {
        let node = self.get(key)?;
        let number = match node.scalar() {
            Some(Value::Int(_) | Value::Float(_) | Value::BigInt(_)) => node.scalar().and_then(Value::number),
            _ => None,
        };
        let Some(number) = number else {
            return wrong(check, node, &self.path_of(key), "a number");
        };
        if !number.is_finite() {
            let message = format!("'{key}' is {}: not a finite number", shown(node));
            check.error(Code::NotFinite, node.at, &self.path_of(key), message);
            return None;
        }
        if !allowed(number) {
            let message = format!("'{key}' is {}: it must be {range}", shown(node));
            check.error(Code::OutOfRange, node.at, &self.path_of(key), message);
            return None;
        }
        Some(if number == 0.0 { 0.0 } else { number })
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)], check: &mut Check<'_>) -> Option<T> {
        let node = self.get(key)?;
        let Some(Value::Text(text)) = node.scalar() else {
            return wrong(check, node, &self.path_of(key), &listed(words));
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| word == text) {
            return Some(*value);
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let near = nearest(text, &names).or_else(|| {
            names.iter().copied().find(|name| text.len() >= 3 && name.starts_with(&text.to_lowercase()))
        });
        let message = format!("'{key}' is '{}': it must be {}", shortened(text), listed(words));
        let found = check.error(Code::NotAllowed, node.at, &self.path_of(key), message);
        if let Some(near) = near {
            found.label(format!("did you mean '{near}'?"));
        }
        None
    }

    pub(super) fn duration(&self, key: &str, check: &mut Check<'_>) -> Option<Duration> {
        let node = self.get(key)?;
        self.duration_in(node, &self.path_of(key), check)
    }

    /// A duration, or the word `never` as `Some(None)`.
    pub(super) fn duration_or_never(&self, key: &str, check: &mut Check<'_>) -> Option<Option<Duration>> {
        let node = self.get(key)?;
        match node.scalar() {
            Some(Value::Text(text)) if text == "never" => Some(None),
            _ => self.duration_in(node, &self.path_of(key), check).map(Some),
        }
    }

    fn duration_in(&self, node: &Node, path: &str, check: &mut Check<'_>) -> Option<Duration> {
        let Some(written) = node.kind.written() else {
            return wrong(check, node, path, "a duration, as 30s or 1h30m");
        };
        match duration::parse(written) {
            Ok(duration) => Some(duration),
            Err(error) => {
                check.error(Code::BadDuration, node.at, path, error.to_string()).help("write 90s, 1h30m, 2d");
                None
            }
        }
    }

    pub(super) fn bytes(&self, key: &str, check: &mut Check<'_>) -> Option<u64> {
        let node = self.get(key)?;
        let Some(written) = node.kind.written() else {
            return wrong(check, node, &self.path_of(key), "a size, as 8GiB");
        };
        match bytes::parse(written) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                check
                    .error(Code::BadBytes, node.at, &self.path_of(key), error.to_string())
                    .help("write 8GiB or 500MB");
                None
            }
        }
    }

    pub(super) fn list(&self, key: &str, check: &mut Check<'_>) -> Option<&'n [Rc<Node>]> {
        let node = self.get(key)?;
        match node.items() {
            Some(items) => Some(items),
            None => wrong(check, node, &self.path_of(key), "a list"),
        }
    }

    /// A list of texts; one text stands for a list of one.
    pub(super) fn texts(&self, key: &str, check: &mut Check<'_>) -> Option<Vec<String>> {
        let node = self.get(key)?;
        if let Some(Value::Text(text)) = node.scalar() {
            return Some(vec![text.clone()]);
        }
        let mut texts = Vec::new();
        for item in self.list(key, check)? {
            match item.kind.written() {
                Some(written) if !matches!(item.scalar(), Some(Value::Null)) => {
                    texts.push(written.to_owned())
                }
                _ => return wrong(check, item, &self.path_of(key), "text"),
            }
        }
        Some(texts)
    }

    /// Where a missing key is reported: the mapping's first key, else the mapping.
    pub(super) fn missing(&self, key: &str, check: &mut Check<'_>) {
        let name = if self.path.is_empty() { "the file".to_owned() } else { format!("'{}'", self.path) };
        check.error(Code::MissingKey, self.head(), &self.path_of(key), format!("{name} has no '{key}'"));
    }

    /// The first line of the mapping.
    pub(super) fn head(&self) -> At {
        self.entries().first().map_or(self.node.at, |entry| entry.key_at)
    }
}

fn listed<T>(words: &[(&str, T)]) -> String {
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// A value as an error shows it, shortened.
pub(super) fn shown(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar { value: Value::Null, .. } => "nothing (null)".to_owned(),
        Kind::Scalar { value: Value::Text(text), .. } => format!("'{}'", shortened(text)),
        kind @ Kind::Scalar { .. } => shortened(kind.written().unwrap_or_default()),
        Kind::List(_) => "a list".to_owned(),
        Kind::Map(_) => "a mapping".to_owned(),
    }
}

/// Reports a value of the wrong kind.
pub(super) fn wrong<T>(check: &mut Check<'_>, node: &Node, path: &str, wanted: &str) -> Option<T> {
    let name = path.rsplit('.').next().unwrap_or(path);
    check.error(
        Code::WrongKind,
        node.at,
        path,
        format!("'{}' is {}: it must be {wanted}", shortened(name), shown(node)),
    );
    None
}

/// Reports an unknown key as an error, naming the nearest known one.
pub(super) fn unknown(check: &mut Check<'_>, entry: &Entry, path: &str, known: &[&str]) {
    let message = format!("unknown key '{}'", shortened(&entry.key));
    let found = check.error(Code::UnknownKey, entry.key_at, path, message);
    match nearest(&entry.key, known) {
        Some(near) => found.label(format!("did you mean '{near}'?")),
        None => found.help(format!("known here: {}", known.join(", "))),
    };
}
