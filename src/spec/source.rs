//! Text -> nodes with their places: the only file that knows the YAML parser.
//!
//! Aliases share their node, so a bomb costs nothing to load; each node knows how large and deep it is with aliases
//! expanded, and the limits are kept on these numbers before anybody walks the tree. Keys are their text as written.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, Tag};

use crate::space::Value;
use crate::spec::code::Code;
use crate::spec::diagnostic::{At, Check, Diagnostic};
use crate::spec::scalar::{self, Oddity};

/// Bytes of a sweep file.
pub const MAX_BYTES: usize = 1 << 20;
/// Nodes, aliases expanded.
const MAX_NODES: u64 = 100_000;
/// Levels, aliases expanded.
const MAX_DEPTH: usize = 64;

/// One node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) kind: Kind,
    size: u64,
    depth: usize,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// `raw`: as it was written, where that is not the value's own text.
    Scalar {
        value: Value,
        raw: Option<Box<str>>,
    },
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
}

impl Kind {
    pub(super) fn scalar(value: Value, written: String) -> Kind {
        let raw = match &value {
            Value::Text(text) if *text == written => None,
            _ => Some(written.into_boxed_str()),
        };
        Kind::Scalar { value, raw }
    }

    /// A scalar as it was written.
    pub(super) fn written(&self) -> Option<&str> {
        match self {
            Kind::Scalar { value: Value::Text(text), raw: None } => Some(text),
            Kind::Scalar { raw, .. } => Some(raw.as_deref().unwrap_or_default()),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }
}

/// One `key: value`.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: At,
    pub(super) value: Rc<Node>,
}

impl Node {
    pub(super) fn new(at: At, kind: Kind) -> Node {
        let (size, depth) = match &kind {
            Kind::Scalar { .. } => (1, 0),
            Kind::List(items) => extent(items.iter()),
            Kind::Map(entries) => extent(entries.iter().map(|entry| &entry.value)),
        };
        Node { at, kind, size, depth }
    }

    pub(super) fn entries(&self) -> Option<&[Entry]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Scalar { .. } | Kind::List(_) => None,
        }
    }

    pub(super) fn items(&self) -> Option<&[Rc<Node>]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            Kind::Scalar { .. } | Kind::Map(_) => None,
        }
    }

    pub(super) fn scalar(&self) -> Option<&Value> {
        match &self.kind {
            Kind::Scalar { value, .. } => Some(value),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries()?.iter().find(|entry| entry.key == key)
    }

    /// The whole as a value; mappings have sorted keys, as the client of W&B sends them.
    pub(super) fn value(&self) -> Value {
        match &self.kind {
            Kind::Scalar { value, .. } => value.clone(),
            Kind::List(items) => Value::List(items.iter().map(|item| item.value()).collect()),
            Kind::Map(entries) => {
                let sorted: BTreeMap<&str, Value> =
                    entries.iter().map(|entry| (entry.key.as_str(), entry.value.value())).collect();
                Value::Map(sorted.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }
        }
    }
}

fn extent<'n>(children: impl Iterator<Item = &'n Rc<Node>>) -> (u64, usize) {
    children
        .fold((1, 1), |(size, depth), child| (size.saturating_add(child.size), depth.max(child.depth + 1)))
}

/// Bytes -> text: UTF-8 without NUL, a byte order mark taken off.
pub fn decode(bytes: &[u8]) -> Result<&str, Box<Diagnostic>> {
    let refuse =
        |code, message: String, help: &str| Err(Box::new(Diagnostic::whole(code, message).with_help(help)));
    if bytes.len() > MAX_BYTES {
        let help = "a sweep file names large data by a path";
        return refuse(Code::TooLarge, format!("file larger than 1 MiB ({} bytes)", bytes.len()), help);
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return refuse(Code::NotText, "not UTF-8: UTF-16 at byte 0".into(), "save the file as UTF-8");
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            return refuse(
                Code::NotText,
                format!("not UTF-8: byte 0x{:02x} at byte {at}", bytes[at]),
                "save the file as UTF-8",
            );
        }
    };
    if let Some(at) = text.find('\0') {
        return refuse(Code::NotText, format!("a NUL byte at byte {at}"), "delete it");
    }
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The one document of a text; `None` where it is empty. What is wrong goes to `check`.
pub(super) fn load(text: &str, number: usize, check: &mut Check<'_>) -> Option<Rc<Node>> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = 2 * MAX_DEPTH;
    options.block_nesting_limit = 2 * MAX_DEPTH;
    let mut loader = Loader {
        text,
        number,
        open: Vec::new(),
        nodes: 0,
        anchors: HashMap::new(),
        root: None,
        documents: 0,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let more = match event {
            Ok((event, span)) => loader.take(event, span, check),
            Err(error) => {
                loader.refuse_syntax(
                    error.marker().byte_offset(),
                    error.marker().line(),
                    error.marker().col(),
                    error.info(),
                    check,
                );
                false
            }
        };
        if !more {
            return None;
        }
    }
    loader.root
}

