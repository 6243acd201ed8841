//! The way through: text -> nodes -> `--set` -> checks -> definition, with everything that is wrong on the way.

use crate::space::Value;
use crate::spec::code::Code;
use crate::spec::definition::Definition;
use crate::spec::diagnostic::{At, Check, Diagnostic, Severity, Texts, file_name};
use crate::spec::overrides::{self, Overrides};
use crate::spec::source::{self, Kind, MAX_BYTES};
use crate::spec::sweep;

/// What a text says.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// None where there is an error.
    pub definition: Option<Definition>,
    /// Everything worth saying, in file order.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// Whether the file is refused.
    pub fn refused(&self) -> bool {
        self.definition.is_none()
    }
}

/// Reads and checks a sweep file. `path` only names the sweep where the file does not.
pub fn parse(source: &str, path: &str, overrides: &Overrides) -> Parsed {
    if source.len() > MAX_BYTES {
        let message = format!("file larger than 1 MiB ({} bytes)", source.len());
        let diagnostic =
            Diagnostic::whole(Code::TooLarge, message).with_help("a sweep file names large data by a path");
        return Parsed { definition: None, diagnostics: vec![diagnostic] };
    }
    let mut texts = Texts::new(source);
    let set: Vec<usize> = overrides
        .set
        .iter()
        .map(|text| {
            let key = text.split_once('=').map_or(text.as_str(), |(key, _)| key);
            texts.add(Some(format!("--set {key}")), text)
        })
        .collect();
    let mut check = Check::new(&texts);
    let mut definition = checked(source, path, overrides, &set, &mut check);
    if let Some(definition) = &mut definition {
        overrides.finish(definition, &mut check);
    }
    let diagnostics = check.finish();
    let refused = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    Parsed { definition: definition.filter(|_| !refused), diagnostics }
}

fn checked(
    source: &str,
    path: &str,
    overrides: &Overrides,
    set: &[usize],
    check: &mut Check<'_>,
) -> Option<Definition> {
    let start = At { text: 0, start: 0, end: 0 };
    let root = source::load(source, 0, check);
    let Some(root) = root.filter(|root| !matches!(root.kind, Kind::Scalar { value: Value::Null, .. })) else {
        if !check.failed() {
            check
                .error(Code::NoSweep, start, "", "the file has no sweep")
                .help("write at least method: and parameters:");
        }
        return None;
    };
    if root.entries().is_none() {
        let what = crate::spec::fields::shown(&root);
        check
            .error(Code::NotAMapping, root.at, "", format!("the file is {what}, not a mapping"))
            .help("write key: value lines");
        return None;
    }
    let root = set
        .iter()
        .zip(&overrides.set)
        .fold(root, |root, (number, text)| overrides::set(&root, text, *number, check));
    sweep::definition(&root, &file_name(path), overrides, check)
}
