//! What the command line changes of a file: `--set KEY=VALUE` on the nodes, before they are checked, so that an error in
//! one is shown with its own place; the other options on the finished definition, the stricter limit counting.

use std::rc::Rc;

use crate::space::Value;
use crate::spec::code::Code;
use crate::spec::definition::{Definition, Method};
use crate::spec::diagnostic::{At, Check, Diagnostic, shortened};
use crate::spec::duration;
use crate::spec::source::{self, Entry, Kind, Node};
use crate::spec::sweep::good_sweep_name;

/// The options of `run` and `create` that override the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// `--set KEY=VALUE`, in their order.
    pub set: Vec<String>,
    /// `--name`.
    pub name: Option<String>,
    /// The method where the file names none.
    pub method_unless_named: Option<Method>,
    /// `--seed`.
    pub seed: Option<u64>,
    /// `--parallel`.
    pub parallel: Option<u32>,
    /// `--trials`: a limit beside the file's.
    pub trials: Option<u32>,
    /// `--budget`, each `KEY=VALUE` or several with commas: limits beside the file's.
    pub budget: Vec<String>,
    /// In place of the file's.
    pub program: Option<String>,
    /// What stands after `--`; empty: the file's.
    pub command: Vec<String>,
    /// `--tag`, added to the file's.
    pub tags: Vec<String>,
    /// `--note`, in place of the file's.
    pub note: Option<String>,
}

impl Overrides {
    /// Puts the typed options over a definition.
    pub(super) fn finish(&self, definition: &mut Definition, check: &mut Check<'_>) {
        if let Some(name) = &self.name {
            if !good_sweep_name(name) {
                let message = format!("--name '{}' cannot be a sweep's name", shortened(name));
                check.whole(
                    Diagnostic::whole(Code::BadSweepName, message)
                        .with_help("1 to 200 characters, no control characters"),
                );
            }
            definition.name.clone_from(name);
        }
        definition.seed = self.seed.or(definition.seed);
        definition.parallel = self.parallel.or(definition.parallel);
        if self.program.is_some() {
            definition.program.clone_from(&self.program);
        }
        definition.run_cap = stricter(definition.run_cap, self.trials);
        for part in self.budget.iter().flat_map(|text| text.split(',')) {
            if limit(part.trim(), definition).is_none() {
                let message = format!("--budget '{}' is not understood", shortened(part));
                let help = "write gpu_hours=2, wall=1h or trials=50, separated by commas";
                check.whole(Diagnostic::whole(Code::BadOption, message).with_help(help));
            }
        }
        for (option, zero) in [("--parallel", self.parallel == Some(0)), ("--trials", self.trials == Some(0))]
        {
            if zero {
                check.whole(Diagnostic::whole(
                    Code::OutOfRange,
                    format!("{option} is 0: it must be at least 1"),
                ));
            }
        }
        for tag in &self.tags {
            if !definition.tags.contains(tag) {
                definition.tags.push(tag.clone());
            }
        }
        if self.note.is_some() {
            definition.notes.clone_from(&self.note);
        }
    }
}

/// The smaller of two limits.
fn stricter<T: PartialOrd>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b < a { b } else { a }),
        (a, b) => a.or(b),
    }
}

/// Puts one `KEY=VALUE` of `--budget` beside the file's limits; none: it is not understood.
fn limit(part: &str, definition: &mut Definition) -> Option<()> {
    let (key, value) = part.split_once('=')?;
    match key {
        "gpu_hours" => {
            let hours: f64 = value.parse().ok().filter(|hours: &f64| hours.is_finite() && *hours > 0.0)?;
            definition.gpu_hours = stricter(definition.gpu_hours, Some(hours));
        }
        "wall" => {
            let wall = duration::parse(value).ok().filter(|wall| !wall.is_zero())?;
            definition.wall = stricter(definition.wall, Some(wall));
        }
        "trials" => {
            let trials: u32 = value.parse().ok().filter(|trials| *trials > 0)?;
            definition.run_cap = stricter(definition.run_cap, Some(trials));
        }
        _ => return None,
    }
    Some(())
}

/// Carries out one `--set KEY=VALUE`; `text` is the whole of it, `number` its place among the texts.
pub(super) fn set(root: &Rc<Node>, text: &str, number: usize, check: &mut Check<'_>) -> Rc<Node> {
    let whole = At { text: number, start: 0, end: text.len() };
    let Some((path, written)) = text.split_once('=').filter(|(path, _)| !path.is_empty()) else {
        check
            .error(Code::BadPath, whole, "", format!("'{}' is not KEY=VALUE", shortened(text)))
            .help("--set parameters.lr.max=0.1");
        return Rc::clone(root);
    };
    let key_at = At { text: number, start: 0, end: path.len() };
    // The value keeps its place in the whole option: what stands before it is blanked out.
    let padded = format!("{}{written}", " ".repeat(path.len() + 1));
    let before = check.failed();
    let value = match source::load(&padded, number, check) {
        Some(node) => node,
        None if !before && check.failed() => return Rc::clone(root),
        None => Rc::new(Node::new(whole, Kind::Scalar { value: Value::Null, written: String::new() })),
    };
    match with(root, path, key_at, &value) {
        Some(node) => node,
        None => {
            check
                .error(
                    Code::BadPath,
                    key_at,
                    path,
                    format!("'{}' leads through something that holds no keys", shortened(path)),
                )
                .help("--set parameters.lr.max=0.1");
            Rc::clone(root)
        }
    }
}

/// The node with `value` at `path`. A key may itself have dots: the longest key that is there counts.
fn with(node: &Rc<Node>, path: &str, key_at: At, value: &Rc<Node>) -> Option<Rc<Node>> {
    match &node.kind {
        Kind::Map(entries) => {
            let mut entries = entries.clone();
            let longest = entries
                .iter()
                .enumerate()
                .filter(|(_, entry)| {
                    path == entry.key
                        || path.strip_prefix(&entry.key).is_some_and(|rest| rest.starts_with('.'))
                })
                .max_by_key(|(_, entry)| entry.key.len())
                .map(|(index, _)| index);
            match longest {
                Some(index) if entries[index].key == path => {
                    entries[index] = Entry { key: path.to_owned(), key_at, value: Rc::clone(value) };
                }
                Some(index) => {
                    let rest = &path[entries[index].key.len() + 1..];
                    entries[index].value = with(&entries[index].value, rest, key_at, value)?;
                }
                None => {
                    let (key, rest) = match path.split_once('.') {
                        Some((key, rest)) => (key, Some(rest)),
                        None => (path, None),
                    };
                    let inner = match rest {
                        Some(rest) => {
                            with(&Rc::new(Node::new(key_at, Kind::Map(Vec::new()))), rest, key_at, value)?
                        }
                        None => Rc::clone(value),
                    };
                    entries.push(Entry { key: key.to_owned(), key_at, value: inner });
                }
            }
            Some(Rc::new(Node::new(node.at, Kind::Map(entries))))
        }
        Kind::List(items) => {
            let (index, rest) =
                path.split_once('.').map_or((path, None), |(index, rest)| (index, Some(rest)));
            let index: usize = index.parse().ok()?;
            let mut items = items.clone();
            let inner = match rest {
                Some(rest) => with(items.get(index)?, rest, key_at, value)?,
                None => Rc::clone(value),
            };
            *items.get_mut(index)? = inner;
            Some(Rc::new(Node::new(node.at, Kind::List(items))))
        }
        Kind::Scalar { .. } => None,
    }
}