/// A list or mapping whose end has not come yet.
struct Open {
    at: At,
    anchor: usize,
    tag: Option<String>,
    map: bool,
    /// Nodes in it so far, keys aside.
    nodes: u64,
    /// Of a mapping: keys and values in turn.
    children: Vec<(Rc<Node>, bool)>,
}

struct Loader<'t> {
    text: &'t str,
    number: usize,
    open: Vec<Open>,
    /// Nodes in the lists and mappings that are open, aliases expanded.
    nodes: u64,
    anchors: HashMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
    documents: usize,
}

impl Loader<'_> {
    /// Takes one event; false: the text is refused as a whole.
    fn take(&mut self, event: Event<'_>, span: Span, check: &mut Check<'_>) -> bool {
        let at = self.at(span);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    check
                        .error(Code::SeveralDocuments, at, "", "more than one YAML document")
                        .help("one file holds one sweep");
                    return false;
                }
                true
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = matches!(style, ScalarStyle::Plain);
                let value = self.scalar(&text, plain, tag.as_deref(), at, check);
                let node = Rc::new(Node::new(at, Kind::scalar(value, text.into_owned())));
                self.place(node, anchor, plain && tag.is_none(), check)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => self.place(node, 0, false, check),
                None => {
                    check.error(Code::AliasLoop, at, "", "an alias inside the node that its anchor names");
                    false
                }
            },
            Event::SequenceStart(_, anchor, tag) => self.begin(at, anchor, tag.as_deref(), false, check),
            Event::MappingStart(_, anchor, tag) => self.begin(at, anchor, tag.as_deref(), true, check),
            Event::SequenceEnd | Event::MappingEnd => self.end(at, check),
            _ => true,
        }
    }

    fn at(&self, span: Span) -> At {
        let range = span.byte_range().unwrap_or(0..0);
        At { text: self.number, start: range.start, end: range.end }
    }

    fn begin(&mut self, at: At, anchor: usize, tag: Option<&Tag>, map: bool, check: &mut Check<'_>) -> bool {
        if self.open.len() >= MAX_DEPTH {
            self.too_deep(at, check);
            return false;
        }
        self.open.push(Open { at, anchor, tag: tag.map(Tag::original), map, nodes: 0, children: Vec::new() });
        true
    }

    fn too_deep(&self, at: At, check: &mut Check<'_>) {
        check.error(Code::TooLarge, at, "", format!("more than {MAX_DEPTH} levels"));
    }

    fn end(&mut self, end: At, check: &mut Check<'_>) -> bool {
        let Some(open) = self.open.pop() else { return true };
        let at = At { end: end.end.max(open.at.end), ..open.at };
        if let Some(tag) = open.tag.filter(|tag| !matches!(tag.as_str(), "!!map" | "!!seq")) {
            self.refuse_tag(&tag, open.at, check);
        }
        self.nodes -= open.nodes;
        let kind = if open.map {
            Kind::Map(self.entries(open.children, check))
        } else {
            Kind::List(open.children.into_iter().map(|(node, _)| node).collect())
        };
        self.place(Rc::new(Node::new(at, kind)), open.anchor, false, check)
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Rc<Node>, anchor: usize, plain: bool, check: &mut Check<'_>) -> bool {
        let is_key = self.open.last().is_some_and(|open| open.map && open.children.len().is_multiple_of(2));
        let nodes = if is_key { 0 } else { node.size };
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            check.error(
                Code::TooLarge,
                node.at,
                "",
                format!("more than {MAX_NODES} nodes, aliases expanded"),
            );
            return false;
        }
        if self.open.len() + node.depth > MAX_DEPTH {
            self.too_deep(node.at, check);
            return false;
        }
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        match self.open.last_mut() {
            Some(open) => {
                open.nodes += nodes;
                open.children.push((node, plain));
            }
            None => self.root = Some(node),
        }
        true
    }

    fn entries(&self, children: Vec<(Rc<Node>, bool)>, check: &mut Check<'_>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::with_capacity(children.len() / 2);
        let mut merged: Vec<Rc<Node>> = Vec::new();
        let mut seen: HashMap<String, At> = HashMap::new();
        let mut children = children.into_iter();
        while let (Some((key, plain)), Some((value, _))) = (children.next(), children.next()) {
            let Some(written) = key.kind.written() else {
                self.refuse_key(&key, check);
                continue;
            };
            if plain && written == "<<" {
                merged.push(value);
                continue;
            }
            if let Some(&first) = seen.get(written) {
                let name = crate::spec::diagnostic::shortened(written);
                check
                    .error(
                        Code::DuplicateKey,
                        key.at,
                        written,
                        format!(
                            "key '{name}' is there twice: lines {} and {}",
                            self.line(first),
                            self.line(key.at)
                        ),
                    )
                    .label("the second")
                    .also(first, "the first")
                    .help("delete or rename one of them");
                continue;
            }
            seen.insert(written.to_owned(), key.at);
            entries.push(Entry { key: written.to_owned(), key_at: key.at, value });
        }
        for node in merged {
            merge(&node, &mut entries, &mut seen, check);
        }
        entries
    }

    fn line(&self, at: At) -> usize {
        self.text[..at.start.min(self.text.len())].matches('\n').count() + 1
    }

    fn refuse_key(&self, key: &Node, check: &mut Check<'_>) {
        let template = self.text.get(key.at.start..).is_some_and(|text| text.starts_with('{'));
        let found =
            check.error(Code::BadKey, key.at, "", "a key must be plain text, not a list or a mapping");
        if template {
            found.help("a template such as {{ x }} must be rendered first; quote it if it is text");
        }
    }

    fn refuse_tag(&self, tag: &str, at: At, check: &mut Check<'_>) {
        check
            .error(
                Code::UnknownTag,
                at,
                "",
                format!("unknown YAML tag '{}'", crate::spec::diagnostic::shortened(tag)),
            )
            .help("known are !!str, !!int, !!float, !!bool, !!null, !!seq and !!map");
    }

    fn scalar(&self, text: &str, plain: bool, tag: Option<&Tag>, at: At, check: &mut Check<'_>) -> Value {
        let Some(tag) = tag else {
            if !plain {
                return Value::Text(text.to_owned());
            }
            let (value, oddity) = scalar::resolve(text);
            if let Some(oddity) = oddity {
                let how = match oddity {
                    Oddity::Octal => "octal",
                    Oddity::Base60 => "to base 60",
                };
                let read = value.number().unwrap_or(f64::NAN);
                check
                    .note(
                        Code::OldNumber,
                        at,
                        "",
                        format!("'{text}' is read as {read}: {how}, as YAML 1.1 has it"),
                    )
                    .help("quote it if it is text");
            }
            return value;
        };
        let tagged = match tag.core_suffix() {
            Some("str") => Some(Value::Text(text.to_owned())),
            Some("null") => Some(Value::Null),
            Some("bool") => Some(scalar::resolve(text).0).filter(|value| matches!(value, Value::Bool(_))),
            Some("int") => scalar::integer(text).map(|(value, _)| value),
            Some("float") => scalar::float(text)
                .map(|(float, _)| float)
                .or_else(|| scalar::integer(text).and_then(|(value, _)| value.number()))
                .map(Value::Float),
            _ if tag.original() == "!" => Some(Value::Text(text.to_owned())),
            _ => {
                self.refuse_tag(&tag.original(), at, check);
                return Value::Null;
            }
        };
        tagged.unwrap_or_else(|| {
            check.error(
                Code::WrongKind,
                at,
                "",
                format!("'{}' is not what its tag says", crate::spec::diagnostic::shortened(text)),
            );
            Value::Null
        })
    }

    fn refuse_syntax(
        &self,
        offset: Option<usize>,
        line: usize,
        col: usize,
        info: String,
        check: &mut Check<'_>,
    ) {
        let begin = self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
        let start = offset.unwrap_or(begin + col);
        let at = At { text: self.number, start, end: start + 1 };
        if info.contains("nesting") || info.contains("depth") || info.contains("recursion") {
            self.too_deep(at, check);
            return;
        }
        let line_text = self.text[begin.min(self.text.len())..].lines().next().unwrap_or("");
        let found = check.error(Code::Syntax, at, "", format!("not YAML: {info}"));
        if line_text.trim_start_matches(' ').starts_with('\t') {
            found.help("indent with spaces: a tab is no indentation in YAML");
        } else if line_text.contains("{{") || line_text.contains("{%") {
            found.help("a template such as {{ x }} must be rendered first; quote it if it is text");
        }
    }
}

/// `<<`: the entries of a mapping, or of a list of mappings, that are not there yet.
fn merge(node: &Rc<Node>, entries: &mut Vec<Entry>, seen: &mut HashMap<String, At>, check: &mut Check<'_>) {
    match &node.kind {
        Kind::Map(others) => {
            for entry in others {
                if !seen.contains_key(&entry.key) {
                    seen.insert(entry.key.clone(), entry.key_at);
                    entries.push(entry.clone());
                }
            }
        }
        Kind::List(items) if items.iter().all(|item| item.entries().is_some()) => {
            for item in items {
                merge(item, entries, seen, check);
            }
        }
        Kind::List(_) | Kind::Scalar { .. } => {
            check.error(Code::WrongKind, node.at, "<<", "'<<' takes a mapping or a list of mappings");
        }
    }
}
