//! `collect.stdout`: which lines are read, and how.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::anchors::Anchors;
use super::guess::{self, Said};
use super::pattern::{Pattern, PatternError};
use crate::spec::CollectStdout;

/// `collect.stdout`, made ready; both streams share it.
#[derive(Debug)]
pub struct LineRules {
    form: Form,
}

#[derive(Debug)]
enum Form {
    Off,
    Guess(Anchors),
    /// The usual forms, but of these names alone.
    Names(Anchors, BTreeSet<String>),
    Pattern(Pattern),
}

impl LineRules {
    /// Makes the rules of a run.
    ///
    /// `wanted`: the names of objective, constraints and stopping rule, the objective first.
    /// Errors: a pattern that is no expression or says no value or name.
    pub fn new(collect: &CollectStdout, wanted: &[String]) -> Result<Arc<LineRules>, PatternError> {
        let form = match collect {
            CollectStdout::Off => Form::Off,
            CollectStdout::On => Form::Guess(Anchors::new(wanted)),
            CollectStdout::Names(names) => Form::Names(Anchors::new(names), names.iter().cloned().collect()),
            CollectStdout::Pattern(pattern) => Form::Pattern(Pattern::new(pattern, wanted)?),
        };
        Ok(Arc::new(LineRules { form }))
    }

    /// Whether no line is read at all.
    pub(super) fn is_off(&self) -> bool {
        matches!(self.form, Form::Off)
    }

    /// Where the next line that may say something has an anchor, at or after `from`.
    pub(super) fn next(&self, bytes: &[u8], from: usize) -> Option<usize> {
        match &self.form {
            Form::Off => None,
            Form::Guess(anchors) | Form::Names(anchors, _) => anchors.next(bytes, from),
            Form::Pattern(_) => (from < bytes.len()).then_some(from),
        }
    }

    /// What a cleaned line says.
    pub(super) fn read(&self, text: &str) -> Said {
        match &self.form {
            Form::Off => Said::Nothing,
            Form::Guess(anchors) => guess::read(text, anchors),
            Form::Names(anchors, names) => only(guess::read(text, anchors), names),
            Form::Pattern(pattern) => pattern.read(text),
        }
    }
}

fn only(said: Said, names: &BTreeSet<String>) -> Said {
    match said {
        Said::Metrics { step, mut metrics } => {
            metrics.retain(|(name, _)| names.contains(name));
            match (metrics.is_empty(), step) {
                (true, _) => Said::Nothing,
                (false, step) => Said::Metrics { step, metrics },
            }
        }
        other @ (Said::Nothing | Said::Heading(_)) => other,
    }
}
