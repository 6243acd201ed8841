//! What is wrong with a file: one diagnostic each, with its place and the excerpt, and the collector that checks fill.
//!
//! A place is complete in itself (line, column, excerpt), so that showing it needs the text no more.

use std::path::Path;

use serde::Serialize;

use crate::spec::code::Code;

/// How bad it is: only an error refuses the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// Surely not what was meant; accepted.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// `error`, `warning`, `note`.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// Where something stands, with the excerpt around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The option it stands in (`--set parameters.lr.max`); none: the file.
    pub option: Option<String>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The line, or a part of it where it is long.
    pub excerpt: String,
    /// Characters of `excerpt` before the mark.
    pub offset: usize,
    /// Characters marked, at least 1.
    pub width: usize,
}

/// A second place that belongs to the same matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub place: Place,
    /// What stands there.
    pub text: String,
}

/// One error, warning or note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// A whole sentence, lower-case, without a full stop.
    pub message: String,
    /// Path of the field, as `parameters.lr.max`; empty for the file as a whole.
    pub field: String,
    /// None: the file as a whole.
    pub place: Option<Place>,
    /// Beside the mark.
    pub label: String,
    /// Other places, as the other bound.
    pub others: Vec<Label>,
    /// What to type.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A diagnostic about the file as a whole.
    pub fn whole(code: Code, message: impl Into<String>) -> Self {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            field: String::new(),
            place: None,
            label: String::new(),
            others: Vec::new(),
            help: None,
        }
    }

    /// With a help line.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A range of bytes of one text: 0 is the file, n the n-th option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) text: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The texts a definition comes from: the file, and the options that override it.
pub(super) struct Texts<'a> {
    texts: Vec<Text<'a>>,
}

struct Text<'a> {
    option: Option<String>,
    text: &'a str,
    lines: Vec<usize>,
}

/// An excerpt shows at most so many characters of a line.
const EXCERPT: usize = 100;

impl<'a> Texts<'a> {
    pub(super) fn new(file: &'a str) -> Self {
        let mut texts = Texts { texts: Vec::new() };
        texts.add(None, file);
        texts
    }

    /// Adds a text and gives its number.
    pub(super) fn add(&mut self, option: Option<String>, text: &'a str) -> usize {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        self.texts.push(Text { option, text, lines });
        self.texts.len() - 1
    }

    fn place(&self, at: At) -> Place {
        let Text { option, text, lines } = &self.texts[at.text];
        let start = floor(text, at.start);
        let line = lines.partition_point(|&begin| begin <= start) - 1;
        let begin = lines[line];
        let end = lines.get(line + 1).map_or(text.len(), |next| next - 1);
        let whole = text[begin..end].trim_end_matches('\r').trim_start_matches('\u{feff}');
        let before = text[begin..start.clamp(begin, end)].trim_start_matches('\u{feff}').chars().count();
        let marked =
            text[start.min(end)..floor(text, at.end).clamp(start.min(end), end)].trim_end().chars().count();
        let skipped = if before > EXCERPT * 3 / 5 { before - EXCERPT * 2 / 5 } else { 0 };
        let excerpt: String = whole.chars().skip(skipped).take(EXCERPT).collect();
        let offset = before - skipped;
        let room = excerpt.chars().count().saturating_sub(offset).max(1);
        Place {
            option: option.clone(),
            line: line + 1,
            column: before + 1,
            excerpt,
            offset,
            width: marked.clamp(1, room),
        }
    }
}

/// The nearest character boundary at or below `at`.
fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

/// Collects what the checks find.
pub(super) struct Check<'a> {
    texts: &'a Texts<'a>,
    found: Vec<(Option<At>, Diagnostic)>,
}

impl<'a> Check<'a> {
    pub(super) fn new(texts: &'a Texts<'a>) -> Self {
        Check { texts, found: Vec::new() }
    }

    pub(super) fn error(
        &mut self,
        code: Code,
        at: At,
        field: &str,
        message: impl Into<String>,
    ) -> Found<'_, 'a> {
        self.add(Severity::Error, code, at, field, message.into())
    }

    pub(super) fn warning(
        &mut self,
        code: Code,
        at: At,
        field: &str,
        message: impl Into<String>,
    ) -> Found<'_, 'a> {
        self.add(Severity::Warning, code, at, field, message.into())
    }

    pub(super) fn note(
        &mut self,
        code: Code,
        at: At,
        field: &str,
        message: impl Into<String>,
    ) -> Found<'_, 'a> {
        self.add(Severity::Note, code, at, field, message.into())
    }

    /// About the file as a whole.
    pub(super) fn whole(&mut self, diagnostic: Diagnostic) {
        self.found.push((None, diagnostic));
    }

    pub(super) fn failed(&self) -> bool {
        self.found.iter().any(|(_, d)| d.severity == Severity::Error)
    }

    /// All, in file order; those of options after those of the file.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|(at, _)| at.map_or((usize::MAX, 0), |at| (at.text, at.start)));
        self.found.into_iter().map(|(_, diagnostic)| diagnostic).collect()
    }

    fn add(&mut self, severity: Severity, code: Code, at: At, field: &str, message: String) -> Found<'_, 'a> {
        let place = Some(self.texts.place(at));
        let texts = self.texts;
        let diagnostic =
            Diagnostic { severity, field: field.to_owned(), place, ..Diagnostic::whole(code, message) };
        self.found.push((Some(at), diagnostic));
        let (_, diagnostic) = self.found.last_mut().expect("one was pushed the line before");
        Found { texts, diagnostic }
    }
}

/// A diagnostic that was just added, to be completed.
pub(super) struct Found<'c, 'a> {
    texts: &'a Texts<'a>,
    diagnostic: &'c mut Diagnostic,
}

impl Found<'_, '_> {
    pub(super) fn label(self, text: impl Into<String>) -> Self {
        self.diagnostic.label = text.into();
        self
    }

    pub(super) fn also(self, at: At, text: impl Into<String>) -> Self {
        self.diagnostic.others.push(Label { place: self.texts.place(at), text: text.into() });
        self
    }

    pub(super) fn help(self, text: impl Into<String>) -> Self {
        self.diagnostic.help = Some(text.into());
        self
    }
}

/// At most 80 characters of a text, control characters escaped.
pub(super) fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(80).flat_map(shown).collect();
    if text.chars().nth(80).is_some() {
        short.push('…');
    }
    short
}

/// A character as it may be shown: those that move the cursor or the writing direction are escaped.
pub(super) fn shown(c: char) -> Vec<char> {
    let hidden = c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}');
    if hidden { c.escape_unicode().collect() } else { vec![c] }
}

/// The last part of a path, for a name.
pub(super) fn file_name(path: &str) -> String {
    Path::new(path).file_stem().map_or_else(|| "sweep".to_owned(), |stem| stem.to_string_lossy().into_owned())
}
