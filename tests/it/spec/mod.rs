//! The sweep file's reader against the corpus, the bad-input matrix and broken files.

mod bad_input;
mod broken;
mod corpus;
mod look;
mod objectives;

use swath::spec::{self, Code, Overrides, Parsed, Severity};

/// Parses a text as `sweep.yaml`.
fn parse(text: &str) -> Parsed {
    spec::parse(text, "sweep.yaml", &Overrides::default())
}

/// Every diagnostic of a text as code, line and column, errors and warnings only.
fn found(text: &str) -> Vec<(Code, usize, usize)> {
    let at = |d: &spec::Diagnostic| d.place.as_ref().map_or((0, 0), |place| (place.line, place.column));
    let parsed = parse(text);
    let loud = parsed.diagnostics.iter().filter(|d| d.severity != Severity::Note);
    loud.map(|d| (d.code, at(d).0, at(d).1)).collect()
}

/// The codes of a text's errors.
fn errors(text: &str) -> Vec<Code> {
    let parsed = parse(text);
    let errors = parsed.diagnostics.iter().filter(|d| d.severity == Severity::Error);
    errors.map(|d| d.code).collect()
}

/// All codes of a text that is accepted.
fn accepted(text: &str) -> Vec<Code> {
    let parsed = parse(text);
    assert!(!parsed.refused(), "{:#?}", parsed.diagnostics);
    parsed.diagnostics.iter().map(|d| d.code).collect()
}

/// A file whose one parameter has this mapping.
fn with_parameter(mapping: &str) -> String {
    format!("program: t.py\nmethod: random\nparameters:\n  a: {mapping}\n")
}
